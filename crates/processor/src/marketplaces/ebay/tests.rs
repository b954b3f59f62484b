//! What the reader makes of eBay's answers.

use std::path::Path;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::marketplaces::testing::{self, observed, read};
use crate::reading::{EntryKind, ReadError};

const URL: &str = "https://api.ebay.com/buy/browse/v1/item_summary/search?q=blue+mug&filter=buyingOptions%3A%7BAUCTION%7CFIXED_PRICE%7D&limit=50&offset=0";

fn search(url: &str, body: &Value) -> RawPayload {
    testing::payload(Marketplace::Ebay, Resource::ItemSearch, url, &body.to_string())
}

fn page(offset: u64, items: Value) -> Value {
    json!({"href": URL, "total": 1234, "limit": 50, "offset": offset, "itemSummaries": items})
}

fn item(number: u32, seller: &str, price: &str) -> Value {
    json!({
        "itemId": format!("v1|{number}|0"), "title": "Blue Mug", "buyingOptions": ["FIXED_PRICE"],
        "price": {"value": price, "currency": "USD"},
        "seller": {"username": seller, "feedbackPercentage": "99.4", "feedbackScore": 100}
    })
}

#[test]
fn a_page_of_three_items_is_read_in_full() {
    let body = page(
        0,
        json!([
            {
                "itemId": "v1|1|0", "title": "Blue Mug &amp; Saucer", "buyingOptions": ["FIXED_PRICE", "BEST_OFFER"],
                "price": {"value": "12.50", "currency": "USD", "convertedFromValue": "9.80", "convertedFromCurrency": "GBP"},
                "seller": {"username": "potter", "feedbackPercentage": "100.0", "feedbackScore": 45169},
                "itemWebUrl": "https://www.ebay.com/itm/1", "itemCreationDate": "2026-03-01T08:30:00.000Z",
                "priorityListing": true, "itemLocation": {"country": "GB"}
            },
            {
                "itemId": "v1|2|22", "title": "Mug, blue", "buyingOptions": ["AUCTION"], "bidCount": 4,
                "currentBidPrice": {"value": "3.00", "currency": "USD"}, "seller": {"username": "potter", "feedbackScore": 45170}
            },
            {
                "itemId": "v1|3|0", "title": "Red cup", "buyingOptions": ["FIXED_PRICE"],
                "price": {"value": "7.00", "currency": "USD"}, "seller": {"username": "kiln", "feedbackScore": -2}
            }
        ]),
    );
    insta::assert_debug_snapshot!(read(&search(URL, &body)).expect("a reading"));
}

#[test]
fn a_broken_row_is_set_aside_and_moves_no_other() {
    let mut broken = item(2, "kiln", "1.00");
    broken["seller"]["feedbackScore"] = json!("many");
    let body =
        page(50, json!([item(1, "potter", "2.00"), broken, null, item(4, "potter", "12,00"), item(5, "a", "4")]));
    let reading = read(&search(URL, &body)).expect("a reading");

    let positions: Vec<i32> = reading.serp_entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, [51, 55]);
    assert_eq!(reading.row_count, 5);
    let places: Vec<&str> = reading.quarantined.iter().map(|row| row.json_pointer.as_str()).collect();
    assert_eq!(places, ["/itemSummaries/1", "/itemSummaries/2", "/itemSummaries/3"]);
    assert!(reading.quarantined[0].reason.starts_with("/seller/feedbackScore: invalid type: string"));
    assert_eq!(reading.quarantined[2].reason, "/price/value: \"12,00\" is not an amount");
    assert!(reading.quarantined[0].row_text.contains("\"many\""));
}

#[test]
fn a_row_is_kept_for_inspection_up_to_4000_characters() {
    let body = page(0, json!([{"itemId": 5, "title": "é".repeat(9_000)}]));
    let reading = read(&search(URL, &body)).expect("a reading");
    assert_eq!(reading.quarantined[0].row_text.chars().count(), 4_000);
    let unreadable = Observed::Unavailable("no readable entries on the page");
    assert_eq!(observed(&reading, 7, Metric::SellerCount), Some(unreadable.clone()));
    assert_eq!(observed(&reading, 7, Metric::AuctionBids), Some(unreadable));
    assert_eq!(observed(&reading, 7, Metric::ResultCount), Some(Observed::Value(1234.0)));
}

#[test]
fn no_results_are_a_true_zero() {
    let body = json!({"href": URL, "total": 0, "limit": 50, "offset": 0, "warnings": [{"errorId": 12002}]});
    let reading = read(&search(URL, &body)).expect("a reading");
    for metric in [Metric::ResultCount, Metric::SellerCount, Metric::AuctionCount, Metric::AuctionBids] {
        assert_eq!(observed(&reading, 7, metric), Some(Observed::Value(0.0)), "{metric:?}");
    }
    for metric in [Metric::PriceMedian, Metric::SellerConcentration, Metric::TitleMatchShare, Metric::PromotedShare] {
        let absent = Some(Observed::Unavailable("no entries on the page"));
        assert_eq!(observed(&reading, 7, metric), absent, "{metric:?}");
    }
}

