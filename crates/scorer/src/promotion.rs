//! Promotion: which model may predict. None that does not beat seasonal naive and the champion by more than noise, predicts
//! histories of any class worse, or whose intervals hold less than they promise.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::backtest::{self, Fold, Plan};
use crate::bootstrap::Comparison;
use crate::features::Panel;
use crate::history_class::HistoryClass;
use crate::intervals::Coverage;
use crate::material::{Material, TrainError};
use crate::models::{Model, ModelError, SeasonalNaive};
use crate::registry::{self, Fitted, Registered};
use crate::series;
use crate::target::ModelName;

/// By this share of its error a class of histories may be predicted worse than it is now.
const CLASS_TOLERANCE: f64 = 0.02;

/// By how much the intervals of a candidate may hold less than they promise. That they hold more is no reason to refuse it: they
/// learn from errors that it made when it knew less.
const COVERAGE_TOLERANCE: f64 = 0.03;

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
    /// Beside both with histories of each class that it predicted.
    pub classes: Vec<ClassComparison>,
    /// How often its intervals held, and those of seasonal naive; none where the backtest saw too little.
    pub coverages: Vec<CoverageComparison>,
}

/// A candidate beside those that could predict in its place, with histories of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassComparison {
    /// The class.
    pub history_class: HistoryClass,
    /// Beside seasonal naive.
    pub against_naive: Comparison,
    /// Beside the champion.
    pub against_champion: Option<Comparison>,
}

/// How often the intervals of a candidate held, and those of seasonal naive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageComparison {
    /// Of the candidate.
    pub candidate: Coverage,
    /// Of seasonal naive; absent where it had no intervals.
    pub naive: Option<Coverage>,
}

/// A champion with what it says at the origins of a backtest.
#[derive(Debug)]
pub struct Rival {
    /// Its version.
    pub version: i32,
    /// What it says.
    pub folds: Vec<Fold>,
}

/// Decides whether a candidate may predict, by what it said at the origins of a backtest: it has to be better than seasonal
/// naive and the champion, not worse than either with histories of any class, and its intervals have to hold what they promise.
pub fn decide(
    panel: &Panel,
    plan: &Plan,
    candidate: &[Fold],
    champion: Option<&Rival>,
) -> Result<Decision, ModelError> {
    let naive = backtest::replay(panel, plan, &mut SeasonalNaive)?;
    let against_naive = compare(panel, candidate, &naive);
    let against_champion = champion.map(|rival| compare(panel, candidate, &rival.folds));
    let classes: Vec<ClassComparison> = HistoryClass::ALL
        .into_iter()
        .map(|history_class| {
            let of_class = |folds: &[Fold]| backtest::of_class(panel, folds, history_class);
            let compare = |others: &[Fold]| compare(panel, &of_class(candidate), &of_class(others));
            let against_champion = champion.map(|rival| compare(&rival.folds));
            ClassComparison { history_class, against_naive: compare(&naive), against_champion }
        })
        .filter(|comparison| comparison.against_naive.keyword_count > 0)
        .collect();
    let coverages = compare_coverages(panel, candidate, &naive);
    let others = named(champion, &against_naive, against_champion.as_ref());
    let refusal = why_not(champion, &others, &classes, &coverages);
    let is_promoted = refusal.is_none();
    let reason = refusal.unwrap_or_else(|| {
        let gains: Vec<String> =
            others.iter().map(|(name, comparison)| format!("than {name} ({})", comparison.explain())).collect();
        format!("better {}", gains.join(" and "))
    });
    Ok(Decision { is_promoted, reason, against_naive, against_champion, classes, coverages })
}

/// Returns what a candidate was held against, by name.
fn named<'a>(
    champion: Option<&Rival>,
    against_naive: &'a Comparison,
    against_champion: Option<&'a Comparison>,
) -> Vec<(String, &'a Comparison)> {
    let version = champion.map(|rival| format!("version {}", rival.version));
    [("seasonal naive".to_owned(), against_naive)].into_iter().chain(version.zip(against_champion)).collect()
}

/// Returns why a candidate may not predict; nothing where it may.
fn why_not(
    champion: Option<&Rival>,
    others: &[(String, &Comparison)],
    classes: &[ClassComparison],
    coverages: &[CoverageComparison],
) -> Option<String> {
    if let Some((name, comparison)) = others.iter().find(|(_, comparison)| !comparison.is_beyond_noise()) {
        return Some(format!("not better than {name} by more than noise: {}", comparison.explain()));
    }
    for class in classes {
        let others = named(champion, &class.against_naive, class.against_champion.as_ref());
        if let Some((name, comparison)) = others.iter().find(|(_, other)| other.is_worse_by(CLASS_TOLERANCE)) {
            let explained = comparison.explain();
            return Some(format!("worse than {name} with histories of {}: {explained}", class.history_class));
        }
    }
    let CoverageComparison { candidate, naive } = coverages.iter().find(|coverage| coverage.is_too_narrow())?;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let beside = naive.map(|naive| format!(", {} in those of seasonal naive", percent(naive.value)));
    let (held, promised) = (percent(candidate.value), 100.0 * candidate.promised);
    Some(format!(
        "too sure of itself: {held} of what came lay in its {promised:.0} % intervals{}",
        beside.unwrap_or_default()
    ))
}

