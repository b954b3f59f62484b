//! Fits the models of every marketplace anew, backtests them, and lets the better one predict.

use chrono::{DateTime, Utc};
use digitallz_common::failure::{Failure, chain};
use digitallz_common::jobs::TrainModels;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::Attempt;
use tracing::{info, warn};

use crate::backtest::{self, CandidateError, Fold, Metrics, Plan, TRAINING_WEEKS_MIN};
use crate::features::{FeatureError, Panel};
use crate::intervals::Intervals;
use crate::models::{self, Model, ModelError};
use crate::registry::{self, NewVersion, Registered};
use crate::series::{self, History};
use crate::target::{ModelName, Target};
use crate::{Context, calibration, competition, entry, permission};

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The features could not be built.
    #[error("failed to build the features of {1} for {0}")]
    Features(&'static str, &'static str, #[source] FeatureError),
    /// A model could not be fitted.
    #[error("failed to fit a model of {1} for {0}")]
    Model(&'static str, &'static str, #[source] ModelError),
    /// The training panicked or was cancelled.
    #[error("the training of {1} for {0} was broken off")]
    BrokenOff(&'static str, &'static str, #[source] tokio::task::JoinError),
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Failure {
        Failure::retry(error)
    }
}

/// Trains both models of every marketplace on what was known at `job.as_of`.
///
/// A model becomes champion when there is none, or when its error is lower than the champion's on the same origins.
/// The naive models take part in the choice, so that no champion is worse than they are. A marketplace whose data may not
/// train is left out: its series are not even loaded.
pub async fn run(ctx: &Context, attempt: &Attempt, job: TrainModels) -> Result<(), Failure> {
    let mut trained = Vec::new();
    let mut entries = Vec::new();
    for marketplace in Marketplace::ALL {
        if !permission::may_train(&ctx.db, marketplace).await? {
            info!(%marketplace, "trained no model for {marketplace}: {}", permission::refusal(marketplace));
            continue;
        }
        let (demand, competition) = tokio::try_join!(
            train(ctx, ModelName::Demand, marketplace, job.as_of),
            train(ctx, ModelName::Competition, marketplace, job.as_of),
        )?;
        trained.extend(demand.into_iter().chain(competition));
        let scores = series::load(&ctx.db, ModelName::Competition, marketplace, job.as_of).await?;
        entries.extend(entry::train(&ctx.db, marketplace, job.as_of, &scores).await?);
    }

    let calibrations = calibration::measure(&ctx.db, job.as_of).await?;

    let mut tx = ctx.db.begin().await?;
    competition::publish_definitions(&mut tx).await?;
    for new in &entries {
        entry::register(&mut tx, new, job.as_of, ctx.clock.now()).await?;
    }
    for new in &trained {
        let version = registry::register(&mut tx, new, job.as_of, ctx.clock.now()).await?;
        info!(
            marketplace = %new.marketplace,
            model.name = new.model_name.name(),
            model.version = version,
            algorithm = new.algorithm,
            is_champion = new.is_champion,
            error = new.metrics.model_error,
            naive_error = new.metrics.naive_error,
            "trained {} for {} {}, version {version}",
            new.algorithm,
            new.marketplace,
            new.model_name.name(),
        );
    }
    calibration::register(&mut tx, &calibrations, job.as_of, ctx.clock.now()).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

async fn train(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    as_of: DateTime<Utc>,
) -> Result<Option<NewVersion>, Failure> {
    let histories = series::load(&ctx.db, model_name, marketplace, as_of).await?;
    let champion = registry::champion(&ctx.db, model_name, marketplace).await?;
    let learnt = tokio::task::spawn_blocking(move || learn(&histories, model_name, marketplace, champion.as_ref()))
        .await
        .map_err(|source| TrainError::BrokenOff(marketplace.name(), model_name.name(), source))?;
    Ok(learnt?)
}

/// Chooses, fits and measures a model; none when no keyword has a history long enough to learn from.
fn learn(
    histories: &[History],
    model_name: ModelName,
    marketplace: Marketplace,
    champion: Option<&Registered>,
) -> Result<Option<NewVersion>, TrainError> {
    let in_features = |source| TrainError::Features(marketplace.name(), model_name.name(), source);
    let in_model = |source| TrainError::Model(marketplace.name(), model_name.name(), source);

    let series = series::series_of(histories, Target::of(model_name, marketplace));
    let longest = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    if longest < TRAINING_WEEKS_MIN {
        info!(
            %marketplace,
            model.name = model_name.name(),
            keyword_count = histories.len(),
            "trained no {} model for {marketplace}: the longest history has {longest} weeks, {TRAINING_WEEKS_MIN} are needed",
            model_name.name(),
        );
        return Ok(None);
    }
    let data_fingerprint = series::fingerprint(&series);
    let panel = Panel::build(series, model_name).map_err(in_features)?;
    let plan = backtest::plan(&panel);
    let (mut best, metrics) = choose(&panel, &plan).map_err(in_model)?;
    let is_champion = match champion {
        Some(champion) => is_better(&panel, &plan, &best, &metrics, &data_fingerprint, champion),
        None => true,
    };

    let intervals = Intervals::from_residuals(&backtest::residuals(&panel, &best.folds, i32::MAX));
    best.model.fit(&panel, i32::MAX).map_err(in_model)?;
    Ok(Some(NewVersion {
        model_name,
        marketplace,
        algorithm: best.model.algorithm(),
        parameters: best.model.parameters(),
        training_row_count: panel.examples(1, i32::MAX).len(),
        data_fingerprint,
        artifact: registry::write_artifact(best.model.as_ref(), &intervals).map_err(in_model)?,
        metrics,
        is_champion,
    }))
}

/// A model with its backtest.
struct Candidate {
    model: Box<dyn Model>,
    folds: Vec<Fold>,
    error: Option<f64>,
}

/// Replays every model and returns the one with the lowest error; of equal ones the simplest.
fn choose(panel: &Panel, plan: &Plan) -> Result<(Candidate, Metrics), ModelError> {
    let mut tried = Vec::new();
    let mut best: Option<Candidate> = None;
    for mut model in models::all() {
        let folds = backtest::replay(panel, plan, model.as_mut())?;
        let error = backtest::mean_error(panel, &folds);
        tried.push(CandidateError { algorithm: model.algorithm().to_owned(), error });
        let is_lower = best.as_ref().is_none_or(|best| matches!((error, best.error), (Some(a), Some(b)) if a < b));
        if is_lower {
            best = Some(Candidate { model, folds, error });
        }
    }
    let best = best.expect("the list of models is not empty");
    let metrics = backtest::measure(panel, plan, &best.folds, tried)?;
    Ok((best, metrics))
}

/// Tells whether a candidate's error is lower than the champion's on the same origins.
///
/// At origins later than its training the champion is asked as it is. Before there are such, its algorithm is fitted
/// anew at each origin like the candidate's: the same algorithm is then never better than itself.
fn is_better(
    panel: &Panel,
    plan: &Plan,
    best: &Candidate,
    metrics: &Metrics,
    data_fingerprint: &[u8; 32],
    champion: &Registered,
) -> bool {
    let model = match champion.open() {
        Ok((model, _)) => model,
        Err(error) => {
            warn!(error = %chain(&error), "replacing a champion that cannot be used");
            return true;
        }
    };
    if champion.algorithm == best.model.algorithm() && champion.data_fingerprint == data_fingerprint {
        return false;
    }
    let known_until = series::week_of(champion.as_of.date_naive());
    let champion_folds = backtest::replay_fitted(panel, plan, model.as_ref(), known_until);
    let champion_error = backtest::mean_error(panel, &champion_folds);
    let later: Vec<Fold> = best.folds.iter().filter(|fold| fold.origin >= known_until).cloned().collect();
    let (error, champion_error) = match champion_error {
        Some(_) => (backtest::mean_error(panel, &later), champion_error),
        None => {
            let same = metrics.candidates.iter().find(|candidate| candidate.algorithm == champion.algorithm);
            (best.error, same.and_then(|candidate| candidate.error))
        }
    };
    matches!((error, champion_error), (Some(error), Some(champion_error)) if error < champion_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn training_twice_on_the_same_data_gives_the_same_bytes() {
        let train = || {
            let histories = synthetic::counts(31, 5, 70);
            learn(&histories, ModelName::Demand, Marketplace::Ebay, None).unwrap().unwrap()
        };
        let (first, second) = (train(), train());
        assert_eq!(first.artifact, second.artifact);
        assert_eq!(first.data_fingerprint, second.data_fingerprint);
        assert_eq!(first.metrics, second.metrics);
        assert!(first.is_champion && first.metrics.origins.len() >= 4);
        assert!(first.metrics.model_error <= first.metrics.naive_error);
    }

    #[test]
    fn too_little_history_trains_nothing() {
        let histories = synthetic::counts(32, 5, 11);
        assert!(learn(&histories, ModelName::Demand, Marketplace::Ebay, None).unwrap().is_none());
        assert!(learn(&[], ModelName::Competition, Marketplace::Etsy, None).unwrap().is_none());
    }

    #[test]
    fn a_short_history_gives_a_naive_champion_with_its_name() {
        let histories = synthetic::counts(33, 4, 13);
        let new = learn(&histories, ModelName::Demand, Marketplace::Ebay, None).unwrap().unwrap();
        assert_eq!(new.algorithm, "seasonal_naive");
        assert!(new.metrics.model_error.is_some());
    }
}
