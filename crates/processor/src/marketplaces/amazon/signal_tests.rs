//! What the readers make of Amazon's prices, search queries and bids.

use std::path::Path;

use chrono::NaiveDate;
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed, Period};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bids::SUGGESTED;
use crate::marketplaces::testing::{self, observed, tracked, value};
use crate::reading::{Problem, ReadError, Reading};

const PRICING_URL: &str =
    "https://sellingpartnerapi-na.amazon.com/batches/products/pricing/2022-05-01/items/competitiveSummary";

fn money(amount: f64) -> Value {
    json!({"amount": amount, "currencyCode": "USD"})
}

fn priced(asin: &str, featured: &[(f64, f64)], lowest: &[f64]) -> Value {
    let segments: Vec<Value> = featured
        .iter()
        .map(|(amount, visitors)| {
            json!({
                "sellerId": "A1", "condition": "New", "fulfillmentType": "AFN", "listingPrice": money(*amount),
                "featuredOfferSegments": [{"customerMembership": "PRIME",
                                           "segmentDetails": {"glanceViewWeightPercentage": visitors}}]
            })
        })
        .collect();
    let offer = |amount: f64| json!({"sellerId": "A2", "fulfillmentType": "MFN", "listingPrice": money(amount)});
    let new: Vec<Value> = lowest.iter().map(|amount| offer(*amount)).collect();
    let mut body = json!({"asin": asin, "marketplaceId": "ATVPDKIKX0DER"});
    if !featured.is_empty() {
        body["featuredBuyingOptions"] = json!([{"buyingOptionType": "New", "segmentedFeaturedOffers": segments}]);
    }
    body["lowestPricedOffers"] = json!([
        {"lowestPricedOffersInput": {"itemCondition": "Used", "offerType": "Consumer"}, "offers": [offer(0.5)]},
        {"lowestPricedOffersInput": {"itemCondition": "New", "offerType": "Consumer"}, "offers": new}
    ]);
    json!({"status": {"statusCode": 200, "reasonPhrase": "Success"}, "body": body})
}

fn refused(asin: &str, status: u16, phrase: &str) -> Value {
    json!({"status": {"statusCode": status, "reasonPhrase": phrase},
           "body": {"asin": asin, "marketplaceId": "ATVPDKIKX0DER", "errors": [{"code": "X", "message": "Y"}]}})
}

fn read_prices(responses: &[Value], page_number: i32) -> Result<Reading, ReadError> {
    let body = json!({ "responses": responses }).to_string();
    let mut payload = testing::payload(Marketplace::Amazon, Resource::CompetitivePricing, PRICING_URL, &body);
    payload.page_number = page_number;
    testing::read(&payload)
}

#[test]
fn the_price_is_that_of_the_offer_most_visitors_see_or_the_lowest_new_one() {
    let responses = [
        priced("B0TEST0001", &[(20.0, 10.0), (18.11, 90.0)], &[9.0]),
        priced("B0TEST0002", &[], &[12.5, 11.25]),
        priced("B0TEST0003", &[], &[]),
        refused("B0TEST0004", 404, "Not Found"),
        refused("B0TEST0005", 500, "Internal Server Error"),
    ];
    let reading = read_prices(&responses, 1).expect("a reading");
    let amounts: Vec<Option<String>> =
        reading.listings.iter().map(|one| one.price.as_ref().map(|price| price.amount.to_string())).collect();
    assert_eq!(amounts, [Some("18.11".to_owned()), Some("11.25".to_owned()), None]);
    assert_eq!(value(&reading, 7, Metric::PriceMedian), Some((14.68, "USD".to_owned())));
    assert_eq!((reading.row_count, reading.missing_row_count), (4, 1));
    assert_eq!(reading.quarantined[0].json_pointer, "/responses/4");
    assert_eq!(reading.quarantined[0].reason, "/status/statusCode: 500 Internal Server Error");
    assert_eq!(reading.serp_entries, []);
}

#[test]
fn prices_of_later_pages_are_listings_only() {
    let reading = read_prices(&[priced("B0TEST0001", &[(20.0, 1.0)], &[])], 2).expect("a reading");
    assert_eq!((reading.observations.len(), reading.listings.len()), (0, 1));
}

#[test]
fn listings_that_are_all_gone_have_no_price() {
    let reading = read_prices(&[refused("B0TEST0001", 404, "Not Found")], 1).expect("a reading");
    let absent = Some(Observed::Unavailable("no entries on the page"));
    assert_eq!(observed(&reading, 7, Metric::PriceMedian), absent);
    assert_eq!(reading.quarantined, []);
}

