//! Promotion: which model may predict. None that does not beat seasonal naive and the champion by more than noise.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::backtest::{self, Fold, Plan};
use crate::bootstrap::Comparison;
use crate::features::Panel;
use crate::material::{Material, TrainError};
use crate::models::{Model, ModelError, SeasonalNaive};
use crate::registry::{self, Fitted, Registered};
use crate::series;
use crate::target::ModelName;

/// Whether a model is to predict, and what it was held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it is to predict from now on.
    pub is_promoted: bool,
    /// Why.
    pub reason: String,
    /// Beside seasonal naive on the same origins.
    pub against_naive: Comparison,
    /// Beside the champion on the same origins; absent without one that can be used.
    pub against_champion: Option<Comparison>,
}

/// A champion with what it says at the origins of a backtest.
#[derive(Debug)]
pub struct Rival {
    /// Its version.
    pub version: i32,
    /// What it says.
    pub folds: Vec<Fold>,
}

/// Decides whether a candidate may predict, by what it said at the origins of a backtest.
pub fn decide(
    panel: &Panel,
    plan: &Plan,
    candidate: &[Fold],
    champion: Option<&Rival>,
) -> Result<Decision, ModelError> {
    let naive = backtest::replay(panel, plan, &mut SeasonalNaive)?;
    let against_naive = compare(panel, candidate, &naive);
    let against_champion = champion.map(|rival| (rival.version, compare(panel, candidate, &rival.folds)));
    let in_naive = against_naive.explain();
    let reason = match &against_champion {
        _ if !against_naive.is_beyond_noise() => {
            format!("not better than seasonal naive by more than noise: {in_naive}")
        }
        Some((version, against)) if !against.is_beyond_noise() => {
            format!("not better than version {version} by more than noise: {}", against.explain())
        }
        Some((version, against)) => {
            format!("better than seasonal naive ({in_naive}) and than version {version} ({})", against.explain())
        }
        None => format!("better than seasonal naive: {in_naive}"),
    };
    let against_champion = against_champion.map(|(_, comparison)| comparison);
    Ok(Decision {
        is_promoted: against_naive.is_beyond_noise()
            && against_champion.as_ref().is_none_or(Comparison::is_beyond_noise),
        reason,
        against_naive,
        against_champion,
    })
}

/// Compares two models at the origins at which both stood.
pub fn compare(panel: &Panel, one: &[Fold], other: &[Fold]) -> Comparison {
    let shared = |folds: &[Fold], others: &[Fold]| -> Vec<Fold> {
        let is_shared = |fold: &&Fold| others.iter().any(|other| other.origin == fold.origin);
        folds.iter().filter(is_shared).cloned().collect()
    };
    let errors = backtest::keyword_errors(panel, &shared(one, other));
    let other_errors = backtest::keyword_errors(panel, &shared(other, one));
    Comparison::of(&errors, &other_errors)
}

/// Returns what a registered model says at the origins of a backtest.
///
/// At origins later than its training it is asked as it is. Before there are such, its algorithm is fitted anew at each
/// origin, unless that was done already: the same algorithm is then never better than itself.
pub fn folds_of(
    panel: &Panel,
    plan: &Plan,
    registered: &Registered,
    model: &mut dyn Model,
    replayed: Option<&[Fold]>,
) -> Result<Vec<Fold>, ModelError> {
    let known_until = series::week_of(registered.as_of.date_naive());
    let later = backtest::replay_fitted(panel, plan, model, known_until);
    if backtest::mean_error(panel, &later).is_some() {
        return Ok(later);
    }
    match replayed {
        Some(folds) => Ok(folds.to_vec()),
        None => backtest::replay(panel, plan, model),
    }
}

/// Holds a registered version against seasonal naive and the champion, on what was known at a moment.
pub async fn weigh(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    candidate: Registered,
    as_of: DateTime<Utc>,
) -> Result<Decision, TrainError> {
    let material = Material::gather(db, model_name, marketplace, as_of).await?;
    let champion = registry::champion(db, model_name, marketplace).await?;
    let decision = material.compute(move |material| {
        let panel = material.panel()?;
        let plan = backtest::plan(&panel);
        let folds = |registered: &Registered, mut fitted: Fitted| {
            let model = fitted.model.as_mut();
            folds_of(&panel, &plan, registered, model, None).map_err(|source| material.in_model(source))
        };
        let fitted = candidate.open()?;
        let candidate = folds(&candidate, fitted)?;
        // One that cannot be read will be demoted before it predicts again.
        let champion = champion.and_then(|champion| champion.open().ok().map(|fitted| (champion, fitted)));
        let champion = match champion {
            Some((champion, fitted)) => Some(Rival { version: champion.version, folds: folds(&champion, fitted)? }),
            None => None,
        };
        decide(&panel, &plan, &candidate, champion.as_ref()).map_err(|source| material.in_model(source))
    });
    decision.await
}
