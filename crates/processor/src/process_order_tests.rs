//! The same payloads leave the same tables: read in any order, twice, or by many workers at once. It needs `DATABASE_URL`.

use digitallz_common::marketplace::Resource;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::tests::World;
use crate::content_hash::{self, TableHash};

/// How many sets of payloads are tried; each takes three databases.
const SETS: usize = 4;

/// An answer of a resource, some days and hours after the world began; two may come at the same moment.
#[derive(Clone, Debug)]
struct Answer {
    resource: Resource,
    hours: i64,
    body: String,
}

fn item() -> impl Strategy<Value = Value> {
    let price = prop::sample::select(vec!["1.00", "2.50", "1,00", "10.125"]);
    let title = prop::sample::select(vec![None, None, Some("Blue mug"), Some("Mug &amp; saucer"), Some("MUG blue")]);
    (1u32..9, price, title, 0u32..3, any::<bool>(), 0u32..60).prop_map(
        |(number, price, title, seller, is_promoted, sold)| {
            json!({
                "itemId": format!("v1|{number}|0"), "title": title, "buyingOptions": ["FIXED_PRICE"],
                "price": {"value": price, "currency": "USD"}, "priorityListing": is_promoted,
                "seller": {"username": format!("seller {seller}"), "feedbackScore": 5 * number},
                "itemCreationDate": format!("2026-08-1{number}T00:00:00Z"), "itemWebUrl": format!("https://e/{number}"),
                "estimatedAvailabilities": [{"estimatedSoldQuantity": sold}]
            })
        },
    )
}

fn body() -> impl Strategy<Value = (Resource, String)> {
    let items = prop::collection::vec(item(), 0..6);
    (0..7u8, items).prop_map(|(kind, items)| match kind {
        0 | 1 => {
            let page = json!({"href": "https://", "total": 7, "limit": 50, "offset": 0, "itemSummaries": items});
            (Resource::ItemSearch, page.to_string())
        }
        2..=4 => (Resource::ItemDetails, json!({ "items": items }).to_string()),
        5 => {
            let categories = ["1", "2", "1"].map(|id| json!({"category": {"categoryId": id, "categoryName": "Mugs"}}));
            (Resource::CategorySuggestions, json!({ "categorySuggestions": categories }).to_string())
        }
        _ => (Resource::ItemSearch, "<html>busy</html>".to_owned()),
    })
}

/// Payloads in two orders.
fn answers() -> impl Strategy<Value = (Vec<Answer>, Vec<usize>)> {
    prop::collection::vec(body(), 2..9).prop_flat_map(|bodies| {
        let answers: Vec<Answer> = bodies
            .into_iter()
            .zip(0..)
            .map(|((resource, body), number)| Answer { resource, hours: number / 2 * 25, body })
            .collect();
        let order: Vec<usize> = (0..answers.len()).collect();
        (Just(answers), Just(order).prop_shuffle())
    })
}

#[tokio::test]
async fn a_sample_that_comes_late_changes_the_differences_after_it() {
    let details = |sold: u32| {
        let item =
            json!({"itemId": "v1|1|0", "title": "Mug", "estimatedAvailabilities": [{"estimatedSoldQuantity": sold}]});
        json!({ "items": [item] }).to_string()
    };
    let Some(world) = World::new().await else { return };
    let stood = "select coalesce(string_agg(format('day %s: %s', observed_at::date - began, value), ', ' order by observed_at), '')
                 from core.keyword_observations, (select min(observed_at)::date as began from core.listing_observations) first
                 where metric = 'listing_sales_per_week' and superseded_at is null";
    let superseded = "select count(*)::text from core.keyword_observations where superseded_at is not null";
    let read = async |number: usize, days: i64, sold: u32| {
        let answer = Answer { resource: Resource::ItemDetails, hours: 24 * days, body: details(sold) };
        store(&world, number, &answer).await;
        world.work(1).await;
        (world.text(stood).await, world.text(superseded).await)
    };
    assert_eq!(read(0, 0, 10).await, (String::new(), "0".to_owned()), "one sample makes no difference");
    assert_eq!(read(1, 14, 30).await, ("day 14: 10".to_owned(), "0".to_owned()), "20 sales in two weeks");
    // Of the week in the middle it becomes known late that most were sold in it.
    let after = read(2, 7, 28).await;
    assert_eq!(after, ("day 7: 18, day 14: 2".to_owned(), "1".to_owned()));
    // Too long ago for a difference, and a count that goes back counts anew.
    assert_eq!(read(3, 14 + 36, 90).await, after);
    assert_eq!(read(4, 14 + 43, 80).await, after);
    world.end().await;
}

