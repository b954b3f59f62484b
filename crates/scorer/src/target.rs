//! What is predicted: the metric of each marketplace, and the scale on which models work.
//!
//! A model never sees a metric's own unit. It sees a value that grows with demand (or competition) and whose changes
//! mean the same at every size: the negative logarithm of a rank, the logarithm of a count, the logit of a score.

use std::fmt;
use std::str::FromStr;

use digitallz_common::marketplace::Marketplace;
use serde::Serialize;

use crate::forecasting::direction::STABLE_SHARE;

/// The two models that each marketplace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelName {
    /// How much a keyword is wanted.
    Demand,
    /// How hard it is to be seen for it.
    Competition,
}

impl ModelName {
    /// Both, in the order in which they are trained.
    pub const ALL: [ModelName; 2] = [ModelName::Demand, ModelName::Competition];

    /// Returns the name used in tables, as `model_name` and as `target_kind`.
    pub fn name(self) -> &'static str {
        match self {
            ModelName::Demand => "demand",
            ModelName::Competition => "competition",
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is that of no model.
#[derive(Debug, thiserror::Error)]
#[error("unknown model '{0}', expected one of: demand, competition")]
pub struct UnknownModel(String);

impl FromStr for ModelName {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<ModelName, UnknownModel> {
        let named = ModelName::ALL.into_iter().find(|model_name| model_name.name() == text);
        named.ok_or_else(|| UnknownModel(text.to_owned()))
    }
}

/// A metric that is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Amazon's demand: a rank, 1 is the most wanted.
    SearchFrequencyRank,
    /// Etsy's demand: views gained per listing and week.
    ListingViewsPerWeek,
    /// eBay's demand: bids on the auctions of the page.
    AuctionBids,
    /// The competition score of every marketplace, 0 to 1.
    CompetitionScore,
}

/// Scores are kept this far from 0 and 1, where the logit has no value.
const SCORE_MARGIN: f64 = 0.01;

impl Target {
    /// Returns what a model predicts at a marketplace.
    pub fn of(model_name: ModelName, marketplace: Marketplace) -> Target {
        match (model_name, marketplace) {
            (ModelName::Competition, _) => Target::CompetitionScore,
            (ModelName::Demand, Marketplace::Amazon) => Target::SearchFrequencyRank,
            (ModelName::Demand, Marketplace::Etsy) => Target::ListingViewsPerWeek,
            (ModelName::Demand, Marketplace::Ebay) => Target::AuctionBids,
        }
    }

    /// Returns the name of the metric.
    pub fn metric(self) -> &'static str {
        match self {
            Target::SearchFrequencyRank => "search_frequency_rank",
            Target::ListingViewsPerWeek => "listing_views_per_week",
            Target::AuctionBids => "auction_bids",
            Target::CompetitionScore => "competition_score",
        }
    }

    /// Returns the unit of the metric.
    pub fn unit(self) -> &'static str {
        match self {
            Target::SearchFrequencyRank => "rank",
            Target::ListingViewsPerWeek => "views per listing and week",
            Target::AuctionBids => "bids",
            Target::CompetitionScore => "score",
        }
    }

    /// Brings a value of the metric to the models' scale.
    pub fn to_model_scale(self, value: f64) -> f64 {
        match self {
            Target::SearchFrequencyRank => -value.max(1.0).ln(),
            Target::ListingViewsPerWeek | Target::AuctionBids => value.max(0.0).ln_1p(),
            Target::CompetitionScore => {
                let share = value.clamp(SCORE_MARGIN, 1.0 - SCORE_MARGIN);
                (share / (1.0 - share)).ln()
            }
        }
    }

    /// Brings a value of the models' scale back into the metric's unit and range.
    pub fn to_unit(self, model_value: f64) -> f64 {
        // Beyond e^40 a value means nothing; the bound keeps the exponential finite.
        let bounded = model_value.clamp(-40.0, 40.0);
        match self {
            Target::SearchFrequencyRank => (-bounded).exp().max(1.0),
            Target::ListingViewsPerWeek | Target::AuctionBids => bounded.exp_m1().max(0.0),
            Target::CompetitionScore => (1.0 / (1.0 + (-bounded).exp())).clamp(0.0, 1.0),
        }
    }

    /// Returns how much is wanted at a value of the models' scale, in proportion: the inverse of a rank, and else the value.
    pub fn demand(self, model_value: f64) -> f64 {
        if self.is_reversed() { model_value.exp() } else { self.to_unit(model_value) }
    }

    /// Tells whether a larger value of the metric is a smaller value on the models' scale.
    pub fn is_reversed(self) -> bool {
        self == Target::SearchFrequencyRank
    }

    /// Names the direction of demand from the mean of the last weeks to the predicted value, both in the metric's unit.
    ///
    /// Demand goes with the inverse of a rank: a rank that falls by a tenth is rising demand.
    pub fn trend_class(self, recent_mean: f64, predicted: f64) -> &'static str {
        let (before, after) = if self.is_reversed() { (predicted, recent_mean) } else { (recent_mean, predicted) };
        if after > before * (1.0 + STABLE_SHARE) {
            "rising"
        } else if after < before * (1.0 - STABLE_SHARE) {
            "falling"
        } else {
            "stable"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Target; 4] =
        [Target::SearchFrequencyRank, Target::ListingViewsPerWeek, Target::AuctionBids, Target::CompetitionScore];

    #[test]
    fn a_value_comes_back_from_the_model_scale() {
        for (target, value) in ALL.into_iter().zip([1234.0, 56.5, 7.0, 0.4]) {
            let back = target.to_unit(target.to_model_scale(value));
            assert!((back - value).abs() < 1e-9 * value, "{target:?}: {value} came back as {back}");
        }
    }

    #[test]
    fn no_value_leaves_the_range_of_its_metric() {
        for model_value in [-1e9, -3.0, 0.0, 3.0, 1e9] {
            assert!(Target::SearchFrequencyRank.to_unit(model_value) >= 1.0);
            assert!(Target::AuctionBids.to_unit(model_value) >= 0.0);
            assert!((0.0..=1.0).contains(&Target::CompetitionScore.to_unit(model_value)));
        }
    }

    #[test]
    fn a_rank_that_falls_is_rising_demand() {
        assert_eq!(Target::SearchFrequencyRank.trend_class(1000.0, 900.0), "rising");
        assert_eq!(Target::SearchFrequencyRank.trend_class(1000.0, 1000.0), "stable");
        assert_eq!(Target::SearchFrequencyRank.trend_class(1000.0, 1200.0), "falling");
        assert_eq!(Target::AuctionBids.trend_class(100.0, 111.0), "rising");
        assert_eq!(Target::AuctionBids.trend_class(100.0, 109.0), "stable");
        assert_eq!(Target::AuctionBids.trend_class(100.0, 89.0), "falling");
    }
}
