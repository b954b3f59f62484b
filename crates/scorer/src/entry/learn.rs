//! Learning: examples of past weeks, the newest of them kept aside to calibrate with and to measure on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{level_of, thirds};
use super::{
    COHORT_WEEKS, EntryModel, EntryModelError, HORIZON_WEEKS, NEWCOMERS_MIN, Outcome, Prior, Results, features,
};
use crate::competition::LEVELS;

/// A keyword that was looked at for fewer weeks is neither an example nor predicted.
const WEEKS_MIN: i32 = 12;

/// Fewer examples than this teach nothing.
const EXAMPLES_MIN: usize = 120;

/// Fewer examples than this calibrate nothing.
const KEPT_MIN: usize = 60;

/// A keyword at the end of a week, with what became of the newcomers after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The keyword.
    pub keyword_id: i64,
    /// The week, counted.
    pub week: i32,
    /// What was known then.
    pub features: Vec<f64>,
    /// What became of the newcomers of the next four weeks.
    pub outcome: Outcome,
}

/// How well a model did on weeks that it was neither fitted nor calibrated on, beside persistence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Examples that were compared.
    pub example_count: usize,
    /// Mean error of the predicted difficulty.
    pub model_error: f64,
    /// Mean error of saying that the next newcomers will fare as the last ones whose outcome is known.
    pub persistence_error: f64,
    /// Share of actual difficulties inside the 80 % interval.
    pub coverage_80: f64,
    /// Share of actual levels that were the most probable ones.
    pub level_accuracy: f64,
}

/// A model with what it was made of and how it did.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The model, fitted on all examples.
    pub model: EntryModel,
    /// Examples that it was fitted on.
    pub example_count: usize,
    /// How it did when its last weeks were kept aside.
    pub held: Held,
}

/// Returns the features of a keyword at the end of a week; none where it was looked at too shortly or too long ago.
pub fn features_at(results: &Results, week: i32, prior: &Prior) -> Option<Vec<f64>> {
    let first = results.looks.first()?.week;
    let is_carried = week - first >= WEEKS_MIN && results.looks_within(week - COHORT_WEEKS, week).len() >= 2;
    is_carried.then(|| features(results, week, prior))
}

/// Gathers the examples of a week: the keywords whose newcomers after it were enough to tell.
pub fn examples(all: &[Results], week: i32, prior: &Prior) -> Vec<Example> {
    let example = |results: &Results| {
        let outcome = results.outcome(week).filter(|outcome| outcome.newcomers >= NEWCOMERS_MIN)?;
        let features = features_at(results, week, prior)?;
        Some(Example { keyword_id: results.keyword_id, week, features, outcome })
    };
    all.iter().filter_map(example).collect()
}

/// Returns the difficulty of the last newcomers whose outcome is known at the end of a week.
pub fn persistence(results: &Results, week: i32, prior: &Prior) -> f64 {
    let after = week - HORIZON_WEEKS;
    1.0 - prior.success(results.count(after, after + COHORT_WEEKS, week))
}

/// Fits, calibrates and measures a model on what was known at the end of a week; none where that is too little.
///
/// The newest third of the weeks is kept aside: a model of the older ones is calibrated on its first half and measured on
/// its second. Then the model that serves is fitted on all weeks and calibrated by what the kept ones taught.
pub fn learn(all: &[Results], known_until: i32) -> Result<Option<Learnt>, EntryModelError> {
    let Some(first) = all.iter().filter_map(|results| results.looks.first()).map(|look| look.week).min() else {
        return Ok(None);
    };
    // Cohorts do not overlap; the outcome of the last one is known just now.
    let weeks: Vec<i32> =
        (first + WEEKS_MIN..=known_until - HORIZON_WEEKS).rev().step_by(COHORT_WEEKS as usize).collect();
    let outcomes: Vec<Outcome> =
        weeks.iter().flat_map(|&week| all.iter().filter_map(move |results| results.outcome(week))).collect();
    if outcomes.iter().all(|outcome| outcome.newcomers == 0) {
        return Ok(None);
    }
    let prior = Prior::of(&outcomes);
    let examples: Vec<Example> = weeks.iter().rev().flat_map(|&week| examples(all, week, &prior)).collect();

    let kept_count = weeks.len().div_ceil(3);
    let Some(&kept_from) = weeks.get(kept_count.saturating_sub(1)) else { return Ok(None) };
    let measured_from = weeks[(kept_count / 2).saturating_sub(1).min(kept_count - 1)];
    let of = |is_wanted: &dyn Fn(i32) -> bool| -> Vec<Example> {
        examples.iter().filter(|example| is_wanted(example.week)).cloned().collect()
    };
    let older = of(&|week| week + HORIZON_WEEKS <= kept_from);
    let calibrating = of(&|week| (kept_from..measured_from).contains(&week));
    let measuring = of(&|week| week >= measured_from);
    if older.len() < EXAMPLES_MIN || calibrating.len() < KEPT_MIN || measuring.len() < KEPT_MIN {
        return Ok(None);
    }
    let cuts = thirds(&examples, &prior);
    let mut older_model = EntryModel::fit(&older, prior, cuts)?;
    older_model.calibrate(&calibrating);
    let held = measure(&older_model, &measuring, all);

    older_model.calibrate(&of(&|week| week >= kept_from));
    let mut model = EntryModel::fit(&examples, prior, cuts)?;
    model.take_calibration(older_model);
    Ok(Some(Learnt { model, example_count: examples.len(), held }))
}

fn measure(model: &EntryModel, examples: &[Example], all: &[Results]) -> Held {
    let mut held = Held {
        example_count: examples.len(),
        model_error: 0.0,
        persistence_error: 0.0,
        coverage_80: 0.0,
        level_accuracy: 0.0,
    };
    let by_keyword: BTreeMap<i64, &Results> = all.iter().map(|results| (results.keyword_id, results)).collect();
    let part = 1.0 / examples.len() as f64;
    for example in examples {
        let actual = 1.0 - model.prior.success(example.outcome);
        let forecast = model.predict(&example.features);
        let before = persistence(by_keyword[&example.keyword_id], example.week, &model.prior);
        let [_, lo_80, hi_80, _] = forecast.ends;
        let is_level = LEVELS[level_of(&model.cuts, actual)] == forecast.level();
        held.model_error += part * (forecast.difficulty - actual).abs();
        held.persistence_error += part * (before - actual).abs();
        held.coverage_80 += part * f64::from(u8::from((lo_80..=hi_80).contains(&actual)));
        held.level_accuracy += part * f64::from(u8::from(is_level));
    }
    held
}
