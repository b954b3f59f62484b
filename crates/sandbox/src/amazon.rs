//! The pretend Amazon: token service and catalog search; reports, prices and ads have their own files.

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::clock::day_of;
use crate::config::{Marketplace, credentials};
use crate::exchange::{Answer, Incoming, find};
use crate::limits::Standing;
use crate::listings::{Listing, Shelf};
use crate::noise::{hash, hash_texts, unit};
use crate::server::Shared;
use crate::tokens::Grant;
use crate::windows::LimitWindow;
use crate::{ads, catalog, pricing, reports};

/// The country sites whose ids are accepted; all show the same world.
pub(crate) const MARKETPLACE_IDS: [&str; 8] = [
    "ATVPDKIKX0DER",
    "A2EUQ1WTGCTBG2",
    "A1AM78C64UM0Y8",
    "A1F83G8C2ARO7P",
    "A1PA6795UKMFR9",
    "A13V1IB3VIYZZH",
    "APJ6JRA9NG5V4",
    "A1RKKUPIHCS9HS",
];

/// Marketplace ids of North America; the others are European.
const NORTH_AMERICA: [&str; 3] = ["ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1AM78C64UM0Y8"];

const KEYWORDS_MAX: usize = 20;
const PAGE_SIZE_MAX: u32 = 20;
/// Tokens of later pages are refused.
const PAGES_MAX: u32 = 3;

/// Names the operation a request means.
pub(crate) fn operation(incoming: &Incoming) -> Option<&'static str> {
    match (&incoming.method, incoming.path.as_str()) {
        (&Method::POST, "/auth/o2/token") => Some("lwaToken"),
        (&Method::GET, "/catalog/2022-04-01/items") => Some("searchCatalogItems"),
        (&Method::POST, pricing::PATH) => Some("getCompetitiveSummary"),
        (&Method::POST, ads::PATH) => Some(ads::OPERATION),
        _ => reports::operation(incoming),
    }
}

/// Answers a request within the limits after looking at its token.
pub(crate) fn answer(shared: &Shared, operation: &str, incoming: &Incoming, standings: &[Standing]) -> Answer {
    match operation {
        "lwaToken" => return token(shared, incoming),
        "downloadDocument" => return reports::download(shared, incoming),
        ads::OPERATION => return ads::answer(shared, incoming),
        _ => {}
    }
    match incoming.header("x-amz-access-token") {
        None => return token_missing(),
        Some(token) if shared.amazon_tokens.grant(token) != Some(Grant::SellingPartner) => return token_expired(),
        Some(_) => {}
    }
    let answer = match operation {
        "createReport" => reports::create(shared, incoming),
        "getReport" => reports::get(shared, incoming),
        "getReportDocument" => reports::get_document(shared, incoming),
        "getCompetitiveSummary" => pricing::answer(shared, incoming),
        _ => search(shared, incoming).unwrap_or_else(|message| invalid_input(&message)),
    };
    let answer = answer.with_header("x-amzn-RequestId", request_id(shared, incoming));
    match rate(standings) {
        Some(rate) => answer.with_header("x-amzn-RateLimit-Limit", rate),
        None => answer,
    }
}

/// Refuses a request over a limit; only Amazon Ads says when to come back.
pub(crate) fn over_limit(operation: &str) -> Answer {
    match operation {
        "lwaToken" => token_error(429, "slow_down", "Too many requests", "ThrottlingException"),
        ads::OPERATION => ads::error(429, "Too many requests").with_header("retry-after", "1"),
        _ => too_many_requests(),
    }
}

/// The requests per second that the limits of an operation allow.
fn rate(standings: &[Standing]) -> Option<String> {
    let rate = match standings.first()?.window {
        LimitWindow::TokenBucket { per_second, .. } => per_second,
        window => window.allowed() * 1e9 / window.length_ns() as f64,
    };
    Some(if rate < 1.0 { format!("{rate:.4}") } else { format!("{rate:.1}") })
}

#[derive(Serialize)]
struct Errors<'a> {
    errors: [ErrorEntry<'a>; 1],
}

#[derive(Serialize)]
struct ErrorEntry<'a> {
    code: &'a str,
    message: &'a str,
    details: &'a str,
}

/// Writes an error as the Selling Partner API does.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    error_with_details(status, code, message, "")
}

pub(crate) fn invalid_input(message: &str) -> Answer {
    error(400, "InvalidInput", message)
}

