//! The published competition score: an additive formula over what a search results page shows.
//!
//! Each component is brought to 0..1 between two published bounds and multiplied by its published weight; the score is
//! the sum. It describes a week; it does not claim to predict anything. Its definitions are rows of
//! `ml.score_definitions`; every one of them is computed, so that versions can be compared before the current one changes.

use std::collections::BTreeMap;

use digitallz_common::marketplace::Marketplace;
use digitallz_common::observation::Metric;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

/// The version that weekly forecasts are made of, and the current one until another is chosen.
pub const SCORE_VERSION: &str = "competition_v1";

/// The version that also counts how newcomers fared.
pub const ENTRY_SCORE_VERSION: &str = "competition_v2";

/// Name of a measure: the part of the newcomers of eight to four weeks ago that came up since.
pub const ENTRY_SUCCESS: &str = "entry_success";

/// Name of a measure: the part of the page's listings that were not on it four weeks before.
pub const PAGE_TURNOVER: &str = "page_turnover";

/// The names that components may have: each is a column of `analytics.competition_components_v1`.
pub const COMPONENT_NAMES: [&str; 7] =
    ["supply", "incumbents", "concentration", "relevance", "promoted", "entry", "stability"];

/// The levels, the easiest first.
pub const LEVELS: [&str; 3] = ["low", "medium", "high"];

/// A third and two thirds, where Google Ads cuts its competition index.
const CUTS: [f64; 2] = [1.0 / 3.0, 2.0 / 3.0];

/// Why a definition cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// It is not of the published form.
    #[error("the definition '{0}' cannot be read")]
    Form(String, #[source] serde_json::Error),
    /// It says something that no score can be made of.
    #[error("the definition '{0}' is refused: {1}")]
    Refused(String, String),
}

/// One part of the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// What it stands for.
    pub name: String,
    /// The metric it is read from.
    pub metric: String,
    /// Unit of the metric.
    pub unit: String,
    /// Its part of the score; a marketplace's weights add up to 1 and are fractions of 16, so that they do so exactly.
    pub weight: f64,
    /// How the metric grows between the bounds.
    pub scale: Scale,
    /// The value that counts 0.
    #[serde(rename = "value_of_0")]
    pub easy: f64,
    /// The value that counts 1; below `easy` where a smaller value means more competition.
    #[serde(rename = "value_of_1")]
    pub hard: f64,
}

/// How a metric is brought to 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// In proportion to the value.
    #[serde(rename = "value")]
    Linear,
    /// In proportion to the logarithm of 1 + the value.
    #[serde(rename = "ln(1 + value)")]
    Logarithmic,
}

/// A definition as it is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// How the score is computed, in words.
    pub formula: String,
    /// Contributions are multiples of this.
    pub contribution_step: String,
    /// What becomes of a week that lacks a component.
    pub missing_component: String,
    /// The scores from which a level is medium and high.
    #[serde(default = "default_cuts")]
    pub level_cuts: [f64; 2],
    /// The components of each marketplace, in the order in which they are added up.
    pub components: BTreeMap<String, Vec<Component>>,
}

fn default_cuts() -> [f64; 2] {
    CUTS
}

/// A definition with the name under which it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its name.
    pub score_version: String,
    /// True for the version that `analytics.keyword_data_v1` shows.
    pub is_current: bool,
    /// What it says.
    pub definition: Definition,
}

/// The score of a keyword in a week.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// 0 (easy) to 1 (hard).
    pub score: f64,
    /// What each component adds, in the order of the definition; together they are exactly the score.
    pub contributions: Vec<f64>,
    /// Each component between 0 and 1, before its weight.
    pub levels: Vec<f64>,
}

/// Computes the score from one value per component. A missing value gives no score: nothing stands in for it.
pub fn score(components: &[Component], values: &[Option<f64>]) -> Option<Score> {
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
    level_by(&CUTS, score)
}

fn level_by(cuts: &[f64; 2], score: f64) -> &'static str {
    LEVELS[cuts.iter().filter(|cut| score >= **cut).count()]
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

impl Definition {
    /// Returns the components of a marketplace, in the order in which they are added up.
    pub fn components(&self, marketplace: Marketplace) -> &[Component] {
        self.components.get(marketplace.name()).map_or(&[], Vec::as_slice)
    }

