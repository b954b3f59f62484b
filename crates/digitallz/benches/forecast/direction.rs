//! Which way series went, and what was said of it before.

use digitallz_scorer::forecasting::direction::{Direction, Probabilities};
use digitallz_scorer::forecasting::statistics::mean;
use serde_json::{Value, json};

/// Bins of the reliability table.
const BINS: usize = 10;

/// What was said of one history at one origin, and what came.
pub struct Said {
    /// What came.
    came: Direction,
    /// What we said.
    ours: Probabilities,
    /// The mean that naive expects, by the recent level.
    naive: f64,
    /// How the last four values stand to the four before them.
    momentum: f64,
}

impl Said {
    /// Tells what was said; nothing where the recent level is zero.
    pub fn of(history: &[f64], actual: &[f64], ours: Option<Probabilities>) -> Option<Said> {
        let came = Direction::of(history, mean(actual))?;
        let recent = |skipped: usize| {
            let until = history.len().saturating_sub(skipped);
            mean(&history[until.saturating_sub(4)..until])
        };
        let momentum = if recent(4) > 0.0 { recent(0) / recent(4) } else { 1.0 };
        Some(Said { came, ours: ours?, naive: history.last()? / recent(0), momentum })
    }
}

/// What one method told of all histories.
struct Method {
    name: &'static str,
    told: Vec<Direction>,
    /// The more, the more it rises.
    rising: Vec<f64>,
    /// The more, the more it falls.
    falling: Vec<f64>,
}

/// Prints how well directions were told; returns the numbers.
pub fn print(said: &[Said]) -> Value {
    let of_share = |share: f64| match share {
        share if share > 1.1 => Direction::Rising,
        share if share < 0.9 => Direction::Falling,
        _ => Direction::Stable,
    };
    let mut numbers = serde_json::Map::new();
    println!("  direction      {:>6} {:>8} {:>10} {:>11}", "n", "macro F1", "AUC rising", "AUC falling");
    let ours = |direction: Direction| said.iter().map(|said| said.ours.of(direction)).collect();
    let plain = |name: &'static str, of: fn(&Said) -> f64| Method {
        name,
        told: said.iter().map(|said| of_share(of(said))).collect(),
        rising: said.iter().map(of).collect(),
        falling: said.iter().map(|said| -of(said)).collect(),
    };
    let methods = [
        Method {
            name: "ours",
            told: said.iter().map(|said| said.ours.likeliest()).collect(),
            rising: ours(Direction::Rising),
            falling: ours(Direction::Falling),
        },
        plain("naive", |said| said.naive),
        plain("momentum", |said| said.momentum),
    ];
    let came: Vec<Direction> = said.iter().map(|said| said.came).collect();
    for method in methods {
        let f1 = macro_f1(&came, &method.told);
        let auc = |direction: Direction, scores: &[f64]| {
            auc(scores, &came.iter().map(|came| *came == direction).collect::<Vec<bool>>())
        };
        let (rising, falling) = (auc(Direction::Rising, &method.rising), auc(Direction::Falling, &method.falling));
        println!("    {:<12} {:>6} {f1:>8.3} {rising:>10.3} {falling:>11.3}", method.name, said.len());
        numbers.insert(method.name.to_owned(), json!({ "macro_f1": f1, "auc_rising": rising, "auc_falling": falling }));
    }
    let error = reliability(said);
    println!("    expected calibration error {error:.4}");
    numbers.insert("expected_calibration_error".to_owned(), json!(error));
    Value::Object(numbers)
}

/// Prints how often what was said with a probability came; returns the mean distance, weighted by how often it was said.
fn reliability(said: &[Said]) -> f64 {
    let mut distance = 0.0;
    println!("    said of a direction / came (times)");
    let mut bins = vec![(0.0, 0.0, 0_usize); BINS];
    for said in said {
        for direction in Direction::ALL {
            let probability = said.ours.of(direction);
            let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
            bin.0 += probability;
            bin.1 += f64::from(u8::from(said.came == direction));
            bin.2 += 1;
        }
    }
    let all: usize = bins.iter().map(|bin| bin.2).sum();
    for (expected, came, count) in bins.into_iter().filter(|bin| bin.2 > 0) {
        let times = count as f64;
        println!("      {:.3} / {:.3} ({count})", expected / times, came / times);
        distance += (expected - came).abs() / all as f64;
    }
    distance
}

/// Returns the mean of the harmonic means of precision and recall of the three directions.
fn macro_f1(came: &[Direction], told: &[Direction]) -> f64 {
    let f1 = Direction::ALL.map(|direction| {
        let count = |holds: &dyn Fn(bool, bool) -> bool| {
            came.iter().zip(told).filter(|(came, told)| holds(**came == direction, **told == direction)).count() as f64
        };
        let (hits, misses) = (count(&|came, told| came && told), count(&|came, told| came != told));
        if hits > 0.0 { 2.0 * hits / (2.0 * hits + misses) } else { 0.0 }
    });
    mean(&f1)
}

/// Returns the probability that one of those that are has a higher score than one of those that are not.
fn auc(scores: &[f64], is: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*one].total_cmp(&scores[*other]));
    let (mut below, mut wins, mut place) = (0.0, 0.0, 0);
    while place < order.len() {
        // Equal scores are half a win each.
        let equal: Vec<usize> =
            order[place..].iter().copied().take_while(|other| scores[*other] == scores[order[place]]).collect();
        let ones = equal.iter().filter(|other| is[**other]).count() as f64;
        let others = equal.len() as f64 - ones;
        wins += ones * (below + others / 2.0);
        below += others;
        place += equal.len();
    }
    let ones = is.iter().filter(|is| **is).count() as f64;
    if ones > 0.0 && below > 0.0 { wins / ones / below } else { f64::NAN }
}
