//! eBay's own count of our requests: Developer Analytics `getRateLimits`, for nothing in its answers tells of limits.

use serde::Deserialize;

use crate::config::EbayConfig;
use crate::exchange::{Answer, Request, TokenKind};
use crate::marketplaces::adapter::{AnswerError, address, frame, refusal};
use crate::quota::account::Statement;

const PATH: &str = "/developer/analytics/v1_beta/rate_limit/";

const DAY_S: u64 = 86_400;

/// Returns the request for the limits of the Browse API.
pub fn request(config: &EbayConfig) -> Request {
    let mut url = address(&config.base_url, PATH);
    url.query_pairs_mut().append_pair("api_context", "buy").append_pair("api_name", "browse");
    Request { token: Some(TokenKind::Main), ..Request::get("getRateLimits", url) }
}

/// Reads the daily limits of the Browse API: one for getItems, one for all other methods.
pub fn read(answer: &Answer) -> Result<Vec<(&'static str, Statement)>, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Limits {
        #[serde(default)]
        rate_limits: Vec<Api>,
    }
    #[derive(Deserialize)]
    struct Api {
        #[serde(default)]
        resources: Vec<Resource>,
    }
    #[derive(Deserialize)]
    struct Resource {
        name: String,
        #[serde(default)]
        rates: Vec<Rate>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rate {
        limit: u64,
        remaining: u64,
        time_window: u64,
    }
    if let Some(error) = refusal(answer, None, None) {
        return Err(error);
    }
    if answer.status == 204 {
        return Ok(Vec::new());
    }
    let limits: Limits = frame(answer)?;
    let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let mut statements = Vec::new();
    for resource in limits.rate_limits.iter().flat_map(|api| &api.resources) {
        let scope = if resource.name.contains("item.bulk") { "browse.items" } else { "browse" };
        let daily = resource.rates.iter().filter(|rate| rate.time_window == DAY_S);
        statements.extend(daily.map(|rate| {
            (scope, Statement::Fixed { requests: bounded(rate.limit), remaining: bounded(rate.remaining) })
        }));
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::answer;

    #[test]
    fn the_daily_limits_of_both_groups_are_read() {
        let body = r#"{"rateLimits":[{"apiContext":"buy","apiName":"browse","apiVersion":"v1","resources":[
            {"name":"buy.browse","rates":[{"limit":5000,"remaining":4321,"reset":"2026-03-11T07:00:00.000Z","timeWindow":86400}]},
            {"name":"buy.browse.item.bulk","rates":[{"limit":9000,"remaining":0,"reset":"2026-03-11T07:00:00.000Z","timeWindow":86400},
                {"limit":10,"remaining":3,"timeWindow":1}]}]}]}"#;
        assert_eq!(
            read(&answer(200, "application/json", body)).unwrap(),
            [
                ("browse", Statement::Fixed { requests: 5_000, remaining: 4_321 }),
                ("browse.items", Statement::Fixed { requests: 9_000, remaining: 0 }),
            ]
        );
        assert_eq!(read(&answer(204, "application/json", "")).unwrap(), []);
        assert!(read(&answer(500, "application/json", "{}")).is_err());
    }
}
