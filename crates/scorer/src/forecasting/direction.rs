//! Which way a series goes, with the probability of each: the mean of the steps ahead against the mean of the last four
//! values.
//!
//! How far the forecast mean was missed at the rolling origins, in predicted sizes of the error, says how likely it is that
//! the mean ends above or below a bound now.

use serde::{Deserialize, Serialize};

use super::conformal::{About, Intervals, mix_if_few};
use super::origins::Case;
use super::statistics::mean;

/// A change of less than this share of the recent level is none.
pub const STABLE_SHARE: f64 = 0.1;

/// Values that make the recent level.
pub const RECENT: usize = 4;

/// Of none of the directions it is said that the series takes it when all are less probable.
const SAID_MIN: f64 = 0.45;

/// Which way a series goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More than a tenth below the recent level.
    Falling,
    /// Within a tenth of it.
    Stable,
    /// More than a tenth above it.
    Rising,
}

impl Direction {
    /// All of them, from the lowest.
    pub const ALL: [Direction; 3] = [Direction::Falling, Direction::Stable, Direction::Rising];

    /// Returns the direction in which a mean lies from the level of a history; nothing where that is not above zero.
    pub fn of(history: &[f64], mean: f64) -> Option<Direction> {
        let level = level(history)?;
        Some(match mean / level {
            share if share > 1.0 + STABLE_SHARE => Direction::Rising,
            share if share < 1.0 - STABLE_SHARE => Direction::Falling,
            _ => Direction::Stable,
        })
    }
}

/// How probable each direction is; together they are one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// Of falling.
    pub falling: f64,
    /// Of staying.
    pub stable: f64,
    /// Of rising.
    pub rising: f64,
}

impl Probabilities {
    /// Returns the probability of a direction.
    pub fn of(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Falling => self.falling,
            Direction::Stable => self.stable,
            Direction::Rising => self.rising,
        }
    }

    /// Returns the most probable direction.
    pub fn likeliest(&self) -> Direction {
        let best = Direction::ALL.into_iter().max_by(|one, other| self.of(*one).total_cmp(&self.of(*other)));
        best.unwrap_or(Direction::Stable)
    }

    /// Returns the direction that may be told, which is none where all are improbable.
    pub fn said(&self) -> Option<Direction> {
        Some(self.likeliest()).filter(|direction| self.of(*direction) >= SAID_MIN)
    }
}

/// What was missed of the means at the origins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directions {
    /// In predicted sizes, sorted.
    missed: Vec<f64>,
}

impl Directions {
    /// Learns from what was said at the origins; `points` are the combinations, one a case, and so are `abouts`.
    pub fn learn(cases: &[Case<'_>], points: &[Vec<f64>], abouts: &[About<'_>], intervals: &Intervals) -> Directions {
        let missed = cases
            .iter()
            .zip(points)
            .zip(abouts)
            .map(|((case, points), about)| (mean(case.actual) - mean(points)) / intervals.mean_size(about, points));
        Directions::of(missed.filter(|missed| missed.is_finite()).collect())
    }

    /// Takes by how much means were missed, each in a size that was known before.
    pub fn of(mut missed: Vec<f64>) -> Directions {
        mix_if_few(&mut missed);
        missed.sort_by(f64::total_cmp);
        Directions { missed }
    }

    /// Returns how probable each direction is; nothing where the recent level is not above zero.
    pub fn probabilities(&self, about: &About<'_>, points: &[f64], intervals: &Intervals) -> Option<Probabilities> {
        let level = level(about.history())?;
        let bounds = (level * (1.0 - STABLE_SHARE), level * (1.0 + STABLE_SHARE));
        Some(self.around(mean(points), intervals.mean_size(about, points), bounds))
    }

    /// Returns how probable it is that a mean ends below, between or above two bounds; misses are of this size.
    pub fn around(&self, expected: f64, size: f64, (low, high): (f64, f64)) -> Probabilities {
        let below = |bound: f64| -> f64 {
            if size <= 0.0 {
                return f64::from(u8::from(expected < bound));
            }
            let share = self.missed.partition_point(|missed| *missed < (bound - expected) / size) as f64;
            // Half a miss more on each side: what was never seen is not impossible.
            (share + 0.5) / (self.missed.len() as f64 + 1.0)
        };
        let (falling, rising) = (below(low), 1.0 - below(high));
        Probabilities { falling, stable: (1.0 - falling - rising).max(0.0), rising }
    }
}

/// Returns the mean of the last values where it is above zero.
fn level(history: &[f64]) -> Option<f64> {
    Some(mean(&history[history.len().saturating_sub(RECENT)..])).filter(|level| *level > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_no_direction() {
        let history = [1.0, 10.0, 10.0, 10.0, 10.0];
        let directions = [8.9, 9.1, 10.9, 11.1].map(|mean| Direction::of(&history, mean));
        let expected = [Direction::Falling, Direction::Stable, Direction::Stable, Direction::Rising];
        assert_eq!(directions, expected.map(Some));
        assert_eq!(Direction::of(&[0.0; 9], 3.0), None);
    }

    #[test]
    fn nothing_is_said_when_everything_is_possible() {
        let even = Probabilities { falling: 0.33, stable: 0.33, rising: 0.34 };
        assert_eq!((even.likeliest(), even.said()), (Direction::Rising, None));
        let rising = Probabilities { falling: 0.1, stable: 0.2, rising: 0.7 };
        assert_eq!(rising.said(), Some(Direction::Rising));
    }
}
