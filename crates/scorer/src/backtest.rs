//! The backtest: the very code that predicts is replayed at past weeks, each time knowing only what came before.
//!
//! Features of a week read no later week, so one panel serves every fold. Weeks are what is held back: a value that
//! was corrected later enters as corrected.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::{HORIZON_COUNT, Panel};
use crate::forecasting::statistics;
use crate::history_class::HistoryClass;
use crate::intervals::Intervals;
use crate::models::{Answer, LastValue, Model, ModelError, SeasonalNaive};
use crate::series::sunday_of;

/// A series with fewer observed weeks is not predicted.
pub const OBSERVED_WEEKS_MIN: usize = 8;

/// A marketplace whose longest series has fewer weeks trains nothing.
pub const TRAINING_WEEKS_MIN: usize = 12;

/// Origins are this far apart where the history permits, so that their targets do not overlap.
const SPACING_WEEKS_MAX: usize = 8;

/// More origins than this say little more about the present.
const ORIGINS_MAX: usize = 6;

/// Origins whose residuals make intervals: one alone would say what the market did just then.
const ORIGINS_OF_INTERVALS: usize = 3;

/// Fewer origins than this leave no past residuals to measure coverage with.
const ORIGINS_WANTED: usize = 4;

/// The weeks at which a backtest stands, oldest first, and how much history a series needs to take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The weeks, counted.
    pub origins: Vec<i32>,
    /// Observed weeks a series needs at an origin.
    pub observed_min: usize,
}

/// What a model said at one origin.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The week, counted.
    pub origin: i32,
    /// The rows it was asked about.
    pub rows: Vec<usize>,
    /// Its answers.
    pub answers: Vec<Answer>,
}

/// How well a model did, beside the two naive ones on the same origins. Errors are in mean absolute weekly changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// By horizon.
    pub horizons: Vec<HorizonMetrics>,
    /// By class of history, of those that were predicted; none for versions trained before these were told apart.
    #[serde(default)]
    pub classes: Vec<ClassMetrics>,
    /// The Sundays of the weeks at which it stood.
    pub origins: Vec<String>,
    /// Mean error of the model over all horizons; absent when nothing could be replayed.
    pub model_error: Option<f64>,
    /// Mean error of seasonal naive.
    pub naive_error: Option<f64>,
    /// Mean error of the last value.
    pub last_value_error: Option<f64>,
    /// The model's error divided by that of seasonal naive; below 1 is better.
    pub ratio: Option<f64>,
    /// Share of actual values inside the 80 % interval.
    pub coverage_80: Option<f64>,
    /// Share of actual values inside the 95 % interval.
    pub coverage_95: Option<f64>,
    /// What every model that was tried did on these origins, the simplest first.
    pub candidates: Vec<CandidateError>,
}

/// How well one of the models did that were tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateError {
    /// What was fitted.
    pub algorithm: String,
    /// Mean error over all horizons.
    pub error: Option<f64>,
}

/// How well a model did so many weeks ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HorizonMetrics {
    /// Weeks ahead.
    pub horizon: usize,
    /// Predictions that could be compared.
    pub n: usize,
    /// Mean error of the model.
    pub model_error: Option<f64>,
    /// Mean error of seasonal naive.
    pub naive_error: Option<f64>,
    /// Mean error of the last value.
    pub last_value_error: Option<f64>,
    /// Share of actual values inside the 80 % interval, of the folds that had past residuals.
    pub coverage_80: Option<f64>,
    /// Share of actual values inside the 95 % interval.
    pub coverage_95: Option<f64>,
}

/// How well a model did with histories of a class, over all horizons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The class, by the weeks observed at the origin.
    pub history_class: HistoryClass,
    /// Keywords that were predicted.
    pub keyword_count: usize,
    /// Predictions that could be compared.
    pub n: usize,
    /// Mean error of the model.
    pub model_error: Option<f64>,
    /// Mean error of seasonal naive.
    pub naive_error: Option<f64>,
    /// Mean error of the last value.
    pub last_value_error: Option<f64>,
    /// Share of actual values inside the 80 % interval, of the folds that had past residuals.
    pub coverage_80: Option<f64>,
    /// Share of actual values inside the 95 % interval.
    pub coverage_95: Option<f64>,
}

