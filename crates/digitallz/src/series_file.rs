//! Files of series that users bring, read as `import` reads its files ([`digitallz_processor::tables`]).
//!
//! | form | example of its heading |
//! | --- | --- |
//! | long | `series,timestamp,value`, `unique_id,ds,y`, `ds,y`, or columns chosen by name |
//! | dates down, series across | `Month,heater,ice cream` |
//! | series down, steps across | `V1,V2,V3`, `id,W0,W1`, or no heading, as in the M4 competition |
//!
//! No row is dropped silently: a cell that cannot be read is an error with its line, an empty cell is a missing point, and a
//! note below the table is reported. Rows may come in any order; two values for one moment are an error that names both lines.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use chrono::{Datelike, NaiveDate};
use clap::ValueEnum;
use digitallz_processor::reading::Problem;
use digitallz_processor::tables::dates::{self, DateOrder, Moment};
use digitallz_processor::tables::decoding::{self, Encoding};
use digitallz_processor::tables::numbers::{self, DecimalMark, NotANumber};
use digitallz_processor::tables::packing::{self, Content};
use digitallz_processor::tables::text::{DELIMITERS, TextRows};
use digitallz_processor::tables::{Row, parquet};
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

/// How a file is read, besides its bytes.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// How far apart its points are.
    pub frequency: Frequency,
    /// How its text is encoded.
    pub encoding: Encoding,
    /// What stands before the decimals of its numbers.
    pub decimal_mark: DecimalMark,
    /// The order of day and month in its dates.
    pub date_order: DateOrder,
    /// The column of the names of series; by its name unless given.
    pub series_column: Option<String>,
    /// The column of the moments; by its name unless given.
    pub timestamp_column: Option<String>,
    /// The column of the values; by its name unless given.
    pub value_column: Option<String>,
}

impl ReadOptions {
    /// Returns the options of a file about which nothing but the frequency is known.
    pub fn new(frequency: Frequency) -> ReadOptions {
        ReadOptions {
            frequency,
            encoding: Encoding::Auto,
            decimal_mark: DecimalMark::Auto,
            date_order: DateOrder::Auto,
            series_column: None,
            timestamp_column: None,
            value_column: None,
        }
    }
}

/// One series of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedSeries {
    /// Its name in the file; `value` or the name of the column of values where the file holds one series without a name.
    pub name: String,
    /// Its points from the first to the last, a step apart; nothing where one is missing.
    pub values: Vec<Option<f64>>,
    /// Which step its first point is, counted from the same moment in all series; zero where steps have no moment.
    pub start: i64,
    /// The line where it begins.
    pub line: u64,
}

/// The series of a file, in the order in which they first appear.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesFile {
    /// The series.
    pub series: Vec<NamedSeries>,
    /// Whether the file holds moments; series down with steps across do not.
    pub has_timestamps: bool,
    /// What a reader should know of how it was read: columns and notes that are not values.
    pub remarks: Vec<String>,
}

