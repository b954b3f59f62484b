//! Reads JSON frame first and row by row, so that a broken row costs itself and not its payload.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use html_escape::decode_html_entities;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use crate::reading::{Extent, Problem, QuarantinedRow};

/// Longest text of a quarantined row that is kept, in characters.
pub(crate) const MAX_ROW_TEXT: usize = 4_000;

/// Largest count that is believed; the largest of the marketplaces lists less than a thousandth of it.
pub(crate) const MAX_COUNT: u64 = 1_000_000_000_000;

const MAX_PROBLEM_TEXT: usize = 600;
const MAX_IDENTIFIER: usize = 200;

/// Reads the frame of a payload, whose rows are left as they stand.
pub(crate) fn frame<'a, Frame: Deserialize<'a>>(body: &'a [u8]) -> Result<Frame, Problem> {
    let mut json = serde_json::Deserializer::from_slice(without_byte_order_mark(body));
    let frame = serde_path_to_error::deserialize(&mut json).map_err(problem_of)?;
    json.end().map_err(|error| Problem::at("", error.to_string()))?;
    Ok(frame)
}

/// Reads one row.
pub(crate) fn row<'a, Row: Deserialize<'a>>(row: &'a RawValue) -> Result<Row, Problem> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(row.get())).map_err(problem_of)
}

/// What stands in place of a row or a value that people wrote.
pub(crate) const NOT_KEPT: &str = "(what people wrote is not kept)";

/// Forgets what a row says and keeps where it breaks the contract.
pub(crate) fn untold(problem: Problem) -> Problem {
    Problem::at(problem.json_pointer, "not what the contract says")
}

/// Sets a row aside.
pub(crate) fn quarantined(json_pointer: String, problem: &Problem, row: &RawValue) -> QuarantinedRow {
    QuarantinedRow {
        json_pointer,
        reason: problem.to_string(),
        row_text: cut(row.get(), MAX_ROW_TEXT).to_owned(),
        extent: Extent::Row,
    }
}

/// Drops the byte order mark that some servers put before JSON.
pub(crate) fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Says where and what, from an error that knows its path.
pub(crate) fn problem_of(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let text = error.inner().to_string();
    Problem::at(json_pointer(error.path()), cut(&text, MAX_PROBLEM_TEXT))
}

/// Writes a path as RFC 6901 does.
fn json_pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Cuts a text after a number of characters.
pub(crate) fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// Reads a human text: entities decoded once, no control characters; nothing when nothing is left.
pub(crate) fn text(text: Option<&str>) -> Option<String> {
    let decoded = decode_html_entities(text?);
    let clean = decoded.replace(char::is_control, " ");
    let trimmed = clean.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Reads an identifier of the marketplace, which is kept as it stands.
pub(crate) fn identifier(text: &str, json_pointer: &str) -> Result<String, Problem> {
    let is_plain = !text.is_empty() && text.len() <= MAX_IDENTIFIER && !text.chars().any(char::is_control);
    is_plain.then(|| text.to_owned()).ok_or_else(|| Problem::at(json_pointer, "not an identifier"))
}

/// Reads a count.
pub(crate) fn count(value: u64, json_pointer: &str) -> Result<i64, Problem> {
    if value > MAX_COUNT {
        return Err(Problem::at(json_pointer, format!("{value} is more than {MAX_COUNT}")));
    }
    Ok(value as i64)
}

/// Reads a count that may be absent.
pub(crate) fn optional_count(value: Option<u64>, json_pointer: &str) -> Result<Option<i64>, Problem> {
    value.map(|value| count(value, json_pointer)).transpose()
}

/// Reads an amount as it is written: digits, and a point where there is one.
pub(crate) fn amount(text: &str, json_pointer: &str) -> Result<Decimal, Problem> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = Decimal::from_str_exact(text).ok();
    value
        .filter(|value| is_plain && *value <= Decimal::from(MAX_COUNT))
        .ok_or_else(|| Problem::at(json_pointer, format!("{:?} is not an amount", cut(text, 40))))
}

/// Reads the mean of some stars.
pub(crate) fn stars(value: f64, json_pointer: &str) -> Result<f64, Problem> {
    let is_mean = (0.0..=5.0).contains(&value);
    is_mean.then_some(value).ok_or_else(|| Problem::at(json_pointer, format!("{value} is not a number of stars")))
}

/// Reads a currency code.
pub(crate) fn currency(code: &str, json_pointer: &str) -> Result<String, Problem> {
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then(|| code.to_owned()).ok_or_else(|| Problem::at(json_pointer, "not a currency code"))
}

/// Reads the date at the start of a text, whatever time follows.
pub(crate) fn date(text: &str, json_pointer: &str) -> Result<NaiveDate, Problem> {
    text.get(..10)
        .filter(|date| date.as_bytes()[0].is_ascii_digit())
        .and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok())
        .ok_or_else(|| Problem::at(json_pointer, "not a date"))
}

/// Reads a date as its first moment.
pub(crate) fn date_start(text: &str, json_pointer: &str) -> Result<DateTime<Utc>, Problem> {
    Ok(date(text, json_pointer)?.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_once_and_holds_no_control_characters() {
        assert_eq!(text(Some("Mom&#39;s &amp;amp; Dad\u{0}\n")), Some("Mom's &amp; Dad".to_owned()));
        assert_eq!(text(Some(" \u{0} ")), None);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("häß", 2), "hä");
        assert_eq!(cut("häß", 3), "häß");
    }

    #[test]
    fn a_date_may_be_followed_by_a_time() {
        let day = NaiveDate::from_ymd_opt(2026, 8, 16);
        for text in ["2026-08-16", "2026-08-16T00:00:00Z", "2026-08-16T23:59:59+00:00"] {
            assert_eq!(date(text, "/day").ok(), day);
        }
        for text in ["", "2026-8-16", "2026-02-30", "+2026-08-1", "yesterday, at noon"] {
            assert_eq!(date(text, "/day"), Err(Problem::at("/day", "not a date")), "{text}");
        }
    }
}
