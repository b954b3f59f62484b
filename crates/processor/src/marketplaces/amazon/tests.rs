//! What the readers make of Amazon's answers.

use std::io::Write;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed, Period};
use digitallz_common::raw_payload::RawPayload;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::marketplaces::testing::{self, observed, tracked};
use crate::reading::{Problem, ReadError, Reading};

const URL: &str = "https://sellingpartnerapi-na.amazon.com/catalog/2022-04-01/items?keywords=blue%20mug&pageSize=20";

fn search(url: &str, items: Value) -> RawPayload {
    let body = json!({"numberOfResults": 61_234, "pagination": {"nextToken": "x"}, "items": items});
    testing::payload(Marketplace::Amazon, Resource::CatalogSearch, url, &body.to_string())
}

#[test]
fn a_page_of_three_items_is_read_in_full() {
    let items = json!([
        {
            "asin": "B0TEST0001",
            "summaries": [{"marketplaceId": "ATVPDKIKX0DER", "brand": "Potter", "itemName": "Blue Mug &#40;2 pcs&#41;",
                           "releaseDate": "2019-05-01"}],
            "salesRanks": [{"marketplaceId": "ATVPDKIKX0DER",
                "classificationRanks": [{"classificationId": "9", "title": "Mugs", "rank": 31}],
                "displayGroupRanks": [{"websiteDisplayGroup": "kitchen", "title": "Kitchen", "rank": 9_120}]}]
        },
        {
            "asin": "B0TEST0002", "summaries": [{"marketplaceId": "ATVPDKIKX0DER", "brand": "Kiln", "itemName": "Mug"}],
            "salesRanks": [{"marketplaceId": "ATVPDKIKX0DER", "classificationRanks": [], "displayGroupRanks": []}]
        },
        {"asin": "B0TEST0003"}
    ]);
    insta::assert_debug_snapshot!(testing::read(&search(URL, items)).expect("a reading"));
}

#[test]
fn a_later_page_is_placed_by_its_number() {
    let mut payload = search(&format!("{URL}&pageToken=abc"), json!([{"asin": "B0TEST0001"}]));
    payload.page_number = 3;
    let reading = testing::read(&payload).expect("a reading");
    assert_eq!(reading.serp_entries[0].position, 41);
    assert!(reading.observations.is_empty());
}

#[test]
fn without_items_only_counts_are_known() {
    let reading = testing::read(&search(URL, json!([]))).expect("a reading");
    assert_eq!(observed(&reading, 7, Metric::ResultCount), Some(Observed::Value(61_234.0)));
    let absent = Some(Observed::Unavailable("no entries on the page"));
    assert_eq!(observed(&reading, 7, Metric::SalesRankMedian), absent);
}

#[test]
fn a_rank_of_zero_sets_the_item_aside() {
    let items = json!([{"asin": "B0TEST0001", "salesRanks": [{"displayGroupRanks": [{"rank": 0}]}]}]);
    let reading = testing::read(&search(URL, items)).expect("a reading");
    assert_eq!(reading.quarantined[0].reason, "/salesRanks: a rank is 0, the best there is is 1");
}

fn row(department: &str, term: &str, rank: u64, place: u64, clicks: f64, conversions: f64) -> Value {
    json!({
        "departmentName": department, "searchTerm": term, "searchFrequencyRank": rank, "clickedAsin": "B0TEST0001",
        "clickedItemName": "Not in the contract", "clickShareRank": place, "clickShare": clicks,
        "conversionShare": conversions
    })
}

fn specification() -> Value {
    json!({
        "reportType": "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT", "reportOptions": {"reportPeriod": "WEEK"},
        "dataStartTime": "2026-08-16", "dataEndTime": "2026-08-22", "marketplaceIds": ["ATVPDKIKX0DER"]
    })
}

fn report(rows: &[Value]) -> String {
    let document = json!({"reportSpecification": specification(), "dataByDepartmentAndSearchTerm": rows});
    serde_json::to_string_pretty(&document).expect("JSON")
}

fn read_report(body: &[u8], keywords: &[&str]) -> Result<Reading, ReadError> {
    let mut payload = testing::payload(Marketplace::Amazon, Resource::SearchTermsReport, "https://example.com/", "");
    payload.keyword_id = None;
    payload.keyword_text = None;
    payload.body = body.to_vec();
    testing::read_for(&payload, &tracked(keywords))
}

fn week() -> Period {
    Period::Week(chrono::NaiveDate::from_ymd_opt(2026, 8, 16).expect("a Sunday"))
}

