//! Intervals by split conformal prediction: how wrong the model was in the backtest says how wrong it may be now.
//!
//! Residuals are divided by each series' mean absolute change and pooled over the keywords of a marketplace, one pool
//! per horizon. Both ends have their own quantile, so an interval need not be symmetric.

use serde::{Deserialize, Serialize};

use crate::bootstrap::KEYWORDS_MIN;
use crate::features::HORIZON_COUNT;
use crate::forecasting::statistics;
use crate::models::Answer;

/// Fewer residuals than this give no interval.
pub(crate) const RESIDUALS_MIN: usize = 10;

/// A horizon with fewer residuals borrows those of its neighbours, which are about as large.
const RESIDUALS_ENOUGH: usize = 80;

/// The ends of the intervals of one horizon: on the models' scale, or as mean absolute changes from the prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// Lower end of the 95 % interval.
    pub lo_95: f64,
    /// Lower end of the 80 % interval.
    pub lo_80: f64,
    /// Upper end of the 80 % interval.
    pub hi_80: f64,
    /// Upper end of the 95 % interval.
    pub hi_95: f64,
}

/// The intervals of all horizons; none where the backtest saw too little.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Intervals(pub Vec<Option<Ends>>);

impl Intervals {
    /// Reads intervals off residuals, (actual - predicted) / scale, given per horizon.
    pub fn from_residuals(residuals: &[Vec<f64>; HORIZON_COUNT]) -> Intervals {
        Intervals((0..HORIZON_COUNT).map(|index| ends(residuals, index)).collect())
    }

    /// Returns the ends of an answer at a horizon: its own, or else those around its point.
    pub fn of(&self, answer: &Answer, horizon: usize, scale: f64) -> Option<Ends> {
        match &answer.ends {
            Some(ends) => Some(ends[horizon - 1]),
            None => self.around(horizon, answer.points[horizon - 1], scale),
        }
    }

    /// Returns the four ends around a point on the models' scale, sorted around it.
    pub fn around(&self, horizon: usize, point: f64, scale: f64) -> Option<Ends> {
        let ends = (*self.0.get(horizon - 1)?)?;
        let lo_80 = (point + scale * ends.lo_80).min(point);
        let hi_80 = (point + scale * ends.hi_80).max(point);
        Some(Ends {
            lo_95: (point + scale * ends.lo_95).min(lo_80),
            lo_80,
            hi_80,
            hi_95: (point + scale * ends.hi_95).max(hi_80),
        })
    }
}

/// How often intervals held the actual values, beside what they promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The share promised.
    pub promised: f64,
    /// The share that lay inside, every keyword counting the same.
    pub value: f64,
    /// How far apart these may be: what is allowed, or two standard errors over keywords where that is more.
    pub tolerance: f64,
    /// Keywords it was measured on.
    pub keyword_count: usize,
}

impl Coverage {
    /// Measures it by the shares of keywords; nothing with too few of them.
    pub fn of(promised: f64, allowed: f64, shares: &[f64]) -> Option<Coverage> {
        if shares.len() < KEYWORDS_MIN {
            return None;
        }
        let standard_error = statistics::deviation(shares) / ((shares.len() - 1) as f64).sqrt();
        let tolerance = allowed.max(2.0 * standard_error);
        Some(Coverage { promised, value: statistics::mean(shares), tolerance, keyword_count: shares.len() })
    }

    /// Tells whether it is farther from what was promised than is allowed and chance explains.
    pub fn is_off(&self) -> bool {
        (self.value - self.promised).abs() > self.tolerance
    }
}

fn ends(residuals: &[Vec<f64>; HORIZON_COUNT], index: usize) -> Option<Ends> {
    let mut pool = residuals[index].clone();
    if pool.len() < RESIDUALS_ENOUGH {
        let neighbours = [index.checked_sub(1), Some(index + 1)];
        for neighbour in neighbours.into_iter().flatten().filter_map(|index| residuals.get(index)) {
            pool.extend(neighbour);
        }
    }
    if pool.len() < RESIDUALS_MIN {
        return None;
    }
    pool.sort_by(f64::total_cmp);
    Some(Ends {
        lo_95: lower(&pool, 0.025),
        lo_80: lower(&pool, 0.1),
        hi_80: upper(&pool, 0.1),
        hi_95: upper(&pool, 0.025),
    })
}

/// Returns the residual below which a new one falls with at most this probability; the + 1 is the new one.
pub(crate) fn lower(sorted: &[f64], probability: f64) -> f64 {
    let rank = ((sorted.len() + 1) as f64 * probability).floor() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Returns the residual above which a new one falls with at most this probability.
pub(crate) fn upper(sorted: &[f64], probability: f64) -> f64 {
    let rank = ((sorted.len() + 1) as f64 * probability).floor() as usize;
    sorted[sorted.len() - rank.clamp(1, sorted.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Dice;

    #[test]
    fn intervals_cover_what_they_claim() {
        let mut dice = Dice::new(5);
        let residuals: [Vec<f64>; HORIZON_COUNT] =
            std::array::from_fn(|horizon| (0..400).map(|_| (1.0 + horizon as f64) * dice.normal().sinh()).collect());
        let intervals = Intervals::from_residuals(&residuals);
        for horizon in 1..=HORIZON_COUNT {
            let ends = intervals.around(horizon, 0.0, 1.0).unwrap();
            let (mut in_80, mut in_95) = (0, 0);
            for _ in 0..4_000 {
                let actual = horizon as f64 * dice.normal().sinh();
                in_80 += u32::from((ends.lo_80..=ends.hi_80).contains(&actual));
                in_95 += u32::from((ends.lo_95..=ends.hi_95).contains(&actual));
            }
            let (in_80, in_95) = (f64::from(in_80) / 4_000.0, f64::from(in_95) / 4_000.0);
            assert!((in_80 - 0.8).abs() < 0.06 && (in_95 - 0.95).abs() < 0.035, "{horizon}: {in_80} {in_95}");
        }
    }

    #[test]
    fn the_ends_lie_in_order_around_the_point_even_when_all_residuals_have_one_sign() {
        let residuals: [Vec<f64>; HORIZON_COUNT] = std::array::from_fn(|_| (1..=50).map(f64::from).collect());
        let ends = Intervals::from_residuals(&residuals).around(3, 7.0, 0.5).unwrap();
        assert!(ends.lo_95 <= ends.lo_80 && ends.lo_80 <= 7.0 && 7.0 <= ends.hi_80 && ends.hi_80 <= ends.hi_95);
    }

    #[test]
    fn a_coverage_is_off_beyond_what_is_allowed_and_noise_alone() {
        let of = |shares: &[f64]| Coverage::of(0.8, 0.05, shares).unwrap();
        assert!(!of(&[0.78; 50]).is_off() && of(&[0.7; 50]).is_off() && of(&[0.9; 50]).is_off());
        // Six keywords that differ so much tell nothing.
        let few = of(&[1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
        assert!(!few.is_off() && few.tolerance > 0.3, "{few:?}");
        assert_eq!(Coverage::of(0.8, 0.05, &[0.1; 4]), None);
    }

    #[test]
    fn too_few_residuals_give_no_interval() {
        let residuals: [Vec<f64>; HORIZON_COUNT] = std::array::from_fn(|_| vec![0.1, -0.2, 0.3]);
        assert_eq!(Intervals::from_residuals(&residuals).around(1, 0.0, 1.0), None);
    }
}
