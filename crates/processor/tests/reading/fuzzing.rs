//! One fuzz target per resource: changed answers are read, and what is made of them is held against what they say.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use digitallz_common::marketplace::Resource;
use digitallz_processor::reading::{ReadError, Reading};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::fixtures::{self, Fixture};
use crate::mutation::mutate;

/// Answers that are kept because something new was made of them.
const MAX_CORPUS: usize = 2_000;

/// A target: the answers of one resource, made by hand and changed.
pub struct Target {
    random: SmallRng,
    corpus: Vec<Fixture>,
    seen: HashSet<u64>,
}

/// An answer of which something wrong was made.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The fixture that it was changed from.
    pub fixture: &'static str,
    /// The answer.
    pub body: Vec<u8>,
    /// What is wrong.
    pub wrong: String,
}

impl Target {
    /// Starts with the answers made by hand.
    pub fn new(resource: Resource, seed: u64) -> Target {
        let corpus: Vec<Fixture> =
            fixtures::all().into_iter().filter(|fixture| fixture.question.resource == resource).collect();
        assert!(!corpus.is_empty(), "there is no fixture of {resource}");
        Target { random: SmallRng::seed_from_u64(seed), corpus, seen: HashSet::new() }
    }

    /// Returns the next answer that is tried.
    pub fn next(&mut self) -> Fixture {
        let chosen = self.corpus.choose(&mut self.random).expect("it began with some").clone();
        Fixture { body: mutate(&mut self.random, &chosen.body), ..chosen }
    }

    /// Returns how many answers are changed further.
    pub fn corpus_len(&self) -> usize {
        self.corpus.len()
    }

    /// Tries an answer; one of which something new was made is changed further later.
    pub fn attempt(&mut self, fixture: Fixture) -> Result<(), Finding> {
        match fixture.question.judge(&fixture.body) {
            Err(wrong) => Err(Finding { fixture: fixture.name, body: fixture.body, wrong }),
            Ok(outcome) => {
                if self.seen.insert(shape(&outcome)) && self.corpus.len() < MAX_CORPUS {
                    self.corpus.push(fixture);
                }
                Ok(())
            }
        }
    }
}

/// Tells outcomes apart by what was wrong and what was absent, whatever the values were.
fn shape(outcome: &Result<Reading, ReadError>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let letters = |text: &str| text.chars().filter(|letter| letter.is_alphabetic()).collect::<String>();
    match outcome {
        Err(error) => letters(&error.to_string()).hash(&mut hasher),
        Ok(reading) => {
            let mut reasons: Vec<String> = reading.quarantined.iter().map(|row| letters(&row.reason)).collect();
            reasons.extend(reading.observations.iter().filter_map(|one| one.observed.reason()).map(letters));
            reasons.sort_unstable();
            reasons.dedup();
            (reasons, reading.listings.is_empty(), reading.observations.len()).hash(&mut hasher);
        }
    }
    hasher.finish()
}
