//! What models are fitted on: the series of a marketplace as they were known at a moment, and what allows to use them.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_policy;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::backtest::TRAINING_WEEKS_MIN;
use crate::features::{self, FeatureError, Panel};
use crate::models::ModelError;
use crate::permission;
use crate::registry::RegistryError;
use crate::series::{self, History, Series, sunday_of};
use crate::target::{ModelName, Target};

/// Why models could not be fitted or replayed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data may not train a model, or are too few.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error("failed to load what models are made from")]
    Database(#[from] sqlx::Error),
    /// The features could not be built.
    #[error("failed to build the features of {1} for {0}")]
    Features(Marketplace, ModelName, #[source] FeatureError),
    /// A model could not be fitted.
    #[error("failed to fit a model of {1} for {0}")]
    Model(Marketplace, ModelName, #[source] ModelError),
    /// A registered model cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The computation panicked or was cancelled.
    #[error("the training of {1} for {0} was broken off")]
    BrokenOff(Marketplace, ModelName, #[source] tokio::task::JoinError),
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Failure {
        match error {
            TrainError::Registry(error) => error.into(),
            error => Failure::retry(error),
        }
    }
}

/// The series of a marketplace on the scale of a model; of very many keywords, those of some.
#[derive(Clone, Debug)]
pub struct Material {
    /// What is to be predicted.
    pub model_name: ModelName,
    /// Whose keywords.
    pub marketplace: Marketplace,
    /// The series, at least one of them long enough to learn from.
    pub series: Vec<Series>,
    /// The policy of the marketplace, the acknowledged terms, the resources the series came from, and the other marketplaces whose
    /// demand for the same texts stands beside them.
    pub licence: Value,
}

impl Material {
    /// Loads what was known at a moment, unless nothing may or can be learnt from it.
    pub async fn gather(
        db: &PgPool,
        model_name: ModelName,
        marketplace: Marketplace,
        as_of: DateTime<Utc>,
    ) -> Result<Material, TrainError> {
        let policy = source_policy::get(&mut *db.acquire().await?, marketplace).await?;
        if !policy.rules.may_train {
            // Its series are not even loaded.
            return Err(TrainError::Refused(permission::refusal(marketplace)));
        }
        let keyword_ids = series::taught_keywords(db, marketplace, as_of).await?;
        let mut histories = series::load(db, model_name, marketplace, &keyword_ids, as_of).await?;
        series::add_beside(db, model_name, marketplace, &keyword_ids, as_of, &mut histories).await?;
        let resources: BTreeSet<&String> = histories.iter().flat_map(|history| &history.sources).collect();
        let acknowledged = policy.acknowledged.as_ref();
        let licence = json!({
            "may_train": policy.rules.may_train,
            "policy_updated_at": policy.updated_at,
            "terms_version": acknowledged.map(|acknowledged| &acknowledged.terms_version),
            "acknowledged_by": acknowledged.map(|acknowledged| &acknowledged.acknowledged_by),
            "acknowledged_at": acknowledged.map(|acknowledged| acknowledged.acknowledged_at),
            "resources": resources,
            "other_marketplaces": elsewhere(model_name, marketplace, &histories),
        });
        let series = series::series_of(&histories, Target::of(model_name, marketplace));
        let material = Material { model_name, marketplace, series, licence };
        match material.refusal() {
            Some(reason) => Err(TrainError::Refused(reason)),
            None => Ok(material),
        }
    }

    /// Says why the series are too short to learn from.
    fn refusal(&self) -> Option<String> {
        let longest = self.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        (longest < TRAINING_WEEKS_MIN)
            .then(|| format!("the longest history has {longest} weeks, {TRAINING_WEEKS_MIN} are needed"))
    }

    /// Builds the features of every week.
    pub fn panel(&self) -> Result<Panel, TrainError> {
        Panel::build(self.series.clone(), features::families(self.model_name))
            .map_err(|source| TrainError::Features(self.marketplace, self.model_name, source))
    }

    /// Returns the first days of the first and the last week.
    pub fn window(&self) -> (NaiveDate, NaiveDate) {
        let first_week = self.series.iter().map(|series| series.first_week).min().unwrap_or(0);
        let last_week = self.series.iter().map(Series::last_week).max().unwrap_or(0);
        (sunday_of(first_week), sunday_of(last_week))
    }

    /// Says of which model an error is.
    pub fn in_model(&self, source: ModelError) -> TrainError {
        TrainError::Model(self.marketplace, self.model_name, source)
    }

    /// Computes with the material, away from the threads that wait for the database.
    pub async fn compute<Answer: Send + 'static>(
        self,
        of: impl FnOnce(&Material) -> Result<Answer, TrainError> + Send + 'static,
    ) -> Result<Answer, TrainError> {
        let (marketplace, model_name) = (self.marketplace, self.model_name);
        tokio::task::spawn_blocking(move || of(&self))
            .await
            .map_err(|source| TrainError::BrokenOff(marketplace, model_name, source))?
    }
}

/// Returns the other marketplaces of which the histories know something.
fn elsewhere(model_name: ModelName, marketplace: Marketplace, histories: &[History]) -> Vec<&'static str> {
    if model_name == ModelName::Competition {
        return Vec::new();
    }
    let is_known = |place: usize| {
        let weeks = || histories.iter().flat_map(|history| &history.weeks);
        weeks().any(|week| week.beside.get(place).is_some_and(|value| !value.is_nan()))
    };
    let others = series::others(marketplace).enumerate();
    others.filter(|(place, _)| is_known(*place)).map(|(_, other)| other.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn too_little_history_is_refused_with_its_length() {
        let target = Target::of(ModelName::Demand, Marketplace::Ebay);
        let material = |weeks| Material {
            model_name: ModelName::Demand,
            marketplace: Marketplace::Ebay,
            series: series::series_of(&synthetic::counts(32, 5, weeks), target),
            licence: json!({}),
        };
        assert_eq!(material(11).refusal().as_deref(), Some("the longest history has 11 weeks, 12 are needed"));
        assert_eq!(material(12).refusal(), None);
        let empty = Material { series: Vec::new(), ..material(12) };
        assert_eq!(empty.refusal().as_deref(), Some("the longest history has 0 weeks, 12 are needed"));
    }
}
