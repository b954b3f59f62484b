//! How well competition is foretold on the pretend world, where the truth is known: `make bench-competition`.
//!
//! Weekly pages of search results are taken from the world without the way over HTTP and become results, features, models
//! and predictions by the code that serves. `COMPETITION_KEYWORDS` (300) and `COMPETITION_SEED` (1) change the world.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::{
    Marketplace as Pretended, Position, SearchResults, true_entry_probability, true_weekly_demand,
};
use digitallz_scorer::competition::{self, Definition};
use digitallz_scorer::entry::{
    self, Appearance, COHORT_WEEKS, ENTRY_FEATURE_SET_VERSION, Example, NEWCOMERS_MIN, Outcome, Results, features,
    learn, persistence,
};
use digitallz_scorer::market;
use digitallz_scorer::series::{WeekValue, sunday_of, week_of};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Newcomers of a week; Amazon has fewer.
const ENTRANTS_PER_WEEK: f64 = 7.5;

/// Weeks that are looked at before the first origin.
const HISTORY_WEEKS: i32 = 104;

/// Moments at which a model is trained anew and asked, their outcomes apart.
const ORIGINS: i32 = 4;
const ORIGIN_SPACING_WEEKS: i32 = 8;

/// Bins of the reliability table.
const BINS: usize = 10;

/// A keyword as the world holds it and as it was looked at.
struct Looked {
    keyword: String,
    world: SearchResults,
    appearances: Vec<Appearance>,
    results: Results,
}

/// What was said of a keyword, beside what came.
struct Said {
    actual: f64,
    model: f64,
    persistence: f64,
    supply_per_demand: f64,
    truth: f64,
    chance: f64,
    is_inside_80: bool,
    probabilities: [f64; 3],
    level: usize,
}

