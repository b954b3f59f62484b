//! Reads JSON frame first and row by row, so that a broken row costs itself and not its payload.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use html_escape::decode_html_entities;
use rust_decimal::Decimal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
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
    document(without_byte_order_mark(body)).map(|Named(frame)| frame)
}

/// Reads a text that is one value of any kind.
pub(crate) fn document<'a, Value: Deserialize<'a>>(text: &'a [u8]) -> Result<Value, Problem> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(problem_of)?;
    json.end().map_err(|error| Problem::at("", error.to_string()))?;
    Ok(value)
}

/// Reads one row.
pub(crate) fn row<'a, Row: Deserialize<'a>>(row: &'a RawValue) -> Result<Row, Problem> {
    let row = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(row.get()));
    row.map(|Named(row)| row).map_err(problem_of)
}

/// An object, read by the names of its fields. What is derived alone would take an array of the bare values too.
pub(crate) struct Named<Fields>(pub(crate) Fields);

impl<Fields> Deref for Named<Fields> {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl<'de, Fields: Deserialize<'de>> Deserialize<'de> for Named<Fields> {
    fn deserialize<Json: Deserializer<'de>>(json: Json) -> Result<Named<Fields>, Json::Error> {
        json.deserialize_map(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<Fields>(PhantomData<Fields>);

impl<'de, Fields: Deserialize<'de>> Visitor<'de> for NamedVisitor<Fields> {
    type Value = Named<Fields>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<Map: MapAccess<'de>>(self, map: Map) -> Result<Named<Fields>, Map::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map)).map(Named)
    }
}

/// A number as it is written, to the last digit: money would lose some as a float.
pub(crate) struct NumberText(String);

impl NumberText {
    /// Reads it as an amount.
    pub(crate) fn amount(&self, json_pointer: &str) -> Result<Decimal, Problem> {
        match self.0.contains(['e', 'E']) {
            true => Decimal::from_scientific(&self.0)
                .ok()
                .filter(believable)
                .ok_or_else(|| no_amount(&self.0, json_pointer)),
            false => amount(&self.0, json_pointer),
        }
    }
}

impl<'de> Deserialize<'de> for NumberText {
    fn deserialize<Json: Deserializer<'de>>(json: Json) -> Result<NumberText, Json::Error> {
        let raw = Box::<RawValue>::deserialize(json)?;
        let is_number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then(|| NumberText(raw.get().to_owned())).ok_or_else(|| Error::custom("not a number"))
    }
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

/// Reads an amount as it is written: digits, and where there is a point, digits on both sides of it.
pub(crate) fn amount(text: &str, json_pointer: &str) -> Result<Decimal, Problem> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = text.split_once('.').map_or(is_digits(text), |(left, right)| is_digits(left) && is_digits(right));
    let value = Decimal::from_str_exact(text).ok();
    value.filter(|value| is_plain && believable(value)).ok_or_else(|| no_amount(text, json_pointer))
}

fn believable(amount: &Decimal) -> bool {
    (Decimal::ZERO..=Decimal::from(MAX_COUNT)).contains(amount)
}

fn no_amount(text: &str, json_pointer: &str) -> Problem {
    Problem::at(json_pointer, format!("{:?} is not an amount", cut(text, 40)))
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
    // The parser would take spaces and signs for digits.
    let is_digits_and_dashes = |date: &&str| date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.get(..10)
        .filter(is_digits_and_dashes)
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
    fn an_amount_is_kept_to_the_last_digit() {
        for text in ["0", "12.50", "999999999999.5678901"] {
            assert_eq!(amount(text, "").map(|amount| amount.to_string()).as_deref(), Ok(text));
        }
        for text in ["", ".", "5.", ".5", "1,5", "-1", "+1", "1e2", " 1", "1000000000001"] {
            assert!(amount(text, "/price").is_err(), "{text}");
        }
        let of = |json: &str| serde_json::from_str::<NumberText>(json).expect("a number").amount("");
        assert_eq!(
            of("19.990000000000000001").map(|amount| amount.to_string()).as_deref(),
            Ok("19.990000000000000001")
        );
        assert_eq!(of("1.5E+2"), Ok(Decimal::from(150)));
        assert!(of("1e400").is_err() && of("-2").is_err());
        assert!(serde_json::from_str::<NumberText>("\"12\"").is_err());
    }

    #[test]
    fn an_array_of_values_is_no_object() {
        #[derive(Deserialize)]
        struct Seller {
            name: String,
        }
        let good = frame::<Seller>(br#"{"name": "potter"}"#).expect("an object");
        assert_eq!(good.name, "potter");
        assert!(frame::<Seller>(br#"["potter"]"#).is_err());
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
