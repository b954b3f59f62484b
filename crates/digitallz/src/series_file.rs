//! Files of series that users bring: a long table of `series,timestamp,value`, or the wide form of the M4 competition.
//!
//! Nothing is guessed and nothing is left out silently: a cell that cannot be read is an error with its line. An empty
//! cell is a missing point. Rows may come in any order; two values for one moment are an error that names both lines.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, NaiveDate};
use clap::ValueEnum;
use csv::ByteRecord;
use serde::Serialize;

/// How far apart the points of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// A week.
    Weekly,
    /// A day.
    Daily,
    /// A calendar month.
    Monthly,
}

impl Frequency {
    /// Steps of the usual season.
    pub fn season(self) -> usize {
        match self {
            Frequency::Weekly => 52,
            Frequency::Daily => 7,
            Frequency::Monthly => 12,
        }
    }

    fn step(self) -> &'static str {
        match self {
            Frequency::Weekly => "week",
            Frequency::Daily => "day",
            Frequency::Monthly => "month",
        }
    }
}

/// One series of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedSeries {
    /// Its name in the file.
    pub name: String,
    /// Its points from the first to the last, a step apart; nothing where one is missing.
    pub values: Vec<Option<f64>>,
    /// Which step its first point is, counted from the same moment in all series; zero in the wide form.
    pub start: i64,
    /// The line where it begins.
    pub line: u64,
}

/// The series of a file, in the order in which they first appear.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesFile {
    /// The series.
    pub series: Vec<NamedSeries>,
    /// Whether the file tells moments; the wide form does not.
    pub has_timestamps: bool,
}

/// Why a file cannot be read as series.
#[derive(Debug, thiserror::Error)]
pub enum SeriesFileError {
    /// The file could not be read.
    #[error("failed to read it")]
    Read(#[source] csv::Error),
    /// Something in a line.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing in it.
    #[error("it holds no series: neither a table of series,timestamp,value nor rows of a name and values")]
    Empty,
}

/// A value beyond this in size is a mistake, and could not be squared.
const VALUE_MAX: f64 = 1e100;

/// Missing points between two that are there, at most, for each that is there.
const MISSING_MAX: i64 = 100;

/// Names of the columns of a long table; the first is the one we write.
const COLUMNS: [(&str, &[&str]); 3] = [
    ("series", &["series", "unique_id", "keyword"]),
    ("timestamp", &["timestamp", "ds", "date"]),
    ("value", &["value", "y"]),
];

/// What the first cell of a wide table's heading says.
const WIDE_HEADINGS: [&str; 5] = ["v1", "id", "series", "unique_id", "keyword"];

/// Reads a file of either form.
pub fn read(input: &[u8], frequency: Frequency) -> Result<SeriesFile, SeriesFileError> {
    let mut rows = Rows::of(input);
    let Some(first) = rows.next()? else { return Err(SeriesFileError::Empty) };
    let file = match long_columns(&first)? {
        Some(columns) => read_long(&mut rows, columns, frequency)?,
        None => read_wide(&mut rows, first)?,
    };
    if file.series.is_empty() { Err(SeriesFileError::Empty) } else { Ok(file) }
}

/// The cells of a line as text.
struct Row {
    line: u64,
    cells: Vec<String>,
}

/// The lines of a file that are not blank.
struct Rows<'a> {
    input: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
}

