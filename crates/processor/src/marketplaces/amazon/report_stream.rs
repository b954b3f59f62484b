//! Steps through a report document of gigabytes in constant memory: one row is held at a time.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::payload::ReportSpecification;
use super::scanner::Scanner;
use crate::reading::Problem;
use crate::rows::{self, Named};

/// Names of the field that holds the rows, by report.
const ROWS: [&str; 2] = ["dataByDepartmentAndSearchTerm", "dataByAsin"];

/// Largest report that is unpacked; the largest seen have some GB.
const MAX_REPORT_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Fields besides the rows that are told of.
const MAX_FRAME_FIELDS: usize = 64;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 64 * 1024;

/// What a document holds besides rows: `reportSpecification` of a report, the rest of a `getReport` answer.
#[derive(Default)]
pub(super) struct Head {
    pub(super) specification: Option<Named<ReportSpecification>>,
    pub(super) has_rows: bool,
    pub(super) processing_status: Option<String>,
    pub(super) data_start_time: Option<String>,
    pub(super) data_end_time: Option<String>,
    pub(super) error_details: Option<Box<RawValue>>,
    /// Everything but the rows; of what nobody reads, only the names.
    pub(super) frame: Value,
}

/// Steps through a document, packed or not, and hands every row to `take_up` as it passes by.
pub(super) fn stream(body: impl Read, take_up: impl FnMut(&RawValue)) -> Result<Head, Problem> {
    let mut body = BufReader::with_capacity(BUFFER_BYTES, body);
    let start = body.fill_buf().map_err(|error| Problem::at("", error.to_string()))?;
    if start.starts_with(&GZIP_MAGIC) {
        return step_through(MultiGzDecoder::new(body).take(MAX_REPORT_BYTES), take_up);
    }
    step_through(body.take(MAX_REPORT_BYTES), take_up)
}

/// Reads the document's own fields, in any order.
fn step_through(text: impl Read, mut take_up: impl FnMut(&RawValue)) -> Result<Head, Problem> {
    let mut json = Scanner::new(text)?;
    let mut head = Head::default();
    let mut frame = Map::new();
    json.expect(b'{')?;
    let mut is_first = true;
    while !json.take(b'}')? {
        if !is_first {
            json.expect(b',')?;
        }
        is_first = false;
        let key: String = field("", json.value()?)?;
        json.expect(b':')?;
        match key.as_str() {
            "reportSpecification" => head.specification = value(&mut json, &key, &mut frame)?,
            rows if ROWS.contains(&rows) => {
                if head.has_rows {
                    return Err(Problem::at("", "the rows stand there twice"));
                }
                step_through_rows(&mut json, rows, &mut take_up)?;
                head.has_rows = true;
            }
            "processingStatus" => head.processing_status = value(&mut json, &key, &mut frame)?,
            "dataStartTime" => head.data_start_time = value(&mut json, &key, &mut frame)?,
            "dataEndTime" => head.data_end_time = value(&mut json, &key, &mut frame)?,
            "errorDetails" => head.error_details = value(&mut json, &key, &mut frame)?,
            _ => {
                json.skip().map_err(|problem| within(&key, problem))?;
                if frame.len() < MAX_FRAME_FIELDS {
                    frame.insert(key, Value::Null);
                }
            }
        }
    }
    match json.peek()? {
        None => Ok(Head { frame: Value::Object(frame), ..head }),
        Some(_) => Err(Problem::at("", "trailing characters")),
    }
}

/// Steps through the array of rows without ever holding it.
fn step_through_rows<Source: Read>(
    json: &mut Scanner<Source>,
    name: &str,
    take_up: &mut impl FnMut(&RawValue),
) -> Result<(), Problem> {
    json.expect(b'[').map_err(|problem| within(name, problem))?;
    let mut index: u64 = 0;
    while !json.take(b']')? {
        let at_row = |problem| within(&format!("{name}/{index}"), problem);
        if index > 0 {
            json.expect(b',').map_err(at_row)?;
        }
        let text = json.value().map_err(at_row)?;
        let row: &RawValue =
            serde_json::from_slice(text).map_err(|error| at_row(Problem::at("", error.to_string())))?;
        take_up(row);
        index += 1;
    }
    Ok(())
}

/// Reads a field, and keeps it as it stands; of one that holds what nobody reads and what is no text, the name.
fn value<T: DeserializeOwned>(
    json: &mut Scanner<impl Read>,
    key: &str,
    frame: &mut Map<String, Value>,
) -> Result<T, Problem> {
    let text = json.value().map_err(|problem| within(key, problem))?;
    frame.insert(key.to_owned(), serde_json::from_slice(text).unwrap_or_default());
    field(key, text)
}

fn field<T: DeserializeOwned>(key: &str, text: &[u8]) -> Result<T, Problem> {
    rows::document(text).map_err(|problem| if key.is_empty() { problem } else { within(key, problem) })
}

/// Says where in the document the value is in which there is a problem.
fn within(key: &str, problem: Problem) -> Problem {
    Problem { json_pointer: format!("/{key}{}", problem.json_pointer), ..problem }
}
