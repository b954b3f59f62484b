//! What features may see and how they are scaled.

use super::*;
use crate::series::{History, series_of};
use crate::synthetic::{self, Dice};
use crate::target::Target;

fn build(histories: &[History], model_name: ModelName) -> Panel {
    let target = match model_name {
        ModelName::Demand => Target::AuctionBids,
        ModelName::Competition => Target::CompetitionScore,
    };
    Panel::build(series_of(histories, target), families(model_name)).unwrap()
}

/// Everything the panel knows of a keyword's week, bit by bit.
fn knowledge(panel: &Panel, until: i32) -> Vec<(i64, i32, Vec<u64>)> {
    (0..panel.rows.len())
        .filter(|&row| panel.rows[row].week <= until)
        .map(|row| {
            let at = &panel.rows[row];
            let mut bits = vec![at.value.to_bits(), at.scale.to_bits(), at.observed_count as u64];
            for horizon in 1..=HORIZON_COUNT {
                bits.extend(panel.features(row, horizon).map(f64::to_bits));
            }
            (panel.series[at.series].keyword_id, at.week, bits)
        })
        .collect()
}

#[test]
fn a_feature_never_sees_the_future() {
    let mut dice = Dice::new(11);
    let mut counts = synthetic::counts(1, 4, 120);
    let mut scores = synthetic::scores(2, 4, 60);
    for week in counts.iter_mut().chain(&mut scores).flat_map(|history| &mut history.weeks) {
        week.beside = vec![dice.normal(), if dice.unit() < 0.1 { f64::NAN } else { dice.normal() }];
    }
    for (model_name, histories) in [(ModelName::Demand, counts), (ModelName::Competition, scores)] {
        for _ in 0..4 {
            let until = histories[0].weeks[0].week + 20 + (dice.unit() * 35.0) as i32;
            let mut changed = histories.clone();
            for history in &mut changed {
                // After the as-of week: values change, and so many weeks go missing that gaps are bridged or cut.
                let loss = dice.unit();
                history.weeks.retain(|week| week.week <= until || dice.unit() > loss);
                for week in history.weeks.iter_mut().filter(|week| week.week > until) {
                    week.value = if model_name == ModelName::Demand { 1_000.0 * dice.unit() } else { dice.unit() };
                    week.components.iter_mut().chain(&mut week.beside).for_each(|level| *level = dice.unit());
                }
            }
            let truth = knowledge(&build(&histories, model_name), until);
            assert!(truth.len() > 4 * 15);
            assert_eq!(truth, knowledge(&build(&changed, model_name), until), "{model_name:?} until {until}");
        }
    }
}

#[test]
fn a_feature_belongs_to_its_own_keyword() {
    let histories = synthetic::counts(3, 3, 70);
    let all = build(&histories, ModelName::Demand);
    let alone = build(&histories[1..2], ModelName::Demand);
    let of_second: Vec<_> = knowledge(&all, i32::MAX).into_iter().filter(|row| row.0 == 2).collect();
    assert_eq!(of_second, knowledge(&alone, i32::MAX));
}

