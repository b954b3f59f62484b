//! The experts: every model that may have a say, and their answers about many histories at once.

use linfa_linear::LinearError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::absolute::Fitting;
use super::features::Shape;
use super::global::GlobalModel;
use super::smoothing;
use super::statistics::mean;
use super::theta;
use super::windows::{Take, Windows};

/// A model that may have a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expert {
    /// The last value.
    Naive,
    /// The value a season before.
    SeasonalNaive,
    /// The mean of the last four values.
    Mean,
    /// Simple exponential smoothing.
    Smoothing,
    /// Holt's level and damped slope, season taken out.
    DampedHolt,
    /// Theta, season taken out.
    Theta,
    /// The global line.
    Global,
    /// The global line on logarithms.
    GlobalLog,
    /// The global line, pulled towards the series' own past.
    Local,
    /// The same on logarithms.
    LocalLog,
}

impl Expert {
    /// All of them, in the order in which their answers are kept.
    pub const ALL: [Expert; 10] = [
        Expert::Naive,
        Expert::SeasonalNaive,
        Expert::Mean,
        Expert::Smoothing,
        Expert::DampedHolt,
        Expert::Theta,
        Expert::Global,
        Expert::GlobalLog,
        Expert::Local,
        Expert::LocalLog,
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Expert::Naive => "naive",
            Expert::SeasonalNaive => "seasonal_naive",
            Expert::Mean => "mean",
            Expert::Smoothing => "smoothing",
            Expert::DampedHolt => "damped_holt",
            Expert::Theta => "theta",
            Expert::Global => "global",
            Expert::GlobalLog => "global_log",
            Expert::Local => "local",
            Expert::LocalLog => "local_log",
        }
    }
}

/// What every expert says of one history: a value a step, or nothing where it cannot say.
pub type Answers = Vec<Option<Vec<f64>>>;

/// The experts that learn from all series, fitted; the others need nothing.
#[derive(Clone, Debug)]
pub struct Team {
    shape: Shape,
    horizons: usize,
    plain: Option<GlobalModel>,
    logarithmic: Option<GlobalModel>,
}

/// Fewer examples than this teach nothing.
const EXAMPLES_MIN: usize = 60;

/// How the global lines are fitted: to the end these are twenty-five steps, which forecast no better.
const FITTING: Fitting = Fitting { ridge: 20.0, steps_max: 12, tolerance: 1e-3 };

impl Team {
    /// Teaches the experts with what series were before a gap at their end.
    pub fn fit(all: &[&[f64]], shape: &Shape, take: &Take) -> Result<Team, LinearError<f64>> {
        let logs: Vec<Vec<f64>> = all.par_iter().map(|values| logarithms(values).unwrap_or_default()).collect();
        let logs: Vec<&[f64]> = logs.iter().map(Vec::as_slice).collect();
        Ok(Team {
            shape: shape.clone(),
            horizons: take.horizons,
            plain: learn(all, shape, take)?,
            logarithmic: learn(&logs, shape, take)?,
        })
    }

    /// Asks every expert about every history.
    pub fn ask(&self, histories: &[&[f64]]) -> Vec<Answers> {
        histories.par_iter().map(|history| self.ask_about(history)).collect()
    }

    fn ask_about(&self, history: &[f64]) -> Answers {
        let (season, horizons) = (self.shape.season, self.horizons);
        let last = history.last().copied().unwrap_or(0.0);
        let count = history.len();
        let mut answers: Answers = vec![None; Expert::ALL.len()];
        let mut say = |expert: Expert, values: Option<Vec<f64>>| {
            answers[expert as usize] = values.filter(|values| values.iter().all(|value| value.is_finite()));
        };
        say(Expert::Naive, Some(vec![last; horizons]));
        say(Expert::SeasonalNaive, seasonal_naive(history, season, horizons));
        say(Expert::Mean, Some(vec![mean(&history[count.saturating_sub(4)..]); horizons]));
        say(Expert::Smoothing, Some(smoothing::simple(history, horizons)));
        say(Expert::DampedHolt, (count >= 8).then(|| theta::damped(history, season, horizons)));
        say(Expert::Theta, (count >= 4).then(|| theta::theta(history, season, horizons)));
        if let Some(model) = &self.plain {
            let (global, local) = self.ask_lines(model, history);
            say(Expert::Global, Some(global));
            say(Expert::Local, local);
        }
        if let (Some(model), Some(logs)) = (&self.logarithmic, logarithms(history)) {
            let (global, local) = self.ask_lines(model, &logs);
            let back = |values: Vec<f64>| values.into_iter().map(f64::exp).collect::<Vec<f64>>();
            say(Expert::GlobalLog, Some(back(global)));
            say(Expert::LocalLog, local.map(back));
        }
        answers
    }

    /// Returns what the global lines say, and what they say when the series' own past has pulled them.
    fn ask_lines(&self, model: &GlobalModel, history: &[f64]) -> (Vec<f64>, Option<Vec<f64>>) {
        let last = history.last().copied().unwrap_or(0.0);
        let end = Windows::at_end(history, &self.shape, self.horizons);
        let own = Windows::gather(&[history], &self.shape, &Take::own(self.horizons));
        let back = |moves: Vec<f64>| moves.into_iter().map(|moved| last + moved * end.scales[0]).collect::<Vec<f64>>();
        (back(model.predict(&end, 0)), model.predict_locally(&end, &own).map(back))
    }
}

fn learn(all: &[&[f64]], shape: &Shape, take: &Take) -> Result<Option<GlobalModel>, LinearError<f64>> {
    let windows = Windows::gather(all, shape, take);
    if windows.len() < EXAMPLES_MIN { Ok(None) } else { GlobalModel::fit(&windows, FITTING).map(Some) }
}

/// Returns the values a season before; nothing before there is a whole season.
pub fn seasonal_naive(history: &[f64], season: usize, horizons: usize) -> Option<Vec<f64>> {
    let start = history.len().checked_sub(season)?;
    Some((0..horizons).map(|ahead| history[start + ahead % season]).collect())
}

/// Returns the logarithms of a series that is positive throughout.
fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    values.iter().all(|value| *value > 0.0).then(|| values.iter().map(|value| value.ln()).collect())
}
