//! Terms of use: nothing is collected unacknowledged, nothing is kept beyond its time, nothing trains against them.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz::cli::Role;
use digitallz_common::jobs::{FetchPage, Job, PurgeExpired, ScoreKeywords, TrainModels};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::source_policy::{self, Rules};
use digitallz_common::{queue, raw_payload, terms};
use digitallz_processor::purge;
use digitallz_sandbox::SandboxConfig;

use crate::harness::{NOW, TestApp, TestDatabase, command, stderr, stdout};

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

async fn start_unacknowledged() -> TestApp {
    TestApp::start_unacknowledged(SandboxConfig { limit_factor: 1e6, ..SandboxConfig::default() }).await
}

async fn enqueue(app: &TestApp, job: &Job) {
    let mut connection = app.db().acquire().await.unwrap();
    queue::enqueue(&mut connection, job, 0).await.unwrap();
}

async fn set_rules(database: &TestDatabase, marketplace: Marketplace, rules: Rules) {
    let mut connection = database.db.acquire().await.unwrap();
    source_policy::set_rules(&mut connection, marketplace, rules, "test", now()).await.unwrap();
}

/// Runs the binary on a database and returns its exit code, its data and its talk.
fn run(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap();
    (output.status.code(), stdout(&output), stderr(&output))
}

fn json(database: &TestDatabase, arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["--json"], arguments].concat();
    let (_, data, talk) = run(database, &arguments);
    serde_json::from_str(&data).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {talk}"))
}

#[tokio::test]
async fn no_request_leaves_before_the_terms_are_acknowledged() {
    let app = start_unacknowledged().await;
    let mut runs = Vec::new();
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 1);
        runs.push((marketplace, app.crawl(marketplace, &keywords).await));
    }
    // A fetch that was planned before the terms changed is refused as well as a plan.
    let fetch = FetchPage {
        crawl_run_id: runs[2].1,
        site: Site::new(Marketplace::Ebay, "US").unwrap(),
        resource: Resource::ItemSearch,
        keyword_id: Some(app.database.count("select keyword_id from core.keywords where marketplace = 'ebay'").await),
        keyword_ids: Vec::new(),
        then: Vec::new(),
        page_number: 1,
        cursor: None,
        scheduled_for: now(),
    };
    enqueue(&app, &Job::FetchPage(fetch)).await;
    app.work_until_idle().await;
    assert_eq!(app.sandbox.requests().len(), 0, "no request, not even for a token");
    let causes = app.dead_letters().await;
    assert_eq!(causes.len(), 4, "{causes:?}");
    for marketplace in Marketplace::ALL {
        let version = terms::known(marketplace).version;
        let expected = format!(
            "nothing is collected from {marketplace}: version {version} of its terms is not acknowledged; \
             see `digitallz sources acknowledge {marketplace}`"
        );
        assert!(causes.iter().any(|cause| cause.starts_with(&expected)), "{expected}: {causes:?}");
    }

    app.database.acknowledge_terms().await;
    for job_id in app.database.texts("select job_id::text from ops.jobs where state = 'dead'").await {
        let mut connection = app.db().acquire().await.unwrap();
        queue::retry_now(&mut connection, job_id.parse().unwrap()).await.unwrap();
    }
    app.work_until_idle().await;
    for (marketplace, crawl_run_id) in runs {
        let sums = app.sums(crawl_run_id).await;
        assert!(sums.is_closed && sums.payload_count > 0 && sums.dead_job_count == 0, "{marketplace}: {sums:?}");
    }
}

