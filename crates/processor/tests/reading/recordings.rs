//! Recorded answers of real marketplaces: each is read completely, or it is known why it is not. They stay beside the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use digitallz_common::marketplace::Resource;
use digitallz_processor::reading::ReadError;
use serde_json::Value;

use crate::oracle;
use crate::question::Question;

/// What must become of one recorded answer.
enum Expected {
    /// It is an answer of this resource, with so many rows, all of them readable.
    Rows(Resource, &'static str, usize),
    /// It is a row of this resource: put into the frame between these two texts, it is read in full.
    Row(Resource, &'static str, &'static str),
    /// It is an answer of this resource that says nothing, for this reason.
    Refused(Resource, &'static str),
    /// It has this status, which says nothing of a keyword.
    Status(u16, Resource),
    /// It was recorded without its body.
    NoBody,
    /// It answers a question that has no reader.
    NotOurs(&'static str),
}

/// Every recorded answer, file by file and in its order there.
fn expectations() -> BTreeMap<&'static str, Vec<Expected>> {
    use Expected::*;
    use Resource::*;
    BTreeMap::from([
        ("amazon/ads_v2_keyword_bid_recommendations_207_sandbox.har", vec![NotOurs("bids of a retired version")]),
        (
            "amazon/brand_analytics_report_fatal_error_document.json",
            vec![Refused(SearchQueryReport, "/errorDetails: the report failed")],
        ),
        (
            "amazon/catalog_get_item_all_datasets_200.har",
            vec![Row(CatalogSearch, r#"{"numberOfResults":1,"items":["#, "]}")],
        ),
        ("amazon/catalog_search_by_identifier_200.har", vec![Rows(CatalogSearch, "items", 1)]),
        ("amazon/catalog_search_by_keywords_partial_2024-06.har", vec![NoBody]),
        ("amazon/catalog_search_page4_400.har", vec![NoBody]),
        ("amazon/lwa_bad_request_400.har", vec![Status(400, CatalogSearch)]),
        ("amazon/lwa_refresh_token_200.har", vec![NotOurs("a token")]),
        (
            "amazon/pricing_429_quota_exceeded.har",
            vec![Status(429, CompetitivePricing), Status(429, CompetitivePricing), Status(429, CompetitivePricing)],
        ),
        ("amazon/report_document_url_expired_403.har", vec![Status(403, SearchTermsReport)]),
        ("amazon/reports_404_not_found.har", vec![Status(404, SearchTermsReport)]),
        ("amazon/reports_create_202_sandbox.har", vec![NotOurs("a report is asked for")]),
        ("amazon/reports_get_200_sandbox.har", vec![NotOurs("a report of another kind is looked for")]),
        ("amazon/reports_get_document_200_sandbox.har", vec![NotOurs("where a document lies")]),
        ("amazon/reports_get_document_then_download_200.har", vec![NotOurs("where a document lies")]),
        ("ebay/browse_get_item_2020-03-17.har", vec![Row(ItemDetails, r#"{"items":["#, "]}")]),
        ("ebay/browse_search_iphone_2020-03-17.har", vec![Rows(ItemSearch, "itemSummaries", 50)]),
        ("ebay/errors_from_threads.har", vec![Rows(ItemSearch, "itemSummaries", 0)]),
        ("ebay/oauth_bad_credentials_401.har", vec![Status(401, ItemSearch)]),
        ("ebay/oauth_client_credentials_200.har", vec![NotOurs("a token")]),
        ("etsy/v3_errors_and_headers.har", vec![Status(400, ListingSearch)]),
        ("etsy/v3_listing_single_2021-11.har", vec![Row(ListingSearch, r#"{"count":1,"results":["#, "]}")]),
    ])
}

/// A recorded answer with what was asked.
struct Recorded {
    url: String,
    started: String,
    status: u16,
    text: Option<String>,
}

/// Returns the answers of a file.
fn recorded(path: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(path).expect("a readable file");
    if path.extension().is_some_and(|extension| extension == "json") {
        let quoted: Value = serde_json::from_str(&text).expect("a quoted answer");
        let body = quoted["response"]["body"].to_string();
        return vec![Recorded { url: String::new(), started: String::new(), status: 200, text: Some(body) }];
    }
    let har: Value = serde_json::from_str(&text).expect("a HAR file");
    let entries = har["log"]["entries"].as_array().expect("entries");
    let entry = |entry: &Value| Recorded {
        url: entry["request"]["url"].as_str().expect("an address").to_owned(),
        started: entry["startedDateTime"].as_str().unwrap_or_default().to_owned(),
        status: entry["response"]["status"].as_u64().expect("a status") as u16,
        text: entry["response"]["content"]["text"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
    };
    entries.iter().map(entry).collect()
}

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there are no recorded answers beside the repository");
    None
}

/// Asks as was asked when an answer was recorded.
fn question(resource: Resource, recorded: &Recorded) -> Question {
    let asked = Question { status_code: recorded.status, keyword_text: "iphone".to_owned(), ..Question::of(resource) };
    let fetched_at = recorded.started.parse().unwrap_or(asked.fetched_at);
    let url = if recorded.url.is_empty() { asked.url.clone() } else { recorded.url.clone() };
    Question { url, fetched_at, ..asked }
}

#[test]
fn every_recorded_answer_is_read_completely_or_refused_for_a_known_reason() {
    let Some(folder) = folder() else { return };
    let mut expectations = expectations();
    for marketplace in ["amazon", "ebay", "etsy"] {
        for file in std::fs::read_dir(folder.join(marketplace)).expect("a folder") {
            let path = file.expect("a file").path();
            let name = format!("{marketplace}/{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
            let expected = expectations.remove(name.as_str());
            let expected = expected.unwrap_or_else(|| panic!("it is not said what must become of {name}"));
            let recorded = recorded(&path);
            assert_eq!(recorded.len(), expected.len(), "{name} has other answers than expected");
            for (recorded, expected) in recorded.iter().zip(expected) {
                hold(&name, recorded, expected);
            }
        }
    }
    let unseen: Vec<_> = expectations.into_keys().collect();
    assert!(unseen.is_empty(), "these are expected and not there: {unseen:?}");
}

/// Holds what is made of a recorded answer against what must become of it, and all its values against a second reader.
fn hold(name: &str, recorded: &Recorded, expected: Expected) {
    let body = recorded.text.as_deref().unwrap_or_default().as_bytes();
    match expected {
        Expected::Rows(resource, rows, count) => {
            let outcome = judge(name, &question(resource, recorded), body);
            let reading = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
            let found: Value = serde_json::from_slice(body).expect("JSON");
            assert_eq!(found[rows].as_array().map_or(0, Vec::len), count, "{name}");
            assert_eq!((reading.row_count as usize, reading.quarantined.len()), (count, 0), "{name}");
            assert_eq!((reading.listings.len(), reading.serp_entries.len()), (count, count), "{name}");
        }
        Expected::Row(resource, before, after) => {
            let text = recorded.text.as_deref().expect("a body");
            // The answer is about one listing alone, the frame is that of many; what was asked is the usual question.
            let framed = Question { fetched_at: question(resource, recorded).fetched_at, ..Question::of(resource) };
            let outcome = judge(name, &framed, format!("{before}{text}{after}").as_bytes());
            let reading = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((reading.listings.len(), reading.quarantined.len()), (1, 0), "{name}");
        }
        Expected::Refused(resource, reason) => {
            let error = judge(name, &question(resource, recorded), body).expect_err(name);
            assert!(error.to_string().starts_with(reason), "{name}: {error}");
        }
        Expected::Status(status, resource) => {
            let outcome = question(resource, recorded).read(body);
            assert_eq!((recorded.status, outcome), (status, Err(ReadError::Status(status))), "{name}");
        }
        Expected::NoBody => assert!(recorded.text.is_none(), "{name} has a body: say what must become of it"),
        Expected::NotOurs(what) => {
            assert!(recorded.status < 300, "{name} is said to be {what}, with status {}", recorded.status);
            for resource in Resource::ALL {
                let outcome = question(resource, recorded).read(body);
                let is_empty = outcome
                    .as_ref()
                    .is_ok_and(|reading| reading.observations.iter().all(|one| one.observed.value().is_none()));
                assert!(outcome.is_err() || is_empty, "{name}, {what}, was read as {resource}: {outcome:?}");
            }
        }
    }
}

fn judge(name: &str, question: &Question, body: &[u8]) -> Result<digitallz_processor::reading::Reading, ReadError> {
    let outcome = question.read(body);
    oracle::compare(question, body, &outcome).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    outcome
}