/// The refusal of a request over the limit: neither `retry-after` nor a rate header.
pub(crate) fn too_many_requests() -> Answer {
    error(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
        .with_header("X-Amzn-Errortype", "TooManyRequestsException")
}

pub(crate) fn token_expired() -> Answer {
    error_with_details(
        403,
        "Unauthorized",
        "Access to requested resource is denied.",
        "The access token you provided has expired.",
    )
}

pub(crate) fn client_refused() -> Answer {
    token_error(401, "invalid_client", "Client authentication failed", "InvalidClientException")
}

fn token_missing() -> Answer {
    error_with_details(
        403,
        "Unauthorized",
        "Access to requested resource is denied.",
        "Access token is missing in the request header.",
    )
}

fn error_with_details(status: u16, code: &str, message: &str, details: &str) -> Answer {
    Answer::json(status, &Errors { errors: [ErrorEntry { code, message, details }] })
}

fn request_id(shared: &Shared, incoming: &Incoming) -> String {
    let h = hash_texts(shared.world.seed(), &[&incoming.path, incoming.parameter("keywords").unwrap_or_default()]);
    let tail = hash(h, 1);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        h >> 32,
        (h >> 16) & 0xFFFF,
        h & 0xFFF,
        tail >> 52,
        tail & 0xFFFF_FFFF_FFFF
    )
}

#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
}

#[derive(Serialize)]
struct TokenError<'a> {
    error_index: &'a str,
    error_description: &'a str,
    error: &'a str,
    request_id: &'a str,
}

/// Exchanges the refresh token for an access token.
fn token(shared: &Shared, incoming: &Incoming) -> Answer {
    let form = incoming.form();
    let field = |name| find(&form, name);
    if field("grant_type") != Some("refresh_token") {
        return token_error(
            400,
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server",
            "OA2UnsupportedGrantTypeException",
        );
    }
    for name in ["client_id", "client_secret", "refresh_token"] {
        if field(name).is_none() {
            let description = format!("The request is missing a required parameter : {name}");
            return token_error(400, "invalid_request", &description, "OA2InvalidRequestException");
        }
    }
    let client = (field("client_id"), field("client_secret"));
    if client != (Some(credentials::AMAZON_CLIENT_ID), Some(credentials::AMAZON_CLIENT_SECRET)) {
        return client_refused();
    }
    let (refresh_token, grant) = match field("refresh_token") {
        Some(credentials::AMAZON_REFRESH_TOKEN) => (credentials::AMAZON_REFRESH_TOKEN, Grant::SellingPartner),
        Some(credentials::AMAZON_ADS_REFRESH_TOKEN) => (credentials::AMAZON_ADS_REFRESH_TOKEN, Grant::Ads),
        _ => {
            let description = "The request has an invalid grant parameter : refresh_token";
            return token_error(400, "invalid_grant", description, "OA2InvalidGrantException");
        }
    };
    let access_token = shared.amazon_tokens.mint(shared.world.seed(), grant);
    let answer = Answer::json(
        200,
        &TokenAnswer {
            access_token: &access_token,
            refresh_token,
            token_type: "bearer",
            expires_in: shared.amazon_tokens.lifetime().as_secs(),
        },
    );
    as_token_answer(answer)
}

fn token_error(status: u16, error: &str, error_description: &str, kind: &str) -> Answer {
    let request_id = "c29691bf-0a96-41b6-b1dc-75add070f041";
    let answer = Answer::json(status, &TokenError { error_index: "0", error_description, error, request_id });
    as_token_answer(answer)
        .with_header("X-Amzn-Errortype", format!("{kind}:http://internal.amazon.com/coral/com.amazon.panda/"))
}

fn as_token_answer(mut answer: Answer) -> Answer {
    answer.content_type = "application/json;charset=UTF-8";
    answer.with_header("Cache-Control", "no-cache, no-store, must-revalidate").with_header("Pragma", "no-cache")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SearchResults<'a> {
    number_of_results: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
    refinements: catalog::Refinements,
    items: Vec<catalog::Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_token: Option<String>,
}