/// Why a file cannot be read as series.
#[derive(Debug, thiserror::Error)]
pub enum SeriesFileError {
    /// Its bytes cannot be read as text or Parquet.
    #[error("{0}")]
    Read(Problem),
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

/// Most bytes of a file; all of it is held in memory.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Rows by which the delimiter is chosen.
const DELIMITER_ROWS: usize = 50;

/// Names of the columns of a long table, compared in small letters.
const SERIES_NAMES: [&str; 8] = ["series", "unique_id", "keyword", "item_id", "series_id", "id", "name", "search term"];
const TIMESTAMP_NAMES: [&str; 11] =
    ["timestamp", "ds", "date", "time", "datetime", "day", "week", "month", "period", "date_time", "datum"];
const VALUE_NAMES: [&str; 5] = ["value", "y", "target", "sales", "wert"];

/// What the first cell of the heading of series down says.
const WIDE_HEADINGS: [&str; 8] = ["v1", "id", "series", "unique_id", "keyword", "name", "item_id", "product_code"];

/// Reads a file of any form; packed and Parquet files too.
pub fn read(input: &[u8], options: &ReadOptions) -> Result<SeriesFile, SeriesFileError> {
    let mut table: Option<Table> = None;
    packing::for_each_part(Cursor::new(input), |part| {
        if table.is_some() {
            return Err(Problem::at("", "the zip holds several tables; unpack the one that is meant"));
        }
        table = Some(read_table(part.content, options)?);
        Ok(())
    })
    .map_err(at_line)?;
    let file = table.ok_or(SeriesFileError::Empty)?.into_series(options)?;
    if file.series.is_empty() { Err(SeriesFileError::Empty) } else { Ok(file) }
}

/// Turns a problem whose place is a line into the error of that line.
fn at_line(found: Problem) -> SeriesFileError {
    match found.json_pointer.strip_prefix("/line/").and_then(|line| line.parse().ok()) {
        Some(line) => SeriesFileError::Line { line, problem: found.text },
        None => SeriesFileError::Read(found),
    }
}

fn problem(line: u64, problem: impl Into<String>) -> SeriesFileError {
    SeriesFileError::Line { line, problem: problem.into() }
}

/// The rows of a file with their trimmed cells, without those that are empty.
struct Table {
    rows: Vec<Row>,
    is_semicolon: bool,
}

fn read_table(content: Content<'_>, options: &ReadOptions) -> Result<Table, Problem> {
    let (rows, is_semicolon) = match content {
        Content::Parquet(file) => {
            let (names, rows) = parquet::open(file)?;
            let mut all = vec![Row { line: 0, cells: names }];
            for row in rows {
                all.push(row?);
            }
            (all, false)
        }
        Content::Text(text) => {
            let refused = |error: std::io::Error| Problem::at("", error.to_string());
            let mut decoded = decoding::decode(text, options.encoding).map_err(refused)?;
            let mut bytes = Vec::new();
            (&mut decoded.text).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(refused)?;
            if bytes.len() as u64 > FILE_BYTES_MAX {
                return Err(Problem::at("", format!("it is larger than {FILE_BYTES_MAX} bytes; split it")));
            }
            let delimiter = delimiter_of(&bytes);
            (TextRows::new(bytes.as_slice(), delimiter).collect::<Result<Vec<Row>, Problem>>()?, delimiter == b';')
        }
    };
    let mut table = Table { rows, is_semicolon };
    for row in &mut table.rows {
        row.cells.iter_mut().for_each(|cell| *cell = cell.trim().to_owned());
    }
    table.rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
    // Excel's own word for the delimiter, above the heading.
    if table.rows.first().is_some_and(|row| row.cells[0].to_ascii_lowercase().starts_with("sep=")) {
        table.rows.remove(0);
    }
    Ok(table)
}

/// Chooses the delimiter that cuts most of the first rows into the same number of cells, more than one.
fn delimiter_of(text: &[u8]) -> u8 {
    let evenness = |delimiter: u8| {
        let rows: Vec<usize> = TextRows::new(text, delimiter)
            .take(DELIMITER_ROWS)
            .map_while(Result::ok)
            .map(|row| row.cells.len())
            .collect();
        let widths: HashMap<usize, usize> =
            rows.iter().filter(|width| **width > 1).fold(HashMap::new(), |mut widths, width| {
                *widths.entry(*width).or_default() += 1;
                widths
            });
        let is_first_cut = rows.first().is_some_and(|width| *width > 1);
        (is_first_cut, widths.values().max().copied().unwrap_or(0))
    };
    let best = DELIMITERS.iter().map(|(delimiter, _)| *delimiter).rev().max_by_key(|delimiter| evenness(*delimiter));
    best.unwrap_or(b',')
}

/// Where the columns of a long table are; without a column of names all rows are one series.
struct LongColumns {
    series: Option<usize>,
    timestamp: usize,
    value: usize,
}

impl Table {
    fn into_series(self, options: &ReadOptions) -> Result<SeriesFile, SeriesFileError> {
        let Some(heading) = self.rows.first().cloned() else { return Err(SeriesFileError::Empty) };
        let mut remarks = Vec::new();
        if let Some(columns) = long_columns(&heading, options, &mut remarks)? {
            return self.read_long(&heading, &columns, options, remarks);
        }
        if self.has_dates_down(&heading) {
            return self.read_dates_down(&heading, options, remarks);
        }
        self.read_series_down(options, remarks)
    }