fn main() {
    let keyword_count = setting("COMPETITION_KEYWORDS", 300);
    let seed = setting("COMPETITION_SEED", 1);
    let first_week = week_of(NaiveDate::from_ymd_opt(2024, 3, 3).expect("a date"));
    let mut report = Vec::new();
    for (marketplace, pretended, depth) in [
        (Marketplace::Amazon, Pretended::Amazon, 20),
        (Marketplace::Etsy, Pretended::Etsy, 48),
        (Marketplace::Ebay, Pretended::Ebay, 50),
    ] {
        let started = Instant::now();
        let all = look(seed, marketplace, pretended, depth, keyword_count as usize, first_week);
        let results: Vec<Results> = all.iter().map(|looked| looked.results.clone()).collect();
        let mut said = Vec::new();
        let mut newcomers = 0;
        for origin in 0..ORIGINS {
            let week = first_week + HISTORY_WEEKS + origin * ORIGIN_SPACING_WEEKS;
            let learnt = learn(&results, week).expect("the solvers converge").expect("two years are enough");
            for example in entry::examples(&results, week, &learnt.model.prior) {
                newcomers += example.outcome.newcomers;
                said.push(say(seed, pretended, &all, &learnt.model, &example));
            }
        }
        let leaks = leaks(&all, marketplace, first_week + HISTORY_WEEKS);
        let difference = largest_difference(marketplace, &all, first_week);
        let row = measure(marketplace, &said, newcomers, leaks, difference);
        print_row(&row, &said, started.elapsed().as_secs_f64());
        report.push(row);
    }
    let is_passed = report.iter().all(|row| row["is_passed"] == true);
    println!(
        "{}",
        json!({ "bench": "competition", "seed": seed, "keywords_per_marketplace": keyword_count,
        "entrants_per_week": ENTRANTS_PER_WEEK, "feature_set_version": ENTRY_FEATURE_SET_VERSION,
        "is_passed": is_passed, "marketplaces": report })
    );
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Looks at the first page of every keyword, once a week.
fn look(
    seed: u64,
    marketplace: Marketplace,
    pretended: Pretended,
    depth: usize,
    keyword_count: usize,
    first_week: i32,
) -> Vec<Looked> {
    let week_count = HISTORY_WEEKS + (ORIGINS - 1) * ORIGIN_SPACING_WEEKS + entry::HORIZON_WEEKS;
    let definition = Definition::first();
    let components = definition.components(marketplace);
    let scale = |name: &str, value: f64| {
        let part = components.iter().find(|part| part.name == name).expect("every marketplace has it").clone();
        let part = competition::Component { weight: 1.0, ..part };
        competition::score(&[part], &[Some(value)]).expect("the value is there").score
    };
    let keywords = (0..keyword_count).map(|number| format!("pretend thing {number}"));
    keywords
        .zip(1..)
        .map(|(keyword, keyword_id)| {
            let world = SearchResults::new(seed, pretended, &keyword, ENTRANTS_PER_WEEK);
            let mut seen: BTreeMap<i64, Appearance> = BTreeMap::new();
            let mut scores = Vec::new();
            for week in first_week..=first_week + week_count {
                let mut sellers: BTreeMap<u64, f64> = BTreeMap::new();
                let page = world.first(noon_of(week), depth);
                for (position, at) in page.iter().enumerate() {
                    let listing_id = i64::from(at.listing);
                    let appearance = seen.entry(listing_id).or_insert_with(|| Appearance {
                        listing_id,
                        listed_week: Some(week_of(at.listed_at.date_naive())),
                        weeks: Vec::new(),
                    });
                    appearance.weeks.push((week, position as i32 + 1));
                    *sellers.entry(at.seller).or_default() += 1.0 / page.len() as f64;
                }
                let concentration: f64 = sellers.values().map(|share| share * share).sum();
                let supply = world.total(noon_of(week)) as f64;
                let components = vec![scale("supply", supply), scale("concentration", concentration)];
                // What the marketplace reports of the week before.
                let demand = true_weekly_demand(seed, pretended, &keyword, sunday_of(week - 1));
                let beside = market_of(&page, week, supply, demand).to_vec();
                // The score itself is no feature.
                scores.push(WeekValue { week, value: f64::NAN, components, beside });
            }
            let appearances: Vec<Appearance> = seen.into_values().collect();
            let mut results = Results::gather(keyword_id, entry::top_positions(marketplace), &appearances);
            results.scores = scores;
            Looked { keyword, world, appearances, results }
        })
        .collect()
}

/// Returns what is known of the market, in the order of [`market::NAMES`].
fn market_of(page: &[Position], week: i32, supply: f64, demand: f64) -> [f64; market::NAMES.len()] {
    let mut prices: Vec<f64> = page.iter().map(|at| at.price_cents as f64).collect();
    prices.sort_by(f64::total_cmp);
    let price_at = |share: f64| prices[(share * (prices.len() - 1) as f64).round() as usize].ln();
    let listed_after = noon_of(week) - Days::new(30);
    let new_count = page.iter().filter(|at| at.listed_at > listed_after).count();
    let new_listing_share = new_count as f64 / page.len() as f64;
    [price_at(0.5), price_at(0.75) - price_at(0.25), new_listing_share, supply.ln_1p() - demand.ln_1p()]
}

fn noon_of(week: i32) -> DateTime<Utc> {
    (sunday_of(week) + Days::new(3)).and_time(NaiveTime::from_hms_opt(12, 0, 0).expect("a time of day")).and_utc()
}

fn say(seed: u64, pretended: Pretended, all: &[Looked], model: &entry::EntryModel, example: &Example) -> Said {
    let looked = &all[example.keyword_id as usize - 1];
    let forecast = model.predict(&example.features);
    let actual = 1.0 - model.prior.success(example.outcome);
    let weeks = (1..=COHORT_WEEKS).map(|ahead| sunday_of(example.week + ahead));
    let truth = weeks.map(|week| true_entry_probability(seed, pretended, &looked.keyword, week)).sum::<f64>();
    let demand = true_weekly_demand(seed, pretended, &looked.keyword, sunday_of(example.week));
    let truth = truth / f64::from(COHORT_WEEKS);
    let [_, lo_80, hi_80, _] = forecast.ends;
    Said {
        actual,
        model: forecast.difficulty,
        persistence: persistence(&looked.results, example.week, &model.prior),
        supply_per_demand: looked.world.total(noon_of(example.week)) as f64 / demand.max(1.0),
        truth: 1.0 - truth,
        chance: 1.0 - model.prior.success(toss(seed, example, truth)),
        is_inside_80: (lo_80..=hi_80).contains(&actual),
        probabilities: forecast.probabilities,
        level: model.cuts.iter().filter(|cut| actual >= **cut).count(),
    }
}

/// Lets chance alone decide, by the true probability, how many of as many newcomers come up.
fn toss(seed: u64, example: &Example, probability: f64) -> Outcome {
    let newcomers = example.outcome.newcomers;
    let tosses = (0..newcomers).filter(|toss| {
        let hash = Sha256::digest(format!("{seed} {} {} {toss}", example.keyword_id, example.week));
        let number = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
        f64::from(number) / f64::from(u32::MAX) < probability
    });
    Outcome { newcomers, successes: tosses.count() as u32 }
}

fn measure(marketplace: Marketplace, said: &[Said], newcomers: u32, leaks: usize, difference: f64) -> Value {
    let rank = |of: fn(&Said) -> f64| {
        spearman(&said.iter().map(of).collect::<Vec<_>>(), &said.iter().map(|said| said.actual).collect::<Vec<_>>())
    };
    let error =
        |of: fn(&Said) -> f64| said.iter().map(|said| (of(said) - said.actual).abs()).sum::<f64>() / said.len() as f64;
    let (model, before) = (rank(|said| said.model), rank(|said| said.persistence));
    // Who knows the truth cannot rank what came any better; had chance alone decided, it would rank a little better.
    let ceiling = rank(|said| said.truth);
    let of_chance = spearman(
        &said.iter().map(|said| said.truth).collect::<Vec<_>>(),
        &said.iter().map(|said| said.chance).collect::<Vec<_>>(),
    );
    let errors: Vec<f64> = (0..3).map(|level| calibration_error(&reliability(said, level))).collect();
    let largest_error = errors.iter().copied().fold(0.0, f64::max);
    let hits = said.iter().filter(|said| most_probable(said) == said.level).count();
    let inside = said.iter().filter(|said| said.is_inside_80).count();
    json!({
        "marketplace": marketplace.name(),
        "predictions": said.len(),
        "newcomers_per_cohort": f64::from(newcomers) / said.len() as f64,
        "newcomers_min": NEWCOMERS_MIN,
        "spearman_model": model,
        "spearman_persistence": before,
        "spearman_supply_per_demand": rank(|said| said.supply_per_demand),
        "spearman_ceiling": ceiling,
        "spearman_ceiling_of_chance_alone": of_chance,
        "part_of_ceiling": model / ceiling,
        "part_of_ceiling_of_chance_alone": model / of_chance,
        "error_model": error(|said| said.model),
        "error_persistence": error(|said| said.persistence),
        "expected_calibration_error_low": errors[0],
        "expected_calibration_error_medium": errors[1],
        "expected_calibration_error_high": errors[2],
        "level_accuracy": hits as f64 / said.len() as f64,
        "coverage_80": inside as f64 / said.len() as f64,
        "largest_difference_of_contributions": difference,
        "leaked_features": leaks,
        "is_passed": model / ceiling >= 0.95 && model > before && largest_error < 0.05 && difference <= 1e-9 && leaks == 0,
    })
}

fn most_probable(said: &Said) -> usize {
    let [low, medium, high] = said.probabilities;
    if high >= low.max(medium) { 2 } else { usize::from(medium >= low) }
}

/// Returns per bin of the probability of a level how many predictions it has, what they said and what came.
fn reliability(said: &[Said], level: usize) -> Vec<(usize, f64, f64)> {
    let mut bins = vec![(0, 0.0, 0.0); BINS];
    for said in said {
        let probability = said.probabilities[level];
        let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += probability;
        bin.2 += f64::from(u8::from(said.level == level));
    }
    bins.into_iter()
        .map(|(count, said, came)| {
            (count, said / f64::from(count.max(1) as u32), came / f64::from(count.max(1) as u32))
        })
        .collect()
}

fn calibration_error(bins: &[(usize, f64, f64)]) -> f64 {
    let total: usize = bins.iter().map(|bin| bin.0).sum();
    bins.iter().map(|(count, said, came)| *count as f64 / total as f64 * (said - came).abs()).sum()
}

/// Changes everything that was seen after a week and counts the features of that week and earlier ones that differ.
fn leaks(all: &[Looked], marketplace: Marketplace, week: i32) -> usize {
    let mut leaks = 0;
    for looked in all {
        let mut changed = looked.appearances.clone();
        for (number, appearance) in changed.iter_mut().enumerate() {
            // Later weeks and positions turn round; every third listing is never seen again.
            let last = appearance.weeks.last().map_or(week, |at| at.0);
            for at in appearance.weeks.iter_mut().filter(|at| at.0 > week) {
                *at = (week + 1 + last - at.0, 51 - at.1);
            }
            appearance.weeks.retain(|at| at.0 <= week || number % 3 > 0);
            appearance.weeks.sort_unstable();
        }
        changed.retain(|appearance| !appearance.weeks.is_empty());
        let mut after = Results::gather(looked.results.keyword_id, entry::top_positions(marketplace), &changed);
        after.scores = looked.results.scores.clone();
        for score in after.scores.iter_mut().filter(|score| score.week > week) {
            score.components.reverse();
            score.beside.reverse();
        }
        for at in [week - 26, week - 4, week] {
            let before = features(&looked.results, at, &entry::PUBLISHED_PRIOR);
            let after = features(&after, at, &entry::PUBLISHED_PRIOR);
            leaks += before.iter().zip(&after).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        }
    }
    leaks
}

/// Scores every keyword by both definitions and returns how far contributions ever are from adding up to the score.
fn largest_difference(marketplace: Marketplace, all: &[Looked], first_week: i32) -> f64 {
    let mut largest: f64 = 0.0;
    for definition in [Definition::first(), Definition::second()] {
        let components = definition.components(marketplace);
        for looked in all {
            for week in (first_week + 20..first_week + HISTORY_WEEKS).step_by(4) {
                let known = entry::measures(&looked.results, week);
                let values: Vec<Option<f64>> = components
                    .iter()
                    .map(|part| {
                        let measured = known.iter().find(|(metric, _)| *metric == part.metric).map(|known| known.1);
                        let share = looked.world.total(noon_of(week)) as f64 / 50_000.0;
                        measured.or(Some(part.easy + (part.hard - part.easy) * share.min(1.0)))
                    })
                    .collect();
                let score = competition::score(components, &values).expect("every value is there");
                largest = largest.max((score.contributions.iter().sum::<f64>() - score.score).abs());
            }
        }
    }
    largest
}

/// Returns the rank correlation; equal values share their mean rank.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut place = 0;
    for same in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = place as f64 + (same.len() as f64 - 1.0) / 2.0;
        same.iter().for_each(|&at| ranks[at] = rank);
        place += same.len();
    }
    ranks
}

