//! Steps through the rows of Parquet files, each cell as the text that a CSV would hold.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Days, NaiveDate, Utc};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;

use super::Row;
use crate::reading::Problem;

/// Most columns of a file.
const COLUMNS_MAX: usize = 100;

/// Most rows of a file; a few bytes can stand for any number of them.
const ROWS_MAX: i64 = 50_000_000;

/// Most bytes that a column of a row group unpacks to; it is in memory while the group is read.
const COLUMN_BYTES_MAX: i64 = 256 * 1024 * 1024;

/// Opens a Parquet file: the names of its columns, and its rows.
pub fn open(file: File) -> Result<(Vec<String>, ParquetRows), Problem> {
    let reader = guarded(|| SerializedFileReader::new(file))?;
    check(reader.metadata())?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let has_nanoseconds: Vec<bool> = schema
        .columns()
        .iter()
        .map(|column| match column.logical_type_ref() {
            Some(LogicalType::Timestamp(timestamp)) => matches!(timestamp.unit, TimeUnit::NANOS),
            _ => false,
        })
        .collect();
    let rows =
        ParquetRows { rows: RowIter::from_file_into(Box::new(reader)), has_nanoseconds, line: 0, is_over: false };
    Ok((names, rows))
}

/// Checks what the file claims before any of it is unpacked.
fn check(metadata: &ParquetMetaData) -> Result<(), Problem> {
    let file = metadata.file_metadata();
    let refused = |text: String| Err(Problem::at("", text));
    if file.schema_descr().num_columns() > COLUMNS_MAX {
        return refused(format!("it has more than {COLUMNS_MAX} columns"));
    }
    if !(0..=ROWS_MAX).contains(&file.num_rows()) {
        return refused(format!("it has more than {ROWS_MAX} rows; split it"));
    }
    let mut row_count: i64 = 0;
    for group in metadata.row_groups() {
        row_count = row_count.saturating_add(group.num_rows());
        if group.num_rows() < 0 || row_count > ROWS_MAX {
            return refused(format!("it has more than {ROWS_MAX} rows; split it"));
        }
        if group.columns().iter().any(|column| !(0..=COLUMN_BYTES_MAX).contains(&column.uncompressed_size())) {
            return refused(format!("a column of a row group unpacks to more than {COLUMN_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

/// The rows of a Parquet file; the first error ends them.
pub struct ParquetRows {
    rows: RowIter<'static>,
    has_nanoseconds: Vec<bool>,
    line: u64,
    is_over: bool,
}

impl Iterator for ParquetRows {
    type Item = Result<Row, Problem>;

    fn next(&mut self) -> Option<Result<Row, Problem>> {
        if self.is_over {
            return None;
        }
        let read = guarded(|| self.rows.next().transpose());
        self.line += 1;
        self.is_over = !matches!(read, Ok(Some(_)));
        let row = read.transpose()?;
        Some(row.map(|row| {
            let fields = row.get_column_iter().enumerate();
            let cells = fields.map(|(place, (_, field))| cell(field, self.has_nanoseconds.get(place) == Some(&true)));
            Row { line: self.line, cells: cells.collect() }
        }))
    }
}

/// Calls the library, which is not safe from damaged files: a panic is an error like any other.
fn guarded<Outcome>(call: impl FnOnce() -> parquet::errors::Result<Outcome>) -> Result<Outcome, Problem> {
    let damaged = |problem: String| Problem::at("", format!("the Parquet file cannot be read: {problem}"));
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(|error| damaged(error.to_string())),
        Err(panic) => Err(damaged(message_of(panic.as_ref()))),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it is damaged".to_owned())
}

/// Writes a value as a CSV would hold it.
fn cell(field: &Field, is_nanoseconds: bool) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Date(days) => {
            let days = Days::new(u64::from(days.unsigned_abs()));
            let epoch = NaiveDate::default();
            let date = if matches!(field, Field::Date(0..)) {
                epoch.checked_add_days(days)
            } else {
                epoch.checked_sub_days(days)
            };
            date.map(|date| date.to_string()).unwrap_or_default()
        }
        Field::TimestampMillis(millis) => moment(DateTime::from_timestamp_millis(*millis)),
        Field::TimestampMicros(micros) => moment(DateTime::from_timestamp_micros(*micros)),
        Field::Long(nanos) if is_nanoseconds => moment(Some(DateTime::from_timestamp_nanos(*nanos))),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        other => other.to_string(),
    }
}

fn moment(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.f").to_string()).unwrap_or_default()
}
