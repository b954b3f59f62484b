//! The quota ledger at work: several collectors on one credential, limits that change, days that are renewed, holders that die.

use std::collections::BTreeMap;

use digitallz::cli::Role;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue;
use digitallz_sandbox::{Fault, FaultRule, LimitWindow, Period, SandboxConfig};

use crate::harness::TestApp;

/// Starts a sandbox with the published limits, but for the given scope.
async fn app_with(scope: &str, window: LimitWindow, setting: (&'static str, &str)) -> TestApp {
    let limits = BTreeMap::from([(scope.to_owned(), vec![window])]);
    let mut app = TestApp::start_with(SandboxConfig { limits, limit_factor: 1e6, ..SandboxConfig::default() }).await;
    app.environment = app.environment.with([(setting.0, setting.1.to_owned())]);
    app
}

fn refused(app: &TestApp, scope: &str) -> u64 {
    app.sandbox.limit_statistics()[scope].refused
}

/// Makes jobs that wait for a later time due at once, as if that time had come.
async fn wake_all(app: &TestApp) {
    let mut connection = app.db().acquire().await.unwrap();
    for job_id in app.database.texts("select job_id::text from ops.jobs where state = 'ready'").await {
        queue::retry_now(&mut connection, job_id.parse().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn collectors_that_share_a_credential_keep_its_limit_together() {
    let window = LimitWindow::Sliding { limit: 10, window_s: 1.0 };
    let app = app_with("etsy.any", window, ("DIGITALLZ_ETSY_LIMITS", "any=10/1s")).await;
    let keywords = app.keywords(Marketplace::Etsy, 20);
    app.crawl(Marketplace::Etsy, &keywords).await;
    let collectors: Vec<_> = (0..4).map(|_| app.play(&[Role::Collector])).collect();
    app.database
        .wait_for_count("select count(*) from ops.jobs where state <> 'done' and queue_name <> 'process'", 0)
        .await;
    for roles in collectors {
        roles.stop().await;
    }
    let found = &app.sandbox.limit_statistics()["etsy.any"];
    assert_eq!((found.accepted, found.refused), (40, 0));
    let spent = "select count(*) from ops.quota_permits where state = 'spent' and status_code = 200 and crawl_run_id is not null";
    assert_eq!(app.database.count(spent).await, 40, "every request is a row of the ledger");
}

#[tokio::test]
async fn a_header_that_lowers_the_limit_is_obeyed_by_all_collectors() {
    let window = |per_second, burst| LimitWindow::TokenBucket { per_second, burst };
    let app = app_with(
        "amazon.searchCatalogItems",
        window(200.0, 20.0),
        ("DIGITALLZ_AMAZON_LIMITS", "searchCatalogItems=200:20,createReport=9:9,getReport=9:9,getReportDocument=9:9"),
    )
    .await;
    let keywords = app.keywords(Marketplace::Amazon, 30);
    app.crawl(Marketplace::Amazon, &keywords).await;
    let collectors: Vec<_> = (0..3).map(|_| app.play(&[Role::Collector])).collect();
    let open = "select count(*) from ops.jobs where state in ('ready', 'running') and queue_name = 'fetch.amazon'";
    let spent = "select count(*) from ops.quota_permits where operation = 'searchCatalogItems' and state = 'spent'";
    app.database.wait_for_count(spent, 30).await;

    let lower = BTreeMap::from([("amazon.searchCatalogItems".to_owned(), vec![window(4.0, 20.0)])]);
    app.sandbox.set_limits(&lower).unwrap();
    app.crawl(Marketplace::Amazon, &keywords).await;
    let in_force = "select (account -> 'windows' -> 0 -> 'in_force' ->> 'per_second' = '4.0')::int::bigint from ops.quotas where scope = 'searchCatalogItems'";
    app.database.wait_for_count(in_force, 1).await;
    let lowered_at =
        app.database.texts("select updated_at::text from ops.quotas where scope = 'searchCatalogItems'").await;

    app.database.wait_for_count(spent, 60).await;
    app.database.wait_for_count(open, 0).await;
    for roles in collectors {
        roles.stop().await;
    }
    // From one second on after the limit was learnt, no second holds more than burst and rate allow.
    let crowded = format!(
        "select count(*) from ops.quota_permits first
         where operation = 'searchCatalogItems' and state = 'spent' and send_at > '{}'::timestamptz + interval '1 second'
           and 4 + 20 < (select count(*) from ops.quota_permits other
                    where other.operation = first.operation and other.state = 'spent'
                      and other.send_at between first.send_at and first.send_at + interval '1 second')",
        lowered_at[0]
    );
    assert_eq!(app.database.count(&crowded).await, 0);
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_pause_that_a_marketplace_asks_for_holds_for_every_collector() {
    let window = LimitWindow::Sliding { limit: 100, window_s: 1.0 };
    let app = app_with("etsy.any", window, ("DIGITALLZ_ETSY_LIMITS", "any=100/1s")).await;
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Etsy,
        operation: None,
        keyword: None,
        times: Some(1),
        share: None,
        fault: Fault::TooManyRequests { retry_after_s: Some(3) },
    });
    let keywords = app.keywords(Marketplace::Etsy, 6);
    app.crawl(Marketplace::Etsy, &keywords).await;
    let collectors = [app.play(&[Role::Collector]), app.play(&[Role::Collector])];
    app.database
        .wait_for_count("select count(*) from ops.jobs where state <> 'done' and queue_name <> 'process'", 0)
        .await;
    for roles in collectors {
        roles.stop().await;
    }
    let too_early = "select count(*) from ops.quota_permits early, ops.quota_permits refused
        where refused.status_code = 429 and early.granted_at > refused.settled_at
          and early.send_at < refused.settled_at + interval '3 seconds'";
    assert_eq!(app.database.count(too_early).await, 0);
    assert_eq!(app.database.count("select count(*) from ops.quota_permits where status_code = 429").await, 1);
}

#[tokio::test]
async fn a_day_of_ebay_ends_at_midnight_in_california_even_when_the_clock_changes() {
    let window = LimitWindow::Fixed { limit: 3, period: Period::PacificDay };
    let app = app_with("ebay.browse", window, ("DIGITALLZ_EBAY_LIMITS", "browse=3/day@America/Los_Angeles")).await;
    let set_now = |text: &str| {
        app.clock.set(text.parse().unwrap());
        app.sandbox.set_now(text.parse().unwrap());
    };
    // In California the clock goes from 2 to 3 in the morning of this day: it has 23 hours.
    set_now("2026-03-08T20:00:00Z");
    let keywords = app.keywords(Marketplace::Ebay, 5);
    app.crawl(Marketplace::Ebay, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    let fetched = "select count(*) from raw.payloads where resource = 'item_search'";
    let snoozed = "select count(*) from ops.jobs where state = 'ready' and snoozes > 0 and queue_name = 'fetch.ebay'";
    app.database.wait_for_count(fetched, 3).await;
    app.database.wait_for_count(snoozed, 2).await;

    set_now("2026-03-09T06:59:30Z");
    wake_all(&app).await;
    app.database
        .wait_for_count("select count(*) from ops.job_attempts join ops.jobs using (job_id) where queue_name = 'fetch.ebay' and outcome = 'snooze'", 4)
        .await;
    assert_eq!(app.database.count(fetched).await, 3, "it is not midnight yet");

    set_now("2026-03-09T07:00:10Z");
    wake_all(&app).await;
    app.database.wait_for_count(fetched, 5).await;
    roles.stop().await;
    assert_eq!(refused(&app, "ebay.browse"), 0);
}

#[tokio::test]
async fn what_ebay_says_is_spent_by_others_is_not_spent_again() {
    let window = LimitWindow::Fixed { limit: 10, period: Period::PacificDay };
    let app = app_with("ebay.browse", window, ("DIGITALLZ_EBAY_LIMITS", "browse=10/day@America/Los_Angeles")).await;
    let one = app.keywords(Marketplace::Ebay, 1);
    // Somebody else with the same credential: another database, hence another ledger.
    let mut other = TestApp::start().await;
    other.environment = app.environment.clone();
    for _ in 0..8 {
        other.crawl(Marketplace::Ebay, &one).await;
    }
    let roles = other.play(&[Role::Collector]);
    other.database.wait_for_count("select count(*) from raw.payloads where resource = 'item_search'", 8).await;
    roles.stop().await;

    let keywords = app.keywords(Marketplace::Ebay, 5);
    app.crawl(Marketplace::Ebay, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    app.database
        .wait_for_count("select count(*) from ops.jobs where snoozes > 0 and queue_name = 'fetch.ebay'", 3)
        .await;
    roles.stop().await;
    assert_eq!(refused(&app, "ebay.browse"), 0);
    assert_eq!(app.database.count("select count(*) from raw.payloads where resource = 'item_search'").await, 2);
}

#[tokio::test]
async fn the_permit_of_a_dead_process_is_counted_as_spent_and_its_place_is_free_again() {
    let window = LimitWindow::TokenBucket { per_second: 100.0, burst: 1.0 };
    let app = app_with("ebay.browse", window, ("DIGITALLZ_EBAY_LIMITS", "browse=100:1")).await;
    let keywords = app.keywords(Marketplace::Ebay, 1);
    app.crawl(Marketplace::Ebay, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'item_search'", 1).await;
    roles.stop().await;
    // A holder without a session, whose request would take an hour.
    app.database
        .execute(
            "insert into ops.quota_permits (marketplace, operation, quota_ids, holder, state, granted_at, send_at, expires_at)
             select 'ebay', 'itemSummarySearch', array_agg(quota_id), 12345, 'open', now(), now(), now() + interval '1 hour'
             from ops.quotas where scope = 'browse'",
        )
        .await;
    app.crawl(Marketplace::Ebay, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'item_search'", 2).await;
    roles.stop().await;
    assert_eq!(
        app.database.count("select count(*) from ops.quota_permits where state = 'expired' and holder = 12345").await,
        1
    );
}

#[tokio::test]
async fn all_collectors_share_one_token_and_the_database_never_sees_it() {
    let mut app = TestApp::start().await;
    app.environment = app.environment.with([("DIGITALLZ_EBAY_RESOURCES", "item_search".to_owned())]);
    let keywords = app.keywords(Marketplace::Ebay, 12);
    app.crawl(Marketplace::Ebay, &keywords).await;
    let collectors: Vec<_> = (0..4).map(|_| app.play(&[Role::Collector])).collect();
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'item_search'", 12).await;
    assert_eq!(app.sandbox.tokens_minted()["ebay"], 1);

    app.sandbox.expire_tokens();
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'item_search'", 24).await;
    for roles in collectors {
        roles.stop().await;
    }
    assert_eq!(app.sandbox.tokens_minted()["ebay"], 2, "one refresh for all");
    let sealed = app
        .database
        .texts("select encode(sealed_token, 'escape') from ops.access_tokens where sealed_token is not null")
        .await;
    assert!(!sealed.is_empty() && sealed.iter().all(|text| !text.contains("v^1.1")), "{sealed:?}");
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_left_alone_probed_and_taken_up_again() {
    let mut app = TestApp::start().await;
    app.environment = app
        .environment
        .with([("DIGITALLZ_BREAKER_FAILURES", "3".to_owned()), ("DIGITALLZ_BREAKER_SECONDS", "2".to_owned())]);
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: Some("itemSummarySearch".to_owned()),
        keyword: None,
        times: None,
        share: None,
        fault: Fault::ServerError(500),
    });
    let keywords = app.keywords(Marketplace::Ebay, 8);
    app.crawl(Marketplace::Ebay, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    let opened = "select count(*) from ops.source_health where operation = 'itemSummarySearch' and breaker_state <> 'closed' and last_failure_cause like '%500%'";
    app.database.wait_for_count(opened, 1).await;
    let paused = "select count(*) from ops.job_attempts where outcome = 'snooze' and cause like '%paused by the circuit breaker%'";
    app.database.wait_for_at_least(paused, 1).await;
    app.sandbox.clear_faults();
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'item_search'", 8).await;
    roles.stop().await;
    assert_eq!(app.database.count(opened).await, 0, "a good answer closes the breaker");
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_asked_of_a_source_that_an_operator_paused() {
    let app = TestApp::start().await;
    app.database
        .execute(
            "insert into ops.source_pauses (marketplace, operation, paused_by, reason, paused_at)
             values ('etsy', 'findAllListingsActive', 'anna', 'they asked us to', now())",
        )
        .await;
    let keywords = app.keywords(Marketplace::Etsy, 2);
    app.crawl(Marketplace::Etsy, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    let told =
        "select count(distinct job_id) from ops.job_attempts where cause like '%is paused by anna: they asked us to'";
    app.database.wait_for_count(told, 2).await;
    assert_eq!(app.sandbox.request_counts().get("etsy.findAllListingsActive"), None);

    app.database.execute("update ops.source_pauses set resumed_by = 'anna', resumed_at = now()").await;
    wake_all(&app).await;
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'listing_search'", 2).await;
    roles.stop().await;
}

#[tokio::test]
async fn the_canary_tells_a_keyword_without_results_from_a_marketplace_that_shows_nothing() {
    let app = TestApp::start().await;
    let unknown = vec![crate::harness::entry(Marketplace::Etsy, "zzxqvw")];
    app.crawl(Marketplace::Etsy, &unknown).await;
    app.work_until_idle().await;
    let found =
        "select format('%s %s', value, value_status) from core.keyword_observations where metric = 'result_count'";
    assert_eq!(app.database.texts(found).await, ["0 observed"], "the canary sang, so nothing means nothing");
    assert_eq!(app.sandbox.request_counts()["etsy.findAllListingsActive"], 2);

    let blocked = TestApp::start().await;
    blocked.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Etsy,
        operation: None,
        keyword: None,
        times: None,
        share: None,
        fault: Fault::EmptyResults,
    });
    let keywords = blocked.keywords(Marketplace::Etsy, 1);
    blocked.crawl(Marketplace::Etsy, &keywords).await;
    blocked.work_until_idle().await;
    assert_eq!(blocked.database.texts(found).await, Vec::<String>::new(), "a blocked search is no zero");
    let causes = blocked.dead_letters().await;
    assert!(causes.len() == 1 && causes[0].contains("blocked"), "{causes:?}");
    let kept = "select count(*) from raw.payload_readings where outcome = 'quarantined' and reason like 'blocked%'";
    assert!(blocked.database.count(kept).await > 0, "what came is kept as evidence");
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_tried_again() {
    let app = TestApp::start().await;
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: Some("itemSummarySearch".to_owned()),
        keyword: None,
        times: Some(1),
        share: None,
        fault: Fault::ConnectionClosed,
    });
    let keywords = app.keywords(Marketplace::Ebay, 1);
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
    let spent = "select count(*) from ops.quota_permits where operation = 'itemSummarySearch' and state = 'spent' and status_code is null";
    assert_eq!(app.database.count(spent).await, 1, "what may have arrived is spent");
}
