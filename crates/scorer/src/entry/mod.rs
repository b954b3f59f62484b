//! Entry: which part of the listings that are new among the results of a keyword comes up to the top of them.
//!
//! It is what competition can be held to later. Difficulty is 1 less the entry success of the newcomers of a week and the
//! three after it, counted eight weeks after it began; the model says it before those weeks, and is held to it after them.

mod features;
mod isotonic;
mod learn;
pub mod ledger;
mod model;
mod results;
mod store;
#[cfg(test)]
mod tests;

use digitallz_common::marketplace::Marketplace;
use serde::{Deserialize, Serialize};

pub use features::{ENTRY_FEATURE_SET_VERSION, NAMES, features};
pub use isotonic::Isotonic;
pub use learn::{Example, Held, Learnt, examples, learn, persistence};
pub use model::{EntryModel, EntryModelError, Forecast};
pub use results::{Appearance, Look, Newcomer, Results};
pub use store::{EntryError, EntryPrediction, NewEntryModel, attach, insert, load, measures, predict, register, train};

/// The newcomers of so many weeks are counted together.
pub const COHORT_WEEKS: i32 = 4;

/// So many weeks after the first of them began, it is counted who came up.
pub const HORIZON_WEEKS: i32 = 8;

/// Fewer newcomers than this make no label: the part of them that came up would say nothing.
pub const NEWCOMERS_MIN: u32 = 5;

/// Of the weeks of a window, so many must have been looked at.
const LOOKS_MIN: usize = 6;

/// Returns the number of positions that are the top of the results: half of the first page.
pub fn top_positions(marketplace: Marketplace) -> i32 {
    match marketplace {
        Marketplace::Amazon => 10,
        Marketplace::Etsy | Marketplace::Ebay => 24,
    }
}

/// How many listings were new, and how many of them came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Listings first seen in the cohort's weeks.
    pub newcomers: u32,
    /// Those of them that were seen at the top.
    pub successes: u32,
}

impl Outcome {
    /// Adds up two cohorts.
    pub fn and(self, other: Outcome) -> Outcome {
        Outcome { newcomers: self.newcomers + other.newcomers, successes: self.successes + other.successes }
    }
}

/// What is believed of a keyword before any newcomer was counted: the beta distribution of entry success.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Successes counted in advance.
    pub successes: f64,
    /// Failures counted in advance.
    pub failures: f64,
}

/// The prior of the published score, and of a marketplace of which too little is known: a sixth comes up.
pub const PUBLISHED_PRIOR: Prior = Prior { successes: 1.2, failures: 6.0 };

impl Prior {
    /// Reads the prior of a marketplace off the outcomes of its keywords, by their moments.
    pub fn of(outcomes: &[Outcome]) -> Prior {
        let sums = outcomes.iter().copied().fold(Outcome::default(), Outcome::and);
        let total = f64::from(sums.newcomers);
        let mean = f64::from(sums.successes) / total;
        if !(0.001..=0.999).contains(&mean) {
            return PUBLISHED_PRIOR;
        }
        let groups = outcomes.iter().filter(|outcome| outcome.newcomers > 0);
        let (mut spread, mut squares, mut count) = (0.0, 0.0, -1.0);
        for outcome in groups {
            let size = f64::from(outcome.newcomers);
            spread += size * (f64::from(outcome.successes) / size - mean).powi(2);
            squares += size * size;
            count += 1.0;
        }
        // What the rates spread more than chance alone would make them is the correlation within a keyword.
        let correlation = (spread / (mean * (1.0 - mean)) - count) / (total - squares / total - count);
        let strength =
            if correlation.is_finite() { 1.0 / correlation.clamp(0.01, 0.5) - 1.0 } else { return PUBLISHED_PRIOR };
        Prior { successes: mean * strength, failures: (1.0 - mean) * strength }
    }

    /// Returns the entry success of an outcome, drawn towards what is believed the more the fewer newcomers there were.
    pub fn success(&self, outcome: Outcome) -> f64 {
        (f64::from(outcome.successes) + self.successes)
            / (f64::from(outcome.newcomers) + self.successes + self.failures)
    }

    /// Returns the difficulty of an outcome on the scale on which lines are straight.
    pub fn difficulty(&self, outcome: Outcome) -> f64 {
        -logit(self.success(outcome))
    }
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

fn from_logit(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}
