//! Seasonal naive: next week is as the same week was last year. The baseline that every model must beat.

use serde_json::{Value, json};

use super::{Model, ModelError};
use crate::features::{HORIZON_COUNT, Panel};

/// Weeks in a season.
const SEASON_WEEKS: usize = 52;

/// Predicts the value of the same week last year, or the last value while there is less than a year of history.
#[derive(Clone, Copy, Debug)]
pub struct SeasonalNaive;

impl Model for SeasonalNaive {
    fn algorithm(&self) -> &'static str {
        "seasonal_naive"
    }

    fn parameters(&self) -> Value {
        json!({"season_weeks": SEASON_WEEKS})
    }

    fn fit(&mut self, _panel: &Panel, _known_until: i32) -> Result<(), ModelError> {
        Ok(())
    }

    fn predict(&self, panel: &Panel, row: usize) -> [f64; HORIZON_COUNT] {
        let row = &panel.rows[row];
        let has_season = row.position + 1 >= SEASON_WEEKS;
        std::array::from_fn(|index| {
            let target = row.position + index + 1;
            if has_season { panel.series[row.series].values[target - SEASON_WEEKS] } else { row.value }
        })
    }

    fn state(&self) -> Result<Value, ModelError> {
        Ok(json!({}))
    }

    fn restore(&mut self, _state: Value) -> Result<(), ModelError> {
        Ok(())
    }
}
