//! The collectors against the sandbox, with a real queue and a database of their own.
//!
//! Skipped, saying so, where no Postgres is named by `DATABASE_URL`.

#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use digitallz_collector::config::{AmazonConfig, CollectorConfig, EbayConfig, EtsyConfig};
use digitallz_collector::recording::{HarOutcome, ingest_har_bytes};
use digitallz_collector::{Context, fetch, plan};
use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::jobs::{Job, PlanCrawl, Queue};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Marketplace, Site};
use digitallz_common::queue::{self, QueueConfig};
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::secret::Secret;
use digitallz_common::source_policy;
use digitallz_sandbox::{Fault, FaultRule, Sandbox, SandboxConfig};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct World {
    db: PgPool,
    database_name: String,
    server_url: String,
    clock: Clock,
    sandbox: Sandbox,
}

impl World {
    /// Makes an empty database and starts the sandbox.
    async fn start() -> Option<World> {
        let Ok(server_url) = std::env::var("DATABASE_URL") else {
            eprintln!("skipped: DATABASE_URL names no Postgres");
            return None;
        };
        let database_name = format!("collector_{}", Uuid::now_v7().simple());
        let mut server = PgConnection::connect(&server_url).await.unwrap();
        server.execute(sqlx::AssertSqlSafe(format!("create database {database_name}"))).await.unwrap();
        let mut url = url::Url::parse(&server_url).unwrap();
        url.set_path(&database_name);
        let db = database::connect(&Secret::new(url.as_str()), 8).await.unwrap();
        database::migrate(&db).await.unwrap();
        let now: DateTime<Utc> = "2025-06-11T05:00:00Z".parse().unwrap();
        let mut connection = db.acquire().await.unwrap();
        for marketplace in Marketplace::ALL {
            source_policy::acknowledge(&mut connection, marketplace, "test", now).await.unwrap();
        }
        drop(connection);
        let config =
            SandboxConfig { now: Some(now), limit_factor: 50.0, keep_requests: true, ..SandboxConfig::default() };
        let sandbox = Sandbox::start(config).await.unwrap();
        Some(World { db, database_name, server_url, clock: Clock::manual(now), sandbox })
    }

    fn config(&self) -> CollectorConfig {
        let settings: HashMap<&str, String> = self.sandbox.settings().into_iter().collect();
        let secret = |name: &str| Secret::new(settings[name].clone());
        let url = |name: &str| url::Url::parse(&settings[name]).unwrap();
        let mut amazon = AmazonConfig::new(
            secret("DIGITALLZ_AMAZON_CLIENT_ID"),
            secret("DIGITALLZ_AMAZON_CLIENT_SECRET"),
            secret("DIGITALLZ_AMAZON_REFRESH_TOKEN"),
        );
        amazon.base_url = Some(url("DIGITALLZ_AMAZON_BASE_URL"));
        amazon.token_url = url("DIGITALLZ_AMAZON_TOKEN_URL");
        amazon.report_poll_delay = Duration::ZERO;
        let mut etsy = EtsyConfig::new(secret("DIGITALLZ_ETSY_KEYSTRING"), secret("DIGITALLZ_ETSY_SHARED_SECRET"));
        etsy.base_url = url("DIGITALLZ_ETSY_BASE_URL");
        let mut ebay = EbayConfig::new(secret("DIGITALLZ_EBAY_CLIENT_ID"), secret("DIGITALLZ_EBAY_CLIENT_SECRET"));
        ebay.base_url = url("DIGITALLZ_EBAY_BASE_URL");
        ebay.pages = 2;
        CollectorConfig { amazon: Some(amazon), etsy: Some(etsy), ebay: Some(ebay), ..CollectorConfig::default() }
    }

    /// Plans a run for some of the sandbox's keywords.
    async fn crawl(&self, marketplace: Marketplace, keyword_count: usize) -> Uuid {
        let site = Site::new(marketplace, "US").unwrap();
        let crawl_run_id = Uuid::now_v7();
        let mut tx = self.db.begin().await.unwrap();
        for text in ["phone case", "personalized mug", "vintage camera"].into_iter().take(keyword_count) {
            keyword::ensure(&mut tx, &site, &Keyword::parse(text).unwrap(), text, self.clock.now()).await.unwrap();
        }
        tx.execute(sqlx::AssertSqlSafe(format!(
            "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, priority, created_at)
             values ('{crawl_run_id}', 'manual', '{now}', '{marketplace}', 'US', 3, '{now}')",
            now = self.clock.now().to_rfc3339(),
        )))
        .await
        .unwrap();
        queue::enqueue(&mut tx, &Job::PlanCrawl(PlanCrawl { crawl_run_id }), 3).await.unwrap();
        tx.commit().await.unwrap();
        crawl_run_id
    }

