//! The data: ragged rows of a name and values, or a long table with columns `keyword` and `value` in order of time.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

/// Series of search interest that are too short to be looked at twice are left out.
const POINTS_MIN: usize = 60;

/// Reads a file of either form.
pub fn load(path: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path)?;
    let mut ragged = Vec::new();
    let mut long: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut columns = None;
    for record in reader.records() {
        let record = record?;
        let place_of = |name: &str| record.iter().position(|cell| cell == name);
        match (columns, place_of("keyword").zip(place_of("value"))) {
            (_, Some(found)) => columns = Some(found),
            (Some((keyword, value)), None) => {
                long.entry(record[keyword].to_owned()).or_default().push(record[value].parse()?);
            }
            (None, None) => {
                let values = record.iter().skip(1).map(str::parse).collect::<Result<Vec<f64>, _>>();
                ragged.push(values.with_context(|| format!("series {}", &record[0]))?);
            }
        }
    }
    ragged.extend(long.into_values().filter(|values| values.len() >= POINTS_MIN));
    Ok(ragged)
}
