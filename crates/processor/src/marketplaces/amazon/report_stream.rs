//! Steps through a report document of gigabytes in constant memory: one row is held at a time.

use std::fmt;
use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::payload::ReportSpecification;
use crate::reading::Problem;
use crate::rows;

/// Largest report that is unpacked; the largest seen have some GB.
const MAX_REPORT_BYTES: u64 = 64 * 1024 * 1024 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 256 * 1024;

/// What a document holds besides rows: `reportSpecification` of a report, the rest of a `getReport` answer.
#[derive(Default)]
pub(super) struct Head {
    pub(super) specification: Option<ReportSpecification>,
    pub(super) has_rows: bool,
    pub(super) processing_status: Option<String>,
    pub(super) data_start_time: Option<String>,
    pub(super) data_end_time: Option<String>,
    pub(super) error_details: Option<Box<RawValue>>,
}

/// Steps through a document, packed or not, and hands every row to `take_up` as it passes by.
pub(super) fn stream(body: &[u8], take_up: impl FnMut(&RawValue) -> Result<(), String>) -> Result<Head, Problem> {
    if body.starts_with(&GZIP_MAGIC) {
        let unpacked = MultiGzDecoder::new(body).take(MAX_REPORT_BYTES);
        let reader = BufReader::with_capacity(BUFFER_BYTES, unpacked);
        return step_through(serde_json::Deserializer::from_reader(reader), take_up);
    }
    step_through(serde_json::Deserializer::from_slice(rows::without_byte_order_mark(body)), take_up)
}

fn step_through<'de, Source: serde_json::de::Read<'de>>(
    mut json: serde_json::Deserializer<Source>,
    take_up: impl FnMut(&RawValue) -> Result<(), String>,
) -> Result<Head, Problem> {
    let mut track = serde_path_to_error::Track::new();
    let head = DocumentSeed(take_up)
        .deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track))
        .map_err(|error| rows::problem_of(serde_path_to_error::Error::new(track.path(), error)))?;
    json.end().map_err(|error| Problem::at("", error.to_string()))?;
    Ok(head)
}

/// Reads the document's own fields, in any order.
struct DocumentSeed<TakeUp>(TakeUp);

impl<'de, TakeUp: FnMut(&RawValue) -> Result<(), String>> DeserializeSeed<'de> for DocumentSeed<TakeUp> {
    type Value = Head;

    fn deserialize<Source: serde::Deserializer<'de>>(self, source: Source) -> Result<Head, Source::Error> {
        source.deserialize_map(self)
    }
}

impl<'de, TakeUp: FnMut(&RawValue) -> Result<(), String>> Visitor<'de> for DocumentSeed<TakeUp> {
    type Value = Head;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a report document")
    }

    fn visit_map<Map: MapAccess<'de>>(mut self, mut map: Map) -> Result<Head, Map::Error> {
        let mut head = Head::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "reportSpecification" => head.specification = Some(map.next_value()?),
                "dataByDepartmentAndSearchTerm" | "dataByAsin" if head.has_rows => {
                    return Err(Map::Error::custom("the rows stand there twice"));
                }
                "dataByDepartmentAndSearchTerm" | "dataByAsin" => {
                    map.next_value_seed(RowsSeed(&mut self.0))?;
                    head.has_rows = true;
                }
                "processingStatus" => head.processing_status = map.next_value()?,
                "dataStartTime" => head.data_start_time = map.next_value()?,
                "dataEndTime" => head.data_end_time = map.next_value()?,
                "errorDetails" => head.error_details = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
}

/// Steps through the array of rows without ever holding it.
struct RowsSeed<'seed, TakeUp>(&'seed mut TakeUp);

impl<'de, TakeUp: FnMut(&RawValue) -> Result<(), String>> DeserializeSeed<'de> for RowsSeed<'_, TakeUp> {
    type Value = ();

    fn deserialize<Source: serde::Deserializer<'de>>(self, source: Source) -> Result<(), Source::Error> {
        source.deserialize_seq(self)
    }
}

impl<'de, TakeUp: FnMut(&RawValue) -> Result<(), String>> Visitor<'de> for RowsSeed<'_, TakeUp> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of rows")
    }

    fn visit_seq<Elements: SeqAccess<'de>>(self, mut elements: Elements) -> Result<(), Elements::Error> {
        while let Some(row) = elements.next_element::<Box<RawValue>>()? {
            self.0(&row).map_err(Elements::Error::custom)?;
        }
        Ok(())
    }
}