    /// Runs the collectors until nothing of theirs is left to do.
    async fn work(&self, config: &CollectorConfig) {
        let context = Context::new(self.db.clone(), self.clock.clone(), BodyStores::default(), config).unwrap();
        let shutdown = CancellationToken::new();
        let queue_config = QueueConfig {
            poll_interval: Duration::from_millis(50),
            retry_base: Duration::from_millis(10),
            ..QueueConfig::default()
        };
        let queues = [
            Queue::Plan,
            Queue::Fetch(Marketplace::Amazon),
            Queue::Fetch(Marketplace::Etsy),
            Queue::Fetch(Marketplace::Ebay),
        ];
        let workers = queues.map(|queue| {
            let context = context.clone();
            let handler = move |job, attempt| {
                let context = context.clone();
                async move {
                    match job {
                        Job::PlanCrawl(job) => plan::run(&context, &attempt, job).await,
                        Job::FetchPage(job) => fetch::run(&context, &attempt, job).await,
                        other => panic!("{} is no job of the collectors", other.name()),
                    }
                }
            };
            tokio::spawn(queue::work(self.db.clone(), queue_config.clone(), queue, 4, shutdown.clone(), handler))
        });
        let open =
            "select count(*) from ops.jobs where state in ('ready', 'running') and job_name <> 'process_payload'";
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.number(open).await > 0 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "still open: {:?}",
                self.rows("select job_key, state, snoozes from ops.jobs where state in ('ready', 'running')").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        shutdown.cancel();
        for worker in workers {
            worker.await.unwrap();
        }
    }

    async fn number(&self, sql: &'static str) -> i64 {
        self.db.fetch_one(sql).await.unwrap().get(0)
    }

