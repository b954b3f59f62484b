//! Dirty histories, on every third series, beside what is said of them clean; and young ones among whole ones.

use digitallz_scorer::forecasting::Trained;
use digitallz_scorer::forecasting::metrics;
use digitallz_scorer::forecasting::random::Random;
use serde_json::{Map, Value, json};

use crate::Measured;
use crate::report::{self, Owa};

/// Every so many series are made dirty, to save time.
const EVERY: usize = 3;

/// Lengths of young histories.
const LENGTHS: [usize; 5] = [2, 4, 8, 16, 26];

const SEED: u64 = 7;

/// Measures all of it; prints a line each.
pub fn measure(series: &[Vec<f64>], horizons: usize) -> anyhow::Result<Value> {
    let all: Vec<&Vec<f64>> = series.iter().step_by(EVERY).collect();
    let places: Vec<usize> = (0..all.len()).collect();
    let whole = |place: usize| &all[place][..all[place].len() - horizons];
    let actual = |place: usize| &all[place][all[place].len() - horizons..];
    let run = |histories: &[Vec<Option<f64>>]| crate::measure(histories, None, &places, horizons, &whole, &actual);
    let changed = |change: &dyn Fn(usize, usize, f64) -> Option<f64>| -> Vec<Vec<Option<f64>>> {
        let each = |place: usize| whole(place).iter().enumerate().map(move |(at, value)| change(place, at, *value));
        places.iter().map(|&place| each(place).collect()).collect()
    };
    let drawn = |place: usize, at: usize| Random::new(SEED, (place * 10_000 + at) as u64).share();
    let mut numbers = Map::new();

    eprintln!("robustness: clean");
    let clean = owa(&run(&changed(&|_, _, value| Some(value)))?);
    eprintln!("robustness: clean, without the cleaner");
    let raw = owa(&uncleaned(&places, horizons, &whole, &actual)?);
    println!("  {:<14} OWA {clean:.4}, {:.4} of without the cleaner", "clean", clean / raw);
    numbers.insert("without_cleaner".to_owned(), json!(raw));
    eprintln!("robustness: missing weeks");
    let missing = owa(&run(&changed(&|place, at, value| (drawn(place, at) >= 0.1).then_some(value)))?);
    eprintln!("robustness: spikes");
    let spiked =
        owa(&run(&changed(&|place, at, value| Some(if drawn(place, at) < 0.02 { 10.0 * value } else { value })))?);
    numbers.insert("clean".to_owned(), json!(clean));
    for (name, value) in [("missing", missing), ("spiked", spiked)] {
        println!("  {name:<14} OWA {value:.4}, {:.4} of clean", value / clean);
        numbers.insert(name.to_owned(), json!(value));
    }

    numbers.insert("young".to_owned(), young(series, horizons)?);
    Ok(Value::Object(numbers))
}

/// Measures forecasts of series of which the last points alone are known: of one half among the whole other half, then of the
/// other.
fn young(all: &[Vec<f64>], horizons: usize) -> anyhow::Result<Value> {
    let places: Vec<usize> = (0..all.len()).collect();
    let whole = |place: usize| &all[place][..all[place].len() - horizons];
    let actual = |place: usize| &all[place][all[place].len() - horizons..];
    let mut numbers = Map::new();
    let mut of_any = Vec::new();
    for length in LENGTHS {
        eprintln!("robustness: {length} points");
        let mut measured = Vec::new();
        for half in 0..2 {
            let is_young = |place: usize| place % 2 == half;
            let from = |place: usize| if is_young(place) { whole(place).len().saturating_sub(length) } else { 0 };
            let histories: Vec<Vec<Option<f64>>> =
                places.iter().map(|&place| whole(place)[from(place)..].iter().copied().map(Some).collect()).collect();
            let of_all = crate::measure(&histories, None, &places, horizons, &whole, &actual)?;
            measured.extend(of_all.into_iter().filter(|measured| is_young(measured.series)));
        }
        numbers.insert(format!("points_{length}"), young_line(&format!("{length:>2} points"), &measured));
        of_any.extend(measured);
    }
    numbers.insert("points_any".to_owned(), young_line("any of these", &of_any));
    Ok(Value::Object(numbers))
}

/// Measures forecasts of histories as they are.
fn uncleaned<'a>(
    places: &[usize],
    horizons: usize,
    whole: &dyn Fn(usize) -> &'a [f64],
    actual: &dyn Fn(usize) -> &'a [f64],
) -> anyhow::Result<Vec<Measured>> {
    let histories: Vec<&[f64]> = places.iter().map(|&place| whole(place)).collect();
    let trained = Trained::learn(&histories, None, &crate::settings(horizons), |_, _| {})?;
    let outcomes = histories.iter().map(|history| trained.ask(history, None)).collect();
    Ok(crate::errors(outcomes, places, horizons, whole, actual))
}

fn owa(measured: &[Measured]) -> f64 {
    let (ours, naive) = report::beside_naive(measured.iter());
    metrics::summary(&ours, &naive).owa
}

/// Prints how well young series are forecast; returns the numbers.
fn young_line(name: &str, measured: &[Measured]) -> Value {
    let owa = Owa::of(&measured.iter().collect::<Vec<_>>());
    println!("  {name:<14} OWA {:.4}, {:.3} to {:.3} when the series are drawn anew", owa.owa, owa.owa_lo, owa.owa_hi);
    json!(owa)
}