impl<'a> Rows<'a> {
    fn of(input: &'a [u8]) -> Rows<'a> {
        let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
        Rows { input, reader, record: ByteRecord::new() }
    }

    fn next(&mut self) -> Result<Option<Row>, SeriesFileError> {
        while self.reader.read_byte_record(&mut self.record).map_err(SeriesFileError::Read)? {
            let row = self.row()?;
            if row.cells.iter().any(|cell| !cell.is_empty()) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn row(&self) -> Result<Row, SeriesFileError> {
        let line = self.record.position().map_or(1, |position| {
            // The reader takes the blank lines before a row for part of it.
            let start = usize::try_from(position.byte()).unwrap_or(0);
            let blank = self.input[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
            position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
        });
        let mut cells = Vec::with_capacity(self.record.len());
        for (place, cell) in self.record.iter().enumerate() {
            let Ok(text) = std::str::from_utf8(cell) else {
                return Err(problem(line, format!("cell {} is not UTF-8", place + 1)));
            };
            cells.push(text.trim().to_owned());
        }
        Ok(Row { line, cells })
    }
}

fn problem(line: u64, problem: impl Into<String>) -> SeriesFileError {
    SeriesFileError::Line { line, problem: problem.into() }
}

/// Returns where the columns of a long table are; nothing when the line is not the heading of one.
fn long_columns(heading: &Row) -> Result<Option<[usize; 3]>, SeriesFileError> {
    let place_of = |names: &[&str]| {
        let is_it = |cell: &String| names.contains(&cell.to_ascii_lowercase().as_str());
        heading.cells.iter().position(is_it)
    };
    let places = COLUMNS.map(|(_, names)| place_of(names));
    // A wide table may have a heading of its own, which begins with the name of the series.
    if places[1].is_none() && places[2].is_none() {
        return Ok(None);
    }
    let mut columns = [0; 3];
    for ((column, place), (name, _)) in columns.iter_mut().zip(places).zip(COLUMNS) {
        *column = place.ok_or_else(|| {
            problem(heading.line, format!("the heading has no column `{name}`; expected series,timestamp,value"))
        })?;
    }
    if let Some(place) = (0..heading.cells.len()).find(|place| !columns.contains(place)) {
        let text = format!("column `{}` is unknown; expected series,timestamp,value", heading.cells[place]);
        return Err(problem(heading.line, text));
    }
    Ok(Some(columns))
}

/// The points of one series of a long table: step, value, line.
type Points = Vec<(i64, Option<f64>, u64)>;

fn read_long(
    rows: &mut Rows<'_>,
    [name, timestamp, value]: [usize; 3],
    frequency: Frequency,
) -> Result<SeriesFile, SeriesFileError> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<(String, Points)> = Vec::new();
    let mut is_dated = None;
    while let Some(row) = rows.next()? {
        if row.cells.len() != COLUMNS.len() {
            let text = format!("{} cells where the heading has {}", row.cells.len(), COLUMNS.len());
            return Err(problem(row.line, text));
        }
        if row.cells[name].is_empty() {
            return Err(problem(row.line, "no name of a series"));
        }
        let moment = Moment::parse(&row.cells[timestamp], row.line)?;
        if *is_dated.get_or_insert(moment.is_date()) != moment.is_date() {
            return Err(problem(row.line, "dates and numbers of steps are mixed"));
        }
        let point = parse_value(&row.cells[value], row.line, value)?;
        let place = *places.entry(row.cells[name].clone()).or_insert_with(|| {
            found.push((row.cells[name].clone(), Vec::new()));
            found.len() - 1
        });
        found[place].1.push((moment.count(frequency), point, row.line));
    }
    let series = found.into_iter().map(|(name, points)| in_steps(name, points, frequency, is_dated == Some(true)));
    Ok(SeriesFile { series: series.collect::<Result<_, _>>()?, has_timestamps: true })
}

/// When a point was.
enum Moment {
    Date(NaiveDate),
    Step(i64),
}

impl Moment {
    fn parse(text: &str, line: u64) -> Result<Moment, SeriesFileError> {
        if let Ok(step) = text.parse::<i64>()
            && step.abs() < 1_000_000_000
        {
            return Ok(Moment::Step(step));
        }
        let as_month = || NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d");
        let as_moment = || DateTime::parse_from_rfc3339(text).map(|moment| moment.date_naive());
        let as_midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .or_else(|_| as_month())
            .or_else(|_| as_midnight())
            .or_else(|_| as_moment());
        date.map(Moment::Date).map_err(|_| {
            problem(line, format!("timestamp `{text}` is neither a date such as 2026-03-01 nor a number of steps"))
        })
    }

    fn is_date(&self) -> bool {
        matches!(self, Moment::Date(_))
    }

    /// Counts days, or months, or takes the number of steps as it is.
    fn count(&self, frequency: Frequency) -> i64 {
        match self {
            Moment::Step(step) => *step,
            Moment::Date(date) if frequency == Frequency::Monthly => {
                i64::from(date.year()) * 12 + i64::from(date.month0())
            }
            Moment::Date(date) => i64::from(date.num_days_from_ce()),
        }
    }
}

/// Puts the points of a series in order, a step apart.
fn in_steps(
    name: String,
    mut points: Points,
    frequency: Frequency,
    is_dated: bool,
) -> Result<NamedSeries, SeriesFileError> {
    let line = points.first().map_or(1, |point| point.2);
    points.sort_by_key(|point| (point.0, point.2));
    let days = if is_dated && frequency == Frequency::Weekly { 7 } else { 1 };
    let Some(&(origin, _, origin_line)) = points.first() else { return Err(SeriesFileError::Empty) };
    let mut values: Vec<Option<f64>> = Vec::with_capacity(points.len());
    let mut before = (origin, origin_line);
    for (place, &(moment, value, line)) in points.iter().enumerate() {
        if place > 0 && moment == before.0 {
            let text = format!(
                "series `{name}` has a second value for the same {}; the first is in line {}",
                frequency.step(),
                before.1
            );
            return Err(problem(line, text));
        }
        if (moment - origin) % days != 0 {
            let text = format!("series `{name}`: not a whole number of weeks after line {origin_line}");
            return Err(problem(line, text));
        }
        let step = (moment - origin) / days;
        if step - values.len() as i64 > MISSING_MAX * points.len() as i64 {
            let text = format!(
                "series `{name}`: {} {}s after line {}, with nothing between",
                step,
                frequency.step(),
                before.1
            );
            return Err(problem(line, text));
        }
        values.resize(usize::try_from(step).unwrap_or(0), None);
        values.push(value);
        before = (moment, line);
    }
    Ok(NamedSeries { name, values, start: origin.div_euclid(days), line })
}

fn read_wide(rows: &mut Rows<'_>, first: Row) -> Result<SeriesFile, SeriesFileError> {
    let mut series = Vec::new();
    let mut lines: HashMap<String, u64> = HashMap::new();
    if !is_wide_heading(&first) {
        push_wide(first, &mut series, &mut lines)?;
    }
    while let Some(row) = rows.next()? {
        push_wide(row, &mut series, &mut lines)?;
    }
    Ok(SeriesFile { series, has_timestamps: false })
}

/// Tells whether a line names the columns of a wide table: V1, V2, ... or id, 1, 2, ...
fn is_wide_heading(row: &Row) -> bool {
    let Some((first, rest)) = row.cells.split_first() else { return false };
    let is_named = WIDE_HEADINGS.contains(&first.to_ascii_lowercase().as_str());
    let is_column = |cell: &String| {
        let digits = cell.trim_start_matches(['v', 'V', 'd', 'D', 't', 'T', '_']);
        cell.is_empty() || digits.parse::<u32>().is_ok() || NaiveDate::parse_from_str(cell, "%Y-%m-%d").is_ok()
    };
    is_named && !rest.is_empty() && rest.iter().all(is_column)
}

fn push_wide(row: Row, series: &mut Vec<NamedSeries>, lines: &mut HashMap<String, u64>) -> Result<(), SeriesFileError> {
    let name = row.cells[0].clone();
    if name.is_empty() {
        return Err(problem(row.line, "no name of a series in the first cell"));
    }
    if row.cells.len() == 1 {
        return Err(problem(
            row.line,
            format!("series `{name}` has no values; expected a name and values, or a table of series,timestamp,value"),
        ));
    }
    if let Some(before) = lines.insert(name.clone(), row.line) {
        return Err(problem(row.line, format!("series `{name}` is there twice; the first is in line {before}")));
    }
    let mut values = Vec::with_capacity(row.cells.len() - 1);
    for (place, cell) in row.cells.iter().enumerate().skip(1) {
        values.push(parse_value(cell, row.line, place)?);
    }
    // Tables of equal width are filled up behind the end of their shorter rows.
    while values.last() == Some(&None) {
        values.pop();
    }
    series.push(NamedSeries { name, values, start: 0, line: row.line });
    Ok(())
}

fn parse_value(text: &str, line: u64, place: usize) -> Result<Option<f64>, SeriesFileError> {
    if text.is_empty() || text == "NA" {
        return Ok(None);
    }
    let shown: String = text.chars().take(40).collect();
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value.abs() <= VALUE_MAX => Ok(Some(value)),
        Ok(value) if value.is_finite() => Err(problem(line, format!("cell {}: `{shown}` is too large", place + 1))),
        Ok(_) => {
            let text = format!("cell {}: `{shown}` is not a finite number; leave a missing value empty", place + 1);
            Err(problem(line, text))
        }
        Err(_) => Err(problem(line, format!("cell {}: `{shown}` is not a number", place + 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(text: &str) -> Result<SeriesFile, String> {
        read(text.as_bytes(), Frequency::Weekly).map_err(|error| error.to_string())
    }

    #[test]
    fn a_long_table_in_any_order_is_a_series_with_its_gaps() {
        let file =
            weekly("value,series,timestamp\n3,a,2026-01-15\n1,a,2026-01-01\n7,\"b, c\",2026-01-04\n,b,2026-01-04\n");
        let file = file.unwrap();
        assert_eq!(file.series[0].values, [Some(1.0), None, Some(3.0)]);
        assert_eq!((file.series[1].name.as_str(), file.series[2].values.as_slice()), ("b, c", &[None][..]));
    }

    #[test]
    fn both_wide_forms_are_read() {
        let quoted = "\"V1\",\"V2\",\"V3\",\"V4\"\n\"W1\",\"1.5\",\"2\",\"\"\n\"W2\",\"1\",,\"4\"\n";
        let file = weekly(quoted).unwrap();
        assert_eq!((file.series[0].values.as_slice(), file.series[0].line), (&[Some(1.5), Some(2.0)][..], 2));
        assert_eq!(file.series[1].values, [Some(1.0), None, Some(4.0)]);
        let bare = weekly("W1,1,2,3\nW2,4\n").unwrap();
        assert_eq!((bare.series.len(), bare.series[1].values.as_slice()), (2, &[Some(4.0)][..]));
        assert_eq!(weekly("id,1,2\na,5,6\n").unwrap().series.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let long = "series,timestamp,value\na,2026-01-01,1\n";
        for (text, expected) in [
            (format!("{long}a,2026-01-08\n"), "line 3: 2 cells where the heading has 3"),
            (format!("{long}a,2026-01-08,x\n"), "line 3: cell 3: `x` is not a number"),
            (
                format!("{long}\na,2026-01-08,NaN\n"),
                "line 4: cell 3: `NaN` is not a finite number; leave a missing value empty",
            ),
            (
                format!("{long}a,2026-01-08,-inf\n"),
                "line 3: cell 3: `-inf` is not a finite number; leave a missing value empty",
            ),
            (format!("{long}a,2026-01-08,1e300\n"), "line 3: cell 3: `1e300` is too large"),
            (
                format!("{long}a,soon,1\n"),
                "line 3: timestamp `soon` is neither a date such as 2026-03-01 nor a number of steps",
            ),
            (
                format!("{long}a,2026-01-01,2\n"),
                "line 3: series `a` has a second value for the same week; the first is in line 2",
            ),
            (format!("{long}a,2026-01-03,2\n"), "line 3: series `a`: not a whole number of weeks after line 2"),
            (format!("{long}a,7,2\n"), "line 3: dates and numbers of steps are mixed"),
            (format!("{long}a,9999-01-07,2\n"), "line 3: series `a`: 416012 weeks after line 2, with nothing between"),
            (
                "series,value\na,1\n".to_owned(),
                "line 1: the heading has no column `timestamp`; expected series,timestamp,value",
            ),
            (
                "series,timestamp,value,note\n".to_owned(),
                "line 1: column `note` is unknown; expected series,timestamp,value",
            ),
            ("W1,1,2\nW1,3\n".to_owned(), "line 2: series `W1` is there twice; the first is in line 1"),
            ("W1,1,two\n".to_owned(), "line 1: cell 3: `two` is not a number"),
            (
                "just text\n".to_owned(),
                "line 1: series `just text` has no values; expected a name and values, or a table of series,timestamp,value",
            ),
        ] {
            assert_eq!(weekly(&text).unwrap_err(), expected, "{text}");
        }
        for empty in ["", "\n\n", "series,timestamp,value\n", "V1,V2\n"] {
            assert!(weekly(empty).unwrap_err().starts_with("it holds no series"), "{empty:?}");
        }
    }

    #[test]
    fn months_are_counted_by_the_calendar() {
        let text = "series,timestamp,value\na,2026-01-31,1\na,2026-02-28,2\na,2026-04-01,4\n";
        let file = read(text.as_bytes(), Frequency::Monthly).unwrap();
        assert_eq!(file.series[0].values, [Some(1.0), Some(2.0), None, Some(4.0)]);
    }
}
