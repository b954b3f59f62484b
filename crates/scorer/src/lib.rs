//! The scorer: observations become features, features become predictions. The only crate that knows models.
//!
//! Its jobs:
//!
//! | job | function | leaves behind |
//! | --- | --- | --- |
//! | `train_models` | [`train::run`] | model versions, each with its backtest; one that is better becomes champion; entry models; volume calibrations |
//! | `score_keywords` | [`score::run`] | a `score_keyword_range` for every 2,000 keywords, `score_predictions` |
//! | `score_keyword_range` | [`score::run_range`] | competition scores, predictions of demand, competition and entry |
//! | `score_predictions` | [`ledger::run`] | what came of earlier predictions, and how far champions have drifted; one that fell behind is demoted |

use digitallz_common::clock::Clock;
use sqlx::PgPool;

pub mod backtest;
pub mod bootstrap;
pub mod calibration;
pub mod competition;
mod demotion;
pub mod drift;
pub mod entry;
pub mod features;
pub mod forecasting;
pub mod history_class;
pub mod intervals;
pub mod ledger;
pub mod market;
pub mod material;
pub mod models;
mod permission;
mod prediction;
pub mod promotion;
pub mod registry;
pub mod replay;
mod rows;
pub mod score;
pub mod series;
pub mod target;
pub mod train;

#[cfg(test)]
mod synthetic;

pub use registry::{ModelSummary, backtest_summary};

/// What the jobs of this crate need.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where observations are read and predictions are written.
    pub db: PgPool,
    /// The time at which something is written; what may be known is said by a job's `as_of`.
    pub clock: Clock,
}
