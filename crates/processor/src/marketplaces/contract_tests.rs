//! What each contract mode makes of a field that is not known and of one whose type changed, on every marketplace.

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;
use digitallz_common::source_contract::{Mode, SourceContract};
use serde_json::{Value, json};

use super::testing::{observed, payload, payload_of_many, tracked};
use crate::reading::{Extent, ReadError, Reading, TrackedKeywords};

/// An answer of three rows.
struct Answer {
    marketplace: Marketplace,
    resource: Resource,
    url: &'static str,
    rows_name: &'static str,
    body: Value,
}

/// The searches of all marketplaces, with a field that is read and may be absent, and one that nobody reads.
fn searches() -> [(Answer, &'static str, &'static str); 3] {
    let amazon = |number: u32| {
        json!({"asin": format!("B00000000{number}"), "summaries": [{"itemName": "Blue mug", "brand": "Acme"}],
               "salesRanks": [{"displayGroupRanks": [{"rank": 100 + number, "title": "Kitchen"}]}], "note": "a"})
    };
    let etsy = |number: u32| {
        json!({"listing_id": number, "title": "Blue mug", "num_favorers": 10 * number, "state": "active", "note": "a",
               "price": {"amount": 1_000, "divisor": 100, "currency_code": "USD"}})
    };
    let ebay = |number: u32| {
        json!({"itemId": format!("v1|{number}|0"), "title": "Blue mug", "buyingOptions": ["FIXED_PRICE"], "note": "a",
               "price": {"value": "10.50", "currency": "USD"}, "seller": {"username": "potter", "feedbackScore": 12}})
    };
    [
        (
            Answer {
                marketplace: Marketplace::Amazon,
                resource: Resource::CatalogSearch,
                url: "https://sellingpartnerapi-na.amazon.com/catalog/2022-04-01/items?keywords=blue%20mug",
                rows_name: "items",
                body: json!({"numberOfResults": 3, "items": [amazon(1), amazon(2), amazon(3)]}),
            },
            "salesRanks",
            "note",
        ),
        (
            Answer {
                marketplace: Marketplace::Etsy,
                resource: Resource::ListingSearch,
                url: "https://openapi.etsy.com/v3/application/listings/active?keywords=blue%20mug",
                rows_name: "results",
                body: json!({"count": 3, "results": [etsy(1), etsy(2), etsy(3)]}),
            },
            "price",
            "note",
        ),
        (
            Answer {
                marketplace: Marketplace::Ebay,
                resource: Resource::ItemSearch,
                url: "https://api.ebay.com/buy/browse/v1/item_summary/search?q=blue+mug",
                rows_name: "itemSummaries",
                body: json!({"href": "https://", "total": 3, "limit": 50, "offset": 0,
                             "itemSummaries": [ebay(1), ebay(2), ebay(3)]}),
            },
            "price",
            "note",
        ),
    ]
}

impl Answer {
    fn payload(&self) -> RawPayload {
        payload(self.marketplace, self.resource, self.url, &self.body.to_string())
    }

    /// Returns the same with another value in a field of the second row.
    fn with(&self, field: &str, value: Value) -> RawPayload {
        let mut body = self.body.clone();
        body[self.rows_name][1][field] = value;
        payload(self.marketplace, self.resource, self.url, &body.to_string())
    }

    /// Returns a contract that knows what this answer holds.
    fn contract(&self, unknown_fields: Mode, types: Mode) -> SourceContract {
        let known = super::shape_in_full(&self.payload()).known_fields();
        SourceContract { unknown_fields, types, known_fields: Some(known) }
    }
}

fn read(payload: &RawPayload, contract: &SourceContract) -> Result<Reading, ReadError> {
    super::read(payload, &TrackedKeywords::default(), contract).0
}

/// Returns extent, place and reason of everything that was set aside.
fn set_aside(reading: &Reading) -> Vec<(&'static str, &str, &str)> {
    let all = reading.quarantined.iter();
    all.map(|row| (row.extent.name(), row.json_pointer.as_str(), row.reason.as_str())).collect()
}

#[test]
fn an_answer_like_those_before_is_read_the_same_in_every_mode() {
    for (answer, ..) in searches() {
        let usual = read(&answer.payload(), &SourceContract::default()).expect("a reading");
        assert_eq!((usual.listings.len(), usual.quarantined.len()), (3, 0));
        for unknown_fields in Mode::ALL {
            for types in Mode::ALL {
                let contract = answer.contract(unknown_fields, types);
                assert_eq!(read(&answer.payload(), &contract).as_ref(), Ok(&usual), "{unknown_fields} {types}");
            }
        }
    }
}