    /// Names the level of a score.
    pub fn level(&self, score: f64) -> &'static str {
        level_by(&self.level_cuts, score)
    }

    /// Refuses a definition whose contributions would not add up to a score from 0 to 1.
    pub fn check(&self, score_version: &str) -> Result<(), DefinitionError> {
        let refused = |why: String| Err(DefinitionError::Refused(score_version.to_owned(), why));
        let [medium, high] = self.level_cuts;
        if !(0.0 < medium && medium < high && high < 1.0) {
            return refused("the cuts between levels must grow and lie between 0 and 1".to_owned());
        }
        for (marketplace, components) in &self.components {
            let weights: f64 = components.iter().map(|component| component.weight).sum();
            if weights != 1.0 || components.iter().any(|part| part.weight < 0.0 || (16.0 * part.weight).fract() != 0.0)
            {
                return refused(format!("the weights of {marketplace} must be fractions of 16 that add up to 1"));
            }
            for (place, component) in components.iter().enumerate() {
                let name = component.name.as_str();
                if !COMPONENT_NAMES.contains(&name) {
                    return refused(format!("no component is named {name}, only {}", COMPONENT_NAMES.join(", ")));
                }
                if components[..place].iter().any(|before| before.name == name) {
                    return refused(format!("{marketplace} has {name} twice"));
                }
                if component.easy == component.hard {
                    return refused(format!("the bounds of {name} must differ"));
                }
            }
        }
        Ok(())
    }

    fn of(components: impl Fn(Marketplace) -> Vec<Component>) -> Definition {
        Definition {
            formula: "sum over the components of weight * clamp((scale(value) - scale(value_of_0)) / (scale(value_of_1) - scale(value_of_0)), 0, 1)".to_owned(),
            contribution_step: "2^-14".to_owned(),
            missing_component: "no score for the week".to_owned(),
            level_cuts: CUTS,
            components: Marketplace::ALL.map(|marketplace| (marketplace.name().to_owned(), components(marketplace))).into(),
        }
    }

    /// Returns the first version: what one page of search results shows.
    pub fn first() -> Definition {
        Definition::of(|marketplace| {
            let mut parts = vec![supply(marketplace, 0.375)];
            parts.push(incumbents(marketplace, if marketplace == Marketplace::Ebay { 0.25 } else { 0.375 }));
            parts.push(concentration());
            parts.push(observed("relevance", Metric::TitleMatchShare, 0.125, Scale::Linear, 0.0, 1.0));
            if marketplace == Marketplace::Ebay {
                parts.push(observed("promoted", Metric::PromotedShare, 0.125, Scale::Linear, 0.0, 0.5));
            }
            parts
        })
    }

    /// Returns the second version: how newcomers fared in the last eight weeks weighs most.
    pub fn second() -> Definition {
        Definition::of(|marketplace| {
            let derived = |name: &str, metric: &str, weight, easy| Component {
                name: name.to_owned(),
                metric: metric.to_owned(),
                unit: "share".to_owned(),
                weight,
                scale: Scale::Linear,
                easy,
                hard: 0.0,
            };
            vec![
                derived("entry", ENTRY_SUCCESS, 0.375, 0.5),
                supply(marketplace, 0.1875),
                incumbents(marketplace, 0.1875),
                concentration(),
                derived("stability", PAGE_TURNOVER, 0.125, 1.0),
            ]
        })
    }
}

fn supply(marketplace: Marketplace, weight: f64) -> Component {
    let (easy, hard) = if marketplace == Marketplace::Amazon { (300.0, 100_000.0) } else { (500.0, 500_000.0) };
    observed("supply", Metric::ResultCount, weight, Scale::Logarithmic, easy, hard)
}

fn incumbents(marketplace: Marketplace, weight: f64) -> Component {
    let (metric, easy, hard) = match marketplace {
        Marketplace::Amazon => (Metric::SalesRankMedian, 300_000.0, 300.0),
        Marketplace::Etsy => (Metric::FavoriteMedian, 5.0, 5_000.0),
        Marketplace::Ebay => (Metric::SellerFeedbackMedian, 50.0, 50_000.0),
    };
    observed("incumbents", metric, weight, Scale::Logarithmic, easy, hard)
}

fn concentration() -> Component {
    observed("concentration", Metric::SellerConcentration, 0.125, Scale::Linear, 0.02, 0.25)
}

fn observed(name: &str, metric: Metric, weight: f64, scale: Scale, easy: f64, hard: f64) -> Component {
    Component {
        name: name.to_owned(),
        metric: metric.name().to_owned(),
        unit: metric.unit().to_owned(),
        weight,
        scale,
        easy,
        hard,
    }
}

