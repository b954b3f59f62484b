//! The market around a keyword: what stands beside its competition score without being a part of it.

use std::collections::BTreeMap;

use digitallz_common::marketplace::Marketplace;

use crate::series::{History, MeasuredWeek, week_of};
use crate::target::{ModelName, Target};

const RESULT_COUNT: &str = "result_count";
const PRICE_LOWER_QUARTILE: &str = "price_lower_quartile";
const PRICE_MEDIAN: &str = "price_median";
const PRICE_UPPER_QUARTILE: &str = "price_upper_quartile";
const NEW_LISTING_SHARE: &str = "new_listing_share";

/// The metrics that a market is read from, beside demand.
pub const METRICS: [&str; 5] =
    [RESULT_COUNT, PRICE_LOWER_QUARTILE, PRICE_MEDIAN, PRICE_UPPER_QUARTILE, NEW_LISTING_SHARE];

/// What is known of the market in a week, in the order of [`WeekValue::beside`](crate::series::WeekValue::beside).
pub const NAMES: [&str; 4] = ["price", "price_spread", "new_listing_share", "supply_to_demand"];

/// Place in [`NAMES`] of what depends on the currency: its changes can be compared between keywords, its level cannot.
pub const PRICE: usize = 0;

/// Demand is taken to be known a week later: reports come when they come.
const DEMAND_KNOWN_AFTER_WEEKS: i32 = 1;

/// Adds the market of each week to histories of competition.
///
/// `price` is the logarithm of the median price, `price_spread` that of the upper quartile over the lower one,
/// `new_listing_share` the share of the page that was listed within 30 days, and `supply_to_demand` the logarithm of the number
/// of listings less the demand of the week before on the scale of its models, which is logarithmic too. What is not known is
/// no number.
pub fn add(histories: &mut [History], marketplace: Marketplace, measured: &[MeasuredWeek], demand: &[History]) {
    let target = Target::of(ModelName::Demand, marketplace);
    let demand: BTreeMap<(i64, i32), f64> = demand
        .iter()
        .flat_map(|history| history.weeks.iter().map(|week| ((history.keyword_id, week.week), week.value)))
        .collect();
    let measured: BTreeMap<(i64, i32), &MeasuredWeek> =
        measured.iter().map(|week| ((week.keyword_id, week_of(week.week_start_date)), week)).collect();
    for history in histories {
        for week in &mut history.weeks {
            let at = measured.get(&(history.keyword_id, week.week));
            let value = |metric: &str| {
                let measure = at.and_then(|at| at.measures.iter().find(|measure| measure.metric == metric));
                measure.map_or(f64::NAN, |measure| measure.value)
            };
            let logarithm = |metric: &str| Some(value(metric)).filter(|value| *value > 0.0).map_or(f64::NAN, f64::ln);
            let demanded = demand.get(&(history.keyword_id, week.week - DEMAND_KNOWN_AFTER_WEEKS));
            week.beside = vec![
                logarithm(PRICE_MEDIAN),
                logarithm(PRICE_UPPER_QUARTILE) - logarithm(PRICE_LOWER_QUARTILE),
                value(NEW_LISTING_SHARE),
                value(RESULT_COUNT).ln_1p() - demanded.map_or(f64::NAN, |value| target.to_model_scale(*value)),
            ];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Measure, WeekValue, sunday_of};

    fn history(weeks: &[(i32, f64)]) -> History {
        let value = |&(week, value): &(i32, f64)| WeekValue { week, value, components: vec![], beside: vec![] };
        History { keyword_id: 1, weeks: weeks.iter().map(value).collect(), beyond: BTreeMap::new(), sources: vec![] }
    }

    #[test]
    fn a_market_is_what_the_week_showed_and_the_demand_of_the_week_before() {
        let measure = |(metric, value): (&str, f64)| Measure { metric: metric.to_owned(), value, source: None };
        let measured = [MeasuredWeek {
            keyword_id: 1,
            week_start_date: sunday_of(20),
            measures: [
                (RESULT_COUNT, 999.0),
                (PRICE_LOWER_QUARTILE, 10.0),
                (PRICE_MEDIAN, 15.0),
                (PRICE_UPPER_QUARTILE, 20.0),
            ]
            .map(measure)
            .to_vec(),
        }];
        let mut scores = [history(&[(20, 0.5), (21, 0.5)])];
        add(&mut scores, Marketplace::Amazon, &measured, &[history(&[(19, 50.0), (20, 7.0)])]);
        let [price, spread, new_listings, supply] = scores[0].weeks[0].beside[..] else { panic!("not four") };
        assert_eq!((price, spread), (15.0_f64.ln(), 20.0_f64.ln() - 10.0_f64.ln()));
        assert!(new_listings.is_nan(), "nobody said when anything was listed");
        assert_eq!(supply, 1000.0_f64.ln() + 50.0_f64.ln(), "the demand of a rank is the inverse of it");
        assert!(scores[0].weeks[1].beside.iter().all(|value| value.is_nan()), "the week was not measured");
    }
}