#[test]
fn a_field_that_is_not_known_costs_nothing_its_row_or_its_payload() {
    for (answer, ..) in searches() {
        let rows = answer.rows_name;
        let novel = answer.with("novelty", json!({"is": "new"}));
        let usual = read(&answer.payload(), &SourceContract::default()).expect("a reading");
        for accepting in [Mode::Evolve, Mode::DiscardValue] {
            let reading = read(&novel, &answer.contract(accepting, Mode::Evolve)).expect("a reading");
            assert_eq!(reading, usual, "{rows} {accepting}");
        }

        let reading = read(&novel, &answer.contract(Mode::DiscardRow, Mode::Evolve)).expect("a reading");
        let place = format!("/{rows}/1");
        let reason = "/novelty: the contract knows no such field";
        assert_eq!(set_aside(&reading), [("row", place.as_str(), reason)]);
        assert_eq!((reading.listings.len(), reading.row_count, reading.quarantined_row_count()), (2, 3, 1));

        let error = read(&novel, &answer.contract(Mode::Freeze, Mode::Evolve)).expect_err("refused");
        assert_eq!(error.to_string(), format!("/{rows}/1/novelty: the contract knows no such field"));
    }
}

#[test]
fn a_field_whose_type_changed_costs_its_value_its_row_or_its_payload() {
    for (answer, field, _) in searches() {
        let rows = answer.rows_name;
        let changed = answer.with(field, json!("soon"));
        let (row, value) = (format!("/{rows}/1"), format!("/{rows}/1/{field}"));
        for costing_the_row in [Mode::Evolve, Mode::DiscardRow] {
            let reading = read(&changed, &answer.contract(Mode::Evolve, costing_the_row)).expect("a reading");
            let aside = set_aside(&reading);
            assert_eq!((aside.len(), aside[0].0, aside[0].1), (1, "row", row.as_str()), "{rows} {costing_the_row}");
            assert_eq!((reading.listings.len(), reading.quarantined_row_count()), (2, 1), "{rows}");
        }

        let error = read(&changed, &answer.contract(Mode::Evolve, Mode::Freeze)).expect_err("refused").to_string();
        assert!(error.starts_with(&format!("{value}: it is of type string, the contract says ")), "{error}");

        let reading = read(&changed, &answer.contract(Mode::Evolve, Mode::DiscardValue)).expect("a reading");
        let aside = set_aside(&reading);
        assert_eq!((aside.len(), aside[0].0, aside[0].1), (1, "value", value.as_str()), "{rows}");
        assert!(aside[0].2.starts_with(&format!("/{field}: invalid type: string \"soon\"")), "{aside:?}");
        assert_eq!(reading.quarantined[0].row_text, "\"soon\"");
        assert_eq!((reading.listings.len(), reading.quarantined_row_count(), reading.serp_entries.len()), (3, 0, 3));
        let (bare, whole) = (&reading.listings[1], &reading.listings[0]);
        assert_eq!((bare.price.as_ref(), bare.sales_rank), (None, None), "{rows}");
        assert_eq!(bare.title, whole.title, "{rows}: the rest of the row is read");
    }
}

#[test]
fn a_field_that_nobody_reads_may_change_its_type_unless_the_contract_refuses_that() {
    for (answer, _, unread) in searches() {
        let changed = answer.with(unread, json!(7));
        let usual = read(&answer.payload(), &SourceContract::default()).expect("a reading");
        for accepting in [Mode::Evolve, Mode::DiscardValue] {
            assert_eq!(read(&changed, &answer.contract(Mode::Freeze, accepting)).as_ref(), Ok(&usual));
        }
        let reading = read(&changed, &answer.contract(Mode::Evolve, Mode::DiscardRow)).expect("a reading");
        let reason = format!("/{unread}: it is of type number, the contract says string");
        assert_eq!(set_aside(&reading)[0].2, reason);
        assert!(read(&changed, &answer.contract(Mode::Evolve, Mode::Freeze)).is_err());
        // A null is an absence, not another type.
        let absent = answer.with(unread, Value::Null);
        assert_eq!(read(&absent, &answer.contract(Mode::Freeze, Mode::Freeze)).as_ref(), Ok(&usual));
    }
}

