//! The pretend Amazon Ads: keywords ranked for an advertiser's products, with suggested bids.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::day_of;
use crate::config::{Marketplace, credentials};
use crate::exchange::{Answer, Incoming};
use crate::listings::Shelf;
use crate::noise::{hash, normal, smooth};
use crate::products;
use crate::server::Shared;
use crate::tokens::Grant;
use crate::world::normalize;

pub(crate) const PATH: &str = "/sp/targets/keywords/recommendations";
pub(crate) const OPERATION: &str = "getKeywordRecommendations";

const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.spkeywordsrecommendation.v4+json", "application/vnd.spkeywordsrecommendation.v5+json"];
const THEMED: &str = MEDIA_TYPES[1];
const ASINS_MAX: usize = 50;
const TARGETS_MAX: usize = 100;
const RECOMMENDATIONS_MAX: usize = 200;

/// Answers a request after looking at its token, client and profile.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Answer {
    let token = incoming.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let grant = token.and_then(|token| shared.amazon_tokens.grant(token));
    if grant != Some(Grant::Ads)
        || incoming.header("Amazon-Advertising-API-ClientId") != Some(credentials::AMAZON_CLIENT_ID)
        || incoming.header("Amazon-Advertising-API-Scope") != Some(credentials::AMAZON_ADS_PROFILE_ID)
    {
        return unauthorized();
    }
    let content_type = incoming.header("content-type").unwrap_or_default();
    let Some(media_type) = MEDIA_TYPES.into_iter().find(|known| *known == content_type) else {
        return error(415, "Cannot consume content type");
    };
    let question: Question = match serde_json::from_slice(&incoming.body) {
        Ok(question) => question,
        Err(problem) => return error(400, &format!("The request could not be read: {problem}")),
    };
    match recommendations(shared, &question, media_type) {
        Ok(keyword_target_list) => {
            let mut answer = Answer::json(200, &json!({ "keywordTargetList": keyword_target_list }));
            answer.content_type = media_type;
            answer
        }
        Err(problem) => error(422, &problem),
    }
}

/// Writes an error as Amazon Ads does.
pub(crate) fn error(status: u16, details: &str) -> Answer {
    Answer::json(status, &json!({ "code": status.to_string(), "details": details }))
}

pub(crate) fn unauthorized() -> Answer {
    error(401, "Not authorized to access scope or the access token has expired")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    recommendation_type: String,
    #[serde(default)]
    asins: Vec<String>,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default = "recommendations_max")]
    max_recommendations: usize,
    #[serde(default = "enabled")]
    bids_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    keyword: String,
    #[serde(default)]
    match_type: Option<String>,
}

fn recommendations_max() -> usize {
    RECOMMENDATIONS_MAX
}

fn enabled() -> bool {
    true
}

/// Ranks the own keywords first and then what fits the products.
fn recommendations(shared: &Shared, question: &Question, media_type: &str) -> Result<Vec<Value>, String> {
    if question.recommendation_type != "KEYWORDS_FOR_ASINS" {
        return Err(format!("The sandbox does not know the recommendationType {}", question.recommendation_type));
    }
    if !(1..=ASINS_MAX).contains(&question.asins.len()) {
        return Err(format!("asins must hold between 1 and {ASINS_MAX} values"));
    }
    if question.targets.len() > TARGETS_MAX {
        return Err(format!("targets must hold at most {TARGETS_MAX} values"));
    }
    if question.max_recommendations > RECOMMENDATIONS_MAX {
        return Err(format!("maxRecommendations must be at most {RECOMMENDATIONS_MAX}"));
    }
    let has_unknown_match_type = |target: &&Target| {
        target.match_type.as_deref().is_some_and(|kind| !matches!(kind, "BROAD" | "EXACT" | "PHRASE"))
    };
    if let Some(target) = question.targets.iter().find(has_unknown_match_type) {
        return Err(format!("The matchType of {} is not known", target.keyword));
    }
    let found = products::find(&shared.world, &question.asins);
    if found.is_empty() {
        return Err("None of the asins is valid".into());
    }

    let mut keywords: Vec<(String, bool)> = Vec::new();
    for target in &question.targets {
        if !keywords.iter().any(|(keyword, _)| *keyword == target.keyword) {
            keywords.push((target.keyword.clone(), true));
        }
    }
    let mut recommended: Vec<String> = found.values().flat_map(|product| related(&product.shelf.keyword)).collect();
    recommended.sort();
    recommended.retain(|keyword| !keywords.iter().any(|(own, _)| normalize(own) == *keyword));
    recommended.truncate(question.max_recommendations);
    keywords.extend(recommended.into_iter().map(|keyword| (keyword, false)));
    keywords.truncate(RECOMMENDATIONS_MAX);

    let day = day_of(shared.clock.now());
    let mut shelves: Vec<_> = keywords
        .into_iter()
        .map(|(keyword, is_own)| (shared.world.shelf(Marketplace::Amazon, &keyword), keyword, is_own))
        .collect();
    shelves.sort_by(|a, b| b.0.demand_in_week_of(day).total_cmp(&a.0.demand_in_week_of(day)));
    let recommendation = |(place, (shelf, keyword, is_own)): (usize, &(Arc<Shelf>, String, bool))| {
        let bids = if question.bids_enabled { bids(shelf, day, place + 1, media_type) } else { Vec::new() };
        json!({
            "keyword": keyword,
            "userSelectedKeyword": is_own,
            "recId": format!("{:016x}", hash(shared.world.seed(), hash(shelf.salt, day as u64))),
            "bidInfo": bids,
        })
    };
    Ok(shelves.iter().enumerate().map(recommendation).collect())
}

/// Names keywords close to the one of a product.
fn related(keyword: &str) -> Vec<String> {
    const BEFORE: [&str; 4] = ["best", "cheap", "large", "small"];
    let mut related = vec![keyword.to_owned()];
    related.extend(BEFORE.iter().map(|word| format!("{word} {keyword}")));
    related
}

/// Suggests a bid per match type, in whole cents; nobody bids for what nobody looks for.
fn bids(shelf: &Shelf, day: f64, rank: usize, media_type: &str) -> Vec<Value> {
    let searches = shelf.demand_in_week_of(day);
    if shelf.total(day) == 0 || searches < 1.0 {
        return Vec::new();
    }
    let character = (0.45 * normal(hash(shelf.salt, 81))).exp();
    let wander = 1.0 + 0.12 * smooth(hash(shelf.salt, 82), day / 21.0);
    let exact = (0.15 + 0.11 * searches.ln()) * character * wander;
    let dollars = |bid: f64| (bid.max(0.05) * 100.0).round() / 100.0;
    let bid = |(match_type, part): (&str, f64)| {
        let suggested = dollars(exact * part);
        let (low, high) = (dollars(suggested * 0.76), dollars(suggested * 1.34));
        let mut suggestion = json!({ "rangeStart": low, "suggested": suggested, "rangeEnd": high });
        let mut info = json!({ "matchType": match_type, "rank": rank, "bid": suggested });
        if media_type == THEMED {
            info["theme"] = json!("CONVERSION_OPPORTUNITIES");
        } else {
            suggestion["bidRecId"] = json!(format!("{:016x}", hash(shelf.salt, match_type.len() as u64)));
        }
        info["suggestedBid"] = suggestion;
        info
    };
    [("EXACT", 1.0), ("PHRASE", 0.86), ("BROAD", 0.72)].into_iter().map(bid).collect()
}
