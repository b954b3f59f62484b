//! What the linear models share: standardised inputs, a line per horizon, and the scale on which it is straight.
//!
//! A line predicts asinh(move / mean absolute change): differences of the usual size count in proportion, bursts like
//! their logarithm.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::features::{HORIZON_COUNT, Panel};

/// A horizon with fewer examples has no line: its prediction is the last value.
pub const EXAMPLES_MIN: usize = 60;

/// Of more examples, evenly spread ones are taken: the fit gains nothing from the rest.
const EXAMPLES_MAX: usize = 30_000;

/// A move is never taken to be larger than this many mean changes.
const MOVE_MAX: f64 = 60.0;

/// A column that varies less than this is constant.
const DEVIATION_MIN: f64 = 1e-9;

/// What a line starts from: it predicts the move away from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The last value.
    LastValue,
    /// The target's week a year before: what seasonal naive says. Younger series have no line.
    AYearBefore,
}

impl Anchor {
    fn value(self, panel: &Panel, row: usize, horizon: usize) -> Option<f64> {
        match self {
            Anchor::LastValue => Some(panel.rows[row].value),
            Anchor::AYearBefore => panel.a_year_before(row, horizon),
        }
    }
}

/// The lines of all horizons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lines(pub Vec<Option<Line>>);

/// A linear function of standardised features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The value where every feature is at its mean.
    pub intercept: f64,
    /// The terms; constant features have none.
    pub terms: Vec<Term>,
}

/// The part of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Name of the feature.
    pub feature: String,
    /// Its place among the features.
    pub place: usize,
    /// Its mean over the examples.
    pub mean: f64,
    /// Its standard deviation over the examples.
    pub deviation: f64,
    /// What one standard deviation adds.
    pub coefficient: f64,
}

/// The examples of a horizon, ready for a solver.
pub struct Design {
    /// One row per example, one standardised column per feature that varies.
    pub x: Array2<f64>,
    /// What is to be predicted, one per example.
    pub y: Vec<f64>,
    terms: Vec<Term>,
}

impl Design {
    /// Gathers the examples known at a week; none when they are too few.
    pub fn gather(panel: &Panel, anchor: Anchor, horizon: usize, known_until: i32) -> Option<Design> {
        let mut examples = panel.examples(horizon, known_until);
        examples.retain(|&row| anchor.value(panel, row, horizon).is_some());
        if examples.len() < EXAMPLES_MIN {
            return None;
        }
        let stride = examples.len().div_ceil(EXAMPLES_MAX);
        let examples: Vec<usize> = examples.into_iter().step_by(stride).collect();
        let width = panel.feature_count();
        let mut raw = Vec::with_capacity(examples.len() * width);
        let mut y = Vec::with_capacity(examples.len());
        for &row in &examples {
            raw.extend(panel.features(row, horizon));
            let at = &panel.rows[row];
            let moved = (panel.actual(row, horizon)? - anchor.value(panel, row, horizon)?) / at.scale;
            y.push(moved.clamp(-MOVE_MAX, MOVE_MAX).asinh());
        }
        let terms = vary(&raw, width, panel, horizon);
        let mut x = Vec::with_capacity(examples.len() * terms.len());
        for row in raw.chunks_exact(width) {
            x.extend(terms.iter().map(|term| (row[term.place] - term.mean) / term.deviation));
        }
        let x = Array2::from_shape_vec((examples.len(), terms.len()), x).ok()?;
        Some(Design { x, y, terms })
    }

    /// Makes a line of the coefficients that a solver found.
    pub fn line(self, intercept: f64, coefficients: impl IntoIterator<Item = f64>) -> Line {
        let mut terms = self.terms;
        terms.iter_mut().zip(coefficients).for_each(|(term, coefficient)| term.coefficient = coefficient);
        Line { intercept, terms }
    }
}

impl Lines {
    /// Predicts the weeks after a row; where there is no line, as the anchor says, and else as the last value.
    pub fn predict(&self, panel: &Panel, anchor: Anchor, row: usize) -> [f64; HORIZON_COUNT] {
        // sinh(4.8) is about MOVE_MAX: a prediction moves no further than an example may.
        const ASINH_MAX: f64 = 4.8;
        let at = &panel.rows[row];
        let mut features = Vec::with_capacity(panel.feature_count());
        std::array::from_fn(|index| {
            let Some(start) = anchor.value(panel, row, index + 1) else { return at.value };
            let Some(Some(line)) = self.0.get(index) else { return start };
            features.clear();
            features.extend(panel.features(row, index + 1));
            let sum: f64 = line
                .terms
                .iter()
                .map(|term| term.coefficient * (features[term.place] - term.mean) / term.deviation)
                .sum();
            start + at.scale * (line.intercept + sum).clamp(-ASINH_MAX, ASINH_MAX).sinh()
        })
    }
}

/// Returns a term for every column that is not constant, with its mean and deviation.
fn vary(raw: &[f64], width: usize, panel: &Panel, horizon: usize) -> Vec<Term> {
    let count = (raw.len() / width) as f64;
    let mut sums = vec![0.0; width];
    for row in raw.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
    let mut squares = vec![0.0; width];
    for row in raw.chunks_exact(width) {
        for (square, (value, mean)) in squares.iter_mut().zip(row.iter().zip(&means)) {
            *square += (value - mean) * (value - mean);
        }
    }
    panel
        .names(horizon)
        .enumerate()
        .map(|(place, feature)| Term {
            feature: feature.to_owned(),
            place,
            mean: means[place],
            deviation: (squares[place] / count).sqrt(),
            coefficient: 0.0,
        })
        .filter(|term| term.deviation > DEVIATION_MIN)
        .collect()
}
