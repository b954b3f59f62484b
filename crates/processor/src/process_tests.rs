//! The job against a real database: it needs `DATABASE_URL` to name a server on which databases may be made.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::clock::Clock;
use digitallz_common::jobs::{Job, ProcessPayload, Queue};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::queue::{self, QueueConfig};
use digitallz_common::raw_payload::NewRawPayload;
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::secret::Secret;
use digitallz_common::{database, raw_payload};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Context, process};

const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own with one crawl run and one keyword in it.
pub(super) struct World {
    pub(super) db: PgPool,
    admin: PgPool,
    name: String,
    crawl_run_id: Uuid,
    keyword_id: i64,
    now: DateTime<Utc>,
}

impl World {
    /// Makes a world, or nothing where no server is named.
    pub(super) async fn new() -> Option<World> {
        let Ok(url) = std::env::var("DATABASE_URL") else {
            println!("skipped: DATABASE_URL is not set");
            return None;
        };
        let admin = database::connect(&Secret::new(url.clone()), 1).await.expect("the server answers");
        let name = format!("processor_{}", Uuid::now_v7().simple());
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&admin).await.expect("a database");
        let mut address = url::Url::parse(&url).expect("an address");
        address.set_path(&name);
        let db = database::connect(&Secret::new(address.as_str()), 12).await.expect("the database answers");
        database::migrate(&db).await.expect("the schema");

        let now: DateTime<Utc> = "2026-08-24T12:00:00Z".parse().expect("a time");
        let crawl_run_id = Uuid::now_v7();
        sqlx::query!(
            "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at)
             values ($1, 'manual', $2, 'ebay', 'US', $2)",
            crawl_run_id,
            now,
        )
        .execute(&db)
        .await
        .expect("a run");
        let mut connection = db.acquire().await.expect("a connection");
        let keyword = Keyword::parse("blue mug").expect("a keyword");
        let keyword_id = keyword::ensure(&mut connection, &site(), &keyword, "Blue mug", now).await.expect("a keyword");
        drop(connection);
        Some(World { db, admin, name, crawl_run_id, keyword_id, now })
    }

    /// Stores a payload fetched some hours after the world began, and enqueues the job that reads it.
    async fn store(&self, hours: i64, body: &str) -> i64 {
        self.store_as(&Uuid::now_v7().to_string(), Resource::ItemSearch, hours, body).await
    }

    /// Stores the same as the answer of a resource under a request key.
    pub(super) async fn store_as(&self, request_key: &str, resource: Resource, hours: i64, body: &str) -> i64 {
        let fetched_at = self.now + TimeDelta::hours(hours);
        let payload = NewRawPayload {
            request_key: request_key.to_owned(),
            site: site(),
            resource,
            keyword_id: Some(self.keyword_id),
            crawl_run_id: self.crawl_run_id,
            job_id: None,
            page_number: 1,
            request_method: "GET".to_owned(),
            request_url: "https://api.ebay.com/buy/browse/v1/item_summary/search?q=blue+mug".to_owned(),
            request_body: None,
            status_code: 200,
            response_headers: json!({}),
            content_type: None,
            body: body.as_bytes().to_vec().into(),
            fetched_at,
            ingested_at: fetched_at,
        };
        let mut tx = self.db.begin().await.expect("a transaction");
        let raw_payload_id = raw_payload::insert(&mut tx, &payload).await.expect("stored").expect("new");
        let job = Job::ProcessPayload(ProcessPayload { raw_payload_id, crawl_run_id: self.crawl_run_id });
        queue::enqueue(&mut tx, &job, 0).await.expect("enqueued");
        tx.commit().await.expect("committed");
        raw_payload_id
    }

    /// Works until no job is open.
    pub(super) async fn work(&self, concurrency: usize) {
        let shutdown = CancellationToken::new();
        let ctx = Context::new(self.db.clone(), Clock::manual(self.now + TimeDelta::days(1)), BodyStores::default());
        let handler = move |job, attempt| {
            let ctx = ctx.clone();
            async move {
                match job {
                    Job::ProcessPayload(job) => process::run(&ctx, &attempt, job).await,
                    other => panic!("no other job was enqueued: {other:?}"),
                }
            }
        };
        let config = QueueConfig { poll_interval: Duration::from_millis(20), ..QueueConfig::default() };
        let worker = queue::work(self.db.clone(), config, Queue::Process, concurrency, shutdown.clone(), handler);
        let watch = async {
            let started = std::time::Instant::now();
            while self.number("select count(*) from ops.jobs where state in ('ready', 'running')").await > 0 {
                assert!(started.elapsed() < PATIENCE, "jobs are still open");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            shutdown.cancel();
        };
        tokio::join!(worker, watch);
    }

    /// Hands every finished job to the queue again, as if its worker had died after the work.
    pub(super) async fn start_over(&self) {
        let all = "update ops.jobs set state = 'dead'";
        sqlx::raw_sql(all).execute(&self.db).await.expect("an update");
        let jobs = sqlx::query_scalar!("select job_id from ops.jobs").fetch_all(&self.db).await.expect("jobs");
        let mut connection = self.db.acquire().await.expect("a connection");
        for job_id in jobs {
            assert!(queue::retry_now(&mut connection, job_id).await.expect("retried"));
        }
    }

    async fn number(&self, sql: &'static str) -> i64 {
        self.text(sql).await.parse().expect("a number")
    }

    /// Returns the only value of the only row.
    pub(super) async fn text(&self, sql: &'static str) -> String {
        use sqlx::{Executor, Row};
        let row = self.db.fetch_one(AssertSqlSafe(format!("select ({sql})::text"))).await.expect(sql);
        row.try_get::<Option<String>, _>(0).expect(sql).unwrap_or_default()
    }

    /// Counts what is in every table that the job fills.
    async fn counts(&self) -> String {
        self.text(
            "select concat_ws(' ', (select count(*) from raw.payload_readings), (select count(*) from raw.quarantined_rows),
                 (select count(*) from core.keyword_observations), (select count(*) from core.listings),
                 (select count(*) from core.listing_observations), (select count(*) from core.serp_entries))",
        )
        .await
    }

    pub(super) async fn end(self) {
        self.db.close().await;
        let drop_it = format!("drop database {} with (force)", self.name);
        sqlx::raw_sql(AssertSqlSafe(drop_it)).execute(&self.admin).await.expect("dropped");
    }
}

