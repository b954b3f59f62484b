//! What entry may see, and what its model says, on results whose truth is known.

use super::learn::features_at;
use super::*;
use crate::market;
use crate::series::WeekValue;
use crate::synthetic::Dice;

const TOP: i32 = 24;

/// The listings of a keyword on which newcomers come up with a probability, week by week.
fn appearances(dice: &mut Dice, success: f64, week_count: i32) -> Vec<Appearance> {
    let mut all: Vec<Appearance> = (0..30)
        .map(|listing_id| Appearance {
            listing_id,
            listed_week: Some(2_000),
            weeks: (0..week_count)
                .map(|week| (2_800 + week, 1 + (50.0 * dice.unit()) as i32))
                .filter(|(_, position)| *position <= 40)
                .collect(),
        })
        .collect();
    for week in 1..week_count {
        for number in 0..5 {
            let comes_up = dice.unit() < success;
            let stay = if comes_up { 6 } else { 2 };
            let seen = (week..(week + stay).min(week_count)).map(|at| {
                let position = if comes_up && at >= week + 2 { 10 } else { 36 };
                (2_800 + at, position)
            });
            let listing_id = i64::from(1_000 + 10 * week + number);
            all.push(Appearance { listing_id, listed_week: Some(2_800 + week), weeks: seen.collect() });
        }
    }
    all.retain(|appearance| !appearance.weeks.is_empty());
    all
}

/// The results of some keywords, each with its own success.
fn world(seed: u64, keyword_count: i64, week_count: i32) -> (Vec<f64>, Vec<Results>) {
    let mut dice = Dice::new(seed);
    let successes: Vec<f64> = (0..keyword_count).map(|_| from_logit(-1.5 + dice.normal())).collect();
    let results = successes
        .iter()
        .zip(1..)
        .map(|(&success, id)| Results::gather(id, TOP, &appearances(&mut dice, success, week_count)))
        .collect();
    (successes, results)
}

