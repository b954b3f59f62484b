//! `make bench-score`: how many series a second get features, teach the experts and are predicted.
//!
//! 1. Series of 104 weeks are generated as they are needed: level, trend, season, wandering and noise, each with a temper of
//!    its own.
//! 2. Training: the combination of experts learns from as many series as it is taught of a marketplace, with its gate,
//!    intervals and directions.
//! 3. Features: the columns that polars builds for the elastic nets, range by range as the jobs of a scoring do.
//! 4. Prediction: eight weeks with intervals for every series, range by range.
//! 5. The same for a hundred times as many series: `growth` is the highest cost of a series, of features or prediction, in
//!    relation to that of the fewer.
//! 6. A sample of them is forecast by AutoETS and AutoTheta of statsforecast, in one process on one core: the ratios are series
//!    a second and core, ours to theirs. Where Python or the package is not there a line says so.
//!
//! Talk goes to standard error; standard output ends with one line of JSON. `BENCH_SERIES` (10000,1000000) and `BENCH_PEER`
//! (200) change the sizes.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says so best by stopping")]

mod peer;

use std::time::Instant;

use digitallz_scorer::features::{self, Panel};
use digitallz_scorer::forecasting::random::Random;
use digitallz_scorer::models::{Combination, Model};
use digitallz_scorer::score::KEYWORDS_OF_RANGE;
use digitallz_scorer::series::{Series, TAUGHT_KEYWORDS_MAX};
use rayon::prelude::*;
use serde_json::json;

const WEEKS: usize = 104;

/// Seconds that one size took.
struct Took {
    count: usize,
    taught_count: usize,
    features: f64,
    training: f64,
    prediction: f64,
    peak_mb: u64,
}

fn main() {
    let sizes: Vec<usize> =
        setting("BENCH_SERIES", "10000,1000000").split(',').map(|size| size.parse().unwrap()).collect();
    let peer_count: usize = setting("BENCH_PEER", "200").parse().unwrap();

    let took: Vec<Took> = sizes.iter().map(|&count| measure(count)).collect();
    let (first, last) = (&took[0], &took[took.len() - 1]);
    let cost = |took: &Took, seconds: f64| seconds / took.count as f64;
    let growth = (cost(last, last.features) / cost(first, first.features))
        .max(cost(last, last.prediction) / cost(first, first.prediction));
    let threads = rayon::current_num_threads();
    let ours = 1.0 / cost(last, last.prediction) / threads as f64;
    let mut line = json!({
        "bench": "score",
        "series": last.count,
        "threads": threads,
        "features_series_per_s": (1.0 / cost(last, last.features)).round(),
        "training_series_per_s": (last.taught_count as f64 / last.training).round(),
        "training_s": round(last.training),
        "prediction_series_per_s": (1.0 / cost(last, last.prediction)).round(),
        "prediction_s": round(last.prediction),
        "growth": round(growth),
        "peak_mb": last.peak_mb,
    });
    match peer::measure(&generate(0, peer_count.min(first.count))) {
        Ok(speeds) => {
            for (model, theirs) in speeds {
                eprintln!("{model} of statsforecast: {theirs:.1} series a second and core, ours {ours:.1}");
                line[format!("ratio_to_{model}")] = json!(round(ours / theirs));
            }
        }
        Err(reason) => eprintln!("statsforecast is left out: {reason}"),
    }
    println!("{line}");
}

fn measure(count: usize) -> Took {
    let taught_count = count.min(TAUGHT_KEYWORDS_MAX as usize);
    eprintln!("{count} series of {WEEKS} weeks, of which {taught_count} teach");
    let mut took = Took { count, taught_count, features: 0.0, training: 0.0, prediction: 0.0, peak_mb: 0 };

    let taught = Panel::build(series(0, taught_count), &[]).unwrap();
    let mut model = Combination::default();
    let begin = Instant::now();
    model.fit(&taught, i32::MAX).unwrap();
    took.training = begin.elapsed().as_secs_f64();

    for first in (0..count).step_by(KEYWORDS_OF_RANGE) {
        let range = series(first, KEYWORDS_OF_RANGE.min(count - first));

        let begin = Instant::now();
        std::hint::black_box(Panel::build(range.clone(), features::DEMAND).unwrap());
        took.features += begin.elapsed().as_secs_f64();

        let begin = Instant::now();
        let panel = Panel::build(range, &[]).unwrap();
        let last = |row: &usize| panel.rows[*row].position + 1 == WEEKS;
        (0..panel.rows.len()).into_par_iter().filter(last).for_each(|row| {
            std::hint::black_box(model.predict(&panel, row));
        });
        took.prediction += begin.elapsed().as_secs_f64();
    }
    took.peak_mb = peak_mb();
    let Took { features, training, prediction, peak_mb, .. } = took;
    eprintln!("training {training:.1} s, features {features:.1} s, prediction {prediction:.1} s, peak {peak_mb} MB");
    took
}

fn series(first: usize, count: usize) -> Vec<Series> {
    generate(first, count).iter().enumerate().map(|(place, values)| of_keyword(first + place, values)).collect()
}

/// Generates weekly demand.
fn generate(first: usize, count: usize) -> Vec<Vec<f64>> {
    (first..first + count)
        .into_par_iter()
        .map(|place| {
            let mut random = Random::new(11, place as u64);
            let (mut level, trend) = (3.0 + 5.0 * random.share(), 0.01 * (random.share() - 0.5));
            let (height, peak, noise) = (random.share(), 52.0 * random.share(), 0.3 * random.share());
            (0..WEEKS)
                .map(|week| {
                    level += trend + 0.05 * (random.share() - 0.5);
                    let season = height * (std::f64::consts::TAU * (week as f64 - peak) / 52.0).cos();
                    (level + season + noise * (random.share() - 0.5)).exp().round().max(1.0)
                })
                .collect()
        })
        .collect()
}

fn of_keyword(keyword: usize, values: &[f64]) -> Series {
    Series {
        keyword_id: keyword as i64,
        first_week: 2_800,
        values: values.iter().map(|value| value.ln_1p()).collect(),
        is_filled: vec![false; values.len()],
        components: Vec::new(),
        beside: Vec::new(),
    }
}

fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

fn round(value: f64) -> f64 {
    (1_000.0 * value).round() / 1_000.0
}

/// Returns the most memory that this process held.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}