#[test]
fn features_mean_what_their_names_say() {
    let panel = build(&synthetic::counts(4, 1, 110), ModelName::Demand);
    let row = panel.rows.iter().position(|row| row.position == 105).unwrap();
    let (y, at) = (&panel.series[0].values, &panel.rows[row]);
    let changes: Vec<f64> = y[1..=105].windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    assert!((at.scale - changes.iter().sum::<f64>() / 104.0).abs() < 1e-9);
    let expect = |name: &str, value: f64| {
        let place = panel.names(3).position(|known| known == name).unwrap();
        let feature = panel.features(row, 3).nth(place).unwrap();
        assert!((feature - value).abs() < 1e-7, "{name}: {feature} is not {value}");
    };
    let relative = |value: f64| ((value - y[105]) / at.scale).asinh();
    let mean = |window: &[f64]| window.iter().sum::<f64>() / window.len() as f64;
    expect("Lag_12", relative(y[93]));
    expect("Mean_8", relative(mean(&y[98..=105])));
    expect("Minimum_4", relative(y[102..=105].iter().copied().fold(f64::INFINITY, f64::min)));
    expect("Growth_4", ((mean(&y[102..=105]) - mean(&y[98..=101])) / at.scale).asinh());
    expect("SameWeek_52_3", relative(y[105 + 3 - 52]));
    expect("SameMove_104_3", ((y[105 + 3 - 104] - y[105 - 104]) / at.scale).asinh());
    let changes: Vec<f64> = y[80..=105].windows(2).map(|pair| pair[1] - pair[0]).collect();
    expect("LargestRise_4", (changes[21..].iter().copied().fold(f64::NEG_INFINITY, f64::max) / at.scale).asinh());
    expect("LargestFall_4", (changes[21..].iter().copied().fold(f64::INFINITY, f64::min) / at.scale).asinh());
    expect("StillShare_13", 0.0);
    expect("TooYoung_52", 0.0);
    expect("FilledShare_8", 0.0);
}

#[test]
fn what_is_absent_counts_as_nothing_and_is_marked() {
    let panel = build(&synthetic::counts(5, 1, 40), ModelName::Demand);
    let value = |name: &str| {
        let place = panel.names(2).position(|known| known == name).unwrap();
        panel.features(panel.rows.len() - 1, 2).nth(place).unwrap()
    };
    assert_eq!((value("SameWeek_52_2"), value("SameMove_52_2"), value("Lag_51")), (0.0, 0.0, 0.0));
    assert_eq!((value("TooYoung_52"), value("TooYoung_104")), (1.0, 1.0));
}

#[test]
fn a_lead_is_the_move_of_the_other_marketplace_until_the_week_before() {
    let mut histories = synthetic::counts(6, 2, 60);
    // The other marketplace moves by one a week, twice as far in its last two weeks; it does not know the second keyword.
    for (position, week) in histories[0].weeks.iter_mut().enumerate() {
        let jump = if position >= 58 { f64::from(position as i32 - 57) } else { 0.0 };
        week.beside = vec![position as f64 + jump];
    }
    histories[1].weeks.iter_mut().for_each(|week| week.beside = vec![f64::NAN]);
    let panel = build(&histories, ModelName::Demand);
    let last =
        |keyword_id: i64| panel.rows.iter().rposition(|row| panel.series[row.series].keyword_id == keyword_id).unwrap();
    let value = |row: usize, name: &str| {
        let place = panel.names(1).position(|known| known == name).unwrap();
        panel.features(row, 1).nth(place).unwrap()
    };
    // Known are its weeks until the 58th: 57 moves of one and one of two.
    let mean = 59.0 / 58.0;
    let scale = ((57.0 * (1.0_f64 - mean).powi(2) + (2.0_f64 - mean).powi(2)) / 57.0).sqrt();
    assert!((value(last(1), "Lead_0_1") - (2.0_f64 / scale).asinh()).abs() < 1e-9);
    assert!((value(last(1), "Lead_0_4") - (5.0_f64 / scale).asinh()).abs() < 1e-9);
    assert_eq!((value(last(2), "Lead_0_1"), value(last(2), "Lead_0_8")), (0.0, 0.0));
}

#[test]
fn a_series_that_stands_still_says_so() {
    let mut histories = synthetic::counts(7, 1, 40);
    histories[0].weeks[27..].iter_mut().for_each(|week| week.value = 0.0);
    let panel = build(&histories, ModelName::Demand);
    let place = panel.names(1).position(|known| known == "StillShare_13").unwrap();
    let share = panel.features(panel.rows.len() - 1, 1).nth(place).unwrap();
    assert!((share - 12.0 / 13.0).abs() < 1e-9, "{share}");
}
