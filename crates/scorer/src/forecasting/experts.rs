//! The experts: every model that may have a say, and their answers about many histories at once.

use linfa_linear::LinearError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::absolute::Fitting;
use super::autoregression::Autoregression;
use super::features::Shape;
use super::forest::{self, Forest};
use super::global::GlobalModel;
use super::others::Known;
use super::smoothing;
use super::statistics::mean;
use super::theta;
use super::windows::{self, Take, Windows};

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
    /// The level that follows the values at the usual speed.
    Level,
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
    /// The forest.
    Forest,
    /// Autoregression on changes.
    Autoregression,
}

impl Expert {
    /// All of them, in the order in which their answers are kept.
    pub const ALL: [Expert; 13] = [
        Expert::Naive,
        Expert::SeasonalNaive,
        Expert::Mean,
        Expert::Level,
        Expert::Smoothing,
        Expert::DampedHolt,
        Expert::Theta,
        Expert::Global,
        Expert::GlobalLog,
        Expert::Local,
        Expert::LocalLog,
        Expert::Forest,
        Expert::Autoregression,
    ];

    /// Tells whether it learns from other series too.
    pub fn learns(self) -> bool {
        use Expert::{Forest, Global, GlobalLog, Local, LocalLog};
        matches!(self, Global | GlobalLog | Local | LocalLog | Forest)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Expert::Naive => "naive",
            Expert::SeasonalNaive => "seasonal_naive",
            Expert::Mean => "mean",
            Expert::Level => "level",
            Expert::Smoothing => "smoothing",
            Expert::DampedHolt => "damped_holt",
            Expert::Theta => "theta",
            Expert::Global => "global",
            Expert::GlobalLog => "global_log",
            Expert::Local => "local",
            Expert::LocalLog => "local_log",
            Expert::Forest => "forest",
            Expert::Autoregression => "autoregression",
        }
    }
}

/// What every expert says of one history: a value a step, or nothing where it cannot say.
pub type Answers = Vec<Option<Vec<f64>>>;

/// The experts that learn from all series, fitted; the others need nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    shape: Shape,
    horizons: usize,
    plain: Option<GlobalModel>,
    logarithmic: Option<GlobalModel>,
    forest: Option<Forest>,
}

/// Fewer examples than this teach nothing.
const EXAMPLES_MIN: usize = 60;

/// How the global lines are fitted: to the end these are twenty-five steps, which forecast no better.
const FITTING: Fitting = Fitting { ridge: 20.0, steps_max: 12, tolerance: 1e-3 };

