//! The combination of experts of [`crate::forecasting`], which [`forecast`](crate::forecasting::forecast) uses for series
//! out of a file: the same cleaner, experts, gate and intervals.
//!
//! The experts are given what grows in proportion: a count plus one, the inverse of a rank, the odds of a score. The
//! models' scale is its logarithm.

use serde_json::{Value, json};

use super::{Answer, Model, ModelError};
use crate::features::{HORIZON_COUNT, Panel};
use crate::forecasting::{Forecast, Outcome, Settings, Step, Trained, cleaning};
use crate::intervals::Ends;
use crate::series::Series;

const SETTINGS: Settings = Settings { season: 52, horizons: HORIZON_COUNT, seed: 7 };

/// No forecast falls below such a part of the least value that was seen: the logarithm of nothing is no number.
const PART_OF_LEAST: f64 = 0.01;

/// Experts that learnt from the series of a marketplace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Combination {
    trained: Option<Trained>,
}

impl Model for Combination {
    fn algorithm(&self) -> &'static str {
        "combination"
    }

    fn parameters(&self) -> Value {
        json!(SETTINGS)
    }

    /// What it says of young series it has weighed by origins of as young ones, and a panel begins with the fourth week.
    fn observed_min(&self) -> usize {
        4
    }

    fn fit(&mut self, panel: &Panel, known_until: i32) -> Result<(), ModelError> {
        self.trained = None;
        let (mut histories, mut ends) = (Vec::new(), Vec::new());
        for known in &panel.series {
            // A value that was bridged over the last known week is made of the next one.
            let Some(last) = (0..known.values.len())
                .take_while(|&position| known.first_week + position as i32 <= known_until)
                .filter(|&position| !known.is_filled[position])
                .last()
            else {
                continue;
            };
            histories.push(history(known, last));
            ends.push(i64::from(known.first_week) + last as i64);
        }
        let histories: Vec<&[f64]> = histories.iter().map(Vec::as_slice).collect();
        if !histories.is_empty() {
            self.trained = Some(Trained::learn(&histories, Some(&ends), &SETTINGS, |_, _| {})?);
        }
        Ok(())
    }

    fn predict(&self, panel: &Panel, row: usize) -> Answer {
        let at = &panel.rows[row];
        let history = history(&panel.series[at.series], at.position);
        match self.trained.as_ref().map(|trained| trained.ask(&history, Some(i64::from(at.week)))) {
            Some(Outcome::Forecast(forecast)) => answer(&history, &forecast),
            Some(Outcome::TooShort) | None => Answer::from([at.value; HORIZON_COUNT]),
        }
    }

    fn state(&self) -> Result<Value, ModelError> {
        Ok(serde_json::to_value(&self.trained)?)
    }

    fn restore(&mut self, state: Value) -> Result<(), ModelError> {
        self.trained = serde_json::from_value(state)?;
        Ok(())
    }
}

/// Returns what was known of a series up to a position, as the experts see it.
fn history(series: &Series, last: usize) -> Vec<f64> {
    let values: Vec<Option<f64>> = series.values[..=last].iter().map(|value| Some(value.exp())).collect();
    cleaning::clean(&values, SETTINGS.season).values
}

fn answer(history: &[f64], forecast: &Forecast) -> Answer {
    let least = PART_OF_LEAST * history.iter().copied().fold(f64::INFINITY, f64::min);
    let log = |value: f64| value.max(least).ln();
    let ends = |step: &Step| Ends {
        lo_95: log(step.lo_95),
        lo_80: log(step.lo_80),
        hi_80: log(step.hi_80),
        hi_95: log(step.hi_95),
    };
    Answer {
        points: std::array::from_fn(|index| log(forecast.steps[index].point)),
        ends: Some(std::array::from_fn(|index| ends(&forecast.steps[index]))),
        direction: forecast.direction,
    }
}
