//! Last value: everything stays as it is. Hard to beat where there is no season.

use serde_json::{Value, json};

use super::{Answer, Model, ModelError};
use crate::features::{HORIZON_COUNT, Panel};

/// Predicts the last observed value.
#[derive(Clone, Copy, Debug)]
pub struct LastValue;

impl Model for LastValue {
    fn algorithm(&self) -> &'static str {
        "last_value"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn fit(&mut self, _panel: &Panel, _known_until: i32) -> Result<(), ModelError> {
        Ok(())
    }

    fn predict(&self, panel: &Panel, row: usize) -> Answer {
        Answer::from([panel.rows[row].value; HORIZON_COUNT])
    }

    fn state(&self) -> Result<Value, ModelError> {
        Ok(json!({}))
    }

    fn restore(&mut self, _state: Value) -> Result<(), ModelError> {
        Ok(())
    }
}
