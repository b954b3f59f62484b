//! Autoregression on changes: each change follows from those before it, in the series' own way.
//!
//! An ARIMA(p, 1, 0) without drift (Box and Jenkins 1970). The order is that of the least corrected Akaike criterion
//! (Hurvich and Tsai 1989) on the changes that every order has seen.

use linfa_linear::LinearError;

use super::absolute::{self, Rows, dot};

/// Changes that a series needs.
const CHANGES_MIN: usize = 30;

/// No change is looked at that lies further back.
const CHANGES_MAX: usize = 312;

/// Orders that are tried, with none.
const ORDER_MAX: usize = 10;

/// Holds coefficients back where changes hardly vary; in squared mean absolute changes.
const RIDGE: f64 = 1e-3;

/// An autoregression of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoregression {
    coefficients: Vec<f64>,
    /// Standard deviation of what one change was missed by, in the unit of the series.
    deviation: f64,
    last: f64,
    scale: f64,
    changes: Vec<f64>,
}

impl Autoregression {
    /// Fits a series; nothing where there are too few changes, or none that is not zero.
    pub fn fit(history: &[f64]) -> Option<Autoregression> {
        let all: Vec<f64> = history.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let changes = &all[all.len().saturating_sub(CHANGES_MAX)..];
        let scale = changes.iter().map(|change| change.abs()).sum::<f64>() / changes.len().max(1) as f64;
        if changes.len() < CHANGES_MIN || scale <= 0.0 {
            return None;
        }
        let changes: Vec<f64> = changes.iter().map(|change| change / scale).collect();
        let best = (0..=ORDER_MAX)
            .filter_map(|order| fit(&changes, order).ok())
            .min_by(|one, other| one.criterion.total_cmp(&other.criterion))?;
        Some(Autoregression {
            coefficients: best.coefficients,
            deviation: best.variance.sqrt() * scale,
            last: *history.last()?,
            scale,
            changes,
        })
    }

    /// Forecasts so many steps.
    pub fn forecast(&self, horizons: usize) -> Vec<f64> {
        let mut known = self.changes.clone();
        let mut value = self.last;
        let steps = (0..horizons).map(|_| {
            let next = dot(&before(&known, known.len(), self.coefficients.len()), &self.coefficients);
            known.push(next);
            value += next * self.scale;
            value
        });
        steps.collect()
    }

    /// Returns the standard deviation that the model itself gives the error of each step.
    pub fn deviations(&self, horizons: usize) -> Vec<f64> {
        // How one change that nobody foresaw goes on in later changes, and in the sum of them.
        let mut echoes: Vec<f64> = vec![1.0];
        let (mut sum, mut variance) = (0.0, 0.0);
        let steps = (0..horizons).map(|step| {
            sum += echoes[step];
            variance += sum * sum;
            let known = echoes.len().min(self.coefficients.len());
            let next = dot(&before(&echoes, echoes.len(), known), &self.coefficients[..known]);
            echoes.push(next);
            self.deviation * variance.sqrt()
        });
        steps.collect()
    }
}

struct Fitted {
    coefficients: Vec<f64>,
    variance: f64,
    criterion: f64,
}

fn fit(changes: &[f64], order: usize) -> Result<Fitted, LinearError<f64>> {
    let targets = &changes[ORDER_MAX..];
    let mut rows = Rows { width: order, values: Vec::with_capacity(order * targets.len()) };
    for place in ORDER_MAX..changes.len() {
        rows.values.extend(before(changes, place, order));
    }
    let coefficients = if order == 0 { Vec::new() } else { solve(&rows, targets)? };
    let errors = targets.iter().enumerate().map(|(row, target)| {
        let expected = if order == 0 { 0.0 } else { dot(rows.row(row), &coefficients) };
        (target - expected).powi(2)
    });
    let (count, parameters) = (targets.len() as f64, order as f64 + 1.0);
    let variance = errors.sum::<f64>() / count;
    let correction = 2.0 * parameters * (parameters + 1.0) / (count - parameters - 1.0);
    Ok(Fitted { coefficients, variance, criterion: count * (variance + 1e-12).ln() + 2.0 * parameters + correction })
}

fn solve(rows: &Rows, targets: &[f64]) -> Result<Vec<f64>, LinearError<f64>> {
    let (mut gram, right) = absolute::normal_equations(rows, targets, &vec![1.0; targets.len()]);
    for place in 0..rows.width {
        gram[[place, place]] += RIDGE;
    }
    absolute::solve(gram, right)
}

/// Returns the changes before a place, the latest first.
fn before(changes: &[f64], place: usize, count: usize) -> Vec<f64> {
    changes[place - count..place].iter().rev().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::random::Random;

    #[test]
    fn changes_that_alternate_go_on_alternating() {
        let history: Vec<f64> = (0..80).map(|place| 10.0 + f64::from(place % 2)).collect();
        let points = Autoregression::fit(&history).unwrap().forecast(3);
        assert!(
            points.iter().zip([10.0, 11.0, 10.0]).all(|(point, expected)| (point - expected).abs() < 0.1),
            "{points:?}"
        );
    }

    #[test]
    fn a_random_walk_stays_near_where_it_is() {
        let mut random = Random::new(9, 0);
        let mut value = 100.0;
        let history: Vec<f64> = (0..300)
            .map(|_| {
                value += random.share() - 0.5;
                value
            })
            .collect();
        let fitted = Autoregression::fit(&history).unwrap();
        assert!(fitted.forecast(13).iter().all(|point| (point - value).abs() < 1.0));
        // Errors of a walk grow with the root of the steps, and a step is even between -0.5 and 0.5.
        for (step, deviation) in (1..).zip(fitted.deviations(13)) {
            let expected = (f64::from(step) / 12.0).sqrt();
            assert!((0.6..1.5).contains(&(deviation / expected)), "{step}: {deviation} is not {expected}");
        }
    }

    #[test]
    fn few_changes_or_none_say_nothing() {
        assert_eq!(Autoregression::fit(&[1.0, 2.0, 3.0]), None);
        assert_eq!(Autoregression::fit(&[4.0; 90]), None);
    }
}