#[test]
fn a_price_that_is_none_sets_the_listing_aside() {
    let mut broken = priced("B0TEST0001", &[(20.0, 1.0)], &[]);
    *broken
        .pointer_mut("/body/featuredBuyingOptions/0/segmentedFeaturedOffers/0/listingPrice/amount")
        .expect("there") = json!(-1);
    let reading = read_prices(&[broken], 1).expect("a reading");
    assert_eq!(reading.quarantined[0].reason, "/body/featuredBuyingOptions/amount: \"-1\" is not an amount");
    let unreadable = Some(Observed::Unavailable("no readable entries on the page"));
    assert_eq!(observed(&reading, 7, Metric::PriceMedian), unreadable);
}

#[test]
fn the_pricing_answer_of_the_contract_is_read() {
    let Some(contract) = shared("contracts/amazon/productPricing_2022-05-01.json") else { return };
    let path = "/paths/~1batches~1products~1pricing~12022-05-01~1items~1competitiveSummary/post/responses/200/examples/application~1json";
    let body = contract.pointer(path).expect("an example").to_string();
    let payload = testing::payload(Marketplace::Amazon, Resource::CompetitivePricing, PRICING_URL, &body);
    let reading = testing::read(&payload).expect("a reading");
    assert_eq!(reading.quarantined, []);
    assert_eq!(reading.listings[0].price.as_ref().map(|price| price.amount.to_string()), Some("18.11".to_owned()));
}

fn query(asin: &str, text: &str, volume: u64) -> Value {
    json!({
        "startDate": "2026-08-16", "endDate": "2026-08-22", "asin": asin,
        "searchQueryData": {"searchQuery": text, "searchQueryScore": 1, "searchQueryVolume": volume},
        "impressionData": {"totalQueryImpressionCount": 10 * volume, "asinImpressionCount": 1, "asinImpressionShare": 0.1},
        "clickData": {"totalClickCount": volume / 10, "totalClickRate": 0.1, "asinClickCount": 1, "asinClickShare": 0.1,
                      "totalMedianClickPrice": money(19.99), "asinMedianClickPrice": money(5.0)},
        "cartAddData": {"totalCartAddCount": volume / 50, "totalCartAddRate": 0.02},
        "purchaseData": {"totalPurchaseCount": volume / 100, "totalPurchaseRate": 0.01}
    })
}

fn query_report(rows: &[Value]) -> String {
    json!({
        "reportSpecification": {
            "reportType": "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT",
            "reportOptions": {"reportPeriod": "WEEK", "asin": "B0TEST0001"},
            "dataStartTime": "2026-08-16", "dataEndTime": "2026-08-22", "marketplaceIds": ["ATVPDKIKX0DER"]
        },
        "dataByAsin": rows
    })
    .to_string()
}

fn read_queries(body: &str, keywords: &[&str]) -> Result<Reading, ReadError> {
    let payload = testing::payload_of_many(Marketplace::Amazon, Resource::SearchQueryReport, body);
    testing::read_for(&payload, &tracked(keywords))
}

#[test]
fn a_search_query_report_counts_searches_and_what_came_of_them() {
    let rows = [
        query("B0TEST0001", "Blue  Mug", 15_000),
        query("B0TEST0002", "blue mug", 15_000),
        query("B0TEST0001", "nobody asks", 5),
        query("B0TEST0001", "rare mug", 0),
    ];
    let reading = read_queries(&query_report(&rows), &["blue mug", "rare mug", "elsewhere"]).expect("a reading");
    for (metric, expected, unit) in [
        (Metric::SearchQueryVolume, 15_000.0, "searches"),
        (Metric::SearchQueryImpressions, 150_000.0, "impressions"),
        (Metric::SearchQueryClicks, 1_500.0, "clicks"),
        (Metric::SearchQueryCartAdds, 300.0, "cart adds"),
        (Metric::SearchQueryPurchases, 150.0, "purchases"),
        (Metric::ClickPriceMedian, 19.99, "USD"),
    ] {
        assert_eq!(value(&reading, 1, metric), Some((expected, unit.to_owned())), "{metric:?}");
    }
    assert_eq!(observed(&reading, 2, Metric::SearchQueryVolume), Some(Observed::Value(0.0)));
    let unclicked = Some(Observed::Unavailable("nothing that has a price was clicked"));
    assert_eq!(observed(&reading, 2, Metric::ClickPriceMedian), unclicked);
    let elsewhere = Some(Observed::NotFound("not a search term of the user's own listings"));
    assert_eq!(observed(&reading, 3, Metric::SearchQueryVolume), elsewhere);
    let week = Period::Week(NaiveDate::from_ymd_opt(2026, 8, 16).expect("a Sunday"));
    assert!(reading.observations.iter().all(|observation| observation.period == week));
    assert_eq!((reading.row_count, reading.untracked_row_count), (4, 1));
}

