//! The models: interchangeable ways to say how a series goes on. The backtest decides which one predicts.

mod elastic_net;
mod last_value;
mod line;
mod linear;
mod seasonal_naive;

use serde_json::Value;

use crate::features::{HORIZON_COUNT, Panel};

pub use elastic_net::ElasticNet;
pub use last_value::LastValue;
pub use line::Anchor;
pub use linear::Linear;
pub use seasonal_naive::SeasonalNaive;

/// Why a model could not be fitted or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The solver of the linear model failed.
    #[error("failed to solve for the coefficients of horizon {horizon}")]
    Solve {
        /// Weeks ahead.
        horizon: usize,
        /// The cause.
        #[source]
        source: linfa_linear::LinearError<f64>,
    },
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

/// A way to predict the next weeks of a series.
pub trait Model: Send + Sync {
    /// Returns its name in the registry.
    fn algorithm(&self) -> &'static str;

    /// Returns the settings of the fit.
    fn parameters(&self) -> Value;

    /// Learns from the examples whose target was known at a week; forgets what it learnt before.
    fn fit(&mut self, panel: &Panel, known_until: i32) -> Result<(), ModelError>;

    /// Predicts the weeks after a row, on the models' scale.
    fn predict(&self, panel: &Panel, row: usize) -> [f64; HORIZON_COUNT];

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
        Box::new(Linear::default()),
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
