//! Reads single cells: terms, numbers as people of two habits write them, ranges, dates. What could mean two things is
//! refused.

use chrono::NaiveDate;
use digitallz_common::keyword::Keyword;

use super::request::DecimalMark;
use crate::reading::Problem;
use crate::rows::{MAX_COUNT, cut};

/// Characters with which a spreadsheet begins a formula, or marks a text that looks like one.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\'', '|'];

/// What people write where there is no value.
const NOTHING: [&str; 7] = ["", "-", "--", "—", "–", "n/a", "null"];

/// A number of searches as a planner writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Searches {
    /// So many.
    Exact(f64),
    /// At least and at most so many.
    Between(f64, f64),
    /// More than so many.
    Above(f64),
    /// Fewer than so many.
    Below(f64),
}

/// Reads a search term; what a spreadsheet would compute is refused.
pub(super) fn keyword(cell: &str) -> Result<Keyword, Problem> {
    if cell.starts_with(FORMULA_STARTS) {
        let text =
            format!("'{}' begins like a formula of a spreadsheet, so it is not taken for a keyword", cut(cell, 80));
        return Err(Problem::at("", text));
    }
    Keyword::parse(cell).map_err(|error| Problem::at("", error.to_string()))
}

/// Reads a number that is not negative; nothing where the cell says that there is none.
pub(super) fn number(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<f64>, Problem> {
    if is_nothing(cell) {
        return Ok(None);
    }
    match plain(cell, mark).and_then(|plain| plain.parse::<f64>().ok()).filter(|value| *value <= MAX_COUNT as f64) {
        Some(value) => Ok(Some(value)),
        None => Err(no_number(cell, name, mark)),
    }
}

/// Reads a count.
pub(super) fn count(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<f64>, Problem> {
    match number(cell, name, mark)? {
        Some(value) if value.fract() != 0.0 => Err(no_number(cell, name, mark)),
        value => Ok(value),
    }
}

/// Reads a number behind which a percent sign may stand, and tells whether one did.
pub(super) fn percentage(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<(f64, bool)>, Problem> {
    match cell.strip_suffix('%') {
        Some(rest) => Ok(number(rest.trim_end(), name, mark)?.map(|value| (value, true))),
        None => Ok(number(cell, name, mark)?.map(|value| (value, false))),
    }
}

/// Reads an amount of money beside which the code or a sign of its currency may stand.
pub(super) fn money(cell: &str, name: &str, currency: &str, mark: DecimalMark) -> Result<Option<f64>, Problem> {
    let signs: &[&str] = match currency {
        "USD" => &["US$", "$"],
        "CAD" | "AUD" | "MXN" => &["CA$", "A$", "MX$", "$"],
        "BRL" => &["R$"],
        "EUR" => &["€"],
        "GBP" => &["£"],
        "JPY" => &["¥", "￥", "円"],
        "SEK" => &["kr"],
        "PLN" => &["zł"],
        _ => &[],
    };
    let signs = signs.iter().copied().chain([currency]);
    let bare =
        signs.fold(cell, |rest, sign| rest.strip_prefix(sign).or(rest.strip_suffix(sign)).unwrap_or(rest).trim());
    number(bare, name, mark)
}

/// Reads a number of searches, or the range in which it lies.
pub(super) fn searches(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<Searches>, Problem> {
    let end = |text: &str| scaled(text, name, mark);
    if is_nothing(cell) {
        return Ok(None);
    }
    if let Some(rest) = cell.strip_prefix('>').or(cell.strip_prefix('≥')) {
        return Ok(Some(Searches::Above(end(rest)?)));
    }
    if let Some(rest) = cell.strip_prefix('<').or(cell.strip_prefix('≤')) {
        return Ok(Some(Searches::Below(end(rest)?)));
    }
    match cell.split_once(['–', '—', '-']) {
        Some((low, high)) => match (end(low)?, end(high)?) {
            (low, high) if low <= high => Ok(Some(Searches::Between(low, high))),
            _ => Err(no_number(cell, name, mark)),
        },
        None => Ok(count(cell, name, mark)?.map(Searches::Exact)),
    }
}

/// Reads a date as ISO 8601 writes it; other orders of day and month could be mistaken.
pub(super) fn date(cell: &str, name: &str) -> Result<NaiveDate, Problem> {
    // A date and a time is a date, too: programs write dates so.
    let day = cell.strip_suffix(" 00:00:00").or(cell.strip_suffix("T00:00:00")).unwrap_or(cell);
    let is_iso = day.len() == 10 && day.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let day = is_iso.then(|| day.parse().ok()).flatten();
    day.ok_or_else(|| Problem::at("", format!("{name}: '{}' is not a date such as 2026-08-16", cut(cell, 40))))
}

/// Reads a month as ISO 8601 writes it, with or without its first day.
pub(super) fn month(cell: &str, name: &str) -> Result<NaiveDate, Problem> {
    if cell.len() == 7 { date(&format!("{cell}-01"), name) } else { date(cell, name) }
}

fn is_nothing(cell: &str) -> bool {
    NOTHING.iter().any(|nothing| cell.eq_ignore_ascii_case(nothing))
}

/// Reads one end of a range: 10, 1K, 2.5M.
fn scaled(text: &str, name: &str, mark: DecimalMark) -> Result<f64, Problem> {
    let text = text.trim();
    let (digits, scale) = match text.char_indices().last() {
        Some((place, 'K' | 'k')) => (&text[..place], 1e3),
        Some((place, 'M' | 'm')) => (&text[..place], 1e6),
        Some((place, 'B' | 'b')) => (&text[..place], 1e9),
        _ => (text, 1.0),
    };
    let value = number(digits.trim(), name, mark)?.map(|value| value * scale);
    value.filter(|value| *value <= MAX_COUNT as f64).ok_or_else(|| no_number(text, name, mark))
}

/// Writes a number with a point and without separators; nothing when it is not written as such a number is.
fn plain(cell: &str, mark: DecimalMark) -> Option<String> {
    let (decimal, separators) = match mark {
        DecimalMark::Point => ('.', [',', ' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}']),
        DecimalMark::Comma => (',', ['.', ' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}']),
    };
    let (whole, decimals) = match cell.split_once(decimal) {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (cell, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if decimals.is_some_and(|decimals| !is_digits(decimals)) {
        return None;
    }
    let mut digits = String::with_capacity(cell.len());
    if whole.contains(separators) {
        let groups: Vec<&str> = whole.split(separators).collect();
        let (first, others) = groups.split_first()?;
        let is_grouped = is_digits(first) && first.len() <= 3 && !first.starts_with('0');
        if !is_grouped || others.iter().any(|group| group.len() != 3 || !is_digits(group)) {
            return None;
        }
        groups.iter().for_each(|group| digits.push_str(group));
    } else if is_digits(whole) {
        digits.push_str(whole);
    } else {
        return None;
    }
    if let Some(decimals) = decimals {
        digits.push('.');
        digits.push_str(decimals);
    }
    Some(digits)
}

fn no_number(cell: &str, name: &str, mark: DecimalMark) -> Problem {
    let other = match mark {
        DecimalMark::Point => ("1,234.5", "comma"),
        DecimalMark::Comma => ("1.234,5", "point"),
    };
    let text = format!(
        "{name}: '{}' is not the number that is expected, written as {}; for the other habit say --decimal {}",
        cut(cell, 40),
        other.0,
        other.1
    );
    Problem::at("", text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POINT: DecimalMark = DecimalMark::Point;
    const COMMA: DecimalMark = DecimalMark::Comma;

    #[test]
    fn numbers_are_read_by_one_habit_only() {
        for (cell, mark, value) in [
            ("1234", POINT, 1234.0),
            ("1,234", POINT, 1234.0),
            ("1,234,567.25", POINT, 1_234_567.25),
            ("1.234,5", COMMA, 1234.5),
            ("1\u{202f}234,5", COMMA, 1234.5),
            ("1'234.5", POINT, 1234.5),
            ("0.5", POINT, 0.5),
        ] {
            assert_eq!(number(cell, "n", mark), Ok(Some(value)), "{cell}");
        }
        for cell in
            ["1,23", "12,34,567", "0,123", "1.234,5", "-5", "1e5", "NaN", "inf", "=1+1", "0x10", "1.", ".5", "1,,234"]
        {
            assert!(number(cell, "n", POINT).is_err(), "{cell}");
        }
        assert!(number("1,234.5", "n", COMMA).is_err());
        assert_eq!(number(" ".trim(), "n", POINT), Ok(None));
        assert_eq!(number("--", "n", POINT), Ok(None));
        assert!(count("1.234", "n", POINT).unwrap_err().text.contains("--decimal comma"));
    }

    #[test]
    fn ranges_keep_both_ends() {
        for (cell, searched) in [
            ("1K – 10K", Searches::Between(1e3, 1e4)),
            ("10 - 100", Searches::Between(10.0, 100.0)),
            ("100K – 1M", Searches::Between(1e5, 1e6)),
            (">100", Searches::Above(100.0)),
            ("< 10", Searches::Below(10.0)),
            ("1,300", Searches::Exact(1300.0)),
        ] {
            assert_eq!(searches(cell, "s", POINT), Ok(Some(searched)), "{cell}");
        }
        for cell in ["10K – 1K", "1K", "K – M", "1 – 2 – 3", "> many"] {
            assert!(searches(cell, "s", POINT).is_err(), "{cell}");
        }
    }

    #[test]
    fn money_stands_beside_its_own_currency_only() {
        for (cell, currency) in
            [("$12.50", "USD"), ("US$12.50", "USD"), ("12.50", "EUR"), ("€12.50", "EUR"), ("12.50 EUR", "EUR")]
        {
            assert_eq!(money(cell, "p", currency, POINT), Ok(Some(12.5)), "{cell}");
        }
        assert!(money("£12.50", "p", "USD", POINT).is_err());
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_no_keyword() {
        for cell in ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "'lamp", "|x"] {
            assert!(keyword(cell).is_err(), "{cell}");
        }
        assert_eq!(keyword("women's hat - blue").unwrap().as_str(), "women's hat - blue");
    }

    #[test]
    fn dates_have_one_order() {
        assert_eq!(date("2026-08-16", "d").unwrap().to_string(), "2026-08-16");
        assert_eq!(month("2026-08", "d").unwrap().to_string(), "2026-08-01");
        for cell in ["8/16/2026", "16.08.2026", "2026-8-16", "2026-02-30", "+026-08-16", "2026-08-16T07"] {
            assert!(date(cell, "d").is_err(), "{cell}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_read_as_they_were_written(value in 0_u64..1_000_000_000_000) {
            let digits = value.to_string();
            let mut grouped = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            prop_assert_eq!(count(&digits, "n", POINT), Ok(Some(value as f64)));
            prop_assert_eq!(count(&grouped, "n", POINT), Ok(Some(value as f64)));
            prop_assert_eq!(count(&grouped.replace(',', "."), "n", COMMA), Ok(Some(value as f64)));
        }

        #[test]
        fn no_cell_does_harm(cell in "\\PC{0,30}") {
            let _ = (number(&cell, "n", POINT), searches(&cell, "s", COMMA), money(&cell, "m", "EUR", POINT));
            let _ = (date(&cell, "d"), month(&cell, "d"), keyword(&cell), percentage(&cell, "p", POINT));
        }
    }
}
