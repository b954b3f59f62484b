//! Intervals: how wrong the combination was at the rolling origins says how wrong it may be now.
//!
//! Two steps. A line for a high quantile predicts the logarithm of the error from how the history moved, how far the
//! experts are apart, the horizon and how long the history is. Then the quantiles of what remains, error / predicted size,
//! are read off by cross-conformal prediction (Vovk 2015) for every horizon with its neighbours; both ends have their own:
//! the size of an error is always predicted by a line that has learnt of other times.

use std::collections::BTreeSet;

use linfa_linear::LinearError;
use serde::{Deserialize, Serialize};

use super::absolute::{self, Fitting, Rows, dot};
use super::autoregression::Autoregression;
use super::experts::{Answers, Expert};
use super::statistics::{at_share, deviation, mean_absolute_change};
use super::{Step, origins::Case};

/// How far these are apart says how uncertain things are; they are quick to ask.
pub const SPREAD_OF: [Expert; 7] = [
    Expert::Naive,
    Expert::SeasonalNaive,
    Expert::Mean,
    Expert::DampedHolt,
    Expert::Theta,
    Expert::Global,
    Expert::GlobalLog,
];

/// Features of the size of an error, the intercept not counted.
const FEATURE_COUNT: usize = 11;

/// The place of the length of the history among them.
const LENGTH: usize = FEATURE_COUNT - 1;

/// Fewer errors than this teach nothing about their size.
const ERRORS_MIN: usize = 60;

/// Of fewer errors both ends share one quantile: there are too few to tell how they differ.
const ERRORS_OF_BOTH_SIDES: usize = 2_000;

/// The quantile of the errors that the line predicts: large errors decide how wide intervals must be.
const LINE_QUANTILE: f64 = 0.8;

/// Of fewer errors the quantiles are mixed with those of a distribution with heavy tails.
const ERRORS_ENOUGH: usize = 200;

/// What stands in for errors that are not there: Student's t with three degrees of freedom at 5 %, 15 %, ... 95 % and its
/// far ends, of which half are less than 1.
const STAND_INS: [f64; 7] = [0.18, 0.56, 1.0, 1.6, 2.6, 4.2, 7.0];

/// Of fewer stretches of time, errors are foretold from other series instead of other times.
const STRETCHES_MIN: usize = 4;

const FITTING: Fitting = Fitting { ridge: 5.0, steps_max: 20, tolerance: 1e-4 };

/// How wrong the combination was about a step of a case.
struct Example {
    /// The stretch of time; of few stretches, some of the series.
    part: usize,
    horizon: usize,
    features: [f64; FEATURE_COUNT],
    error: f64,
    scale: f64,
}

/// The intervals of a class of histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    means: Vec<f64>,
    deviations: Vec<f64>,
    coefficients: Vec<f64>,
    /// The greatest length, as it is among the features, of a history that the line has seen.
    longest: f64,
    /// Ends by horizon, in predicted sizes.
    ends: Vec<Ends>,
}

/// The ends of the intervals of a horizon, in predicted sizes of the error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Ends {
    lo_95: f64,
    lo_80: f64,
    hi_80: f64,
    hi_95: f64,
}

