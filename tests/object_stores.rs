//! Bodies in object stores: everything is as in Postgres, and nothing is lost, left behind or told to others.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Output;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz::cli::Role;
use digitallz_common::jobs::{Job, PurgeExpired};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::queue;
use digitallz_common::raw_payload::stores::{self, BodyStores};
use digitallz_common::raw_payload::{self, Body, NewRawPayload, RawPayloadError};
use digitallz_common::source_policy::{self, Rules};
use digitallz_common::spool::SpoolWriter;
use digitallz_sandbox::SandboxConfig;
use rand::{RngCore, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::s3::{S3Server, SECRET_KEY, files_below};
use crate::harness::{NOW, TestApp, TestDatabase, command, scratch, stderr, stdout};

/// What was read, in one line for each table. Runs have identifiers of their own in each database.
const CONTENT: &str = include_str!("../crates/processor/src/content_hash.sql");

/// A store of one kind, and where its objects lie as files.
struct TestStore {
    settings: Vec<(&'static str, String)>,
    directory: PathBuf,
    server: Option<S3Server>,
}

impl TestStore {
    fn directory() -> TestStore {
        let directory = scratch("bodies with space");
        let address = url::Url::from_directory_path(&directory).unwrap().to_string();
        TestStore { settings: vec![("DIGITALLZ_RAW_STORE", address)], directory, server: None }
    }

    async fn s3() -> TestStore {
        let server = S3Server::start().await;
        let (settings, directory) = (server.settings().to_vec(), server.bucket());
        TestStore { settings, directory, server: Some(server) }
    }

    async fn of_each_kind() -> [TestStore; 2] {
        [TestStore::directory(), TestStore::s3().await]
    }

    fn objects(&self) -> Vec<PathBuf> {
        files_below(&self.directory)
    }

    fn address(&self) -> String {
        self.settings[0].1.trim_end_matches('/').to_owned()
    }

    /// Makes it unreachable.
    async fn go_down(&mut self) {
        match &mut self.server {
            Some(server) => server.stop().await,
            None => std::fs::rename(&self.directory, self.directory.with_extension("away")).unwrap(),
        }
    }

    async fn come_back(&mut self) {
        match &mut self.server {
            Some(server) => server.start_again().await,
            None => std::fs::rename(self.directory.with_extension("away"), &self.directory).unwrap(),
        }
    }
}

impl TestApp {
    /// Puts bodies into a store from now on.
    fn using(mut self, store: &TestStore) -> TestApp {
        self.environment = self.environment.with(store.settings.iter().cloned());
        self
    }

    fn body_stores(&self) -> BodyStores {
        self.environment.body_stores().unwrap()
    }

    /// Starts to collect one keyword of each marketplace.
    async fn crawl_all(&self) {
        for marketplace in Marketplace::ALL {
            self.crawl(marketplace, &self.keywords(marketplace, 1)).await;
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let env_file = self.env_file(&scratch("object-stores"));
        let arguments = [&["--json", "--env-file", env_file.to_str().unwrap()], arguments].concat();
        command(&arguments).env("DATABASE_URL", self.database.url.expose()).output().unwrap()
    }

    /// Purges as of a moment, by a job.
    async fn purge(&self, as_of: DateTime<Utc>) {
        self.enqueue(&Job::PurgeExpired(PurgeExpired { as_of })).await;
        self.work_until_idle().await;
    }

    async fn enqueue(&self, job: &Job) {
        queue::enqueue(&mut self.db().acquire().await.unwrap(), job, 0).await.unwrap();
    }

    async fn content(&self) -> Vec<String> {
        let of_any_run = CONTENT.replace(
            "select raw_payload_id, request_key from raw.payloads",
            "select raw_payload_id, regexp_replace(request_key, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'run') as request_key from raw.payloads",
        );
        assert_ne!(of_any_run, CONTENT, "the query names request keys in another way");
        let content = format!("select concat_ws(' ', c.*) from ({of_any_run}) c");
        self.database.texts(&content.replace(['"', '!'], "")).await
    }
}

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

const IN_STORES: &str = "select count(*) from raw.payloads where body_location is not null";
const LOOSE: &str = "select count(*) from raw.loose_bodies";
const LATER: &str = "update raw.loose_bodies set loose_since = loose_since - interval '2 hours'";

#[tokio::test(flavor = "multi_thread")]
async fn every_place_of_bodies_leads_to_the_same_tables() {
    let in_postgres = TestApp::start().await;
    in_postgres.crawl_all().await;
    in_postgres.work_until_idle().await;
    let expected = in_postgres.content().await;
    assert!(expected.len() >= 5, "{expected:?}");
    let bodies = in_postgres.database.count("select count(*) from raw.payloads").await;
    for store in TestStore::of_each_kind().await {
        let app = TestApp::start().await.using(&store);
        app.crawl_all().await;
        app.work_until_idle().await;
        assert_eq!(app.dead_letters().await, Vec::<String>::new());
        assert_eq!(app.content().await, expected, "{}", store.address());
        assert_eq!(app.database.count(IN_STORES).await, bodies);
        assert_eq!(app.database.count("select count(*) from raw.payload_chunks").await, 0);
        assert_eq!(app.database.count(LOOSE).await, 0, "every body has its payload");
        assert_eq!(store.objects().len() as i64, bodies);
        let addresses = app.database.texts("select distinct body_location from raw.payloads").await;
        assert!(addresses.iter().all(|one| one.starts_with(&store.address())), "{addresses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_document_goes_through_the_store_and_is_read_as_it_passes_by() {
    let store = TestStore::s3().await;
    let config =
        SandboxConfig { limit_factor: 1e6, report_document_bytes: Some(36_000_000), ..SandboxConfig::default() };
    let app = TestApp::start_with(config).await.using(&store);
    let crawl_run_id = app.crawl(Marketplace::Amazon, &app.keywords(Marketplace::Amazon, 3)).await;
    app.work_until_idle().await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
    let sums = app.sums(crawl_run_id).await;
    assert!(sums.is_closed && sums.quarantined_row_count == 0, "{sums:?}");
    let ranks =
        "select count(*) from core.keyword_observations where metric = 'search_frequency_rank' and value is not null";
    assert_eq!(app.database.count(ranks).await, 3);
    let is_large = format!("{IN_STORES} and body_size_bytes > {}", raw_payload::MAX_HELD_BODY_BYTES);
    assert_eq!(app.database.count(&is_large).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_lies_in_the_store_whole_and_harm_is_found_out_at_its_end() {
    for store in TestStore::of_each_kind().await {
        let app = TestApp::start().await.using(&store);
        let (db, body_stores) = (app.db(), app.body_stores());
        let stored = body_stores.stow(db, payload(&app.database, "a", large_body()).await).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let id = raw_payload::insert(&mut tx, &stored).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        assert_eq!(app.database.count(LOOSE).await, 0);
        let mut connection = db.acquire().await.unwrap();
        let refused = raw_payload::get(&mut connection, &body_stores, id).await.unwrap_err();
        assert!(matches!(refused, RawPayloadError::TooLarge { .. }), "{refused}");

        let mut read = async || {
            let (_, passing) = raw_payload::open(&mut connection, &body_stores, id).await.unwrap();
            let read = |body: &mut dyn Read| std::io::copy(body, &mut std::io::sink()).ok();
            passing.unwrap().read(&mut connection, read).await
        };
        assert_eq!(read().await.unwrap(), Some(LARGE_BYTES as u64));
        let object = store.objects().remove(0);
        let length = object.metadata().unwrap().len();
        assert!(length > 16 * 1024 * 1024, "three parts: {length}");
        spoil(&object, length as usize - 9);
        let damaged = read().await.unwrap_err();
        assert!(matches!(damaged, RawPayloadError::Damaged { .. }), "{damaged}");
        std::fs::OpenOptions::new().write(true).open(&object).unwrap().set_len(length - 100).unwrap();
        let damaged = read().await.unwrap_err();
        assert!(matches!(damaged, RawPayloadError::Damaged { .. }), "{damaged}");
        std::fs::remove_file(&object).unwrap();
        let lost = read().await.unwrap_err().to_string();
        assert!(lost.contains("is not there"), "{lost}");
    }
}

/// Changes one byte of a file.
fn spoil(path: &Path, position: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[position] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_changed_or_lost_is_given_up_and_says_why() {
    for store in TestStore::of_each_kind().await {
        let app = TestApp::start().await.using(&store);
        app.crawl(Marketplace::Ebay, &app.keywords(Marketplace::Ebay, 1)).await;
        let collector = app.play(&[Role::Collector]);
        app.database.wait_for_count(IN_STORES, 2).await;
        collector.stop().await;
        let objects = store.objects();
        spoil(&objects[0], 40);
        std::fs::remove_file(&objects[1]).unwrap();
        app.work_until_idle().await;
        let causes = app.dead_letters().await;
        assert!(causes.len() == 2 && causes.iter().all(|cause| cause.contains("is damaged: ")), "{causes:?}");
        assert!(causes.iter().any(|cause| cause.contains("is not there")), "{causes:?}");
        assert_eq!(app.database.count("select count(*) from raw.payload_readings").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_store_is_down_jobs_are_tried_again_and_nothing_is_lost() {
    for mut store in TestStore::of_each_kind().await {
        let app = TestApp::start().await.using(&store);
        let retried = "select count(*) from ops.job_attempts where outcome = 'retry' and cause like '%object store%'";
        store.go_down().await;
        app.crawl(Marketplace::Ebay, &app.keywords(Marketplace::Ebay, 1)).await;
        let roles = app.play(&[Role::Collector]);
        app.database.wait_for_at_least(retried, 1).await;
        assert_eq!(app.database.count("select count(*) from raw.payloads").await, 0);
        store.come_back().await;
        app.database.wait_for_count(IN_STORES, 2).await;
        roles.stop().await;

        let before = app.database.count(retried).await;
        store.go_down().await;
        let roles = app.play(&[Role::Processor]);
        app.database.wait_for_at_least(retried, before + 1).await;
        store.come_back().await;
        app.database.wait_until_idle().await;
        roles.stop().await;
        assert_eq!(app.dead_letters().await, Vec::<String>::new());
        let read = "select count(*) from raw.payload_readings where outcome = 'processed'";
        assert_eq!(app.database.count(read).await, 2);

        // What the tries left behind that found the store down goes, and nothing else.
        app.database.execute(LATER).await;
        app.purge(now()).await;
        assert_eq!((app.database.count(LOOSE).await, store.objects().len()), (0, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_deleted_from_its_store_though_the_store_is_down_first() {
    for mut store in TestStore::of_each_kind().await {
        let app = TestApp::start().await.using(&store);
        let rules = Rules::default_of(Marketplace::Ebay);
        source_policy::set_rules(&mut app.db().acquire().await.unwrap(), Marketplace::Ebay, rules, "test", now())
            .await
            .unwrap();
        for marketplace in [Marketplace::Amazon, Marketplace::Ebay] {
            app.crawl(marketplace, &app.keywords(marketplace, 1)).await;
        }
        app.work_until_idle().await;
        let all = store.objects();
        let of = |marketplace: &str| format!("{IN_STORES} and marketplace = '{marketplace}'");
        let (amazon, ebay) = (app.database.count(&of("amazon")).await, app.database.count(&of("ebay")).await);
        assert!(amazon > 0 && ebay > 0 && all.len() as i64 == amazon + ebay);

        store.go_down().await;
        app.enqueue(&Job::PurgeExpired(PurgeExpired { as_of: now() + TimeDelta::days(1) })).await;
        let roles = app.play(&[Role::Processor]);
        let retried = "select count(*) from ops.job_attempts where outcome = 'retry' and cause like '%object store%'";
        app.database.wait_for_at_least(retried, 1).await;
        let purged = "select count(*) from raw.payloads where purged_at is not null and body_location is null";
        assert_eq!(app.database.count(purged).await, ebay, "no payload names what is about to be deleted");
        store.come_back().await;
        app.database.wait_until_idle().await;
        roles.stop().await;
        assert_eq!(app.dead_letters().await, Vec::<String>::new());
        assert_eq!((app.database.count(&of("amazon")).await, app.database.count(LOOSE).await), (amazon, 0));
        assert_eq!(store.objects().len() as i64, amazon);
        assert!(store.objects().iter().all(|path| all.contains(path)));

        let mut connection = app.db().acquire().await.unwrap();
        let id = app.database.count("select min(raw_payload_id) from raw.payloads where marketplace = 'ebay'").await;
        let refused = raw_payload::get(&mut connection, &app.body_stores(), id).await.unwrap_err();
        assert!(matches!(refused, RawPayloadError::Purged { .. }), "{refused}");
    }
}

/// Makes a payload with a body, of a run that is made for it.
async fn payload(database: &TestDatabase, request_key: &str, body: Body) -> NewRawPayload {
    let crawl_run_id = Uuid::now_v7();
    database
        .execute(&format!("insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at) values ('{crawl_run_id}', 'manual', now(), 'ebay', 'US', now())"))
        .await;
    NewRawPayload {
        request_key: request_key.to_owned(),
        site: Site::new(Marketplace::Ebay, "US").unwrap(),
        resource: Resource::ItemSearch,
        keyword_id: None,
        crawl_run_id,
        job_id: None,
        page_number: 1,
        request_method: "GET".to_owned(),
        request_url: "https://example.com/".to_owned(),
        request_body: None,
        status_code: 200,
        response_headers: json!({}),
        content_type: None,
        body,
        fetched_at: now(),
        ingested_at: now(),
    }
}

/// Size of a body of three parts.
const LARGE_BYTES: usize = 20 * 1024 * 1024;

/// Makes a body of that size that does not compress.
fn large_body() -> Body {
    let mut bytes = vec![0; LARGE_BYTES];
    rand::rngs::SmallRng::seed_from_u64(1).fill_bytes(&mut bytes);
    let mut writer = SpoolWriter::create(None).unwrap();
    writer.write(&bytes).unwrap();
    Body::Spooled(writer.finish())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_payload_names_is_swept_and_what_one_names_is_not() {
    for store in TestStore::of_each_kind().await {
        let app = TestApp::start().await.using(&store);
        let (db, body_stores) = (app.db(), app.body_stores());
        let stored = body_stores.stow(db, payload(&app.database, "a", b"one".to_vec().into()).await).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        raw_payload::insert(&mut tx, &stored).await.unwrap().unwrap();
        tx.commit().await.unwrap();

        // A transaction that was rolled back, an answer that another one overtook, and a writer that was killed.
        let rolled_back =
            body_stores.stow(db, payload(&app.database, "b", b"two".to_vec().into()).await).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        raw_payload::insert(&mut tx, &rolled_back).await.unwrap().unwrap();
        tx.rollback().await.unwrap();
        let overtaken =
            body_stores.stow(db, payload(&app.database, "a", b"three".to_vec().into()).await).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        assert_eq!(raw_payload::insert(&mut tx, &overtaken).await.unwrap(), None);
        tx.commit().await.unwrap();
        app.database
            .execute("create function stop() returns trigger language plpgsql as $$ begin raise 'killed'; end $$")
            .await;
        let stop = "create trigger stop before update of loose_since on raw.loose_bodies execute function stop()";
        app.database.execute(stop).await;
        let broken_off = body_stores.stow(db, payload(&app.database, "c", large_body()).await).await;
        assert!(broken_off.is_err());
        app.database.execute("drop trigger stop on raw.loose_bodies").await;
        if let Some(server) = &store.server {
            assert!(server.part_count() > 0, "a part stayed behind");
        } else {
            let killed = "select body_location from raw.loose_bodies order by loose_since desc limit 1";
            let killed = app.database.texts(killed).await.remove(0);
            let stage = url::Url::parse(&killed).unwrap().to_file_path().unwrap();
            std::fs::write(format!("{}#1", stage.display()), "half").unwrap();
        }

        let swept = body_stores.sweep(db).await.unwrap();
        assert_eq!(
            (swept.deleted_count, app.database.count(LOOSE).await),
            (0, 3),
            "somebody may be about to name them"
        );
        app.database.execute(LATER).await;
        let swept = body_stores.sweep(db).await.unwrap();
        assert!(swept.problems.is_empty(), "{:?}", swept.problems);
        assert_eq!((swept.deleted_count, app.database.count(LOOSE).await), (3, 0));
        assert_eq!(store.objects().len(), 1);
        assert_eq!(store.server.as_ref().map_or(0, S3Server::part_count), 0);

        // Who comes too late is refused, and the payload is not stored without its body.
        let late = body_stores.stow(db, payload(&app.database, "d", b"four".to_vec().into()).await).await.unwrap();
        app.database.execute("update raw.loose_bodies set condemned_at = now()").await;
        let mut tx = db.begin().await.unwrap();
        let refused = raw_payload::insert(&mut tx, &late).await.unwrap_err().to_string();
        assert!(refused.contains("swept away"), "{refused}");
        drop(tx);
        let id = app.database.count("select raw_payload_id from raw.payloads").await;
        let mut connection = db.acquire().await.unwrap();
        assert_eq!(raw_payload::get(&mut connection, &body_stores, id).await.unwrap().body, b"one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_switch_bodies_are_read_where_they_lie() {
    let [directory, s3] = TestStore::of_each_kind().await;
    let mut app = TestApp::start().await;
    let crawl = async |app: &TestApp, marketplace| {
        app.crawl(marketplace, &app.keywords(marketplace, 1)).await;
        app.work_until_idle().await;
    };
    crawl(&app, Marketplace::Amazon).await;
    app = app.using(&directory);
    crawl(&app, Marketplace::Etsy).await;
    app = app.using(&s3);
    crawl(&app, Marketplace::Ebay).await;

    // The directory is forgotten, then named.
    let refused = app.run(&["reprocess", "--marketplace", "etsy"]);
    let said = stderr(&refused);
    assert!(!refused.status.success() && said.contains("DIGITALLZ_RAW_STORE_EARLIER"), "{said}");
    app.environment = app.environment.with([("DIGITALLZ_RAW_STORE_EARLIER", directory.address())]);
    let places =
        "select count(distinct regexp_replace(coalesce(body_location, 'postgres'), ':.*', '')) from raw.payloads";
    assert_eq!(app.database.count(places).await, 3);
    let output = app.run(&["reprocess", "--all"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let count = app.database.count("select count(*) from raw.payloads").await;
    assert_eq!(
        (&said["changes"]["payload_count"], &said["changes"]["changed_payload_count"]),
        (&json!(count), &json!(0))
    );

    // Back in Postgres, with both stores still there to be read and deleted from.
    let earlier = format!("{}, {}", directory.address(), s3.address());
    app.environment = app
        .environment
        .with([("DIGITALLZ_RAW_STORE", "postgres".to_owned()), ("DIGITALLZ_RAW_STORE_EARLIER", earlier)]);
    let mut connection = app.db().acquire().await.unwrap();
    let ids: Vec<i64> =
        sqlx::query_scalar("select raw_payload_id from raw.payloads").fetch_all(app.db()).await.unwrap();
    for id in &ids {
        raw_payload::get(&mut connection, &app.body_stores(), *id).await.unwrap();
    }
    stores::condemn(&mut connection, &ids).await.unwrap();
    app.database
        .execute("update raw.payloads set purged_at = now(), body_location = null where body_location is not null")
        .await;
    app.body_stores().sweep(app.db()).await.unwrap();
    assert_eq!((directory.objects().len(), s3.objects().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tries_the_store_and_no_secret_is_told() {
    let s3 = TestStore::s3().await;
    let app = TestApp::start().await.using(&s3);
    let doctor = |app: &TestApp| {
        let output = app.run(&["doctor"]);
        let text = stdout(&output) + &stderr(&output);
        assert!(!text.contains("hunter2"), "{text}");
        let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let all = said["findings"].as_array().unwrap().clone();
        all.into_iter().filter(|row| row["subject"] == "raw store").collect::<Vec<_>>()
    };
    let findings = doctor(&app);
    assert_eq!((findings.len(), &findings[0]["is_well"]), (1, &json!(true)), "{findings:?}");
    assert!(s3.objects().is_empty(), "the probe is deleted");
    assert_eq!(app.database.count(LOOSE).await, 0);

    app.crawl(Marketplace::Ebay, &app.keywords(Marketplace::Ebay, 1)).await;
    let wrong = app.environment.clone().with([("AWS_SECRET_ACCESS_KEY", "hunter2-and-wrong".to_owned())]);
    let app = TestApp { environment: wrong, ..app };
    let roles = app.play(&[Role::Collector]);
    app.database.wait_for_at_least("select count(*) from ops.job_attempts where cause like '%object store%'", 1).await;
    roles.stop().await;
    assert!(s3.objects().is_empty(), "the server checks signatures");
    let told = "select count(*) from ops.job_attempts where cause like '%hunter2%'";
    assert_eq!(app.database.count(told).await, 0);
    let findings = doctor(&app);
    assert_eq!(findings[0]["is_well"], json!(false), "{findings:?}");
    assert!(findings[0]["finding"].as_str().unwrap().contains("s3://bodies/raw"), "{findings:?}");

    // Bodies in a store that is not set are named with what to set.
    app.database.execute("insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at) values (gen_random_uuid(), 'manual', now(), 'ebay', 'US', now())").await;
    app.database
        .execute("insert into raw.payloads (request_key, marketplace, market, resource, crawl_run_id, page_number, request_method, request_url, status_code, response_headers, body_location, body_encoding, body_size_bytes, content_sha256, fetched_at, ingested_at) select 'k', 'ebay', 'US', 'item_search', crawl_run_id, 1, 'GET', '/', 200, '{}', 'gs://old/raw/2026-03/x', 'identity', 0, sha256(''), now(), now() from ops.crawl_runs limit 1")
        .await;
    let findings = doctor(&app);
    let named = findings.iter().find(|row| row["finding"] == "1 bodies lie in gs://old/raw, which is not set").unwrap();
    assert!(named["next_step"].as_str().unwrap().contains("DIGITALLZ_RAW_STORE_EARLIER"));
    assert!(SECRET_KEY.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_users_go_into_the_store_too() {
    let store = TestStore::directory();
    let app = TestApp::start().await.using(&store);
    let file = scratch("import").join("series.csv");
    std::fs::write(&file, "keyword,date,metric,value,period\ndesk lamp,2026-02-01,search_query_volume,1200,week\n")
        .unwrap();
    let import = || app.run(&["import", file.to_str().unwrap(), "--marketplace", "amazon", "--add-keywords"]);
    let output = import();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!((app.database.count(IN_STORES).await, store.objects().len()), (1, 1));
    assert_eq!(app.database.count("select count(*) from core.keyword_observations where value = 1200").await, 1);
    assert!(import().status.success());
    assert_eq!((store.objects().len(), app.database.count(LOOSE).await), (1, 0), "what is known is not written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_killed_between_store_and_database_leaves_an_orphan_that_goes() {
    let store = TestStore::directory();
    let mut app = TestApp::start().await.using(&store);
    app.environment = app.environment.with([("DIGITALLZ_EBAY_RESOURCES", "item_search".to_owned())]);
    let crawl_run_id = app.crawl(Marketplace::Ebay, &app.keywords(Marketplace::Ebay, 1)).await;
    app.database.make_partitions("now()", "now()").await;
    let env_file = app.env_file(&scratch("killed"));

    // The payload's row waits for this lock, so the kill comes when its body is written and its row is not.
    let mut lock = app.db().begin().await.unwrap();
    sqlx::query("lock table raw.payloads in share mode").execute(&mut *lock).await.unwrap();
    let mut child = command(&["--env-file", env_file.to_str().unwrap(), "run", "collector"])
        .env("DATABASE_URL", app.database.url.expose())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let waits = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into raw.payloads%'";
    app.database.wait_for_count(waits, 1).await;
    assert_eq!((store.objects().len(), app.database.count(LOOSE).await), (1, 1));
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    lock.rollback().await.unwrap();
    app.database.wait_for_count(waits, 0).await;

    app.work_until_idle().await;
    assert!(app.sums(crawl_run_id).await.is_closed);
    assert_eq!((app.database.count(IN_STORES).await, store.objects().len()), (1, 2));
    app.database.execute(LATER).await;
    app.purge(now()).await;
    assert_eq!((store.objects().len(), app.database.count(LOOSE).await), (1, 0));
    let kept = app.database.texts("select body_location from raw.payloads").await.remove(0);
    assert_eq!(url::Url::parse(&kept).unwrap().to_file_path().unwrap(), store.objects()[0]);
}
