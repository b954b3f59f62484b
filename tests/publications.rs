//! What a crawl run brought is shown when it is complete and looks right; otherwise what was there before stays.

use std::process::Output;

use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::{Fault, FaultRule};
use serde_json::Value;

use crate::harness::{NOW, TestApp, TestDatabase, command, stderr, stdout};

fn publications(database: &TestDatabase, arguments: &[&str]) -> Output {
    command(&["--json", "publications"]).args(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap()
}

/// Returns what the views show of each marketplace: the moment of the page, and whether it is stale.
async fn shown(app: &TestApp) -> Vec<String> {
    app.database
        .texts(
            "select format('%s %s %s', platform, max(entries.observed_at) at time zone 'utc', bool_or(is_stale))
             from analytics.keyword_data_v1 join analytics.serp_entries_v1 entries using (keyword_id)
             group by platform order by platform",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_marketplace_keeps_its_former_pages_marked_as_stale_and_the_others_publish() {
    let app = TestApp::start().await;
    for marketplace in Marketplace::ALL {
        app.crawl(marketplace, &app.keywords(marketplace, 4)).await;
    }
    app.work_until_idle().await;
    let first = "2026-03-11 06:00:00";
    assert_eq!(shown(&app).await, ["amazon", "ebay", "etsy"].map(|name| format!("{name} {first} f")));

    let later = NOW.parse::<chrono::DateTime<chrono::Utc>>().unwrap() + chrono::TimeDelta::days(1);
    app.clock.set(later);
    app.sandbox.set_now(later);
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: None,
        keyword: None,
        times: None,
        share: None,
        fault: Fault::HtmlWithStatus200,
    });
    for marketplace in Marketplace::ALL {
        app.crawl(marketplace, &app.keywords(marketplace, 4)).await;
    }
    app.work_until_idle().await;
    let second = "2026-03-12 06:00:00";
    assert_eq!(
        shown(&app).await,
        [format!("amazon {second} f"), format!("ebay {first} t"), format!("etsy {second} f")]
    );
    let reasons =
        app.database.texts("select distinct stale_reason from analytics.keyword_data_v1 where platform = 'ebay'").await;
    assert!(reasons.len() == 1 && reasons[0].contains("answered"), "{reasons:?}");
    let freshness = "select format('%s %s', marketplace, is_stale) from analytics.source_freshness_v1 order by 1";
    assert_eq!(app.database.texts(freshness).await, ["amazon f", "ebay t", "etsy f"]);

    let held = publications(&app.database, &["list", "--held"]);
    let held: Value = serde_json::from_str(&stdout(&held)).unwrap();
    let run = held["publications"][0]["crawl_run_id"].as_str().unwrap().to_owned();
    assert_eq!(held["meta"]["count"], 1, "{held}");

    // The marketplace is back: its questions are asked again, and then the run is published by itself.
    app.sandbox.clear_faults();
    let retried =
        command(&["jobs", "retry", "--run", &run]).env("DATABASE_URL", app.database.url.expose()).output().unwrap();
    assert!(retried.status.success(), "{}", stderr(&retried));
    app.work_until_idle().await;
    assert_eq!(shown(&app).await, ["amazon", "ebay", "etsy"].map(|name| format!("{name} {second} f")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_run_is_shown_before_all_of_it_is_and_an_operator_may_decide_otherwise() {
    let app = TestApp::start().await;
    let run = app.crawl(Marketplace::Etsy, &app.keywords(Marketplace::Etsy, 3)).await.to_string();
    let collector = app.play(&[digitallz::cli::Role::Collector]);
    app.database.wait_for_count("select count(*) from raw.payloads", 6).await;
    collector.stop().await;
    let undecided = publications(&app.database, &["show", &run]);
    assert_eq!(undecided.status.code(), Some(1));
    assert!(stderr(&undecided).contains(&run), "{}", stderr(&undecided));
    assert_eq!(app.database.count("select count(*) from analytics.keyword_observations_v1").await, 0);
    app.work_until_idle().await;
    let all = app.database.count("select count(*) from core.keyword_observations").await;
    assert_eq!(app.database.count("select count(*) from analytics.keyword_observations_v1").await, all);

    let hold = publications(&app.database, &["hold", &run, "--reason", "prices look wrong", "--by", "anna"]);
    assert!(hold.status.success(), "{}", stderr(&hold));
    assert_eq!(app.database.count("select count(*) from analytics.keyword_observations_v1").await, 0);
    assert_eq!(app.database.count("select count(*) from analytics.serp_entries_v1").await, 0);
    app.work_until_idle().await;
    assert_eq!(
        app.database.count("select count(*) from analytics.serp_entries_v1").await,
        0,
        "the operator's word stays"
    );

    let publish = publications(&app.database, &["publish", &run, "--reason", "they are right", "--by", "anna"]);
    assert!(publish.status.success(), "{}", stderr(&publish));
    assert_eq!(app.database.count("select count(*) from analytics.keyword_observations_v1").await, all);
    let trail = "select format('%s %s', actor, action) from ops.audit_events where action in ('hold_run', 'publish_run') order by happened_at, action";
    assert_eq!(app.database.texts(trail).await, ["anna hold_run", "anna publish_run"]);
}
