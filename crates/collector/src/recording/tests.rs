//! Recordings as browsers and proxies save them, entry by entry.

use digitallz_common::failure::chain;

use super::*;

fn entry(url: &str, started: &str, status: u16, content: &str) -> String {
    format!(
        r#"{{"startedDateTime": "{started}", "request": {{"method": "GET", "url": "{url}", "headers": []}},
            "response": {{"status": {status}, "headers": [{{"name": "Set-Cookie", "value": "a=b"}}], "content": {content}}}}}"#
    )
}

const SEARCH: &str = "https://api.ebay.com/buy/browse/v1/item_summary/search?q=iphone";
const TIME: &str = "2020-03-17T09:55:00.5+01:00";
const CONTENT: &str = r#"{"mimeType": "application/json", "text": "{\"total\": 0}"}"#;

fn outcome(text: &str) -> (HarOutcome, String) {
    match read_entry(0, text) {
        Ok(_) => (HarOutcome::Stored, String::new()),
        Err(report) => (report.outcome, report.reason),
    }
}

#[test]
fn a_good_entry_is_read_with_its_time_and_body() {
    let recorded = read_entry(3, &entry(SEARCH, TIME, 200, CONTENT)).map_err(|report| report.reason).unwrap();
    assert_eq!(recorded.recorded_at.to_rfc3339(), "2020-03-17T08:55:00.500+00:00");
    assert_eq!(recorded.body, br#"{"total": 0}"#);
    assert_eq!(recorded.entry.open_headers(), serde_json::json!({}));
    assert_eq!((recorded.report.entry_index, recorded.report.url.as_str()), (3, SEARCH));

    let parsed = r#"{"mimeType": "application/json", "text": {"total": 0.10, "itemSummaries": []}}"#;
    let recorded = read_entry(0, &entry(SEARCH, TIME, 200, parsed)).map_err(|report| report.reason).unwrap();
    assert_eq!(recorded.body, br#"{"total": 0.10, "itemSummaries": []}"#);

    let packed = r#"{"text": "eyJ0b3RhbCI6\nIDB9", "encoding": "base64"}"#;
    let recorded = read_entry(0, &entry(SEARCH, TIME, 200, packed)).map_err(|report| report.reason).unwrap();
    assert_eq!(recorded.body, br#"{"total": 0}"#);
}

#[test]
fn every_other_entry_has_a_reason() {
    for (text, expected, reason) in [
        (entry(SEARCH, TIME, 429, CONTENT), HarOutcome::ErrorAnswer, "status 429"),
        (entry(SEARCH, TIME, 0, "{}"), HarOutcome::ErrorAnswer, "status 0"),
        (entry(SEARCH, TIME, 200, "{}"), HarOutcome::Unreadable, "without its body"),
        (entry(SEARCH, TIME, 200, r#"{"text": ""}"#), HarOutcome::Unreadable, "without its body"),
        (entry(SEARCH, TIME, 200, r#"{"text": "%", "encoding": "base64"}"#), HarOutcome::Unreadable, "base64"),
        (entry(SEARCH, TIME, 200, r#"{"text": 5}"#), HarOutcome::Unreadable, "neither a text nor JSON"),
        (entry(&format!("{SEARCH}&sort=price"), TIME, 200, CONTENT), HarOutcome::NotOurs, "sort=price"),
        (entry(SEARCH, "", 200, CONTENT), HarOutcome::Unreadable, "no time"),
        (entry(SEARCH, "1970-01-01T00:00:00+00:00", 200, CONTENT), HarOutcome::Unreadable, "no time"),
        (entry("https://api.amazon.com/auth/o2/token", TIME, 200, CONTENT), HarOutcome::NotOurs, "token"),
        (entry("no address", TIME, 200, CONTENT), HarOutcome::Unreadable, "address"),
        ("{}".to_owned(), HarOutcome::Unreadable, "missing field"),
        ("[1]".to_owned(), HarOutcome::Unreadable, "no HAR entry"),
    ] {
        let (outcome, why) = outcome(&text);
        assert!(outcome == expected && why.contains(reason), "{text}: {outcome:?} {why}");
    }
}

#[test]
fn a_malformed_file_is_refused_with_its_position() {
    let error = |text: &str| HarError::Malformed {
        file: "a.har".to_owned(),
        source: Har::parse(text.as_bytes()).err().unwrap(),
    };
    let truncated = chain(&error("{\"log\": {\"entries\": [\n {\"request\""));
    assert!(truncated.starts_with("a.har is no HAR file: ") && truncated.contains("line 2"), "{truncated}");
    assert!(chain(&error("{}")).contains("missing field `log`"));
    assert!(Har::parse(b"\xef\xbb\xbf{\"log\": {\"version\": \"1.2\", \"entries\": []}}").is_ok());
}

#[test]
fn batches_and_page_tokens_belong_to_the_search_before_them() {
    let url = |text: &str| url::Url::parse(text).unwrap();
    let recognised = |text: &str| recognise("GET", &url(text), None).unwrap();
    let mut searches = Searches::default();
    let search = recognised("https://e/v3/application/listings/active?keywords=a&sort_on=score");
    searches.remember(&search, Some(7), br#"{"count": 1, "results": [{"listing_id": 11}]}"#);
    let batch = recognised("https://e/v3/application/listings/batch?listing_ids=10,11");
    assert_eq!(searches.keyword_of_batch(&batch), Some(7));
    assert_eq!(searches.keyword_of_batch(&recognised("https://e/v3/application/listings/batch?listing_ids=12")), None);

    let page = "https://a/catalog/2022-04-01/items?marketplaceIds=ATVPDKIKX0DER&keywords=b";
    assert_eq!(searches.remember(&recognised(page), Some(8), b""), 1);
    assert_eq!(searches.remember(&recognised(&format!("{page}&pageToken=t")), Some(8), b""), 2);
    assert_eq!(searches.remember(&recognised(&format!("{page}&pageToken=u")), Some(8), b""), 3);
}

#[test]
fn the_same_file_has_the_same_run() {
    let site = |market: &str| Site {
        marketplace: digitallz_common::marketplace::Marketplace::Ebay,
        market: market.to_owned(),
    };
    assert_eq!(crawl_run_id(&[1; 32], &site("US")), crawl_run_id(&[1; 32], &site("US")));
    assert_ne!(crawl_run_id(&[1; 32], &site("US")), crawl_run_id(&[1; 32], &site("DE")));
    assert_ne!(crawl_run_id(&[1; 32], &site("US")), crawl_run_id(&[2; 32], &site("US")));
}

#[test]
fn the_recordings_of_others_are_told_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads");
    let Ok(marketplaces) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: there is no folder {}", folder.display());
        return;
    };
    let mut good = Vec::new();
    for path in marketplaces
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .flat_map(|entry| std::fs::read_dir(entry.path()).unwrap())
    {
        let path = path.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "har") {
            continue;
        }
        for entry in Har::parse(&std::fs::read(&path).unwrap()).unwrap().entries {
            match read_entry(0, entry.get()) {
                Ok(recorded) => good.push((path.file_name().unwrap().to_owned(), recorded.recognised.resource)),
                Err(report) => assert!(!report.reason.is_empty()),
            }
        }
    }
    assert_eq!(good, [("browse_search_iphone_2020-03-17.har".into(), Resource::ItemSearch)]);
}