fn print_row(row: &Value, said: &[Said], seconds: f64) {
    let figure = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    println!("{} ({} predictions, {seconds:.1} s)", row["marketplace"].as_str().unwrap_or_default(), said.len());
    println!("  newcomers of a cohort          {:6.1}", figure("newcomers_per_cohort"));
    println!("  rank correlation with the later label");
    for (name, key) in [
        ("ceiling, who knows the truth", "spearman_ceiling"),
        ("the same, by chance alone", "spearman_ceiling_of_chance_alone"),
        ("model", "spearman_model"),
        ("persistence", "spearman_persistence"),
        ("supply per demand", "spearman_supply_per_demand"),
        ("model, part of the ceiling", "part_of_ceiling"),
        ("of that by chance alone", "part_of_ceiling_of_chance_alone"),
    ] {
        println!("    {name:29} {:6.3}", figure(key));
    }
    println!(
        "  error                          {:6.3}, persistence {:.3}",
        figure("error_model"),
        figure("error_persistence")
    );
    println!("  actual inside 80 % interval    {:6.3}", figure("coverage_80"));
    println!("  level right                    {:6.3}", figure("level_accuracy"));
    for (level, name) in competition::LEVELS.iter().enumerate() {
        println!(
            "  {name:6} said, came, count; expected calibration error {:.3}",
            calibration_error(&reliability(said, level))
        );
        for (count, said, came) in reliability(said, level).into_iter().filter(|bin| bin.0 > 0) {
            println!("    {said:.3}  {came:.3}  {count:5}");
        }
    }
    println!("  contributions less score       {:6.1e}", figure("largest_difference_of_contributions"));
    println!("  features that saw the future   {:6}", figure("leaked_features"));
}
