//! Reads single cells: terms, numbers as people of two habits write them, ranges, dates. What could mean two things is
//! refused.

use chrono::{Days, NaiveDate};
use digitallz_common::keyword::Keyword;

use crate::reading::Problem;
use crate::rows::{MAX_COUNT, cut};
use crate::tables::dates::{self, DateOrder, Moment};
use crate::tables::numbers::{self, DecimalMark, NotANumber};

/// Characters with which a spreadsheet begins a formula, or marks a text that looks like one.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\'', '|'];

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
    checked(cell, name, mark, numbers::number)
}

/// Reads a count.
pub(super) fn count(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<f64>, Problem> {
    checked(cell, name, mark, numbers::count)
}

fn checked(
    cell: &str,
    name: &str,
    mark: DecimalMark,
    read: fn(&str, DecimalMark) -> Result<f64, NotANumber>,
) -> Result<Option<f64>, Problem> {
    let cell = numbers::normalized(cell);
    if numbers::is_nothing(&cell) {
        return Ok(None);
    }
    let is_negative = cell.starts_with('-') || cell.contains(['e', 'E']);
    match read(&cell, mark) {
        Ok(value) if !is_negative && value <= MAX_COUNT as f64 => Ok(Some(value)),
        Err(NotANumber::Ambiguous) => {
            let text =
                format!("{name}: '{}' may be two numbers; say --decimal point or --decimal comma", cut(&cell, 40));
            Err(Problem::at("", text))
        }
        _ => Err(no_number(&cell, name, mark)),
    }
}

/// Reads a number behind which a percent sign may stand, and tells whether one did.
pub(super) fn percentage(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<(f64, bool)>, Problem> {
    let cell = numbers::normalized(cell);
    let cell = cell.as_str();
    match cell.strip_suffix(['%', '٪']) {
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
    let cell = numbers::normalized(cell);
    let bare = signs
        .fold(cell.as_str(), |rest, sign| rest.strip_prefix(sign).or(rest.strip_suffix(sign)).unwrap_or(rest).trim());
    number(bare, name, mark)
}

/// Reads a number of searches, or the range in which it lies.
pub(super) fn searches(cell: &str, name: &str, mark: DecimalMark) -> Result<Option<Searches>, Problem> {
    let cell = numbers::normalized(cell);
    let end = |text: &str| scaled(text, name, mark);
    if numbers::is_nothing(&cell) {
        return Ok(None);
    }
    if let Some(rest) = cell.strip_prefix('>').or(cell.strip_prefix('≥')) {
        return Ok(Some(Searches::Above(end(rest.trim_start_matches('='))?)));
    }
    if let Some(rest) = cell.strip_prefix('<').or(cell.strip_prefix('≤')) {
        return Ok(Some(Searches::Below(end(rest.trim_start_matches('='))?)));
    }
    if let Some(rest) = cell.strip_suffix('+') {
        return Ok(Some(Searches::Above(end(rest)?)));
    }
    match cell.split_once(['–', '—', '-', '~', '〜', '至']).or_else(|| cell.split_once(" to ")) {
        Some((low, high)) => match (end(low)?, end(high)?) {
            (low, high) if low <= high => Ok(Some(Searches::Between(low, high))),
            _ => Err(no_number(&cell, name, mark)),
        },
        None => match numbers::scale(&cell) {
            (_, 1.0) => Ok(count(&cell, name, mark)?.map(Searches::Exact)),
            _ => Ok(Some(Searches::Exact(end(&cell)?))),
        },
    }
}

/// Reads a day. What could be two days is an error.
pub(super) fn date(cell: &str, name: &str, order: DateOrder) -> Result<NaiveDate, Problem> {
    match dates::readings(cell, order).as_slice() {
        [Moment::Day(day)] => Ok(*day),
        [_, _] => {
            let text = format!("{name}: '{}' may be two days; say --date-order mdy or --date-order dmy", cut(cell, 40));
            Err(Problem::at("", text))
        }
        _ => Err(Problem::at("", format!("{name}: '{}' is not a date such as 2026-08-16", cut(cell, 40)))),
    }
}

/// Reads every day that a cell may name: none for an empty cell, two where the order of day and month is open.
pub(super) fn days(cell: &str, name: &str, order: DateOrder) -> Result<Vec<NaiveDate>, Problem> {
    if cell.is_empty() {
        return Ok(Vec::new());
    }
    let days: Vec<NaiveDate> = dates::readings(cell, order)
        .into_iter()
        .filter_map(|moment| if let Moment::Day(day) = moment { Some(day) } else { None })
        .collect();
    match days.is_empty() {
        true => date(cell, name, order).map(|day| vec![day]),
        false => Ok(days),
    }
}

/// Reads the first day of a week: a day, or an ISO week by the Sunday before its Monday.
pub(super) fn week(cell: &str, name: &str, order: DateOrder) -> Result<NaiveDate, Problem> {
    match dates::one(cell, order) {
        Some(Moment::IsoWeek(monday)) => Ok(monday - Days::new(1)),
        _ => date(cell, name, order),
    }
}

/// Reads a month, with or without its first day.
pub(super) fn month(cell: &str, name: &str, order: DateOrder) -> Result<NaiveDate, Problem> {
    match dates::one(cell, order) {
        Some(Moment::Month(first)) => Ok(first),
        _ => date(cell, name, order),
    }
}

/// Returns true where a cell names a month and no day.
pub(super) fn is_month(cell: &str) -> bool {
    matches!(dates::one(cell, DateOrder::Auto), Some(Moment::Month(_)))
}

/// Returns true where a cell names an ISO week.
pub(super) fn is_iso_week(cell: &str) -> bool {
    matches!(dates::one(cell, DateOrder::Auto), Some(Moment::IsoWeek(_)))
}

/// Reads one end of a range: 10, 1K, 2.5M, 1,2 mil.
fn scaled(text: &str, name: &str, mark: DecimalMark) -> Result<f64, Problem> {
    let (digits, scale) = numbers::scale(text);
    let value = number(&digits, name, mark)?.map(|value| value * scale);
    value.filter(|value| *value <= MAX_COUNT as f64).ok_or_else(|| no_number(text, name, mark))
}

fn no_number(cell: &str, name: &str, mark: DecimalMark) -> Problem {
    let other = match mark {
        DecimalMark::Comma => ("1.234,5", "point"),
        DecimalMark::Auto | DecimalMark::Point | DecimalMark::Undecided => ("1,234.5", "comma"),
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
        for cell in ["1,23", "0,123", "1.234,5", "-5", "1e5", "inf", "=1+1", "0x10", "1.", ".5", "1,,234"] {
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
            ("100,000+", Searches::Above(1e5)),
            ("1K", Searches::Exact(1e3)),
            ("<\u{a0}1", Searches::Below(1.0)),
            ("＜ １", Searches::Below(1.0)),
            ("1\u{202f}000 – 10\u{202f}000", Searches::Between(1e3, 1e4)),
            ("1 mil – 10 mil", Searches::Between(1e3, 1e4)),
            ("< 10", Searches::Below(10.0)),
            ("1,300", Searches::Exact(1300.0)),
        ] {
            assert_eq!(searches(cell, "s", POINT), Ok(Some(searched)), "{cell}");
        }
        for cell in ["10K – 1K", "K – M", "1 – 2 – 3", "> many"] {
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
    fn a_date_with_two_readings_is_refused() {
        let auto = DateOrder::Auto;
        assert_eq!(date("2026-08-16", "d", auto).unwrap().to_string(), "2026-08-16");
        assert_eq!(month("2026-08", "d", auto).unwrap().to_string(), "2026-08-01");
        assert_eq!(week("2026-W45", "d", auto).unwrap().to_string(), "2026-11-01");
        assert!(date("4/11/2026", "d", auto).unwrap_err().text.contains("--date-order"));
        assert_eq!(date("4/11/2026", "d", DateOrder::Mdy).unwrap().to_string(), "2026-04-11");
        assert_eq!(days("4/11/2026", "d", auto).unwrap().len(), 2);
        for cell in ["2026-02-30", "+026-08-16", "2026-08-16T07", "2026-08"] {
            assert!(date(cell, "d", auto).is_err(), "{cell}");
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
            let _ = (date(&cell, "d", DateOrder::Auto), month(&cell, "d", DateOrder::Dmy), keyword(&cell), percentage(&cell, "p", POINT));
        }
    }
}
