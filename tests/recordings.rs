//! Recorded answers of real marketplaces, brought in as a user brings them. They stay beside the repository.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::{TestDatabase, command, reference, scratch, stderr, stdout};

fn ingest(database: &TestDatabase, files: &[&Path]) -> Output {
    let mut command = command(&["--json", "ingest", "--har"]);
    command.args(files).env("DATABASE_URL", database.url.expose()).output().unwrap()
}

/// Returns outcome and reason of every entry of every file.
fn entries(output: &Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)));
    report["recordings"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|recording| recording["entries"].as_array().unwrap())
        .map(|entry| (entry["outcome"].as_str().unwrap().to_owned(), entry["reason"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_search_gives_its_fifty_entries_and_twice_changes_nothing() {
    let Some(payloads) = reference("payloads") else { return };
    let database = TestDatabase::new().await;
    let file = payloads.join("ebay/browse_search_iphone_2020-03-17.har");
    let output = ingest(&database, &[&file]);
    assert!(output.status.success(), "{}", stderr(&output));

    // What the recording itself says, read here without the program.
    let har: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let text = har["log"]["entries"][0]["response"]["content"]["text"].as_str().unwrap();
    let answer: Value = serde_json::from_str(text).unwrap();
    let expected: Vec<String> = answer["itemSummaries"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let price = if item["price"].is_null() { &item["currentBidPrice"] } else { &item["price"] };
            format!(
                "{} {} {} {} {}",
                index + 1,
                item["itemId"].as_str().unwrap(),
                price["value"].as_str().unwrap(),
                price["currency"].as_str().unwrap(),
                item["seller"]["username"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(expected.len(), 50);
    let entries_sql = "select format('%s %s %s %s %s', position, marketplace_listing_id, price_amount, price_currency, seller) from analytics.serp_entries_v1 order by position";
    assert_eq!(database.texts(entries_sql).await, expected);
    let total = "select format('%s %s %s %s', keyword_text, market, value, observed_at at time zone 'utc') from analytics.keyword_observations_v1 where metric = 'result_count'";
    assert_eq!(database.texts(total).await, ["iphone US 3693618 2020-03-17 09:55:00"]);

    let fingerprint = "select concat_ws(' ', (select count(*) from raw.payloads), (select count(*) from raw.payload_readings), (select count(*) from ops.jobs), (select count(*) from ops.crawl_runs), (select md5(string_agg(o::text, '' order by keyword_observation_id)) from core.keyword_observations o), (select md5(string_agg(l::text, '' order by listing_id)) from core.listings l), (select md5(string_agg(e::text, '' order by position)) from core.serp_entries e))";
    let before = database.texts(fingerprint).await;
    let again = ingest(&database, &[&file]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(entries(&again).iter().all(|(outcome, _)| outcome == "already_known"), "{:?}", entries(&again));
    assert_eq!(database.texts(fingerprint).await, before);
    assert!(digitallz::commands::runs::sums(&database.db, None).await.unwrap().is_closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_is_reported_entry_by_entry_and_errors_become_no_value() {
    let Some(payloads) = reference("payloads") else { return };
    let database = TestDatabase::new().await;
    for marketplace in ["amazon", "ebay", "etsy"] {
        for entry in std::fs::read_dir(payloads.join(marketplace)).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "har") {
                continue;
            }
            let har: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let output = ingest(&database, &[&file]);
            assert!(output.status.success(), "{}: {}", file.display(), stderr(&output));
            let reported = entries(&output);
            assert_eq!(reported.len(), har["log"]["entries"].as_array().unwrap().len(), "{}", file.display());
            for (index, (outcome, reason)) in reported.iter().enumerate() {
                assert!(!reason.is_empty(), "{} {outcome}", file.display());
                let status = har["log"]["entries"][index]["response"]["status"].as_u64().unwrap();
                assert!(
                    status < 400 || outcome == "error_answer" || outcome == "not_ours",
                    "{}: {outcome}: {reason}",
                    file.display()
                );
            }
        }
    }
    assert_eq!(database.texts("select distinct status_code::text from raw.payloads").await, ["200"]);
    assert!(digitallz::commands::runs::sums(&database.db, None).await.unwrap().is_closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_recordings_give_clear_messages() {
    let Some(payloads) = reference("payloads") else { return };
    let database = TestDatabase::new().await;
    for (file, word) in [
        ("ebay/oauth_bad_credentials_401.har", "401"),
        ("amazon/pricing_429_quota_exceeded.har", "429"),
        ("amazon/report_document_url_expired_403.har", "403"),
        ("amazon/lwa_bad_request_400.har", "400"),
    ] {
        let output = ingest(&database, &[&payloads.join(file)]);
        let said = format!("{}{:?}", stdout(&output), entries(&output));
        assert!(said.contains(word), "{file}: {said}");
        assert!(!said.contains("X-Amz-Signature=") || said.contains("removed"), "{file}: {said}");
    }
    assert_eq!(database.count("select count(*) from raw.payloads").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_recording_is_one_clear_error() {
    let database = TestDatabase::new().await;
    let directory = scratch("no-har");
    let broken = directory.join("broken.har");
    std::fs::write(&broken, "{\"log\": {").unwrap();
    let output = ingest(&database, &[&broken]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("broken.har"), "{}", stderr(&output));
    let missing = ingest(&database, &[&directory.join("missing.har")]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("missing.har"), "{}", stderr(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_entry_does_not_spoil_the_others() {
    let database = TestDatabase::new().await;
    let answer = serde_json::json!({"href": "https://api.ebay.com/x", "total": 1, "limit": 50, "offset": 0, "itemSummaries": [
        {"itemId": "v1|1|0", "title": "Lamp", "price": {"value": "9.90", "currency": "USD"}, "seller": {"username": "me"}}
    ]});
    let entry = |url: &str, status: u16, text: &str| {
        serde_json::json!({"startedDateTime": "2026-03-11T06:00:00Z", "request": {"method": "GET", "url": url, "headers": []},
            "response": {"status": status, "headers": [], "content": {"mimeType": "application/json", "text": text}}})
    };
    let har = serde_json::json!({"log": {"version": "1.2", "entries": [
        {"startedDateTime": 5},
        entry("https://example.com/", 200, "{}"),
        entry("https://api.ebay.com/buy/browse/v1/item_summary/search?q=lamp", 200, &answer.to_string()),
    ]}});
    let file = scratch("mixed-har").join("mixed.har");
    std::fs::write(&file, har.to_string()).unwrap();
    let output = ingest(&database, &[&file]);
    let outcomes: Vec<String> = entries(&output).into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["unreadable", "not_ours", "stored"]);
    assert_eq!(
        database.texts("select format('%s %s', price_amount, seller) from analytics.serp_entries_v1").await,
        ["9.90 me"]
    );
}
