//! What the readers make of eBay's items, categories, sales and bids.

use std::path::Path;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed, Period};
use serde_json::{Value, json};

use crate::bids::SUGGESTED;
use crate::marketplaces::testing::{self, fetched_at, observed, read, tracked, value};
use crate::reading::{CategoryReading, ReadError, Reading};

const ITEMS_URL: &str = "https://api.ebay.com/buy/browse/v1/item/?item_ids=v1%7C1%7C0%2Cv1%7C2%7C0%2Cv1%7C3%7C0";

fn item(number: u32, availabilities: Value) -> Value {
    json!({
        "itemId": format!("v1|{number}|0"), "title": "Blue Mug", "price": {"value": "12.50", "currency": "USD"},
        "seller": {"username": "potter", "feedbackScore": 7}, "buyingOptions": ["FIXED_PRICE"],
        "estimatedAvailabilities": availabilities
    })
}

fn read_items(body: &Value, page_number: i32) -> Result<Reading, ReadError> {
    let mut payload = testing::payload(Marketplace::Ebay, Resource::ItemDetails, ITEMS_URL, &body.to_string());
    payload.page_number = page_number;
    read(&payload)
}

#[test]
fn items_tell_what_was_sold_and_those_that_are_gone_are_counted() {
    let mut reviewed = item(1, json!([{"estimatedSoldQuantity": 2_166, "estimatedAvailableQuantity": 4}]));
    reviewed["primaryProductReviewRating"] = json!({"reviewCount": 453, "averageRating": "4.8"});
    reviewed["watchCount"] = json!(12);
    let untold = item(2, json!([{"availabilityThreshold": 10, "availabilityThresholdType": "MORE_THAN"}]));
    let body = json!({"items": [reviewed, untold], "total": 2, "warnings": [{"errorId": 11001, "message": "gone"}]});
    let reading = read_items(&body, 1).expect("a reading");
    let listing = &reading.listings[0];
    assert_eq!(
        (listing.sold_count, listing.available_count, listing.review_count, listing.watch_count),
        (Some(2_166), Some(4), Some(453), Some(12))
    );
    assert_eq!((reading.listings[1].sold_count, reading.listings[1].available_count), (None, None));
    assert_eq!(value(&reading, 7, Metric::SoldCountTotal), Some((2_166.0, "sales".to_owned())));
    assert_eq!(value(&reading, 7, Metric::SoldCountListings), Some((1.0, "listings".to_owned())));
    assert_eq!((reading.row_count, reading.missing_row_count, reading.quarantined.len()), (2, 1, 0));
}

#[test]
fn sales_that_nobody_tells_are_unavailable() {
    let untold = Some(Observed::Unavailable("no item tells how many were sold"));
    let reading = read_items(&json!({"items": [item(1, json!([]))]}), 1).expect("a reading");
    assert_eq!(observed(&reading, 7, Metric::SoldCountTotal), untold);
    assert_eq!(observed(&reading, 7, Metric::SoldCountListings), Some(Observed::Value(0.0)));
    let all_gone = read_items(&json!({"warnings": [{"errorId": 11001}]}), 1).expect("a reading");
    assert_eq!(observed(&all_gone, 7, Metric::SoldCountTotal), untold);
    assert_eq!(all_gone.missing_row_count, 3);
    let later = read_items(&json!({"items": [item(1, json!([{"estimatedSoldQuantity": 1}]))]}), 2).expect("a reading");
    assert_eq!((later.observations.len(), later.listings.len()), (0, 1));
    assert!(matches!(read_items(&json!({"itemSummaries": []}), 1), Err(ReadError::Contract(_))));
}

#[test]
fn a_broken_item_costs_itself() {
    let broken = item(1, json!([{"estimatedSoldQuantity": "many"}]));
    let sound = item(2, json!([{"estimatedSoldQuantity": 0}]));
    let reading = read_items(&json!({"items": [broken, sound]}), 1).expect("a reading");
    assert_eq!(reading.quarantined[0].json_pointer, "/items/0");
    assert!(
        reading.quarantined[0].reason.starts_with("/estimatedAvailabilities/0/estimatedSoldQuantity: invalid type")
    );
    assert_eq!(observed(&reading, 7, Metric::SoldCountTotal), Some(Observed::Value(0.0)));
}

#[test]
fn a_recorded_item_is_read() {
    let recording =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads/ebay/browse_get_item_2020-03-17.har");
    let Ok(text) = std::fs::read_to_string(&recording) else {
        println!("skipped: no recording at {}", recording.display());
        return;
    };
    let har: Value = serde_json::from_str(&text).expect("a recording");
    let text = har["log"]["entries"][0]["response"]["content"]["text"].as_str().expect("a body");
    let item: Value = serde_json::from_str(text).expect("an item");
    let reading = read_items(&json!({"items": [item]}), 1).expect("a reading");
    assert_eq!(reading.quarantined, []);
    let listing = &reading.listings[0];
    assert_eq!(listing.marketplace_listing_id, "v1|312593647853|0");
    assert_eq!((listing.sold_count, listing.available_count, listing.review_count), (Some(0), Some(1), Some(453)));
    assert_eq!(listing.price.as_ref().map(|price| price.amount.to_string()), Some("173.52".to_owned()));
}

fn read_categories(status_code: u16, body: &str) -> Result<Reading, ReadError> {
    let url = "https://api.ebay.com/commerce/taxonomy/v1/category_tree/0/get_category_suggestions?q=blue%20mug";
    let mut payload = testing::payload(Marketplace::Ebay, Resource::CategorySuggestions, url, body);
    payload.status_code = status_code;
    read(&payload)
}

