//! Fits the models of every marketplace anew, backtests them, and lets one predict that is better by more than noise.

use chrono::{DateTime, Utc};
use digitallz_common::failure::{Failure, chain};
use digitallz_common::jobs::TrainModels;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::Attempt;
use serde::Serialize;
use sqlx::PgPool;
use tracing::{info, warn};

use crate::backtest::{self, CandidateError, Fold, Metrics, Plan};
use crate::bootstrap::Comparison;
use crate::drift::TrainingInputs;
use crate::features::Panel;
use crate::forecasting::direction::Directions;
use crate::intervals::{Intervals, RESIDUALS_MIN};
use crate::material::{Material, TrainError};
use crate::models::{self, Model, ModelError, SeasonalNaive};
use crate::promotion::{self, Decision, Rival};
use crate::registry::{self, NewVersion, Registered};
use crate::series;
use crate::target::ModelName;
use crate::{Context, calibration, competition, entry, permission};

/// Trains both models of every marketplace on what was known at `job.as_of`.
///
/// A model becomes champion when it beats seasonal naive and the champion by more than noise; where nothing predicts yet and
/// nothing beats it, seasonal naive does. A marketplace whose data may not train is left out.
pub async fn run(ctx: &Context, attempt: &Attempt, job: TrainModels) -> Result<(), Failure> {
    let mut trained = Vec::new();
    let mut entries = Vec::new();
    for marketplace in Marketplace::ALL {
        let (demand, competition) = tokio::join!(
            train(&ctx.db, ModelName::Demand, marketplace, job.as_of),
            train(&ctx.db, ModelName::Competition, marketplace, job.as_of),
        );
        for (model_name, learnt) in [(ModelName::Demand, demand), (ModelName::Competition, competition)] {
            match learnt {
                Ok(new) => trained.push(new),
                Err(TrainError::Refused(reason)) => {
                    info!(%marketplace, model.name = %model_name, "trained no {model_name} model for {marketplace}: {reason}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        if permission::may_train(&ctx.db, marketplace).await? {
            let keyword_ids = series::taught_keywords(&ctx.db, marketplace, job.as_of).await?;
            let competition = ModelName::Competition;
            let mut scores = series::load(&ctx.db, competition, marketplace, &keyword_ids, job.as_of).await?;
            series::add_beside(&ctx.db, competition, marketplace, &keyword_ids, job.as_of, &mut scores).await?;
            entries.extend(entry::train(&ctx.db, marketplace, &keyword_ids, job.as_of, &scores).await?);
        }
    }

    let calibrations = calibration::measure(&ctx.db, job.as_of).await?;

    let mut tx = ctx.db.begin().await?;
    competition::publish_definitions(&mut tx).await?;
    for new in &entries {
        entry::register(&mut tx, new, job.as_of, ctx.clock.now()).await?;
    }
    for new in &trained {
        let stored = registry::register(&mut tx, new, job.as_of, ctx.clock.now()).await?;
        info!(
            marketplace = %new.marketplace,
            model.name = %new.model_name,
            model.version = stored.version,
            algorithm = new.algorithm,
            is_champion = stored.is_champion,
            error = new.metrics.model_error,
            naive_error = new.metrics.naive_error,
            "trained {} for {} {}, version {}: {}",
            new.algorithm,
            new.marketplace,
            new.model_name,
            stored.version,
            new.decision.reason,
        );
    }
    calibration::register(&mut tx, &calibrations, job.as_of, ctx.clock.now()).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Chooses, fits and measures a model on what was known at a moment.
pub async fn train(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    as_of: DateTime<Utc>,
) -> Result<NewVersion, TrainError> {
    let material = Material::gather(db, model_name, marketplace, as_of).await?;
    let champion = registry::champion(db, model_name, marketplace).await?;
    material.compute(move |material| learn(material, champion.as_ref())).await
}

/// Makes seasonal naive a version, to predict where no other model may.
pub async fn train_naive(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    as_of: DateTime<Utc>,
) -> Result<NewVersion, TrainError> {
    let material = Material::gather(db, model_name, marketplace, as_of).await?;
    let naive = material.compute(move |material| {
        let panel = material.panel()?;
        let plan = backtest::plan(&panel);
        let in_model = |source| material.in_model(source);
        let candidate = Candidate::replay(&panel, &plan, Box::new(SeasonalNaive)).map_err(in_model)?;
        let mut decision = promotion::decide(&panel, &plan, &candidate.folds, None).map_err(in_model)?;
        decision.is_promoted = true;
        decision.reason = "no other model may predict".to_owned();
        finish(material, &panel, &plan, candidate, Vec::new(), decision).map_err(in_model)
    });
    naive.await
}

/// How an algorithm does, fitted anew at each origin.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// Whose keywords.
    pub marketplace: Marketplace,
    /// What is predicted.
    pub model_name: ModelName,
    /// What was fitted.
    pub algorithm: String,
    /// Its errors beside those of the naive models.
    pub metrics: Metrics,
    /// Beside seasonal naive, keyword by keyword.
    pub against_naive: Comparison,
}

/// Replays every algorithm on what was known at a moment, the simplest first.
pub async fn backtest(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    as_of: DateTime<Utc>,
) -> Result<Vec<Tried>, TrainError> {
    let material = Material::gather(db, model_name, marketplace, as_of).await?;
    let tried = material.compute(move |material| {
        let panel = material.panel()?;
        let plan = backtest::plan(&panel);
        let in_model = |source| material.in_model(source);
        let naive = backtest::replay(&panel, &plan, &mut SeasonalNaive).map_err(in_model)?;
        let candidates = try_all(&panel, &plan).map_err(in_model)?;
        let tried = candidates.iter().map(|candidate| {
            Ok(Tried {
                marketplace,
                model_name,
                algorithm: candidate.model.algorithm().to_owned(),
                metrics: backtest::measure(&panel, &plan, &candidate.folds, Vec::new())?,
                against_naive: promotion::compare(&panel, &candidate.folds, &naive),
            })
        });
        tried.collect::<Result<Vec<Tried>, ModelError>>().map_err(in_model)
    });
    tried.await
}

/// Chooses, fits and measures a model, and decides whether it is to predict.
fn learn(material: &Material, champion: Option<&Registered>) -> Result<NewVersion, TrainError> {
    let panel = material.panel()?;
    let plan = backtest::plan(&panel);
    let in_model = |source| material.in_model(source);
    let candidates = try_all(&panel, &plan).map_err(in_model)?;
    let errors: Vec<CandidateError> = candidates.iter().map(Candidate::to_error).collect();
    let rival = match champion {
        Some(champion) => rival(&panel, &plan, champion, &candidates).map_err(in_model)?,
        None => None,
    };
    let mut chosen = lowest(candidates);
    let mut decision = promotion::decide(&panel, &plan, &chosen.folds, rival.as_ref()).map_err(in_model)?;
    if rival.is_none() && !decision.is_promoted {
        decision.is_promoted = true;
        decision.reason = format!(
            "seasonal naive predicts until a model beats it: {} is {}",
            chosen.model.algorithm(),
            decision.reason
        );
        chosen = Candidate::replay(&panel, &plan, Box::new(SeasonalNaive)).map_err(in_model)?;
    }
    let new = finish(material, &panel, &plan, chosen, errors, decision).map_err(in_model)?;
    Ok(NewVersion { parent_model_version_id: champion.map(|champion| champion.model_version_id), ..new })
}

/// A model with its backtest.
struct Candidate {
    model: Box<dyn Model>,
    folds: Vec<Fold>,
    error: Option<f64>,
}

impl Candidate {
    fn replay(panel: &Panel, plan: &Plan, mut model: Box<dyn Model>) -> Result<Candidate, ModelError> {
        let folds = backtest::replay(panel, plan, model.as_mut())?;
        let error = backtest::mean_error(panel, &folds);
        Ok(Candidate { model, folds, error })
    }

    fn to_error(&self) -> CandidateError {
        CandidateError { algorithm: self.model.algorithm().to_owned(), error: self.error }
    }
}

/// Replays every model, the simplest first.
fn try_all(panel: &Panel, plan: &Plan) -> Result<Vec<Candidate>, ModelError> {
    models::all().into_iter().map(|model| Candidate::replay(panel, plan, model)).collect()
}

/// Returns the candidate with the lowest error; of equal ones the simplest.
fn lowest(candidates: Vec<Candidate>) -> Candidate {
    let mut candidates = candidates.into_iter();
    let mut best = candidates.next().expect("the list of models is not empty");
    for candidate in candidates {
        if matches!((candidate.error, best.error), (Some(error), Some(least)) if error < least) {
            best = candidate;
        }
    }
    best
}

/// Returns what the champion says at the origins; nothing when it cannot be used.
fn rival(
    panel: &Panel,
    plan: &Plan,
    champion: &Registered,
    candidates: &[Candidate],
) -> Result<Option<Rival>, ModelError> {
    let mut model = match champion.open() {
        Ok(fitted) => fitted.model,
        Err(error) => {
            warn!(error = %chain(&error), "replacing a champion that cannot be used");
            return Ok(None);
        }
    };
    let same = candidates.iter().find(|candidate| candidate.model.algorithm() == champion.algorithm);
    let replayed = same.map(|same| &same.folds[..]);
    let folds = promotion::folds_of(panel, plan, champion, model.as_mut(), replayed)?;
    Ok(Some(Rival { version: champion.version, folds }))
}

/// Fits a model on everything and makes it a version.
fn finish(
    material: &Material,
    panel: &Panel,
    plan: &Plan,
    candidate: Candidate,
    candidates: Vec<CandidateError>,
    decision: Decision,
) -> Result<NewVersion, ModelError> {
    let Candidate { mut model, folds, .. } = candidate;
    let (training_first_date, training_last_date) = material.window();
    Ok(NewVersion {
        model_name: material.model_name,
        marketplace: material.marketplace,
        parent_model_version_id: None,
        algorithm: model.algorithm(),
        parameters: model.parameters(),
        training_first_date,
        training_last_date,
        training_row_count: panel.examples(1, i32::MAX).len(),
        training_licence: material.licence.clone(),
        data_fingerprint: series::fingerprint(&material.series),
        training_inputs: TrainingInputs::of(panel),
        artifact: artifact(panel, model.as_mut(), &folds)?,
        metrics: backtest::measure(panel, plan, &folds, candidates)?,
        decision,
    })
}

/// Fits a model on everything and writes it, with intervals and directions that follow from its backtest unless it
/// knows its own.
pub(crate) fn artifact(panel: &Panel, model: &mut dyn Model, folds: &[Fold]) -> Result<Vec<u8>, ModelError> {
    let knows_its_own = folds.iter().flat_map(|fold| &fold.answers).any(|answer| answer.ends.is_some());
    let (intervals, directions) = if knows_its_own {
        (Intervals::default(), None)
    } else {
        let missed = backtest::missed_means(panel, folds);
        let directions = (missed.len() >= RESIDUALS_MIN).then(|| Directions::of(missed));
        (Intervals::from_residuals(&backtest::residuals(panel, folds, i32::MAX)), directions)
    };
    model.fit(panel, i32::MAX)?;
    registry::write_artifact(model, intervals, directions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::synthetic;
    use crate::target::Target;

    fn material(seed: u64, keyword_count: i64, week_count: i32) -> Material {
        let histories = synthetic::counts(seed, keyword_count, week_count);
        let target = Target::of(ModelName::Demand, Marketplace::Ebay);
        Material {
            model_name: ModelName::Demand,
            marketplace: Marketplace::Ebay,
            series: series::series_of(&histories, target),
            licence: json!({}),
        }
    }

    #[test]
    fn training_twice_on_the_same_data_gives_the_same_bytes() {
        let train = || learn(&material(31, 8, 70), None).unwrap();
        let (first, second) = (train(), train());
        assert_eq!(first.artifact, second.artifact);
        assert_eq!(first.data_fingerprint, second.data_fingerprint);
        assert_eq!((&first.metrics, &first.decision), (&second.metrics, &second.decision));
        assert!(first.decision.is_promoted && first.metrics.origins.len() >= 4);
        assert!(first.metrics.model_error <= first.metrics.naive_error);
    }

    #[test]
    fn a_short_history_gives_a_naive_champion_with_its_name() {
        let new = learn(&material(33, 4, 13), None).unwrap();
        assert_eq!(new.algorithm, "seasonal_naive");
        assert!(new.metrics.model_error.is_some());
        assert!(new.decision.reason.starts_with("seasonal naive predicts until a model beats it"));
    }
}
