//! Is one set of predictions better than another by more than noise? A paired bootstrap over keywords tells.
//!
//! Errors of one keyword resemble each other, so keywords are drawn and not predictions: a gain that a few keywords make
//! is not one of all. The draws follow from a fixed seed, so the same errors give the same answer everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::forecasting::random::Random;
use crate::forecasting::statistics;

/// Of fewer keywords all may gain by chance, more often than once in twenty times.
pub const KEYWORDS_MIN: usize = 5;

/// How often as many keywords are drawn as there are.
const DRAWS: usize = 2_000;

/// The gain that this share of the draws stays below is its lower bound; this share of them exceeds its upper bound.
const BOUND: f64 = 0.05;

const SEED: u64 = 7;

/// Errors of one set of predictions beside those of another, every keyword counting the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Keywords that both predicted.
    pub keyword_count: usize,
    /// Mean error of the one, in mean absolute weekly changes; absent without keywords.
    pub error: Option<f64>,
    /// Mean error of the other.
    pub other_error: Option<f64>,
    /// The second less the first.
    pub gain: Option<f64>,
    /// What the gain is at the least, with a confidence of 95 %; absent with too few keywords.
    pub gain_lower_95: Option<f64>,
    /// What it is at the most, with as much.
    pub gain_upper_95: Option<f64>,
}

impl Comparison {
    /// Compares the mean errors of keywords.
    pub fn of(errors: &BTreeMap<i64, f64>, other_errors: &BTreeMap<i64, f64>) -> Comparison {
        let pairs = errors.iter().filter_map(|(keyword, &error)| Some((error, *other_errors.get(keyword)?)));
        let (errors, other_errors): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let gains: Vec<f64> = errors.iter().zip(&other_errors).map(|(error, other)| other - error).collect();
        let bounds = (gains.len() >= KEYWORDS_MIN).then(|| bounds(&gains));
        let mean = |values: &[f64]| (!values.is_empty()).then(|| statistics::mean(values));
        Comparison {
            keyword_count: gains.len(),
            error: mean(&errors),
            other_error: mean(&other_errors),
            gain: mean(&gains),
            gain_lower_95: bounds.map(|(lower, _)| lower),
            gain_upper_95: bounds.map(|(_, upper)| upper),
        }
    }

    /// Tells whether the one is better than the other by more than noise.
    pub fn is_beyond_noise(&self) -> bool {
        self.gain_lower_95.is_some_and(|bound| bound > 0.0)
    }

    /// Tells whether the one is worse than the other by more than a share of the other's error, and than noise.
    pub fn is_worse_by(&self, share: f64) -> bool {
        let is_beyond_noise = self.gain_upper_95.is_some_and(|bound| bound < 0.0);
        is_beyond_noise && self.error.zip(self.other_error).is_some_and(|(error, other)| error > (1.0 + share) * other)
    }

    /// Says by how much the one is better than the other.
    pub fn explain(&self) -> String {
        match (self.gain, self.gain_lower_95) {
            (Some(gain), Some(bound)) => {
                format!("a gain of {gain:.3}, at the least {bound:.3}, on {} keywords", self.keyword_count)
            }
            _ => format!("{} keywords, of which {KEYWORDS_MIN} are needed to tell", self.keyword_count),
        }
    }
}

fn bounds(gains: &[f64]) -> (f64, f64) {
    let mut random = Random::new(SEED, 0);
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| (0..gains.len()).map(|_| gains[random.below(gains.len())]).sum::<f64>() / gains.len() as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let place = (DRAWS as f64 * BOUND) as usize;
    (means[place], means[DRAWS - 1 - place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Dice;

    /// Makes errors of some keywords and of another model whose errors are larger by a gain, with noise.
    fn errors(seed: u64, keyword_count: i64, gain: f64) -> (BTreeMap<i64, f64>, BTreeMap<i64, f64>) {
        let mut dice = Dice::new(seed);
        let one: BTreeMap<i64, f64> = (0..keyword_count).map(|keyword| (keyword, 1.0 + 0.3 * dice.unit())).collect();
        let other = one.iter().map(|(&keyword, error)| (keyword, error + gain + 0.1 * dice.normal())).collect();
        (one, other)
    }

    #[test]
    fn a_gain_is_told_from_noise() {
        let (one, other) = errors(1, 40, 0.1);
        let comparison = Comparison::of(&one, &other);
        assert!(comparison.is_beyond_noise(), "{comparison:?}");
        let worse = Comparison::of(&other, &one);
        assert!(!worse.is_beyond_noise() && worse.is_worse_by(0.02) && !worse.is_worse_by(0.2));
        assert_eq!(comparison, Comparison::of(&one, &other), "the same errors give the same answer");
    }

    #[test]
    fn equal_models_seldom_seem_better() {
        let wins = (0..400).filter(|&seed| {
            let (one, other) = errors(seed, 30, 0.0);
            Comparison::of(&one, &other).is_beyond_noise()
        });
        let share = wins.count() as f64 / 400.0;
        assert!(share < 0.09, "{share} of equal models pass, about 0.05 should");
    }

    #[test]
    fn what_one_keyword_gains_is_not_a_gain_of_all() {
        let (one, mut other) = errors(2, 30, -0.05);
        other.insert(7, 30.0);
        let comparison = Comparison::of(&one, &other);
        assert!(comparison.gain > Some(0.5) && !comparison.is_beyond_noise(), "{comparison:?}");
    }

    #[test]
    fn no_model_is_better_than_itself_and_few_keywords_tell_nothing() {
        let (one, other) = errors(3, 20, 5.0);
        assert!(!Comparison::of(&one, &one).is_beyond_noise());
        let few: BTreeMap<i64, f64> = one.into_iter().take(KEYWORDS_MIN - 1).collect();
        let comparison = Comparison::of(&few, &other);
        assert_eq!((comparison.keyword_count, comparison.is_beyond_noise()), (4, false));
        assert_eq!(Comparison::of(&BTreeMap::new(), &other).gain, None);
    }
}
