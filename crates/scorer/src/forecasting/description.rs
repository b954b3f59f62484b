//! What kind of series it is: its pattern of demand, how strong its season is, and when its peak comes.
//!
//! The pattern follows Syntetos, Boylan and Croston (2005): how far apart the weeks with demand are, and how much their
//! size varies.

use serde::{Deserialize, Serialize};

use super::season::Season;
use super::statistics::{deviation, mean};

/// Demand that is further apart on average is intermittent.
const INTERVAL_MAX: f64 = 1.32;

/// Sizes whose squared coefficient of variation is larger are lumpy.
const VARIATION_MAX: f64 = 0.49;

/// A season that explains such a share of what is left beside the level is worth naming.
const SEASON_MIN: f64 = 0.3;

/// An event is short: so many values above the middle between the level and its height.
const EVENT_MAX: usize = 4;

/// An event is so many times as high as the level around it.
const EVENT_FACTOR: f64 = 5.0;

/// A series that was zero for so large a part of a season is dead.
const DEAD_SHARE: f64 = 0.5;

/// The pattern of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Regular, without a season.
    Smooth,
    /// Regular, with a season.
    Seasonal,
    /// Many zeros; what is between them is of similar size.
    Intermittent,
    /// Many zeros, or none, and sizes that vary much.
    Lumpy,
    /// Nothing much but one short burst.
    IsolatedEvent,
    /// Zero for half a season, up to now.
    Dead,
}

impl Pattern {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::Smooth => "smooth",
            Pattern::Seasonal => "seasonal",
            Pattern::Intermittent => "intermittent",
            Pattern::Lumpy => "lumpy",
            Pattern::IsolatedEvent => "isolated_event",
            Pattern::Dead => "dead",
        }
    }
}

/// What kind of series it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Its pattern.
    pub pattern: Pattern,
    /// Share of what moves around the level that its season explains, 0 to 1; nothing where no season was found.
    pub season_strength: Option<f64>,
    /// Steps until the season's peak comes next, at least one; nothing where no season was found.
    pub steps_until_peak: Option<usize>,
}

/// Describes a clean history with a season of so many steps; nothing where there are no values.
pub fn describe(history: &[f64], season: usize) -> Option<Description> {
    if history.is_empty() {
        return None;
    }
    let found = Season::find(history, season);
    let season_strength = found.as_ref().map(|found| found.strength(history));
    let steps_until_peak = found.as_ref().map(|found| found.steps_until_peak(history.len()));
    let demand: Vec<f64> = history.iter().copied().filter(|value| *value != 0.0).collect();
    let recent = &history[history.len().saturating_sub(((season as f64 * DEAD_SHARE) as usize).max(2))..];
    let interval = history.len() as f64 / demand.len() as f64;
    let variation = (deviation(&demand) / mean(&demand)).powi(2);
    let pattern = if recent.iter().all(|value| *value == 0.0) {
        Pattern::Dead
    } else if is_event(history) {
        Pattern::IsolatedEvent
    } else if season_strength.is_some_and(|strength| strength >= SEASON_MIN) {
        Pattern::Seasonal
    } else if variation > VARIATION_MAX {
        Pattern::Lumpy
    } else if interval > INTERVAL_MAX {
        Pattern::Intermittent
    } else {
        Pattern::Smooth
    };
    Some(Description { pattern, season_strength, steps_until_peak })
}

/// Tells whether one short burst is far above everything else.
fn is_event(history: &[f64]) -> bool {
    let highest = history.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let high: Vec<usize> = (0..history.len()).filter(|&place| history[place] > highest / 2.0).collect();
    let (Some(first), Some(last)) = (high.first(), high.last()) else { return false };
    let around: Vec<f64> = history[..*first].iter().chain(&history[last + 1..]).map(|value| value.abs()).collect();
    let next = around.iter().copied().fold(0.0, f64::max);
    last - first < EVENT_MAX && around.len() > 2 * EVENT_MAX && highest > EVENT_FACTOR * next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::random::Random;

    fn pattern(of: impl Fn(usize) -> f64) -> Pattern {
        let history: Vec<f64> = (0..156).map(of).collect();
        describe(&history, 52).unwrap().pattern
    }

    fn noise(place: usize) -> f64 {
        Random::new(3, place as u64).share()
    }

    #[test]
    fn every_pattern_is_told_from_the_others() {
        assert_eq!(pattern(|week| 100.0 + 20.0 * noise(week)), Pattern::Smooth);
        assert_eq!(pattern(|week| 100.0 + 60.0 * noise(week % 52) + noise(week)), Pattern::Seasonal);
        assert_eq!(pattern(|week| if week % 3 == 0 { 5.0 + noise(week) } else { 0.0 }), Pattern::Intermittent);
        assert_eq!(
            pattern(|week| if noise(week) < 0.3 { (9.0 * noise(week + 900)).exp() } else { 0.0 }),
            Pattern::Lumpy
        );
        assert_eq!(pattern(|week| if week == 60 { 400.0 } else { 10.0 + noise(week) }), Pattern::IsolatedEvent);
        assert_eq!(pattern(|week| if week < 120 { 10.0 + noise(week) } else { 0.0 }), Pattern::Dead);
        assert_eq!(describe(&[0.0], 52).unwrap().pattern, Pattern::Dead);
        assert_eq!(describe(&[], 52), None);
    }

    #[test]
    fn the_peak_of_the_season_is_found_again() {
        let wave = |week: usize| 100.0 - 40.0 * ((week as f64 - 10.0) * std::f64::consts::TAU / 52.0).cos().abs();
        let history: Vec<f64> = (0..160).map(|week| if week % 52 == 40 { 250.0 } else { wave(week) }).collect();
        let described = describe(&history, 52).unwrap();
        // The 161st value is week 160, and 196 is the next that is 40 after whole years.
        assert_eq!(described.steps_until_peak, Some(196 - 159));
        assert!(described.season_strength.unwrap() > 0.9);
    }
}