#[test]
fn a_broken_search_query_is_set_aside_and_not_called_absent() {
    let mut broken = query("B0TEST0001", "blue mug", 15_000);
    broken["clickData"]["totalClickCount"] = json!(-4);
    let reading = read_queries(&query_report(&[broken]), &["blue mug"]).expect("a reading");
    assert_eq!(reading.quarantined[0].json_pointer, "/dataByAsin/0");
    assert!(reading.quarantined[0].reason.starts_with("/clickData/totalClickCount: invalid value"));
    let unread = Some(Observed::Unavailable("the rows of the search term could not be read"));
    assert_eq!(observed(&reading, 1, Metric::SearchQueryVolume), unread);
}

#[test]
fn a_report_of_another_week_or_type_is_not_read() {
    let mut other_week = query("B0TEST0001", "blue mug", 1);
    other_week["startDate"] = json!("2026-08-09");
    let error = read_queries(&query_report(&[other_week]), &["blue mug"]).expect_err("another week");
    assert!(error.to_string().starts_with("/dataByAsin: rows are about the week of 2026-08-09"), "{error}");
    let other_type = query_report(&[]).replace("SEARCH_QUERY_PERFORMANCE", "SEARCH_TERMS");
    let error = read_queries(&other_type, &["blue mug"]).expect_err("another type");
    assert!(error.to_string().starts_with("/reportSpecification/reportType"), "{error}");
    let no_rows = query_report(&[]).replace("dataByAsin", "data");
    assert_eq!(read_queries(&no_rows, &[]), Err(Problem::at("/dataByAsin", "absent").into()));
}

#[test]
fn a_cancelled_search_query_report_is_an_empty_period() {
    let answer = json!({"processingStatus": "CANCELLED", "dataStartTime": "2026-08-16T00:00:00+00:00",
                        "dataEndTime": "2026-08-22T00:00:00+00:00"});
    let reading = read_queries(&answer.to_string(), &["blue mug"]).expect("a reading");
    let empty = Some(Observed::Unavailable("the report was cancelled: no data for the period"));
    assert_eq!(observed(&reading, 1, Metric::SearchQueryVolume), empty);
    let reading = read_queries(&query_report(&[]), &["blue mug"]).expect("a reading");
    let empty = Some(Observed::Unavailable("the report has no rows"));
    assert_eq!(observed(&reading, 1, Metric::SearchQueryVolume), empty);
}

#[test]
fn the_search_query_report_of_the_contract_is_read() {
    let Some(schema) = shared("contracts/amazon/sellingPartnerSearchQueryPerformanceReport.json") else { return };
    let reading = read_queries(&schema["examples"][0].to_string(), &["wireless headphones"]).expect("a reading");
    assert_eq!(reading.quarantined, []);
    assert_eq!(value(&reading, 1, Metric::SearchQueryVolume), Some((15_000.0, "searches".to_owned())));
    assert_eq!(value(&reading, 1, Metric::ClickPriceMedian), Some((19.99, "USD".to_owned())));
}

proptest! {
    #[test]
    fn the_order_of_search_queries_does_not_matter((rows, shuffled) in
        prop::collection::vec((prop::sample::select(vec!["blue mug", "Blue  Mug", "soap"]), 0u64..300), 1..12)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())))
    {
        let report = |rows: &[(&str, u64)]| {
            let rows: Vec<Value> = rows.iter().map(|(text, volume)| query("B0TEST0001", text, *volume)).collect();
            read_queries(&query_report(&rows), &["blue mug", "soap"])
        };
        prop_assert_eq!(report(&rows), report(&shuffled));
    }
}

fn bid(match_type: &str, theme: Option<&str>, low: f64, suggested: f64, high: f64) -> Value {
    let mut bid = json!({"matchType": match_type, "rank": 1, "bid": suggested,
                         "suggestedBid": {"rangeStart": low, "suggested": suggested, "rangeEnd": high}});
    if let Some(theme) = theme {
        bid["theme"] = json!(theme);
    }
    bid
}

fn read_bids(targets: Value, asked: &[&str], keywords: &[&str]) -> Result<Reading, ReadError> {
    let body = json!({ "keywordTargetList": targets }).to_string();
    let payload = testing::payload_of_many(Marketplace::Amazon, Resource::KeywordBids, &body);
    let asked: Vec<Value> = asked.iter().map(|keyword| json!({"keyword": keyword, "matchType": "EXACT"})).collect();
    let request = json!({"recommendationType": "KEYWORDS_FOR_ASINS", "asins": ["B0TEST0001"], "targets": asked});
    testing::read_for(&payload, &tracked(keywords).asked_in(Some(request.to_string())))
}

