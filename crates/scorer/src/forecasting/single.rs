//! Forecasts of series without others to learn from: methods are judged at rolling origins of the series itself.
//!
//! Every method forecasts from up to 36 past origins. Those whose error comes near the smallest are averaged, and
//! followed away from naive as far as their gain exceeds its noise: fully from three standard errors, half from two, not at all
//! below. Origins overlap, so the standard error counts stretches of a horizon and not origins. Intervals are the conformal
//! quantiles of the absolute errors of that same combination at the origins (Vovk 2015), pooled with neighbouring horizons,
//! never narrower for a farther step, and widened for the choice having been made on the same errors.

use serde::{Deserialize, Serialize};

use super::experts::seasonal_naive;
use super::metrics::symmetric;
use super::statistics::mean;
use super::{Forecast, Settings, Step, theta};

/// With fewer series than this each is judged by its own past.
pub const SERIES_ENOUGH: usize = 5;

/// Most origins at which methods are judged.
const ORIGINS_MAX: usize = 36;

/// Fewer origins than this are no evidence.
const ORIGINS_MIN: usize = 6;

/// Fewer stretches of a horizon than this are no evidence.
const STRETCHES_MIN: f64 = 2.0;

/// Methods are averaged whose error is at most so many times the smallest.
const NEAR: f64 = 1.1;

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The last value.
    Naive,
    /// The mean of the last season, or of the last 13 values where that is less.
    Mean,
    /// The value a season before.
    SeasonalNaive,
    /// The same, moved by the mean change over a season.
    SeasonalDrift,
    /// The same, multiplied by the mean growth over a season.
    SeasonalGrowth,
    /// The mean of the same step in all seasons.
    SeasonalMean,
    /// Theta, season taken out.
    Theta,
    /// Theta of logarithms.
    ThetaOfLogarithms,
    /// Damped Holt, season taken out.
    DampedHolt,
}

impl Method {
    const ALL: [Method; 9] = [
        Method::Naive,
        Method::Mean,
        Method::SeasonalNaive,
        Method::SeasonalDrift,
        Method::SeasonalGrowth,
        Method::SeasonalMean,
        Method::Theta,
        Method::ThetaOfLogarithms,
        Method::DampedHolt,
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Method::Naive => "naive",
            Method::Mean => "mean",
            Method::SeasonalNaive => "seasonal naive",
            Method::SeasonalDrift => "seasonal naive with drift",
            Method::SeasonalGrowth => "seasonal naive with growth",
            Method::SeasonalMean => "seasonal mean",
            Method::Theta => "theta",
            Method::ThetaOfLogarithms => "theta of logarithms",
            Method::DampedHolt => "damped Holt",
        }
    }

    /// Forecasts; nothing where the history is too short for it or has values that it cannot take.
    fn forecast(self, history: &[f64], season: usize, horizons: usize) -> Option<Vec<f64>> {
        let last = *history.last()?;
        let two_seasons = history.len() >= 2 * season && season > 1;
        let points = match self {
            Method::Naive => vec![last; horizons],
            Method::Mean => vec![mean(&history[history.len().saturating_sub(season.clamp(2, 13))..]); horizons],
            Method::SeasonalNaive => seasonal_naive(history, season, horizons)?,
            Method::SeasonalDrift | Method::SeasonalGrowth => {
                if !two_seasons {
                    return None;
                }
                let latest = mean(&history[history.len() - season..]);
                let earlier = mean(&history[history.len() - 2 * season..history.len() - season]);
                if self == Method::SeasonalGrowth && (earlier <= 0.0 || history.iter().any(|value| *value < 0.0)) {
                    return None;
                }
                let ahead = seasonal_naive(history, season, horizons)?;
                let seasons = (0..horizons).map(|step| (step / season + 1) as f64);
                let moved = ahead.into_iter().zip(seasons).map(|(value, count)| match self {
                    Method::SeasonalDrift => value + count * (latest - earlier),
                    _ => value * (latest / earlier).powf(count),
                });
                moved.collect()
            }
            Method::SeasonalMean => {
                if !two_seasons {
                    return None;
                }
                let step_of = |ahead: usize| (history.len() + ahead) % season;
                let same = |ahead: usize| history.iter().skip(step_of(ahead)).step_by(season).copied();
                (0..horizons).map(|ahead| mean(&same(ahead).collect::<Vec<f64>>())).collect()
            }
            Method::Theta => theta::theta(history, season, horizons),
            Method::ThetaOfLogarithms => {
                if history.iter().any(|value| *value <= 0.0) {
                    return None;
                }
                let logarithms: Vec<f64> = history.iter().map(|value| value.ln()).collect();
                theta::theta(&logarithms, season, horizons).into_iter().map(f64::exp).collect()
            }
            Method::DampedHolt => theta::damped(history, season, horizons),
        };
        points.iter().all(|point| point.is_finite()).then_some(points)
    }
}

