//! The registry: every trained model with what it was made from, and which one predicts.

use chrono::{DateTime, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Marketplace;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::backtest::Metrics;
use crate::features::FEATURE_SET_VERSION;
use crate::intervals::Intervals;
use crate::models::{self, Model, ModelError};
use crate::target::ModelName;

/// Why a registered model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The stored bytes are not those that were registered.
    #[error("the artifact of model version {0} does not have the hash it was registered with")]
    Hash(i64),
    /// The model was made for other features than this program builds.
    #[error(
        "model version {model_version_id} was made for {feature_set_version}, this program builds {FEATURE_SET_VERSION}"
    )]
    FeatureSet {
        /// The model.
        model_version_id: i64,
        /// Its features.
        feature_set_version: String,
    },
    /// The stored bytes cannot be read.
    #[error("the artifact of model version {model_version_id} cannot be read")]
    Artifact {
        /// The model.
        model_version_id: i64,
        /// The cause.
        #[source]
        source: ModelError,
    },
}

/// A broken artifact does not mend by itself: a person should look.
impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Failure {
        Failure::give_up(error)
    }
}

/// What is stored of a fitted model.
#[derive(Debug, Serialize, Deserialize)]
struct Artifact {
    algorithm: String,
    state: Value,
    intervals: Intervals,
}

/// Writes a fitted model; the same model gives the same bytes.
pub fn write_artifact(model: &dyn Model, intervals: &Intervals) -> Result<Vec<u8>, ModelError> {
    let artifact =
        Artifact { algorithm: model.algorithm().to_owned(), state: model.state()?, intervals: intervals.clone() };
    Ok(serde_json::to_vec(&artifact)?)
}

/// A champion as it is registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Identifier.
    pub model_version_id: i64,
    /// What was fitted.
    pub algorithm: String,
    /// Its inputs.
    pub feature_set_version: String,
    /// Nothing known later was used.
    pub as_of: DateTime<Utc>,
    /// SHA-256 of the series it was fitted on.
    pub data_fingerprint: Vec<u8>,
    artifact: Vec<u8>,
    artifact_sha256: Vec<u8>,
}

impl Registered {
    /// Reads the model, after checking that its bytes are those that were registered.
    pub fn open(&self) -> Result<(Box<dyn Model>, Intervals), RegistryError> {
        let model_version_id = self.model_version_id;
        if Sha256::digest(&self.artifact)[..] != self.artifact_sha256[..] {
            return Err(RegistryError::Hash(model_version_id));
        }
        if self.feature_set_version != FEATURE_SET_VERSION {
            let feature_set_version = self.feature_set_version.clone();
            return Err(RegistryError::FeatureSet { model_version_id, feature_set_version });
        }
        let read = || {
            let artifact: Artifact = serde_json::from_slice(&self.artifact)?;
            Ok((models::restore(&artifact.algorithm, artifact.state)?, artifact.intervals))
        };
        read().map_err(|source| RegistryError::Artifact { model_version_id, source })
    }
}

/// Returns the champion of a marketplace.
pub async fn champion(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
) -> Result<Option<Registered>, sqlx::Error> {
    sqlx::query_as!(
        Registered,
        "select model_version_id, algorithm, feature_set_version, as_of, data_fingerprint, artifact, artifact_sha256
         from ml.model_versions
         where model_name = $1 and marketplace = $2 and state = 'champion'",
        model_name.name(),
        marketplace.name(),
    )
    .fetch_optional(db)
    .await
}

/// A trained model that is not registered yet.
#[derive(Debug)]
pub struct NewVersion {
    /// What it predicts.
    pub model_name: ModelName,
    /// Whose keywords.
    pub marketplace: Marketplace,
    /// What was fitted.
    pub algorithm: &'static str,
    /// Settings of the fit.
    pub parameters: Value,
    /// Rows it was fitted on.
    pub training_row_count: usize,
    /// SHA-256 of the series.
    pub data_fingerprint: [u8; 32],
    /// The fitted model.
    pub artifact: Vec<u8>,
    /// Its backtest.
    pub metrics: Metrics,
    /// Whether it is to predict from now on.
    pub is_champion: bool,
}

