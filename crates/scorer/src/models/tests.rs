//! The models on made-up series whose truth is known.

use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};

use super::*;
use crate::backtest;
use crate::features;
use crate::series::series_of;
use crate::synthetic::{self, Dice};
use crate::target::Target;

fn demand(seed: u64, keyword_count: i64, week_count: i32) -> Panel {
    let series = series_of(&synthetic::counts(seed, keyword_count, week_count), Target::AuctionBids);
    Panel::build(series, features::DEMAND).unwrap()
}

fn competition(seed: u64, keyword_count: i64, week_count: i32) -> Panel {
    let series = series_of(&synthetic::scores(seed, keyword_count, week_count), Target::CompetitionScore);
    Panel::build(series, features::COMPETITION).unwrap()
}

/// Returns the backtest errors of a model, of seasonal naive and of the last value, and the coverage.
fn measure(panel: &Panel, model: &mut dyn Model) -> backtest::Metrics {
    let plan = backtest::plan(panel);
    let folds = backtest::replay(panel, &plan, model).unwrap();
    let metrics = backtest::measure(panel, &plan, &folds, Vec::new()).unwrap();
    println!(
        "{}: error {:.3}, seasonal naive {:.3}, last value {:.3}, coverage {:.3} {:.3}",
        model.algorithm(),
        metrics.model_error.unwrap(),
        metrics.naive_error.unwrap(),
        metrics.last_value_error.unwrap(),
        metrics.coverage_80.unwrap_or(f64::NAN),
        metrics.coverage_95.unwrap_or(f64::NAN),
    );
    metrics
}

#[test]
fn the_linear_models_beat_both_naive_ones_on_demand_with_trend_and_season() {
    let panel = demand(21, 12, 112);
    for mut model in all().into_iter().skip(2) {
        let metrics = measure(&panel, model.as_mut());
        assert!(metrics.ratio.unwrap() < 0.9, "{}", model.algorithm());
        assert!(metrics.model_error < metrics.last_value_error);
        let (in_80, in_95) = (metrics.coverage_80.unwrap(), metrics.coverage_95.unwrap());
        assert!((0.66..0.93).contains(&in_80) && (0.87..=1.0).contains(&in_95), "coverage {in_80} {in_95}");
    }
}

#[test]
fn the_linear_models_beat_both_naive_ones_on_competition_that_returns_to_its_mean() {
    let panel = competition(22, 12, 70);
    // It has no season, so no line that starts from a year before.
    let from_the_last_value: [Box<dyn Model>; 2] =
        [Box::new(ElasticNet::from(Anchor::LastValue)), Box::new(Combination::default())];
    for mut model in from_the_last_value {
        let metrics = measure(&panel, model.as_mut());
        assert!(metrics.ratio.unwrap() < 0.9, "{}", model.algorithm());
        assert!(metrics.model_error < metrics.last_value_error);
    }
}

#[test]
fn a_line_follows_another_marketplace_that_moves_first() {
    // Both wander alike, the other one two weeks earlier.
    let mut histories = synthetic::counts(30, 30, 90);
    let mut dice = Dice::new(31);
    for history in &mut histories {
        let mut wander = vec![0.0; history.weeks.len() + 2];
        (1..wander.len()).for_each(|week| wander[week] = wander[week - 1] + 0.3 * dice.normal());
        for (position, week) in history.weeks.iter_mut().enumerate() {
            week.value = (5.0 + wander[position]).exp();
            week.beside = vec![wander[position + 2]];
        }
    }
    let error = |histories: &[crate::series::History]| {
        let panel = Panel::build(series_of(histories, Target::AuctionBids), features::DEMAND).unwrap();
        measure(&panel, &mut ElasticNet::from(Anchor::LastValue)).model_error.unwrap()
    };
    let led = error(&histories);
    histories.iter_mut().flat_map(|history| &mut history.weeks).for_each(|week| week.beside = vec![f64::NAN]);
    assert!(led < 0.9 * error(&histories), "{led}");
}

#[test]
fn the_same_data_give_the_same_bytes_and_the_same_predictions_after_reading_them() {
    for mut model in all() {
        let bytes = |model: &mut dyn Model| {
            let panel = demand(23, 4, 70);
            model.fit(&panel, i32::MAX).unwrap();
            (serde_json::to_vec(&model.state().unwrap()).unwrap(), panel)
        };
        let (first, panel) = bytes(model.as_mut());
        let (second, _) = bytes(model.as_mut());
        assert_eq!(first, second, "{}", model.algorithm());
        let restored = restore(model.algorithm(), serde_json::from_slice(&first).unwrap()).unwrap();
        let row = panel.rows.len() - 1;
        assert_eq!(model.predict(&panel, row), restored.predict(&panel, row));
    }
}

