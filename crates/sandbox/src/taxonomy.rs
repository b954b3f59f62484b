//! The pretend eBay's category tree: which tree a site uses and which categories suit a search text.

use serde_json::{Value, json};

use crate::browse::{CATEGORIES, first_category};
use crate::config::Marketplace;
use crate::ebay::{SITES, domain_error};
use crate::exchange::{Answer, Incoming};
use crate::server::Shared;

const TREE_VERSION: &str = "119";

/// Reads the tree's id from the path of category suggestions.
pub(crate) fn tree_id(path: &str) -> Option<&str> {
    let id = path.strip_prefix("/commerce/taxonomy/v1/category_tree/")?.strip_suffix("/get_category_suggestions")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// Names the tree of a site.
pub(crate) fn default_tree(incoming: &Incoming) -> Result<Answer, Answer> {
    let site = incoming.parameter("marketplace_id").ok_or_else(|| {
        error(400, 62_003, "The marketplace_id was not specified. Please specify a valid value for marketplace_id.")
    })?;
    let tree = SITES.iter().position(|known| *known == site).ok_or_else(|| {
        error(
            400,
            62_002,
            "The specified marketplace_id was not found. Please specify a valid value for marketplace_id.",
        )
    })?;
    Ok(Answer::json(200, &json!({ "categoryTreeId": tree.to_string(), "categoryTreeVersion": TREE_VERSION })))
}

/// Suggests the categories in which most listings of a search text stand; without a suggestion the answer is empty.
pub(crate) fn suggestions(shared: &Shared, incoming: &Incoming) -> Result<Answer, Answer> {
    let tree = tree_id(&incoming.path).unwrap_or_default();
    if !tree.parse::<usize>().is_ok_and(|tree| tree < SITES.len()) {
        return Err(error(400, 62_004, "The specified category tree ID was not found."));
    }
    let query = incoming.parameter("q").ok_or_else(|| {
        error(400, 62_007, "The suggestion feature requires a query. Please specify a value for the q parameter.")
    })?;
    let shelf = shared.world.searched_shelf(Marketplace::Ebay, query, incoming);
    if !shelf.has_results() {
        return Ok(Answer::new(204, "application/json", Vec::new()));
    }
    let first = first_category(&shelf);
    let suggestion = |(step, relevancy): (usize, &str)| -> Value {
        let (id, name) = CATEGORIES[(first + step) % CATEGORIES.len()];
        json!({
            "category": { "categoryId": id, "categoryName": name },
            "categoryTreeNodeLevel": 1,
            "categoryTreeNodeAncestors": [],
            "relevancy": relevancy,
        })
    };
    let suggestions: Vec<Value> = ["HIGH", "MEDIUM", "LOW"].into_iter().enumerate().map(suggestion).collect();
    Ok(Answer::json(
        200,
        &json!({
            "categorySuggestions": suggestions,
            "categoryTreeId": tree,
            "categoryTreeVersion": TREE_VERSION,
        }),
    ))
}

fn error(status: u16, error_id: i64, message: &str) -> Answer {
    domain_error("API_TAXONOMY", status, error_id, message)
}
