//! The models: interchangeable ways to say how a series goes on. The backtest decides which one predicts.

mod combination;
mod elastic_net;
mod last_value;
mod line;
mod seasonal_naive;

use serde_json::Value;

use crate::backtest::OBSERVED_WEEKS_MIN;
use crate::features::{HORIZON_COUNT, Panel};
use crate::forecasting::ForecastError;
use crate::forecasting::direction::Probabilities;
use crate::intervals::Ends;

pub use combination::Combination;
pub use elastic_net::ElasticNet;
pub use last_value::LastValue;
pub use line::Anchor;
pub use seasonal_naive::SeasonalNaive;

/// Why a model could not be fitted or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The experts could not be taught.
    #[error("failed to teach the experts")]
    Experts(#[from] ForecastError),
    /// The elastic net failed.
    #[error("failed to fit the elastic net of horizon {horizon}")]
    ElasticNet {
        /// Weeks ahead.
        horizon: usize,
        /// The cause.
        #[source]
        source: linfa_elasticnet::ElasticNetError,
    },
    /// What was fitted cannot be written or read.
    #[error("a fitted model cannot be written or read")]
    State(#[from] serde_json::Error),
    /// The registry names an algorithm that this program does not know.
    #[error("unknown algorithm '{0}'")]
    UnknownAlgorithm(String),
}

/// What a model says of the weeks after a row, on the models' scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The values expected.
    pub points: [f64; HORIZON_COUNT],
    /// The ends of the intervals, where the model knows them itself; else they follow from its backtest.
    pub ends: Option<[Ends; HORIZON_COUNT]>,
    /// Which way the mean of these weeks lies from that of the last ones, where the model can tell.
    pub direction: Option<Probabilities>,
}

impl From<[f64; HORIZON_COUNT]> for Answer {
    fn from(points: [f64; HORIZON_COUNT]) -> Answer {
        Answer { points, ends: None, direction: None }
    }
}

/// A way to predict the next weeks of a series.
pub trait Model: Send + Sync {
    /// Returns its name in the registry.
    fn algorithm(&self) -> &'static str;

    /// Returns the settings of the fit.
    fn parameters(&self) -> Value;

    /// Tells whether it reads the features of a panel; else it is content with the rows.
    fn reads_features(&self) -> bool {
        false
    }

    /// Returns the observed weeks without a long gap that a history needs to be predicted.
    fn observed_min(&self) -> usize {
        OBSERVED_WEEKS_MIN
    }

    /// Learns from the examples whose target was known at a week; forgets what it learnt before.
    fn fit(&mut self, panel: &Panel, known_until: i32) -> Result<(), ModelError>;

    /// Predicts the weeks after a row.
    fn predict(&self, panel: &Panel, row: usize) -> Answer;

    /// Returns what was learnt; the same data give the same state, byte for byte.
    fn state(&self) -> Result<Value, ModelError>;

    /// Takes up what was learnt before.
    fn restore(&mut self, state: Value) -> Result<(), ModelError>;
}

/// Returns every model, the simplest first: of equally good ones the first is taken.
pub fn all() -> Vec<Box<dyn Model>> {
    vec![
        Box::new(SeasonalNaive),
        Box::new(LastValue),
        Box::new(ElasticNet::from(Anchor::LastValue)),
        Box::new(ElasticNet::from(Anchor::AYearBefore)),
        Box::new(Combination::default()),
    ]
}

/// Reads a fitted model.
pub fn restore(algorithm: &str, state: Value) -> Result<Box<dyn Model>, ModelError> {
    let mut model = all()
        .into_iter()
        .find(|model| model.algorithm() == algorithm)
        .ok_or_else(|| ModelError::UnknownAlgorithm(algorithm.to_owned()))?;
    model.restore(state)?;
    Ok(model)
}

#[cfg(test)]
mod tests;