#[test]
fn without_its_frame_an_answer_is_not_zero() {
    for (body, reason) in [
        (json!({}), "missing field `href`"),
        (json!({"href": URL, "total": 0, "limit": 50}), "missing field `offset`"),
        (json!({"href": URL, "total": 3, "limit": 50, "offset": 0}), "/itemSummaries: absent, although total is 3"),
        (json!({"href": URL, "total": -1, "limit": 50, "offset": 0}), "/total: invalid value: integer `-1`"),
        (
            json!({"href": URL, "total": 1, "limit": 50, "offset": 0, "itemSummaries": {}}),
            "/itemSummaries: invalid type: map",
        ),
        (json!({"href": URL, "total": 1, "limit": 50, "offset": 999999999, "itemSummaries": []}), "position 999999999"),
    ] {
        let error = read(&search(URL, &body)).expect_err("not readable");
        assert!(error.to_string().starts_with(reason), "{error}");
    }
    let mut html = search(URL, &json!({}));
    html.body = b"<html>busy</html>".to_vec();
    assert!(matches!(read(&html), Err(ReadError::Contract(_))));
    html.status_code = 503;
    assert_eq!(read(&html), Err(ReadError::Status(503)));
}

#[test]
fn later_pages_give_positions_and_no_observations() {
    let reading = read(&search(URL, &page(100, json!([item(1, "a", "1.00")])))).expect("a reading");
    assert!(reading.observations.is_empty());
    assert_eq!(reading.serp_entries[0].position, 101);
    let beyond = json!({"href": URL, "total": 7, "limit": 50, "offset": 100});
    assert_eq!(read(&search(URL, &beyond)).expect("a reading").serp_entries, []);
}

#[test]
fn auctions_that_were_not_asked_for_are_not_zero() {
    let plain_url = "https://api.ebay.com/buy/browse/v1/item_summary/search?q=blue+mug&sort=price";
    let reading = read(&search(plain_url, &page(0, json!([item(1, "a", "1.00")])))).expect("a reading");
    let unasked = Some(Observed::Unavailable("the search did not ask for auctions"));
    assert_eq!(observed(&reading, 7, Metric::AuctionBids), unasked);
    assert_eq!(observed(&reading, 7, Metric::AuctionCount), unasked);
    let unmarked = Some(Observed::Unavailable("promoted items are marked under best match only"));
    assert_eq!(observed(&reading, 7, Metric::PromotedShare), unmarked);
}

#[test]
fn an_item_shown_twice_is_one_listing_at_two_positions() {
    let mut promoted = item(1, "a", "1.00");
    promoted["priorityListing"] = json!(true);
    let reading = read(&search(URL, &page(0, json!([item(1, "a", "1.00"), promoted])))).expect("a reading");
    assert_eq!(reading.listings.len(), 1);
    assert_eq!(reading.listings[0].is_promoted, Some(true));
    let kinds: Vec<EntryKind> = reading.serp_entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Organic, EntryKind::Sponsored]);
}

#[test]
fn the_median_price_is_of_the_most_frequent_currency() {
    let mut foreign = item(3, "c", "900.00");
    foreign["price"]["currency"] = json!("JPY");
    let body = page(0, json!([item(1, "a", "10.10"), item(2, "b", "10.20"), foreign]));
    let reading = read(&search(URL, &body)).expect("a reading");
    let median = reading.observations.iter().find(|one| one.metric == Metric::PriceMedian).expect("a median");
    assert_eq!((median.observed.value(), median.unit.as_str()), (Some(10.15), "USD"));
}

#[test]
fn a_recorded_answer_is_read_item_by_item() {
    let recording =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads/ebay/browse_search_iphone_2020-03-17.har");
    let Ok(text) = std::fs::read_to_string(&recording) else {
        println!("skipped: no recording at {}", recording.display());
        return;
    };
    let har: Value = serde_json::from_str(&text).expect("a recording");
    let entry = &har["log"]["entries"][0];
    let body = entry["response"]["content"]["text"].as_str().expect("a body");
    let url = entry["request"]["url"].as_str().expect("an address");
    let reading = read(&testing::payload(Marketplace::Ebay, Resource::ItemSearch, url, body)).expect("a reading");

    assert_eq!(observed(&reading, 7, Metric::ResultCount), Some(Observed::Value(3_693_618.0)));
    assert_eq!((reading.row_count, reading.listings.len(), reading.quarantined.len()), (50, 50, 0));
    let body: Value = serde_json::from_str(body).expect("JSON");
    for (index, item) in body["itemSummaries"].as_array().expect("items").iter().enumerate() {
        let entry = &reading.serp_entries[index];
        let listing = &reading.listings[index];
        assert_eq!(entry.position as usize, index + 1);
        assert_eq!(entry.marketplace_listing_id, item["itemId"].as_str().expect("an id"));
        assert_eq!(listing.marketplace_listing_id, entry.marketplace_listing_id);
        let price = listing.price.as_ref().expect("a price");
        assert_eq!(price.amount.to_string(), item["price"]["value"].as_str().expect("a value"));
        assert_eq!(price.currency, item["price"]["currency"].as_str().expect("a currency"));
        assert_eq!(listing.seller.as_deref(), item["seller"]["username"].as_str());
    }
    assert_eq!(reading.listings[0].price.as_ref().map(|price| price.amount), Some(Decimal::new(37_999, 2)));
}
