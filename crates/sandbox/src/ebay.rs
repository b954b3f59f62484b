//! The pretend eBay: token service and Browse search; every other API has its own file.

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::clock::day_of;
use crate::config::{Marketplace, credentials};
use crate::exchange::{Answer, Incoming, find};
use crate::server::Shared;
use crate::tokens::Grant;
use crate::{analytics, browse, insights, items, marketing, taxonomy};

const SCOPE: &str = "https://api.ebay.com/oauth/api_scope";
const ITEM_BULK_SCOPE: &str = "https://api.ebay.com/oauth/api_scope/buy.item.bulk";
const INSIGHTS_SCOPE: &str = "https://api.ebay.com/oauth/api_scope/buy.marketplace.insights";
pub(crate) const SITES: [&str; 10] =
    ["EBAY_US", "EBAY_GB", "EBAY_DE", "EBAY_AU", "EBAY_CA", "EBAY_FR", "EBAY_IT", "EBAY_ES", "EBAY_AT", "EBAY_NL"];
const LIMIT_MAX: i64 = 200;
const OFFSET_END: i64 = 10_000;

/// Names the operation a request means.
pub(crate) fn operation(incoming: &Incoming) -> Option<&'static str> {
    match (&incoming.method, incoming.path.as_str()) {
        (&Method::POST, "/identity/v1/oauth2/token") => Some("oauthToken"),
        (&Method::GET, "/buy/browse/v1/item_summary/search") => Some("itemSummarySearch"),
        (&Method::GET, "/buy/browse/v1/item/") => Some("getItems"),
        (&Method::GET, "/developer/analytics/v1_beta/rate_limit/") => Some("getRateLimits"),
        (&Method::GET, "/commerce/taxonomy/v1/get_default_category_tree_id") => Some("getDefaultCategoryTreeId"),
        (&Method::GET, path) if taxonomy::tree_id(path).is_some() => Some("getCategorySuggestions"),
        (&Method::GET, "/buy/marketplace_insights/v1_beta/item_sales/search") => Some("itemSalesSearch"),
        (&Method::POST, path) if marketing::ids(path).is_some() => Some("suggestBids"),
        _ => None,
    }
}

/// Answers a request within the limits after looking at its token.
pub(crate) fn answer(shared: &Shared, operation: &str, incoming: &Incoming) -> Answer {
    if operation == "oauthToken" {
        return token(shared, incoming);
    }
    let Some(token) = incoming.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
        return access_error(
            401,
            1002,
            "Missing access token",
            "Missing access token. Check the value of the Authorization HTTP request header.",
        );
    };
    let Some(grant) = shared.ebay_tokens.grant(token) else { return token_refused() };
    let suffices = match operation {
        "itemSalesSearch" => grant == Grant::Insights,
        "suggestBids" => grant == Grant::User,
        _ => true,
    };
    if !suffices {
        return access_error(403, 1100, "Access denied", "Insufficient permissions to fulfill the request.");
    }
    let answer = match operation {
        "getItems" => items::answer(shared, incoming),
        "getRateLimits" => analytics::answer(shared, incoming),
        "getDefaultCategoryTreeId" => taxonomy::default_tree(incoming),
        "getCategorySuggestions" => taxonomy::suggestions(shared, incoming),
        "itemSalesSearch" => insights::answer(shared, incoming),
        "suggestBids" => marketing::answer(shared, incoming),
        _ => search(shared, incoming),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorEntry {
    error_id: i64,
    domain: &'static str,
    category: &'static str,
    message: String,
    long_message: String,
}

impl ErrorEntry {
    /// A complaint about a parameter of Browse.
    pub(crate) fn request(error_id: i64, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { error_id, domain: "API_BROWSE", category: "REQUEST", long_message: message.clone(), message }
    }
}

#[derive(Serialize)]
struct Errors {
    errors: [ErrorEntry; 1],
}

/// Writes an error as eBay does.
pub(crate) fn error(status: u16, error_id: i64, message: &str) -> Answer {
    domain_error("API_BROWSE", status, error_id, message)
}

/// Writes an error of one of eBay's APIs.
pub(crate) fn domain_error(domain: &'static str, status: u16, error_id: i64, message: &str) -> Answer {
    let category = match status {
        409 => "BUSINESS",
        500.. => "APPLICATION",
        _ => "REQUEST",
    };
    let entry = ErrorEntry { domain, category, ..ErrorEntry::request(error_id, message) };
    Answer::json(status, &Errors { errors: [entry] })
}

pub(crate) fn too_many_requests() -> Answer {
    let long_message = "The request limit has been reached for the resource.".to_owned();
    let message = "Too many requests.".to_owned();
    let entry = ErrorEntry { error_id: 2001, domain: "ACCESS", category: "REQUEST", message, long_message };
    Answer::json(429, &Errors { errors: [entry] })
}

pub(crate) fn token_refused() -> Answer {
    access_error(
        401,
        1001,
        "Invalid access token",
        "Invalid access token. Check the value of the Authorization HTTP request header.",
    )
}

pub(crate) fn client_refused() -> Answer {
    token_error(401, "invalid_client", "client authentication failed").with_header("Www-Authenticate", "Basic")
}

fn access_error(status: u16, error_id: i64, message: &str, long_message: &str) -> Answer {
    let entry = ErrorEntry {
        error_id,
        domain: if status == 403 { "ACCESS" } else { "OAuth" },
        category: "REQUEST",
        message: message.to_owned(),
        long_message: long_message.to_owned(),
    };
    Answer::json(status, &Errors { errors: [entry] })
}

#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    expires_in: u64,
    token_type: &'a str,
}

