//! The registry: every trained model with what it was made from, and which one predicts.

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::audit;
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Marketplace;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::backtest::Metrics;
use crate::drift::TrainingInputs;
use crate::features::FEATURE_SET_VERSION;
use crate::forecasting::direction::Directions;
use crate::intervals::Intervals;
use crate::models::{self, Model, ModelError};
use crate::promotion::Decision;
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
    #[serde(default)]
    directions: Option<Directions>,
}

/// A model that can be asked, with what its backtest says of how wrong it is.
pub struct Fitted {
    /// What predicts.
    pub model: Box<dyn Model>,
    /// Its intervals, where it does not know its own.
    pub intervals: Intervals,
    /// By how much it misses the mean of all horizons; absent where it knows that itself, or where too little was seen.
    pub directions: Option<Directions>,
}

/// Writes a fitted model; the same model gives the same bytes.
pub fn write_artifact(
    model: &dyn Model,
    intervals: Intervals,
    directions: Option<Directions>,
) -> Result<Vec<u8>, ModelError> {
    let artifact = Artifact { algorithm: model.algorithm().to_owned(), state: model.state()?, intervals, directions };
    Ok(serde_json::to_vec(&artifact)?)
}

/// A model as it is registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Identifier.
    pub model_version_id: i64,
    /// Counts from 1 per marketplace and model.
    pub version: i32,
    /// candidate, champion, retired or demoted.
    pub state: String,
    /// What was fitted.
    pub algorithm: String,
    /// Its inputs.
    pub feature_set_version: String,
    /// Settings of the fit.
    pub parameters: Value,
    /// Nothing known later was used.
    pub as_of: DateTime<Utc>,
    /// SHA-256 of the series it was fitted on.
    pub data_fingerprint: Vec<u8>,
    /// SHA-256 that its bytes had when it was registered.
    pub artifact_sha256: Vec<u8>,
    artifact: Vec<u8>,
}

impl Registered {
    /// Tells whether its bytes are those that were registered.
    fn is_intact(&self) -> bool {
        Sha256::digest(&self.artifact)[..] == self.artifact_sha256[..]
    }

