//! The counts the pretend eBay gives beside a result page: categories, conditions, buying options, aspects.

use serde::Serialize;
use url::form_urlencoded;

use crate::browse::{CATEGORIES, CONDITIONS, Groups, Search, first_category};
use crate::noise::{hash, smooth, unit};
use crate::words;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refinement {
    #[serde(skip_serializing_if = "Option::is_none")]
    aspect_distributions: Option<Vec<Aspect>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buying_option_distributions: Option<Vec<BuyingOption>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category_distributions: Option<Vec<CategoryCount>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition_distributions: Option<Vec<ConditionCount>>,
    dominant_category_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Aspect {
    localized_aspect_name: &'static str,
    aspect_value_distributions: Vec<AspectValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AspectValue {
    localized_aspect_value: String,
    match_count: u64,
    refinement_href: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuyingOption {
    buying_option: &'static str,
    match_count: u64,
    refinement_href: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CategoryCount {
    category_id: &'static str,
    category_name: &'static str,
    match_count: u64,
    refinement_href: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConditionCount {
    condition: &'static str,
    condition_id: &'static str,
    match_count: u64,
    refinement_href: String,
}

impl Search<'_> {
    /// Counts the matches by category, condition, buying option and aspect.
    pub(crate) fn refinement(&self, groups: Groups, total: u64, auctions: u64) -> Refinement {
        let refined = |parameter: &str, value: &str| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("q", &self.shelf.keyword).append_pair(parameter, value);
            format!("{}{}?{}", self.base_url, self.incoming.path, query.finish())
        };
        let first = first_category(self.shelf);
        let category = |(step, part): (usize, f64)| {
            let (category_id, category_name) = CATEGORIES[(first + step) % CATEGORIES.len()];
            let refinement_href = refined("category_ids", category_id);
            CategoryCount {
                category_id,
                category_name,
                match_count: self.part(total, part, step as u64),
                refinement_href,
            }
        };
        let bias = unit(hash(self.shelf.salt, 53));
        let parts = [0.2 + 0.6 * bias, 0.07, 0.06, 0.67 - 0.6 * bias];
        let condition = |(index, part): (usize, f64)| {
            let (condition, condition_id) = CONDITIONS[index];
            let refinement_href = refined("filter", &format!("conditionIds:{{{condition_id}}}"));
            ConditionCount {
                condition,
                condition_id,
                match_count: self.part(total, part, 10 + index as u64),
                refinement_href,
            }
        };
        let buying_option = |(buying_option, match_count): (&'static str, u64)| {
            let refinement_href = refined("filter", &format!("buyingOptions:{{{buying_option}}}"));
            BuyingOption { buying_option, match_count, refinement_href }
        };
        let value = |name: &str, value: String, part: f64, purpose: u64| AspectValue {
            match_count: self.part(total, part, purpose),
            refinement_href: refined("aspect_filter", &format!("{name}:{{{value}}}")),
            localized_aspect_value: value,
        };
        let aspects = || {
            let brands = (0..8u64).map(|rank| {
                let brand = words::brand(hash(self.shelf.salt, 60 + rank) % words::BRANDS);
                value("Brand", brand, 0.25 / (rank + 1) as f64, 20 + rank)
            });
            let colors = words::COLORS.iter().zip(0u64..);
            let colors =
                colors.map(|(color, rank)| value("Color", (*color).to_owned(), 0.2 / (rank + 1) as f64, 40 + rank));
            vec![
                Aspect { localized_aspect_name: "Brand", aspect_value_distributions: brands.collect() },
                Aspect { localized_aspect_name: "Color", aspect_value_distributions: colors.collect() },
            ]
        };
        let options =
            [("FIXED_PRICE", total.saturating_sub(auctions)), ("AUCTION", auctions), ("BEST_OFFER", total * 2 / 5)];
        Refinement {
            aspect_distributions: groups.aspects.then(aspects),
            buying_option_distributions: groups
                .buying_options
                .then(|| options.into_iter().map(buying_option).collect()),
            category_distributions: groups
                .categories
                .then(|| [0.72, 0.18, 0.07].into_iter().enumerate().map(category).collect()),
            condition_distributions: groups.conditions.then(|| parts.into_iter().enumerate().map(condition).collect()),
            dominant_category_id: CATEGORIES[first].0,
        }
    }

    /// A part of the total that changes slowly.
    fn part(&self, total: u64, part: f64, purpose: u64) -> u64 {
        let wander = 1.0 + 0.1 * smooth(hash(self.shelf.salt, 70 + purpose), self.day / 90.0);
        (total as f64 * part * wander) as u64
    }
}