    /// Returns the rows of a query, each as one line.
    async fn rows(&self, sql: &'static str) -> Vec<String> {
        let wrapped = sqlx::AssertSqlSafe(format!("select rows::text from ({sql}) rows"));
        self.db.fetch_all(wrapped).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn stop(self) {
        self.db.close().await;
        self.sandbox.stop().await;
        let mut server = PgConnection::connect(&self.server_url).await.unwrap();
        let drop_database = format!("drop database {} with (force)", self.database_name);
        server.execute(sqlx::AssertSqlSafe(drop_database)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_marketplace_is_asked_and_its_answers_are_kept() {
    let Some(world) = World::start().await else { return };
    for marketplace in Marketplace::ALL {
        world.crawl(marketplace, 2).await;
    }
    world.work(&world.config()).await;

    assert_eq!(world.rows("select cause from ops.dead_letters").await, Vec::<String>::new());
    assert_eq!(
        world.rows("select marketplace, resource, count(*) from raw.payloads group by 1, 2 order by 1, 2").await,
        [
            "(amazon,catalog_search,2)",
            "(amazon,search_terms_report,1)",
            "(ebay,item_details,2)",
            "(ebay,item_search,4)",
            "(etsy,listing_batch,2)",
            "(etsy,listing_search,2)",
        ]
    );
    assert_eq!(
        world.number("select count(*) from ops.jobs where job_name = 'process_payload' and priority = 3").await,
        13
    );
    assert_eq!(
        world.number("select count(*) from ops.crawl_runs where planned_at is null or keyword_count <> 2").await,
        0
    );
    let secrets =
        "select count(*) from raw.payloads where request_url ~ 'signature=[^[]' or response_headers ? 'set-cookie'";
    assert_eq!(world.number(secrets).await, 0);
    let report =
        "select count(*) from raw.payloads where resource = 'search_terms_report' and body_encoding = 'identity'
                  and request_url like '%signature=[removed]%'";
    assert_eq!(world.number(report).await, 1);
    // One token for the search, and one with the scope of the details.
    assert_eq!(world.sandbox.request_counts()["ebay.oauthToken"], 2);
    let counted = world.number("select sum(request_count) from ops.job_attempts").await;
    let permits = "select count(*) from ops.quota_permits where state = 'spent' and crawl_run_id is not null";
    assert_eq!(counted, world.number(permits).await);
    let all = world.number("select count(*) from ops.quota_permits where state = 'spent'").await;
    assert_eq!(all as u64, world.sandbox.request_counts().values().sum::<u64>(), "no request without a permit");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_is_put_off_or_tried_again_and_never_becomes_a_value() {
    let Some(world) = World::start().await else { return };
    for (marketplace, operation, fault) in [
        (digitallz_sandbox::Marketplace::Ebay, "itemSummarySearch", Fault::Unauthorized),
        (digitallz_sandbox::Marketplace::Ebay, "itemSummarySearch", Fault::HtmlWithStatus200),
        (
            digitallz_sandbox::Marketplace::Etsy,
            "findAllListingsActive",
            Fault::TooManyRequests { retry_after_s: Some(1) },
        ),
        (digitallz_sandbox::Marketplace::Etsy, "getListingsByListingIds", Fault::TruncatedBody),
        (digitallz_sandbox::Marketplace::Amazon, "searchCatalogItems", Fault::ServerError(500)),
        (digitallz_sandbox::Marketplace::Amazon, "downloadDocument", Fault::ExpiredReportLink),
        (digitallz_sandbox::Marketplace::Amazon, "getReport", Fault::CancelledReport),
    ] {
        world.sandbox.inject(once(marketplace, operation, fault));
    }
    for marketplace in Marketplace::ALL {
        world.crawl(marketplace, 1).await;
    }
    world.work(&world.config()).await;

    assert_eq!(world.rows("select cause from ops.dead_letters").await, Vec::<String>::new());
    let rejected = world.rows("select resource, reason, reader_version from raw.payloads join raw.payload_readings using (raw_payload_id)").await;
    assert_eq!(rejected, ["(item_search,\"blocked, it is a web page that asks for a captcha\",0)"]);
    let outcomes = world
        .rows("select outcome, cause from ops.job_attempts where outcome not in ('done', 'running') order by 1, 2")
        .await;
    assert!(
        outcomes.iter().any(|line| line.starts_with("(snooze,\"etsy findAllListingsActive: too many requests")),
        "{outcomes:?}"
    );
    assert!(outcomes.iter().any(|line| line.contains("broke off")), "{outcomes:?}");
    assert!(outcomes.iter().any(|line| line.contains("status 500")), "{outcomes:?}");
    assert_eq!(world.number("select count(*) from raw.payloads where resource = 'search_terms_report'").await, 1);
    assert_eq!(world.number("select count(*) from ops.jobs where job_name = 'process_payload'").await, 7);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_given_up_with_its_cause() {
    let Some(world) = World::start().await else { return };
    world.sandbox.inject(once(digitallz_sandbox::Marketplace::Amazon, "getReport", Fault::FatalReport));
    for marketplace in Marketplace::ALL {
        world.crawl(marketplace, 1).await;
    }
    let mut config = world.config();
    config.etsy = None;
    config.ebay.as_mut().unwrap().client_secret = Secret::new("wrong");
    world.work(&config).await;
    let causes = world.rows("select cause from ops.dead_letters order by 1").await;
    let [amazon, ebay, etsy] = &causes[..] else { panic!("{causes:?}") };
    assert!(amazon.contains("the report ended FATAL: A client error occurred."), "{amazon}");
    assert!(ebay.contains("invalid_client") && ebay.contains("DIGITALLZ_EBAY_CLIENT_SECRET"), "{ebay}");
    assert!(etsy.contains("etsy has no credentials: set DIGITALLZ_ETSY_KEYSTRING"), "{etsy}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_brought_in_twice_is_stored_once() {
    let Some(world) = World::start().await else { return };
    let entry = |url: &str, body: &str| {
        serde_json::json!({
            "startedDateTime": "2025-06-01T10:00:00Z",
            "request": {"method": "GET", "url": url, "headers": []},
            "response": {"status": 200, "headers": [], "content": {"text": body, "mimeType": "application/json"}},
        })
    };
    let har = serde_json::json!({"log": {"version": "1.2", "entries": [
        entry("https://api.etsy.com/v3/application/listings/active?keywords=Wool%20Hat&sort_on=score", r#"{"count": 1, "results": [{"listing_id": 11}]}"#),
        entry("https://api.etsy.com/v3/application/listings/batch?listing_ids=11", r#"{"count": 1, "results": []}"#),
        entry("https://api.ebay.com/buy/browse/v1/item_summary/search?q=iphone", r#"{"total": 0}"#),
        {"request": {}},
    ]}});
    let bytes = serde_json::to_vec(&har).unwrap();
    let first = ingest_har_bytes(&world.db, &BodyStores::default(), "a.har", &bytes, world.clock.now()).await.unwrap();
    assert_eq!((first.stored_count, first.already_known_count, first.skipped_count), (3, 0, 1));
    let second = ingest_har_bytes(&world.db, &BodyStores::default(), "a.har", &bytes, world.clock.now()).await.unwrap();
    assert_eq!((second.stored_count, second.already_known_count, second.skipped_count), (0, 3, 1));
    assert_eq!(second.entries[0].outcome, HarOutcome::AlreadyKnown);
    assert_eq!(
        world.rows("select trigger, runs.marketplace, keyword_count, count(*) from ops.crawl_runs runs join raw.payloads using (crawl_run_id) group by 1, 2, 3 order by 2").await,
        ["(recording,ebay,1,1)", "(recording,etsy,1,2)"]
    );
    let keywords =
        "select count(distinct keyword_id) from raw.payloads where marketplace = 'etsy' and keyword_id is not null";
    assert_eq!(world.number(keywords).await, 1);
    assert_eq!(world.number("select count(*) from ops.jobs where job_name = 'process_payload'").await, 3);
    world.stop().await;
}

/// A fault that happens at the first request and never again.
fn once(marketplace: digitallz_sandbox::Marketplace, operation: &str, fault: Fault) -> FaultRule {
    FaultRule { marketplace, operation: Some(operation.to_owned()), keyword: None, times: Some(1), share: None, fault }
}