impl Intervals {
    /// Learns from what was said at the origins; `points` are the combinations, one a case, and so are `abouts`.
    pub fn learn(
        cases: &[Case<'_>],
        points: &[Vec<f64>],
        abouts: &[About<'_>],
        horizons: usize,
    ) -> Result<Intervals, LinearError<f64>> {
        let stretches: BTreeSet<usize> = cases.iter().map(|case| case.stretch).collect();
        let is_by_time = stretches.len() >= STRETCHES_MIN;
        let examples: Vec<Example> = cases
            .iter()
            .zip(points)
            .zip(abouts)
            .flat_map(|((case, points), about)| {
                (1..=horizons).map(move |horizon| {
                    let error = case.actual[horizon - 1] - points[horizon - 1];
                    let features = about.features(points[horizon - 1], horizon);
                    let part = if is_by_time { case.stretch } else { case.series % STRETCHES_MIN };
                    Example { part, horizon, features, error, scale: case.scale }
                })
            })
            .collect();
        let mut intervals = Intervals::fit(examples.iter())?;
        let mut ratios = vec![Vec::new(); horizons];
        for part in examples.iter().map(|example| example.part).collect::<BTreeSet<usize>>() {
            // The line that says how large errors are must not have seen them.
            let others = Intervals::fit(examples.iter().filter(|example| example.part != part))?;
            for example in examples.iter().filter(|example| example.part == part) {
                ratios[example.horizon - 1].push(example.error / (example.scale * others.size_of(&example.features)));
            }
        }
        intervals.ends = (0..horizons).map(|index| ends(&ratios, index)).collect();
        Ok(intervals)
    }

    /// Fits the line that says how large errors are, without any ends.
    fn fit<'a>(examples: impl Iterator<Item = &'a Example>) -> Result<Intervals, LinearError<f64>> {
        let mut rows = Rows { width: FEATURE_COUNT + 1, values: Vec::new() };
        let mut targets = Vec::new();
        let mut longest = f64::NEG_INFINITY;
        for example in examples {
            longest = longest.max(example.features[LENGTH]);
            rows.values.extend(example.features);
            rows.values.push(1.0);
            targets.push((example.error.abs() / example.scale + 0.02).ln());
        }
        if targets.len() < ERRORS_MIN {
            return Ok(Intervals::size_of_changes());
        }
        let (means, deviations) = rows.standardise();
        let coefficients = absolute::fit_quantile(&rows, &targets, LINE_QUANTILE, FITTING)?;
        Ok(Intervals { means, deviations, coefficients, longest, ends: Vec::new() })
    }

    /// Puts intervals around the points of a history.
    pub fn around(&self, about: &About<'_>, points: &[f64]) -> Vec<Step> {
        points
            .iter()
            .enumerate()
            .map(|(index, &point)| {
                let size = self.size(about, point, index + 1);
                let ends = self.ends[index];
                let (lo_80, hi_80) = ((point + size * ends.lo_80).min(point), (point + size * ends.hi_80).max(point));
                Step {
                    point,
                    lo_80,
                    hi_80,
                    lo_95: (point + size * ends.lo_95).min(lo_80),
                    hi_95: (point + size * ends.hi_95).max(hi_80),
                }
            })
            .collect()
    }

    /// Returns the mean of the predicted sizes of a history's errors.
    pub fn mean_size(&self, about: &About<'_>, points: &[f64]) -> f64 {
        let sizes = points.iter().enumerate().map(|(index, &point)| self.size(about, point, index + 1));
        sizes.sum::<f64>() / points.len().max(1) as f64
    }

    /// The size where nothing could be learnt: the usual change over as many steps.
    fn size_of_changes() -> Intervals {
        let mut coefficients = vec![0.0; FEATURE_COUNT + 1];
        coefficients[0] = 1.0;
        Intervals {
            means: vec![0.0; FEATURE_COUNT],
            deviations: vec![1.0; FEATURE_COUNT],
            coefficients,
            longest: 0.0,
            ends: Vec::new(),
        }
    }

    /// Returns the predicted size of an error; zero for a series that never changed.
    fn size(&self, about: &About<'_>, point: f64, horizon: usize) -> f64 {
        if about.scale <= 0.0 {
            return 0.0;
        }
        about.scale * self.size_of(&about.features(point, horizon))
    }

    /// Returns the predicted size of an error in mean absolute changes.
    fn size_of(&self, features: &[f64; FEATURE_COUNT]) -> f64 {
        let mut row = features.to_vec();
        // How errors go on beyond the longest history nobody has seen.
        row[LENGTH] = row[LENGTH].min(self.longest);
        for (value, (mean, deviation)) in row.iter_mut().zip(self.means.iter().zip(&self.deviations)) {
            *value = (*value - mean) / deviation;
        }
        row.push(1.0);
        dot(&row, &self.coefficients).clamp(-6.0, 6.0).exp()
    }
}

/// What the size of an error may follow from.
pub struct About<'a> {
    history: &'a [f64],
    answers: &'a Answers,
    scale: f64,
    /// What the series' own autoregression says of its errors, by horizon; nothing where there is none.
    deviations: Option<Vec<f64>>,
}

impl<'a> About<'a> {
    /// Tells of a history that changes so much.
    pub fn new(history: &'a [f64], scale: f64, answers: &'a Answers) -> About<'a> {
        let horizons = answers.iter().flatten().map(Vec::len).next().unwrap_or(0);
        let deviations = Autoregression::fit(history).map(|fitted| fitted.deviations(horizons));
        About { history, answers, scale, deviations }
    }

    /// Returns the values that are known.
    pub fn history(&self) -> &[f64] {
        self.history
    }

    fn features(&self, point: f64, horizon: usize) -> [f64; FEATURE_COUNT] {
        let log = |value: f64| (value / self.scale + 0.05).ln();
        let recent = |count: usize| &self.history[self.history.len().saturating_sub(count)..];
        let over_horizon = mean_absolute_change(recent(160), horizon.min(self.history.len().saturating_sub(1)).max(1));
        let answers = SPREAD_OF.iter().filter_map(|expert| self.answers[*expert as usize].as_ref());
        let said: Vec<f64> = answers.map(|values| values[horizon - 1]).collect();
        let last = self.history.last().copied().unwrap_or(0.0);
        let own = self.deviations.as_ref().map(|deviations| deviations[horizon - 1]);
        [
            log(over_horizon),
            log(mean_absolute_change(recent(53), 1)),
            log(mean_absolute_change(recent(14), 1)),
            log(deviation(recent(52))),
            log(deviation(&said)),
            log((point - last).abs()),
            log(last.abs()),
            (horizon as f64).ln(),
            own.map_or_else(|| log(over_horizon), log),
            f64::from(u8::from(own.is_none())),
            (self.history.len() as f64).ln(),
        ]
    }
}

/// Mixes few errors, in predicted sizes, with those of a distribution with heavy tails.
pub(super) fn mix_if_few(errors: &mut Vec<f64>) {
    if errors.len() < ERRORS_ENOUGH {
        errors.extend(STAND_INS.iter().flat_map(|size| [-size, *size]));
    }
}

fn ends(ratios: &[Vec<f64>], index: usize) -> Ends {
    let mut pool: Vec<f64> = ratios[index.saturating_sub(1)..(index + 2).min(ratios.len())].concat();
    mix_if_few(&mut pool);
    if pool.len() < ERRORS_OF_BOTH_SIDES {
        let mirrored: Vec<f64> = pool.iter().map(|ratio| -ratio).collect();
        pool.extend(mirrored);
    }
    pool.sort_by(f64::total_cmp);
    // One more place than there are errors: the next one may lie beyond all of them.
    let at = |share: f64| at_share(&pool, share * (pool.len() + 1) as f64 - 1.0);
    Ends { lo_95: at(0.025), lo_80: at(0.1), hi_80: at(0.9), hi_95: at(0.975) }
}