#[test]
fn a_value_that_is_missing_everywhere_makes_no_zero_but_a_reason() {
    for (answer, field, _) in searches() {
        let mut body = answer.body.clone();
        for row in body[answer.rows_name].as_array_mut().expect("rows") {
            row[field] = json!("soon");
        }
        let changed = payload(answer.marketplace, answer.resource, answer.url, &body.to_string());
        let reading = read(&changed, &answer.contract(Mode::Evolve, Mode::DiscardValue)).expect("a reading");
        let metric =
            if answer.marketplace == Marketplace::Amazon { Metric::SalesRankMedian } else { Metric::PriceMedian };
        let reason = "values whose type changed were set aside";
        assert_eq!(observed(&reading, 7, metric), Some(Observed::Invalid(reason)), "{}", answer.rows_name);
        assert_eq!(reading.quarantined.len(), 3);
    }
}

#[test]
fn a_field_whose_absence_says_something_costs_its_row() {
    let [_, (etsy, ..), (ebay, ..)] = searches();
    for (answer, field, value) in [
        (&ebay, "bidCount", json!("many")),
        (&ebay, "priorityListing", json!("yes")),
        (&ebay, "buyingOptions", json!([1])),
        (&etsy, "original_creation_timestamp", json!("2020-01-01")),
    ] {
        let reading = read(&answer.with(field, value), &answer.contract(Mode::Evolve, Mode::DiscardValue));
        let reading = reading.expect("a reading");
        assert_eq!((reading.listings.len(), reading.quarantined_row_count()), (2, 1), "{field}");
        assert!(reading.quarantined[0].reason.starts_with(&format!("/{field}")), "{:?}", reading.quarantined[0]);
    }
    // Without its identifier a row is nothing.
    let reading = read(&etsy.with("listing_id", json!("one")), &etsy.contract(Mode::Evolve, Mode::DiscardValue));
    let reading = reading.expect("a reading");
    assert_eq!(reading.quarantined[0].extent, Extent::Row);
    assert!(reading.quarantined[0].reason.starts_with("/listing_id: invalid type"), "{:?}", reading.quarantined[0]);
}

#[test]
fn what_stands_around_the_rows_is_refused_only_by_freeze() {
    for (answer, ..) in searches() {
        let mut body = answer.body.clone();
        body["novelty"] = json!(1);
        let novel = payload(answer.marketplace, answer.resource, answer.url, &body.to_string());
        for accepting in [Mode::Evolve, Mode::DiscardRow, Mode::DiscardValue] {
            let reading = read(&novel, &answer.contract(accepting, accepting)).expect("a reading");
            assert_eq!((reading.listings.len(), reading.quarantined.len()), (3, 0));
        }
        let error = read(&novel, &answer.contract(Mode::Freeze, Mode::Evolve)).expect_err("refused");
        assert_eq!(error.to_string(), "/novelty: the contract knows no such field");
    }
}

#[test]
fn an_answer_that_is_one_row_is_kept_without_a_value_or_refused() {
    let body = json!({"shop_id": 5, "transaction_sold_count": 100, "review_average": 4.5, "title": "Pots"});
    let shop = |body: &Value| payload(Marketplace::Etsy, Resource::Shop, "https://example.com/", &body.to_string());
    let known = super::shape_in_full(&shop(&body)).known_fields();
    assert_eq!(known.len(), 4);
    let contract = |types| SourceContract { unknown_fields: types, types, known_fields: Some(known.clone()) };
    let mut changed = body.clone();
    changed["transaction_sold_count"] = json!({"total": 100});
    let reading = read(&shop(&changed), &contract(Mode::DiscardValue)).expect("a reading");
    assert_eq!((reading.sellers[0].sold_count, reading.sellers[0].review_average), (None, Some(4.5)));
    assert_eq!(set_aside(&reading)[0].1, "/transaction_sold_count");
    for refusing in [Mode::Freeze, Mode::DiscardRow] {
        let error = read(&shop(&changed), &contract(refusing)).expect_err("refused").to_string();
        assert!(error.starts_with("/transaction_sold_count"), "{error}");
    }
}

