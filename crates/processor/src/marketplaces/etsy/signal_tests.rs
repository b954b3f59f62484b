//! What the readers make of Etsy's shops and reviews.

use digitallz_common::marketplace::{Marketplace, Resource};
use serde_json::{Value, json};

use crate::marketplaces::testing::{self, fetched_at, read};
use crate::reading::{ReadError, Reading, SellerReading};

fn read_shop(body: &Value) -> Result<Reading, ReadError> {
    let url = "https://openapi.etsy.com/v3/application/shops/8614061";
    read(&testing::payload(Marketplace::Etsy, Resource::Shop, url, &body.to_string()))
}

#[test]
fn a_shop_is_a_seller_and_says_nothing_of_the_keyword() {
    let shop = json!({
        "shop_id": 8_614_061, "user_id": 12, "shop_name": "Potter", "login_name": "potter", "announcement": "Hello",
        "transaction_sold_count": 54_321, "listing_active_count": 210, "review_count": 900, "review_average": 4.87,
        "num_favorers": 3_000
    });
    let reading = read_shop(&shop).expect("a reading");
    let seller = SellerReading {
        seller: "8614061".to_owned(),
        sold_count: Some(54_321),
        active_listing_count: Some(210),
        review_count: Some(900),
        review_average: Some(4.87),
        favorite_count: Some(3_000),
    };
    assert_eq!(reading, Reading { sellers: vec![seller], row_count: 1, ..Reading::default() });
}

#[test]
fn what_a_shop_does_not_tell_is_not_zero() {
    let reading = read_shop(&json!({"shop_id": 1, "review_count": null, "review_average": null})).expect("a reading");
    assert_eq!(reading.sellers, [SellerReading { seller: "1".to_owned(), ..SellerReading::default() }]);
    for (shop, reason) in [
        (json!({"shop_id": 0}), "/shop_id: not an identifier"),
        (json!({"shop_id": 1, "review_average": 6.0}), "/review_average: 6 is not a number of stars"),
        (json!({"error": "Resource not found"}), "missing field `shop_id`"),
    ] {
        let error = read_shop(&shop).expect_err("not readable");
        assert!(error.to_string().starts_with(reason), "{error}");
    }
}

fn review(days_ago: i64, rating: u64) -> Value {
    let written_at = fetched_at().timestamp() - days_ago * 86_400;
    json!({
        "shop_id": 5, "listing_id": 77, "rating": rating, "review": "My sister loves it!", "language": "en",
        "image_url_fullxfull": null, "create_timestamp": written_at, "created_timestamp": written_at,
        "update_timestamp": written_at, "updated_timestamp": written_at
    })
}

fn read_reviews(parameters: &str, count: u64, results: &[Value]) -> Result<Reading, ReadError> {
    let url = format!("https://openapi.etsy.com/v3/application/listings/77/reviews?limit=100{parameters}");
    let body = json!({"count": count, "results": results}).to_string();
    read(&testing::payload(Marketplace::Etsy, Resource::ListingReviews, &url, &body))
}

fn counts(reading: &Reading) -> (Option<i64>, Option<i64>, Option<f64>) {
    let listing = &reading.listings[0];
    assert_eq!(listing.marketplace_listing_id, "77");
    (listing.review_count, listing.recent_review_count, listing.review_average)
}

#[test]
fn reviews_are_counted_and_not_quoted() {
    let reading = read_reviews("", 3, &[review(1, 5), review(27, 4), review(29, 3)]).expect("a reading");
    assert_eq!(counts(&reading), (Some(3), Some(2), Some(4.0)));
    assert!(!format!("{reading:?}").contains("sister"));
    assert_eq!(counts(&read_reviews("", 0, &[]).expect("a reading")), (Some(0), Some(0), None));
}

#[test]
fn recent_reviews_are_known_only_where_the_page_reaches_back() {
    let recent = [review(1, 5), review(2, 5)];
    assert_eq!(counts(&read_reviews("", 900, &recent).expect("a reading")), (Some(900), None, Some(5.0)));
    let newest_first = [review(1, 5), review(40, 5)];
    assert_eq!(counts(&read_reviews("", 900, &newest_first).expect("a reading")).1, Some(1));
    let in_no_order = [review(40, 5), review(1, 5), review(41, 5)];
    assert_eq!(counts(&read_reviews("", 900, &in_no_order).expect("a reading")).1, None);
}

#[test]
fn a_bounded_question_does_not_tell_all_reviews() {
    let from = |days: i64| format!("&min_created={}", fetched_at().timestamp() - days * 86_400);
    let reading = read_reviews(&from(28), 2, &[review(1, 5), review(2, 5)]).expect("a reading");
    assert_eq!(counts(&reading), (None, Some(2), Some(5.0)));
    let reading = read_reviews(&from(7), 2, &[review(1, 5), review(2, 5)]).expect("a reading");
    assert_eq!(counts(&reading), (None, None, Some(5.0)));
    let later_page = read_reviews("&offset=100", 102, &[review(90, 5)]).expect("a reading");
    assert_eq!((later_page.listings.len(), later_page.row_count), (0, 1));
}

#[test]
fn a_broken_review_is_set_aside_without_its_text() {
    let mut foreign = review(1, 5);
    foreign["listing_id"] = json!(78);
    let mut unrated = review(1, 9);
    unrated["review"] = json!("secret words");
    let results = [foreign, unrated, json!("secret words"), review(1, 5)];
    let reading = read_reviews("", 4, &results).expect("a reading");
    let reasons: Vec<&str> = reading.quarantined.iter().map(|row| row.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["/listing_id: 78 was not asked for", "/rating: not a number of stars", "not what the contract says"]
    );
    assert!(!format!("{:?}", reading.quarantined).contains("secret"));
    assert_eq!(counts(&reading), (Some(4), None, Some(5.0)));
}
