//! The pretend world: what is searched for, how often, and the shelves that hold the listings.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, RwLock};

use chrono::{Datelike, Days, NaiveDate};

use crate::clock::{EPOCH, WEEKS, week_of};
use crate::config::Marketplace;
use crate::exchange::Incoming;
use crate::keywords::{self, Life, Season};
use crate::listings::Shelf;
use crate::noise::{Dice, hash, hash_texts, normal, smooth, unit};

/// Says how much a keyword is wanted in the week that begins at `week_start`.
///
/// The unit is searches on Amazon, listing views on Etsy and bids on eBay.
/// A date inside a week stands for its week; outside the world demand is 0.
pub fn true_weekly_demand(seed: u64, marketplace: Marketplace, keyword: &str, week_start: NaiveDate) -> f64 {
    let week = week_of(week_start);
    if !(0..WEEKS as i64).contains(&week) {
        return 0.0;
    }
    Demand::new(seed, marketplace, &normalize(keyword)).in_week(week)
}

/// Brings a keyword into the form the world knows it by: lower case, single spaces.
pub(crate) fn normalize(keyword: &str) -> String {
    keyword.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The shelves of all keywords, built when they are first asked for.
pub(crate) struct World {
    seed: u64,
    entrants_per_week: f64,
    shelves: RwLock<HashMap<(Marketplace, String), Arc<Shelf>>>,
    keywords_by_id: RwLock<HashMap<u64, String>>,
}

impl World {
    /// More shelves than this are never kept at once.
    const SHELVES_MAX: usize = 4_000;

    pub(crate) fn new(seed: u64, entrants_per_week: f64) -> Self {
        Self { seed, entrants_per_week, shelves: RwLock::default(), keywords_by_id: RwLock::default() }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Finds or builds the shelf of a keyword.
    pub(crate) fn shelf(&self, marketplace: Marketplace, keyword: &str) -> Arc<Shelf> {
        let place = (marketplace, normalize(keyword));
        if let Some(shelf) = self.shelves.read().expect("no holder panics").get(&place) {
            return Arc::clone(shelf);
        }
        let shelf = Arc::new(self.build(marketplace, &place.1));
        if marketplace == Marketplace::Etsy {
            let mut keywords_by_id = self.keywords_by_id.write().expect("no holder panics");
            keywords_by_id.insert(shelf.keyword_id, place.1.clone());
        }
        let mut shelves = self.shelves.write().expect("no holder panics");
        if shelves.len() >= Self::SHELVES_MAX {
            shelves.clear();
        }
        shelves.insert(place, Arc::clone(&shelf));
        shelf
    }

    fn build(&self, marketplace: Marketplace, keyword: &str) -> Shelf {
        Shelf::new(self.seed, marketplace, keyword, self.entrants_per_week)
    }

    /// Finds or builds the shelf a search looks at: an empty one if a fault wants that.
    pub(crate) fn searched_shelf(&self, marketplace: Marketplace, keyword: &str, incoming: &Incoming) -> Arc<Shelf> {
        if incoming.finds_nothing {
            return Arc::new(self.build(marketplace, &normalize(keyword)).emptied());
        }
        self.shelf(marketplace, keyword)
    }

    /// The shelves of the named keywords and of all that were searched for lately.
    pub(crate) fn known_shelves(&self, marketplace: Marketplace) -> Vec<Arc<Shelf>> {
        let mut known: Vec<_> =
            keywords::keywords(marketplace).into_iter().map(|keyword| self.shelf(marketplace, keyword)).collect();
        let shelves = self.shelves.read().expect("no holder panics");
        let others = shelves
            .iter()
            .filter(|((place, keyword), _)| *place == marketplace && !keywords::is_listed(marketplace, keyword));
        known.extend(others.map(|(_, shelf)| Arc::clone(shelf)));
        known
    }

    /// Finds the Etsy shelf by the part of a listing id that stands for the keyword.
    ///
    /// Named keywords are always found, others once they have been searched for.
    pub(crate) fn shelf_by_keyword_id(&self, keyword_id: u64) -> Option<Arc<Shelf>> {
        let known = self.keywords_by_id.read().expect("no holder panics").get(&keyword_id).cloned();
        if let Some(keyword) = known {
            return Some(self.shelf(Marketplace::Etsy, &keyword));
        }
        keywords::keywords(Marketplace::Etsy)
            .into_iter()
            .find(|keyword| Shelf::keyword_id_of(self.seed, Marketplace::Etsy, keyword) == keyword_id)
            .map(|keyword| self.shelf(Marketplace::Etsy, keyword))
    }
}

/// How one keyword is wanted over the years.
#[derive(Debug)]
pub(crate) struct Demand {
    salt: u64,
    log_level: f64,
    trend_per_year: f64,
    peak_day: f64,
    peak_log_height: f64,
    peak_sharpness: f64,
    wander: f64,
    jitter: f64,
    life: Life,
}

impl Demand {
    pub(crate) fn new(seed: u64, marketplace: Marketplace, keyword: &str) -> Self {
        let salt = hash_texts(seed, &["demand", marketplace.as_str(), keyword]);
        let mut dice = Dice::new(salt);
        let (center, spread, floor): (f64, f64, f64) = match marketplace {
            Marketplace::Amazon => (8.6, 1.4, 5.0),
            Marketplace::Etsy => (7.4, 0.9, 6.3),
            Marketplace::Ebay => (6.2, 0.8, 5.3),
        };
        let named = keywords::find(marketplace, keyword);
        let floor = if named.is_some() { floor.max(6.4 - f64::from(marketplace == Marketplace::Ebay)) } else { floor };
        let (season, life) = named.unwrap_or_else(|| draw_character(&mut dice));
        let (peak_day, height, sharpness) = season.shape();
        let flat_height = if season == Season::Flat { dice.between(0.05, 0.3) } else { 0.0 };
        Self {
            salt,
            log_level: (center + spread * dice.normal()).max(floor),
            trend_per_year: 0.12 * dice.normal(),
            peak_day: peak_day + if flat_height > 0.0 { dice.between(0.0, 365.0) } else { dice.between(-5.0, 5.0) },
            peak_log_height: height * dice.between(0.85, 1.15) + flat_height,
            peak_sharpness: sharpness,
            wander: dice.between(0.08, 0.25),
            jitter: dice.between(0.03, 0.09),
            life,
        }
    }

    /// The level of the keyword on a log scale, before trend and season.
    pub(crate) fn log_level(&self) -> f64 {
        self.log_level
    }

    /// Demand in one week, counted from the world's first.
    pub(crate) fn in_week(&self, week: i64) -> f64 {
        let start = EPOCH + Days::new(7 * week as u64);
        let alive = self.alive_part(start);
        if alive <= 0.0 {
            return 0.0;
        }
        let years = (week as f64 - 156.0) / 52.18;
        let trend = 0.6 * (self.trend_per_year * years / 0.6).tanh();
        let angle = TAU * (f64::from(start.ordinal0()) + 3.0 - self.peak_day) / 365.25;
        let season = self.peak_log_height * (self.peak_sharpness * (angle.cos() - 1.0)).exp();
        let wander = self.wander * smooth(hash(self.salt, 1), week as f64 / 9.0);
        let jitter = self.jitter * normal(hash(hash(self.salt, 2), week as u64));
        let log = self.log_level + trend + season + wander + jitter + self.event_lift(week);
        alive * log.exp()
    }

    /// The lift of the events of this and the last quarter: a jump that fades over a few weeks.
    fn event_lift(&self, week: i64) -> f64 {
        let quarter = week.div_euclid(13);
        let mut lift = 0.0;
        for quarter in [quarter - 1, quarter] {
            let salt = hash(hash(self.salt, 3), quarter as u64);
            if unit(salt) < 0.08 {
                let start = quarter * 13 + (unit(hash(salt, 1)) * 13.0) as i64;
                let height = 0.3 + 0.7 * unit(hash(salt, 2));
                if week >= start {
                    lift += height * (-(week - start) as f64 / 1.5).exp();
                }
            }
        }
        lift
    }

    /// Rises from 0 after a birth and falls to 0 before a death.
    fn alive_part(&self, start: NaiveDate) -> f64 {
        let weeks_to = |year, month| {
            NaiveDate::from_ymd_opt(year, month, 1).map_or(0.0, |date| (date - start).num_days() as f64 / 7.0)
        };
        match self.life {
            Life::Always => 1.0,
            Life::From(year, month) => (1.0 - (weeks_to(year, month) / 5.0).exp()).max(0.0),
            Life::Until(year, month) => (weeks_to(year, month) / 20.0).clamp(0.0, 1.0),
        }
    }
}

/// Draws season and life for a keyword that has no name in the world.
fn draw_character(dice: &mut Dice) -> (Season, Life) {
    const SEASONS: [Season; 10] = [
        Season::Fitness,
        Season::Valentine,
        Season::Spring,
        Season::Mother,
        Season::Wedding,
        Season::Summer,
        Season::School,
        Season::Halloween,
        Season::Christmas,
        Season::Winter,
    ];
    let season = if dice.chance(0.5) { Season::Flat } else { dice.pick(&SEASONS) };
    let (year, month) = (2023 + dice.below(5) as i32, 1 + dice.below(12) as u32);
    let life = match dice.below(100) {
        0..8 => Life::From(year, month),
        8..14 => Life::Until(year, month),
        _ => Life::Always,
    };
    (season, life)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_demand_and_another_seed_does_not() {
        let at = |seed| true_weekly_demand(seed, Marketplace::Etsy, "Boho  Lamp", week(2025, 5, 4));
        assert_eq!(at(7), at(7));
        assert_eq!(at(7), true_weekly_demand(7, Marketplace::Etsy, "boho lamp", week(2025, 5, 4)));
        assert_ne!(at(7), at(8));
    }

    #[test]
    fn christmas_terms_peak_in_december_and_beach_terms_in_summer() {
        for year in 2023..=2030 {
            let demand = |keyword, month| true_weekly_demand(1, Marketplace::Amazon, keyword, week(year, month, 7));
            assert!(demand("christmas stocking", 12) > 3.0 * demand("christmas stocking", 4));
            assert!(demand("beach towel", 7) > 1.8 * demand("beach towel", 1));
        }
    }

    #[test]
    fn at_least_32_named_keywords_are_wanted_in_every_week() {
        for marketplace in Marketplace::ALL {
            let names = keywords::keywords(marketplace);
            assert!(names.len() >= 40);
            let steady = names.iter().filter(|keyword| {
                let demand = Demand::new(1, marketplace, keyword);
                (0..WEEKS as i64).all(|week| demand.in_week(week) > 0.0)
            });
            assert!(steady.count() >= 32);
        }
    }

    #[test]
    fn a_keyword_born_later_is_not_wanted_before() {
        let demand = |year| true_weekly_demand(1, Marketplace::Amazon, "mushroom coffee", week(year, 6, 1));
        assert_eq!(demand(2024), 0.0);
        assert!(demand(2026) > 0.0);
    }
}
