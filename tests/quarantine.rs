//! What is quarantined is found, read again when it can be, and discarded by a person with a reason.

use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::{Fault, FaultRule};
use serde_json::Value;

use crate::harness::{TestApp, TestDatabase, command, stderr, stdout};

/// Runs the binary on a database and returns its exit code, its data and its talk.
fn run(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let arguments = [&["--json"], arguments].concat();
    let output = command(&arguments).env("DATABASE_URL", database.url.expose()).output().unwrap();
    let data = serde_json::from_str(&stdout(&output)).unwrap_or_default();
    (output.status.code(), data, stderr(&output))
}

/// Crawls keywords of eBay while the answers to searches are spoiled.
async fn crawl_spoiled(app: &TestApp, keyword_count: usize, fault: Fault) -> String {
    app.sandbox.clear_faults();
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: Some("itemSummarySearch".to_owned()),
        keyword: None,
        times: None,
        share: None,
        fault,
    });
    let keywords = app.keywords(Marketplace::Ebay, keyword_count);
    let crawl_run_id = app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    app.sandbox.clear_faults();
    crawl_run_id.to_string()
}

/// Returns what the tables say of searches, but for when it became known and under which identifiers.
async fn tables(database: &TestDatabase, crawl_run_id: &str) -> Vec<String> {
    let sql = format!(
        "select format('%s %s %s %s %s', keyword_text, metric, value, unit, status_reason)
         from core.keyword_observations join core.keywords using (keyword_id) join raw.payloads using (raw_payload_id)
         where payloads.crawl_run_id = '{crawl_run_id}' and payloads.resource = 'item_search'
         union all
         select format('%s %s %s', keyword_text, position, marketplace_listing_id)
         from core.serp_entries join core.listings using (listing_id) join core.keywords using (keyword_id)
              join raw.payloads using (raw_payload_id)
         where payloads.crawl_run_id = '{crawl_run_id}'
         order by 1"
    );
    database.texts(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_refused_by_a_contract_are_read_once_it_accepts_them() {
    let app = TestApp::start().await;
    let database = &app.database;
    let keywords = app.keywords(Marketplace::Ebay, 2);
    let usual_run = app.crawl(Marketplace::Ebay, &keywords).await.to_string();
    app.work_until_idle().await;
    let freeze = ["sources", "contract", "ebay", "item_search", "--unknown-fields", "freeze", "--by", "Ada"];
    assert_eq!(run(database, &freeze).0, Some(0));
    let refused_run = crawl_spoiled(&app, 2, Fault::UnknownField("novelty".to_owned())).await;

    let list = |filters: &[&str]| run(database, &[&["quarantine", "list"], filters].concat()).1;
    let listed = list(&[]);
    assert_eq!(listed["meta"]["count"], 2, "{listed}");
    let first = &listed["quarantined"][0];
    assert_eq!((first["extent"].as_str(), first["json_pointer"].as_str()), (Some("payload"), Some("")));
    assert_eq!(first["reason"], "/itemSummaries/0/novelty: the contract knows no such field");
    for (filters, expected) in [
        (vec!["--marketplace", "ebay", "--resource", "item_search"], 2),
        (vec!["--marketplace", "etsy"], 0),
        (vec!["--reason", "NOVELTY"], 2),
        (vec!["--reason", "other"], 0),
        (vec!["--run", &refused_run], 2),
        (vec!["--run", &usual_run], 0),
        (vec!["--since", "2026-03-01"], 2),
        (vec!["--since", "2026-04-01"], 0),
    ] {
        assert_eq!(list(&filters)["meta"]["count"], expected, "{filters:?}");
    }
    let doctor = run(database, &["doctor", "--offline"]).1.to_string();
    assert!(doctor.contains("2 payloads could not be read"), "{doctor}");

    // Nothing is chosen by accident, and what stays refused stays quarantined.
    let (code, _, talk) = run(database, &["quarantine", "replay"]);
    assert!(code == Some(2) && talk.contains("nothing is chosen"), "{talk}");
    let (code, data, _) = run(database, &["quarantine", "replay", "--all"]);
    assert_eq!((code, data["payloads"][0]["outcome"].as_str()), (Some(3), Some("quarantined")), "{data}");
    assert_eq!(list(&[])["meta"]["count"], 2);

    let accept = ["sources", "contract", "ebay", "item_search", "--unknown-fields", "evolve", "--by", "Ada"];
    assert_eq!(run(database, &accept).0, Some(0));
    let (code, data, _) = run(database, &["quarantine", "replay", "--run", &refused_run, "--dry-run"]);
    assert_eq!((code, data["payloads"][1]["outcome"].as_str()), (Some(0), Some("read")), "{data}");
    assert_eq!(list(&[])["meta"]["count"], 2, "a dry run changes nothing");
    assert!(tables(database, &refused_run).await.is_empty());

    let (code, data, talk) = run(database, &["quarantine", "replay", "--run", &refused_run, "--by", "Ada"]);
    assert_eq!((code, data["meta"]["count"].as_i64()), (Some(0), Some(2)), "{data}{talk}");
    assert_eq!(list(&[])["meta"]["count"], 0);
    assert_eq!(tables(database, &refused_run).await, tables(database, &usual_run).await);
    let sums = app.sums(refused_run.parse().unwrap()).await;
    assert!(sums.is_closed && sums.quarantined_payload_count == 0, "{sums:?}");
    let again = run(database, &["quarantine", "replay", "--run", &refused_run]);
    assert_eq!((again.0, again.1["meta"]["count"].as_i64()), (Some(0), Some(0)));
    let events = "select concat_ws(' ', actor, detail ->> 'payload_count', detail ->> 'read_whole_count') from ops.audit_events where action = 'replay_quarantine' and actor = 'Ada'";
    assert_eq!(database.texts(events).await, ["Ada 2 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_can_be_read_now_join_the_rest_of_their_payload() {
    let app = TestApp::start().await;
    let database = &app.database;
    // A contract that is too strict, as an operator may have set it by mistake.
    let keywords = app.keywords(Marketplace::Ebay, 1);
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    let strict = ["sources", "contract", "ebay", "item_search", "--unknown-fields", "discard_row", "--by", "Ada"];
    assert_eq!(run(database, &strict).0, Some(0));
    let crawl_run_id = crawl_spoiled(&app, 1, Fault::UnknownField("novelty".to_owned())).await;
    let set_aside = database.count("select count(*) from raw.quarantined_rows").await;
    assert!(set_aside > 0);
    let rows = "select count(*) from core.serp_entries join raw.payloads using (raw_payload_id) where crawl_run_id = ";
    assert_eq!(database.count(&format!("{rows}'{crawl_run_id}'")).await, 0);
    let payload = database.texts("select distinct raw_payload_id::text from raw.quarantined_rows").await.remove(0);

    let shown = run(database, &["quarantine", "show", &payload]).1;
    let part = &shown["parts"][0];
    assert_eq!((part["extent"].as_str(), part["json_pointer"].as_str()), (Some("row"), Some("/itemSummaries/0")));
    assert!(part["row_text"].as_str().unwrap().contains("novelty"), "{part}");

    let accept = ["sources", "contract", "ebay", "item_search", "--unknown-fields", "evolve", "--by", "Ada"];
    assert_eq!(run(database, &accept).0, Some(0));
    let (code, data, talk) = run(database, &["quarantine", "replay", &payload]);
    assert_eq!(code, Some(0), "{data}{talk}");
    assert_eq!(database.count(&format!("{rows}'{crawl_run_id}'")).await, set_aside);
    assert_eq!(database.count("select count(*) from raw.quarantined_rows").await, 0);
    assert_eq!(
        database
            .count(&format!(
                "select quarantined_row_count::bigint from raw.payload_readings where raw_payload_id = {payload}"
            ))
            .await,
        0
    );
    assert!(app.sums(crawl_run_id.parse().unwrap()).await.is_closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_discarded_is_marked_with_who_and_why_and_its_bytes_stay() {
    let app = TestApp::start().await;
    let database = &app.database;
    crawl_spoiled(&app, 3, Fault::MalformedRow).await;
    assert_eq!(database.count("select count(*) from raw.quarantined_rows where discarded_at is null").await, 3);
    let bodies = "select count(*) from raw.payloads where chunk_count is not null";
    let body_count = database.count(bodies).await;

    let discard =
        ["quarantine", "discard", "--resource", "item_search", "--limit", "2", "--why", "a test", "--by", "Ada"];
    let (code, data, _) = run(database, &[&discard[..], &["--dry-run"]].concat());
    assert_eq!((code, data["meta"]["count"].as_i64()), (Some(0), Some(2)));
    assert_eq!(database.count("select count(*) from raw.quarantined_rows where discarded_at is null").await, 3);
    let (code, _, talk) = run(database, &discard);
    assert_eq!(code, Some(0), "{talk}");
    assert_eq!(run(database, &["quarantine", "list"]).1["meta"]["count"], 1);
    let discarded = run(database, &["quarantine", "list", "--discarded"]).1;
    assert_eq!(discarded["meta"]["count"], 2);
    let first = &discarded["quarantined"][0];
    assert_eq!((first["discarded_by"].as_str(), first["discard_reason"].as_str()), (Some("Ada"), Some("a test")));
    assert_eq!(database.count(bodies).await, body_count);
    let events = "select concat_ws(' ', actor, action, detail ->> 'reason', detail ->> 'discarded_count') from ops.audit_events where action = 'discard_quarantined'";
    assert_eq!(database.texts(events).await, ["Ada discard_quarantined a test 2"]);

    // What was discarded is left out of a replay of everything, and stays marked.
    let (code, data, _) = run(database, &["quarantine", "replay", "--all"]);
    assert_eq!((code, data["meta"]["count"].as_i64()), (Some(3), Some(1)), "{data}");
    assert_eq!(run(database, &["quarantine", "list", "--discarded"]).1["meta"]["count"], 2);
    let id = first["raw_payload_id"].to_string();
    let (code, _, talk) = run(database, &["quarantine", "replay", &id]);
    assert!(code == Some(1) && talk.contains(&format!("quarantined and open in payload {id}")), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_never_made_one() {
    let app = TestApp::start().await;
    let database = &app.database;
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: Some("itemSummarySearch".to_owned()),
        keyword: None,
        times: Some(1),
        share: None,
        fault: Fault::WrongContentType,
    });
    let keywords = app.keywords(Marketplace::Ebay, 1);
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    let refused = "select count(*) from raw.payload_readings where outcome = 'quarantined' and reader_version = 0";
    assert_eq!(database.count(refused).await, 1);
    let before = database.count("select count(*) from core.keyword_observations").await;
    let (code, data, _) = run(database, &["quarantine", "replay", "--all"]);
    assert_eq!((code, data["payloads"][0]["outcome"].as_str()), (Some(3), Some("left_alone")), "{data}");
    assert_eq!(database.count(refused).await, 1);
    assert_eq!(database.count("select count(*) from core.keyword_observations").await, before);
}