#[derive(Serialize)]
struct TokenError<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// Gives a token to the client that proves itself by Basic authentication.
fn token(shared: &Shared, incoming: &Incoming) -> Answer {
    let expected = format!("{}:{}", credentials::EBAY_CLIENT_ID, credentials::EBAY_CLIENT_SECRET);
    let basic = incoming.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let client = basic.and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
    if client.as_deref() != Some(expected.as_bytes()) {
        return client_refused();
    }
    let form = incoming.form();
    let (grant, token_type) = match find(&form, "grant_type") {
        Some("client_credentials") => match application_grant(shared, find(&form, "scope").unwrap_or_default()) {
            Some(grant) => (grant, "Application Access Token"),
            None => {
                return token_error(
                    400,
                    "invalid_scope",
                    "The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client",
                );
            }
        },
        Some("refresh_token") => match find(&form, "refresh_token") {
            Some(credentials::EBAY_USER_REFRESH_TOKEN) => (Grant::User, "User Access Token"),
            _ => {
                return token_error(
                    400,
                    "invalid_grant",
                    "the provided authorization refresh token is invalid or was issued to another client",
                );
            }
        },
        _ => {
            return token_error(
                400,
                "unsupported_grant_type",
                "grant type in request is not supported by the authorization server",
            );
        }
    };
    Answer::json(
        200,
        &TokenAnswer {
            access_token: &shared.ebay_tokens.mint(shared.world.seed(), grant),
            expires_in: shared.ebay_tokens.lifetime().as_secs(),
            token_type,
        },
    )
}

/// What an application token with these scopes opens; `None` if one of the scopes is not granted to the client.
fn application_grant(shared: &Shared, scopes: &str) -> Option<Grant> {
    let mut grant = None;
    for scope in scopes.split_whitespace() {
        match scope {
            SCOPE | ITEM_BULK_SCOPE => grant = grant.or(Some(Grant::Application)),
            INSIGHTS_SCOPE if shared.insights_granted => grant = Some(Grant::Insights),
            _ => return None,
        }
    }
    grant
}

fn token_error(status: u16, error: &str, error_description: &str) -> Answer {
    Answer::json(status, &TokenError { error, error_description })
}

/// Searches item summaries.
fn search(shared: &Shared, incoming: &Incoming) -> Result<Answer, Answer> {
    let site = the_site(incoming)?;
    let (limit, offset) = the_window(incoming)?;
    let query = incoming.parameter("q").ok_or_else(|| {
        error(400, 12_001, "The call must have a valid 'q', 'category_ids', 'epid' or 'gtin' query parameter.")
    })?;
    if query.trim().chars().count() < 2 || query.contains('*') {
        return Err(error(
            400,
            12_023,
            "This keyword search results in a response that is too large to return. \
             Either change the keyword or add additional query parameters and/or filters.",
        ));
    }
    let search = browse::Search {
        shelf: &shared.world.searched_shelf(Marketplace::Ebay, query, incoming),
        day: day_of(shared.clock.now()),
        site,
        limit,
        offset,
        base_url: shared.base_url(Marketplace::Ebay),
        incoming,
    };
    Ok(Answer::json(200, &search.answer()))
}

/// Reads the country site a request is about.
pub(crate) fn the_site(incoming: &Incoming) -> Result<&str, Answer> {
    let site = incoming.header("x-ebay-c-marketplace-id").unwrap_or("EBAY_US");
    if SITES.contains(&site) {
        return Ok(site);
    }
    let supported = SITES.join(", ");
    let message =
        format!("Currently, the {site} marketplace is not supported. The supported Marketplaces are: {supported} .");
    Err(error(409, 12_019, &message))
}

/// Reads limit and offset; the offset must be a multiple of the limit.
pub(crate) fn the_window(incoming: &Incoming) -> Result<(u64, u64), Answer> {
    let limit: i64 = match incoming.parameter("limit") {
        None => 50,
        Some(text) => text.parse().map_err(|_| error(400, 12_007, "The 'limit' value must be an integer value."))?,
    };
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(error(400, 12_006, "The 'limit' value should be between 1 and 200 (inclusive)."));
    }
    let offset: i64 = match incoming.parameter("offset") {
        None => 0,
        Some(text) => text.parse().map_err(|_| error(400, 12_005, "The 'offset' value must be an integer."))?,
    };
    if offset < 0 {
        return Err(error(400, 12_004, "The 'offset' value cannot be negative."));
    }
    if offset >= OFFSET_END {
        return Err(error(
            400,
            12_029,
            "The maximum number of listings that can be retrieved is 10,000, so your offset value must be less than 10,000. \
             If 10,000 or more listings are matching your search criteria, consider narrowing the scope of your search.",
        ));
    }
    if offset % limit != 0 {
        return Err(error(400, 12_515, "The 'offset' value must be either zero or a multiple of the 'limit' value."));
    }
    Ok((limit as u64, offset as u64))
}