/// Chooses the origins: the last ones that have the whole horizon inside the data.
pub fn plan(panel: &Panel) -> Plan {
    let longest = panel.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let last_week = panel.series.iter().map(|series| series.last_week()).max().unwrap_or(0);
    let first_week = last_week - longest as i32 + 1;
    let observed_min = if longest >= OBSERVED_WEEKS_MIN + HORIZON_COUNT { OBSERVED_WEEKS_MIN } else { 4 };
    let Some(last) = (longest.saturating_sub(1)).checked_sub(HORIZON_COUNT) else {
        return Plan { origins: Vec::new(), observed_min };
    };

    // The first origin leaves examples to learn from: half a year of them where there is that much.
    let first = if longest >= 40 { 23 } else { (longest / 2).max(observed_min) - 1 }.min(last);
    let spacing = ((last - first) / ORIGINS_WANTED).clamp(1, SPACING_WEEKS_MAX);
    let count = ((last - first) / spacing + 1).min(ORIGINS_MAX);
    let origins = (0..count).rev().map(|back| first_week + (last - back * spacing) as i32).collect();
    Plan { origins, observed_min }
}

/// Replays a model at every origin, fitted anew at each.
pub fn replay(panel: &Panel, plan: &Plan, model: &mut dyn Model) -> Result<Vec<Fold>, ModelError> {
    let mut folds = Vec::with_capacity(plan.origins.len());
    for &origin in &plan.origins {
        model.fit(panel, origin)?;
        folds.push(ask(panel, plan, model, origin));
    }
    Ok(folds)
}

/// Asks a model as it is at the origins from a week on, which it cannot have learnt from.
pub fn replay_fitted(panel: &Panel, plan: &Plan, model: &dyn Model, known_until: i32) -> Vec<Fold> {
    let later = plan.origins.iter().filter(|&&origin| origin >= known_until);
    later.map(|&origin| ask(panel, plan, model, origin)).collect()
}

fn ask(panel: &Panel, plan: &Plan, model: &dyn Model, origin: i32) -> Fold {
    let mut rows = panel.rows_at(origin);
    rows.retain(|&row| panel.rows[row].observed_count >= plan.observed_min);
    let answers = rows.par_iter().map(|&row| model.predict(panel, row)).collect();
    Fold { origin, rows, answers }
}

/// Returns the mean error of some folds over all horizons.
pub fn mean_error(panel: &Panel, folds: &[Fold]) -> Option<f64> {
    mean_of(&errors(panel, folds))
}

/// Returns the mean error of some folds by keyword, over all horizons.
pub fn keyword_errors(panel: &Panel, folds: &[Fold]) -> BTreeMap<i64, f64> {
    let mut errors: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for fold in folds {
        for (&row, answer) in fold.rows.iter().zip(&fold.answers) {
            let at = &panel.rows[row];
            let of_keyword = errors.entry(panel.series[at.series].keyword_id).or_default();
            for (index, prediction) in answer.points.iter().enumerate() {
                of_keyword.extend(panel.actual(row, index + 1).map(|actual| (actual - prediction).abs() / at.scale));
            }
        }
    }
    errors.into_iter().filter_map(|(keyword_id, errors)| Some((keyword_id, mean(errors.into_iter())?))).collect()
}

/// Returns what was said of histories of a class alone.
pub fn of_class(panel: &Panel, folds: &[Fold], class: HistoryClass) -> Vec<Fold> {
    let of_class = |fold: &Fold| {
        let said = fold.rows.iter().copied().zip(fold.answers.iter().cloned());
        let (rows, answers) = said.filter(|(row, _)| class_of(panel, *row) == class).unzip();
        Fold { origin: fold.origin, rows, answers }
    };
    folds.iter().map(of_class).collect()
}

