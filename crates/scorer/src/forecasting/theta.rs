//! Theta: half of the straight trend, half of exponential smoothing of the series with its bends doubled, on what is left
//! when the season is taken out (Assimakopoulos and Nikolopoulos 2000; the benchmark of the M4 competition).

use super::season::Season;
use super::smoothing;

/// Only so many last points are read.
const POINTS_MAX: usize = 600;

/// Forecasts; with a season where there are two of them and a test finds it.
pub fn theta(values: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    with_season(values, season, horizon, plain)
}

/// Forecasts with damped Holt on the series without its season.
pub fn damped(values: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    with_season(values, season, horizon, smoothing::damped)
}

/// Forecasts as [`theta`], with the deviation that smoothing gives each step: that of its one-step errors, growing.
pub fn with_spread(values: &[f64], season: usize, horizon: usize) -> (Vec<f64>, Vec<f64>) {
    let points = theta(values, season, horizon);
    let values = &values[values.len().saturating_sub(POINTS_MAX.max(3 * season))..];
    let flat = Season::find(values, season).map_or_else(|| values.to_vec(), |found| found.remove(values));
    let (speed, spread) = smoothing::speed_and_spread(&flat);
    let spreads = (0..horizon).map(|ahead| spread * (1.0 + ahead as f64 * speed * speed).sqrt()).collect();
    (points, spreads)
}

fn with_season(
    values: &[f64],
    season: usize,
    horizon: usize,
    forecast: impl Fn(&[f64], usize) -> Vec<f64>,
) -> Vec<f64> {
    let values = &values[values.len().saturating_sub(POINTS_MAX.max(3 * season))..];
    let Some(season) = Season::find(values, season) else { return forecast(values, horizon) };
    let mut ahead = forecast(&season.remove(values), horizon);
    season.restore(values.len(), &mut ahead);
    ahead
}

fn plain(values: &[f64], horizon: usize) -> Vec<f64> {
    let count = values.len();
    if count < 3 {
        return vec![values.last().copied().unwrap_or(0.0); horizon];
    }
    let (intercept, slope) = trend(values);
    let bent: Vec<f64> =
        values.iter().enumerate().map(|(place, value)| 2.0 * value - intercept - slope * place as f64).collect();
    let level = smoothing::simple_level(&bent);
    (0..horizon).map(|ahead| (level + intercept + slope * (count + ahead) as f64) / 2.0).collect()
}

/// Returns the least-squares line through a series.
fn trend(values: &[f64]) -> (f64, f64) {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let mean = super::statistics::mean(values);
    let (mut product, mut square) = (0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let offset = place as f64 - middle;
        product += offset * (value - mean);
        square += offset * offset;
    }
    let slope = product / square;
    (mean - slope * middle, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_slope_of_a_straight_line_is_kept() {
        let values: Vec<f64> = (0..40).map(|place| 3.0 + 2.0 * f64::from(place)).collect();
        let ahead = theta(&values, 52, 5);
        assert!((ahead[4] - ahead[3] - 1.0).abs() < 1e-9);
        assert!((ahead[0] - 82.0).abs() < 1.5, "{ahead:?}");
    }

    #[test]
    fn a_season_is_carried_on() {
        let values: Vec<f64> = (0..84).map(|day| 10.0 + f64::from(day % 7)).collect();
        let ahead = theta(&values, 7, 7);
        for (day, value) in ahead.iter().enumerate() {
            assert!((value - (10.0 + day as f64)).abs() < 0.8, "{ahead:?}");
        }
    }

    #[test]
    fn two_points_stay_as_they_are() {
        assert_eq!(theta(&[1.0, 4.0], 52, 2), [4.0, 4.0]);
    }
}
