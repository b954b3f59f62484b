//! The model: a line for the difficulty and a multinomial logistic regression for its level, both fitted by linfa.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::{ElasticNet, ElasticNetError};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::learn::Example;
use super::{Isotonic, Prior, from_logit};
use crate::competition::LEVELS;
use crate::intervals::{lower, upper};

/// Weight of the elastic net's penalty, and the part of it that is absolute.
const PENALTY: f64 = 0.005;
const L1_RATIO: f64 = 0.5;
const STEPS_MAX: u32 = 2_000;
const TOLERANCE: f64 = 1e-6;

/// Weight of the logistic regression's penalty per example: linfa's loss is a sum over them.
const RIDGE: f64 = 0.01;
const LOGISTIC_STEPS_MAX: u64 = 500;

/// A column that varies less than this is constant.
const DEVIATION_MIN: f64 = 1e-9;

/// The height of a level that no example has, next to which every other is all there is.
const NEVER: f64 = -50.0;

/// Why a model could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum EntryModelError {
    /// The elastic net failed.
    #[error("failed to fit the line of entry difficulty")]
    Line(#[from] ElasticNetError),
    /// The logistic regression failed.
    #[error("failed to fit the levels of entry difficulty")]
    Levels(#[from] linfa_logistic::error::Error),
    /// What was fitted cannot be written or read.
    #[error("a fitted model of entry cannot be written or read")]
    State(#[from] serde_json::Error),
}

/// A fitted model; the same examples give the same one, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryModel {
    /// What was believed of the marketplace's keywords.
    pub prior: Prior,
    /// The difficulties that divide low from medium and medium from high.
    pub cuts: [f64; 2],
    columns: Vec<Column>,
    /// The difficulty, on the scale of the logit, where every feature is at its mean.
    intercept: f64,
    levels: [f64; 3],
    /// What the probabilities of at least medium and of high, as fitted, are worth.
    calibrations: [Isotonic; 2],
    /// How far actual difficulties lay from the line, on the scale of the logit: ends of 95 and 80 %.
    ends: [f64; 4],
}

/// A feature as it enters the line and the levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Column {
    mean: f64,
    deviation: f64,
    slope: f64,
    level_slopes: [f64; 3],
}

/// What the model says of a keyword.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// 1 less the expected entry success: 0 (everybody comes up) to 1 (nobody does).
    pub difficulty: f64,
    /// Ends of the 95 % and 80 % intervals around it: lo 95, lo 80, hi 80, hi 95.
    pub ends: [f64; 4],
    /// Probabilities of low, medium and high; they add up to 1.
    pub probabilities: [f64; 3],
}

impl Forecast {
    /// Returns the most probable level; of equally probable ones the higher.
    pub fn level(&self) -> &'static str {
        let [low, medium, high] = self.probabilities;
        LEVELS[if high >= low.max(medium) { 2 } else { usize::from(medium >= low) }]
    }
}

impl EntryModel {
    /// Makes one that knows no feature.
    #[cfg(test)]
    pub(super) fn believing(prior: Prior, cuts: [f64; 2]) -> EntryModel {
        let calibrations = [Isotonic::default(), Isotonic::default()];
        let levels = [0.0; 3];
        EntryModel { prior, cuts, columns: Vec::new(), intercept: 0.0, levels, calibrations, ends: [0.0; 4] }
    }

    /// Fits the line and the levels; they are not calibrated yet.
    pub fn fit(examples: &[Example], prior: Prior, cuts: [f64; 2]) -> Result<EntryModel, EntryModelError> {
        let count = examples.len();
        let mut columns = columns_of(examples);
        let rows: Vec<f64> =
            examples.iter().flat_map(|example| standardised(&columns, &example.features).collect::<Vec<_>>()).collect();
        let x = Array2::from_shape_vec((count, columns.len()), rows).expect("every example has every feature");
        let y: Array1<f64> = examples.iter().map(|example| prior.difficulty(example.outcome)).collect();

        // The columns are centred, so the mean is the intercept. linfa would centre y but not x.
        let intercept = y.sum() / count as f64;
        let line = ElasticNet::params()
            .penalty(PENALTY)
            .l1_ratio(L1_RATIO)
            .with_intercept(false)
            .max_iterations(STEPS_MAX)
            .tolerance(TOLERANCE)
            .fit(&DatasetBase::new(x.clone(), &y - intercept))?;

        let levels: Array1<usize> = y.iter().map(|y| level_of(&cuts, from_logit(*y))).collect();
        let fitted = MultiLogisticRegression::default()
            .alpha(RIDGE * count as f64)
            .max_iterations(LOGISTIC_STEPS_MAX)
            .fit(&DatasetBase::new(x, levels))?;
        // Classes come sorted; one that no example has is never said.
        let mut level_intercepts = [NEVER; 3];
        for (place, &level) in fitted.classes().iter().enumerate() {
            level_intercepts[level] = fitted.intercept()[place];
            for (at, column) in columns.iter_mut().enumerate() {
                column.level_slopes[level] = fitted.params()[[at, place]];
            }
        }
        columns.iter_mut().zip(line.hyperplane()).for_each(|(column, slope)| column.slope = *slope);
        let calibrations = [Isotonic::default(), Isotonic::default()];
        Ok(EntryModel { prior, cuts, columns, intercept, levels: level_intercepts, calibrations, ends: [0.0; 4] })
    }