    /// Reads the model, after checking that its bytes are those that were registered.
    pub fn open(&self) -> Result<Fitted, RegistryError> {
        let model_version_id = self.model_version_id;
        if !self.is_intact() {
            return Err(RegistryError::Hash(model_version_id));
        }
        if self.feature_set_version != FEATURE_SET_VERSION {
            let feature_set_version = self.feature_set_version.clone();
            return Err(RegistryError::FeatureSet { model_version_id, feature_set_version });
        }
        let read = || {
            let artifact: Artifact = serde_json::from_slice(&self.artifact)?;
            let model = models::restore(&artifact.algorithm, artifact.state)?;
            Ok(Fitted { model, intervals: artifact.intervals, directions: artifact.directions })
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
    find(db, model_name, marketplace, None).await
}

/// Returns a version.
pub async fn version(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    version: i32,
) -> Result<Option<Registered>, sqlx::Error> {
    find(db, model_name, marketplace, Some(version)).await
}

/// Returns a version, or without one the champion.
async fn find(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    version: Option<i32>,
) -> Result<Option<Registered>, sqlx::Error> {
    sqlx::query_as!(
        Registered,
        "select model_version_id, version, state, algorithm, feature_set_version, parameters, as_of, data_fingerprint,
                artifact_sha256, artifact
         from ml.model_versions
         where model_name = $1 and marketplace = $2 and (version = $3 or $3::integer is null and state = 'champion')",
        model_name.name(),
        marketplace.name(),
        version,
    )
    .fetch_optional(db)
    .await
}

/// Returns the version that predicted before the champion and can still be read: of those that were retired and never
/// demoted since, the one promoted last.
pub async fn previous_champion(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
) -> Result<Option<Registered>, sqlx::Error> {
    sqlx::query_as!(
        Registered,
        "select model_version_id, version, state, algorithm, feature_set_version, parameters, as_of, data_fingerprint,
                artifact_sha256, artifact
         from ml.model_versions
         where model_name = $1 and marketplace = $2 and state = 'retired' and feature_set_version = $3
           and sha256(artifact) = artifact_sha256
         order by promoted_at desc nulls last, version desc
         limit 1",
        model_name.name(),
        marketplace.name(),
        FEATURE_SET_VERSION,
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
    /// The champion it was held against, also where that could not be used.
    pub parent_model_version_id: Option<i64>,
    /// What was fitted.
    pub algorithm: &'static str,
    /// Settings of the fit.
    pub parameters: Value,
    /// First day of the first week it was fitted on.
    pub training_first_date: NaiveDate,
    /// First day of the last week.
    pub training_last_date: NaiveDate,
    /// Rows it was fitted on.
    pub training_row_count: usize,
    /// What allowed the data to train it.
    pub training_licence: Value,
    /// SHA-256 of the series.
    pub data_fingerprint: [u8; 32],
    /// How what it learnt from was distributed.
    pub training_inputs: TrainingInputs,
    /// The fitted model.
    pub artifact: Vec<u8>,
    /// Its backtest.
    pub metrics: Metrics,
    /// Whether it is to predict from now on.
    pub decision: Decision,
}

/// A version that was registered.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Identifier.
    pub model_version_id: i64,
    /// Counts from 1 per marketplace and model.
    pub version: i32,
    /// Whether it predicts from now on.
    pub is_champion: bool,
}

/// Registers a trained model under the next version and lets it predict if that was decided.
///
/// A decision counts only while the champion is still the one it was taken against.
pub async fn register(
    connection: &mut PgConnection,
    new: &NewVersion,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Stored, sqlx::Error> {
    let champion_id = lock(connection, new.model_name, new.marketplace).await?;
    let stored = insert(connection, new, as_of, now).await?;
    if !new.decision.is_promoted || champion_id != new.parent_model_version_id {
        return Ok(stored);
    }
    let change = Change {
        action: "promote_model",
        state_after: "retired",
        actor: ITSELF,
        reason: &new.decision.reason,
        evidence: json!(new.decision),
    };
    replace_champion(connection, new.model_name, new.marketplace, Some(stored.model_version_id), &change, now).await?;
    Ok(Stored { is_champion: true, ..stored })
}

/// Who decides when no operator does.
pub const ITSELF: &str = "digitallz";

/// Keeps others from changing the versions of a model until the end of the transaction, and returns the champion.
pub async fn lock(
    connection: &mut PgConnection,
    model_name: ModelName,
    marketplace: Marketplace,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtext('ml.model_versions ' || $1::text || ' ' || $2::text))",
        model_name.name(),
        marketplace.name(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar!(
        "select model_version_id from ml.model_versions
         where model_name = $1 and marketplace = $2 and state = 'champion'",
        model_name.name(),
        marketplace.name(),
    )
    .fetch_optional(connection)
    .await
}

/// Adds a trained model under the next version, as a candidate. The caller holds the [`lock`].
pub async fn insert(
    connection: &mut PgConnection,
    new: &NewVersion,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Stored, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"insert into ml.model_versions (model_name, marketplace, version, state, parent_model_version_id, algorithm,
             feature_set_version, parameters, as_of, trained_at, training_first_date, training_last_date,
             training_row_count, training_licence, data_fingerprint, artifact, artifact_sha256, metrics, decision,
             code_version, training_inputs)
         select $1, $2, coalesce(max(version), 0) + 1, 'candidate', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                $15, $16, $17, $18, $19
         from ml.model_versions where model_name = $1 and marketplace = $2
         returning model_version_id, version, false as "is_champion!""#,
        new.model_name.name(),
        new.marketplace.name(),
        new.parent_model_version_id,
        new.algorithm,
        FEATURE_SET_VERSION,
        new.parameters,
        as_of,
        now,
        new.training_first_date,
        new.training_last_date,
        new.training_row_count as i32,
        new.training_licence,
        &new.data_fingerprint[..],
        new.artifact,
        &Sha256::digest(&new.artifact)[..],
        Json(&new.metrics) as _,
        Json(&new.decision) as _,
        env!("CARGO_PKG_VERSION"),
        Json(&new.training_inputs) as _,
    )
    .fetch_one(connection)
    .await
}

/// Why another version predicts.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// promote_model, demote_model or roll_back_model.
    pub action: &'static str,
    /// What becomes of the champion: retired or demoted.
    pub state_after: &'static str,
    /// A person, or the program itself.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// What shows it.
    pub evidence: Value,
}

/// Lets a version predict in place of the champion, or none, and raises the event. The caller holds the [`lock`].
pub async fn replace_champion(
    connection: &mut PgConnection,
    model_name: ModelName,
    marketplace: Marketplace,
    successor_id: Option<i64>,
    change: &Change<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let version_before = sqlx::query_scalar!(
        "update ml.model_versions set state = $3
         where model_name = $1 and marketplace = $2 and state = 'champion'
         returning version",
        model_name.name(),
        marketplace.name(),
        change.state_after,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let version_after = sqlx::query_scalar!(
        "update ml.model_versions set state = 'champion', promoted_at = $2 where model_version_id = $1 returning version",
        successor_id,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let subject = format!("{marketplace} {model_name}");
    let detail = json!({
        "version_before": version_before,
        "version_after": version_after,
        "reason": change.reason,
        "evidence": change.evidence,
    });
    audit::record(connection, now, change.actor, change.action, &subject, detail).await
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
        let artifact = write_artifact(&LastValue, Intervals::default(), None).unwrap();
        let mut registered = Registered {
            model_version_id: 1,
            version: 1,
            state: "champion".to_owned(),
            algorithm: "last_value".to_owned(),
            feature_set_version: FEATURE_SET_VERSION.to_owned(),
            parameters: json!({}),
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
