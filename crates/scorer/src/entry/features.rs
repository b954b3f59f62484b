//! What the model sees of a keyword at the end of a week.

use super::{COHORT_WEEKS, HORIZON_WEEKS, Look, Outcome, Prior, Results};
use crate::market;
use crate::series::WeekValue;

/// Version of the list and of how it is read.
pub const ENTRY_FEATURE_SET_VERSION: &str = "entry_features_v2";

/// The features, in order; the components of the published score and the market follow, each with its level and its change over
/// 13 weeks, but for the price its change alone.
pub const NAMES: [&str; 13] = [
    "difficulty_1_cohort",
    "difficulty_3_cohorts",
    "difficulty_6_cohorts",
    "difficulty_12_cohorts",
    "difficulty_24_cohorts",
    "difficulty_of_those_still_tried",
    "newcomers_of_3_cohorts",
    "fresh_share_4_weeks",
    "fresh_share_13_weeks",
    "turnover_4_weeks",
    "turnover_13_weeks",
    "tenure_4_weeks",
    "tenure_13_weeks",
];

/// Cohorts of four weeks that are pooled.
const COHORTS: [i32; 5] = [1, 3, 6, 12, 24];

/// A component older than so many weeks says nothing of now.
const PART_AGE_WEEKS_MAX: i32 = 4;

/// Returns the features of a keyword at the end of a week; what is not known is no number.
///
/// Nothing that was seen in a later week is looked at.
pub fn features(results: &Results, week: i32, prior: &Prior) -> Vec<f64> {
    let mut all = Vec::with_capacity(NAMES.len());
    all.extend(COHORTS.map(|count| prior.difficulty(cohorts(results, week, count))));
    all.push(prior.difficulty(results.count(week - COHORT_WEEKS, week, week)));
    all.push(f64::from(cohorts(results, week, 3).newcomers).ln_1p());
    for of in [|look: &Look| look.fresh_share, |look: &Look| look.turnover, |look: &Look| Some(look.tenure)] {
        all.extend([4, 13].map(|weeks| mean(results.looks_within(week - weeks, week).iter().filter_map(of))));
    }
    let (now, then) = (at(&results.scores, week), at(&results.scores, week - 13));
    for part in 0..results.scores.first().map_or(0, |part| part.components.len()) {
        let level = |at: Option<&WeekValue>| at.map_or(f64::NAN, |at| at.components[part]);
        all.extend([level(now), level(now) - level(then)]);
    }
    for part in 0..results.scores.first().map_or(0, |part| part.beside.len()) {
        let level = |at: Option<&WeekValue>| at.map_or(f64::NAN, |at| at.beside[part]);
        all.extend((part != market::PRICE).then(|| level(now)));
        all.push(level(now) - level(then));
    }
    all
}

/// Adds up the last cohorts whose outcome is known at the end of a week.
fn cohorts(results: &Results, week: i32, count: i32) -> Outcome {
    (0..count)
        .map(|back| week - HORIZON_WEEKS - COHORT_WEEKS * back)
        .map(|after| results.count(after, after + COHORT_WEEKS, after + HORIZON_WEEKS))
        .fold(Outcome::default(), Outcome::and)
}

fn at(scores: &[WeekValue], week: i32) -> Option<&WeekValue> {
    let end = scores.partition_point(|score| score.week <= week);
    scores[..end].last().filter(|score| week - score.week < PART_AGE_WEEKS_MAX)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}
