//! `make bench-forecast`: how well series are forecast, by rolling origins inside training data.
//!
//! 1. The weekly series of the M4 competition's training part, 13 steps ahead, and search interest, 8 steps ahead: sMAPE,
//!    MASE, OWA, MSIS and coverage beside naive, seasonal naive and theta, by class of history; the OWA with its interval
//!    when the series are drawn anew.
//!    Beside it which way the mean of these steps goes: macro F1 and AUC beside naive's and momentum's, and how often what
//!    was said with a probability came.
//! 2. Every third of the series with the cleaner and without, with a tenth of its weeks missing, and with one week in fifty
//!    ten times as high.
//! 3. Series of which only the last 2 to 26 points are known, among others that are whole.
//!
//! The data lies beside the repository in `../shared/ml`; what is not there is left out, with a line that says so. Talk
//! goes to standard error; standard output ends with one line of JSON. `BENCH_ORIGINS` (2) changes the number of origins.

mod data;
mod direction;
mod report;
mod robustness;

use std::path::{Path, PathBuf};

use anyhow::Context;
use data::Data;
use digitallz_scorer::forecasting::baselines::Baseline;
use digitallz_scorer::forecasting::metrics::{self, Errors};
use digitallz_scorer::forecasting::{Outcome, Settings, forecast};
use direction::Said;
use serde_json::{Map, json};

/// One history at one origin: what every method missed.
pub struct Measured {
    /// Which series it is of.
    pub series: usize,
    /// Its points.
    pub history_count: usize,
    /// Our errors.
    pub ours: Errors,
    /// Those of the baselines, naive first.
    pub baselines: [Errors; 3],
    /// Which way it went, and what was said of that.
    pub direction: Option<Said>,
}

fn main() -> anyhow::Result<()> {
    let origins = match std::env::var("BENCH_ORIGINS") {
        Ok(text) => text.parse().context("BENCH_ORIGINS is no number")?,
        Err(_) => 2,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ml");
    let mut line = Map::new();
    let sets: [(&str, PathBuf, usize); 2] = [
        ("m4_weekly", folder.join("m4_weekly_train.csv"), 13),
        ("search_interest", folder.join("search_interest_skincare_weekly.csv"), 8),
    ];
    for (name, path, horizons) in sets {
        if !path.exists() {
            println!("{name}: left out, there is no {}", path.display());
            continue;
        }
        let data = data::load(&path)?;
        let mut measured = Vec::new();
        for back in 1..=origins {
            eprintln!("{name}: origin {back} of {origins}");
            measured.extend(at_origin(&data, horizons, back * horizons)?);
        }
        println!("{name}, {horizons} steps ahead, {origins} origins");
        let mut numbers = report::print(&measured);
        let said: Vec<Said> = measured.into_iter().filter_map(|measured| measured.direction).collect();
        numbers["direction"] = direction::print(&said);
        line.insert(name.to_owned(), numbers);
        if name == "m4_weekly" {
            line.insert("robustness".to_owned(), robustness::measure(&data.all, horizons)?);
        }
    }
    println!("{}", json!({ "bench": "forecast", "results": line }));
    Ok(())
}

/// Forecasts what came after a gap from what was before it.
fn at_origin(data: &Data, horizons: usize, gap: usize) -> anyhow::Result<Vec<Measured>> {
    let all = &data.all;
    let places: Vec<usize> = (0..all.len()).filter(|&place| all[place].len() >= gap + 2).collect();
    let before = |place: usize| &all[place][..all[place].len() - gap];
    let histories: Vec<Vec<Option<f64>>> =
        places.iter().map(|&place| before(place).iter().copied().map(Some).collect()).collect();
    let actual = |place: usize| &all[place][all[place].len() - gap..][..horizons];
    let ends =
        data.ends.as_ref().map(|ends| places.iter().map(|&place| ends[place] - gap as i64).collect::<Vec<i64>>());
    measure(&histories, ends.as_deref(), &places, horizons, &before, &actual)
}

/// Forecasts histories and measures what was said.
pub fn measure<'a>(
    histories: &[Vec<Option<f64>>],
    ends: Option<&[i64]>,
    places: &[usize],
    horizons: usize,
    whole: &dyn Fn(usize) -> &'a [f64],
    actual: &dyn Fn(usize) -> &'a [f64],
) -> anyhow::Result<Vec<Measured>> {
    let forecasts = forecast(histories, ends, &settings(horizons), |_, _| {})?;
    Ok(errors(forecasts.outcomes, places, horizons, whole, actual))
}

fn settings(horizons: usize) -> Settings {
    Settings { season: 52, horizons, seed: 7 }
}

/// Measures what was said; scale and baselines are those of the whole histories.
fn errors<'a>(
    outcomes: Vec<Outcome>,
    places: &[usize],
    horizons: usize,
    whole: &dyn Fn(usize) -> &'a [f64],
    actual: &dyn Fn(usize) -> &'a [f64],
) -> Vec<Measured> {
    let mut measured = Vec::new();
    for (&place, outcome) in places.iter().zip(outcomes) {
        let Outcome::Forecast(forecast) = outcome else { continue };
        let (history, actual) = (whole(place), actual(place));
        let Some(ours) = metrics::measure(history, actual, &forecast.steps) else { continue };
        let of = |baseline: Baseline| {
            metrics::measure(history, actual, &baseline.forecast(history, 52, horizons)).unwrap_or_default()
        };
        let baselines = Baseline::ALL.map(of);
        let direction = Said::of(history, actual, forecast.direction);
        measured.push(Measured { series: place, history_count: history.len(), ours, baselines, direction });
    }
    measured
}
