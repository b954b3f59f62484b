//! Season: whether a series has one, and its index.

use super::statistics::{deviation, mean};

/// A season as factors or addends, one a step, and where in it the series ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    index: Vec<f64>,
    is_multiplied: bool,
}

impl Season {
    /// Finds the season of a series that has at least two of them and whose changes repeat.
    pub fn find(values: &[f64], length: usize) -> Option<Season> {
        if length < 2 || values.len() < 2 * length || !repeats(values, length) {
            return None;
        }
        let is_multiplied = values.iter().copied().fold(f64::INFINITY, f64::min) > 0.0;
        let level = centred_means(values, length);
        let half = length / 2;
        let mut shares = vec![Vec::new(); length];
        for (place, level) in level.iter().enumerate() {
            let value = values[place + half];
            let share = if is_multiplied { value / level } else { value - level };
            shares[(place + half) % length].push(share);
        }
        let mut index: Vec<f64> = shares.iter().map(|shares| mean(shares)).collect();
        let middle = mean(&index);
        if is_multiplied && (middle <= 0.0 || index.iter().any(|factor| *factor <= 0.0)) {
            return None;
        }
        index.iter_mut().for_each(|share| if is_multiplied { *share /= middle } else { *share -= middle });
        Some(Season { index, is_multiplied })
    }

    /// Takes the season out of a series.
    pub fn remove(&self, values: &[f64]) -> Vec<f64> {
        values.iter().enumerate().map(|(place, value)| self.without(*value, place)).collect()
    }

    /// Puts the season back on what follows a series of so many points.
    pub fn restore(&self, after: usize, values: &mut [f64]) {
        for (ahead, value) in values.iter_mut().enumerate() {
            let share = self.index[(after + ahead) % self.index.len()];
            *value = if self.is_multiplied { *value * share } else { *value + share };
        }
    }

    /// Returns the share of what moves around the level that the season explains, 0 to 1: one less the variance of what is
    /// left without it, divided by that of what is there (Wang, Smith and Hyndman 2006).
    pub fn strength(&self, values: &[f64]) -> f64 {
        let length = self.index.len();
        let around = |values: &[f64]| -> Vec<f64> {
            let level = centred_means(values, length);
            level.iter().zip(&values[length / 2..]).map(|(level, value)| value - level).collect()
        };
        let (whole, left) = (deviation(&around(values)), deviation(&around(&self.remove(values))));
        if whole > 0.0 { (1.0 - (left / whole).powi(2)).max(0.0) } else { 0.0 }
    }

    /// Returns the steps from the last of so many values to the next peak, at least one.
    pub fn steps_until_peak(&self, count: usize) -> usize {
        let length = self.index.len();
        let peak = (0..length).max_by(|one, other| self.index[*one].total_cmp(&self.index[*other])).unwrap_or(0);
        1 + (peak + length - count % length) % length
    }

    fn without(&self, value: f64, place: usize) -> f64 {
        let share = self.index[place % self.index.len()];
        if self.is_multiplied { value / share } else { value - share }
    }
}

/// Changes a season apart that go together so closely repeat, whatever chance could do.
const SURELY: f64 = 0.9;

/// Tells whether changes a season apart go together by more than chance, at 90 %, or nearly as one.
///
/// Changes, not values: in a series that wanders slowly all values near each other go together, and a long season is lost
/// among them. Of a smooth wave of two years the test by chance sees no more than two independent points, so that a close
/// likeness is told by itself.
fn repeats(values: &[f64], length: usize) -> bool {
    let changes: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let middle = mean(&changes);
    let centred: Vec<f64> = changes.iter().map(|change| change - middle).collect();
    let total: f64 = centred.iter().map(|value| value * value).sum();
    if total <= 0.0 {
        return false;
    }
    let correlation = |lag: usize| -> f64 {
        centred.iter().zip(&centred[lag..]).map(|(before, after)| before * after).sum::<f64>() / total
    };
    let known: f64 = (1..length).map(|lag| correlation(lag).powi(2)).sum();
    let limit = 1.645 * ((1.0 + 2.0 * known) / values.len() as f64).sqrt();
    correlation(length) > limit || likeness(&centred[..centred.len() - length], &centred[length..]) > SURELY
}

/// Returns the correlation of two series around zero; none with a constant.
fn likeness(one: &[f64], other: &[f64]) -> f64 {
    let sum = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let size = (sum(one, one) * sum(other, other)).sqrt();
    if size > 0.0 { sum(one, other) / size } else { 0.0 }
}

/// Returns the means over a whole season around each point; the first is that of the point half a season in.
fn centred_means(values: &[f64], length: usize) -> Vec<f64> {
    let sums: Vec<f64> = values.windows(length).map(|part| part.iter().sum::<f64>() / length as f64).collect();
    if length.is_multiple_of(2) { sums.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect() } else { sums }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::random::Random;

    /// Weeks of which each has its own height, the same every year.
    fn seasonal(count: usize) -> Vec<f64> {
        (0..count).map(|week| 100.0 + 30.0 * Random::new(1, week as u64 % 52).share()).collect()
    }

    #[test]
    fn a_season_is_found_and_what_follows_has_it() {
        let values = seasonal(160);
        let season = Season::find(&values, 52).unwrap();
        let flat = season.remove(&values);
        assert!(flat.iter().all(|value| (value - 115.0).abs() < 4.0), "{flat:?}");
        let mut after = vec![115.0; 20];
        season.restore(160, &mut after);
        let expected = &seasonal(180)[160..];
        assert!(after.iter().zip(expected).all(|(a, b)| (a - b).abs() < 4.0));
    }

    #[test]
    fn a_season_of_odd_length_is_found_too() {
        let values: Vec<f64> = (0..70).map(|day| 10.0 + f64::from(day % 7)).collect();
        let flat = Season::find(&values, 7).unwrap().remove(&values);
        assert!(flat.iter().all(|value| (value - 13.0).abs() < 1.0));
    }

    #[test]
    fn a_smooth_wave_of_two_years_is_a_season_and_one_that_wanders_is_none() {
        let wave: Vec<f64> =
            (0..112).map(|week| (0.8 * (f64::from(week) * std::f64::consts::TAU / 52.0).cos()).exp()).collect();
        assert!(Season::find(&wave, 52).is_some());
        let found = (0..100).filter(|&series| {
            let mut random = Random::new(9, series);
            let (mut level, mut slope) = (100.0, 0.0);
            let wandering: Vec<f64> = (0..112)
                .map(|_| {
                    slope = 0.8 * slope + random.share() - 0.5;
                    level += slope;
                    level
                })
                .collect();
            Season::find(&wandering, 52).is_some()
        });
        // The test by chance alone lets one in ten through.
        assert!(found.count() <= 12);
    }

    #[test]
    fn less_than_two_seasons_or_no_repetition_is_no_season() {
        assert_eq!(Season::find(&seasonal(103), 52), None);
        assert_eq!(Season::find(&vec![3.0; 200], 52), None);
        let mut random = Random::new(5, 0);
        let noise: Vec<f64> = (0..300).map(|_| 10.0 + random.share()).collect();
        assert_eq!(Season::find(&noise, 52), None);
    }
}
