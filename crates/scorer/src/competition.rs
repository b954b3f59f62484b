//! The published competition score: an additive formula over what a search results page shows.
//!
//! Each component is brought to 0..1 between two published bounds and multiplied by its published weight; the score is
//! the sum. It describes a week; it does not claim to predict anything.

use digitallz_common::marketplace::Marketplace;
use digitallz_common::observation::Metric;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Version of the definition; a change of any number below is a new version.
pub const SCORE_VERSION: &str = "competition_v1";

/// One part of the score.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// What it stands for.
    pub name: &'static str,
    /// The metric it is read from.
    pub metric: Metric,
    /// Its part of the score; a marketplace's weights add up to 1 and are fractions of 16, so that they do so exactly.
    pub weight: f64,
    /// How the metric grows between the bounds.
    pub scale: Scale,
    /// The value that counts 0.
    pub easy: f64,
    /// The value that counts 1; below `easy` where a smaller value means more competition.
    pub hard: f64,
}

/// How a metric is brought to 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// In proportion to the value.
    Linear,
    /// In proportion to the logarithm of 1 + the value.
    Logarithmic,
}

#[rustfmt::skip]
const AMAZON: &[Component] = &[
    Component { name: "supply",        metric: Metric::ResultCount,         weight: 0.375,  scale: Scale::Logarithmic, easy: 300.0,     hard: 100_000.0 },
    Component { name: "incumbents",    metric: Metric::SalesRankMedian,     weight: 0.375,  scale: Scale::Logarithmic, easy: 300_000.0, hard: 300.0 },
    Component { name: "concentration", metric: Metric::SellerConcentration, weight: 0.125,  scale: Scale::Linear,      easy: 0.02,      hard: 0.25 },
    Component { name: "relevance",     metric: Metric::TitleMatchShare,     weight: 0.125,  scale: Scale::Linear,      easy: 0.0,       hard: 1.0 },
];

#[rustfmt::skip]
const ETSY: &[Component] = &[
    Component { name: "supply",        metric: Metric::ResultCount,         weight: 0.375,  scale: Scale::Logarithmic, easy: 500.0,     hard: 500_000.0 },
    Component { name: "incumbents",    metric: Metric::FavoriteMedian,      weight: 0.375,  scale: Scale::Logarithmic, easy: 5.0,       hard: 5_000.0 },
    Component { name: "concentration", metric: Metric::SellerConcentration, weight: 0.125,  scale: Scale::Linear,      easy: 0.02,      hard: 0.25 },
    Component { name: "relevance",     metric: Metric::TitleMatchShare,     weight: 0.125,  scale: Scale::Linear,      easy: 0.0,       hard: 1.0 },
];

#[rustfmt::skip]
const EBAY: &[Component] = &[
    Component { name: "supply",        metric: Metric::ResultCount,          weight: 0.375,  scale: Scale::Logarithmic, easy: 500.0,    hard: 500_000.0 },
    Component { name: "incumbents",    metric: Metric::SellerFeedbackMedian, weight: 0.25,   scale: Scale::Logarithmic, easy: 50.0,     hard: 50_000.0 },
    Component { name: "concentration", metric: Metric::SellerConcentration,  weight: 0.125,  scale: Scale::Linear,      easy: 0.02,     hard: 0.25 },
    Component { name: "relevance",     metric: Metric::TitleMatchShare,      weight: 0.125,  scale: Scale::Linear,      easy: 0.0,      hard: 1.0 },
    Component { name: "promoted",      metric: Metric::PromotedShare,        weight: 0.125,  scale: Scale::Linear,      easy: 0.0,      hard: 0.5 },
];

/// Returns the components that a marketplace offers, in the order in which they are added up.
pub fn components(marketplace: Marketplace) -> &'static [Component] {
    match marketplace {
        Marketplace::Amazon => AMAZON,
        Marketplace::Etsy => ETSY,
        Marketplace::Ebay => EBAY,
    }
}

/// The score of a keyword in a week.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// 0 (easy) to 1 (hard).
    pub score: f64,
    /// What each component adds, in the order of [`components`]; together they are exactly the score.
    pub contributions: Vec<f64>,
    /// Each component between 0 and 1, before its weight.
    pub levels: Vec<f64>,
}

/// Computes the score from one value per component. A missing value gives no score: nothing stands in for it.
pub fn score(marketplace: Marketplace, values: &[Option<f64>]) -> Option<Score> {
    let components = components(marketplace);
    debug_assert_eq!(values.len(), components.len(), "one value per component");
    let mut levels = Vec::with_capacity(components.len());
    let mut contributions = Vec::with_capacity(components.len());
    for (component, value) in components.iter().zip(values) {
        let level = component.level((*value)?);
        levels.push(level);
        contributions.push(exact(component.weight * level));
    }
    Some(Score { score: contributions.iter().sum(), contributions, levels })
}

