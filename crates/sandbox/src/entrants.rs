//! Newcomers: how hard it is to come up among the results of a keyword is hidden in its world, and known here.
//!
//! The search engine tries every new listing in the lower half of the first page for two weeks. Some come up to its
//! top, as often as the keyword lets them; the others sink.

use std::f64::consts::TAU;

use chrono::{DateTime, NaiveDate, Utc};

use crate::clock::{WEEKS, day_of, timestamp_of, week_of};
use crate::config::Marketplace;
use crate::listings::Shelf;
use crate::noise::{Dice, hash, hash_texts, smooth};
use crate::world::normalize;

/// The first week in which newcomers arrive: 2023-12-31. Listings of earlier years are the stock of a shelf alone.
pub(crate) const FIRST_WEEK: i64 = 208;

/// How long a new listing is tried.
const TRIAL_DAYS: f64 = 14.0;

/// How long one that came up stays at the top, before it is a listing like many.
const TOP_DAYS: f64 = 20.0;

/// Says which part of the listings begun in a week will come up to the top of the first page.
///
/// It lies around a sixth, differs by keyword, and wanders over the months.
pub fn true_entry_probability(seed: u64, marketplace: Marketplace, keyword: &str, week_start: NaiveDate) -> f64 {
    Entry::new(seed, marketplace, &normalize(keyword)).probability(week_of(week_start))
}

/// How open a keyword is to newcomers.
pub(crate) struct Entry {
    salt: u64,
    log_odds: f64,
}

impl Entry {
    pub(crate) fn new(seed: u64, marketplace: Marketplace, keyword: &str) -> Self {
        let salt = hash_texts(seed, &["entry", marketplace.as_str(), keyword]);
        Self { salt, log_odds: -1.95 + Dice::new(salt).normal() }
    }

    pub(crate) fn probability(&self, week: i64) -> f64 {
        let log_odds = self.log_odds + 0.4 * smooth(hash(self.salt, 1), week as f64 / 26.0);
        1.0 / (1.0 + (-log_odds).exp())
    }

    /// The newcomers of all weeks: the day on which each begins, and after how many days it comes up, if it does.
    pub(crate) fn careers(&self, arrivals_per_week: f64) -> Vec<(f64, Career)> {
        let mut careers = Vec::new();
        for week in FIRST_WEEK..WEEKS as i64 {
            let mut dice = Dice::new(hash(hash(self.salt, 2), week as u64));
            let count = (arrivals_per_week + dice.unit()).floor() as usize;
            for _ in 0..count {
                let born = 7.0 * (week as f64 + dice.unit());
                let comes_up = dice.chance(self.probability(week));
                let rises_after = comes_up.then(|| dice.between(9.0, TRIAL_DAYS + 2.0));
                careers.push((born, Career { rises_after, phase: dice.unit() }));
            }
        }
        careers
    }
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Career {
    rises_after: Option<f64>,
    phase: f64,
}

/// Where in the order of a shelf newcomers stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    top: f64,
    trial: f64,
}

impl Places {
    /// Finds the scores that bring a listing to the top and to the lower half of the first page.
    pub(crate) fn new(marketplace: Marketplace, slots: usize) -> Self {
        let (top, trial) = match marketplace {
            Marketplace::Amazon => (4.0, 15.0),
            Marketplace::Etsy | Marketplace::Ebay => (9.0, 36.0),
        };
        // Scores of the stock spread nearly like a normal distribution, which the logistic curve resembles.
        let at = |position: f64| {
            let above = position / slots as f64;
            1.15 * ((1.0 - above) / above).ln() / 1.702
        };
        Self { top: at(top), trial: at(trial) }
    }

    /// What the search engine thinks of a newcomer of an age.
    pub(crate) fn score(&self, career: &Career, age_days: f64) -> f64 {
        const SUNK: f64 = -6.0;
        let sway = 0.1 * (TAU * (career.phase + age_days / 30.0)).sin();
        match career.rises_after {
            Some(rise) if (rise..rise + TOP_DAYS).contains(&age_days) => self.top + sway,
            Some(rise) if age_days < rise => self.trial + sway,
            None if age_days < TRIAL_DAYS => self.trial + sway,
            _ => SUNK + career.phase,
        }
    }
}

/// The search results of one keyword, looked at without the way over HTTP.
pub struct SearchResults(Shelf);

/// One position of a page of search results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Number of the listing, unique for the keyword.
    pub listing: u32,
    /// Number of its seller.
    pub seller: u64,
    /// When the offer was first made.
    pub listed_at: DateTime<Utc>,
    /// Its price.
    pub price_cents: u64,
}

impl SearchResults {
    /// Builds the world of a keyword.
    pub fn new(seed: u64, marketplace: Marketplace, keyword: &str, entrants_per_week: f64) -> Self {
        Self(Shelf::new(seed, marketplace, &normalize(keyword), entrants_per_week))
    }

    /// Returns the first positions at a moment.
    pub fn first(&self, now: DateTime<Utc>, depth: usize) -> Vec<Position> {
        let day = day_of(now);
        let ranked = self.0.ranked(day).into_iter().take(depth);
        let position = |listing: &crate::listings::Listing| Position {
            listing: listing.number,
            seller: listing.seller,
            listed_at: DateTime::from_timestamp(timestamp_of(listing.born), 0).unwrap_or_default(),
            price_cents: listing.price_cents(day),
        };
        ranked.map(position).collect()
    }

    /// Returns the number of matching listings at a moment.
    pub fn total(&self, now: DateTime<Utc>) -> u64 {
        self.0.total(day_of(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_newcomers_come_up_as_the_keyword_lets() {
        let (mut tried_total, mut expected_total) = (0.0, 0.0);
        for keyword in ["boho lamp", "wooden spoon", "linen dress", "garden sign"] {
            let shelf = Shelf::new(3, Marketplace::Etsy, keyword, 7.5);
            let entry = Entry::new(3, Marketplace::Etsy, keyword);
            let newcomers: Vec<_> = shelf.listings().iter().filter(|listing| listing.career.is_some()).collect();
            assert!(newcomers.len() > 2_900);
            for listing in newcomers {
                let is_at_top = |week: u32| {
                    let day = listing.born + 7.0 * f64::from(week);
                    shelf.ranked(day).iter().take(24).any(|other| other.number == listing.number)
                };
                // A sample of them is enough.
                if listing.number % 40 == 0 {
                    tried_total += f64::from(u8::from((1..=5).any(is_at_top)));
                    expected_total += entry.probability((listing.born / 7.0) as i64);
                }
            }
        }
        let ratio: f64 = tried_total / expected_total;
        assert!((0.75..1.25).contains(&ratio), "{tried_total} came up where {expected_total} were expected");
    }

    #[test]
    fn a_world_without_newcomers_has_none() {
        let shelf = Shelf::new(3, Marketplace::Ebay, "boho lamp", 0.0);
        assert!(shelf.listings().iter().all(|listing| listing.career.is_none()));
    }
}
