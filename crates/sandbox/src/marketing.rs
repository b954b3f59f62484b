//! The pretend eBay's advertising: bids suggested for keywords.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::day_of;
use crate::config::{Marketplace, credentials};
use crate::ebay::domain_error;
use crate::exchange::{Answer, Incoming};
use crate::noise::{hash, normal, smooth};
use crate::server::Shared;

const KEYWORDS_MAX: usize = 500;

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    keywords: Vec<Keyword>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keyword {
    keyword_text: String,
    match_type: String,
}

/// Reads the campaign and the ad group from a path.
pub(crate) fn ids(path: &str) -> Option<(&str, &str)> {
    let (campaign, rest) = path.strip_prefix("/sell/marketing/v1/ad_campaign/")?.split_once("/ad_group/")?;
    Some((campaign, rest.strip_suffix("/suggest_bids")?))
}

/// Suggests a bid for every keyword that is looked for.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Result<Answer, Answer> {
    let (campaign, ad_group) = ids(&incoming.path).unwrap_or_default();
    if campaign != credentials::EBAY_CAMPAIGN_ID {
        return Err(error(404, 35_045, &format!("No campaign found for campaign Id {campaign}.")));
    }
    if ad_group != credentials::EBAY_AD_GROUP_ID {
        return Err(error(404, 36_210, &format!("No ad group found for ad group Id {ad_group}.")));
    }
    let question: Question =
        serde_json::from_slice(&incoming.body).map_err(|_| error(400, 35_091, "The request body is not valid."))?;
    if !(1..=KEYWORDS_MAX).contains(&question.keywords.len()) {
        return Err(error(400, 36_301, &format!("Between 1 and {KEYWORDS_MAX} keywords are needed.")));
    }
    if question.keywords.iter().any(|keyword| !matches!(keyword.match_type.as_str(), "BROAD" | "EXACT" | "PHRASE")) {
        return Err(error(400, 36_304, "The matchType of a keyword is not valid."));
    }
    let day = day_of(shared.clock.now());
    let bids: Vec<Value> = question.keywords.iter().filter_map(|keyword| bid(shared, keyword, day)).collect();
    Ok(Answer::json(200, &json!({ "suggestedBids": bids })))
}

/// Follows demand; a narrower match costs more.
fn bid(shared: &Shared, keyword: &Keyword, day: f64) -> Option<Value> {
    let shelf = shared.world.shelf(Marketplace::Ebay, &keyword.keyword_text);
    let demand = shelf.demand_in_week_of(day);
    if !shelf.has_results() || demand < 1.0 {
        return None;
    }
    let part = match keyword.match_type.as_str() {
        "EXACT" => 1.0,
        "PHRASE" => 0.85,
        _ => 0.7,
    };
    let character = (0.4 * normal(hash(shelf.salt, 83))).exp();
    let wander = 1.0 + 0.1 * smooth(hash(shelf.salt, 84), day / 21.0);
    let dollars = (part * (0.05 + 0.07 * demand.ln()) * character * wander).max(0.02);
    let text = |dollars: f64| format!("{dollars:.2}");
    Some(json!({
        "keywordText": keyword.keyword_text,
        "matchType": keyword.match_type,
        "proposedBid": {
            "currency": "USD",
            "value": text(dollars),
            "rangeStart": text(dollars * 0.8),
            "rangeEnd": text(dollars * 1.3),
        },
    }))
}

fn error(status: u16, error_id: i64, message: &str) -> Answer {
    domain_error("API_MARKETING", status, error_id, message)
}
