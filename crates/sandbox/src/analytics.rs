//! The pretend eBay's account of its own limits.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::exchange::{Answer, Incoming};
use crate::limits::Standing;
use crate::server::Shared;

/// The resources: scope, context, API, version, resource.
const RESOURCES: [(&str, &str, &str, &str, &str); 6] = [
    ("ebay.browse", "buy", "browse", "v1", "buy.browse"),
    ("ebay.browse.items", "buy", "browse", "v1", "buy.browse.item.bulk"),
    ("ebay.insights", "buy", "marketplace_insights", "v1_beta", "buy.marketplace.insights"),
    ("ebay.taxonomy", "commerce", "taxonomy", "v1", "commerce.taxonomy"),
    ("ebay.analytics", "developer", "analytics", "v1_beta", "developer.analytics"),
    ("ebay.marketing", "sell", "marketing", "v1", "sell.marketing"),
];

/// Shows the limits of the APIs that are asked for; there is nothing to show of unknown ones.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Result<Answer, Answer> {
    let mut limits: Vec<Value> = Vec::new();
    for (scope, context, api, version, resource) in RESOURCES {
        let is_wanted = |parameter: &str, value: &str| {
            incoming.parameter(parameter).is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        if !is_wanted("api_context", context) || !is_wanted("api_name", api) {
            continue;
        }
        let rates: Vec<Value> = shared.standings(scope).iter().filter_map(rate).collect();
        let resource = json!({ "name": resource, "rates": rates });
        match limits.iter_mut().find(|limit| limit["apiName"] == api && limit["apiContext"] == context) {
            Some(limit) => limit["resources"].as_array_mut().into_iter().for_each(|all| all.push(resource.clone())),
            None => limits.push(json!({
                "apiContext": context,
                "apiName": api,
                "apiVersion": version,
                "resources": [resource],
            })),
        }
    }
    if limits.is_empty() {
        return Ok(Answer::new(204, "application/json", Vec::new()));
    }
    Ok(Answer::json(200, &json!({ "rateLimits": limits })))
}

/// Shows a window that has an end; the others are not for the public.
fn rate(standing: &Standing) -> Option<Value> {
    let reset = standing.ends_at?.to_rfc3339_opts(SecondsFormat::Millis, true);
    Some(json!({
        "limit": bounded(standing.window.allowed() as u64),
        "remaining": bounded(standing.left),
        "reset": reset,
        "timeWindow": standing.window.length_ns() / 1_000_000_000,
    }))
}

/// Keeps a number within the 32 bits the contract gives it.
fn bounded(number: u64) -> u64 {
    number.min(i32::MAX as u64)
}