async fn store(world: &World, number: usize, answer: &Answer) {
    world.store_as(&format!("answer {number}"), answer.resource, answer.hours, &answer.body).await;
}

async fn hashes(world: &World) -> Vec<TableHash> {
    let mut connection = world.db.acquire().await.expect("a connection");
    content_hash::of_tables(&mut connection).await.expect("hashes")
}

#[tokio::test]
async fn the_same_payloads_leave_the_same_tables_in_any_order_twice_and_in_parallel() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..SETS {
        let (answers, order) = answers().new_tree(&mut runner).expect("a set").current();
        let Some(in_order) = World::new().await else { return };
        for (number, answer) in answers.iter().enumerate() {
            store(&in_order, number, answer).await;
            in_order.work(1).await;
        }
        let expected = hashes(&in_order).await;
        assert!(expected.iter().any(|table| table.table_name == "raw.payload_readings"), "{expected:?}");

        let shuffled = World::new().await.expect("a server was there");
        for number in &order {
            store(&shuffled, *number, &answers[*number]).await;
            shuffled.work(1).await;
        }
        assert_eq!(hashes(&shuffled).await, expected, "in the order {order:?}: {answers:#?}");
        shuffled.start_over().await;
        shuffled.work(4).await;
        assert_eq!(hashes(&shuffled).await, expected, "twice: {answers:#?}");

        let parallel = World::new().await.expect("a server was there");
        for number in order.iter().rev() {
            store(&parallel, *number, &answers[*number]).await;
        }
        parallel.work(4).await;
        assert_eq!(hashes(&parallel).await, expected, "in parallel: {answers:#?}");
        for world in [in_order, shuffled, parallel] {
            world.end().await;
        }
    }
}

#[tokio::test]
async fn a_title_is_that_of_the_latest_sample_that_tells_one() {
    let page = |title: &str| {
        let item = json!({"itemId": "v1|1|0", "title": title, "itemWebUrl": "https://e/1"});
        json!({"href": "https://", "total": 1, "limit": 50, "offset": 0, "itemSummaries": [item]}).to_string()
    };
    let answers = [("early", 1), ("late", 2), ("", 3)];
    for order in [[0, 1, 2], [2, 0, 1], [2, 1, 0], [1, 2, 0]] {
        let Some(world) = World::new().await else { return };
        for (title, hours) in order.map(|number: usize| answers[number]) {
            store(&world, hours as usize, &Answer { resource: Resource::ItemSearch, hours, body: page(title) }).await;
            world.work(1).await;
        }
        let title = world.text("select title from core.listings").await;
        assert_eq!(title, "late", "in the order {order:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_hash_tells_one_value_from_another() {
    let Some(world) = World::new().await else { return };
    let page = |price: &str| {
        let item = json!({"itemId": "v1|1|0", "title": "Mug", "price": {"value": price, "currency": "USD"}});
        json!({"href": "https://", "total": 1, "limit": 50, "offset": 0, "itemSummaries": [item]}).to_string()
    };
    store(&world, 0, &Answer { resource: Resource::ItemSearch, hours: 0, body: page("1.00") }).await;
    world.work(1).await;
    let before = hashes(&world).await;
    let names: Vec<&str> = before.iter().map(|table| table.table_name.as_str()).collect();
    assert_eq!(
        names,
        [
            "core.keyword_observations",
            "core.listing_observations",
            "core.listings",
            "core.serp_entries",
            "raw.payload_readings"
        ]
    );
    for (statement, changed) in [
        ("update core.listing_observations set price_amount = 1.01", "core.listing_observations"),
        (
            "update core.keyword_observations set unit = 'EUR' where metric = 'price_median'",
            "core.keyword_observations",
        ),
        ("update core.serp_entries set position = 2", "core.serp_entries"),
        ("delete from core.serp_entries", "core.serp_entries"),
    ] {
        let before = hashes(&world).await;
        sqlx::raw_sql(statement).execute(&world.db).await.expect(statement);
        let after = hashes(&world).await;
        let is_changed = |name: &str| {
            let of = |tables: &[TableHash]| tables.iter().find(|table| table.table_name == name).cloned();
            of(&before) != of(&after)
        };
        assert!(names.iter().all(|name| is_changed(name) == (*name == changed)), "{statement}: {after:?}");
    }
    let ingested_later = "update core.keyword_observations set ingested_at = ingested_at + interval '1 day'";
    let before = hashes(&world).await;
    sqlx::raw_sql(ingested_later).execute(&world.db).await.expect("an update");
    assert_eq!(hashes(&world).await, before);
    world.end().await;
}
