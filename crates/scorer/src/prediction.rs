//! Predictions of one model for every keyword, in the unit of the metric, or the reason why there is none.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::week::last_full_week_start;
use rayon::prelude::*;

use crate::backtest::OBSERVED_WEEKS_MIN;
use crate::competition;
use crate::features::{HORIZON_COUNT, Panel};
use crate::forecasting::direction::{Probabilities, RECENT, STABLE_SHARE};
use crate::forecasting::{description, statistics};
use crate::models::{Answer, Model, SeasonalNaive};
use crate::registry::Fitted;
use crate::series::{self, History, sunday_of, week_of};
use crate::target::Target;

/// A keyword whose last observed week is older than this, in weeks, is not predicted.
const AGE_WEEKS_MAX: i32 = 4;

/// Data quality is judged by at most this many weeks.
const QUALITY_WEEKS_MAX: i32 = 104;

/// Weeks of a season.
const YEAR_WEEKS: usize = 52;

/// What a model says about a keyword for a week, or why it says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Prediction {
    pub(crate) keyword_id: i64,
    pub(crate) horizon: usize,
    pub(crate) target_date: NaiveDate,
    pub(crate) current_value: Option<f64>,
    pub(crate) value: Option<f64>,
    pub(crate) lo_80: Option<f64>,
    pub(crate) hi_80: Option<f64>,
    pub(crate) lo_95: Option<f64>,
    pub(crate) hi_95: Option<f64>,
    pub(crate) baseline_value: Option<f64>,
    pub(crate) error_scale: Option<f64>,
    pub(crate) trend_class: Option<&'static str>,
    pub(crate) direction: Option<Probabilities>,
    pub(crate) demand_pattern: Option<&'static str>,
    pub(crate) season_strength: Option<f64>,
    pub(crate) next_peak_date: Option<NaiveDate>,
    pub(crate) competition_level: Option<&'static str>,
    pub(crate) abstain_reason: Option<String>,
    pub(crate) observation_count: usize,
    pub(crate) first_observed_date: Option<NaiveDate>,
    pub(crate) last_observed_date: Option<NaiveDate>,
    pub(crate) sources: String,
    pub(crate) data_quality_score: f64,
}

/// Returns a row per keyword and horizon that says what is known and, for all of them, why nothing is predicted.
pub(crate) fn abstain(
    target: Target,
    keyword_ids: &[i64],
    histories: &[History],
    as_of: DateTime<Utc>,
    reason: &str,
) -> Vec<Prediction> {
    let histories: BTreeMap<i64, &History> = histories.iter().map(|history| (history.keyword_id, history)).collect();
    let rows = keyword_ids.iter().flat_map(|&keyword_id| {
        let mut blank = blank(target, as_of, keyword_id, histories.get(&keyword_id).copied(), OBSERVED_WEEKS_MIN);
        blank.abstain_reason = Some(reason.to_owned());
        (1..=HORIZON_COUNT).map(move |horizon| at_horizon(&blank, horizon))
    });
    rows.collect()
}

/// Everything that a prediction is made of.
pub(crate) struct Predictor<'a> {
    pub(crate) target: Target,
    pub(crate) panel: &'a Panel,
    pub(crate) fitted: &'a Fitted,
    pub(crate) as_of: DateTime<Utc>,
}