#[tokio::test]
async fn terms_that_changed_are_to_be_acknowledged_again() {
    let app = TestApp::start().await;
    app.database.execute("update ops.source_policies set terms_version = '2020-01-01'").await;
    let keywords = app.keywords(Marketplace::Etsy, 1);
    app.crawl(Marketplace::Etsy, &keywords).await;
    app.work_until_idle().await;
    let causes = app.dead_letters().await;
    assert!(
        causes[0].contains("its terms changed, version 2025-06-16 is not acknowledged, only 2020-01-01"),
        "{causes:?}"
    );
    assert_eq!(app.sandbox.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_is_refused_with_the_next_step_and_allowed_once_acknowledged() {
    let database = TestDatabase::new().await;
    let crawl = ["crawl", "now", "--marketplace", "etsy", "--keyword", "lamp"];
    let (code, _, talk) = run(&database, &crawl);
    assert_eq!(code, Some(4), "{talk}");
    assert!(talk.contains("error: nothing is collected from etsy: version 2025-06-16 of its terms"), "{talk}");
    assert!(talk.contains("next: read `digitallz sources terms etsy`, then `digitallz sources acknowledge etsy --terms 2025-06-16 --by NAME`"), "{talk}");
    assert_eq!(database.count("select count(*) from ops.crawl_runs").await, 0);

    let (code, data, _) = run(&database, &["sources", "terms", "etsy"]);
    assert!(code == Some(0) && data.contains("version 2025-06-16") && data.contains("express authorisation"), "{data}");
    let (code, _, talk) = run(&database, &["sources", "acknowledge", "etsy", "--terms", "2024-01-01", "--by", "Ada"]);
    assert_eq!(code, Some(1));
    assert!(talk.contains("are version 2025-06-16, not '2024-01-01'"), "{talk}");
    assert_eq!(database.count("select count(*) from ops.audit_events").await, 0);

    let (code, _, talk) = run(&database, &["sources", "acknowledge", "etsy", "--terms", "2025-06-16", "--by", "Ada"]);
    assert_eq!(code, Some(0), "{talk}");
    let events =
        "select format('%s %s %s %s', actor, action, subject, detail ->> 'terms_version') from ops.audit_events";
    assert_eq!(database.texts(events).await, ["Ada acknowledge_terms etsy 2025-06-16"]);
    assert!(sqlx::query("delete from ops.audit_events").execute(&database.db).await.is_err());
    assert_eq!(run(&database, &crawl).0, Some(0));
    let sources = json(&database, &["sources", "list"]);
    let standing = |index: usize| sources["sources"][index]["terms"].as_str().unwrap().to_owned();
    assert_eq!([0, 1, 2].map(standing), ["never", "acknowledged", "never"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_set_by_a_name_and_shown_everywhere() {
    let database = TestDatabase::new().await;
    let set = [
        "sources",
        "policy",
        "etsy",
        "--listing-retention",
        "30d",
        "--raw-retention",
        "forever",
        "--may-train",
        "true",
        "--by",
        "Ada",
    ];
    let dry = json(&database, &[&set[..], &["--dry-run"]].concat());
    assert_eq!(
        (&dry["policy"]["listing_retention"], &dry["policy"]["raw_retention"]),
        (&"30d".into(), &"forever".into())
    );
    let unchanged = json(&database, &["sources", "show", "etsy"]);
    assert_eq!(unchanged["source"]["listing_retention"], "6h");
    assert_eq!(database.count("select count(*) from ops.audit_events").await, 0);

    let (code, _, talk) = run(&database, &set);
    assert_eq!(code, Some(0));
    assert!(
        talk.contains("etsy must consent before its data trains a model")
            && talk.contains("longer than its terms allow"),
        "{talk}"
    );
    let doctor = run(&database, &["doctor"]).1;
    assert!(
        doctor.contains("may train models; listings are kept 30d, other answers forever, aggregates forever"),
        "{doctor}"
    );
    assert!(doctor.contains("may not train models; listings are kept 6h, other answers 24h"), "{doctor}");
    assert!(doctor.contains("terms: 2025-06-16 is not acknowledged; nothing is collected"), "{doctor}");
    let detail = database.texts("select detail #>> '{before,listing_retention_seconds}' from ops.audit_events").await;
    assert_eq!(detail, ["21600"]);
    let (code, _, talk) = run(&database, &["sources", "policy", "etsy", "--raw-retention", "soon", "--by", "Ada"]);
    assert!(code == Some(1) && talk.contains("'soon' is no length of time"), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_paused_and_resumed_by_an_operator() {
    let database = TestDatabase::new().await;
    let (code, _, talk) = run(&database, &["sources", "pause", "ebay", "--operation", "any", "--reason", "why"]);
    assert!(code == Some(1) && talk.contains("unknown operation 'any' of ebay, expected one of: oauthToken"), "{talk}");
    let (code, _, talk) = run(&database, &["sources", "pause", "ebay", "--market", "XX", "--reason", "why"]);
    assert!(code == Some(1) && talk.contains("unknown market 'XX'"), "{talk}");
    assert_eq!(database.count("select count(*) from ops.source_pauses").await, 0);

    let search = [
        "sources",
        "pause",
        "ebay",
        "--market",
        "us",
        "--operation",
        "itemSummarySearch",
        "--for",
        "2h",
        "--reason",
        "odd prices",
        "--by",
        "Ada",
    ];
    assert_eq!(run(&database, &search).0, Some(0));
    assert_eq!(run(&database, &["sources", "pause", "ebay", "--market", "DE", "--reason", "holiday"]).0, Some(0));
    database
        .execute("insert into ops.source_health (marketplace, market, operation, breaker_state, opened_at, probe_at) values ('ebay', 'US', 'itemSummarySearch', 'open', now(), now() + interval '1 hour')")
        .await;
    let shown = json(&database, &["sources", "show", "ebay"]);
    assert_eq!(shown["source"]["pauses"].as_array().unwrap().len(), 2);
    assert_eq!(shown["source"]["breakers"][0]["breaker_state"], "open");
    let doctor = run(&database, &["doctor"]).1;
    assert!(doctor.contains("US itemSummarySearch by Ada: odd prices"), "{doctor}");
    assert!(doctor.contains("circuit breakers: US itemSummarySearch open"), "{doctor}");

    let resume = json(&database, &["sources", "resume", "ebay", "--market", "US", "--by", "Ada"]);
    assert_eq!(
        (&resume["resume"]["pauses"].as_array().unwrap().len(), &resume["resume"]["breaker_count"]),
        (&1, &1.into())
    );
    let shown = json(&database, &["sources", "show", "ebay"]);
    assert_eq!(shown["source"]["pauses"].as_array().unwrap().len(), 1, "the pause of another market lasts");
    assert_eq!(shown["source"]["breakers"][0]["breaker_state"], "half_open");
    let actions = "select action || ' ' || actor from ops.audit_events order by audit_event_id";
    assert_eq!(database.texts(actions).await, ["pause_source Ada", "pause_source operator", "resume_source Ada"]);
}

/// A stored answer of a test: its age in seconds at the moment of the purge, and whether it was read.
struct Stored {
    raw_payload_id: i64,
    resource: Resource,
    age: i64,
    is_read: bool,
}

/// Stores answers of every resource around every bound, read and unread, each with a listing, an entry and a row aside.
async fn store_around_bounds(database: &TestDatabase) -> Vec<Stored> {
    const HOUR: i64 = 3_600;
    let mut stored = Vec::new();
    for marketplace in Marketplace::ALL {
        database
            .execute(&format!("insert into core.keywords (marketplace, market, keyword_text, original_text, normalization_version, created_at) values ('{marketplace}', 'US', 'lamp', 'lamp', 1, now())"))
            .await;
        database
            .execute(&format!("insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at) values (gen_random_uuid(), 'manual', now(), '{marketplace}', 'US', now())"))
            .await;
        for resource in marketplace.resources() {
            for bound in [6, 12, 24, 48, 24 * 30] {
                for age in [bound * HOUR - 1, bound * HOUR, bound * HOUR + 1] {
                    for is_read in [true, false] {
                        let raw_payload_id = store(database, marketplace, resource, age, is_read).await;
                        stored.push(Stored { raw_payload_id, resource, age, is_read });
                    }
                }
            }
        }
    }
    stored
}

async fn store(database: &TestDatabase, marketplace: Marketplace, resource: Resource, age: i64, is_read: bool) -> i64 {
    let raw_payload_id = database
        .count(&format!(
            "insert into raw.payloads (request_key, marketplace, market, resource, keyword_id, crawl_run_id, page_number,
                 request_method, request_url, status_code, response_headers, chunk_count, body_encoding, body_size_bytes,
                 content_sha256, fetched_at, ingested_at)
             select gen_random_uuid()::text, '{marketplace}', 'US', '{resource}', keyword_id, crawl_run_id, 1, 'GET', '/',
                    200, '{{}}', 1, 'identity', 1, sha256('x'), at, at
             from core.keywords join ops.crawl_runs using (marketplace),
                  lateral (select '{NOW}'::timestamptz - interval '{age} seconds' as at) moment
             where marketplace = '{marketplace}'
             returning raw_payload_id"
        ))
        .await;
    database.make_partitions(&format!("'{NOW}'::timestamptz - interval '{age} seconds'"), &format!("'{NOW}'")).await;
    let chunk = format!(
        "insert into raw.payload_chunks (raw_payload_id, chunk_number, bytes, fetched_at)
         select raw_payload_id, 1, 'x', fetched_at from raw.payloads where raw_payload_id = {raw_payload_id}"
    );
    database.execute(&chunk).await;
    if is_read {
        for statement in [
            "insert into raw.payload_readings (raw_payload_id, outcome, reader_version, read_at) values ($id, 'processed', 1, now())",
            "insert into raw.quarantined_rows (raw_payload_id, json_pointer, reason, row_text, quarantined_at) values ($id, '/1', 'why', 'row', now())",
            "insert into core.listings (marketplace, market, marketplace_listing_id, title, seller, first_seen_at, last_seen_at)
             select marketplace, market, raw_payload_id::text, 'title', 'seller', fetched_at, fetched_at from raw.payloads where raw_payload_id = $id",
            "insert into core.listing_observations (raw_payload_id, listing_id, observed_at, view_count, ingested_at)
             select raw_payload_id, listing_id, fetched_at, 7, fetched_at from raw.payloads join core.listings on marketplace_listing_id = raw_payload_id::text where raw_payload_id = $id",
            "insert into core.serp_entries (raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at, ingested_at)
             select raw_payload_id, 1, keyword_id, listing_id, 'organic', fetched_at, fetched_at from raw.payloads join core.listings on marketplace_listing_id = raw_payload_id::text where raw_payload_id = $id",
            "insert into core.seller_observations (raw_payload_id, marketplace, market, seller, observed_at, sold_count, ingested_at)
             select raw_payload_id, marketplace, market, 'seller', fetched_at, 7, fetched_at from raw.payloads where raw_payload_id = $id",
            "insert into core.keyword_categories (raw_payload_id, relevancy_rank, keyword_id, category_id, observed_at, ingested_at)
             select raw_payload_id, 1, keyword_id, 'category', fetched_at, fetched_at from raw.payloads where raw_payload_id = $id",
            "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
             select keyword_id, 'result_count', 5, 'listings', 'observed', resource, fetched_at, fetched_at::date, fetched_at::date, 'instant', fetched_at, fetched_at, raw_payload_id, crawl_run_id from raw.payloads where raw_payload_id = $id",
        ] {
            database.execute(&statement.replace("$id", &raw_payload_id.to_string())).await;
        }
    }
    raw_payload_id
}

async fn ids(database: &TestDatabase, sql: &str) -> BTreeSet<i64> {
    database.texts(sql).await.iter().map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_purge_deletes_what_is_due_and_nothing_else() {
    let hours = |hours| Some(TimeDelta::hours(hours));
    let all_bounded = |listing, raw, aggregate| Rules {
        listing_retention: hours(listing),
        raw_retention: hours(raw),
        aggregate_retention: hours(aggregate),
        may_train: false,
    };
    let variants: [Option<Rules>; 4] =
        [None, Some(Rules::UNLIMITED), Some(all_bounded(24, 6, 48)), Some(all_bounded(48, 24, 6))];
    for variant in variants {
        let database = TestDatabase::new().await;
        let stored = store_around_bounds(&database).await;
        let mut expected_bodies = BTreeSet::new();
        let mut expected_rows = BTreeSet::new();
        let mut expected_others = BTreeSet::new();
        let mut expected_observations = BTreeSet::new();
        for marketplace in Marketplace::ALL {
            if let Some(rules) = variant {
                set_rules(&database, marketplace, rules).await;
            }
            let rules = variant.unwrap_or_else(|| Rules::default_of(marketplace));
            for one in stored.iter().filter(|one| one.resource.marketplace() == Some(marketplace)) {
                let is_past = |time: Option<TimeDelta>, times: i64| {
                    time.is_some_and(|time| one.age >= time.num_seconds() * times)
                };
                let body_time = match source_policy::concerns_listings(one.resource) {
                    true => rules.listing_retention,
                    false => rules.raw_retention,
                };
                if is_past(body_time, if one.is_read { 1 } else { 2 }) {
                    expected_bodies.insert(one.raw_payload_id);
                }
                if one.is_read && is_past(rules.listing_retention, 1) {
                    expected_rows.insert(one.raw_payload_id);
                }
                if one.is_read && is_past(rules.raw_retention, 1) {
                    expected_others.insert(one.raw_payload_id);
                }
                if one.is_read && is_past(rules.aggregate_retention, 1) {
                    expected_observations.insert(one.raw_payload_id);
                }
            }
        }
        let everything = "select md5(string_agg(request_url || content_sha256::text || fetched_at::text || response_headers::text, ',' order by raw_payload_id)) from raw.payloads";
        let before = database.texts(everything).await;
        let mut connection = database.db.acquire().await.unwrap();
        let due = purge::due(&mut connection, now()).await.unwrap();
        assert_eq!(
            database.count("select count(*) from raw.payloads where purged_at is not null").await,
            0,
            "counting deletes nothing"
        );

        let purged = purge::purge(&database.db, now(), now()).await.unwrap();
        assert_eq!(due, purged, "what is announced is what is done");
        assert_eq!(
            ids(&database, "select raw_payload_id::text from raw.payloads where not exists (select from raw.payload_chunks chunks where chunks.raw_payload_id = payloads.raw_payload_id)").await,
            expected_bodies
        );
        assert_eq!(
            ids(&database, "select raw_payload_id::text from raw.payloads where purged_at is not null").await,
            expected_bodies
        );
        let read: BTreeSet<i64> = stored.iter().filter(|one| one.is_read).map(|one| one.raw_payload_id).collect();
        let kept = |gone: &BTreeSet<i64>| read.difference(gone).copied().collect::<BTreeSet<i64>>();
        assert_eq!(
            ids(&database, "select raw_payload_id::text from core.listing_observations").await,
            kept(&expected_rows)
        );
        assert_eq!(ids(&database, "select raw_payload_id::text from core.serp_entries").await, kept(&expected_rows));
        let sellers = "select raw_payload_id::text from core.seller_observations";
        assert_eq!(ids(&database, sellers).await, kept(&expected_others));
        let categories = "select raw_payload_id::text from core.keyword_categories";
        assert_eq!(ids(&database, categories).await, kept(&expected_others));
        assert_eq!(
            ids(
                &database,
                "select marketplace_listing_id from core.listings where title is not null or seller is not null"
            )
            .await,
            kept(&expected_rows)
        );
        assert_eq!(ids(&database, "select marketplace_listing_id from core.listings").await, read);
        assert_eq!(
            ids(&database, "select raw_payload_id::text from core.keyword_observations where metric = 'result_count'")
                .await,
            kept(&expected_observations)
        );
        assert_eq!(
            ids(&database, "select raw_payload_id::text from raw.quarantined_rows where row_text = 'row'").await,
            kept(&expected_bodies)
        );
        assert_eq!(ids(&database, "select raw_payload_id::text from raw.quarantined_rows").await, read);
        let unread = "select raw_payload_id::text from raw.payload_readings where outcome = 'quarantined'";
        assert_eq!(ids(&database, unread).await, expected_bodies.difference(&read).copied().collect());
        assert_eq!(database.texts(everything).await, before, "the rows of answers stay as they were");

        let again = purge::purge(&database.db, now(), now()).await.unwrap();
        assert!(again.iter().all(|counts| counts.total() == 0), "{again:?}");
    }
}

#[tokio::test]
async fn listings_go_on_time_and_the_aggregates_of_keywords_stay() {
    let app = TestApp::start().await;
    set_rules(&app.database, Marketplace::Ebay, Rules::default_of(Marketplace::Ebay)).await;
    for marketplace in [Marketplace::Amazon, Marketplace::Ebay] {
        let keywords = app.keywords(marketplace, 2);
        app.crawl(marketplace, &keywords).await;
    }
    app.work_until_idle().await;
    let aggregates = "select format('%s %s %s %s', keyword_id, metric, value, raw_payload_id) from core.keyword_observations order by 1";
    let before = app.database.texts(aggregates).await;
    let amazon = "select count(*) from core.listings where marketplace = 'amazon' and title is not null";
    let amazon_before = app.database.count(amazon).await;

    let job = |as_of| Job::PurgeExpired(PurgeExpired { as_of });
    let ebay_bodies =
        "select count(*) from raw.payloads join raw.payload_chunks using (raw_payload_id) where marketplace = 'ebay'";
    enqueue(&app, &job(now() + TimeDelta::hours(6) - TimeDelta::seconds(1))).await;
    app.work_until_idle().await;
    assert_eq!(app.database.count(ebay_bodies).await, 4, "a search and its details for each keyword");
    enqueue(&app, &job(now() + TimeDelta::hours(6))).await;
    app.work_until_idle().await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
    assert_eq!(app.database.count(ebay_bodies).await, 0);
    let content = "select count(*) from core.listings where marketplace = 'ebay' and num_nonnulls(title, seller, brand, listing_url, listed_at) > 0";
    assert_eq!(app.database.count(content).await, 0);
    let ebay_rows = "select count(*) from analytics.serp_entries_v1 where marketplace = 'ebay'";
    assert_eq!(app.database.count(ebay_rows).await, 0);
    assert_eq!(app.database.texts(aggregates).await, before);
    assert_eq!(app.database.count(amazon).await, amazon_before);
    assert_eq!(
        app.database
            .count("select count(*) from raw.payloads where marketplace = 'amazon' and chunk_count is null")
            .await,
        0
    );
    let sums = digitallz::commands::runs::sums(app.db(), None).await.unwrap();
    assert!(sums.is_closed, "{sums:?}");
    let purged = app.database.count("select raw_payload_id from raw.payloads where marketplace = 'ebay' limit 1").await;
    let mut connection = app.db().acquire().await.unwrap();
    assert!(raw_payload::get(&mut connection, &BodyStores::default(), purged).await.is_err());
}

#[tokio::test]
async fn demand_that_was_derived_from_listings_outlives_them() {
    let demand = "select format('%s %s %s %s %s', week_start_date, metric, round(value::numeric, 6), observed_at, ingested_at) from core.weekly_demand join core.keywords using (keyword_id) where marketplace = 'etsy' order by 1";
    let app = TestApp::start().await;
    let collect = async |week: i64| {
        let at = now() + TimeDelta::days(7 * week);
        app.clock.set(at);
        app.sandbox.set_now(at);
        let keywords = app.keywords(Marketplace::Etsy, 2);
        app.crawl(Marketplace::Etsy, &keywords).await;
        app.work_until_idle().await;
        at
    };
    for week in 0..4 {
        collect(week).await;
    }
    let last = collect(4).await;
    let before = app.database.texts(demand).await;
    assert_eq!(before.len(), 8, "two keywords, four differences: {before:?}");

    let rules = Rules { listing_retention: Some(TimeDelta::days(10)), ..Rules::UNLIMITED };
    set_rules(&app.database, Marketplace::Etsy, rules).await;
    purge::purge(app.db(), last, last).await.unwrap();
    let samples = app.database.count("select count(distinct raw_payload_id) from core.listing_observations").await;
    assert_eq!(samples, 8, "a search and a batch per keyword in each of two weeks");
    assert_eq!(app.database.texts(demand).await, before);

    // The next difference is taken from the sample that is still there, and the stored ones stay.
    let last = collect(5).await;
    purge::purge(app.db(), last + TimeDelta::days(30), last).await.unwrap();
    assert_eq!(app.database.count("select count(*) from core.listing_observations").await, 0);
    let after = app.database.texts(demand).await;
    assert_eq!((after.len(), &after[..8]), (10, &before[..]));
}

/// Writes thirty weeks of demand for every keyword, read from the first payload of its marketplace.
async fn write_history(app: &TestApp) {
    app.database.make_partitions("'2025-06-01'", &format!("'{NOW}'")).await;
    app.database
        .execute(&format!(
            "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at,
                 period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id,
                 crawl_run_id)
             select keyword_id, metric, 1000 + 40 * week + 7 * (week * keyword_id % 5), 'unit', 'observed', resource, at, day,
                    case kind when 'week' then day + 6 else day end, kind, at, at, raw_payload_id, crawl_run_id
             from core.keywords
             join (values ('amazon', 'search_frequency_rank', 'search_terms_report', 'week'),
                          ('ebay', 'auction_bids', 'item_search', 'instant')) demand (marketplace, metric, resource, kind) using (marketplace)
             cross join generate_series(1, 30) week
             cross join lateral (select date_trunc('week', '{NOW}'::timestamptz at time zone 'utc')::date - 1 - 7 * week as day) days
             cross join lateral (select (day + time '06:00') at time zone 'utc' as at) moments
             cross join lateral (select raw_payload_id, crawl_run_id from raw.payloads where payloads.marketplace = keywords.marketplace order by raw_payload_id limit 1) payloads"
        ))
        .await;
}

async fn train_and_score(app: &TestApp, as_of: DateTime<Utc>) {
    app.clock.set(as_of);
    for job in [Job::TrainModels(TrainModels { as_of }), Job::ScoreKeywords(ScoreKeywords { as_of })] {
        enqueue(app, &job).await;
        let roles = app.play(&[Role::Scorer]);
        app.database.wait_until_idle().await;
        roles.stop().await;
    }
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_may_not_train_is_left_out_and_its_predictions_say_so() {
    let app = TestApp::start().await;
    set_rules(&app.database, Marketplace::Ebay, Rules::default_of(Marketplace::Ebay)).await;
    for marketplace in [Marketplace::Amazon, Marketplace::Ebay] {
        let keywords = app.keywords(marketplace, 3);
        app.crawl(marketplace, &keywords).await;
    }
    app.work_until_idle().await;
    write_history(&app).await;

    train_and_score(&app, now() + TimeDelta::hours(1)).await;
    let trained = "select distinct marketplace from ml.model_versions order by 1";
    assert_eq!(app.database.texts(trained).await, ["amazon"]);
    let latest = "select distinct format('%s %s %s %s', marketplace, is_abstained, coalesce(abstain_reason, '-'), model_version is not null)
                  from analytics.keyword_predictions_v1 where is_latest and target_kind = 'demand' order by 1";
    let refused = "ebay t the terms of ebay do not allow its data to train a model f";
    assert_eq!(app.database.texts(latest).await, ["amazon f - t", refused]);
    let both = "select count(distinct (keyword_id, target_kind, horizon_days)) from analytics.keyword_predictions_v1 where marketplace = 'ebay'";
    assert_eq!(app.database.count(both).await, 3 * 2 * 8);
    assert_eq!(app.database.count("select count(*) from ml.competition_scores join core.keywords using (keyword_id) where marketplace = 'ebay'").await, 3, "a published formula is no model");
    let listed = json(&app.database, &["predictions", "list", "--marketplace", "ebay"]);
    let row = &listed["predictions"][0];
    assert_eq!(
        (&row["abstain_reason"], &row["model"]),
        (&"the terms of ebay do not allow its data to train a model".into(), &"none".into())
    );

    // Once it is allowed, a model is trained; once that is withdrawn, the model is not used any more.
    set_rules(&app.database, Marketplace::Ebay, Rules::UNLIMITED).await;
    train_and_score(&app, now() + TimeDelta::hours(2)).await;
    assert_eq!(app.database.texts(trained).await, ["amazon", "ebay"]);
    assert_eq!(app.database.texts(latest).await, ["amazon f - t", "ebay f - t"]);
    set_rules(&app.database, Marketplace::Ebay, Rules { may_train: false, ..Rules::UNLIMITED }).await;
    let versions = app.database.count("select count(*) from ml.model_versions where marketplace = 'ebay'").await;
    train_and_score(&app, now() + TimeDelta::hours(3)).await;
    assert_eq!(app.database.texts(latest).await, ["amazon f - t", refused]);
    assert_eq!(app.database.count("select count(*) from ml.model_versions where marketplace = 'ebay'").await, versions);
    // Each scoring says it once.
    let rows = app.database.count("select count(*) from ml.predictions where model_version_id is null").await;
    assert_eq!(rows, 2 * 3 * 2 * 8);
}

#[tokio::test]
async fn months_in_which_nothing_is_left_go_and_come_back_when_they_are_needed() {
    let app = TestApp::start().await;
    app.crawl(Marketplace::Etsy, &app.keywords(Marketplace::Etsy, 2)).await;
    app.work_until_idle().await;
    app.database.make_partitions("'2025-10-15'", &format!("'{NOW}'")).await;
    // One row keeps the whole of its month.
    app.database
        .execute("update core.keyword_observations set observed_at = '2025-12-05', period_start_date = '2025-12-05', period_end_date = '2025-12-05' where keyword_observation_id = (select min(keyword_observation_id) from core.keyword_observations)")
        .await;
    let months = "select distinct right(relname, 7) from pg_class where relnamespace = 'partitions'::regnamespace and relkind = 'r' order by 1";
    let all = ["2025_10", "2025_11", "2025_12", "2026_01", "2026_02", "2026_03"];
    assert_eq!(app.database.texts(months).await, all);

    enqueue(&app, &Job::PurgeExpired(PurgeExpired { as_of: now() })).await;
    app.work_until_idle().await;
    // February ended less than a month ago.
    assert_eq!(app.database.texts(months).await, ["2025_12", "2026_02", "2026_03"]);
    app.database.make_partitions("'2025-10-15'", &format!("'{NOW}'")).await;
    assert_eq!(app.database.texts(months).await, all);
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
}
