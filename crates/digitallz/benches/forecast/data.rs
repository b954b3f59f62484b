//! The data: ragged rows of a name and values, or a long table of weeks with columns `keyword`, `date` and `value` in order of
//! time.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use chrono::{Datelike, NaiveDate};

/// Series of search interest that are too short to be looked at twice are left out.
const POINTS_MIN: usize = 60;

/// Series, and the weeks in which they end where the file tells them.
pub struct Data {
    /// The values.
    pub all: Vec<Vec<f64>>,
    /// The weeks, counted.
    pub ends: Option<Vec<i64>>,
}

/// Reads a file of either form.
pub fn load(path: &Path) -> anyhow::Result<Data> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path)?;
    let mut ragged = Vec::new();
    let mut long: BTreeMap<String, (Vec<f64>, i64)> = BTreeMap::new();
    let mut columns = None;
    for record in reader.records() {
        let record = record?;
        let place_of = |name: &str| record.iter().position(|cell| cell == name);
        match (columns, ["keyword", "date", "value"].map(place_of)) {
            (_, [Some(keyword), Some(date), Some(value)]) => columns = Some((keyword, date, value)),
            (Some((keyword, date, value)), _) => {
                let (values, end) = long.entry(record[keyword].to_owned()).or_default();
                values.push(record[value].parse()?);
                *end = i64::from(record[date].parse::<NaiveDate>()?.num_days_from_ce()) / 7;
            }
            (None, _) => {
                let values = record.iter().skip(1).map(str::parse).collect::<Result<Vec<f64>, _>>();
                ragged.push(values.with_context(|| format!("series {}", &record[0]))?);
            }
        }
    }
    if ragged.is_empty() {
        let (all, ends) = long.into_values().filter(|(values, _)| values.len() >= POINTS_MIN).unzip();
        return Ok(Data { all, ends: Some(ends) });
    }
    Ok(Data { all: ragged, ends: None })
}
