//! The global model: one line per horizon through all series, with an absolute loss on a squeezed scale.
//!
//! Target: `asinh((y[t+h] - y[t]) / mean|change|)`. Features: those of [`super::features`], squeezed in the same way and
//! standardised, two marks for "no season known", the move that is usual at the time of the year, and an intercept. A series
//! with a past of its own may pull the line towards it: ridge regression of what the line missed there, held back to the
//! line instead of to zero.

use linfa_linalg::cholesky::SolveCInplace;
use linfa_linear::LinearError;
use ndarray::Axis;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::absolute::{self, Fitting, Rows, dot};
use super::features::{COMMON_COUNT, HORIZON_COUNT};
use super::statistics::median_of;
use super::windows::Windows;

/// No move is taken to be larger than so many mean absolute changes.
pub const MOVE_MAX: f64 = 60.0;

/// Squeezed predictions are kept within this before they are stretched again.
const SQUEEZED_MAX: f64 = 5.0;

/// Features of a horizon whose absence has a mark of its own: the moves one and two seasons ago.
const MARKED: [usize; 2] = [0, 2];

const WIDTH: usize = COMMON_COUNT + HORIZON_COUNT + MARKED.len() + 2;

/// A series with fewer examples of its own does not pull the line.
const OWN_EXAMPLES_MIN: usize = 20;

/// How strongly a series' own line is held back to the global one.
const HOLD: f64 = 30.0;

/// A line per horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalModel {
    lines: Vec<Line>,
}

/// A linear function of standardised features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    means: Vec<f64>,
    deviations: Vec<f64>,
    coefficients: Vec<f64>,
}

impl GlobalModel {
    /// Fits a line per horizon.
    pub fn fit(windows: &Windows, fitting: Fitting) -> Result<GlobalModel, LinearError<f64>> {
        let lines = (1..=windows.horizons)
            .into_par_iter()
            .map(|horizon| {
                let mut rows = squeezed_rows(windows, horizon);
                let (means, deviations) = rows.standardise();
                let targets: Vec<f64> = (0..windows.len()).map(|row| target(windows, row, horizon)).collect();
                let coefficients = absolute::fit(&rows, &targets, fitting)?;
                Ok(Line { means, deviations, coefficients })
            })
            .collect::<Result<_, LinearError<f64>>>()?;
        Ok(GlobalModel { lines })
    }

    /// Returns the moves that follow a row, one a horizon, in mean absolute changes.
    pub fn predict(&self, windows: &Windows, row: usize) -> Vec<f64> {
        let horizons = self.lines.iter().enumerate();
        horizons.map(|(index, line)| stretched(dot(&line.row(windows, row, index + 1), &line.coefficients))).collect()
    }

    /// Returns the moves that follow the end of a series by lines that its own past has pulled; nothing where there is
    /// too little of it.
    pub fn predict_locally(&self, end: &Windows, own: &Windows) -> Option<Vec<f64>> {
        if own.len() < OWN_EXAMPLES_MIN {
            return None;
        }
        let horizons = self.lines.iter().enumerate();
        horizons
            .map(|(index, line)| {
                let pull = line.pull(own, index + 1)?;
                let row = line.row(end, 0, index + 1);
                Some(stretched(dot(&row, &line.coefficients) + dot(&row, &pull)))
            })
            .collect()
    }
}

impl Line {
    /// Returns a row of features as the line takes them.
    fn row(&self, windows: &Windows, row: usize, horizon: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(WIDTH);
        push_row(windows, row, horizon, &mut values);
        self.standardise(&mut values);
        values
    }

    fn standardise(&self, row: &mut [f64]) {
        let scales = self.means.iter().zip(&self.deviations);
        row.iter_mut().zip(scales).for_each(|(value, (mean, deviation))| *value = (*value - mean) / deviation);
    }

    /// Returns what a series' own past adds to the coefficients: one step of re-weighted least squares.
    fn pull(&self, own: &Windows, horizon: usize) -> Option<Vec<f64>> {
        let mut rows = squeezed_rows(own, horizon);
        rows.values.chunks_exact_mut(WIDTH).for_each(|row| self.standardise(row));
        let missed: Vec<f64> =
            (0..own.len()).map(|row| target(own, row, horizon) - dot(rows.row(row), &self.coefficients)).collect();
        let mut sizes: Vec<f64> = missed.iter().map(|missed| missed.abs()).collect();
        let floor = 0.5 * median_of(&mut sizes) + 1e-6;
        let weights: Vec<f64> = missed.iter().map(|missed| 1.0 / missed.abs().max(floor)).collect();
        let (mut gram, right) = absolute::normal_equations(&rows, &missed, &weights);
        for place in 0..WIDTH {
            gram[[place, place]] += HOLD;
        }
        // What holds the line back makes the equations positive definite: Cholesky's decomposition solves them fastest.
        gram.solvec_into(right.insert_axis(Axis(1))).ok().map(|solved| solved.into_raw_vec_and_offset().0)
    }
}

pub(super) fn target(windows: &Windows, row: usize, horizon: usize) -> f64 {
    windows.move_of(row, horizon).clamp(-MOVE_MAX, MOVE_MAX).asinh()
}

pub(super) fn stretched(squeezed: f64) -> f64 {
    squeezed.clamp(-SQUEEZED_MAX, SQUEEZED_MAX).sinh().clamp(-MOVE_MAX, MOVE_MAX)
}

/// Returns the squeezed features of a horizon, with marks and intercept.
fn squeezed_rows(windows: &Windows, horizon: usize) -> Rows {
    let mut values = Vec::with_capacity(windows.len() * WIDTH);
    for row in 0..windows.len() {
        push_row(windows, row, horizon, &mut values);
    }
    Rows { width: WIDTH, values }
}

fn push_row(windows: &Windows, row: usize, horizon: usize, into: &mut Vec<f64>) {
    let seasonal = windows.seasonal_of(row, horizon);
    let squeezed = |value: &f64| if value.is_nan() { 0.0 } else { value.asinh() };
    into.extend(windows.common_of(row).iter().chain(seasonal).map(squeezed));
    into.extend(MARKED.map(|place| f64::from(u8::from(seasonal[place].is_nan()))));
    into.push(squeezed(&windows.usual_of(row, horizon)));
    into.push(1.0);
}
