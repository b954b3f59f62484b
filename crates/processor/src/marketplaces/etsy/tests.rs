//! What the reader makes of Etsy's answers.

use std::path::Path;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;
use serde_json::{Value, json};

use crate::marketplaces::testing::{self, fetched_at, observed, read};
use crate::reading::Reading;

const URL: &str = "https://openapi.etsy.com/v3/application/listings/active?keywords=blue%20mug&limit=100&sort_on=score";

fn search(url: &str, results: Value) -> RawPayload {
    let body = json!({"count": 310_579, "results": results});
    testing::payload(Marketplace::Etsy, Resource::ListingSearch, url, &body.to_string())
}

fn batch(results: Value) -> Reading {
    let url = "https://openapi.etsy.com/v3/application/listings/batch?listing_ids=1,2";
    let body = json!({"count": 2, "results": results});
    let payload = testing::payload(Marketplace::Etsy, Resource::ListingBatch, url, &body.to_string());
    read(&payload).expect("a reading")
}

#[test]
fn a_page_of_two_listings_is_read_in_full() {
    let results = json!([
        {
            "listing_id": 9_007_199_254_740_993_u64, "user_id": 1, "shop_id": 8_614_061, "state": "active",
            "title": "Mom&#39;s Blue Mug, Handmade", "url": "https://www.etsy.com/listing/1/blue-mug",
            "creation_timestamp": 1_636_684_765, "created_timestamp": 1_636_684_765,
            "original_creation_timestamp": 1_603_936_721, "num_favorers": 273, "listing_type": 0,
            "price": {"amount": 4000, "divisor": 100, "currency_code": "USD"}, "tags": ["mug"]
        },
        {
            "listing_id": 2, "shop_id": 8_614_061, "title": "Green cup", "created_timestamp": 1_700_000_000,
            "num_favorers": 4, "listing_type": "download",
            "price": {"amount": 5, "divisor": 1, "currency_code": "EUR"}
        }
    ]);
    insta::assert_debug_snapshot!(read(&search(URL, results)).expect("a reading"));
}

#[test]
fn an_answer_does_not_say_where_it_stands_so_the_request_does() {
    let reading = read(&search(&format!("{URL}&offset=200"), json!([{"listing_id": 5}]))).expect("a reading");
    assert_eq!(reading.serp_entries[0].position, 201);
    assert!(reading.observations.is_empty());
    assert!(read(&search(&format!("{URL}&offset=many"), json!([]))).is_err());
}

#[test]
fn what_breaks_the_contract_is_set_aside_row_by_row() {
    let results = json!([
        {"listing_id": 0},
        {"listing_id": 1, "price": {"amount": 5, "divisor": 0, "currency_code": "USD"}},
        {"listing_id": 2, "price": {"amount": -5, "divisor": 100, "currency_code": "USD"}},
        {"listing_id": 3, "price": {"amount": 5, "divisor": 100, "currency_code": "dollars"}},
        {"listing_id": 4, "original_creation_timestamp": 12},
        {"listing_id": 5, "num_favorers": 1.5},
        {"listing_id": 6, "title": "Blue mug"}
    ]);
    let reading = read(&search(URL, results)).expect("a reading");
    let reasons: Vec<&str> = reading.quarantined.iter().map(|row| row.reason.as_str()).collect();
    assert_eq!(reasons[0], "/listing_id: not an identifier");
    assert_eq!(reasons[1], "/price/divisor: 0 is not a power of ten");
    assert!(reasons[2].starts_with("/price/amount: invalid value: integer `-5`"));
    assert_eq!(reasons[3], "/price/currency_code: not a currency code");
    assert_eq!(reasons[4], "/original_creation_timestamp: 12 is not a time since 2000");
    assert!(reasons[5].starts_with("/num_favorers: invalid type: floating point"));
    assert_eq!((reading.serp_entries[0].position, reading.listings.len()), (7, 1));
    assert_eq!(observed(&reading, 7, Metric::SellerCount), Some(Observed::Unavailable("no entry names one")));
    assert_eq!(observed(&reading, 7, Metric::PriceMedian), Some(Observed::Unavailable("no entry has a price")));
}

#[test]
fn the_views_of_a_new_listing_are_not_zero() {
    let now = fetched_at().timestamp();
    let reading = batch(json!([
        {"listing_id": 1, "original_creation_timestamp": now - 3_600, "views": 0},
        {"listing_id": 2, "original_creation_timestamp": now - 86_400, "views": 0},
        {"listing_id": 3, "original_creation_timestamp": now - 3_600, "views": 12},
        {"listing_id": 4, "original_creation_timestamp": now - 3_600}
    ]));
    let views: Vec<Option<i64>> = reading.listings.iter().map(|listing| listing.view_count).collect();
    assert_eq!(views, [None, Some(0), Some(12), None]);
    assert_eq!(reading.observations.len(), 1);
    assert_eq!(observed(&reading, 7, Metric::ListingViewsTotal), Some(Observed::Value(12.0)));
    assert_eq!(reading.serp_entries, []);
}

#[test]
fn views_that_nobody_tells_are_unavailable() {
    let untold = Some(Observed::Unavailable("no listing of the page tells its views"));
    assert_eq!(observed(&batch(json!([{"listing_id": 1}])), 7, Metric::ListingViewsTotal), untold);
    assert_eq!(observed(&batch(json!([])), 7, Metric::ListingViewsTotal), untold);
}

#[test]
fn a_recorded_listing_is_read() {
    let recording =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads/etsy/v3_listing_single_2021-11.har");
    let Ok(text) = std::fs::read_to_string(&recording) else {
        println!("skipped: no recording at {}", recording.display());
        return;
    };
    let har: Value = serde_json::from_str(&text).expect("a recording");
    let listing = har["log"]["entries"][0]["response"]["content"]["text"].as_str().expect("a body");
    let listing: Value = serde_json::from_str(listing).expect("a listing");
    let reading = read(&search(URL, json!([listing]))).expect("a reading");
    assert_eq!(reading.quarantined, []);
    let listing = &reading.listings[0];
    assert_eq!(listing.marketplace_listing_id, "894818171");
    assert_eq!(listing.price.as_ref().map(|price| price.amount.to_string()), Some("39.99".to_owned()));
    assert_eq!(listing.listed_at.map(|at| at.timestamp()), Some(1_603_936_721));
    assert_eq!(listing.favorite_count, Some(273));
}