impl Predictor<'_> {
    /// Returns a row per keyword and horizon.
    pub(crate) fn predict(&self, keyword_ids: &[i64], histories: &[History]) -> Vec<Prediction> {
        let histories: BTreeMap<i64, &History> =
            histories.iter().map(|history| (history.keyword_id, history)).collect();
        // Rows follow the weeks of a keyword, so the one that stays is the last.
        let last_rows: BTreeMap<i64, usize> = self
            .panel
            .rows
            .iter()
            .enumerate()
            .map(|(row, at)| (self.panel.series[at.series].keyword_id, row))
            .collect();
        let predict = |&keyword_id: &i64| {
            let history = histories.get(&keyword_id).copied();
            let blank = blank(self.target, self.as_of, keyword_id, history, self.fitted.model.observed_min());
            match (last_rows.get(&keyword_id), history) {
                (Some(&row), Some(history)) if blank.abstain_reason.is_none() => self.fill(&blank, row, history),
                _ => (1..=HORIZON_COUNT).map(|horizon| at_horizon(&blank, horizon)).collect(),
            }
        };
        keyword_ids.par_iter().flat_map_iter(predict).collect()
    }

    /// Predicts every horizon from the last row of a keyword.
    fn fill(&self, blank: &Prediction, row: usize, history: &History) -> Vec<Prediction> {
        let answer = self.fitted.model.predict(self.panel, row);
        let baseline = SeasonalNaive.predict(self.panel, row);
        let recent = &history.weeks[history.weeks.len().saturating_sub(RECENT)..];
        let recent_mean = recent.iter().map(|week| week.value).sum::<f64>() / recent.len() as f64;
        let mut told = blank.clone();
        if self.target != Target::CompetitionScore {
            told.direction = answer.direction.or_else(|| self.direction(&answer, row));
            self.describe(&mut told, row);
        }
        let predict = |horizon: usize| {
            let value = self.target.to_unit(answer.points[horizon - 1]);
            let mut prediction = at_horizon(&told, horizon);
            prediction.value = Some(value);
            prediction.baseline_value = Some(self.target.to_unit(baseline.points[horizon - 1]));
            prediction.error_scale = Some(self.panel.rows[row].scale);
            if self.target == Target::CompetitionScore {
                prediction.competition_level = Some(competition::level(value));
            } else {
                prediction.trend_class = Some(self.target.trend_class(recent_mean, value));
            }
            if let Some(ends) = self.fitted.intervals.of(&answer, horizon, self.panel.rows[row].scale) {
                let mut ends = [ends.lo_95, ends.lo_80, ends.hi_80, ends.hi_95].map(|end| self.target.to_unit(end));
                // The most demand is the lowest rank: the ends of its interval change places.
                if self.target.is_reversed() {
                    ends.reverse();
                }
                [prediction.lo_95, prediction.lo_80, prediction.hi_80, prediction.hi_95] = ends.map(Some);
            }
            prediction
        };
        (1..=HORIZON_COUNT).map(predict).collect()
    }

    /// Tells how probable each direction is by what the model missed in its backtest; the models' scale is logarithmic.
    fn direction(&self, answer: &Answer, row: usize) -> Option<Probabilities> {
        let at = &self.panel.rows[row];
        let known = &self.panel.series[at.series].values[..=at.position];
        let level = statistics::mean(&known[known.len().saturating_sub(RECENT)..]);
        let bounds = (level + (1.0 - STABLE_SHARE).ln(), level + (1.0 + STABLE_SHARE).ln());
        let directions = self.fitted.directions.as_ref()?;
        Some(directions.around(statistics::mean(&answer.points), at.scale, bounds))
    }

    /// Says what kind of series a row is the end of.
    fn describe(&self, prediction: &mut Prediction, row: usize) {
        let at = &self.panel.rows[row];
        let values = &self.panel.series[at.series].values[..=at.position];
        let demand: Vec<f64> = values.iter().map(|&value| self.target.demand(value)).collect();
        let Some(described) = description::describe(&demand, YEAR_WEEKS) else { return };
        prediction.demand_pattern = Some(described.pattern.name());
        prediction.season_strength = described.season_strength;
        prediction.next_peak_date = described.steps_until_peak.map(|steps| sunday_of(at.week + steps as i32));
    }
}

