//! Report documents that are too large for one row: received, stored and read piece by piece.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use digitallz::cli::Role;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::raw_payload::{self, RawPayloadError};
use digitallz_sandbox::SandboxConfig;
use serde_json::Value;

use crate::harness::{TestApp, command, scratch};

/// Of each chunk of a document the first byte stands in the place where a test can change it.
const SECOND_CHUNK: &str = "chunk_number = 2";

const IS_READ: &str = "select count(*) from raw.payload_readings
    where raw_payload_id in (select raw_payload_id from raw.payloads where resource = 'search_terms_report')";

/// Starts a sandbox whose search terms documents have this length.
async fn start(report_document_bytes: u64) -> TestApp {
    TestApp::start_with(SandboxConfig {
        limit_factor: 1e6,
        report_document_bytes: Some(report_document_bytes),
        ..SandboxConfig::default()
    })
    .await
}

/// Collects and does not read.
async fn collect(app: &TestApp) {
    let keywords = app.keywords(Marketplace::Amazon, 3);
    app.crawl(Marketplace::Amazon, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    app.database.wait_for_count("select count(*) from raw.payloads where resource = 'search_terms_report'", 1).await;
    roles.stop().await;
}

/// Returns the ranks in a document of the search terms that are keywords.
fn ranks_in(document: &[u8], keywords: &[String]) -> (u64, BTreeMap<String, u64>) {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(document).read_to_string(&mut text).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let rows = document["dataByDepartmentAndSearchTerm"].as_array().unwrap();
    let ranks = rows.iter().map(|row| (row["searchTerm"].as_str().unwrap(), row["searchFrequencyRank"].as_u64()));
    let tracked = ranks.filter(|(term, _)| keywords.iter().any(|keyword| keyword == term));
    (rows.len() as u64, tracked.map(|(term, rank)| (term.to_owned(), rank.unwrap())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_many_chunks_is_stored_verbatim_and_read_as_it_passes_by() {
    let app = start(36_000_000).await;
    let keywords = app.keywords(Marketplace::Amazon, 3);
    let crawl_run_id = app.crawl(Marketplace::Amazon, &keywords).await;
    app.work_until_idle().await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
    let sums = app.sums(crawl_run_id).await;
    assert!(sums.is_closed && sums.quarantined_row_count == 0, "{sums:?}");

    let is_whole = "select count(*) from raw.payloads payloads where resource = 'search_terms_report'
        and chunk_count > 2 and (chunk_count, body_size_bytes, content_sha256) = (
            select count(*), sum(octet_length(bytes)), sha256(string_agg(bytes, ''::bytea order by chunk_number))
            from raw.payload_chunks chunks where chunks.raw_payload_id = payloads.raw_payload_id)";
    assert_eq!(app.database.count(is_whole).await, 1, "the document lies in chunks, whole");

    let document: Vec<u8> =
        sqlx::query_scalar("select string_agg(bytes, ''::bytea order by chunk_number) from raw.payload_chunks join raw.payloads using (raw_payload_id)
             where resource = 'search_terms_report'")
            .fetch_one(app.db())
            .await
            .unwrap();
    let texts: Vec<String> = keywords.iter().map(|entry| entry.keyword.as_str().to_owned()).collect();
    let (row_count, ranks) = ranks_in(&document, &texts);
    assert_eq!(ranks.len(), 3, "the document holds the keywords");
    let found = app
        .database
        .texts(
            "select format('%s %s', keyword_text, value) from core.keyword_observations join core.keywords using (keyword_id)
             where metric = 'search_frequency_rank' order by keyword_text collate \"C\"",
        )
        .await;
    assert_eq!(found, ranks.iter().map(|(term, rank)| format!("{term} {rank}")).collect::<Vec<_>>());
    let read = "select row_count::bigint from raw.payload_readings order by row_count desc limit 1";
    assert_eq!(app.database.count(read).await, row_count as i64);

    let id = app.database.count("select raw_payload_id from raw.payloads where chunk_count > 2").await;
    let refused =
        raw_payload::get(&mut app.db().acquire().await.unwrap(), &BodyStores::default(), id).await.unwrap_err();
    assert!(matches!(refused, RawPayloadError::TooLarge { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_changed_lost_a_chunk_or_was_purged_is_given_up_and_says_why() {
    let app = start(36_000_000).await;
    collect(&app).await;
    let flip = format!(
        "update raw.payload_chunks set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where {SECOND_CHUNK}"
    );
    let lose = format!("update raw.payload_chunks set chunk_number = -chunk_number where {SECOND_CHUNK}");
    let purge = "update raw.payloads set purged_at = '2026-03-11T00:00:00Z', chunk_count = null where chunk_count > 2";
    app.database.execute("alter table raw.payload_chunks drop constraint payload_chunks_chunk_number_check").await;
    let find_again = "update raw.payload_chunks set chunk_number = 2 where chunk_number < 0";
    let retry = |app: &TestApp| {
        let db = app.db().clone();
        async move {
            let dead = "select job_id from ops.dead_letters where resolution is null";
            let jobs: Vec<uuid::Uuid> = sqlx::query_scalar(dead).fetch_all(&db).await.unwrap();
            for job_id in jobs {
                digitallz_common::queue::retry_now(&mut db.acquire().await.unwrap(), job_id).await.unwrap();
            }
        }
    };
    for (harm, repair, cause) in [
        (flip.as_str(), flip.as_str(), "is damaged: "),
        (&lose, find_again, "is damaged: chunk 2 of "),
        (purge, "select 1", "was purged on 2026-03-11"),
    ] {
        app.database.execute(harm).await;
        retry(&app).await;
        app.work_until_idle().await;
        let causes = app.dead_letters().await;
        assert!(causes.len() == 1 && causes[0].contains(cause), "{cause}: {causes:?}");
        assert_eq!(app.database.count(IS_READ).await, 0, "nothing is written of a damaged document: {cause}");
        app.database.execute(repair).await;
    }
    app.database
        .execute("update raw.payloads set purged_at = null, chunk_count = (
                 select count(*) from raw.payload_chunks chunks where chunks.raw_payload_id = payloads.raw_payload_id) where purged_at is not null")
        .await;
    retry(&app).await;
    app.work_until_idle().await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
    assert_eq!(app.database.count(IS_READ).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_killed_while_it_stores_a_document_leaves_neither_rows_nor_files() {
    let mut app = start(36_000_000).await;
    app.environment = app.environment.with([("DIGITALLZ_AMAZON_RESOURCES", "search_terms_report".to_owned())]);
    app.database.make_partitions("now()", "now()").await;
    let directory = scratch("documents");
    let spool = scratch("spool");
    let env_file = app.env_file(&directory);
    let keywords = app.keywords(Marketplace::Amazon, 1);
    let crawl_run_id = app.crawl(Marketplace::Amazon, &keywords).await;

    // The first chunk waits for this lock, so the kill comes while the payload's row and its chunks are being written.
    let mut lock = app.db().begin().await.unwrap();
    sqlx::query("lock table raw.payload_chunks in share mode").execute(&mut *lock).await.unwrap();
    let mut child = start_collector(&app, &env_file, &spool);
    let waits = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into raw.payloads%'";
    app.database.wait_for_count(waits, 1).await;
    assert!(holds_a_file_in(&child, &spool), "the document lies in the spool directory");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
    app.database.wait_for_count(waits, 0).await;
    let stored = "select (select count(*) from raw.payloads where resource = 'search_terms_report')
        + (select count(*) from raw.payload_chunks)";
    assert_eq!(app.database.count(stored).await, 0);

    app.work_until_idle().await;
    assert!(app.sums(crawl_run_id).await.is_closed);
    assert_eq!(app.database.count("select count(*) from raw.payloads where chunk_count > 2").await, 1);
    assert_eq!(app.database.count(IS_READ).await, 1);
}

fn start_collector(app: &TestApp, env_file: &Path, spool: &Path) -> Child {
    command(&["--env-file", env_file.to_str().unwrap(), "run", "collector"])
        .env("DATABASE_URL", app.database.url.expose())
        .env("DIGITALLZ_SPOOL_DIR", spool)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Tells whether a process has a file open in a directory, also one without a name.
fn holds_a_file_in(child: &Child, directory: &Path) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        let files = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        let mut paths = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        if paths.any(|path| path.starts_with(directory)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