#[test]
fn a_report_says_where_tracked_search_terms_stand() {
    let rows = [
        row("Amazon.com", "blue mug", 71, 1, 0.25, 0.5),
        row("Amazon.com", "blue mug", 71, 2, 0.125, 0.25),
        row("Amazon.com", "Women\u{2019}s  Hat", 90, 1, 0.5, 0.0),
        row("Amazon.com", "nobody asks", 91, 1, 0.5, 0.5),
        row("Beauty", "blue mug", 2, 1, 1.0, 1.0),
        row("Beauty", "soap", 1, 1, 1.0, 1.0),
    ];
    let reading =
        read_report(report(&rows).as_bytes(), &["blue mug", "women's hat", "soap", "unheard of"]).expect("read");
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), Some(Observed::Value(71.0)));
    assert_eq!(observed(&reading, 1, Metric::TopClickShare), Some(Observed::Value(0.375)));
    assert_eq!(observed(&reading, 1, Metric::TopConversionShare), Some(Observed::Value(0.75)));
    assert_eq!(observed(&reading, 2, Metric::SearchFrequencyRank), Some(Observed::Value(90.0)));
    let beyond = Some(Observed::BelowThreshold("not in the week's list of search terms"));
    assert_eq!(observed(&reading, 3, Metric::SearchFrequencyRank), beyond, "ranked in one department only");
    assert_eq!(observed(&reading, 4, Metric::SearchFrequencyRank), beyond);
    assert_eq!(observed(&reading, 4, Metric::SearchTermListEnd), Some(Observed::Value(91.0)));
    assert_eq!(observed(&reading, 1, Metric::SearchTermListEnd), None);
    assert_eq!(observed(&reading, 4, Metric::TopClickShare), None);
    assert!(reading.observations.iter().all(|observation| observation.period == week()));
    assert_eq!((reading.row_count, reading.untracked_row_count), (6, 1));
}

#[test]
fn a_report_of_departments_only_gives_the_best_rank_among_them() {
    let rows = [row("Beauty", "blue mug", 5, 1, 0.5, 0.5), row("Kitchen", "blue mug", 3, 1, 0.25, 0.25)];
    let reading = read_report(report(&rows).as_bytes(), &["blue mug", "soap"]).expect("read");
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), Some(Observed::Value(3.0)));
    assert_eq!(observed(&reading, 1, Metric::TopClickShare), Some(Observed::Value(0.25)));
    assert_eq!(observed(&reading, 2, Metric::SearchTermListEnd), None, "the ends of departments do not compare");
}

#[test]
fn a_report_may_be_packed_and_begin_with_its_rows() {
    let rows = Value::from(vec![row("Amazon.com", "blue mug", 71, 1, 0.25, 0.5)]);
    let document = format!(
        r#"{{"extra": [{{}}], "dataByDepartmentAndSearchTerm": {rows}, "reportSpecification": {}}}"#,
        specification()
    );
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(document.as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    let reading = read_report(&packed, &["blue mug"]).expect("read");
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), Some(Observed::Value(71.0)));

    let cut_off = read_report(&packed[..packed.len() - 20], &["blue mug"]).expect_err("cut off");
    assert!(matches!(cut_off, ReadError::Contract(_)), "{cut_off}");
    let plain_cut_off = read_report(&document.as_bytes()[..60], &["blue mug"]).expect_err("cut off");
    assert!(plain_cut_off.to_string().starts_with("/dataByDepartmentAndSearchTerm/0: EOF"), "{plain_cut_off}");
}

#[test]
fn a_broken_row_is_set_aside_and_its_search_term_is_not_called_absent() {
    let mut rows = vec![row("Amazon.com", "blue mug", 71, 1, 1.5, 0.5), row("Amazon.com", "red mug", 0, 1, 0.5, 0.5)];
    rows.push(json!({"searchTerm": "red mug", "searchFrequencyRank": "first"}));
    rows.push(row("Amazon.com", "red mug", 3, 4, 0.5, 0.5));
    rows.push(row("Amazon.com", "soap", 4, 1, 0.5, 0.5));
    let reading = read_report(report(&rows).as_bytes(), &["blue mug", "red mug", "soap"]).expect("read");
    let reasons: Vec<&str> = reading.quarantined.iter().map(|row| row.reason.as_str()).collect();
    assert_eq!(reasons[0], "/clickShare: 1.5 is not a share");
    assert_eq!(reasons[1], "/searchFrequencyRank: 0 is not a rank");
    assert!(reasons[2].starts_with("/searchFrequencyRank: invalid type: string \"first\""), "{}", reasons[2]);
    assert_eq!(reasons[3], "/clickShareRank: 4 is not 1, 2 or 3");
    assert_eq!(reading.quarantined[3].json_pointer, "/dataByDepartmentAndSearchTerm/3");
    let unread = Some(Observed::Unavailable("the rows of the search term could not be read"));
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), unread);
    assert_eq!(observed(&reading, 2, Metric::SearchFrequencyRank), unread);
    assert_eq!(observed(&reading, 3, Metric::SearchFrequencyRank), Some(Observed::Value(4.0)));
}

