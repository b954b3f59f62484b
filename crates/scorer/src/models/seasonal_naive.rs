//! Seasonal naive: next week is as the same week was last year. The baseline that every model must beat.

use serde_json::{Value, json};

use super::{Answer, Model, ModelError};
use crate::features::{HORIZON_COUNT, Panel};

/// Predicts the value of the same week last year, or the last value while there is less than a year of history.
#[derive(Clone, Copy, Debug)]
pub struct SeasonalNaive;

impl Model for SeasonalNaive {
    fn algorithm(&self) -> &'static str {
        "seasonal_naive"
    }

    fn parameters(&self) -> Value {
        json!({"season_weeks": 52})
    }

    fn fit(&mut self, _panel: &Panel, _known_until: i32) -> Result<(), ModelError> {
        Ok(())
    }

    fn predict(&self, panel: &Panel, row: usize) -> Answer {
        let at_horizon = |index| panel.a_year_before(row, index + 1).unwrap_or(panel.rows[row].value);
        Answer::from(std::array::from_fn::<f64, HORIZON_COUNT, _>(at_horizon))
    }

    fn state(&self) -> Result<Value, ModelError> {
        Ok(json!({}))
    }

    fn restore(&mut self, _state: Value) -> Result<(), ModelError> {
        Ok(())
    }
}