/// Registers a trained model under the next version; a new champion retires the old one. Returns the version.
pub async fn register(
    connection: &mut PgConnection,
    new: &NewVersion,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<i32, sqlx::Error> {
    if new.is_champion {
        sqlx::query!(
            "update ml.model_versions set state = 'retired'
             where model_name = $1 and marketplace = $2 and state = 'champion'",
            new.model_name.name(),
            new.marketplace.name(),
        )
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query_scalar!(
        "insert into ml.model_versions (model_name, marketplace, version, state, algorithm, feature_set_version,
             parameters, as_of, trained_at, training_row_count, data_fingerprint, artifact, artifact_sha256, metrics,
             code_version)
         select $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
         from ml.model_versions where model_name = $1 and marketplace = $2
         returning version",
        new.model_name.name(),
        new.marketplace.name(),
        if new.is_champion { "champion" } else { "candidate" },
        new.algorithm,
        FEATURE_SET_VERSION,
        new.parameters,
        as_of,
        now,
        new.training_row_count as i32,
        &new.data_fingerprint[..],
        new.artifact,
        &Sha256::digest(&new.artifact)[..],
        Json(&new.metrics) as _,
        env!("CARGO_PKG_VERSION"),
    )
    .fetch_one(connection)
    .await
}

/// How the champion of a marketplace did in its backtest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// Whose keywords it predicts.
    pub marketplace: String,
    /// What it predicts: demand or competition.
    pub model_name: String,
    /// What was fitted.
    pub algorithm: String,
    /// Its version.
    pub version: i32,
    /// The moments at which the backtest stood.
    pub origin_count: i64,
    /// Predictions that were compared, over all horizons.
    pub prediction_count: i64,
    /// Mean error of the model, in mean absolute weekly changes.
    pub model_error: Option<f64>,
    /// Mean error of seasonal naive on the same origins.
    pub naive_error: Option<f64>,
    /// The first divided by the second; below 1 is better.
    pub ratio: Option<f64>,
    /// Share of actual values inside the 80 % interval.
    pub coverage_80: Option<f64>,
    /// Share of actual values inside the 95 % interval.
    pub coverage_95: Option<f64>,
}

/// Returns the backtests of all champions, by marketplace and model.
pub async fn backtest_summary(db: &PgPool) -> Result<Vec<ModelSummary>, sqlx::Error> {
    sqlx::query_as!(
        ModelSummary,
        r#"select marketplace, model_name, algorithm, version,
                  jsonb_array_length(metrics -> 'origins')::bigint as "origin_count!",
                  (select coalesce(sum((horizon ->> 'n')::bigint), 0)
                   from jsonb_array_elements(metrics -> 'horizons') horizon)::bigint as "prediction_count!",
                  (metrics ->> 'model_error')::double precision as model_error,
                  (metrics ->> 'naive_error')::double precision as naive_error,
                  (metrics ->> 'ratio')::double precision as ratio,
                  (metrics ->> 'coverage_80')::double precision as coverage_80,
                  (metrics ->> 'coverage_95')::double precision as coverage_95
           from ml.model_versions
           where state = 'champion'
           order by array_position(array['amazon', 'etsy', 'ebay'], marketplace), model_name desc"#
    )
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::LastValue;

    #[test]
    fn a_changed_artifact_is_refused() {
        let artifact = write_artifact(&LastValue, &Intervals::default()).unwrap();
        let mut registered = Registered {
            model_version_id: 1,
            algorithm: "last_value".to_owned(),
            feature_set_version: FEATURE_SET_VERSION.to_owned(),
            as_of: DateTime::UNIX_EPOCH,
            data_fingerprint: Vec::new(),
            artifact_sha256: Sha256::digest(&artifact).to_vec(),
            artifact,
        };
        assert!(registered.open().is_ok());
        registered.artifact.push(b' ');
        assert!(matches!(registered.open(), Err(RegistryError::Hash(1))));
    }
}