impl Team {
    /// Teaches the experts with what series were before a gap at their end.
    pub fn fit(all: &[Known<'_>], shape: &Shape, take: &Take, seed: u64) -> Result<Team, LinearError<f64>> {
        let all = windows::taken(all, take);
        let logs: Vec<Vec<f64>> = all.par_iter().map(|values| logarithms(values).unwrap_or_default()).collect();
        let logs: Vec<Known<'_>> = all.iter().zip(&logs).map(|(values, logs)| values.with_logarithms(logs)).collect();
        let plain = Windows::gather(&all, shape, take);
        let is_enough = plain.len() >= EXAMPLES_MIN;
        let trees = if take.end_gap == 0 { forest::TREES } else { forest::TREES_AT_ORIGINS };
        Ok(Team {
            shape: shape.clone(),
            horizons: take.horizons,
            forest: is_enough.then(|| Forest::fit(&plain, trees, seed)),
            plain: learn(&plain)?,
            logarithmic: learn(&Windows::gather(&logs, shape, take))?,
        })
    }

    /// Forgets what no expert that is asked needs.
    pub fn keep(&mut self, asked: &[Expert]) {
        let is_asked = |experts: &[Expert]| experts.iter().any(|expert| asked.contains(expert));
        self.plain = self.plain.take().filter(|_| is_asked(&[Expert::Global, Expert::Local]));
        self.logarithmic = self.logarithmic.take().filter(|_| is_asked(&[Expert::GlobalLog, Expert::LocalLog]));
        self.forest = self.forest.take().filter(|_| is_asked(&[Expert::Forest]));
    }

    /// Asks every expert about every history.
    pub fn ask(&self, histories: &[Known<'_>]) -> Vec<Answers> {
        histories.par_iter().map(|history| self.ask_about(*history, &Expert::ALL)).collect()
    }

    /// Asks some experts about one history; the others say nothing.
    pub fn ask_about(&self, history: Known<'_>, asked: &[Expert]) -> Answers {
        let mut answers: Answers = vec![None; Expert::ALL.len()];
        let mut end = None;
        for &expert in asked {
            let values = match expert {
                Expert::Global | Expert::Local | Expert::Forest => {
                    let end = end.get_or_insert_with(|| Windows::at_end(history, &self.shape, self.horizons));
                    self.ask_learnt(expert, history, end)
                }
                Expert::GlobalLog | Expert::LocalLog => self.ask_of_logarithms(expert, history),
                _ => self.ask_plain(expert, &history),
            };
            answers[expert as usize] = values.filter(|values| values.iter().all(|value| value.is_finite()));
        }
        answers
    }

    /// Asks an expert that learns nothing of other series.
    fn ask_plain(&self, expert: Expert, history: &[f64]) -> Option<Vec<f64>> {
        let (season, horizons, count) = (self.shape.season, self.horizons, history.len());
        match expert {
            Expert::Naive => Some(vec![*history.last()?; horizons]),
            Expert::SeasonalNaive => seasonal_naive(history, season, horizons),
            Expert::Mean => Some(vec![mean(&history[count.saturating_sub(4)..]); horizons]),
            Expert::Level => Some(vec![smoothing::usual_level(history); horizons]),
            Expert::Smoothing => Some(smoothing::simple(history, horizons)),
            Expert::DampedHolt => (count >= 8).then(|| theta::damped(history, season, horizons)),
            Expert::Theta => (count >= 4).then(|| theta::theta(history, season, horizons)),
            Expert::Autoregression => Autoregression::fit(history).map(|fitted| fitted.forecast(horizons)),
            _ => None,
        }
    }

    /// Asks an expert that learnt of all series; `end` is the history as they see it.
    fn ask_learnt(&self, expert: Expert, history: Known<'_>, end: &Windows) -> Option<Vec<f64>> {
        let moves = match expert {
            Expert::Forest => self.forest.as_ref()?.predict(end, 0),
            Expert::Local => self.pulled(self.plain.as_ref()?, history, end)?,
            _ => self.plain.as_ref()?.predict(end, 0),
        };
        Some(end.values_after(*history.last()?, moves))
    }

    fn ask_of_logarithms(&self, expert: Expert, history: Known<'_>) -> Option<Vec<f64>> {
        let model = self.logarithmic.as_ref()?;
        let logs = logarithms(&history)?;
        let logs = history.with_logarithms(&logs);
        let end = Windows::at_end(logs, &self.shape, self.horizons);
        let moves = if expert == Expert::LocalLog { self.pulled(model, logs, &end)? } else { model.predict(&end, 0) };
        let values = end.values_after(*logs.last()?, moves);
        Some(values.into_iter().map(f64::exp).collect())
    }

    /// Returns the moves by lines that the series' own past has pulled.
    fn pulled(&self, model: &GlobalModel, history: Known<'_>, end: &Windows) -> Option<Vec<f64>> {
        model.predict_locally(end, &Windows::gather(&[history], &self.shape, &Take::own(self.horizons)))
    }
}

fn learn(windows: &Windows) -> Result<Option<GlobalModel>, LinearError<f64>> {
    if windows.len() < EXAMPLES_MIN { Ok(None) } else { GlobalModel::fit(windows, FITTING).map(Some) }
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
