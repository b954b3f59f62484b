//! Measures of forecasts, as the M4 competition defines them: sMAPE, MASE, OWA, MSIS and coverage.
//!
//! MASE and MSIS are divided by the mean absolute change over one step; OWA sets sMAPE and MASE against naive, to which
//! the competition's Naive2 comes down where the season is one step. Series that never changed are left out.

use serde::{Deserialize, Serialize};

use super::Step;
use super::random::Random;
use super::statistics::{at_share, mean_absolute_change};

/// The errors of one forecast of one series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Mean absolute error in mean absolute changes of the history.
    pub mase: f64,
    /// Mean scaled interval score at 95 %: width, and twenty times (of forty in all) what lies outside.
    pub msis: f64,
    /// Share of actual values inside the 80 % interval.
    pub coverage_80: f64,
    /// Share inside the 95 % interval.
    pub coverage_95: f64,
}

/// Means over many forecasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Forecasts that were measured.
    pub count: usize,
    /// Their mean errors.
    #[serde(flatten)]
    pub errors: Errors,
    /// The mean of sMAPE and MASE, each divided by that of naive; below 1 is better.
    pub owa: f64,
}

/// Measures a forecast against what came; nothing where the history never changed.
pub fn measure(history: &[f64], actual: &[f64], steps: &[Step]) -> Option<Errors> {
    let scale = mean_absolute_change(history, 1);
    let count = actual.len().min(steps.len());
    if scale <= 0.0 || count == 0 {
        return None;
    }
    let mut errors = Errors::default();
    for (&actual, step) in actual.iter().zip(steps) {
        errors.smape += symmetric(actual, step.point);
        errors.mase += (actual - step.point).abs() / scale;
        let below = 40.0 * (step.lo_95 - actual).max(0.0);
        let above = 40.0 * (actual - step.hi_95).max(0.0);
        errors.msis += (step.hi_95 - step.lo_95 + below + above) / scale;
        errors.coverage_80 += f64::from(u8::from((step.lo_80..=step.hi_80).contains(&actual)));
        errors.coverage_95 += f64::from(u8::from((step.lo_95..=step.hi_95).contains(&actual)));
    }
    Some(errors.times(1.0 / count as f64))
}

/// Returns the symmetric absolute percentage error of one value, 0 to 200; zero where both are zero.
pub fn symmetric(actual: f64, point: f64) -> f64 {
    let sum = actual.abs() + point.abs();
    if sum == 0.0 { 0.0 } else { 200.0 * (actual - point).abs() / sum }
}

/// Sums up the errors of a model beside those of naive on the same series.
pub fn summary(errors: &[Errors], naive: &[Errors]) -> Summary {
    let (mean, base) = (mean_errors(errors.iter()), mean_errors(naive.iter()));
    Summary { count: errors.len(), errors: mean, owa: owa(&mean, &base) }
}

/// Returns the overall weighted average of mean errors against those of naive.
pub fn owa(errors: &Errors, naive: &Errors) -> f64 {
    let part = |ours: f64, theirs: f64| if theirs > 0.0 { ours / theirs } else { 1.0 };
    (part(errors.smape, naive.smape) + part(errors.mase, naive.mase)) / 2.0
}

/// Returns the 95 % interval of the OWA when the series are drawn anew; all forecasts of a series are drawn together.
pub fn bootstrap_owa(errors: &[Errors], naive: &[Errors], series: &[usize], draws: usize, seed: u64) -> (f64, f64) {
    let count = series.iter().max().map_or(0, |last| last + 1);
    let mut of_series = vec![Vec::new(); count];
    for (place, &number) in series.iter().enumerate() {
        of_series[number].push(place);
    }
    of_series.retain(|places| !places.is_empty());
    if of_series.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let mut found: Vec<f64> = (0..draws)
        .map(|draw| {
            let mut random = Random::new(seed, draw as u64);
            let drawn: Vec<usize> =
                (0..of_series.len()).flat_map(|_| of_series[random.below(of_series.len())].iter().copied()).collect();
            let ours = mean_errors(drawn.iter().map(|&place| &errors[place]));
            owa(&ours, &mean_errors(drawn.iter().map(|&place| &naive[place])))
        })
        .collect();
    found.sort_by(f64::total_cmp);
    let last = found.len().saturating_sub(1) as f64;
    (at_share(&found, 0.025 * last), at_share(&found, 0.975 * last))
}

fn mean_errors<'a>(errors: impl Iterator<Item = &'a Errors>) -> Errors {
    let (mut sum, mut count) = (Errors::default(), 0usize);
    for errors in errors {
        sum.smape += errors.smape;
        sum.mase += errors.mase;
        sum.msis += errors.msis;
        sum.coverage_80 += errors.coverage_80;
        sum.coverage_95 += errors.coverage_95;
        count += 1;
    }
    sum.times(1.0 / count.max(1) as f64)
}

impl Errors {
    fn times(self, factor: f64) -> Errors {
        Errors {
            smape: self.smape * factor,
            mase: self.mase * factor,
            msis: self.msis * factor,
            coverage_80: self.coverage_80 * factor,
            coverage_95: self.coverage_95 * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measures_are_those_of_the_competition() {
        let step =
            |point: f64| Step { point, lo_80: point - 1.0, hi_80: point + 1.0, lo_95: point - 2.0, hi_95: point + 2.0 };
        let errors = measure(&[1.0, 3.0, 5.0], &[4.0, 9.0], &[step(5.0), step(6.0)]).unwrap();
        assert!((errors.smape - (200.0 / 9.0 + 600.0 / 15.0) / 2.0).abs() < 1e-12);
        assert!((errors.mase - (0.5 + 1.5) / 2.0).abs() < 1e-12);
        assert!((errors.msis - (4.0 + 4.0 + 40.0) / 2.0 / 2.0).abs() < 1e-12);
        assert_eq!((errors.coverage_80, errors.coverage_95), (0.5, 0.5));
        assert_eq!(measure(&[2.0, 2.0], &[2.0], &[step(2.0)]), None);
    }

    #[test]
    fn naive_against_itself_is_one_however_it_is_drawn() {
        let errors = [
            Errors { smape: 3.0, mase: 1.0, ..Errors::default() },
            Errors { smape: 9.0, mase: 4.0, ..Errors::default() },
        ];
        assert_eq!(summary(&errors, &errors).owa, 1.0);
        assert_eq!(bootstrap_owa(&errors, &errors, &[0, 1], 50, 7), (1.0, 1.0));
    }
}