/// Names the level of a score, by the cuts that Google Ads uses for its competition index.
pub fn level(score: f64) -> &'static str {
    if score < 1.0 / 3.0 {
        "low"
    } else if score < 2.0 / 3.0 {
        "medium"
    } else {
        "high"
    }
}

impl Component {
    /// Brings a value to 0..1.
    fn level(&self, value: f64) -> f64 {
        let grown = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(0.0).ln_1p(),
        };
        ((grown(value) - grown(self.easy)) / (grown(self.hard) - grown(self.easy))).clamp(0.0, 1.0)
    }
}

/// Rounds to a multiple of 2^-14. Such numbers add up without any rounding, in every order, and have so few decimals
/// that Postgres casts them to `numeric` unchanged.
fn exact(contribution: f64) -> f64 {
    const STEPS: f64 = 16_384.0;
    (contribution * STEPS).round() / STEPS
}

/// Returns the definition as it is published, made of the very constants by which scores are computed.
pub fn definition() -> Value {
    let marketplaces = Marketplace::ALL.map(|marketplace| {
        let components: Vec<Value> = components(marketplace)
            .iter()
            .map(|component| {
                json!({
                    "name": component.name,
                    "metric": component.metric.name(),
                    "unit": component.metric.unit(),
                    "weight": component.weight,
                    "scale": match component.scale {
                        Scale::Linear => "value",
                        Scale::Logarithmic => "ln(1 + value)",
                    },
                    "value_of_0": component.easy,
                    "value_of_1": component.hard,
                })
            })
            .collect();
        (marketplace.name().to_owned(), Value::Array(components))
    });
    json!({
        "formula": "sum over the components of weight * clamp((scale(value) - scale(value_of_0)) / (scale(value_of_1) - scale(value_of_0)), 0, 1)",
        "contribution_step": "2^-14",
        "missing_component": "no score for the week",
        "levels": {"low": "score < 1/3", "medium": "1/3 <= score < 2/3", "high": "score >= 2/3"},
        "components": Value::Object(marketplaces.into_iter().collect()),
    })
}

/// Publishes the definition; a version that is published already stays as it is.
pub async fn publish_definition(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ml.score_definitions (score_version, definition, description) values ($1, $2, $3)
         on conflict (score_version) do nothing",
        SCORE_VERSION,
        definition(),
        "How hard it is to be seen for a keyword, 0 to 1: supply, strength of incumbents, concentration of sellers, \
         titles that match, and promoted positions where the marketplace shows them. It describes a week.",
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Dice;

    #[test]
    fn the_weights_of_each_marketplace_add_up_to_one() {
        for marketplace in Marketplace::ALL {
            let sum: f64 = components(marketplace).iter().map(|component| component.weight).sum();
            assert_eq!(sum, 1.0, "{marketplace}");
        }
    }

    #[test]
    fn contributions_add_up_to_the_score_in_every_order() {
        let mut dice = Dice::new(7);
        for round in 0..3_000 {
            let marketplace = Marketplace::ALL[round % 3];
            let values: Vec<Option<f64>> = components(marketplace)
                .iter()
                .map(|component| Some(component.easy + (component.hard - component.easy) * (1.4 * dice.unit() - 0.2)))
                .collect();
            let score = score(marketplace, &values).unwrap();
            assert!((0.0..=1.0).contains(&score.score));
            assert_eq!(score.contributions.iter().sum::<f64>(), score.score);
            assert_eq!(score.contributions.iter().rev().sum::<f64>(), score.score);
            let written = serde_json::to_string(&score.contributions).unwrap();
            assert_eq!(serde_json::from_str::<Vec<f64>>(&written).unwrap(), score.contributions);
        }
    }

    #[test]
    fn a_missing_component_gives_no_score() {
        let mut values = vec![Some(1_000.0), Some(2_000.0), Some(0.1), Some(0.5)];
        assert!(score(Marketplace::Amazon, &values).is_some());
        values[2] = None;
        assert_eq!(score(Marketplace::Amazon, &values), None);
    }

    #[test]
    fn a_better_sales_rank_is_more_competition() {
        let at = |rank| score(Marketplace::Amazon, &[Some(5_000.0), Some(rank), Some(0.1), Some(0.5)]).unwrap().score;
        assert!(at(500.0) > at(50_000.0));
    }

    #[test]
    fn the_cuts_between_levels_belong_to_the_upper_one() {
        assert_eq!([0.0, 1.0 / 3.0, 0.5, 2.0 / 3.0, 1.0].map(level), ["low", "medium", "medium", "high", "high"]);
    }

    #[test]
    fn every_component_is_published() {
        let definition = definition();
        for marketplace in Marketplace::ALL {
            let published = definition["components"][marketplace.name()].as_array().unwrap();
            assert_eq!(published.len(), components(marketplace).len());
        }
    }
}
