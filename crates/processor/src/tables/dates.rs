//! Reads dates: ISO 8601 (days, months, weeks, with or without a time), years first or last, months in words. The order of day and
//! month is decided by the file where only one order is possible, and never guessed.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Weekday};

use super::numbers::normalized;

/// The order of year, month and day where a date is written with numbers only and the year is not first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// Decided by the file.
    #[default]
    Auto,
    /// Month, day, year, as in the United States.
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// A word that is none of those expected.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not one of: auto, mdy, dmy, ymd")]
pub struct UnknownOrder(String);

impl FromStr for DateOrder {
    type Err = UnknownOrder;

    fn from_str(word: &str) -> Result<DateOrder, UnknownOrder> {
        match word {
            "auto" => Ok(DateOrder::Auto),
            "mdy" => Ok(DateOrder::Mdy),
            "dmy" => Ok(DateOrder::Dmy),
            "ymd" => Ok(DateOrder::Ymd),
            _ => Err(UnknownOrder(word.to_owned())),
        }
    }
}

impl DateOrder {
    /// Returns the word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            DateOrder::Auto => "auto",
            DateOrder::Mdy => "mdy",
            DateOrder::Dmy => "dmy",
            DateOrder::Ymd => "ymd",
        }
    }
}

/// What a cell names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A day.
    Day(NaiveDate),
    /// A month, by its first day.
    Month(NaiveDate),
    /// An ISO week, by its Monday.
    IsoWeek(NaiveDate),
}

impl Moment {
    /// Returns the first day of it.
    pub fn first_day(self) -> NaiveDate {
        match self {
            Moment::Day(day) | Moment::Month(day) | Moment::IsoWeek(day) => day,
        }
    }
}

/// Returns every reading of a cell that the order leaves open: none, one or two.
pub fn readings(cell: &str, order: DateOrder) -> Vec<Moment> {
    let cell = normalized(cell);
    if let Some(moment) = iso(&cell).or_else(|| in_words(&cell)) {
        return vec![moment];
    }
    let days = numeric(without_time(&cell), order);
    days.into_iter().map(Moment::Day).collect()
}

/// Returns the one reading of a cell, if it has exactly one.
pub fn one(cell: &str, order: DateOrder) -> Option<Moment> {
    match readings(cell, order).as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// Decides the order of the dates of a column: the one in which all of them are dates, if there is only one such order.
pub fn decide<'a>(cells: impl Iterator<Item = &'a str>) -> DateOrder {
    let (mut can_be_mdy, mut can_be_dmy, mut is_numeric) = (true, true, false);
    for cell in cells {
        let cell = normalized(cell);
        if iso(&cell).is_some() || in_words(&cell).is_some() {
            continue;
        }
        let day = without_time(&cell);
        if readings(day, DateOrder::Auto).is_empty() {
            continue;
        }
        is_numeric = true;
        can_be_mdy &= !numeric(day, DateOrder::Mdy).is_empty();
        can_be_dmy &= !numeric(day, DateOrder::Dmy).is_empty();
    }
    match (is_numeric, can_be_mdy, can_be_dmy) {
        (true, true, false) => DateOrder::Mdy,
        (true, false, true) => DateOrder::Dmy,
        _ => DateOrder::Auto,
    }
}

/// Reads what has one meaning wherever it is written: the year first with four digits.
fn iso(cell: &str) -> Option<Moment> {
    if let Some((year, week)) = cell.split_once(['W', 'w']) {
        let year = year.trim_end_matches(['-', ' ']);
        let (week, weekday) = week.split_once('-').unwrap_or((week, "1"));
        if year.len() == 4 && week.len() <= 2 && (1..=7).contains(&weekday.parse().unwrap_or(0)) {
            let monday = NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, Weekday::Mon)?;
            return Some(Moment::IsoWeek(monday));
        }
    }
    // With an offset the day is that of the offset, as it is written.
    if let Ok(moment) = DateTime::parse_from_rfc3339(&cell.replacen(' ', "T", 1)) {
        return Some(Moment::Day(moment.date_naive()));
    }
    let day = without_time(cell);
    let unified: String = day
        .trim_end_matches('日')
        .chars()
        .map(|character| if matches!(character, '/' | '.' | '年' | '月') { '-' } else { character })
        .collect();
    let parts: Vec<&str> = unified.trim_end_matches('-').split('-').map(str::trim).collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !parts.iter().all(is_number) || parts.first().is_none_or(|year| year.len() != 4 && year.len() != 8) {
        return None;
    }
    match parts.as_slice() {
        [compact] if compact.len() == 8 => NaiveDate::parse_from_str(compact, "%Y%m%d").ok().map(Moment::Day),
        [year, month] if year.len() == 4 && month.len() <= 2 => date(year, month, "1").map(Moment::Month),
        [year, month, day] if year.len() == 4 && month.len() <= 2 && day.len() <= 2 => {
            date(year, month, day).map(Moment::Day)
        }
        _ => None,
    }
}