#[test]
fn a_review_is_set_aside_without_what_it_says() {
    let url = "https://openapi.etsy.com/v3/application/listings/9/reviews?limit=100";
    let body = json!({"count": 2, "results": [
        {"listing_id": 9, "rating": 5, "created_timestamp": 1_700_000_000, "review": "Lovely"},
        {"listing_id": "my private words", "rating": 4, "created_timestamp": 1_700_000_000, "review": "Fine"}
    ]});
    let reviews = payload(Marketplace::Etsy, Resource::ListingReviews, url, &body.to_string());
    let contract = SourceContract { types: Mode::DiscardValue, ..SourceContract::default() };
    let reading = read(&reviews, &contract).expect("a reading");
    assert_eq!(set_aside(&reading), [("value", "/results/1/listing_id", "/listing_id: not what the contract says")]);
    assert!(!format!("{reading:?}").contains("private"));
    let frozen = SourceContract { types: Mode::Freeze, ..SourceContract::default() };
    let error = read(&reviews, &frozen).expect_err("refused").to_string();
    assert_eq!(error, "/results/1/listing_id: not what the contract says");
}

#[test]
fn rows_of_a_report_are_held_against_its_contract_as_they_pass_by() {
    let report = |third: Value, further: Value| {
        let row = |rank: u32| {
            json!({"departmentName": "Amazon.com", "searchTerm": format!("term {rank}"), "searchFrequencyRank": rank,
                   "clickedAsin": "B000000001", "clickShareRank": 1, "clickShare": 0.5, "conversionShare": 0.1})
        };
        let mut rows = vec![row(1), row(2), row(3)];
        rows[2]["clickedAsin"] = third;
        let body = json!({
            "reportSpecification": {"reportType": "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT",
                "reportOptions": {"reportPeriod": "WEEK"}, "dataStartTime": "2026-08-16", "dataEndTime": "2026-08-22"},
            "dataByDepartmentAndSearchTerm": rows, "further": further,
        });
        payload_of_many(Marketplace::Amazon, Resource::SearchTermsReport, &body.to_string())
    };
    let usual = report(json!("B000000003"), json!(null));
    let known = super::shape_in_full(&usual).known_fields();
    let contract = |types| SourceContract { unknown_fields: Mode::Freeze, types, known_fields: Some(known.clone()) };
    let keywords = tracked(&["term 1", "term 3"]);
    let read = |payload: &RawPayload, types| super::read(payload, &keywords, &contract(types)).0;
    assert_eq!(read(&usual, Mode::Freeze).expect("a reading").quarantined.len(), 0);
    let changed = report(json!(3), json!(null));
    assert_eq!(read(&changed, Mode::Evolve).expect("a reading").quarantined.len(), 0);
    let reading = read(&changed, Mode::DiscardRow).expect("a reading");
    assert_eq!(set_aside(&reading)[0].1, "/dataByDepartmentAndSearchTerm/2");
    let reason = "the rows of the search term could not be read";
    let rank = observed(&reading, 2, Metric::SearchFrequencyRank);
    assert_eq!(rank, Some(Observed::Unavailable(reason)), "not beyond the end of the list");
    let error = read(&changed, Mode::Freeze).expect_err("refused").to_string();
    assert!(error.starts_with("/dataByDepartmentAndSearchTerm/2/clickedAsin: it is of type number"), "{error}");
}

#[test]
fn a_suggested_bid_is_never_taken_for_another_match_type() {
    let body = json!({"suggestedBids": [
        {"keywordText": "blue mug", "matchType": 5, "proposedBid": {"currency": "USD", "value": "9.00"}}
    ]});
    let payload = payload_of_many(Marketplace::Ebay, Resource::SuggestedBids, &body.to_string());
    let contract = SourceContract { types: Mode::DiscardValue, ..SourceContract::default() };
    let reading = super::read(&payload, &tracked(&["blue mug"]), &contract).0.expect("a reading");
    assert_eq!(observed(&reading, 1, Metric::CpcSuggested).and_then(|bid| bid.value()), None);
    assert_eq!(set_aside(&reading)[0].0, "row");
}

#[test]
fn what_does_not_add_up_any_more_is_no_sum() {
    let url = "https://openapi.etsy.com/v3/application/listings/batch?listing_ids=1,2";
    let views = |second: Value| {
        let results = json!([{"listing_id": 1, "views": 40}, {"listing_id": 2, "views": second}]);
        let body = json!({"count": 2, "results": results});
        let batch = payload(Marketplace::Etsy, Resource::ListingBatch, url, &body.to_string());
        let contract = SourceContract { types: Mode::DiscardValue, ..SourceContract::default() };
        observed(&read(&batch, &contract).expect("a reading"), 7, Metric::ListingViewsTotal)
    };
    assert_eq!(views(json!(2)), Some(Observed::Value(42.0)));
    assert_eq!(views(json!("two")), Some(Observed::Invalid("values whose type changed were set aside")));
}