/// Publishes the definitions of this program; a version that is published already stays as it is, and so does the choice
/// of the current one.
pub async fn publish_definitions(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const FIRST: &str = "How hard it is to be seen for a keyword, 0 to 1: supply, strength of incumbents, concentration \
                         of sellers, titles that match, and promoted positions where the marketplace shows them. It \
                         describes a week.";
    const SECOND: &str = "How hard it is to come up for a keyword, 0 to 1: how few of the newcomers of the last eight \
                          weeks did, supply, strength of incumbents, concentration of sellers, and how little the page \
                          changed. It describes a week and the eight before it.";
    add_definition(connection, SCORE_VERSION, &Definition::first(), FIRST).await?;
    add_definition(connection, ENTRY_SCORE_VERSION, &Definition::second(), SECOND).await?;
    sqlx::query!(
        "update ml.score_definitions set is_current = true
         where score_version = $1 and not exists (select from ml.score_definitions where is_current)",
        SCORE_VERSION,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a definition under a new name and says whether the name was free.
pub async fn add_definition(
    connection: &mut PgConnection,
    score_version: &str,
    definition: &Definition,
    description: &str,
) -> Result<bool, sqlx::Error> {
    let added = sqlx::query!(
        "insert into ml.score_definitions (score_version, definition, description) values ($1, $2, $3)
         on conflict (score_version) do nothing",
        score_version,
        Json(definition) as _,
        description,
    )
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Returns every definition that is published, by name. One that no score can be made of is an error that names it.
pub async fn published(db: &PgPool) -> Result<Vec<Result<Published, DefinitionError>>, sqlx::Error> {
    let rows =
        sqlx::query!("select score_version, is_current, definition from ml.score_definitions order by score_version")
            .fetch_all(db)
            .await?;
    let read = rows.into_iter().map(|row| {
        let score_version = row.score_version;
        let definition: Definition = serde_json::from_value(row.definition)
            .map_err(|source| DefinitionError::Form(score_version.clone(), source))?;
        definition.check(&score_version)?;
        Ok(Published { score_version, is_current: row.is_current, definition })
    });
    Ok(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Dice;

    #[test]
    fn the_weights_of_each_marketplace_add_up_to_one() {
        for (name, definition) in [(SCORE_VERSION, Definition::first()), (ENTRY_SCORE_VERSION, Definition::second())] {
            definition.check(name).unwrap();
            assert_eq!(definition.components.len(), Marketplace::ALL.len());
        }
    }

    #[test]
    fn contributions_add_up_to_the_score_in_every_order() {
        let mut dice = Dice::new(7);
        for round in 0..3_000 {
            let marketplace = Marketplace::ALL[round % 3];
            let definition = if round % 2 == 0 { Definition::first() } else { Definition::second() };
            let components = definition.components(marketplace);
            let values: Vec<Option<f64>> = components
                .iter()
                .map(|component| Some(component.easy + (component.hard - component.easy) * (1.4 * dice.unit() - 0.2)))
                .collect();
            let score = score(components, &values).unwrap();
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
        let definition = Definition::first();
        let components = definition.components(Marketplace::Amazon);
        assert!(score(components, &values).is_some());
        values[2] = None;
        assert_eq!(score(components, &values), None);
    }

    #[test]
    fn a_better_sales_rank_is_more_competition() {
        let definition = Definition::first();
        let at = |rank| {
            let values = [Some(5_000.0), Some(rank), Some(0.1), Some(0.5)];
            score(definition.components(Marketplace::Amazon), &values).unwrap().score
        };
        assert!(at(500.0) > at(50_000.0));
    }

    #[test]
    fn the_cuts_between_levels_belong_to_the_upper_one() {
        assert_eq!([0.0, 1.0 / 3.0, 0.5, 2.0 / 3.0, 1.0].map(level), ["low", "medium", "medium", "high", "high"]);
    }

    #[test]
    fn newcomers_that_come_up_are_less_competition() {
        let definition = Definition::second();
        let at = |success| {
            let values = [Some(success), Some(5_000.0), Some(300.0), Some(0.1), Some(0.3)];
            score(definition.components(Marketplace::Etsy), &values).unwrap().score
        };
        assert!(at(0.05) > at(0.4));
    }

    #[test]
    fn a_definition_is_read_as_it_was_published() {
        for definition in [Definition::first(), Definition::second()] {
            let published = serde_json::to_value(&definition).unwrap();
            assert_eq!(serde_json::from_value::<Definition>(published).unwrap(), definition);
        }
        // As the first version was published before cuts were part of it.
        let mut published = serde_json::to_value(Definition::first()).unwrap();
        published.as_object_mut().unwrap().remove("level_cuts");
        published["levels"] = serde_json::json!({"low": "score < 1/3"});
        assert_eq!(serde_json::from_value::<Definition>(published).unwrap(), Definition::first());
    }

    #[test]
    fn a_definition_that_does_not_add_up_is_refused() {
        let refused = |change: fn(&mut Definition)| {
            let mut definition = Definition::second();
            change(&mut definition);
            definition.check("competition_v3").unwrap_err().to_string()
        };
        assert!(refused(|d| d.components.get_mut("etsy").unwrap()[0].weight = 0.5).contains("fractions of 16"));
        assert!(refused(|d| d.components.get_mut("etsy").unwrap()[0].name = "luck".into()).contains("named luck"));
        assert!(refused(|d| d.components.get_mut("ebay").unwrap()[1].name = "entry".into()).contains("entry twice"));
        assert!(refused(|d| d.components.get_mut("ebay").unwrap()[1].hard = 500.0).contains("bounds of supply"));
        assert!(refused(|d| d.level_cuts = [0.7, 0.3]).contains("cuts"));
    }
}