/// Says what is known of a keyword, and why nothing can be predicted where that is so; its week is the last one.
fn blank(
    target: Target,
    as_of: DateTime<Utc>,
    keyword_id: i64,
    history: Option<&History>,
    observed_min: usize,
) -> Prediction {
    let weeks = history.map_or(&[][..], |history| &history.weeks);
    let carrying = weeks.chunk_by(|a, b| b.week - a.week - 1 <= series::BRIDGED_WEEKS_MAX).last().unwrap_or(&[]);
    let as_of_week = week_of(as_of.date_naive());
    let last_full_week = week_of(last_full_week_start(as_of));
    let abstain_reason = match carrying.last() {
        None => Some(format!("no week was observed{}", beyond_since(history, i32::MIN))),
        Some(last) if as_of_week - last.week > AGE_WEEKS_MAX => {
            let beyond_since = beyond_since(history, last.week);
            Some(format!("the last observed week is older than {AGE_WEEKS_MAX} weeks{beyond_since}"))
        }
        Some(_) if carrying.len() < observed_min => {
            Some(format!("fewer than {observed_min} weeks were observed without a long gap"))
        }
        Some(_) => None,
    };
    let is_demand = target != Target::CompetitionScore;
    Prediction {
        keyword_id,
        horizon: 0,
        target_date: sunday_of(carrying.last().map_or(last_full_week, |last| last.week)),
        current_value: carrying.last().map(|last| last.value),
        value: None,
        lo_80: None,
        hi_80: None,
        lo_95: None,
        hi_95: None,
        baseline_value: None,
        error_scale: None,
        trend_class: is_demand.then_some("unknown"),
        direction: None,
        demand_pattern: None,
        season_strength: None,
        next_peak_date: None,
        competition_level: None,
        abstain_reason,
        observation_count: carrying.len(),
        first_observed_date: carrying.first().map(|first| sunday_of(first.week)),
        last_observed_date: carrying.last().map(|last| sunday_of(last.week)),
        sources: history.map_or_else(String::new, |history| history.sources.join(",")),
        data_quality_score: data_quality(history, last_full_week),
    }
}

/// Says since when a keyword is beyond the end of the marketplace's list; nothing where it was not after a week.
fn beyond_since(history: Option<&History>, week: i32) -> String {
    let since = history.and_then(|history| history.beyond.keys().find(|beyond| **beyond > week));
    since.map_or_else(String::new, |since| {
        format!(": beyond the end of the marketplace's list since the week of {}", sunday_of(*since))
    })
}

fn at_horizon(blank: &Prediction, horizon: usize) -> Prediction {
    let mut prediction = blank.clone();
    prediction.horizon = horizon;
    prediction.target_date = sunday_of(week_of(blank.target_date) + horizon as i32);
    prediction
}