    /// Learns from examples that it was not fitted on what its probabilities are worth and how far its line errs.
    pub fn calibrate(&mut self, examples: &[Example]) {
        for cut in 0..2 {
            let pairs: Vec<(f64, f64)> = examples
                .iter()
                .map(|example| {
                    let level = level_of(&self.cuts, 1.0 - self.prior.success(example.outcome));
                    (self.raw_at_least(&example.features)[cut], f64::from(u8::from(level > cut)))
                })
                .collect();
            self.calibrations[cut] = Isotonic::fit(&pairs);
        }
        let mut errors: Vec<f64> = examples
            .iter()
            .map(|example| self.prior.difficulty(example.outcome) - self.line(&example.features))
            .collect();
        errors.sort_by(f64::total_cmp);
        self.ends = [lower(&errors, 0.025), lower(&errors, 0.1), upper(&errors, 0.1), upper(&errors, 0.025)];
    }

    /// Takes over what another model of the same kind, fitted on fewer examples, learnt from others.
    pub fn take_calibration(&mut self, other: EntryModel) {
        self.calibrations = other.calibrations;
        self.ends = other.ends;
    }

    /// Says what is to be expected of the next newcomers.
    pub fn predict(&self, features: &[f64]) -> Forecast {
        let point = self.line(features);
        let [lo_95, lo_80, hi_80, hi_95] = self.ends.map(|end| from_logit(point + end));
        let difficulty = from_logit(point);
        let (lo_80, hi_80) = (lo_80.min(difficulty), hi_80.max(difficulty));
        let [medium, high] = self.raw_at_least(features);
        let at_least_medium = self.calibrations[0].at(medium);
        let at_least_high = self.calibrations[1].at(high).min(at_least_medium);
        Forecast {
            difficulty,
            ends: [lo_95.min(lo_80), lo_80, hi_80, hi_95.max(hi_80)],
            probabilities: [1.0 - at_least_medium, at_least_medium - at_least_high, at_least_high],
        }
    }

    /// Returns the line's difficulty on the scale of the logit.
    fn line(&self, features: &[f64]) -> f64 {
        let slopes = self.columns.iter().map(|column| column.slope);
        self.intercept + slopes.zip(standardised(&self.columns, features)).map(|(slope, x)| slope * x).sum::<f64>()
    }

    /// Returns the probabilities of at least medium and of high, not calibrated.
    fn raw_at_least(&self, features: &[f64]) -> [f64; 2] {
        let mut heights = self.levels;
        for (column, x) in self.columns.iter().zip(standardised(&self.columns, features)) {
            heights.iter_mut().zip(column.level_slopes).for_each(|(height, slope)| *height += slope * x);
        }
        let top = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let [low, medium, high] = heights.map(|height| (height - top).exp());
        let sum = low + medium + high;
        [(medium + high) / sum, high / sum]
    }
}

/// Returns 0 for low, 1 for medium and 2 for high.
pub(super) fn level_of(cuts: &[f64; 2], difficulty: f64) -> usize {
    cuts.iter().filter(|cut| difficulty >= **cut).count()
}

/// Brings features to mean 0 and deviation 1; one that is not known is taken to be at its mean.
fn standardised<'a>(columns: &'a [Column], features: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    debug_assert_eq!(columns.len(), features.len(), "a model sees the features it was made of");
    columns.iter().zip(features).map(|(column, value)| {
        if value.is_finite() && column.deviation > DEVIATION_MIN {
            (value - column.mean) / column.deviation
        } else {
            0.0
        }
    })
}

fn columns_of(examples: &[Example]) -> Vec<Column> {
    let width = examples.first().map_or(0, |example| example.features.len());
    let column = |place: usize| {
        let known = || examples.iter().map(|example| example.features[place]).filter(|value| value.is_finite());
        let count = known().count().max(1) as f64;
        let mean = known().sum::<f64>() / count;
        let deviation = (known().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        Column { mean, deviation, slope: 0.0, level_slopes: [0.0; 3] }
    };
    (0..width).map(column).collect()
}

/// Returns the difficulties below which a third and two thirds of the examples lie.
pub(super) fn thirds(examples: &[Example], prior: &Prior) -> [f64; 2] {
    let mut values: Vec<f64> = examples.iter().map(|example| 1.0 - prior.success(example.outcome)).collect();
    values.sort_by(f64::total_cmp);
    [values[values.len() / 3], values[2 * values.len() / 3]]
}
