//! Classes of histories by their length: what can be learnt of a series, and how wrong one is, depends on it most.

use serde::{Deserialize, Serialize};

/// Histories of so many points, the last not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Class {
    /// Points at least.
    pub from: usize,
    /// Points less than.
    pub until: usize,
}

/// A history of fewer points gets no forecast.
pub const POINTS_MIN: usize = 2;

impl Class {
    /// Returns the classes of series with a season of so many steps, the shortest histories first.
    pub fn all(season: usize) -> Vec<Class> {
        let mut bounds = match season {
            0..=7 => vec![POINTS_MIN, 8, 28, 56],
            8..=24 => vec![POINTS_MIN, season / 2, season, 2 * season, 3 * season],
            _ => vec![POINTS_MIN, 8, season / 2, season, 2 * season, 3 * season],
        };
        bounds.dedup();
        bounds.push(usize::MAX);
        bounds.windows(2).map(|pair| Class { from: pair[0], until: pair[1] }).collect()
    }

    /// Returns the class of a history; none when it is too short to be forecast.
    pub fn of(count: usize, season: usize) -> Option<Class> {
        Class::all(season).into_iter().find(|class| class.holds(count))
    }

    /// Tells whether its histories have less than half a season.
    pub fn is_young(self, season: usize) -> bool {
        self.until <= season / 2
    }

    /// Tells whether a history of so many points belongs to it.
    pub fn holds(self, count: usize) -> bool {
        (self.from..self.until).contains(&count)
    }

    /// Tells whether there is no longer one.
    pub fn is_longest(self) -> bool {
        self.until == usize::MAX
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_longest() {
            write!(formatter, "{}+", self.from)
        } else {
            write!(formatter, "{}-{}", self.from, self.until - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekly_classes_follow_the_years() {
        let names: Vec<String> = Class::all(52).iter().map(Class::to_string).collect();
        assert_eq!(names, ["2-7", "8-25", "26-51", "52-103", "104-155", "156+"]);
        assert_eq!(Class::of(1, 52), None);
        assert_eq!(Class::of(104, 52).unwrap().to_string(), "104-155");
    }
}