#[test]
fn a_bid_is_that_of_exact_match_on_usual_days() {
    let targets = json!([
        {"keyword": "Blue Mug", "userSelectedKeyword": true, "recId": "1", "bidInfo": [
            bid("BROAD", None, 0.1, 0.2, 0.3),
            bid("EXACT", Some("SPECIAL_DAYS"), 1.1, 1.2, 1.3),
            bid("EXACT", Some("CONVERSION_OPPORTUNITIES"), 0.44, 0.58, 0.78)
        ]},
        {"keyword": "red mug", "bidInfo": [bid("PHRASE", None, 0.1, 0.2, 0.3)]},
        {"keyword": "large mug", "bidInfo": []},
    ]);
    let asked = ["blue mug", "red mug", "unheard of"];
    let reading = read_bids(targets, &asked, &["blue mug", "red mug", "unheard of", "not asked"]).expect("a reading");
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested), Some(Observed::Estimated(0.58, SUGGESTED)));
    assert_eq!(value(&reading, 1, Metric::CpcSuggestedLow), Some((0.44, "USD".to_owned())));
    assert_eq!(value(&reading, 1, Metric::CpcSuggestedHigh), Some((0.78, "USD".to_owned())));
    let none = Some(Observed::NotFound("the marketplace suggests no bid for exact match"));
    assert_eq!(observed(&reading, 2, Metric::CpcSuggested), none);
    assert_eq!(observed(&reading, 3, Metric::CpcSuggested), none);
    assert_eq!(observed(&reading, 4, Metric::CpcSuggested), None);
    assert_eq!((reading.row_count, reading.untracked_row_count), (3, 1));
}

#[test]
fn bids_that_may_be_in_cents_are_not_believed() {
    let cents = json!([{"keyword": "blue mug", "bidInfo": [bid("EXACT", None, 50.0, 75.0, 100.0)]}]);
    let reading = read_bids(cents, &["blue mug"], &["blue mug"]).expect("a reading");
    let doubtful = Observed::Invalid("every bid of the answer is a whole number: it may be in cents");
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested), Some(doubtful));

    let absurd = json!([{"keyword": "blue mug", "bidInfo": [bid("EXACT", None, 0.75, 100.5, 120.0)]}]);
    let reading = read_bids(absurd, &["blue mug"], &["blue mug"]).expect("a reading");
    let too_high = Some(Observed::Invalid("too high for a bid in its currency"));
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested), too_high);
    assert_eq!(observed(&reading, 1, Metric::CpcSuggestedLow), Some(Observed::Estimated(0.75, SUGGESTED)));

    let small = json!([{"keyword": "blue mug", "bidInfo": [bid("EXACT", None, 1.0, 1.0, 2.0)]}]);
    let reading = read_bids(small, &["blue mug"], &["blue mug"]).expect("a reading");
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested), Some(Observed::Estimated(1.0, SUGGESTED)));
}

#[test]
fn a_broken_bid_is_set_aside_and_not_called_absent() {
    let targets = json!([{"keyword": "blue mug", "bidInfo": [bid("EXACT", None, 0.1, -0.2, 0.3)]}, {"keyword": 5}]);
    let reading = read_bids(targets, &["blue mug"], &["blue mug"]).expect("a reading");
    assert_eq!(reading.quarantined[0].reason, "/bidInfo/suggestedBid/suggested: \"-0.2\" is not an amount");
    assert_eq!(reading.quarantined[1].json_pointer, "/keywordTargetList/1");
    let unread = Some(Observed::Unavailable("the row of the keyword could not be read"));
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested), unread);
    assert!(matches!(read_bids(json!({}), &[], &[]), Err(ReadError::Contract(_))));
}

/// The bids of this recording are those of a retired version; their unit is the same.
#[test]
fn recorded_bids_are_decimals() {
    let Some(har) = shared("payloads/amazon/ads_v2_keyword_bid_recommendations_207_sandbox.har") else { return };
    let text = har["log"]["entries"][0]["response"]["content"]["text"].as_str().expect("a body");
    let recorded: Value = serde_json::from_str(text).expect("JSON");
    let targets: Vec<Value> = recorded["recommendations"]
        .as_array()
        .expect("bids")
        .iter()
        .map(|one| {
            let match_type = one["matchType"].as_str().expect("a match type").to_uppercase();
            json!({"keyword": one["keyword"], "bidInfo": [{"matchType": match_type, "suggestedBid": one["suggestedBid"]}]})
        })
        .collect();
    let reading = read_bids(json!(targets), &[], &["apple2"]).expect("a reading");
    assert_eq!(value(&reading, 1, Metric::CpcSuggested), Some((3.79, "USD".to_owned())));
}

/// Reads a reference file beside the repository, or says that the test is skipped.
fn shared(file: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("JSON")),
        Err(_) => {
            println!("skipped: nothing at {}", path.display());
            None
        }
    }
}
