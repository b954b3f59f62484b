//! What the lines above a header of Seller Central say of the time that the rows are about.
//!
//! They read `Reporting Range=["Weekly"],Select week=["Week 6 | 2026-02-01 - 2026-02-07 2026"]`, older ones
//! `Viewing=["2/1/26 - 2/7/26"]`, monthly ones `Select year=["2026"],Select month=["January"]`. A week is one from Sunday to
//! Saturday or it is refused.

use chrono::{Datelike, Days, Months, NaiveDate};
use digitallz_common::observation::Period;

use super::names;
use super::request::ImportRequest;
use crate::reading::Problem;
use crate::rows::cut;

/// How long the period of a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Day,
    Week,
    Month,
    Quarter,
}

/// What is known of the period before any row is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToldPeriod {
    period: Option<Period>,
    length: Option<Length>,
}

impl ToldPeriod {
    /// Reads the lines above the header; what the user said goes first.
    pub(super) fn read(preamble: &[Vec<String>], request: &ImportRequest) -> Result<ToldPeriod, Problem> {
        if let Some((first, last)) = request.days {
            return Ok(ToldPeriod { period: Some(calendar_period(first, last)?), length: None });
        }
        let text = preamble.iter().map(|cells| cells.join(",")).collect::<Vec<_>>().join("\n");
        let length = length_of(&text);
        let days = iso_days(&text).or_else(|| slashed_days(&text, length));
        let period = match (days, length) {
            (Some((first, last)), _) => Some(calendar_period(first, last)?),
            (None, Some(Length::Month)) => month_of(&text).map(Period::Month),
            (None, Some(Length::Quarter)) => quarter_of(&text).map(Period::Quarter),
            _ => None,
        };
        match (period, length) {
            (Some(period), Some(length)) if period_of(length, period.end_date()) != Some(period) => {
                let (first, last) = (period.start_date(), period.end_date());
                Err(Problem::at(
                    "",
                    format!("{first} to {last} is not the period that the line above the header names"),
                ))
            }
            _ => Ok(ToldPeriod { period, length }),
        }
    }

    /// Returns the period of a row. `last_days` holds the days that the row may end on: none where it names none, two where
    /// the order of day and month is open, of which the period allows one.
    pub(super) fn of_row(&self, last_days: &[NaiveDate]) -> Result<Period, Problem> {
        if let Some(period) = self.period {
            return match last_days {
                [] => Ok(period),
                days if days.contains(&period.end_date()) => Ok(period),
                [first, ..] => {
                    let end = period.end_date();
                    Err(Problem::at("", format!("the row ends on {first}, but the period of the file on {end}")))
                }
            };
        }
        let (Some(length), [first, ..]) = (self.length, last_days) else {
            let text = "the file does not state the period that it covers; give it with --from and --to";
            return Err(Problem::at("", text));
        };
        let periods: Vec<Period> = last_days.iter().filter_map(|day| period_of(length, *day)).collect();
        match periods.as_slice() {
            [period] => Ok(*period),
            [] => {
                let text = format!("{first} is not the last day of such a period; a week ends on a Saturday");
                Err(Problem::at("", text))
            }
            _ => Err(Problem::at("", "the reporting date may be two days; say --date-order mdy or dmy")),
        }
    }
}

/// Returns the day, week, month or quarter between two days, and refuses anything else.
fn calendar_period(first: NaiveDate, last: NaiveDate) -> Result<Period, Problem> {
    match Period::of_days(first, last) {
        Some(Period::Span(..)) | None => {
            let text = format!("{first} to {last} is no day, week from Sunday to Saturday, month or quarter");
            Err(Problem::at("", text))
        }
        Some(period) => Ok(period),
    }
}

/// Returns the period of a length that ends on a day, if one does.
fn period_of(length: Length, last: NaiveDate) -> Option<Period> {
    let first_of_month = last.with_day(1)?;
    let period = match length {
        Length::Day => Period::Day(last),
        Length::Week => Period::Week(last - Days::new(6)),
        Length::Month => Period::Month(first_of_month),
        Length::Quarter => Period::Quarter(first_of_month - Months::new(2)),
    };
    (period.begins_rightly() && period.end_date() == last).then_some(period)
}

