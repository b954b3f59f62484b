//! Which keywords a nightly run covers when the quota is not enough for all: pure, with what it promises as properties.
//!
//! A keyword's claim is its age, measured in freshness targets, times one plus its volatility, times its weight. The age
//! grows without bound, so a claim that is passed over grows from night to night. That alone would make a keyword of little
//! weight wait very long beside heavy ones; therefore one place in five, and at least one, goes to the keywords that have
//! waited longest, whatever their weight. With `n` keywords and room for `c`, nobody waits more than about `5 n / c` nights.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

/// One place in so many goes to those who have waited longest.
const PLACES_PER_ELDER: usize = 5;

/// How many of the latest values tell the volatility.
pub const VALUES_MAX: usize = 8;

/// What is known of a keyword when a run is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The keyword.
    pub keyword_id: i64,
    /// When it became known here.
    pub created_at: DateTime<Utc>,
    /// When the last good observation of the run's main resource was made; nothing when there is none.
    pub observed_at: Option<DateTime<Utc>>,
    /// The latest values of its main metric, in either order of time; at most [`VALUES_MAX`] are of use.
    pub values: Vec<f64>,
    /// How much it matters beside others; 1 is usual.
    pub weight: f64,
}

/// Returns the keywords for which there is room, those with the strongest claims first.
pub fn choose(candidates: &[Candidate], room: usize, target: TimeDelta, now: DateTime<Utc>) -> Vec<i64> {
    if room == 0 {
        return Vec::new();
    }
    let mut claims = claims(candidates, target, now);
    claims.sort_by(|a, b| b.age.total_cmp(&a.age).then(a.keyword_id.cmp(&b.keyword_id)));
    let elders = room.div_ceil(PLACES_PER_ELDER).min(claims.len());
    let mut others = claims.split_off(elders);
    others.sort_by(|a, b| b.score.total_cmp(&a.score).then(by_age(a, b)));
    claims.extend(others.into_iter().take(room - elders));
    claims.sort_by(|a, b| b.score.total_cmp(&a.score).then(by_age(a, b)));
    claims.into_iter().map(|claim| claim.keyword_id).collect()
}

/// Returns how much a series moves: the mean of its changes from value to value, each as a share of the mean of the two, from
/// 0 (it stands still, or too little is known) to 2.
pub fn volatility(values: &[f64]) -> f64 {
    let values = &values[..values.len().min(VALUES_MAX)];
    let changes = values.windows(2).filter_map(|pair| {
        let middle = (pair[0].abs() + pair[1].abs()) / 2.0;
        let change = if middle > 0.0 { (pair[0] - pair[1]).abs() / middle } else { 0.0 };
        change.is_finite().then_some(change)
    });
    let (count, sum) = changes.fold((0u32, 0.0), |(count, sum), change| (count + 1, sum + change));
    if count == 0 { 0.0 } else { (sum / f64::from(count)).clamp(0.0, 2.0) }
}

/// What a keyword can say for itself.
struct Claim {
    keyword_id: i64,
    age: f64,
    score: f64,
}

fn claims(candidates: &[Candidate], target: TimeDelta, now: DateTime<Utc>) -> Vec<Claim> {
    let target_s = target.as_seconds_f64().max(1.0);
    let age = |since: DateTime<Utc>| ((now - since).as_seconds_f64() / target_s).max(0.0);
    // A keyword that was never collected is as old as the oldest, so that it comes soon without pushing all others aside.
    let oldest = candidates.iter().filter_map(|one| one.observed_at).map(age).fold(1.0, f64::max);
    candidates
        .iter()
        .map(|one| {
            let age = one.observed_at.map_or_else(|| age(one.created_at).max(oldest), age);
            Claim { keyword_id: one.keyword_id, age, score: age * (1.0 + volatility(&one.values)) * one.weight }
        })
        .collect()
}

