//! Isotonic regression by pooling adjacent violators: a probability that never falls while the score rises.
//!
//! linfa 0.8.1 has one too, which compares blocks wrongly; a test holds the reason why it is not used.

use serde::{Deserialize, Serialize};

/// No probability is said to be nearer to 0 or 1 than this.
const MARGIN: f64 = 0.01;

/// A function that never falls, as straight lines between points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Isotonic(Vec<(f64, f64)>);

/// Neighbours that share one value.
struct Block {
    x_sum: f64,
    y_sum: f64,
    count: f64,
}

impl Isotonic {
    /// Fits the function with the least squared error of all that never fall; the order of the pairs does not matter.
    pub fn fit(pairs: &[(f64, f64)]) -> Isotonic {
        let mut sorted = pairs.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for same in sorted.chunk_by(|a, b| a.0 == b.0) {
            let mut block = Block { x_sum: 0.0, y_sum: 0.0, count: same.len() as f64 };
            for (x, y) in same {
                block.x_sum += x;
                block.y_sum += y;
            }
            while let Some(last) = blocks.pop_if(|last| last.y_sum * block.count >= block.y_sum * last.count) {
                block = Block {
                    x_sum: last.x_sum + block.x_sum,
                    y_sum: last.y_sum + block.y_sum,
                    count: last.count + block.count,
                };
            }
            blocks.push(block);
        }
        Isotonic(blocks.iter().map(|block| (block.x_sum / block.count, block.y_sum / block.count)).collect())
    }

    /// Returns the value at a point, between those of its neighbours.
    pub fn at(&self, x: f64) -> f64 {
        let above = self.0.partition_point(|point| point.0 < x);
        let value = match (above.checked_sub(1).map(|below| self.0[below]), self.0.get(above)) {
            (Some(below), Some(above)) => below.1 + (above.1 - below.1) * (x - below.0) / (above.0 - below.0),
            (Some(point), None) => point.1,
            (None, Some(point)) => point.1,
            (None, None) => x,
        };
        value.clamp(MARGIN, 1.0 - MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use linfa::prelude::*;
    use linfa_linear::IsotonicRegression;
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::synthetic::Dice;

    #[test]
    fn it_is_the_best_function_that_never_falls() {
        let mut dice = Dice::new(61);
        for _ in 0..200 {
            let pairs: Vec<(f64, f64)> = (0..8).map(|x| (f64::from(x), (4.0 * dice.unit()).floor())).collect();
            let fitted = Isotonic::fit(&pairs);
            // By the min-max formula of isotonic regression.
            for at in 0..8 {
                let mean = |from: usize, to: usize| {
                    pairs[from..=to].iter().map(|pair| pair.1).sum::<f64>() / (to + 1 - from) as f64
                };
                let expected = (0..=at)
                    .map(|from| (at..8).map(|to| mean(from, to)).fold(f64::INFINITY, f64::min))
                    .fold(f64::NEG_INFINITY, f64::max);
                let block = fitted
                    .0
                    .iter()
                    .map(|point| point.1)
                    .min_by(|a, b| (a - expected).abs().total_cmp(&(b - expected).abs()));
                assert!((block.unwrap() - expected).abs() < 1e-9, "{pairs:?}");
            }
            assert!(fitted.0.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
        }
    }

    #[test]
    fn the_order_of_the_pairs_does_not_matter_and_no_value_falls() {
        let mut dice = Dice::new(62);
        let mut pairs: Vec<(f64, f64)> = (0..300)
            .map(|_| {
                let x = dice.unit();
                (x, f64::from(u8::from(dice.unit() < x * x)))
            })
            .collect();
        let fitted = Isotonic::fit(&pairs);
        pairs.reverse();
        assert_eq!(fitted, Isotonic::fit(&pairs));
        let values: Vec<f64> = (0..=100).map(|step| fitted.at(f64::from(step) / 100.0)).collect();
        assert!(values.is_sorted() && values.iter().all(|value| (MARGIN..=1.0 - MARGIN).contains(value)));
    }

    /// The reason why the one of linfa 0.8.1 is not used: on the same pairs its error is several times as large.
    #[test]
    fn it_finds_what_that_of_linfa_misses() {
        let mut dice = Dice::new(63);
        let pairs: Vec<(f64, f64)> = (0..400)
            .map(|_| {
                let x = dice.unit();
                (x, f64::from(u8::from(dice.unit() < x * x)))
            })
            .collect();
        let x = Array2::from_shape_vec((400, 1), pairs.iter().map(|pair| pair.0).collect()).unwrap();
        let y: Array1<f64> = pairs.iter().map(|pair| pair.1).collect();
        let theirs = IsotonicRegression::new().fit(&DatasetBase::new(x.clone(), y)).unwrap().predict(&x);
        let ours = Isotonic::fit(&pairs);
        let error = |said: &dyn Fn(usize, f64) -> f64| {
            pairs.iter().enumerate().map(|(at, pair)| (said(at, pair.0) - pair.0 * pair.0).abs()).sum::<f64>() / 400.0
        };
        let (ours, theirs) = (error(&|_, x| ours.at(x)), error(&|at, _| theirs[at]));
        assert!(ours < 0.07, "error {ours}");
        assert!(theirs > 2.0 * ours, "linfa's error is {theirs}, ours {ours}: it can be used again");
    }
}