/// Which methods forecast a series, and how well they did at its past origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The methods, with equal weights.
    pub methods: Vec<Method>,
    /// How far they are followed away from naive, 0 to 1.
    pub share: f64,
    /// Origins at which they were judged.
    pub origin_count: usize,
    /// Their error at the origins beside naive's, as OWA.
    pub owa: f64,
}

/// What one method said at an origin.
struct Origin<'a> {
    history: &'a [f64],
    actual: &'a [f64],
}

/// The errors of a method over all origins.
struct Record {
    method: Method,
    /// One a horizon, for each origin.
    points: Vec<Vec<f64>>,
}

/// Forecasts one clean series; nothing where its past is too short to judge methods by.
pub fn forecast(history: &[f64], settings: &Settings) -> Option<(Forecast, Choice)> {
    let (season, horizons) = (settings.season, settings.horizons);
    let origins = origins(history, season, horizons);
    if origins.len() < ORIGINS_MIN {
        return None;
    }
    let span = history.len() - origins[0].history.len();
    let stretches = span as f64 / horizons as f64;
    if stretches < STRETCHES_MIN {
        return None;
    }
    let records: Vec<Record> = Method::ALL
        .into_iter()
        .filter(|method| method.forecast(history, season, horizons).is_some())
        .filter_map(|method| {
            let points = origins.iter().map(|origin| method.forecast(origin.history, season, horizons));
            Some(Record { method, points: points.collect::<Option<_>>()? })
        })
        .collect();
    let naive = records.iter().find(|record| record.method == Method::Naive)?;
    let owas: Vec<f64> = records.iter().map(|record| owa(&origins, &record.points, &naive.points)).collect();
    let best = owas.iter().copied().fold(f64::INFINITY, f64::min);
    let chosen: Vec<&Record> =
        records.iter().zip(&owas).filter(|(_, owa)| **owa <= best * NEAR).map(|(record, _)| record).collect();
    let together: Vec<Vec<f64>> = (0..origins.len())
        .map(|place| mean_of(chosen.iter().map(|record| record.points[place].as_slice()), horizons))
        .collect();
    let share = share(&origins, &together, &naive.points, stretches);
    let towards = |base: &[f64], points: &[f64]| -> Vec<f64> {
        // Written so that a share of one is the points themselves, to the bit.
        base.iter().zip(points).map(|(base, point)| (1.0 - share) * base + share * point).collect()
    };
    let followed: Vec<Vec<f64>> =
        together.iter().zip(&naive.points).map(|(points, base)| towards(base, points)).collect();

    let methods: Vec<Method> = chosen.iter().map(|record| record.method).collect();
    let ahead: Option<Vec<Vec<f64>>> =
        methods.iter().map(|method| method.forecast(history, season, horizons)).collect();
    let ahead = mean_of(ahead?.iter().map(Vec::as_slice), horizons);
    let base = Method::Naive.forecast(history, season, horizons)?;
    let points = towards(&base, &ahead);
    let is_positive = history.iter().all(|value| *value >= 0.0);
    let mut steps = intervals(&points, &origins, &followed, stretches);
    if is_positive {
        steps.iter_mut().for_each(Step::keep_from_falling_below_zero);
    }
    let choice = Choice {
        methods: if share == 0.0 { vec![Method::Naive] } else { methods },
        share,
        origin_count: origins.len(),
        owa: owa(&origins, &followed, &naive.points),
    };
    Some((Forecast { steps, direction: None }, choice))
}

/// Returns past origins, the earliest first, each with at least two seasons before it where the series is long enough.
fn origins(history: &[f64], season: usize, horizons: usize) -> Vec<Origin<'_>> {
    let count = history.len();
    let least = if count >= 2 * season + 2 * horizons + ORIGINS_MIN { 2 * season } else { (count / 2).max(4) };
    let Some(latest) = count.checked_sub(horizons).filter(|latest| *latest >= least) else { return Vec::new() };
    let stride = ((latest - least + 1) / ORIGINS_MAX).max(1);
    let mut ends: Vec<usize> = (least..=latest).rev().step_by(stride).take(ORIGINS_MAX).collect();
    ends.reverse();
    ends.into_iter().map(|end| Origin { history: &history[..end], actual: &history[end..end + horizons] }).collect()
}

/// Returns the mean of forecasts; of a single one the forecast itself.
fn mean_of<'a>(forecasts: impl Iterator<Item = &'a [f64]>, horizons: usize) -> Vec<f64> {
    let all: Vec<&[f64]> = forecasts.collect();
    match all.as_slice() {
        [only] => only.to_vec(),
        _ => (0..horizons).map(|step| mean(&all.iter().map(|points| points[step]).collect::<Vec<f64>>())).collect(),
    }
}