/// Searches the catalog by keywords.
fn search(shared: &Shared, incoming: &Incoming) -> Result<Answer, String> {
    let marketplace_id = the_marketplace_id(incoming)?;
    let keywords = the_keywords(incoming)?;
    let page_size = the_page_size(incoming)?;
    let data = catalog::IncludedData::read(incoming.parameter("includedData"))?;
    let search_id = hash_texts(shared.world.seed(), &keywords);
    let page = match incoming.parameter("pageToken") {
        None => 1,
        Some(token) => read_page_token(token, search_id).ok_or("The provided page token is invalid.")?,
    };
    if page > PAGES_MAX {
        return Err("The provided page token is invalid.".into());
    }

    let day = day_of(shared.clock.now());
    let shelves: Vec<_> =
        keywords.iter().map(|keyword| shared.world.searched_shelf(Marketplace::Amazon, keyword, incoming)).collect();
    let wanted = |listing: &Listing, shelf: &Shelf| catalog::is_wanted(listing, shelf, incoming);
    let mut found: Vec<(&Shelf, &Listing)> = Vec::new();
    for shelf in &shelves {
        let ranked = shelf.ranked(day).into_iter().filter(|listing| wanted(listing, shelf));
        found.extend(ranked.map(|listing| (shelf.as_ref(), listing)));
    }
    if shelves.len() > 1 {
        found.sort_by(|a, b| b.0.score(b.1, day).total_cmp(&a.0.score(a.1, day)));
    }

    // The number is an estimate: every page states a slightly different one.
    let week = (day / 7.0) as u64;
    let estimate = 0.95 + 0.1 * unit(hash(hash(search_id, week), u64::from(page)));
    let total: u64 = shelves.iter().map(|shelf| shelf.total(day)).sum();
    let start = (page_size * (page - 1)) as usize;
    let on_page = found.iter().skip(start).take(page_size as usize);
    let items: Vec<_> =
        on_page.map(|(shelf, listing)| catalog::item(shelf, listing, day, marketplace_id, &data)).collect();

    // A next page is often kept back although there is one.
    let offers_next = unit(hash(hash(search_id, 7), week / 4 * 8 + u64::from(page))) < 0.6;
    let next_token = (offers_next && found.len() > start + page_size as usize).then(|| page_token(page + 1, search_id));
    let previous_token = (page > 1).then(|| page_token(page - 1, search_id));
    let has_pages = next_token.is_some() || previous_token.is_some();
    Ok(Answer::json(
        200,
        &SearchResults {
            number_of_results: (total as f64 * estimate) as u64,
            pagination: has_pages.then_some(Pagination { next_token, previous_token }),
            refinements: catalog::refinements(&found, total),
            items,
        },
    ))
}

/// Names the region that counts a request apart from the others; empty for North America and where the request names none.
///
/// In production each region has an address of its own; here the marketplace ids of the request, of its body or of the
/// report that it is about name the region.
pub(crate) fn region(shared: &Shared, incoming: &Incoming) -> &'static str {
    let body = str::from_utf8(&incoming.body).unwrap_or_default();
    let of_report = reports::marketplace_ids(shared, incoming);
    let is_named = |id: &str| {
        incoming.parameter("marketplaceIds").is_some_and(|ids| ids.contains(id))
            || body.contains(id)
            || of_report.iter().any(|named| named == id)
    };
    let is_european = |id: &&str| !NORTH_AMERICA.contains(id) && is_named(id);
    if MARKETPLACE_IDS.iter().any(is_european) { "eu" } else { "" }
}

fn the_marketplace_id(incoming: &Incoming) -> Result<&str, String> {
    let id = incoming.parameter("marketplaceIds").ok_or("Missing required parameter 'marketplaceIds'.")?;
    if id.contains(',') {
        return Err("Parameter 'marketplaceIds' must hold exactly one marketplace id.".into());
    }
    if !MARKETPLACE_IDS.contains(&id) {
        return Err(format!("Invalid marketplace id '{id}'."));
    }
    Ok(id)
}

/// Splits the keywords at their commas, as the marketplace does.
fn the_keywords(incoming: &Incoming) -> Result<Vec<&str>, String> {
    if incoming.parameter("identifiers").is_some() {
        return Err(match incoming.parameter("keywords") {
            Some(_) => "Parameters 'identifiers' and 'keywords' cannot be used together.".into(),
            None => "The sandbox does not search by identifiers.".into(),
        });
    }
    let text = incoming.parameter("keywords").unwrap_or_default();
    let keywords: Vec<&str> = text.split(',').map(str::trim).filter(|keyword| !keyword.is_empty()).collect();
    if keywords.is_empty() {
        return Err("One of 'identifiers' or 'keywords' must be provided.".into());
    }
    if keywords.len() > KEYWORDS_MAX {
        return Err(format!("Parameter 'keywords' holds more than {KEYWORDS_MAX} values."));
    }
    Ok(keywords)
}

fn the_page_size(incoming: &Incoming) -> Result<u32, String> {
    let Some(text) = incoming.parameter("pageSize") else { return Ok(10) };
    let size = text.parse().ok().filter(|size| (1..=PAGE_SIZE_MAX).contains(size));
    size.ok_or_else(|| format!("Parameter 'pageSize' must be a number from 1 to {PAGE_SIZE_MAX}."))
}

fn page_token(page: u32, search_id: u64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{search_id:016x}:{page}"))
}

fn read_page_token(token: &str, search_id: u64) -> Option<u32> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (id, page) = text.split_once(':')?;
    if id != format!("{search_id:016x}") {
        return None;
    }
    page.parse().ok().filter(|page| *page >= 1)
}