fn length_of(text: &str) -> Option<Length> {
    let values: Vec<String> = chosen(text).into_iter().map(str::to_lowercase).collect();
    LENGTHS
        .iter()
        .find(|(words, _)| words.iter().any(|word| values.iter().any(|value| value == word)))
        .map(|(_, length)| *length)
}

/// Words for the lengths, in the languages of Seller Central.
const LENGTHS: [(&[&str], Length); 4] = [
    (
        &[
            "daily",
            "täglich",
            "quotidien",
            "quotidienne",
            "diario",
            "giornaliero",
            "毎日",
            "日次",
            "diário",
            "dagelijks",
            "codziennie",
            "dzienny",
            "dagligen",
            "daglig",
            "günlük",
            "يومي",
            "يوميًا",
            "每日",
            "每天",
        ],
        Length::Day,
    ),
    (
        &[
            "weekly",
            "wöchentlich",
            "hebdomadaire",
            "semanal",
            "settimanale",
            "毎週",
            "週次",
            "週間",
            "wekelijks",
            "co tydzień",
            "tygodniowo",
            "tygodniowy",
            "veckovis",
            "varje vecka",
            "haftalık",
            "أسبوعي",
            "أسبوعيًا",
            "每周",
        ],
        Length::Week,
    ),
    (
        &[
            "monthly",
            "monatlich",
            "mensuel",
            "mensuelle",
            "mensual",
            "mensile",
            "毎月",
            "月次",
            "月間",
            "mensal",
            "maandelijks",
            "co miesiąc",
            "miesięcznie",
            "miesięczny",
            "månadsvis",
            "varje månad",
            "aylık",
            "شهري",
            "شهريًا",
            "每月",
        ],
        Length::Month,
    ),
    (
        &[
            "quarterly",
            "vierteljährlich",
            "quartalsweise",
            "trimestriel",
            "trimestrielle",
            "trimestral",
            "trimestrale",
            "四半期",
            "四半期ごと",
            "driemaandelijks",
            "per kwartaal",
            "kwartalnie",
            "kwartalny",
            "co kwartał",
            "kvartalsvis",
            "varje kvartal",
            "üç aylık",
            "çeyreklik",
            "ربع سنوي",
            "每季度",
            "季度",
        ],
        Length::Quarter,
    ),
];

/// Returns what was chosen: the values between `["` and `"]`.
fn chosen(text: &str) -> Vec<&str> {
    let values = text.split("[\"").skip(1).filter_map(|rest| rest.split_once("\"]"));
    values.map(|(value, _)| value.trim()).collect()
}

/// Finds a year and a quarter that were chosen one by one.
fn quarter_of(text: &str) -> Option<NaiveDate> {
    let quarter = chosen(text).into_iter().find_map(|value| {
        let value = value.to_lowercase();
        let words = ["quarter", "quartal", "trimestre", "kwartał", "kwartaal", "kvartal", "çeyrek", "q", "t", "第"];
        let bare = words.iter().fold(value.as_str(), |value, word| value.trim_start_matches(word));
        let bare = bare.trim_end_matches(['季', '度', '四', '半', '期', '.']).trim();
        bare.parse::<u32>().ok().filter(|quarter| (1..=4).contains(quarter))
    })?;
    NaiveDate::from_ymd_opt(year_of(text)?, quarter * 3 - 2, 1)
}

fn year_of(text: &str) -> Option<i32> {
    chosen(text).into_iter().find_map(|value| value.parse().ok().filter(|year| (2000..2100).contains(year)))
}

/// Finds two ISO dates with a dash between them.
fn iso_days(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    text.split(['|', '"', '[', ']', ',']).find_map(|part| {
        let (first, last) = part.trim().split_once(" - ")?;
        Some((first.trim().parse().ok()?, last.trim().get(..10)?.parse().ok()?))
    })
}

