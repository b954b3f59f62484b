//! The elastic net: a squared loss with few and small coefficients, which short and few series need.
//!
//! A squared loss sees the examples only through their normal equations. linfa is therefore given the square root of
//! these, one row per feature instead of one per example, and the same solution comes sixty times faster.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNetError;
use ndarray::{Array1, Array2};
use serde_json::{Value, json};

use super::line::{Anchor, Design, EXAMPLES_MIN, Line, Lines};
use super::{Answer, Model, ModelError};
use crate::features::{HORIZON_COUNT, Panel};

/// A line per horizon, fitted by linfa's elastic net.
#[derive(Clone, Debug)]
pub struct ElasticNet {
    anchor: Anchor,
    penalty: f64,
    lines: Lines,
}

const L1_RATIO: f64 = 0.5;
const STEPS_MAX: u32 = 200;
const TOLERANCE: f64 = 1e-4;

impl ElasticNet {
    /// Makes one that predicts the move away from an anchor.
    pub fn from(anchor: Anchor) -> ElasticNet {
        ElasticNet { anchor, penalty: 0.02, lines: Lines::default() }
    }
}

impl Model for ElasticNet {
    fn algorithm(&self) -> &'static str {
        match self.anchor {
            Anchor::LastValue => "elastic_net",
            Anchor::AYearBefore => "seasonal_elastic_net",
        }
    }

    fn parameters(&self) -> Value {
        json!({
            "penalty": self.penalty,
            "l1_ratio": L1_RATIO,
            "steps_max": STEPS_MAX,
            "tolerance": TOLERANCE,
            "examples_min": EXAMPLES_MIN,
        })
    }

    fn reads_features(&self) -> bool {
        true
    }

    fn fit(&mut self, panel: &Panel, known_until: i32) -> Result<(), ModelError> {
        self.lines.0.clear();
        for horizon in 1..=HORIZON_COUNT {
            let line = match Design::gather(panel, self.anchor, horizon, known_until) {
                Some(design) => {
                    let line = squared(design, self.penalty);
                    Some(line.map_err(|source| ModelError::ElasticNet { horizon, source })?)
                }
                None => None,
            };
            self.lines.0.push(line);
        }
        Ok(())
    }

    fn predict(&self, panel: &Panel, row: usize) -> Answer {
        Answer::from(self.lines.predict(panel, self.anchor, row))
    }

    fn state(&self) -> Result<Value, ModelError> {
        Ok(serde_json::to_value(&self.lines)?)
    }

    fn restore(&mut self, state: Value) -> Result<(), ModelError> {
        self.lines = serde_json::from_value(state)?;
        Ok(())
    }
}

fn squared(design: Design, penalty: f64) -> Result<Line, ElasticNetError> {
    let mean = design.y.iter().sum::<f64>() / design.y.len() as f64;
    let y: Array1<f64> = design.y.iter().map(|y| y - mean).collect();
    let coefficients = shrunk(&design.x, &y, penalty)?;
    // The columns are centred, so the mean is the intercept. linfa would centre y but not x.
    Ok(design.line(mean, coefficients))
}

/// Solves the elastic net of centred columns through the square root of their normal equations.
pub(super) fn shrunk(x: &Array2<f64>, y: &Array1<f64>, penalty: f64) -> Result<Array1<f64>, ElasticNetError> {
    let (count, width) = x.dim();
    let (root, right) = square_root(x.t().dot(x), x.t().dot(y), 1e-9 * count as f64);
    let fitted = linfa_elasticnet::ElasticNet::params()
        // linfa divides the loss by the number of rows, which is now another.
        .penalty(penalty * count as f64 / width as f64)
        .l1_ratio(L1_RATIO)
        .with_intercept(false)
        .max_iterations(STEPS_MAX)
        .tolerance(TOLERANCE)
        .fit(&DatasetBase::new(root, right))?;
    Ok(fitted.hyperplane().to_owned())
}

/// Returns U and v with U'U = gram and U'v = right: Cholesky's decomposition. The ridge holds up collinear columns.
fn square_root(gram: Array2<f64>, right: Array1<f64>, ridge: f64) -> (Array2<f64>, Array1<f64>) {
    let width = right.len();
    let mut root = Array2::<f64>::zeros((width, width));
    let mut reduced = Array1::<f64>::zeros(width);
    for row in 0..width {
        for column in row..width {
            let known: f64 = (0..row).map(|above| root[[above, row]] * root[[above, column]]).sum();
            let rest = gram[[row, column]] - known;
            root[[row, column]] =
                if row == column { (rest + ridge).max(ridge).sqrt() } else { rest / root[[row, row]] };
        }
        let known: f64 = (0..row).map(|above| root[[above, row]] * reduced[above]).sum();
        reduced[row] = (right[row] - known) / root[[row, row]];
    }
    (root, reduced)
}