    fn mark(&self, options: &ReadOptions, columns: &[usize]) -> DecimalMark {
        match options.decimal_mark {
            DecimalMark::Auto => {
                let cells = self.rows.iter().skip(1).flat_map(|row| columns.iter().map(|place| row.cell(Some(*place))));
                numbers::decide(cells, self.is_semicolon)
            }
            named => named,
        }
    }

    fn read_long(
        mut self,
        heading: &Row,
        columns: &LongColumns,
        options: &ReadOptions,
        mut remarks: Vec<String>,
    ) -> Result<SeriesFile, SeriesFileError> {
        let mark = self.mark(options, &[columns.value]);
        self.take_notes(columns.timestamp, &mut remarks);
        let mut points: Vec<(String, usize, Option<f64>)> = Vec::new();
        for (index, row) in self.rows.iter().enumerate().skip(1) {
            check_width(row, heading.cells.len())?;
            let name = match columns.series {
                Some(place) if row.cells[place].is_empty() => return Err(problem(row.line, "no name of a series")),
                Some(place) => row.cells[place].clone(),
                None => heading.cells[columns.value].clone(),
            };
            points.push((name, index, parse_value(&row.cells[columns.value], row.line, columns.value, mark)?));
        }
        let series = self.in_order(points, columns.timestamp, options)?;
        Ok(SeriesFile { series, has_timestamps: true, remarks })
    }

    /// Tells a table with a date in the first cell of each row and names of series in its heading.
    fn has_dates_down(&self, heading: &Row) -> bool {
        let is_date = |cell: &str| cell.parse::<f64>().is_err() && !dates::readings(cell, DateOrder::Auto).is_empty();
        let are_names =
            heading.cells.len() > 1 && heading.cells[1..].iter().all(|cell| !is_number(cell) && !is_date(cell));
        let rows = &self.rows[1..];
        let dated = rows.iter().filter(|row| is_date(row.cell(Some(0)))).count();
        are_names && dated > 0 && dated + 1 >= rows.len()
    }

    fn read_dates_down(
        mut self,
        heading: &Row,
        options: &ReadOptions,
        mut remarks: Vec<String>,
    ) -> Result<SeriesFile, SeriesFileError> {
        let places: Vec<usize> = (1..heading.cells.len()).filter(|place| !heading.cells[*place].is_empty()).collect();
        let mark = self.mark(options, &places);
        self.take_notes(0, &mut remarks);
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut points = Vec::new();
        for place in places {
            let name = &heading.cells[place];
            if let Some(first) = seen.insert(name, place) {
                let text = format!("columns {} and {} are both named `{name}`", first + 1, place + 1);
                return Err(problem(heading.line, text));
            }
            for (index, row) in self.rows.iter().enumerate().skip(1) {
                check_width(row, heading.cells.len())?;
                points.push((name.clone(), index, parse_value(&row.cells[place], row.line, place, mark)?));
            }
        }
        let series = self.in_order(points, 0, options)?;
        Ok(SeriesFile { series, has_timestamps: true, remarks })
    }

    /// Removes a last row that is a note and not a point: it has no moment, and a text in one cell.
    fn take_notes(&mut self, timestamp: usize, remarks: &mut Vec<String>) {
        while self.rows.len() > 2
            && let Some(row) = self.rows.last()
            && row.cells.iter().filter(|cell| !cell.is_empty()).count() == 1
            && dates::readings(row.cell(Some(timestamp)), DateOrder::Auto).is_empty()
            && row.cells.iter().all(|cell| !is_number(cell))
        {
            remarks.push(format!("line {} is a note and not read: {}", row.line, row.text()));
            self.rows.pop();
        }
    }