/// Finds two dates with slashes; day and month stand in the one order in which they are such a period.
fn slashed_days(text: &str, length: Option<Length>) -> Option<(NaiveDate, NaiveDate)> {
    let (first, last) = text.split(['|', '"', '[', ']', ',']).find_map(|part| {
        let (first, last) = part.trim().split_once(" - ")?;
        (first.contains('/') && last.contains('/')).then_some((cut(first.trim(), 10), cut(last.trim(), 10)))
    })?;
    let orders = ["%m/%d/%y", "%d/%m/%y", "%m/%d/%Y", "%d/%m/%Y"];
    let mut readings = orders.into_iter().filter_map(|order| {
        let [first, last] = [first, last].map(|day| NaiveDate::parse_from_str(day, order).ok());
        let (first, last) = (first?, last?);
        let period = Period::of_days(first, last)?;
        let fits = match length {
            Some(length) => period_of(length, last) == Some(period),
            None => !matches!(period, Period::Span(..)),
        };
        // A year of two digits that was read as one of four lies in antiquity.
        (fits && first.year() > 2_000).then_some((first, last))
    });
    let found = readings.next()?;
    readings.all(|other| other == found).then_some(found)
}

/// Finds a year and a month in words that were chosen one by one.
fn month_of(text: &str) -> Option<NaiveDate> {
    let month = chosen(text).into_iter().find_map(names::month_number)?;
    NaiveDate::from_ymd_opt(year_of(text)?, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Result<ToldPeriod, Problem> {
        ToldPeriod::read(&[vec![line.to_owned()]], &ImportRequest::default())
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    #[test]
    fn the_line_above_the_header_tells_the_period() {
        for (line, kind, first) in [
            (
                r#"Brand=["B"],Reporting Range=["Weekly"],Select week=["Week 6 | 2026-02-01 - 2026-02-07 2026"]"#,
                "week",
                "2026-02-01",
            ),
            (
                r#"Reporting Range=["Monthly"],Select month=["June | 2026-06-01 - 2026-06-30 2026"]"#,
                "month",
                "2026-06-01",
            ),
            (r#"Reporting Range=["Monthly"],Select year=["2026"],Select month=["January"]"#, "month", "2026-01-01"),
            (
                r#"Department=["Amazon.com"],Reporting Range=["Weekly"],Viewing=["2/16/20 - 2/22/20"]"#,
                "week",
                "2020-02-16",
            ),
            (r#"Reporting Range=["Weekly"],Viewing=["01/03/2026 - 07/03/2026"]"#, "week", "2026-03-01"),
            (r#"Reporting Range=["Quarterly"],Select year=["2025"],Select quarter=["3"]"#, "quarter", "2025-07-01"),
            (r#"Berichtszeitraum=["Monatlich"],Jahr=["2025"],Monat=["März"]"#, "month", "2025-03-01"),
            (r#"レポート範囲=["毎週"],週=["第6週 | 2026-02-01 - 2026-02-07 2026"]"#, "week", "2026-02-01"),
            (r#"Période=["Trimestriel"],Année=["2025"],Trimestre=["T2"]"#, "quarter", "2025-04-01"),
            (r#"Reporting Range=["Quarterly"],Viewing=["1/1/26 - 3/31/26"]"#, "quarter", "2026-01-01"),
            (r#"Reporting Range=["Quarterly"],Select year=["2026"],Select quarter=["3"]"#, "quarter", "2026-07-01"),
            (r#"Reporting Range=["Quarterly"],Select year=["2025"],Select quarter=["Q4"]"#, "quarter", "2025-10-01"),
        ] {
            let period = told(line).unwrap().of_row(&[]).unwrap();
            assert_eq!((period.kind(), period.start_date()), (kind, day(first)), "{line}");
        }
    }

    #[test]
    fn the_last_day_of_a_row_needs_the_length_and_must_fit() {
        let weekly = told(r#"Reporting Range=["Weekly"]"#).unwrap();
        assert_eq!(weekly.of_row(&[day("2026-02-07")]), Ok(Period::Week(day("2026-02-01"))));
        assert!(weekly.of_row(&[day("2026-02-08")]).is_err());
        assert!(told("nothing").unwrap().of_row(&[day("2026-02-07")]).unwrap_err().text.contains("--from"));
        let week = told(r#"["Weekly"],["Week 6 | 2026-02-01 - 2026-02-07 2026"]"#).unwrap();
        assert!(week.of_row(&[day("2026-02-14")]).is_err());
    }

    #[test]
    fn a_week_from_monday_is_refused() {
        assert!(told(r#"["Weekly"],["2026-02-02 - 2026-02-08"]"#).is_err());
        assert!(told(r#"["Monthly"],["2026-02-01 - 2026-02-07"]"#).is_err());
    }
}
