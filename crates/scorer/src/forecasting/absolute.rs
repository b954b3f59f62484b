//! Linear regression with an absolute loss: least squares, re-weighted until it is least absolute deviations.
//!
//! linfa has neither sample weights nor this loss. Each step forms the weighted normal equations itself, which takes a
//! pass over the rows, and hands the small system to linfa's least-squares solver.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_linear::{LinearError, LinearRegression};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::statistics::median_of;

/// Rows that are weighted and multiplied at a time; they fit in the cache.
const BLOCK: usize = 512;

/// How a line is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitting {
    /// What is added to the normal equations of every column but the last, the intercept.
    pub ridge: f64,
    /// Steps of re-weighting after the first, unweighted one.
    pub steps_max: usize,
    /// Coefficients that change less than this are settled.
    pub tolerance: f64,
}

/// Rows of numbers, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Columns.
    pub width: usize,
    /// The rows.
    pub values: Vec<f64>,
}

impl Rows {
    /// Returns the number of rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Returns a row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Brings every column but the last, the intercept, to mean 0 and deviation 1; returns what they were.
    pub fn standardise(&mut self) -> (Vec<f64>, Vec<f64>) {
        let (count, width) = (self.count() as f64, self.width - 1);
        let mut means = vec![0.0; width];
        for row in self.values.chunks_exact(width + 1) {
            means.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        means.iter_mut().for_each(|sum| *sum /= count);
        let mut deviations = vec![0.0; width];
        for row in self.values.chunks_exact(width + 1) {
            let centred = row.iter().zip(&means).map(|(value, mean)| value - mean);
            deviations.iter_mut().zip(centred).for_each(|(sum, value)| *sum += value * value);
        }
        // A column that does not vary stays zero.
        deviations.iter_mut().for_each(|sum| *sum = (*sum / count).sqrt() + 1e-9);
        for row in self.values.chunks_exact_mut(width + 1) {
            for (value, (mean, deviation)) in row.iter_mut().zip(means.iter().zip(&deviations)) {
                *value = (*value - mean) / deviation;
            }
        }
        (means, deviations)
    }
}

/// Returns the sum of a row's numbers, each times its coefficient.
pub fn dot(row: &[f64], coefficients: &[f64]) -> f64 {
    row.iter().zip(coefficients).map(|(value, coefficient)| value * coefficient).sum()
}

/// Fits the least absolute deviations with a ridge; the last column is the intercept and has none.
pub fn fit(rows: &Rows, targets: &[f64], fitting: Fitting) -> Result<Vec<f64>, LinearError<f64>> {
    fit_quantile(rows, targets, 0.5, fitting)
}

/// Fits a quantile: the loss of an actual value above the line counts so much, of one below the rest of one.
///
/// At one half this is [`fit`].
pub fn fit_quantile(
    rows: &Rows,
    targets: &[f64],
    quantile: f64,
    fitting: Fitting,
) -> Result<Vec<f64>, LinearError<f64>> {
    let mut weights = vec![1.0; targets.len()];
    let mut coefficients = weighted_ridge(rows, targets, &weights, fitting.ridge)?;
    let mut residuals = vec![0.0; targets.len()];
    let mut sorted = residuals.clone();
    for _ in 0..fitting.steps_max {
        for (place, residual) in residuals.iter_mut().enumerate() {
            *residual = targets[place] - dot(rows.row(place), &coefficients);
            sorted[place] = residual.abs();
        }
        // A residual near zero must not draw all the weight to itself.
        let floor = 0.05 * median_of(&mut sorted) + 1e-6;
        for (weight, residual) in weights.iter_mut().zip(&residuals) {
            let side = if *residual >= 0.0 { quantile } else { 1.0 - quantile };
            *weight = 2.0 * side / residual.abs().max(floor);
        }
        let next = weighted_ridge(rows, targets, &weights, fitting.ridge)?;
        let change = next.iter().zip(&coefficients).map(|(after, before)| (after - before).abs()).fold(0.0, f64::max);
        coefficients = next;
        if change < fitting.tolerance {
            break;
        }
    }
    Ok(coefficients)
}

/// Solves the normal equations of weighted least squares with a ridge on all columns but the last.
pub fn weighted_ridge(rows: &Rows, targets: &[f64], weights: &[f64], ridge: f64) -> Result<Vec<f64>, LinearError<f64>> {
    let (mut gram, right) = normal_equations(rows, targets, weights);
    let last = rows.width - 1;
    for place in 0..last {
        gram[[place, place]] += ridge;
    }
    gram[[last, last]] += 1e-6;
    solve(gram, right)
}

/// Solves a small square system by linfa's least squares.
pub fn solve(gram: Array2<f64>, right: Array1<f64>) -> Result<Vec<f64>, LinearError<f64>> {
    let solved = LinearRegression::new().with_intercept(false).fit(&DatasetBase::new(gram, right))?;
    Ok(solved.params().to_vec())
}

/// Returns X'WX and X'Wy, summed block by block in the order of the rows.
pub fn normal_equations(rows: &Rows, targets: &[f64], weights: &[f64]) -> (Array2<f64>, Array1<f64>) {
    let width = rows.width;
    let mut gram = Array2::<f64>::zeros((width, width));
    let mut right = Array1::<f64>::zeros(width);
    let mut block = Vec::with_capacity(BLOCK * width);
    for from in (0..rows.count()).step_by(BLOCK) {
        let until = (from + BLOCK).min(rows.count());
        block.clear();
        for place in from..until {
            let row = rows.row(place);
            block.extend(row.iter().map(|value| value * weights[place]));
            let weighted = weights[place] * targets[place];
            right.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * weighted);
        }
        let (Ok(weighted), Ok(plain)) = (
            ArrayView2::from_shape((until - from, width), &block),
            ArrayView2::from_shape((until - from, width), &rows.values[from * width..until * width]),
        ) else {
            continue;
        };
        ndarray::linalg::general_mat_mul(1.0, &weighted.t(), &plain, 1.0, &mut gram);
    }
    debug_assert_eq!(gram.len_of(Axis(0)), width);
    (gram, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::random::Random;

    const FITTING: Fitting = Fitting { ridge: 1e-6, steps_max: 60, tolerance: 1e-9 };

    fn line_with_outliers() -> (Rows, Vec<f64>) {
        let mut random = Random::new(3, 0);
        let mut rows = Rows { width: 2, values: Vec::new() };
        let mut targets = Vec::new();
        for place in 0..400 {
            let x = random.share() * 4.0 - 2.0;
            rows.values.extend([x, 1.0]);
            targets.push(3.0 * x + 1.0 + if place % 10 == 0 { 500.0 } else { random.share() - 0.5 });
        }
        (rows, targets)
    }

    #[test]
    fn a_tenth_of_wild_values_does_not_move_the_line() {
        let (rows, targets) = line_with_outliers();
        let coefficients = fit(&rows, &targets, FITTING).unwrap();
        assert!((coefficients[0] - 3.0).abs() < 0.1 && (coefficients[1] - 1.0).abs() < 0.15, "{coefficients:?}");
    }

    #[test]
    fn a_quantile_leaves_its_share_below() {
        let (rows, targets) = line_with_outliers();
        for quantile in [0.1, 0.5, 0.8] {
            let coefficients = fit_quantile(&rows, &targets, quantile, FITTING).unwrap();
            let below =
                (0..targets.len()).filter(|&place| targets[place] < dot(rows.row(place), &coefficients)).count();
            let share = below as f64 / targets.len() as f64;
            assert!((share - quantile).abs() < 0.03, "{quantile}: {share}");
        }
    }
}