    /// Puts points in order by their moments; the order of day and month is the one in which they are a step apart.
    fn in_order(
        &self,
        points: Vec<(String, usize, Option<f64>)>,
        timestamp: usize,
        options: &ReadOptions,
    ) -> Result<Vec<NamedSeries>, SeriesFileError> {
        let cells = || self.rows.iter().skip(1).map(|row| row.cell(Some(timestamp)));
        let order = match options.date_order {
            DateOrder::Auto => dates::decide(cells()),
            named => named,
        };
        let is_open = order == DateOrder::Auto && cells().any(|cell| dates::readings(cell, order).len() > 1);
        if !is_open {
            return self.series_of(&points, timestamp, options.frequency, order);
        }
        let [mdy, dmy] =
            [DateOrder::Mdy, DateOrder::Dmy].map(|order| self.series_of(&points, timestamp, options.frequency, order));
        match (mdy, dmy) {
            (Ok(mdy), Ok(dmy)) if mdy == dmy => Ok(mdy),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Ok(_), Ok(_)) => {
                let row =
                    self.rows.iter().skip(1).find(|row| dates::readings(row.cell(Some(timestamp)), order).len() > 1);
                let line = row.map_or(1, |row| row.line);
                Err(problem(line, "its dates may be month/day/year or day/month/year; say --date-order mdy or dmy"))
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn series_of(
        &self,
        points: &[(String, usize, Option<f64>)],
        timestamp: usize,
        frequency: Frequency,
        order: DateOrder,
    ) -> Result<Vec<NamedSeries>, SeriesFileError> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut found: Vec<(String, Points)> = Vec::new();
        let mut is_dated = None;
        for (name, index, value) in points {
            let row = &self.rows[*index];
            let moment = Step::parse(row.cell(Some(timestamp)), row.line, order)?;
            if *is_dated.get_or_insert(moment.is_date()) != moment.is_date() {
                return Err(problem(row.line, "dates and numbers of steps are mixed"));
            }
            let place = *places.entry(name).or_insert_with(|| {
                found.push((name.clone(), Vec::new()));
                found.len() - 1
            });
            found[place].1.push((moment.count(frequency), *value, row.line));
        }
        let series = found.into_iter().map(|(name, points)| in_steps(name, points, frequency, is_dated == Some(true)));
        series.collect()
    }

    fn read_series_down(self, options: &ReadOptions, remarks: Vec<String>) -> Result<SeriesFile, SeriesFileError> {
        let width = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let mark = self.mark(options, &(1..width).collect::<Vec<usize>>());
        let skipped = usize::from(self.rows.first().is_some_and(is_wide_heading));
        let mut series = Vec::new();
        let mut lines: HashMap<String, u64> = HashMap::new();
        for row in self.rows.into_iter().skip(skipped) {
            push_wide(row, &mut series, &mut lines, mark)?;
        }
        Ok(SeriesFile { series, has_timestamps: false, remarks })
    }
}

fn check_width(row: &Row, width: usize) -> Result<(), SeriesFileError> {
    let has_more = row.cells.iter().skip(width).any(|cell| !cell.is_empty());
    if row.cells.len() < width || has_more {
        return Err(problem(row.line, format!("{} cells where the heading has {width}", row.cells.len())));
    }
    Ok(())
}

/// Returns where the columns of a long table are; nothing when the line is not the heading of one.
fn long_columns(
    heading: &Row,
    options: &ReadOptions,
    remarks: &mut Vec<String>,
) -> Result<Option<LongColumns>, SeriesFileError> {
    let place_of = |wanted: &Option<String>, names: &[&str], option: &str| match wanted {
        Some(wanted) => {
            let place = heading.cells.iter().position(|cell| cell.eq_ignore_ascii_case(wanted.trim()));
            let all = heading.cells.join(", ");
            place
                .map(Some)
                .ok_or_else(|| problem(heading.line, format!("no column `{wanted}` for {option}; there are: {all}")))
        }
        None => {
            let is_it = |name: &&&str| heading.cells.iter().any(|cell| cell.to_lowercase() == **name);
            let name = names.iter().find(is_it);
            Ok(name.and_then(|name| heading.cells.iter().position(|cell| cell.to_lowercase() == *name)))
        }
    };
    let series = place_of(&options.series_column, &SERIES_NAMES, "--series")?;
    let timestamp = place_of(&options.timestamp_column, &TIMESTAMP_NAMES, "--timestamp")?;
    let value = place_of(&options.value_column, &VALUE_NAMES, "--value")?;
    let (timestamp, value) = match (timestamp, value) {
        (Some(timestamp), Some(value)) => (timestamp, value),
        // Names of columns are never guessed where the user chose some of them.
        (None, _) if options.value_column.is_some() || options.series_column.is_some() => {
            return Err(problem(heading.line, "no column of moments is known by its name; choose it with --timestamp"));
        }
        (_, None) if options.timestamp_column.is_some() || options.series_column.is_some() => {
            return Err(problem(heading.line, "no column of values is known by its name; choose it with --value"));
        }
        (Some(_), None) if series.is_some() => {
            let all = heading.cells.join(", ");
            let text = format!(
                "the heading has no column `value`; expected series,timestamp,value, found {all}; choose one with --value"
            );
            return Err(problem(heading.line, text));
        }
        (None, Some(_)) if series.is_some() => {
            let text =
                "the heading has no column `timestamp`; expected series,timestamp,value; choose one with --timestamp";
            return Err(problem(heading.line, text));
        }
        _ => return Ok(None),
    };
    let used = [series, Some(timestamp), Some(value)];
    let others: Vec<&str> = (0..heading.cells.len())
        .filter(|place| !used.contains(&Some(*place)) && !heading.cells[*place].is_empty())
        .map(|place| heading.cells[place].as_str())
        .collect();
    if !others.is_empty() {
        remarks.push(format!("columns that are not read: {}", others.join(", ")));
    }
    if series.is_none() && !others.is_empty() {
        let text = format!(
            "the series of a row is not known; name the column of series names with --series, or remove: {}",
            others.join(", ")
        );
        return Err(problem(heading.line, text));
    }
    Ok(Some(LongColumns { series, timestamp, value }))
}

/// The points of one series of a long table: step, value, line.
type Points = Vec<(i64, Option<f64>, u64)>;

/// When a point was.
enum Step {
    Date(NaiveDate),
    Number(i64),
}

impl Step {
    fn parse(text: &str, line: u64, order: DateOrder) -> Result<Step, SeriesFileError> {
        let is_compact_date = text.len() == 8;
        if !is_compact_date
            && let Ok(step) = text.parse::<i64>()
            && step.abs() < 1_000_000_000
        {
            return Ok(Step::Number(step));
        }
        match dates::readings(text, order).as_slice() {
            [moment @ (Moment::Day(_) | Moment::Month(_) | Moment::IsoWeek(_))] => Ok(Step::Date(moment.first_day())),
            [_, ..] => Err(problem(line, format!("timestamp `{text}` may be two days; say --date-order mdy or dmy"))),
            [] => {
                let text = format!("timestamp `{text}` is neither a date such as 2026-03-01 nor a number of steps");
                Err(problem(line, text))
            }
        }
    }

