//! Promises of the forecasting engine: the port of the reference, and the same numbers on any number of threads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so best by stopping")]

use digitallz_scorer::forecasting::absolute::Fitting;
use digitallz_scorer::forecasting::features::Shape;
use digitallz_scorer::forecasting::global::GlobalModel;
use digitallz_scorer::forecasting::others::Known;
use digitallz_scorer::forecasting::random::Random;
use digitallz_scorer::forecasting::windows::{Take, Windows};
use digitallz_scorer::forecasting::{Forecast, Forecasts, Outcome, Settings, forecast};
use serde::Deserialize;

/// What the Python reference forecasts; `reference/make_global_model.py` makes it.
#[derive(Deserialize)]
struct Reference {
    horizons: usize,
    stride: usize,
    windows_max: usize,
    history_min: usize,
    examples: usize,
    series: Vec<Vec<f64>>,
    scales: Vec<f64>,
    moves: Vec<Vec<f64>>,
}

#[test]
fn the_global_model_forecasts_what_the_python_reference_does() {
    let reference: Reference = serde_json::from_str(include_str!("reference/global_model.json")).unwrap();
    let all: Vec<Known<'_>> = reference.series.iter().map(|values| Known::alone(values)).collect();
    let shape = Shape::of_season(52);
    let take = Take {
        horizons: reference.horizons,
        stride: reference.stride,
        cuts_max: reference.windows_max,
        history_min: reference.history_min,
        shown_min: usize::MAX,
        history_max: usize::MAX,
        end_gap: 0,
        examples_max: usize::MAX,
    };
    let windows = Windows::gather(&all, &shape, &take);
    assert_eq!(windows.len(), reference.examples);
    let model = GlobalModel::fit(&windows, Fitting { ridge: 20.0, steps_max: 25, tolerance: 1e-5 }).unwrap();
    for (place, history) in all.iter().enumerate() {
        let end = Windows::at_end(*history, &shape, reference.horizons);
        assert!((end.scales[0] - reference.scales[place]).abs() < 1e-9);
        for (ours, theirs) in model.predict(&end, 0).iter().zip(&reference.moves[place]) {
            assert!((ours - theirs).abs() < 1e-6, "series {place}: {ours} and {theirs}");
        }
    }
}

/// Series of every class, some with gaps and spikes.
fn mixed() -> Vec<Vec<Option<f64>>> {
    (0..24)
        .map(|number| {
            let mut random = Random::new(11, number);
            let count = [3, 12, 40, 80, 130, 190][number as usize % 6];
            let mut level = 100.0;
            (0..count)
                .map(|week| {
                    level += random.share() * 4.0 - 2.0;
                    let season = 10.0 * (f64::from(week) * std::f64::consts::TAU / 52.0).sin();
                    let spike = if random.below(60) == 0 { 10.0 } else { 1.0 };
                    (random.below(15) > 0).then_some((level + season) * spike)
                })
                .collect()
        })
        .collect()
}

fn on_threads(count: usize, seed: u64) -> Forecasts {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let settings = Settings { season: 52, horizons: 4, seed };
    pool.install(|| forecast(&mixed(), None, &settings, |_, _| {}).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_numbers_on_any_number_of_threads() {
    let alone = on_threads(1, 7);
    assert_eq!(alone, on_threads(3, 7));
    assert_eq!(alone, on_threads(8, 7));
}

#[test]
fn ends_are_in_order_around_the_point_and_nothing_falls_below_zero() {
    for outcome in on_threads(2, 7).outcomes {
        let Outcome::Forecast(Forecast { steps, .. }) = outcome else { panic!("every series has two points") };
        assert_eq!(steps.len(), 4);
        for step in steps {
            let ordered = [0.0, step.lo_95, step.lo_80, step.point, step.hi_80, step.hi_95];
            assert!(ordered.is_sorted(), "{ordered:?}");
        }
    }
}

#[test]
fn one_point_abstains_and_series_that_stand_still_go_on_standing_still() {
    let settings = Settings { season: 52, horizons: 3, seed: 7 };
    let series = vec![vec![Some(4.0)], vec![], vec![Some(0.0); 60], vec![Some(5.0); 9], vec![None, Some(1.0), None]];
    let outcomes = forecast(&series, None, &settings, |_, _| {}).unwrap().outcomes;
    assert_eq!([&outcomes[0], &outcomes[1], &outcomes[4]], [&Outcome::TooShort; 3]);
    for (outcome, expected) in [(&outcomes[2], 0.0), (&outcomes[3], 5.0)] {
        let Outcome::Forecast(Forecast { steps, .. }) = outcome else { panic!("it has points enough") };
        assert!(steps.iter().all(|step| step.point == expected && step.lo_95 == expected && step.hi_95 == expected));
    }
}

#[test]
fn intervals_of_young_series_cover_what_they_claim_although_nobody_knows_how_restless_each_is() {
    let (mut inside_80, mut inside_95, mut all) = (0.0, 0.0, 0.0);
    let (mut series, mut later) = (Vec::new(), Vec::new());
    for number in 0..240 {
        let mut random = Random::new(23, number);
        let restlessness = (4.0 * random.share() - 2.0).exp();
        let mut level = 100.0;
        let walk: Vec<f64> = (0..100)
            .map(|_| {
                level += restlessness * (2.0 * random.share() - 1.0);
                level
            })
            .collect();
        let from = if number % 2 == 0 { 94 } else { 0 };
        series.push(walk[from..96].iter().copied().map(Some).collect());
        later.push(walk[96..].to_vec());
    }
    let settings = Settings { season: 52, horizons: 4, seed: 7 };
    for (outcome, later) in forecast(&series, None, &settings, |_, _| {}).unwrap().outcomes.iter().zip(later).step_by(2)
    {
        let Outcome::Forecast(Forecast { steps, .. }) = outcome else { panic!("two points are enough") };
        for (step, actual) in steps.iter().zip(later) {
            all += 1.0;
            inside_80 += f64::from(u8::from((step.lo_80..=step.hi_80).contains(&actual)));
            inside_95 += f64::from(u8::from((step.lo_95..=step.hi_95).contains(&actual)));
        }
    }
    let (share_80, share_95) = (inside_80 / all, inside_95 / all);
    assert!((0.74..0.88).contains(&share_80) && (0.91..0.985).contains(&share_95), "{share_80} {share_95}");
}