fn bits(features: &[f64]) -> Vec<u64> {
    features.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_feature_never_sees_the_future() {
    let mut dice = Dice::new(71);
    for round in 0..40 {
        let truth = appearances(&mut dice, 0.3, 60);
        let until = 2_800 + 15 + (dice.unit() * 40.0) as i32;
        // What was seen later goes to other listings, at other positions, in other weeks; some of it is lost.
        let mut changed = truth.clone();
        let count = changed.len();
        let mut later: Vec<(i32, i32)> = Vec::new();
        for appearance in &mut changed {
            later.extend(appearance.weeks.iter().filter(|at| at.0 > until));
            appearance.weeks.retain(|at| at.0 <= until);
        }
        for (week, _) in later {
            if dice.unit() < 0.2 {
                continue;
            }
            let week = week + (3.0 * dice.unit()) as i32;
            let receiver = &mut changed[(dice.unit() * count as f64) as usize];
            if receiver.weeks.last().is_none_or(|last| last.0 < week) {
                receiver.weeks.push((week, 1 + (48.0 * dice.unit()) as i32));
            }
        }
        changed.retain(|appearance| !appearance.weeks.is_empty());
        let mut results = [truth, changed].map(|seen| Results::gather(1, TOP, &seen));
        for (results, value) in results.iter_mut().zip([0.1, 0.9]) {
            let part = |week| {
                let level = if week <= until { 0.5 } else { value };
                WeekValue { week, value: level, components: vec![level], beside: vec![level; market::NAMES.len()] }
            };
            results.scores = (2_800..2_860).map(part).collect();
        }
        for week in [until - 9, until - 1, until] {
            let [before, after] = [0, 1].map(|at| bits(&features(&results[at], week, &PUBLISHED_PRIOR)));
            assert_eq!(before, after, "round {round}, week {week}");
        }
        assert_ne!(results[0].outcome(until), results[1].outcome(until), "the future was not changed");
    }
}

#[test]
fn newcomers_are_told_from_listings_that_were_there_before() {
    let seen =
        |listing_id, listed_week, weeks: &[(i32, i32)]| Appearance { listing_id, listed_week, weeks: weeks.to_vec() };
    let always: Vec<(i32, i32)> = (0..20).map(|week| (100 + week, 1)).collect();
    let all = [
        seen(1, None, &always),
        // First seen with the first look: nobody knows whether it is new.
        seen(2, None, &[(101, 30)]),
        seen(3, Some(108), &[(110, 30), (113, 20)]),
        seen(4, None, &[(111, 30), (119, 5)]),
        // Listed long ago, only now among the first.
        seen(5, Some(50), &[(110, 30)]),
    ];
    let results = Results::gather(1, TOP, &all);
    assert_eq!(
        results.newcomers,
        [Newcomer { first_week: 110, top_week: Some(113) }, Newcomer { first_week: 111, top_week: Some(119) }]
    );
    // The second came up too late for the weeks after 109, in time for those after 110 and 111 it is not counted at all.
    assert_eq!(results.outcome(109), Some(Outcome { newcomers: 2, successes: 1 }));
    assert_eq!(results.outcome(110), Some(Outcome { newcomers: 1, successes: 0 }));
    assert_eq!(results.outcome(111), Some(Outcome { newcomers: 0, successes: 0 }));
    // Too few of the eight weeks after it were looked at.
    assert_eq!(results.outcome(114), None);
}

#[test]
fn a_prior_is_found_again_and_draws_small_counts_towards_it() {
    let mut dice = Dice::new(72);
    let outcomes: Vec<Outcome> = (0..4_000)
        .map(|_| {
            let success = from_logit(-1.5 + 0.8 * dice.normal());
            let newcomers = 5 + (30.0 * dice.unit()) as u32;
            let successes = (0..newcomers).filter(|_| dice.unit() < success).count() as u32;
            Outcome { newcomers, successes }
        })
        .collect();
    let prior = Prior::of(&outcomes);
    let mean = prior.successes / (prior.successes + prior.failures);
    assert!((0.19..0.24).contains(&mean), "{prior:?}");
    assert!((4.0..14.0).contains(&(prior.successes + prior.failures)), "{prior:?}");
    let one = prior.success(Outcome { newcomers: 1, successes: 1 });
    let many = prior.success(Outcome { newcomers: 100, successes: 100 });
    assert!(one < 0.4 && many > 0.9);
    assert_eq!(Prior::of(&[Outcome { newcomers: 3, successes: 0 }]), PUBLISHED_PRIOR);
}

#[test]
fn the_model_beats_persistence_and_gives_the_same_bytes_twice() {
    let (successes, all) = world(73, 60, 80);
    let (learnt, again) = (learn(&all, 2_879).unwrap().unwrap(), learn(&all, 2_879).unwrap().unwrap());
    assert_eq!(serde_json::to_vec(&learnt.model).unwrap(), serde_json::to_vec(&again.model).unwrap());
    let held = &learnt.held;
    assert!(held.model_error < 0.9 * held.persistence_error, "{held:?}");
    assert!((0.68..0.92).contains(&held.coverage_80), "{held:?}");
    assert!(held.level_accuracy > 0.5, "{held:?}");

    let read: EntryModel = serde_json::from_slice(&serde_json::to_vec(&learnt.model).unwrap()).unwrap();
    let mut order: Vec<(f64, f64)> = Vec::new();
    for (success, results) in successes.iter().zip(&all) {
        let features = features_at(results, 2_879, &read.prior).unwrap();
        let said = read.predict(&features);
        assert_eq!(said, learnt.model.predict(&features));
        assert!((said.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(said.probabilities.iter().all(|probability| *probability >= 0.0));
        assert!(said.ends.is_sorted() && said.ends[1] <= said.difficulty && said.difficulty <= said.ends[2]);
        order.push((*success, said.difficulty));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = |part: &[(f64, f64)]| part.iter().map(|pair| pair.1).sum::<f64>() / part.len() as f64;
    assert!(mean(&order[..20]) > mean(&order[40..]) + 0.1);
}

#[test]
fn too_little_history_teaches_nothing() {
    assert!(learn(&[], 2_879).unwrap().is_none());
    let (_, few_weeks) = world(74, 20, 30);
    assert!(learn(&few_weeks, 2_829).unwrap().is_none());
    let (_, few_keywords) = world(75, 2, 80);
    assert!(learn(&few_keywords, 2_879).unwrap().is_none());
}

/// Examples on which the first feature alone decides.
fn simple(seed: u64, count: usize, shift: f64) -> Vec<Example> {
    let mut dice = Dice::new(seed);
    (0..count)
        .map(|_| {
            let x = dice.normal();
            let successes = (0..30).filter(|_| dice.unit() < from_logit(-1.0 - x)).count() as u32;
            let outcome = Outcome { newcomers: 30, successes };
            Example { keyword_id: 1, week: 0, features: vec![shift + x, shift + dice.normal()], outcome }
        })
        .collect()
}

/// The elastic net of linfa 0.8.1 centres y but not x, so columns are standardised: where they lie must not matter.
#[test]
fn shifted_features_give_the_same_line() {
    let cuts = [0.6, 0.8];
    let near = EntryModel::fit(&simple(76, 400, 0.0), PUBLISHED_PRIOR, cuts).unwrap();
    let far = EntryModel::fit(&simple(76, 400, 1e4), PUBLISHED_PRIOR, cuts).unwrap();
    for x in [-2.0, 0.0, 1.5] {
        let (a, b) = (near.predict(&[x, 0.0]), far.predict(&[1e4 + x, 1e4]));
        assert!((a.difficulty - b.difficulty).abs() < 1e-6, "{a:?} is not {b:?}");
    }
    let slope = near.predict(&[1.0, 0.0]).difficulty - near.predict(&[-1.0, 0.0]).difficulty;
    assert!(slope > 0.25, "{slope}");
}

/// Binary logistic regression of linfa 0.8.1 gives the probability of the majority. The multinomial one is asked by its
/// classes: whichever level is rare, more difficulty makes high more probable.
#[test]
fn probabilities_belong_to_their_level_whichever_is_the_majority() {
    for cuts in [[0.3, 0.5], [0.6, 0.8], [0.85, 0.95]] {
        let mut model = EntryModel::fit(&simple(77, 600, 0.0), PUBLISHED_PRIOR, cuts).unwrap();
        model.calibrate(&simple(78, 600, 0.0));
        let (easy, hard) = (model.predict(&[-2.5, 0.0]), model.predict(&[2.5, 0.0]));
        assert!(easy.probabilities[0] > hard.probabilities[0], "{cuts:?}: {easy:?} {hard:?}");
        assert!(easy.probabilities[2] < hard.probabilities[2], "{cuts:?}: {easy:?} {hard:?}");
    }
}

/// The loss of linfa's logistic regression is a sum, so its penalty has to grow with the examples.
#[test]
fn the_same_examples_twice_give_the_same_probabilities() {
    let once = simple(79, 300, 0.0);
    let twice: Vec<Example> = once.iter().chain(&once).cloned().collect();
    let [once, twice] = [once, twice].map(|examples| EntryModel::fit(&examples, PUBLISHED_PRIOR, [0.6, 0.8]).unwrap());
    for x in [-1.0, 0.5, 2.0] {
        let (a, b) = (once.predict(&[x, 0.0]), twice.predict(&[x, 0.0]));
        for (a, b) in a.probabilities.iter().zip(b.probabilities) {
            assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        }
    }
}

#[test]
fn a_level_that_no_example_has_is_never_the_most_probable() {
    let model = EntryModel::fit(&simple(80, 300, 0.0), PUBLISHED_PRIOR, [0.999, 0.9999]).unwrap();
    assert_eq!(model.predict(&[3.0, 0.0]).level(), "low");
}