    fn is_date(&self) -> bool {
        matches!(self, Step::Date(_))
    }

    /// Counts days, or months, or takes the number of steps as it is.
    fn count(&self, frequency: Frequency) -> i64 {
        match self {
            Step::Number(step) => *step,
            Step::Date(date) if frequency == Frequency::Monthly => {
                i64::from(date.year()) * 12 + i64::from(date.month0())
            }
            Step::Date(date) => i64::from(date.num_days_from_ce()),
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

/// Tells whether a line names the columns of a wide table: V1, V2, ... or id, 1, 2, ...
fn is_wide_heading(row: &Row) -> bool {
    let Some((first, rest)) = row.cells.split_first() else { return false };
    let is_named = WIDE_HEADINGS.contains(&first.to_ascii_lowercase().as_str());
    let is_column = |cell: &String| {
        let digits = cell.trim_start_matches(|character: char| character.is_alphabetic() || character == '_');
        cell.is_empty() || digits.parse::<u32>().is_ok() || !dates::readings(cell, DateOrder::Auto).is_empty()
    };
    is_named && !rest.is_empty() && rest.iter().all(is_column)
}

fn push_wide(
    row: Row,
    series: &mut Vec<NamedSeries>,
    lines: &mut HashMap<String, u64>,
    mark: DecimalMark,
) -> Result<(), SeriesFileError> {
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
        values.push(parse_value(cell, row.line, place, mark)?);
    }
    // Tables of equal width are filled up behind the end of their shorter rows.
    while values.last() == Some(&None) {
        values.pop();
    }
    series.push(NamedSeries { name, values, start: 0, line: row.line });
    Ok(())
}

fn is_number(cell: &str) -> bool {
    numbers::number(cell, DecimalMark::Auto).is_ok()
}

fn parse_value(text: &str, line: u64, place: usize, mark: DecimalMark) -> Result<Option<f64>, SeriesFileError> {
    let cell = numbers::normalized(text);
    let shown: String = text.chars().take(40).collect();
    if matches!(cell.to_ascii_lowercase().as_str(), "nan" | "inf" | "-inf" | "infinity") {
        let text = format!("cell {}: `{shown}` is not a finite number; leave a missing value empty", place + 1);
        return Err(problem(line, text));
    }
    if numbers::is_nothing(&cell) {
        return Ok(None);
    }
    match numbers::number(&cell, mark) {
        Ok(value) if value.abs() <= VALUE_MAX => Ok(Some(value)),
        Ok(_) => Err(problem(line, format!("cell {}: `{shown}` is too large", place + 1))),
        Err(NotANumber::Ambiguous) => {
            let text = format!("cell {}: `{shown}` may be two numbers; say --decimal point or comma", place + 1);
            Err(problem(line, text))
        }
        Err(NotANumber::Malformed) => Err(problem(line, format!("cell {}: `{shown}` is not a number", place + 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(text: &str) -> Result<SeriesFile, String> {
        read(text.as_bytes(), &ReadOptions::new(Frequency::Weekly)).map_err(|error| error.to_string())
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
                "line 1: the heading has no column `timestamp`; expected series,timestamp,value; choose one with --timestamp",
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
        let file = read(text.as_bytes(), &ReadOptions::new(Frequency::Monthly)).unwrap();
        assert_eq!(file.series[0].values, [Some(1.0), Some(2.0), None, Some(4.0)]);
    }

    #[test]
    fn tables_of_other_tools_are_read() {
        let monthly = |text: &str| {
            let read = read(text.as_bytes(), &ReadOptions::new(Frequency::Monthly)).map_err(|error| error.to_string());
            read.map(|file| file.series.into_iter().map(|one| (one.name, one.values)).collect::<Vec<_>>())
        };
        let one = |name: &str, values: &[f64]| (name.to_owned(), values.iter().copied().map(Some).collect::<Vec<_>>());
        for text in [
            "ds,y\n2025-01-01,1.5\n2025-02-01,2\n",
            "ds,y\r\n2025-02-01,2\r\n2025-01-01,1.5\r\n",
            "ds;y\n01.01.2025;1,5\n01.02.2025;2\n",
            "ds\ty\nJan 2025\t1.5\nFeb 2025\t2\nSource: the shop\n",
            "ds,y\n1/1/2025,1.5\n2/1/2025,2\n",
            "sep=;\nds;y\n2025-01;1,5\n2025-02;2,0\n",
            "Month,y\n2025-01-01T00:00:00,1.5\n2025-02-01T00:00:00,2\n",
        ] {
            assert_eq!(monthly(text), Ok(vec![one("y", &[1.5, 2.0])]), "{text:?}");
        }
        let across = monthly("Month,heater,ice cream\n2025-01,27,13\n2025-02,18,NA\n").unwrap();
        assert_eq!(across, [one("heater", &[27.0, 18.0]), ("ice cream".to_owned(), vec![Some(13.0), None])]);
        let weeks = weekly("Product_Code,W0,W1\nP1,11,12\nP2,7,\n").unwrap();
        assert_eq!((weeks.series.len(), weeks.series[0].values.len()), (2, 2));
        assert_eq!(weekly("series,timestamp,value\na,2026-W01,1\na,2026-W03,3\n").unwrap().series[0].values.len(), 3);
        let ambiguous = "ds,y\n1/2/2026,5\n";
        assert!(monthly(ambiguous).unwrap_err().contains("--date-order"));
    }

    #[test]
    fn columns_are_chosen_by_name_and_the_others_are_reported() {
        let text = b"shop,when,units,price\na,2026-01-04,1,9\nb,2026-01-04,2,9\n";
        assert!(read(text, &ReadOptions::new(Frequency::Weekly)).is_err());
        let options = ReadOptions {
            series_column: Some("Shop".to_owned()),
            timestamp_column: Some("when".to_owned()),
            value_column: Some("units".to_owned()),
            ..ReadOptions::new(Frequency::Weekly)
        };
        let file = read(text, &options).unwrap();
        assert_eq!(file.series[1].values, [Some(2.0)]);
        assert_eq!(file.remarks, ["columns that are not read: price"]);
        let unknown = ReadOptions { value_column: Some("amount".to_owned()), ..options };
        assert!(read(text, &unknown).unwrap_err().to_string().contains("there are: shop, when, units, price"));
    }

    proptest::proptest! {
        #[test]
        fn a_table_is_read_back_however_it_is_written(
            values in proptest::collection::vec(-9_000_000_i64..9_000_000, 2..20),
            end in 0_usize..3,
            delimiter in 0_usize..4,
            has_decimal_comma: bool,
            is_utf_16: bool,
            is_descending: bool,
        ) {
            let end = ["\n", "\r\n", "\r"][end];
            let delimiter = [",", ";", "\t", "|"][delimiter];
            let written = |hundredths: i64| {
                let sign = if hundredths < 0 { "-" } else { "" };
                let (whole, rest) = (hundredths.abs() / 100, hundredths.abs() % 100);
                format!("\"{sign}{whole}{}{rest:02}\"", if has_decimal_comma { ',' } else { '.' })
            };
            let first: NaiveDate = "2025-01-05".parse().unwrap();
            let mut lines: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(week, value)| {
                    let day = (first + chrono::Days::new(7 * week as u64)).format("%m/%d/%Y").to_string();
                    ["lamp".to_owned(), day, written(*value)].join(delimiter)
                })
                .collect();
            if is_descending {
                lines.reverse();
            }
            lines.insert(0, ["unique_id", "ds", "y"].join(delimiter));
            let text = lines.join(end);
            let bytes = match is_utf_16 {
                true => format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
                false => text.into_bytes(),
            };
            let file = read(&bytes, &ReadOptions::new(Frequency::Weekly)).unwrap();
            let expected: Vec<Option<f64>> = values
                .iter()
                .map(|value| format!("{}{}.{:02}", if *value < 0 { "-" } else { "" }, value.abs() / 100, value.abs() % 100))
                .map(|text| text.parse().ok())
                .collect();
            proptest::prop_assert_eq!(&file.series[0].values, &expected);
        }
    }
}