#[test]
fn categories_keep_their_order_and_no_content_is_none() {
    let body = json!({"categoryTreeId": "0", "categorySuggestions": [
        {"category": {"categoryId": "20695", "categoryName": "Mugs &amp; Cups"}, "categoryTreeNodeLevel": 3},
        {"category": {}},
        {"category": {"categoryId": "177009"}}
    ]});
    let reading = read_categories(200, &body.to_string()).expect("a reading");
    let category = |relevancy_rank, id: &str, name: Option<&str>| CategoryReading {
        relevancy_rank,
        category_id: id.to_owned(),
        category_name: name.map(str::to_owned),
    };
    assert_eq!(reading.categories, [category(1, "20695", Some("Mugs & Cups")), category(3, "177009", None)]);
    assert_eq!(reading.quarantined[0].json_pointer, "/categorySuggestions/1");
    assert_eq!(read_categories(204, ""), Ok(Reading::default()));
    assert!(read_categories(200, "").is_err());
}

fn read_sales(body: &Value) -> Result<Reading, ReadError> {
    let url = "https://api.ebay.com/buy/marketplace_insights/v1_beta/item_sales/search?q=blue,mug&category_ids=20695";
    read(&testing::payload(Marketplace::Ebay, Resource::ItemSales, url, &body.to_string()))
}

fn sold(number: u32, quantity: u64, price: &str, currency: &str) -> Value {
    json!({"itemId": format!("v1|{number}|0"), "totalSoldQuantity": quantity,
           "lastSoldPrice": {"value": price, "currency": currency}, "lastSoldDate": "2026-08-01T00:00:00.000Z"})
}

#[test]
fn sales_are_about_the_ninety_days_before() {
    let items = [sold(1, 30, "10.00", "USD"), sold(2, 12, "11.00", "USD"), sold(3, 1, "900.00", "JPY")];
    let body = json!({"href": "https://", "total": 321, "limit": 50, "offset": 0, "itemSales": items});
    let reading = read_sales(&body).expect("a reading");
    assert_eq!(value(&reading, 7, Metric::SoldListingCount), Some((321.0, "listings".to_owned())));
    assert_eq!(value(&reading, 7, Metric::SoldQuantity90d), Some((43.0, "sales".to_owned())));
    assert_eq!(value(&reading, 7, Metric::SoldPriceMedian), Some((10.5, "USD".to_owned())));
    let period = reading.observations[0].period;
    assert_eq!(period, Period::Trailing90Days(fetched_at()));
    assert_eq!((period.end_date() - period.start_date()).num_days() + 1, 90);
    assert_eq!((reading.listings.len(), reading.row_count), (0, 3));
}

#[test]
fn nothing_sold_is_a_true_zero_and_has_no_price() {
    let reading = read_sales(&json!({"total": 0, "limit": 50, "offset": 0})).expect("a reading");
    assert_eq!(observed(&reading, 7, Metric::SoldQuantity90d), Some(Observed::Value(0.0)));
    let unpriced = Some(Observed::Unavailable("no entries on the page"));
    assert_eq!(observed(&reading, 7, Metric::SoldPriceMedian), unpriced);
    let reading = read_sales(&json!({"total": 1, "itemSales": [{"itemId": "v1|1|0"}]})).expect("a reading");
    let untold = Some(Observed::Unavailable("no entry tells how many were sold"));
    assert_eq!(observed(&reading, 7, Metric::SoldQuantity90d), untold);
    assert!(read_sales(&json!({"total": 5, "offset": 0})).is_err());
    let later = read_sales(&json!({"total": 5, "offset": 200, "itemSales": []})).expect("a reading");
    assert_eq!(later.observations, []);
}

#[test]
fn bids_are_read_by_the_text_of_the_keyword() {
    let bid = |text: &str, match_type: &str, value: &str| {
        json!({"keywordText": text, "matchType": match_type,
               "proposedBid": {"currency": "USD", "value": value, "rangeStart": "0.20", "rangeEnd": "0.60"}})
    };
    let rows = json!([
        bid("Blue Mug", "BROAD", "0.10"),
        bid("Blue Mug", "EXACT", "0.41"),
        bid("nobody", "EXACT", "1"),
        bid("red mug", "EXACT", "0,41"),
        bid("dear mug", "EXACT", "123.00")
    ]);
    let body = json!({ "suggestedBids": rows }).to_string();
    let payload = testing::payload_of_many(Marketplace::Ebay, Resource::SuggestedBids, &body);
    let asked = json!({"keywords": [{"keywordText": "blue mug", "matchType": "EXACT"}, {"keywordText": "old mug"}]});
    let keywords = tracked(&["blue mug", "red mug", "dear mug", "old mug"]).asked_in(Some(asked.to_string()));
    let reading = testing::read_for(&payload, &keywords).expect("a reading");
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested), Some(Observed::Estimated(0.41, SUGGESTED)));
    assert_eq!(value(&reading, 1, Metric::CpcSuggestedLow), Some((0.2, "USD".to_owned())));
    let unread = Some(Observed::Unavailable("the row of the keyword could not be read"));
    assert_eq!(observed(&reading, 2, Metric::CpcSuggested), unread);
    let too_high = Some(Observed::Invalid("too high for a bid in its currency"));
    assert_eq!(observed(&reading, 3, Metric::CpcSuggested), too_high);
    let none = Some(Observed::NotFound("the marketplace suggests no bid for exact match"));
    assert_eq!(observed(&reading, 4, Metric::CpcSuggested), none);
    assert_eq!((reading.row_count, reading.untracked_row_count, reading.quarantined.len()), (5, 1, 1));
}