fn by_age(a: &Claim, b: &Claim) -> Ordering {
    b.age.total_cmp(&a.age).then(a.keyword_id.cmp(&b.keyword_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: TimeDelta = TimeDelta::days(1);

    fn start() -> DateTime<Utc> {
        "2026-03-11T02:00:00Z".parse().unwrap()
    }

    fn candidate(keyword_id: i64, weight: f64, values: &[f64]) -> Candidate {
        let observed_at = Some(start() - DAY);
        Candidate { keyword_id, created_at: start() - DAY * 30, observed_at, values: values.to_vec(), weight }
    }

    /// Plays nights with room for so many keywords; returns how often each was served and its longest wait in nights.
    fn nights(candidates: &mut [Candidate], room: usize, nights: i32) -> Vec<(u32, i32)> {
        let mut served = vec![(0, 0); candidates.len()];
        let mut last = vec![-1; candidates.len()];
        for night in 0..nights {
            let now = start() + DAY * night;
            let chosen = choose(candidates, room, DAY, now);
            assert_eq!(chosen.len(), room.min(candidates.len()));
            for (index, candidate) in candidates.iter_mut().enumerate() {
                let is_chosen = chosen.contains(&candidate.keyword_id);
                served[index].1 = served[index].1.max(night - last[index]);
                if is_chosen {
                    candidate.observed_at = Some(now);
                    last[index] = night;
                    served[index].0 += 1;
                }
            }
        }
        served
    }

    #[test]
    fn volatility_is_the_mean_relative_change() {
        assert_eq!(volatility(&[]), 0.0);
        assert_eq!(volatility(&[5.0]), 0.0);
        assert_eq!(volatility(&[0.0, 0.0]), 0.0);
        assert_eq!(volatility(&[100.0, 100.0, 100.0]), 0.0);
        assert!((volatility(&[90.0, 110.0]) - 0.2).abs() < 1e-12);
        assert_eq!(volatility(&[0.0, 7.0]), 2.0);
    }

    #[test]
    fn age_volatility_and_weight_each_decide() {
        let mut old = candidate(1, 1.0, &[]);
        old.observed_at = Some(start() - DAY * 3);
        let never = Candidate { observed_at: None, ..candidate(2, 1.0, &[]) };
        let heavy = candidate(3, 10.0, &[]);
        let lively = candidate(4, 1.0, &[1.0, 3.0, 1.0]);
        let usual = candidate(5, 1.0, &[2.0, 2.0, 2.0]);
        let all = [usual, lively, heavy, never, old];
        assert_eq!(choose(&all, 5, DAY, start()), [2, 3, 1, 4, 5]);
        assert_eq!(choose(&all, 2, DAY, start()), [2, 3], "the oldest, and the strongest of the others");
        assert!(choose(&all, 0, DAY, start()).is_empty());
    }

    #[test]
    fn heavy_and_lively_keywords_are_served_more_often() {
        let mut all: Vec<Candidate> = (0..30).map(|id| candidate(id, 1.0, &[50.0, 50.0, 50.0])).collect();
        all[3].weight = 4.0;
        all[7].values = vec![10.0, 30.0, 12.0, 40.0];
        let served = nights(&mut all, 10, 120);
        let usual = served[0].0;
        assert!(served[3].0 > usual * 3 / 2, "{} against {usual}", served[3].0);
        assert!(served[7].0 > usual, "{} against {usual}", served[7].0);
    }

    proptest! {
        #[test]
        fn nobody_starves_with_quota_for_a_third(
            kinds in prop::collection::vec((0.001f64..1e5, prop::collection::vec(0.0f64..1e6, 0..8)), 3..40)
        ) {
            let mut all: Vec<Candidate> =
                (0..).zip(&kinds).map(|(id, (weight, values))| candidate(id, *weight, values)).collect();
            let room = (all.len() / 3).max(1);
            let bound = all.len().div_ceil(room.div_ceil(PLACES_PER_ELDER)) as i32 + 1;
            for (index, (count, longest_wait)) in nights(&mut all, room, bound * 3).into_iter().enumerate() {
                prop_assert!(count >= 2 && longest_wait <= bound, "{index}: {count} times, {longest_wait} of {bound} nights");
            }
        }
    }
}
