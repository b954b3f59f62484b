//! Tables of what was measured.

use digitallz_scorer::forecasting::baselines::Baseline;
use digitallz_scorer::forecasting::classes::Class;
use digitallz_scorer::forecasting::metrics::{self, Errors, Summary};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Measured;

/// Draws of series for the interval of the OWA.
const DRAWS: usize = 1_000;

const SEED: u64 = 7;

/// Our OWA, and where it lies when the series are drawn anew, 95 %.
#[derive(Serialize)]
pub struct Owa {
    pub owa: f64,
    pub owa_lo: f64,
    pub owa_hi: f64,
}

impl Owa {
    /// Of histories, each beside naive.
    pub fn of(measured: &[&Measured]) -> Owa {
        let (ours, naive) = beside_naive(measured.iter().copied());
        let series: Vec<usize> = measured.iter().map(|measured| measured.series).collect();
        let (owa_lo, owa_hi) = metrics::bootstrap_owa(&ours, &naive, &series, DRAWS, SEED);
        Owa { owa: metrics::summary(&ours, &naive).owa, owa_lo, owa_hi }
    }
}

/// Returns our errors, and those of naive.
pub fn beside_naive<'a>(measured: impl Iterator<Item = &'a Measured>) -> (Vec<Errors>, Vec<Errors>) {
    measured.map(|measured| (measured.ours, measured.baselines[0])).unzip()
}

/// Prints a table for each class and one for all; returns the numbers.
pub fn print(measured: &[Measured]) -> Value {
    let mut numbers = Map::new();
    for class in Class::all(52) {
        let of_class: Vec<&Measured> =
            measured.iter().filter(|measured| (class.from..class.until).contains(&measured.history_count)).collect();
        if !of_class.is_empty() {
            numbers.insert(class.to_string(), table(&format!("{class} points"), &of_class));
        }
    }
    numbers.insert("all".to_owned(), table("all", &measured.iter().collect::<Vec<_>>()));
    Value::Object(numbers)
}

fn table(title: &str, measured: &[&Measured]) -> Value {
    println!(
        "  {title:<14} {:>6} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "n", "sMAPE", "MASE", "OWA", "MSIS", "80 %", "95 %"
    );
    let (ours, naive) = beside_naive(measured.iter().copied());
    let summary = metrics::summary(&ours, &naive);
    row("ours", &summary);
    let mut numbers = Map::new();
    numbers.insert("ours".to_owned(), json!(summary));
    for (place, baseline) in Baseline::ALL.into_iter().enumerate() {
        let errors: Vec<Errors> = measured.iter().map(|measured| measured.baselines[place]).collect();
        let summary = metrics::summary(&errors, &naive);
        row(baseline.name(), &summary);
        numbers.insert(baseline.name().replace(' ', "_"), json!(summary));
    }
    let Owa { owa_lo, owa_hi, .. } = Owa::of(measured);
    println!("    our OWA when the series are drawn anew, 95 %: {owa_lo:.3} to {owa_hi:.3}");
    numbers.insert("owa_lo".to_owned(), json!(owa_lo));
    numbers.insert("owa_hi".to_owned(), json!(owa_hi));
    Value::Object(numbers)
}

fn row(name: &str, summary: &Summary) {
    let errors = &summary.errors;
    println!(
        "    {name:<14} {:>4} {:>8.3} {:>7.3} {:>7.4} {:>7.2} {:>7.3} {:>7.3}",
        summary.count, errors.smape, errors.mase, summary.owa, errors.msis, errors.coverage_80, errors.coverage_95
    );
}
