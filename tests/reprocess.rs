//! Stored answers, read again: what a mistake in a reader spoiled is repaired, and nothing else changes.

use std::process::Output;

use digitallz_common::marketplace::Marketplace;
use serde_json::Value;

use crate::harness::{TestApp, TestDatabase, command, stderr, stdout};

/// Everything that was read, without the numbers that the database gives out and the moments at which that was done.
const CONTENT: &str = "
    select md5(coalesce(string_agg(line, E'\\n' order by line), '')) from (
        select 'observation ' || row(raw_payload_id, keyword_id, metric, value, unit, value_status, status_reason, resource,
            observed_at, period_start_date, period_end_date, period_kind, fetched_at)::text as line
        from core.keyword_observations where superseded_at is null
        union all
        select 'entry ' || row(raw_payload_id, position, keyword_id, marketplace_listing_id, entry_kind, observed_at)::text
        from core.serp_entries join core.listings using (listing_id) where superseded_at is null
        union all
        select 'listing observation ' || row(raw_payload_id, marketplace_listing_id, observed_at, price_amount,
            price_currency, view_count, favorite_count, sales_rank, bid_count, seller_feedback_score, is_promoted)::text
        from core.listing_observations join core.listings using (listing_id) where superseded_at is null
        union all
        select 'listing ' || row(marketplace, market, marketplace_listing_id, title, seller, brand, listing_url, listed_at,
            first_seen_at, last_seen_at)::text
        from core.listings
    ) content";

async fn crawled() -> TestApp {
    let app = TestApp::start().await;
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 2);
        app.crawl(marketplace, &keywords).await;
    }
    app.work_until_idle().await;
    app
}

fn reprocess(database: &TestDatabase, arguments: &[&str]) -> Output {
    command(&["--json", "reprocess"]).args(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap()
}

fn changes(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let said: Value = serde_json::from_str(&stdout(output)).unwrap();
    said["changes"].clone()
}

/// Returns how many rows of a table changed, are new, and are gone.
fn counts(changes: &Value, table: &str) -> (i64, i64, i64) {
    let tables = changes["tables"].as_array().unwrap();
    let found = tables.iter().find(|row| row["table"] == table).unwrap();
    let count = |name: &str| found[name].as_i64().unwrap();
    (count("changed_count"), count("new_count"), count("gone_count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_everything_again_changes_nothing() {
    let app = crawled().await;
    let before = app.database.texts(CONTENT).await;
    let all = changes(&reprocess(&app.database, &["--all"]));
    assert!(all["payload_count"].as_i64().unwrap() >= 10, "{all}");
    assert_eq!(all["changed_payload_count"], 0, "{all}");
    assert_eq!(app.database.texts(CONTENT).await, before);
    assert_eq!(
        app.database.count("select count(*) from core.keyword_observations where superseded_at is not null").await,
        0
    );
    assert_eq!(app.database.count("select count(*) from ops.audit_events where action = 'reprocess'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_spoiled_is_named_then_repaired_and_stays_known_as_of_then() {
    let app = crawled().await;
    let db = &app.database;
    let before = db.texts(CONTENT).await;
    // As a reader leaves it that takes cents for dollars, overlooks the last positions of a page, invents an observation and
    // does not decode titles.
    let page = "(select min(raw_payload_id) from raw.payloads where resource = 'item_search')";
    db.execute(&format!("update core.keyword_observations set value = value * 100 where metric = 'price_median' and raw_payload_id = {page}")).await;
    db.execute(&format!("delete from core.serp_entries where position > 45 and raw_payload_id = {page}")).await;
    db.execute(&format!(
        "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at,
             period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
         select keyword_id, 'favorite_median', 0, 'favourites', 'observed', resource, observed_at, period_start_date,
             period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id
         from core.keyword_observations where metric = 'price_median' and raw_payload_id = {page}"
    ))
    .await;
    db.execute("update core.listings set title = 'A &amp; B' where listing_id = (select min(listing_id) from core.listings where marketplace = 'ebay')").await;
    let spoiled = db.texts(CONTENT).await;
    let gone = db.count(&format!("select 50 - count(*) from core.serp_entries where raw_payload_id = {page}")).await;

    let foreseen = changes(&reprocess(db, &["--marketplace", "ebay", "--dry-run"]));
    assert_eq!(counts(&foreseen, "core.keyword_observations"), (1, 0, 1), "{foreseen}");
    assert_eq!(counts(&foreseen, "core.serp_entries"), (0, gone, 0), "{foreseen}");
    assert_eq!(counts(&foreseen, "core.listings").0, 1, "{foreseen}");
    let named = foreseen["examples"].as_array().unwrap();
    assert!(
        named
            .iter()
            .any(|row| row["stored"]["metric"] == "price_median" && row["reread"]["value"] != row["stored"]["value"]),
        "{foreseen}"
    );
    assert_eq!(db.texts(CONTENT).await, spoiled, "a dry run changes nothing");

    let done = changes(&reprocess(db, &["--marketplace", "ebay", "--by", "anna"]));
    assert_eq!(done["tables"], foreseen["tables"], "what was foreseen is what was done");
    assert_eq!(db.texts(CONTENT).await, before);
    assert_eq!(db.texts("select actor from ops.audit_events where action = 'reprocess'").await, ["anna"]);

    let superseded = "select count(*) from core.keyword_observations where superseded_at is not null";
    assert_eq!(db.count(superseded).await, 2);
    let as_of = |moment: &str| {
        format!("with setting as materialized (select set_config('digitallz.as_of', {moment}, true))
                 select count(*) from setting, lateral (select * from analytics.keyword_observations_v1 where set_config is not null) seen
                 where seen.metric = 'favorite_median' and seen.marketplace = 'ebay'")
    };
    let between = "(select (max(superseded_at) - interval '1 second')::text from core.keyword_observations)";
    assert_eq!(db.count(&as_of(between)).await, 1, "the invention was believed then");
    assert_eq!(db.count(&as_of("'infinity'")).await, 0);

    let again = changes(&reprocess(db, &["--all"]));
    assert_eq!(again["changed_payload_count"], 0, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_could_read_is_read_when_the_reader_can() {
    let app = crawled().await;
    let before = app.database.texts(CONTENT).await;
    // As an older reader left it, which knew nothing of this kind of answer.
    app.database.execute("delete from core.serp_entries where raw_payload_id in (select raw_payload_id from raw.payloads where resource = 'listing_search')").await;
    app.database.execute("delete from core.listing_observations where raw_payload_id in (select raw_payload_id from raw.payloads where resource = 'listing_search')").await;
    app.database.execute("delete from core.keyword_observations where raw_payload_id in (select raw_payload_id from raw.payloads where resource = 'listing_search')").await;
    app.database
        .execute(
            "update raw.payload_readings set outcome = 'quarantined', reason = 'unknown', reader_version = 0, row_count = 0,
                 observation_count = 0, listing_count = 0, serp_entry_count = 0
             where raw_payload_id in (select raw_payload_id from raw.payloads where resource = 'listing_search')",
        )
        .await;
    let done = changes(&reprocess(&app.database, &["--version", "0"]));
    assert_eq!((done["payload_count"].as_i64(), done["changed_payload_count"].as_i64()), (Some(2), Some(2)), "{done}");
    assert_eq!(app.database.texts(CONTENT).await, before);
    let refused = command(&["reprocess"]).env("DATABASE_URL", app.database.url.expose()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--all"), "{}", stderr(&refused));
}
