//! Contracts and drift on the whole way: answers change, contracts say what becomes of them, and the change is reported.

use chrono::TimeDelta;
use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::{Fault, FaultRule};
use serde_json::Value;

use crate::harness::{TestApp, TestDatabase, command, stderr, stdout};

/// Runs the binary on a database and returns its exit code, its data and its talk.
fn run(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap();
    (output.status.code(), stdout(&output), stderr(&output))
}

fn json(database: &TestDatabase, arguments: &[&str]) -> Value {
    let arguments = [&["--json"], arguments].concat();
    let (_, data, talk) = run(database, &arguments);
    serde_json::from_str(&data).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {talk}"))
}

/// Lets the answers to one operation of Etsy and eBay change.
fn change(app: &TestApp, marketplace: digitallz_sandbox::Marketplace, fault: Fault) {
    app.sandbox.clear_faults();
    let rule = FaultRule {
        marketplace,
        operation: Some(
            match marketplace {
                digitallz_sandbox::Marketplace::Amazon => "searchCatalogItems",
                digitallz_sandbox::Marketplace::Etsy => "findAllListingsActive",
                digitallz_sandbox::Marketplace::Ebay => "itemSummarySearch",
            }
            .to_owned(),
        ),
        keyword: None,
        times: None,
        share: None,
        fault,
    };
    app.sandbox.inject(rule);
}

async fn crawl(app: &TestApp, marketplace: Marketplace, keyword_count: usize) {
    let keywords = app.keywords(marketplace, keyword_count);
    app.crawl(marketplace, &keywords).await;
    app.work_until_idle().await;
}