/// Returns the residuals that were known at a week, in mean absolute changes, by horizon: those of the latest origins. At the
/// earliest ones models had learnt from little, and were more wrong than they are now.
pub fn residuals(panel: &Panel, folds: &[Fold], known_until: i32) -> [Vec<f64>; HORIZON_COUNT] {
    by_horizon(|horizon| {
        let known = folds.partition_point(|fold| fold.origin.saturating_add(horizon as i32) <= known_until);
        residuals_of(panel, &folds[known.saturating_sub(ORIGINS_OF_INTERVALS)..known], horizon)
    })
}

/// Returns by how much the means of all horizons were missed, in mean absolute changes, where all of them were observed.
pub fn missed_means(panel: &Panel, folds: &[Fold]) -> Vec<f64> {
    let mut missed = Vec::new();
    for fold in folds {
        for (&row, answer) in fold.rows.iter().zip(&fold.answers) {
            let actual: Vec<f64> = (1..=HORIZON_COUNT).filter_map(|horizon| panel.actual(row, horizon)).collect();
            if actual.len() == HORIZON_COUNT {
                let difference = statistics::mean(&actual) - statistics::mean(&answer.points);
                missed.push(difference / panel.rows[row].scale);
            }
        }
    }
    missed
}

/// Measures a model's folds beside the naive models on the same origins.
pub fn measure(
    panel: &Panel,
    plan: &Plan,
    folds: &[Fold],
    candidates: Vec<CandidateError>,
) -> Result<Metrics, ModelError> {
    let naive_folds = replay(panel, plan, &mut SeasonalNaive)?;
    let last_value_folds = replay(panel, plan, &mut LastValue)?;
    let (model, naive, last_value) =
        (errors(panel, folds), errors(panel, &naive_folds), errors(panel, &last_value_folds));
    let held = held(panel, folds);
    let coverages = by_horizon(|horizon| coverage(held.iter().filter(|held| held.horizon == horizon)));
    let horizons = (0..HORIZON_COUNT)
        .map(|index| HorizonMetrics {
            horizon: index + 1,
            n: residuals_of(panel, folds, index + 1).len(),
            model_error: model[index],
            naive_error: naive[index],
            last_value_error: last_value[index],
            coverage_80: coverages[index].0,
            coverage_95: coverages[index].1,
        })
        .collect();
    let of_class = |&class: &HistoryClass| measure_class(panel, class, folds, &naive_folds, &last_value_folds, &held);
    let classes = HistoryClass::ALL.iter().filter_map(of_class).collect();
    let (model_error, naive_error) = (mean_of(&model), mean_of(&naive));
    Ok(Metrics {
        horizons,
        classes,
        origins: plan.origins.iter().map(|&origin| sunday_of(origin).to_string()).collect(),
        model_error,
        naive_error,
        last_value_error: mean_of(&last_value),
        ratio: model_error.zip(naive_error).filter(|(_, naive)| *naive > 0.0).map(|(model, naive)| model / naive),
        coverage_80: mean_of(&coverages.map(|shares| shares.0)),
        coverage_95: mean_of(&coverages.map(|shares| shares.1)),
        candidates,
    })
}

/// Measures a model's folds beside those of the naive models with histories of a class; nothing where it predicted none.
fn measure_class(
    panel: &Panel,
    class: HistoryClass,
    folds: &[Fold],
    naive_folds: &[Fold],
    last_value_folds: &[Fold],
    held: &[Held],
) -> Option<ClassMetrics> {
    let folds = of_class(panel, folds, class);
    let n = (1..=HORIZON_COUNT).map(|horizon| residuals_of(panel, &folds, horizon).len()).sum();
    if n == 0 {
        return None;
    }
    let error = |folds: &[Fold]| mean_error(panel, &of_class(panel, folds, class));
    let (coverage_80, coverage_95) = coverage(held.iter().filter(|held| class_of(panel, held.row) == class));
    Some(ClassMetrics {
        history_class: class,
        keyword_count: keyword_errors(panel, &folds).len(),
        n,
        model_error: mean_error(panel, &folds),
        naive_error: error(naive_folds),
        last_value_error: error(last_value_folds),
        coverage_80,
        coverage_95,
    })
}