impl CoverageComparison {
    /// Tells whether the candidate's intervals hold less than they promise, and less than those of seasonal naive by as much as is
    /// not tolerated: when the market moves as it never did, nobody's hold.
    fn is_too_narrow(&self) -> bool {
        let Coverage { promised, value, .. } = self.candidate;
        let is_below_naive = self.naive.is_none_or(|naive| value < naive.value - COVERAGE_TOLERANCE);
        self.candidate.is_off() && value < promised && is_below_naive
    }
}

fn compare_coverages(panel: &Panel, candidate: &[Fold], naive: &[Fold]) -> Vec<CoverageComparison> {
    let [candidate, naive] = [candidate, naive].map(|folds| backtest::keyword_coverages(panel, folds));
    let of = |promised: f64, share: fn(&(f64, f64)) -> f64| {
        let coverage = |shares: &BTreeMap<i64, (f64, f64)>| {
            Coverage::of(promised, COVERAGE_TOLERANCE, &shares.values().map(share).collect::<Vec<f64>>())
        };
        Some(CoverageComparison { candidate: coverage(&candidate)?, naive: coverage(&naive) })
    };
    [of(0.8, |shares| shares.0), of(0.95, |shares| shares.1)].into_iter().flatten().collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{HORIZON_COUNT, Row};
    use crate::intervals::Ends;
    use crate::series::series_of;
    use crate::synthetic;
    use crate::target::Target;

    /// Makes a panel of which every second keyword is known for 40 weeks and the others for two years.
    fn panel() -> (Panel, Plan) {
        let mut histories = synthetic::counts(41, 40, 112);
        for history in histories.iter_mut().step_by(2) {
            history.weeks.drain(..72);
        }
        let panel = Panel::build(series_of(&histories, Target::AuctionBids), &[]).unwrap();
        let plan = backtest::plan(&panel);
        (panel, plan)
    }

    /// Says what seasonal naive says, moved by a share of the way to what came.
    fn moved(panel: &Panel, plan: &Plan, share: fn(&Row) -> f64) -> Vec<Fold> {
        let mut folds = backtest::replay(panel, plan, &mut SeasonalNaive).unwrap();
        for fold in &mut folds {
            for (&row, answer) in fold.rows.iter().zip(&mut fold.answers) {
                for (index, point) in answer.points.iter_mut().enumerate() {
                    *point +=
                        share(&panel.rows[row]) * panel.actual(row, index + 1).map_or(0.0, |actual| actual - *point);
                }
            }
        }
        folds
    }

    fn is_short(row: &Row) -> bool {
        row.observed_count < 52
    }

    #[test]
    fn what_is_better_everywhere_predicts() {
        let (panel, plan) = panel();
        let decision = decide(&panel, &plan, &moved(&panel, &plan, |_| 0.5), None).unwrap();
        assert!(decision.is_promoted && decision.reason.starts_with("better than seasonal naive (a gain of "));
        let classes: Vec<HistoryClass> = decision.classes.iter().map(|class| class.history_class).collect();
        assert!(classes.contains(&HistoryClass::UnderAYear) && classes.contains(&HistoryClass::UnderTwoYears));
        assert_eq!(decision.coverages.len(), 2);
    }

    #[test]
    fn what_is_worse_with_short_histories_does_not_predict() {
        let (panel, plan) = panel();
        let spoilt = moved(&panel, &plan, |row| if is_short(row) { -0.2 } else { 0.9 });
        let decision = decide(&panel, &plan, &spoilt, None).unwrap();
        assert!(decision.against_naive.is_beyond_noise() && !decision.is_promoted);
        let expected = "worse than seasonal naive with histories of 8 to 51 weeks: a gain of -";
        assert!(decision.reason.starts_with(expected), "{}", decision.reason);

        let champion = Rival { version: 3, folds: moved(&panel, &plan, |row| if is_short(row) { 0.5 } else { 0.2 }) };
        let spoilt = moved(&panel, &plan, |row| if is_short(row) { 0.3 } else { 0.9 });
        let decision = decide(&panel, &plan, &spoilt, Some(&champion)).unwrap();
        assert!(decision.against_champion.unwrap().is_beyond_noise() && !decision.is_promoted);
        let expected = "worse than version 3 with histories of 8 to 51 weeks: a gain of -";
        assert!(decision.reason.starts_with(expected), "{}", decision.reason);
    }

    #[test]
    fn what_is_too_sure_of_itself_does_not_predict() {
        let (panel, plan) = panel();
        let mut folds = moved(&panel, &plan, |_| 0.5);
        for answer in folds.iter_mut().flat_map(|fold| &mut fold.answers) {
            let ends = |index: usize| {
                let point = answer.points[index];
                Ends { lo_95: point, lo_80: point, hi_80: point, hi_95: point }
            };
            answer.ends = Some(std::array::from_fn::<Ends, HORIZON_COUNT, _>(ends));
        }
        let decision = decide(&panel, &plan, &folds, None).unwrap();
        assert!(decision.against_naive.is_beyond_noise() && !decision.is_promoted);
        let expected = "too sure of itself: 0.0 % of what came lay in its 80 % intervals, ";
        assert!(decision.reason.starts_with(expected), "{}", decision.reason);
    }
}