/// Returns the mean absolute and the mean symmetric error of the forecasts of an origin.
fn errors(origin: &Origin<'_>, points: &[f64]) -> (f64, f64) {
    let absolute: Vec<f64> = origin.actual.iter().zip(points).map(|(actual, point)| (actual - point).abs()).collect();
    let relative: Vec<f64> =
        origin.actual.iter().zip(points).map(|(actual, point)| symmetric(*actual, *point)).collect();
    (mean(&absolute), mean(&relative))
}

fn mean_errors(origins: &[Origin<'_>], points: &[Vec<f64>]) -> (f64, f64) {
    let all: Vec<(f64, f64)> = origins.iter().zip(points).map(|(origin, points)| errors(origin, points)).collect();
    let part = |of: fn(&(f64, f64)) -> f64| mean(&all.iter().map(of).collect::<Vec<f64>>());
    (part(|errors| errors.0), part(|errors| errors.1))
}

fn owa(origins: &[Origin<'_>], points: &[Vec<f64>], naive: &[Vec<f64>]) -> f64 {
    let (ours, theirs) = (mean_errors(origins, points), mean_errors(origins, naive));
    let ratio = |ours: f64, theirs: f64| if theirs > 0.0 { ours / theirs } else { 1.0 };
    (ratio(ours.0, theirs.0) + ratio(ours.1, theirs.1)) / 2.0
}

/// Returns how far a forecast is followed away from naive: as far as its gain exceeds its noise.
fn share(origins: &[Origin<'_>], points: &[Vec<f64>], naive: &[Vec<f64>], stretches: f64) -> f64 {
    let usual = mean_errors(origins, naive);
    let ratio = |gain: f64, usual: f64| if usual > 0.0 { gain / usual } else { 0.0 };
    let gains: Vec<f64> = origins
        .iter()
        .zip(points.iter().zip(naive))
        .map(|(origin, (points, base))| {
            let (ours, theirs) = (errors(origin, points), errors(origin, base));
            (ratio(theirs.0 - ours.0, usual.0) + ratio(theirs.1 - ours.1, usual.1)) / 2.0
        })
        .collect();
    let gain = mean(&gains);
    let variance = mean(&gains.iter().map(|one| (one - gain) * (one - gain)).collect::<Vec<f64>>());
    let noise = (variance / stretches.min(gains.len() as f64)).sqrt();
    match gain {
        gain if gain <= 0.0 || gain < 2.0 * noise => 0.0,
        gain if gain < 3.0 * noise => 0.5,
        _ => 1.0,
    }
}

/// Puts intervals around points by the errors that the same forecasts had at the origins.
fn intervals(points: &[f64], origins: &[Origin<'_>], followed: &[Vec<f64>], stretches: f64) -> Vec<Step> {
    let inflation = (1.0 + 2.0 / stretches).sqrt();
    let mut widths = (0.0_f64, 0.0_f64);
    points
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let near = index.saturating_sub(1)..(index + 2).min(points.len());
            let mut sizes: Vec<f64> = origins
                .iter()
                .zip(followed)
                .flat_map(|(origin, points)| near.clone().map(|step| (origin.actual[step] - points[step]).abs()))
                .collect();
            sizes.sort_by(f64::total_cmp);
            let quantile = |level: f64| {
                // The rank of split conformal prediction; beyond the greatest error it is the greatest, widened.
                let rank = (level * (sizes.len() + 1) as f64).ceil() as usize;
                let widest = sizes.last().copied().unwrap_or(0.0);
                inflation * sizes.get(rank.saturating_sub(1)).copied().unwrap_or(1.3 * widest)
            };
            widths = (widths.0.max(quantile(0.8)), widths.1.max(quantile(0.95)));
            Step {
                point: *point,
                lo_80: point - widths.0,
                hi_80: point + widths.0,
                lo_95: point - widths.1,
                hi_95: point + widths.1,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::baselines::Baseline;
    use super::super::metrics::{Errors, measure, summary};
    use super::super::random::Random;
    use super::*;

    fn monthly(horizons: usize) -> Settings {
        Settings { season: 12, horizons, seed: 7 }
    }

    fn months(count: usize, of: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..count).map(of).collect()
    }

    /// A number that is roughly normal, by twelve uniform ones.
    fn normal(random: &mut Random) -> f64 {
        (0..12).map(|_| random.below(1_000_000) as f64 / 1e6).sum::<f64>() - 6.0
    }

    fn summary_of(all: &[Vec<f64>], settings: &Settings) -> f64 {
        let mut ours: Vec<Errors> = Vec::new();
        let mut naive = Vec::new();
        for values in all {
            let (history, actual) = values.split_at(values.len() - settings.horizons);
            let steps = forecast(history, settings).unwrap().0.steps;
            ours.push(measure(history, actual, &steps).unwrap());
            let base = Baseline::Naive.forecast(history, settings.season, settings.horizons);
            naive.push(measure(history, actual, &base).unwrap());
        }
        summary(&ours, &naive).owa
    }

    #[test]
    fn an_exact_pattern_is_forecast_exactly() {
        let pattern = [100.0, 80.0, 90.0, 110.0, 120.0, 140.0, 170.0, 160.0, 130.0, 150.0, 190.0, 225.0];
        let (ahead, choice) = forecast(&months(120, |month| pattern[month % 12]), &monthly(12)).unwrap();
        for (step, expected) in ahead.steps.iter().zip(pattern) {
            assert!((step.point - expected).abs() < 1e-9 && step.hi_95 - step.lo_95 < 1e-6, "{step:?} {choice:?}");
        }
        let weekly = Settings { season: 52, horizons: 8, seed: 7 };
        let weeks = months(260, |week| 50.0 + ((week % 52) as f64 * 0.7).sin() * 20.0);
        let (ahead, _) = forecast(&weeks, &weekly).unwrap();
        for (place, step) in ahead.steps.iter().enumerate() {
            assert!((step.point - weeks[place]).abs() < 1e-6, "{step:?}");
        }
        let rising = months(120, |month| 3.0 * month as f64 + pattern[month % 12]);
        let (ahead, _) = forecast(&rising, &monthly(12)).unwrap();
        for (place, step) in ahead.steps.iter().enumerate() {
            assert!((step.point - (3.0 * (120 + place) as f64 + pattern[place])).abs() < 1e-6, "{step:?}");
        }
        let growing = months(120, |month| pattern[month % 12] * 1.1_f64.powi((month / 12) as i32));
        let (ahead, _) = forecast(&growing, &monthly(12)).unwrap();
        for (step, expected) in ahead.steps.iter().zip(pattern) {
            let expected = expected * 1.1_f64.powi(10);
            assert!((step.point / expected - 1.0).abs() < 1e-6, "{step:?} {expected}");
        }
    }

    #[test]
    fn noise_is_forecast_no_worse_than_naive() {
        let settings = monthly(12);
        let walks: Vec<Vec<f64>> = (0..60)
            .map(|seed| {
                let mut random = Random::new(11, seed);
                let mut level = 500.0;
                months(96, |_| 0.0)
                    .iter()
                    .map(|_| {
                        level += normal(&mut random);
                        level
                    })
                    .collect()
            })
            .collect();
        let walk = summary_of(&walks, &settings);
        assert!(walk < 1.02, "random walks: {walk}");
        let white: Vec<Vec<f64>> = (0..60)
            .map(|seed| {
                let mut random = Random::new(12, seed);
                months(96, |_| 0.0).iter().map(|_| 500.0 + 30.0 * normal(&mut random)).collect()
            })
            .collect();
        let white = summary_of(&white, &settings);
        assert!(white < 1.02, "white noise: {white}");
    }

    #[test]
    fn a_noisy_season_with_growth_beats_seasonal_naive_and_its_intervals_hold() {
        let settings = monthly(12);
        let (mut ours, mut seasonal, mut naive) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..40 {
            let mut random = Random::new(13, seed);
            let values: Vec<f64> = (0..132)
                .map(|month| {
                    let season = 1.0 + 0.4 * (month as f64 * std::f64::consts::TAU / 12.0).sin();
                    200.0 * 1.008_f64.powi(month) * season * (1.0 + 0.05 * normal(&mut random))
                })
                .collect();
            let (history, actual) = values.split_at(120);
            let measured = |steps: &[Step]| measure(history, actual, steps).unwrap();
            ours.push(measured(&forecast(history, &settings).unwrap().0.steps));
            seasonal.push(measured(&Baseline::SeasonalNaive.forecast(history, 12, 12)));
            naive.push(measured(&Baseline::Naive.forecast(history, 12, 12)));
        }
        let (ours, seasonal) = (summary(&ours, &naive), summary(&seasonal, &naive));
        assert!(ours.owa < seasonal.owa, "{} {}", ours.owa, seasonal.owa);
        assert!((0.7..=0.95).contains(&ours.errors.coverage_80), "{}", ours.errors.coverage_80);
        assert!(ours.errors.coverage_95 > 0.88, "{}", ours.errors.coverage_95);
    }

    #[test]
    fn a_short_past_is_no_evidence() {
        assert_eq!(forecast(&[1.0, 2.0, 3.0, 4.0, 5.0], &monthly(6)), None);
        assert_eq!(forecast(&[], &monthly(1)), None);
    }
}