/// Returns the class of the history that a row looks back on.
fn class_of(panel: &Panel, row: usize) -> HistoryClass {
    HistoryClass::of(panel.rows[row].observed_count)
}

/// Returns the shares of a keyword's actual values inside the 80 % and the 95 % interval, for all keywords of which a fold
/// had intervals.
pub fn keyword_coverages(panel: &Panel, folds: &[Fold]) -> BTreeMap<i64, (f64, f64)> {
    let mut by_keyword: BTreeMap<i64, Vec<Held>> = BTreeMap::new();
    for held in held(panel, folds) {
        by_keyword.entry(panel.series[panel.rows[held.row].series].keyword_id).or_default().push(held);
    }
    let shares = |(keyword_id, held): (i64, Vec<Held>)| {
        let (in_80, in_95) = coverage(held.iter());
        Some((keyword_id, (in_80?, in_95?)))
    };
    by_keyword.into_iter().filter_map(shares).collect()
}

/// Whether the intervals of a prediction held the actual value.
struct Held {
    row: usize,
    horizon: usize,
    is_in_80: bool,
    is_in_95: bool,
}

/// Looks whether intervals held: the model's own, or those that the residuals known at each fold's origin give.
fn held(panel: &Panel, folds: &[Fold]) -> Vec<Held> {
    let mut all = Vec::new();
    for (number, fold) in folds.iter().enumerate() {
        let intervals = Intervals::from_residuals(&residuals(panel, &folds[..number], fold.origin));
        for (&row, answer) in fold.rows.iter().zip(&fold.answers) {
            for horizon in 1..=HORIZON_COUNT {
                let Some(actual) = panel.actual(row, horizon) else { continue };
                let Some(ends) = intervals.of(answer, horizon, panel.rows[row].scale) else { continue };
                let is_in_80 = (ends.lo_80..=ends.hi_80).contains(&actual);
                let is_in_95 = (ends.lo_95..=ends.hi_95).contains(&actual);
                all.push(Held { row, horizon, is_in_80, is_in_95 });
            }
        }
    }
    all
}

/// Returns the shares inside the 80 % and the 95 % intervals.
fn coverage<'a>(held: impl Iterator<Item = &'a Held> + Clone) -> (Option<f64>, Option<f64>) {
    let share = |is_in: fn(&Held) -> bool| mean(held.clone().map(|held| f64::from(u8::from(is_in(held)))));
    (share(|held| held.is_in_80), share(|held| held.is_in_95))
}

fn residuals_of(panel: &Panel, folds: &[Fold], horizon: usize) -> Vec<f64> {
    let mut residuals = Vec::new();
    for fold in folds {
        for (&row, answer) in fold.rows.iter().zip(&fold.answers) {
            if let Some(actual) = panel.actual(row, horizon) {
                residuals.push((actual - answer.points[horizon - 1]) / panel.rows[row].scale);
            }
        }
    }
    residuals
}

fn errors(panel: &Panel, folds: &[Fold]) -> [Option<f64>; HORIZON_COUNT] {
    by_horizon(|horizon| mean(residuals_of(panel, folds, horizon).iter().map(|residual| residual.abs())))
}

fn by_horizon<T>(mut of: impl FnMut(usize) -> T) -> [T; HORIZON_COUNT] {
    std::array::from_fn(|index| of(index + 1))
}

fn mean_of(values: &[Option<f64>; HORIZON_COUNT]) -> Option<f64> {
    mean(values.iter().flatten().copied())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| statistics::mean(&values))
}
