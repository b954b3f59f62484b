//! What is known of a history at its last point, as differences from it, in mean absolute changes.
//!
//! Histories of every size thus share one model. A feature that the history is too short for is NaN, and later zero:
//! "no difference". The order is fixed; [`COMMON_COUNT`] and [`HORIZON_COUNT`] say how many there are.

use serde::{Deserialize, Serialize};

use super::statistics::{deviation, mean, median_of};

/// Features that do not depend on the horizon.
pub const COMMON_COUNT: usize = LAG_COUNT + 5 * WINDOW_COUNT + LEVELS.len() + 3;

/// Features of each horizon: the same steps one, two and three seasons ago, and the distance to last season's value.
pub const HORIZON_COUNT: usize = 2 * SEASONS_BACK + 1;

const LAG_COUNT: usize = 9;
const WINDOW_COUNT: usize = 5;
const SEASONS_BACK: usize = 3;

/// Speeds of the smoothed levels.
const LEVELS: [f64; 3] = [0.1, 0.3, 0.6];

/// A smoothed level reads no further back.
const LEVEL_STEPS_MAX: usize = 60;

/// The slope is that of so many last points.
const SLOPE_STEPS_MAX: usize = 26;

/// How far the features look back, in steps of the series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Differences to so many steps before.
    pub lags: [usize; LAG_COUNT],
    /// Lengths of the windows that are summed up.
    pub windows: [usize; WINDOW_COUNT],
    /// Steps of a season.
    pub season: usize,
}

impl Shape {
    /// The shape for weeks with a yearly season; other seasons stretch or shrink it.
    pub fn of_season(season: usize) -> Shape {
        match season {
            0..=1 => Shape { season: 52, ..Shape::of_season(52) },
            2..=7 => Shape { lags: [1, 2, 3, 4, 5, 6, 7, 14, 21], windows: [4, 7, 14, 28, 56], season },
            8..=24 => Shape { lags: [1, 2, 3, 4, 5, 6, 8, 10, 12], windows: [3, 6, 12, 24, 36], season },
            _ => Shape { lags: [1, 2, 3, 4, 5, 6, 8, 10, 12], windows: [4, 8, 13, 26, 52], season },
        }
    }
}

/// Appends the features of a history that do not depend on the horizon.
pub fn common(history: &[f64], scale: f64, shape: &Shape, into: &mut Vec<f64>) {
    let Some((&last, count)) = history.last().zip(Some(history.len())) else { return };
    for lag in shape.lags {
        into.push(if lag < count { (last - history[count - 1 - lag]) / scale } else { f64::NAN });
    }
    let mut sorted = Vec::new();
    for window in shape.windows {
        let part = &history[count.saturating_sub(window)..];
        if part.len() < (window / 2).max(4) {
            into.extend([f64::NAN; 5]);
            continue;
        }
        sorted.clear();
        sorted.extend_from_slice(part);
        let highest = part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lowest = part.iter().copied().fold(f64::INFINITY, f64::min);
        into.extend([
            (last - mean(part)) / scale,
            deviation(part) / scale,
            (last - median_of(&mut sorted)) / scale,
            (highest - last) / scale,
            (last - lowest) / scale,
        ]);
    }
    for speed in LEVELS {
        into.push((last - smoothed(history, speed)) / scale);
    }
    into.push(slope(&history[count.saturating_sub(SLOPE_STEPS_MAX)..]) / scale);
    into.push((last.abs() / scale + 1e-3).ln());
    into.push(((count - 1) as f64).ln_1p());
}

/// Appends the features of one horizon: what happened in the same steps of the seasons before.
pub fn of_horizon(history: &[f64], scale: f64, shape: &Shape, horizon: usize, into: &mut Vec<f64>) {
    let count = history.len() as isize;
    let (end, season, ahead) = (count - 1, shape.season as isize, horizon as isize);
    let around = |place: isize| {
        let from = (place - 1).max(0) as usize;
        let until = (place + 2).clamp(0, count) as usize;
        mean(&history[from..until])
    };
    for seasons in 1..=SEASONS_BACK as isize {
        let (start, target) = (end - season * seasons, end + ahead - season * seasons);
        if start < 1 || target > end {
            into.extend([f64::NAN; 2]);
            continue;
        }
        into.push((history[target as usize] - history[start as usize]) / scale);
        into.push((around(target) - around(start)) / scale);
    }
    let target = end + ahead - season;
    let is_known = (0..=end).contains(&target);
    into.push(if is_known { (history[target as usize] - history[end as usize]) / scale } else { f64::NAN });
}

fn smoothed(history: &[f64], speed: f64) -> f64 {
    let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
    for value in history.iter().rev().take(LEVEL_STEPS_MAX) {
        sum += weight * value;
        weights += weight;
        weight *= 1.0 - speed;
    }
    sum / weights
}

fn slope(part: &[f64]) -> f64 {
    let middle = (part.len() as f64 - 1.0) / 2.0;
    let (mut product, mut square) = (0.0, 0.0);
    for (place, value) in part.iter().enumerate() {
        let offset = place as f64 - middle;
        product += offset * value;
        square += offset * offset;
    }
    product / square
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_features_as_promised() {
        for count in [1, 2, 3, 60, 300] {
            let history: Vec<f64> = (0..count).map(|place| f64::from(place * place % 17)).collect();
            let mut features = Vec::new();
            common(&history, 2.0, &Shape::of_season(52), &mut features);
            assert_eq!(features.len(), COMMON_COUNT);
            of_horizon(&history, 2.0, &Shape::of_season(52), 8, &mut features);
            assert_eq!(features.len(), COMMON_COUNT + HORIZON_COUNT);
        }
    }

    #[test]
    fn last_years_move_is_seen_and_a_short_history_says_that_it_cannot_know() {
        let season: Vec<f64> = (0..120).map(|week| f64::from(week % 52)).collect();
        let mut features = Vec::new();
        of_horizon(&season, 1.0, &Shape::of_season(52), 4, &mut features);
        assert_eq!(features[0], 4.0);
        features.clear();
        of_horizon(&season[..40], 1.0, &Shape::of_season(52), 4, &mut features);
        assert!(features.iter().all(|feature| feature.is_nan()));
    }
}
