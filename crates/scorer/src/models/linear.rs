//! The linear model with an absolute loss: least squares, re-weighted until it is least absolute deviations.
//!
//! linfa has neither sample weights nor this loss. Each step therefore forms the weighted normal equations itself and
//! hands them to linfa's least-squares solver, which is also a hundred times faster than handing it all rows.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_linear::{LinearError, LinearRegression};
use ndarray::{Array1, Array2, Axis, concatenate};
use serde_json::{Value, json};

use super::line::{Anchor, Design, EXAMPLES_MIN, Lines};
use super::{Model, ModelError};
use crate::features::{HORIZON_COUNT, Panel};

/// A line per horizon, fitted to the least absolute deviation with a ridge on the standardised coefficients.
#[derive(Clone, Debug)]
pub struct Linear {
    ridge: f64,
    lines: Lines,
}

/// Steps of re-weighting after the first, unweighted one.
const STEPS_MAX: usize = 6;

/// Coefficients that change less than this are settled.
const TOLERANCE: f64 = 1e-3;

impl Default for Linear {
    fn default() -> Linear {
        Linear { ridge: 20.0, lines: Lines::default() }
    }
}

impl Model for Linear {
    fn algorithm(&self) -> &'static str {
        "linear_absolute"
    }

    fn parameters(&self) -> Value {
        json!({"ridge": self.ridge, "steps_max": STEPS_MAX, "tolerance": TOLERANCE, "examples_min": EXAMPLES_MIN})
    }

    fn fit(&mut self, panel: &Panel, known_until: i32) -> Result<(), ModelError> {
        self.lines.0.clear();
        // The line of the horizon before is where the search for the next one begins.
        let mut coefficients = None;
        for horizon in 1..=HORIZON_COUNT {
            let line = match Design::gather(panel, Anchor::LastValue, horizon, known_until) {
                Some(design) => {
                    let found = least_absolute(&design, self.ridge, coefficients.take())
                        .map_err(|source| ModelError::Solve { horizon, source })?;
                    let line = design.line(found[found.len() - 1], found.iter().copied());
                    coefficients = Some(found);
                    Some(line)
                }
                None => None,
            };
            self.lines.0.push(line);
        }
        Ok(())
    }

    fn predict(&self, panel: &Panel, row: usize) -> [f64; HORIZON_COUNT] {
        self.lines.predict(panel, Anchor::LastValue, row)
    }

    fn state(&self) -> Result<Value, ModelError> {
        Ok(serde_json::to_value(&self.lines)?)
    }

    fn restore(&mut self, state: Value) -> Result<(), ModelError> {
        self.lines = serde_json::from_value(state)?;
        Ok(())
    }
}

/// Returns the coefficients of the columns and, last, the intercept.
fn least_absolute(design: &Design, ridge: f64, start: Option<Array1<f64>>) -> Result<Array1<f64>, LinearError<f64>> {
    let count = design.y.len();
    let ones = Array2::<f64>::ones((count, 1));
    let x = concatenate(Axis(1), &[design.x.view(), ones.view()]).expect("both have a row per example");
    let y = Array1::from(design.y.clone());
    let mut coefficients = match start.filter(|start| start.len() == x.ncols()) {
        Some(start) => start,
        None => weighted_ridge(&x, &y, &Array1::ones(count), ridge)?,
    };
    for _ in 0..STEPS_MAX {
        let residuals = (&y - &x.dot(&coefficients)).mapv(f64::abs);
        // A residual near zero must not draw all the weight to itself.
        let floor = 0.05 * median(residuals.as_slice().unwrap_or_default()) + 1e-6;
        let weights = residuals.mapv(|residual| 1.0 / residual.max(floor));
        let next = weighted_ridge(&x, &y, &weights, ridge)?;
        let change = next.iter().zip(&coefficients).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        coefficients = next;
        if change < TOLERANCE {
            break;
        }
    }
    Ok(coefficients)
}

/// Solves the normal equations of weighted least squares with a ridge on all columns but the last, the intercept.
fn weighted_ridge(
    x: &Array2<f64>,
    y: &Array1<f64>,
    weights: &Array1<f64>,
    ridge: f64,
) -> Result<Array1<f64>, LinearError<f64>> {
    let weighted = x * &weights.view().insert_axis(Axis(1));
    let mut gram = weighted.t().dot(x);
    let right = weighted.t().dot(y);
    let last = gram.nrows() - 1;
    for place in 0..last {
        gram[[place, place]] += ridge;
    }
    gram[[last, last]] += 1e-6;
    let solved = LinearRegression::new().with_intercept(false).fit(&DatasetBase::new(gram, right))?;
    Ok(solved.params().to_owned())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