/// Reads days and months with English names of months.
fn in_words(cell: &str) -> Option<Moment> {
    if !cell.chars().any(char::is_alphabetic) {
        return None;
    }
    let cell = cell.replace([',', '.', '-', '/'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let parse = |text: &str, form: &str| {
        NaiveDate::parse_from_str(text, form).ok().filter(|date| (1000..10_000).contains(&date.year()))
    };
    let forms = ["%d %B %Y", "%B %d %Y", "%Y %B %d", "%d %B %y"];
    if let Some(day) = forms.iter().find_map(|form| parse(&cell, form)) {
        return Some(Moment::Day(day));
    }
    let first = format!("1 {cell}");
    let forms = ["%d %B %Y", "%d %Y %B", "%d %B %y"];
    forms.iter().find_map(|form| parse(&first, form)).map(Moment::Month)
}

/// Cuts off a time of day.
fn without_time(cell: &str) -> &str {
    let Some((day, time)) = cell.split_once(['T', ' ']) else { return cell };
    let time = time.trim().trim_end_matches('Z');
    let time = time.split_once(['+']).map_or(time, |(time, _)| time);
    let forms = ["%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p"];
    let is_time = forms
        .iter()
        .any(|form| NaiveDateTime::parse_from_str(&format!("2000-01-01 {time}"), &format!("%Y-%m-%d {form}")).is_ok());
    if is_time { day.trim_end_matches(',') } else { cell }
}

/// Reads three numbers in the orders that are possible, without repetition.
fn numeric(cell: &str, order: DateOrder) -> Vec<NaiveDate> {
    let parts: Vec<&str> = cell.split(['/', '.', '-']).map(str::trim).collect();
    let [first, second, third] = parts.as_slice() else { return Vec::new() };
    let separators: Vec<char> = cell.chars().filter(|character| matches!(character, '/' | '.' | '-')).collect();
    let is_number = |text: &&str| matches!(text.len(), 1 | 2 | 4) && text.bytes().all(|byte| byte.is_ascii_digit());
    if separators[0] != separators[1] || !parts.iter().all(is_number) {
        return Vec::new();
    }
    let mdy = || date(third, first, second);
    let dmy = || date(third, second, first);
    let ymd = || date(first, second, third);
    let mut days: Vec<NaiveDate> = match order {
        DateOrder::Mdy => mdy().into_iter().collect(),
        DateOrder::Dmy => dmy().into_iter().collect(),
        DateOrder::Ymd => ymd().into_iter().collect(),
        // Nobody writes the month first and points between.
        DateOrder::Auto if separators[0] == '.' => dmy().into_iter().collect(),
        DateOrder::Auto => mdy().into_iter().chain(dmy()).collect(),
    };
    days.dedup();
    days
}

/// Makes a date; years of two digits are those from 2000 on.
fn date(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    let century = match year.len() {
        4 => 0,
        2 => 2000,
        _ => return None,
    };
    if month.len() > 2 || day.len() > 2 {
        return None;
    }
    NaiveDate::from_ymd_opt(century + year.parse::<i32>().ok()?, month.parse().ok()?, day.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn dates_of_one_meaning_are_read_in_every_form() {
        for cell in [
            "2026-08-16",
            "2026/8/16",
            "2026.08.16",
            "20260816",
            "2026年8月16日",
            "2026-08-16T00:00:00",
            "2026-08-16 00:00:00",
            "2026-08-16T00:00:00Z",
            "2026-08-16T00:00:00.000+02:00",
            "16 Aug 2026",
            "August 16, 2026",
            "16-Aug-26",
            "8/16/2026",
            "16.08.2026",
            "16/8/26",
            "8/16/2026 0:00",
            "２０２６-０８-１６",
        ] {
            assert_eq!(one(cell, DateOrder::Auto), Some(Moment::Day(day("2026-08-16"))), "{cell}");
        }
        for cell in ["2026-08", "2026/8", "2026年8月", "Aug 2026", "August 2026", "Aug-26"] {
            assert_eq!(one(cell, DateOrder::Auto), Some(Moment::Month(day("2026-08-01"))), "{cell}");
        }
        for cell in ["2026-W45", "2026W45", "2026-w45", "2026-W45-3"] {
            assert_eq!(one(cell, DateOrder::Auto), Some(Moment::IsoWeek(day("2026-11-02"))), "{cell}");
        }
        for cell in ["", "soon", "2026-02-30", "13/13/2026", "2026-W54", "1.2.3.4", "12345", "+026-08-16", "8-16/2026"]
        {
            assert_eq!(readings(cell, DateOrder::Auto), [], "{cell}");
        }
    }

    #[test]
    fn the_order_is_decided_by_the_column_and_never_guessed() {
        assert_eq!(readings("4/11/2026", DateOrder::Auto).len(), 2);
        assert_eq!(one("4/11/2026", DateOrder::Mdy), Some(Moment::Day(day("2026-04-11"))));
        assert_eq!(one("4/11/2026", DateOrder::Dmy), Some(Moment::Day(day("2026-11-04"))));
        assert_eq!(decide(["4/11/2026", "4/18/2026"].into_iter()), DateOrder::Mdy);
        assert_eq!(decide(["4/11/2026", "18/11/2026"].into_iter()), DateOrder::Dmy);
        assert_eq!(decide(["4/11/2026", "5/11/2026"].into_iter()), DateOrder::Auto);
        assert_eq!(decide(["18/4/2026", "4/18/2026"].into_iter()), DateOrder::Auto);
        assert_eq!(decide(["2026-04-11"].into_iter()), DateOrder::Auto);
    }
}