/// Returns the share of the weeks since the first, over at most two years, that were observed.
fn data_quality(history: Option<&History>, last_full_week: i32) -> f64 {
    let weeks = history.map_or(&[][..], |history| &history.weeks);
    let (Some(first), Some(last)) = (weeks.first(), weeks.last()) else { return 0.0 };
    let until = last.week.max(last_full_week);
    let since = first.week.max(until - QUALITY_WEEKS_MAX + 1);
    let observed_count = weeks.iter().filter(|week| week.week >= since).count();
    observed_count as f64 / f64::from(until - since + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::direction::Directions;
    use crate::intervals::Intervals;
    use crate::models::{Combination, LastValue};
    use crate::series::series_of;
    use crate::synthetic;

    /// Predicts with intervals of one to two mean changes, at noon of the Wednesday after the last week.
    fn predict(histories: &[History], target: Target, keyword_ids: &[i64], weeks_later: i32) -> Vec<Prediction> {
        predict_by(Box::new(LastValue), histories, target, keyword_ids, weeks_later)
    }

    fn predict_by(
        model: Box<dyn Model>,
        histories: &[History],
        target: Target,
        keyword_ids: &[i64],
        weeks_later: i32,
    ) -> Vec<Prediction> {
        let panel = Panel::build(series_of(histories, target), &[]).unwrap();
        let residuals = std::array::from_fn(|_| (-20..=20).map(|step| f64::from(step) / 10.0).collect());
        let intervals = Intervals::from_residuals(&residuals);
        let sunday = sunday_of(2_800 + 60 + weeks_later);
        let as_of = (sunday + chrono::Days::new(3)).and_hms_opt(12, 0, 0).unwrap().and_utc();
        let directions = Some(Directions::of((-20..=20).map(|step| f64::from(step) / 10.0).collect()));
        let fitted = Fitted { model, intervals, directions };
        Predictor { target, panel: &panel, fitted: &fitted, as_of }.predict(keyword_ids, histories)
    }

    #[test]
    fn every_keyword_has_a_row_per_horizon_and_a_reason_where_there_is_no_prediction() {
        let mut histories = synthetic::counts(41, 5, 60);
        histories[1].weeks.truncate(50);
        histories[2].weeks.drain(..53);
        histories[3].weeks.truncate(50);
        histories[3].beyond = BTreeMap::from([(2_810, None), (2_852, None), (2_853, None)]);
        histories[4].weeks.clear();
        histories[4].beyond = BTreeMap::from([(2_858, Some(9.0))]);
        let rows = predict(&histories, Target::AuctionBids, &[1, 2, 3, 9, 4, 5], 0);
        assert_eq!(rows.len(), 6 * HORIZON_COUNT);
        let reason = |keyword: usize| rows[keyword * HORIZON_COUNT].abstain_reason.as_deref();
        assert_eq!(reason(0), None);
        assert_eq!(reason(1), Some("the last observed week is older than 4 weeks"));
        assert_eq!(reason(2), Some("fewer than 8 weeks were observed without a long gap"));
        assert_eq!(reason(3), Some("no week was observed"));
        let since = |reason: &str, week: i32| {
            format!("{reason}: beyond the end of the marketplace's list since the week of {}", sunday_of(week))
        };
        assert_eq!(reason(4), Some(&since("the last observed week is older than 4 weeks", 2_852)[..]));
        assert_eq!(reason(5), Some(&since("no week was observed", 2_858)[..]));
        assert!(rows.iter().all(|row| row.abstain_reason.is_some() == row.value.is_none()));
        assert_eq!(rows[0].target_date, sunday_of(2_800 + 60));
        assert_eq!(rows[1].trend_class.map(|_| rows[HORIZON_COUNT].trend_class), Some(Some("unknown")));
    }

    #[test]
    fn the_combination_speaks_of_the_young() {
        let mut histories = synthetic::counts(45, 2, 60);
        histories[0].weeks.drain(..56);
        histories[1].weeks.drain(..57);
        let rows = predict_by(Box::<Combination>::default(), &histories, Target::AuctionBids, &[1, 2], 0);
        assert!(rows[..HORIZON_COUNT].iter().all(|row| row.value.is_some()));
        let reason = rows[HORIZON_COUNT].abstain_reason.as_deref();
        assert_eq!(reason, Some("fewer than 4 weeks were observed without a long gap"));
    }

    #[test]
    fn intervals_lie_in_order_and_in_range_for_a_rank_and_a_count() {
        let mut histories = synthetic::counts(42, 6, 60);
        // Close to the best rank and to no bid at all, where the range ends.
        histories[5].weeks.iter_mut().for_each(|week| week.value = (week.value / 1e3).max(1.0));
        for (target, least) in [(Target::SearchFrequencyRank, 1.0), (Target::AuctionBids, 0.0)] {
            for row in predict(&histories, target, &[1, 2, 3, 4, 5, 6], 0) {
                let ends = [row.lo_95, row.lo_80, row.value, row.hi_80, row.hi_95].map(Option::unwrap);
                assert!(ends[0] >= least && ends.is_sorted(), "{target:?}: {ends:?}");
            }
        }
    }

    #[test]
    fn a_direction_is_as_probable_as_misses_that_would_lead_there() {
        let mut histories = synthetic::counts(44, 3, 60);
        // What stays as it is after a rise that is over lies far above the last four weeks, and the other way round.
        for (history, factor) in histories.iter_mut().zip([1.0, 5.0, 0.2]) {
            history.weeks.iter_mut().for_each(|week| week.value = 1_000.0 + f64::from(week.week % 2));
            history.weeks.last_mut().unwrap().value *= factor;
        }
        let rows = predict(&histories, Target::AuctionBids, &[1, 2, 3], 0);
        let told = |keyword: usize| rows[keyword * HORIZON_COUNT].direction.unwrap();
        assert!(told(0).stable > 0.9 && told(1).rising > 0.9 && told(2).falling > 0.9, "{:?}", told(1));
        for direction in (0..3).map(told) {
            assert!((direction.falling + direction.stable + direction.rising - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn missing_weeks_lower_the_data_quality() {
        let mut histories = synthetic::counts(43, 2, 60);
        histories[1].weeks.retain(|week| week.week % 2 == 0);
        let rows = predict(&histories, Target::AuctionBids, &[1, 2], 0);
        assert_eq!(rows[0].data_quality_score, 1.0);
        assert!((rows[HORIZON_COUNT].data_quality_score - 0.5).abs() < 0.01);
        let later = predict(&histories, Target::AuctionBids, &[1], 20);
        assert!((later[0].data_quality_score - 60.0 / 80.0).abs() < 1e-9);
    }
}