/// Returns outcome and reason of the latest search's reading.
async fn latest(database: &TestDatabase, resource: &str) -> String {
    let sql = format!(
        "select concat_ws(' ', outcome, row_count > 0, quarantined_row_count > 0, reason)
         from raw.payload_readings join raw.payloads using (raw_payload_id)
         where resource = '{resource}' order by raw_payload_id desc limit 1"
    );
    database.texts(&sql).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_decides_what_becomes_of_a_field_that_was_never_seen() {
    let app = TestApp::start().await;
    let database = &app.database;
    let (code, _, talk) = run(database, &["sources", "contract", "ebay", "item_search", "--unknown-fields", "freeze"]);
    assert!(code == Some(1) && talk.contains("no answer of item_search was read yet"), "{talk}");
    let (code, _, talk) = run(database, &["sources", "contract", "ebay", "listing_search", "--types", "freeze"]);
    assert!(code == Some(2) && talk.contains("ebay offers no listing_search"), "{talk}");
    assert_eq!(database.count("select count(*) from ops.source_contracts").await, 0);

    crawl(&app, Marketplace::Ebay, 1).await;
    let usual = latest(database, "item_search").await;
    assert_eq!(usual, "processed t f");
    change(&app, digitallz_sandbox::Marketplace::Ebay, Fault::UnknownField("novelty".to_owned()));
    for (mode, expected) in [
        ("freeze", "quarantined f f /itemSummaries/0/novelty: the contract knows no such field"),
        ("discard-row", "processed t t"),
        ("discard-value", "processed t f"),
        ("evolve", "processed t f"),
    ] {
        let set = ["sources", "contract", "ebay", "item_search", "--unknown-fields", mode, "--by", "Ada"];
        let (code, data, talk) = run(database, &set);
        assert!(code == Some(0) && data.contains("set"), "{data}{talk}");
        // The field was seen under the mode before, so what is known is taken back to what it was.
        database
            .execute("update ops.source_contracts set known_fields = known_fields - '/itemSummaries/*/novelty'")
            .await;
        crawl(&app, Marketplace::Ebay, 1).await;
        assert_eq!(latest(database, "item_search").await, expected, "{mode}");
    }
    let events = "select format('%s %s %s %s', actor, action, subject, detail #>> '{after,unknown_fields}') from ops.audit_events where action = 'set_contract' order by audit_event_id";
    let told = ["freeze", "discard_row", "discard_value", "evolve"].map(|mode| format!("Ada set_contract ebay {mode}"));
    assert_eq!(database.texts(events).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_decides_what_becomes_of_a_type_that_changed() {
    let app = TestApp::start().await;
    let database = &app.database;
    crawl(&app, Marketplace::Etsy, 1).await;
    change(&app, digitallz_sandbox::Marketplace::Etsy, Fault::ChangedType("price".to_owned()));
    for (mode, expected) in [
        ("freeze", "quarantined f f /results/0/price: it is of type string, the contract says object"),
        ("discard_row", "processed t t"),
        ("discard_value", "processed t f"),
    ] {
        let set = ["sources", "contract", "etsy", "--types", mode, "--by", "Ada"];
        let contracts = json(database, &set)["contracts"].as_array().unwrap().clone();
        assert!(contracts.iter().any(|one| one["resource"] == "listing_search" && one["outcome"] == "set"));
        database
            .execute(
                "update ops.source_contracts
                 set known_fields = jsonb_set(known_fields, '{/results/*/price}', '[\"object\"]')
                 where known_fields is not null",
            )
            .await;
        crawl(&app, Marketplace::Etsy, 1).await;
        assert_eq!(latest(database, "listing_search").await, expected, "{mode}");
    }

    // The prices are gone and say so; everything else of the listings is there.
    let searched = "(select max(raw_payload_id) from raw.payloads where resource = 'listing_search')";
    let entries =
        database.count(&format!("select count(*) from core.serp_entries where raw_payload_id = {searched}")).await;
    assert!(entries > 0);
    let bare = format!(
        "select count(*) from core.listing_observations
         where raw_payload_id = {searched} and price_amount is null and favorite_count is not null"
    );
    assert_eq!(database.count(&bare).await, entries);
    let median = format!(
        "select concat_ws(' ', value, value_status, status_reason) from core.keyword_observations
         where raw_payload_id = {searched} and metric = 'price_median'"
    );
    let reason = "invalid values whose type changed were set aside";
    assert_eq!(database.texts(&median).await, [reason]);
    let values =
        format!("select count(*) from raw.quarantined_rows where raw_payload_id = {searched} and extent = 'value'");
    assert_eq!(database.count(&values).await, entries);

    let listed = json(database, &["sources", "contract", "etsy", "listing_search"]);
    let contract = &listed["contracts"][0];
    assert_eq!((contract["types"].as_str(), contract["set_by"].as_str()), (Some("discard_value"), Some("Ada")));
    assert!(contract["known_field_count"].is_null(), "what is accepted anyway need not be known: {contract}");
    let shown = run(database, &["sources", "show", "etsy"]).1;
    assert!(shown.contains("Contracts") && shown.contains("discard_value"), "{shown}");
    let doctor = run(database, &["doctor", "--offline"]).1;
    assert!(doctor.contains("contracts (unknown fields/types):"), "{doctor}");
    assert!(doctor.contains("listing_search evolve/discard_value"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_drift_are_told_by_field_and_day() {
    let app = TestApp::start().await;
    let database = &app.database;
    crawl(&app, Marketplace::Ebay, 4).await;
    let none = json(database, &["sources", "drift", "--since", "2026-01-01"]);
    assert_eq!(none["meta"]["count"], 0, "{none}");

    app.clock.set(app.clock.now() + TimeDelta::days(1));
    change(&app, digitallz_sandbox::Marketplace::Ebay, Fault::UnknownField("novelty".to_owned()));
    crawl(&app, Marketplace::Ebay, 4).await;
    change(&app, digitallz_sandbox::Marketplace::Ebay, Fault::ChangedType("seller".to_owned()));
    crawl(&app, Marketplace::Ebay, 4).await;

    let drift = json(database, &["sources", "drift", "ebay", "--since", "2026-01-01"]);
    let told: Vec<[&str; 4]> = drift["schema_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["observed_on", "resource", "change_kind", "path"].map(|name| one[name].as_str().unwrap()))
        .collect();
    let expected = [
        ["2026-03-12", "item_search", "appeared", "/itemSummaries/*/novelty"],
        ["2026-03-12", "item_search", "type_changed", "/itemSummaries/*/seller"],
    ];
    assert_eq!(told, expected, "{drift}");
    // Looking again tells nothing new, and every payload is counted once.
    assert_eq!(json(database, &["sources", "drift", "--since", "2026-01-01"])["meta"]["count"], 2);
    assert_eq!(json(database, &["sources", "drift", "etsy", "--since", "2026-01-01"])["meta"]["count"], 0);
    let counted = "select sum(payload_count)::bigint from raw.daily_shapes where resource = 'item_search'";
    assert_eq!(database.count(counted).await, 12);
    assert_eq!(database.count("select count(*) from raw.payload_shapes where shape is not null").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_of_a_day_is_the_same_however_its_payloads_are_read() {
    let app = TestApp::start().await;
    let database = &app.database;
    crawl(&app, Marketplace::Ebay, 6).await;
    let shape = || async {
        let mut connection = database.db.acquire().await.unwrap();
        digitallz_processor::drift::update(&mut connection, app.clock.now()).await.unwrap();
        database
            .texts("select format('%s %s %s', resource, payload_count, shape) from raw.daily_shapes order by 1")
            .await
    };
    let once = shape().await;
    assert!(once.iter().any(|day| day.starts_with("item_search 6 ")), "{once:?}");

    // As if every payload came in another order and was added up one by one, some of them twice.
    let ids =
        database.texts("select raw_payload_id::text from raw.payload_shapes order by hashint8(raw_payload_id)").await;
    database.execute("delete from raw.daily_shapes").await;
    database.execute("delete from raw.payload_shapes").await;
    database.execute("delete from raw.payload_readings").await;
    for table in ["keyword_observations", "serp_entries", "listing_observations"] {
        database.execute(&format!("delete from core.{table}")).await;
    }
    for id in ids.iter().chain(ids.iter().take(3)) {
        let again =
            format!("update ops.jobs set state = 'dead', finished_at = now() where job_key = 'process_payload:{id}'");
        database.execute(&again).await;
        let job_id =
            database.texts(&format!("select job_id::text from ops.jobs where job_key = 'process_payload:{id}'")).await;
        let mut connection = database.db.acquire().await.unwrap();
        digitallz_common::queue::retry_now(&mut connection, job_id[0].parse().unwrap()).await.unwrap();
        drop(connection);
        app.work_until_idle().await;
        shape().await;
    }
    assert_eq!(shape().await, once);
}

#[tokio::test]
async fn a_contract_without_what_it_needs_and_a_discard_without_a_reason_are_refused_by_the_schema() {
    let database = TestDatabase::new().await;
    let contract = |unknown_fields: &str, types: &str, known_fields: &str| {
        format!(
            "insert into ops.source_contracts (marketplace, resource, unknown_fields, types, known_fields, set_by, set_at)
             values ('etsy', 'shop', '{unknown_fields}', '{types}', {known_fields}, 'Ada', now())"
        )
    };
    for refused in [
        contract("freeze", "evolve", "null"),
        contract("evolve", "discard_row", "null"),
        contract("strict", "evolve", "'{}'"),
        "insert into raw.quarantined_rows (raw_payload_id, json_pointer, reason, row_text, quarantined_at, discarded_at)
         values (1, '', '', '', now(), now())"
            .to_owned(),
        "insert into raw.payload_readings (raw_payload_id, outcome, reader_version, read_at, discarded_at, discarded_by, discard_reason)
         values (1, 'processed', 1, now(), now(), 'Ada', 'why')"
            .to_owned(),
    ] {
        let error = sqlx::query(sqlx::AssertSqlSafe(refused.clone())).execute(&database.db).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("23514"), "not refused by a check: {refused}: {error}");
    }
    database.execute(&contract("discard_value", "evolve", "null")).await;
}
