//! The models that every other must beat, with the intervals that textbooks give them.

use serde::{Deserialize, Serialize};

use super::Step;
use super::experts::seasonal_naive;
use super::statistics::mean;
use super::theta;

/// Quantiles of the normal distribution for 80 % and 95 %.
const NORMAL: (f64, f64) = (1.281_552, 1.959_964);

/// A plain model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The last value.
    Naive,
    /// The value a season before; naive where there is less than a season.
    SeasonalNaive,
    /// Theta, season taken out.
    Theta,
}

impl Baseline {
    /// All of them, naive first.
    pub const ALL: [Baseline; 3] = [Baseline::Naive, Baseline::SeasonalNaive, Baseline::Theta];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::Naive => "naive",
            Baseline::SeasonalNaive => "seasonal naive",
            Baseline::Theta => "theta",
        }
    }

    /// Forecasts a history that is not empty.
    pub fn forecast(self, history: &[f64], season: usize, horizons: usize) -> Vec<Step> {
        let last = history.last().copied().unwrap_or(0.0);
        let usual = spread(history, 1);
        let seasonal = seasonal_naive(history, season, horizons).filter(|_| self == Baseline::SeasonalNaive);
        let (points, spreads): (Vec<f64>, Vec<f64>) = match (self, seasonal) {
            (Baseline::SeasonalNaive, Some(points)) => {
                let usual = spread(history, season);
                let spreads = (0..horizons).map(|ahead| usual * ((ahead / season + 1) as f64).sqrt());
                (points, spreads.collect())
            }
            (Baseline::Theta, _) => theta::with_spread(history, season, horizons),
            _ => (vec![last; horizons], (1..=horizons).map(|ahead| usual * (ahead as f64).sqrt()).collect()),
        };
        let is_positive = history.iter().all(|value| *value >= 0.0);
        let floor = |value: f64| if is_positive { value.max(0.0) } else { value };
        let around = |point: f64, spread: f64| Step {
            point: floor(point),
            lo_80: floor(point - NORMAL.0 * spread),
            hi_80: floor(point + NORMAL.0 * spread),
            lo_95: floor(point - NORMAL.1 * spread),
            hi_95: floor(point + NORMAL.1 * spread),
        };
        points.into_iter().zip(spreads).map(|(point, spread)| around(point, spread)).collect()
    }
}

/// Returns the root of the mean squared change over so many steps.
fn spread(history: &[f64], steps: usize) -> f64 {
    let changes: Vec<f64> = history.iter().zip(history.iter().skip(steps)).map(|(a, b)| (b - a) * (b - a)).collect();
    mean(&changes).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_widens_with_the_root_of_the_steps() {
        let steps = Baseline::Naive.forecast(&[5.0, 6.0, 5.0, 6.0], 52, 4);
        assert!((steps[0].hi_95 - 6.0 - NORMAL.1).abs() < 1e-12);
        assert!((steps[3].hi_95 - 6.0 - 2.0 * NORMAL.1).abs() < 1e-12);
        assert_eq!(Baseline::SeasonalNaive.forecast(&[5.0, 6.0, 5.0, 6.0], 52, 4), steps);
    }

    #[test]
    fn a_season_before_is_repeated() {
        let history: Vec<f64> = (0..14).map(|day| f64::from(day % 7)).collect();
        let points: Vec<f64> = Baseline::SeasonalNaive.forecast(&history, 7, 9).iter().map(|step| step.point).collect();
        assert_eq!(points, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 1.0]);
    }
}