fn site() -> Site {
    Site::new(Marketplace::Ebay, "US").expect("a site")
}

fn page(items: Value) -> String {
    json!({"href": "https://", "total": 1234, "limit": 50, "offset": 0, "itemSummaries": items}).to_string()
}

fn item(number: u32, title: &str) -> Value {
    json!({
        "itemId": format!("v1|{number}|0"), "title": title, "buyingOptions": ["FIXED_PRICE"],
        "price": {"value": "10.50", "currency": "USD"}, "seller": {"username": "potter", "feedbackScore": 12}
    })
}

#[tokio::test]
async fn a_payload_read_twice_leaves_what_reading_once_leaves() {
    let Some(world) = World::new().await else { return };
    world.store(0, &page(json!([item(1, "Blue mug"), {"itemId": 5, "\u{0}": "\u{0}"}, item(2, "Red\u{0} mug")]))).await;
    world.work(1).await;
    assert_eq!(world.counts().await, "1 1 13 2 2 2");
    assert_eq!(world.text("select price_amount from core.listing_observations limit 1").await, "10.50");
    assert_eq!(
        world.text("select string_agg(position::text, ' ' order by position) from core.serp_entries").await,
        "1 3"
    );
    assert_eq!(
        world.text("select unit || value::text from core.keyword_observations where metric = 'price_median'").await,
        "USD10.5"
    );
    let summary = "select concat_ws(' ', outcome, row_count, observation_count, listing_count, serp_entry_count,
                       quarantined_row_count, untracked_row_count) from raw.payload_readings";
    assert_eq!(world.text(summary).await, "processed 3 13 2 2 1 0");

    world.start_over().await;
    world.work(1).await;
    assert_eq!(world.counts().await, "1 1 13 2 2 2");
    assert_eq!(world.number("select count(*) from ops.jobs where state = 'done'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn an_unreadable_payload_is_quarantined_and_its_job_is_done() {
    let Some(world) = World::new().await else { return };
    world.store(0, "<html>busy</html>").await;
    world.store(0, r#"{"href": "https://", "total": "many"}"#).await;
    world.work(2).await;
    assert_eq!(world.counts().await, "2 0 0 0 0 0");
    assert_eq!(world.number("select count(*) from ops.jobs where state = 'done'").await, 2);
    let reason = world.text("select reason from raw.payload_readings where reason like '/total%'").await;
    assert!(reason.starts_with("/total: invalid type: string \"many\", expected u64"), "{reason}");
    world.end().await;
}

#[tokio::test]
async fn a_damaged_payload_is_given_up() {
    let Some(world) = World::new().await else { return };
    world.store(0, &page(json!([]))).await;
    sqlx::raw_sql("update raw.payloads set content_sha256 = decode(repeat('00', 32), 'hex')")
        .execute(&world.db)
        .await
        .expect("an update");
    world.work(1).await;
    assert_eq!(world.number("select count(*) from ops.dead_letters where cause like '%is damaged%'").await, 1);
    assert_eq!(world.counts().await, "0 0 0 0 0 0");
    world.end().await;
}

#[tokio::test]
async fn a_listing_is_known_as_its_latest_sample_shows_it() {
    let Some(world) = World::new().await else { return };
    let mut untitled = item(1, "");
    untitled["itemWebUrl"] = json!("https://www.ebay.com/itm/1");
    for (hours, shown) in [(5, item(1, "Later")), (1, untitled), (3, item(1, "Earlier")), (7, item(1, ""))] {
        world.store(hours, &page(json!([shown]))).await;
        world.work(1).await;
    }
    assert_eq!(world.text("select title from core.listings").await, "Later");
    assert_eq!(world.text("select listing_url from core.listings").await, "https://www.ebay.com/itm/1");
    let seen =
        "select extract(hour from first_seen_at)::text || ' ' || extract(hour from last_seen_at) from core.listings";
    assert_eq!(world.text(seen).await, "13 19");
    assert_eq!(world.number("select count(*) from core.listing_observations").await, 4);
    world.end().await;
}

/// Each page shows the same listings in another order, which is how workers come to lock each other out.
#[tokio::test]
async fn parallel_workers_do_not_deadlock() {
    const PAGES: u32 = 120;
    const ITEMS: u32 = 50;
    let Some(world) = World::new().await else { return };
    for page_number in 0..PAGES {
        let step = [7, 11, 13, 17, 19, 23, 29, 31][page_number as usize % 8];
        let items: Vec<Value> = (0..ITEMS).map(|place| item((place * step + page_number) % ITEMS, "Mug")).collect();
        world.store(i64::from(page_number % 5), &page(json!(items))).await;
    }
    let started = std::time::Instant::now();
    world.work(8).await;
    println!("{PAGES} pages of {ITEMS} items in {} ms", started.elapsed().as_millis());
    assert_eq!(world.counts().await, "120 0 1560 50 6000 6000");
    assert_eq!(world.number("select count(*) from ops.job_attempts where outcome <> 'done'").await, 0);
    world.end().await;
}