#[test]
fn a_report_of_another_shape_is_not_read() {
    let broken: Vec<Value> = (0..1_001).map(|number| json!({"term": number})).collect();
    let error = read_report(report(&broken).as_bytes(), &[]).expect_err("another shape");
    assert!(error.to_string().contains("1001 rows break the contract, the first at /data"), "{error}");

    let mut rows = broken;
    rows.extend((0..1_001).map(|rank| row("Amazon.com", "blue mug", rank + 1, 1, 0.5, 0.5)));
    let reading = read_report(report(&rows).as_bytes(), &["blue mug"]).expect("read");
    assert_eq!((reading.quarantined.len(), reading.quarantined_row_count()), (1_000, 1_001));
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), Some(Observed::Value(1.0)));
}

#[test]
fn a_row_without_end_and_json_that_is_none_are_not_read() {
    let document = |row: &str| format!(r#"{{"extra": [{{}}], "dataByDepartmentAndSearchTerm": [{row}]}}"#);
    for (row, reason) in [
        (format!(r#"{{"searchTerm": "{}"}}"#, "x".repeat(2_000_000)), "/0: a value is longer than 1048576 bytes"),
        ("{searchTerm}".to_owned(), "/0: key must be a string at line 1 column 2"),
        ("{} {}".to_owned(), "/1: expected `,`"),
        ("{},".to_owned(), "/1: EOF while parsing a value at line 1 column 0"),
    ] {
        let error = read_report(document(&row).as_bytes(), &[]).expect_err("no JSON").to_string();
        assert_eq!(error, format!("/dataByDepartmentAndSearchTerm{reason}"));
    }
    let trailing = read_report(b"{} {}", &[]).expect_err("two documents").to_string();
    assert_eq!(trailing, "trailing characters");
}

#[test]
fn only_a_week_from_sunday_to_saturday_is_read() {
    let document = |field: &str, value: &str| {
        let mut specification = specification();
        *specification.pointer_mut(field).expect("a field") = json!(value);
        json!({"reportSpecification": specification, "dataByDepartmentAndSearchTerm": []}).to_string()
    };
    for (field, value, pointer) in [
        ("/dataStartTime", "2026-08-17", "/reportSpecification/dataStartTime"),
        ("/dataEndTime", "2026-08-29", "/reportSpecification/dataStartTime"),
        ("/dataEndTime", "soon", "/reportSpecification/dataEndTime"),
        ("/reportOptions/reportPeriod", "DAY", "/reportSpecification/reportOptions/reportPeriod"),
    ] {
        match read_report(document(field, value).as_bytes(), &[]) {
            Err(ReadError::Contract(problem)) => assert_eq!(problem.json_pointer, pointer),
            other => panic!("{field} {value}: {other:?}"),
        }
    }
}

#[test]
fn a_cancelled_report_is_an_empty_period_and_a_failed_one_is_not_read() {
    let answer = |status: &str| {
        json!({
            "reportId": "1", "reportType": "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT", "processingStatus": status,
            "dataStartTime": "2026-08-16T00:00:00+00:00", "dataEndTime": "2026-08-22T23:59:59+00:00"
        })
        .to_string()
    };
    let reading = read_report(answer("CANCELLED").as_bytes(), &["blue mug"]).expect("read");
    assert_eq!(reading.observations.len(), 1);
    assert_eq!(reading.observations[0].period, week());
    let empty = Some(Observed::Unavailable("the report was cancelled: no data for the period"));
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), empty);

    let fatal = read_report(answer("FATAL").as_bytes(), &["blue mug"]);
    assert_eq!(fatal, Err(Problem::at("/processingStatus", "\"FATAL\" is not the end of a report").into()));
    let failed = read_report(br#"{"errorDetails": "no luck"}"#, &["blue mug"]);
    assert_eq!(failed, Err(Problem::at("/errorDetails", "the report failed: \"no luck\"").into()));
    assert_eq!(read_report(b"{}", &[]), Err(Problem::at("/reportSpecification", "absent").into()));
}

#[test]
fn an_empty_report_says_nothing_of_anyone() {
    let reading = read_report(report(&[]).as_bytes(), &["blue mug"]).expect("read");
    let nothing = Some(Observed::Unavailable("the report has no rows"));
    assert_eq!(observed(&reading, 1, Metric::SearchFrequencyRank), nothing);
}

fn some_rows() -> impl Strategy<Value = Vec<Value>> {
    let department = prop::sample::select(vec!["Amazon.com", "Beauty", "Books"]);
    let term = prop::sample::select(vec!["blue mug", "Blue  Mug", "soap", "hat"]);
    let one = (department, term, 1u64..4, 1u64..4, 0.0f64..0.33, 0.0f64..0.33)
        .prop_map(|(department, term, rank, place, clicks, buys)| row(department, term, rank, place, clicks, buys));
    prop::collection::vec(one, 0..24)
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter((rows, shuffled) in some_rows().prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    })) {
        let keywords = ["blue mug", "soap", "unheard of"];
        let one_way = read_report(report(&rows).as_bytes(), &keywords);
        prop_assert_eq!(one_way, read_report(report(&shuffled).as_bytes(), &keywords));
    }
}
