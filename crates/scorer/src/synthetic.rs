//! Made-up series for the tests: level, trend, yearly season and noise, all from a seed.

use std::collections::BTreeMap;

use crate::series::{History, WeekValue};

/// A small random source that gives the same numbers everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }

    /// Draws a number between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws from the normal distribution.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Makes the weekly counts of some keywords.
pub fn counts(seed: u64, keyword_count: i64, week_count: i32) -> Vec<History> {
    let mut dice = Dice::new(seed);
    (1..=keyword_count)
        .map(|keyword_id| {
            let (level, trend, height) = (5.0 + dice.normal(), 0.2 * dice.normal(), 0.2 + 0.6 * dice.unit());
            let peak = 52.0 * dice.unit();
            let mut wander = 0.0;
            let weeks = (0..week_count)
                .map(|week| {
                    wander = 0.9 * wander + 0.05 * dice.normal();
                    let season = height * (std::f64::consts::TAU * (f64::from(week) - peak) / 52.18).cos();
                    let log = level + trend * f64::from(week) / 52.0 + season + wander + 0.05 * dice.normal();
                    WeekValue { week: 2_800 + week, value: log.exp(), components: Vec::new(), beside: Vec::new() }
                })
                .collect();
            History { keyword_id, weeks, beyond: BTreeMap::new(), sources: vec!["test".to_owned()] }
        })
        .collect()
}

/// Makes weekly scores with two component levels that return to their mean.
pub fn scores(seed: u64, keyword_count: i64, week_count: i32) -> Vec<History> {
    let mut dice = Dice::new(seed);
    (1..=keyword_count)
        .map(|keyword_id| {
            let means = [0.2 + 0.6 * dice.unit(), 0.2 + 0.6 * dice.unit()];
            let mut levels = means;
            let weeks = (0..week_count)
                .map(|week| {
                    for (level, mean) in levels.iter_mut().zip(means) {
                        *level = (*level + 0.4 * (mean - *level) + 0.05 * dice.normal()).clamp(0.0, 1.0);
                    }
                    let value = 0.5 * levels[0] + 0.5 * levels[1];
                    WeekValue { week: 2_800 + week, value, components: levels.to_vec(), beside: Vec::new() }
                })
                .collect();
            History { keyword_id, weeks, beyond: BTreeMap::new(), sources: vec!["test".to_owned()] }
        })
        .collect()
}