#[test]
fn a_model_that_learns_until_a_week_knows_nothing_of_later_ones() {
    let histories = synthetic::counts(24, 5, 90);
    let until = histories[0].weeks[60].week;
    let mut changed = histories.clone();
    for history in &mut changed {
        history.weeks.iter_mut().filter(|week| week.week > until).for_each(|week| week.value = 1.0);
    }
    for mut model in all() {
        let mut learn = |histories: &[crate::series::History]| {
            let panel = Panel::build(series_of(histories, Target::AuctionBids), features::DEMAND).unwrap();
            model.fit(&panel, until).unwrap();
            model.state().unwrap()
        };
        assert_eq!(learn(&histories), learn(&changed));
    }
}

#[test]
fn seasonal_naive_repeats_last_year_once_there_is_one() {
    let panel = demand(25, 1, 70);
    for (row, at) in panel.rows.iter().enumerate() {
        let expected = if at.position + 1 >= 52 { panel.series[0].values[at.position + 3 - 52] } else { at.value };
        assert_eq!(SeasonalNaive.predict(&panel, row).points[2], expected);
    }
}

#[test]
fn too_few_examples_give_no_line_and_the_last_value() {
    let panel = demand(26, 1, 20);
    let mut model = ElasticNet::from(Anchor::LastValue);
    model.fit(&panel, i32::MAX).unwrap();
    let row = panel.rows.len() - 1;
    assert_eq!(model.predict(&panel, row).points, [panel.rows[row].value; HORIZON_COUNT]);
}

#[test]
fn a_constant_series_is_predicted_to_stay_so() {
    let mut histories = synthetic::counts(27, 8, 60);
    histories.iter_mut().for_each(|history| history.weeks.iter_mut().for_each(|week| week.value = 10.0));
    let panel = Panel::build(series_of(&histories, Target::AuctionBids), features::DEMAND).unwrap();
    for mut model in all() {
        model.fit(&panel, i32::MAX).unwrap();
        let predictions = model.predict(&panel, panel.rows.len() - 1).points;
        assert!(predictions.iter().all(|value| (value - 11.0_f64.ln()).abs() < 1e-6), "{}", model.algorithm());
    }
}

/// The elastic net of linfa 0.8.1 centres y but not x. This holds the reason why columns are standardised here.
#[test]
fn the_elastic_net_finds_its_intercept_only_on_centred_columns() {
    let mut dice = Dice::new(28);
    let x: Vec<f64> = (0..200).map(|_| 10.0 + dice.normal()).collect();
    let y: Array1<f64> = x.iter().map(|x| 2.0 * x + 5.0).collect();
    let fit = |shift: f64| {
        let column: Vec<f64> = x.iter().map(|x| x - shift).collect();
        let dataset = DatasetBase::new(Array2::from_shape_vec((200, 1), column).unwrap(), y.clone());
        linfa_elasticnet::ElasticNet::params().penalty(1e-4).fit(&dataset).unwrap()
    };
    let mean = x.iter().sum::<f64>() / 200.0;
    let centred = fit(mean);
    assert!((centred.hyperplane()[0] - 2.0).abs() < 0.01);
    assert!((centred.intercept() - y.mean().unwrap()).abs() < 1e-9);
    assert!(
        fit(0.0).hyperplane()[0] < 1.0,
        "linfa finds the slope of 2 on raw columns: standardising is no longer needed"
    );
}

#[test]
fn the_elastic_net_of_the_normal_equations_is_that_of_all_rows() {
    let mut dice = Dice::new(29);
    let mut x = Array2::from_shape_fn((300, 6), |_| dice.normal());
    // Two columns say nearly the same.
    let near_copy = &x.column(0) + &(0.05 * &x.column(5));
    x.column_mut(5).assign(&near_copy);
    x -= &x.mean_axis(ndarray::Axis(0)).unwrap();
    let mut y = x.dot(&Array1::from(vec![1.0, -0.5, 0.0, 0.0, 0.2, 0.0]));
    y.iter_mut().for_each(|y| *y += 0.3 * dice.normal());
    y -= y.mean().unwrap();
    let direct = linfa_elasticnet::ElasticNet::params()
        .penalty(0.02)
        .l1_ratio(0.5)
        .with_intercept(false)
        .tolerance(1e-9)
        .fit(&DatasetBase::new(x.clone(), y.clone()))
        .unwrap();
    let through_root = elastic_net::shrunk(&x, &y, 0.02).unwrap();
    for (a, b) in direct.hyperplane().iter().zip(&through_root) {
        assert!((a - b).abs() < 2e-2, "{} is not {through_root}", direct.hyperplane());
    }
}
