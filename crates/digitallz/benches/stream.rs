//! How much memory a report document of gigabytes needs: one is crawled from the sandbox by real worker processes, and
//! their peak resident memory is read from the operating system.
//!
//! `make bench-stream` runs it on the optimised binary. Talk goes to standard error; standard output ends with one line
//! of JSON. It fails when a worker needs more than [`LIMIT_MB`] or the document is not read in full.

#![expect(clippy::disallowed_methods, reason = "the measurement asks the database what no query of the program asks")]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::jobs::{FetchPage, Job};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::queue;
use digitallz_common::secret::Secret;
use digitallz_common::source_policy;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// Most memory that a worker may ever have resident, in MB of a million bytes.
const LIMIT_MB: f64 = 150.0;

const KEYWORDS: usize = 1_000;

/// Unpacked size of the document unless `DIGITALLZ_BENCH_DOCUMENT_BYTES` says otherwise.
const DOCUMENT_BYTES: u64 = 3_000_000_000;

const PATIENCE: Duration = Duration::from_secs(3_600);
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(is_within_limit) if is_within_limit => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints and tells whether the limit holds.
async fn measure() -> anyhow::Result<bool> {
    let document_bytes = match std::env::var("DIGITALLZ_BENCH_DOCUMENT_BYTES") {
        Ok(text) => text.parse().context("DIGITALLZ_BENCH_DOCUMENT_BYTES is no number")?,
        Err(_) => DOCUMENT_BYTES,
    };
    let postgres = Postgres::start()?;
    let db = database::connect(&Secret::new(postgres.url.as_str()), 4).await?;
    database::migrate(&db).await?;
    let (_sandbox, settings) = start_sandbox(document_bytes)?;
    let now = Clock::System.now();
    source_policy::acknowledge(&mut *db.acquire().await?, Marketplace::Amazon, "bench-stream", now).await?;
    enqueue(&db, now).await?;

    eprintln!("crawling a document of {:.1} GB for {KEYWORDS} keywords", document_bytes as f64 / 1e9);
    let collector = Worker::start("collector", &postgres.url, &settings)?;
    let processor = Worker::start("processor", &postgres.url, &settings)?;
    let collected_after = watch(&db, [&collector, &processor], "select count(*) from raw.payloads").await?;
    let read_after = watch(&db, [&collector, &processor], "select count(*) from raw.payload_readings").await?;

    let (collector_mb, processor_mb) = (collector.peak_mb()?, processor.peak_mb()?);
    let document = Document::load(&db, document_bytes).await?;
    let seconds = collected_after + read_after;
    let document_mb = document.unpacked_bytes as f64 / 1e6;
    println!("                    peak MB    seconds       MB/s");
    for (name, peak_mb, seconds) in
        [("collector", collector_mb, collected_after), ("processor", processor_mb, read_after)]
    {
        println!("{name:<16} {peak_mb:>10.1} {seconds:>10.1} {:>10.1}", document_mb / seconds);
    }
    println!(
        "document: {:.2} GB, {:.0} MB packed in {} chunks, {} rows, {} observations",
        document_mb / 1e3,
        document.packed_bytes as f64 / 1e6,
        document.chunk_count,
        document.row_count,
        document.observation_count
    );
    let peak_mb = collector_mb.max(processor_mb);
    let rounded = |number: f64| (number * 1000.0).round() / 1000.0;
    println!(
        "{}",
        json!({
            "document_gb": rounded(document_mb / 1e3),
            "peak_mb": rounded(peak_mb),
            "collector_peak_mb": rounded(collector_mb),
            "processor_peak_mb": rounded(processor_mb),
            "limit_mb": LIMIT_MB,
            "ratio": rounded(peak_mb / LIMIT_MB),
            "mb_per_s": rounded(document_mb / seconds),
            "rows": document.row_count,
        })
    );
    ensure!(document.outcome == "processed", "the document was quarantined");
    Ok(peak_mb < LIMIT_MB)
}

/// Tracks the keywords and enqueues the question for the report, as a crawl run's plan does.
async fn enqueue(db: &PgPool, now: DateTime<Utc>) -> anyhow::Result<()> {
    let site = Site::new(Marketplace::Amazon, "US")?;
    let mut tx = db.begin().await?;
    let named = digitallz_sandbox::keywords(digitallz_sandbox::Marketplace::Amazon).into_iter().map(str::to_owned);
    let invented = (1..).map(|number| format!("travel mug {number}"));
    for text in named.chain(invented).take(KEYWORDS) {
        keyword::ensure(&mut tx, &site, &Keyword::parse(&text)?, &text, now).await?;
    }
    let crawl_run_id = Uuid::now_v7();
    sqlx::query(
        "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at, planned_at)
         values ($1, 'manual', $2, 'amazon', 'US', $2, $2)",
    )
    .bind(crawl_run_id)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    let job = Job::FetchPage(FetchPage {
        crawl_run_id,
        site,
        resource: Resource::SearchTermsReport,
        keyword_id: None,
        keyword_ids: Vec::new(),
        then: Vec::new(),
        page_number: 1,
        cursor: None,
        scheduled_for: now,
    });
    queue::enqueue(&mut tx, &job, 0).await?;
    tx.commit().await?;
    Ok(())
}

/// Waits until a count is no longer zero, and returns after how many seconds.
async fn watch(db: &PgPool, workers: [&Worker; 2], count: &'static str) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut next_progress = PROGRESS_EVERY;
    loop {
        let found: i64 = sqlx::query_scalar(count).fetch_one(db).await?;
        if found > 0 {
            return Ok(started.elapsed().as_secs_f64());
        }
        let dead: Option<String> =
            sqlx::query_scalar("select cause from ops.dead_letters limit 1").fetch_optional(db).await?;
        if let Some(cause) = dead {
            bail!("a job was given up: {cause}");
        }
        ensure!(started.elapsed() < PATIENCE, "still at work after {} s", PATIENCE.as_secs());
        if started.elapsed() >= next_progress {
            next_progress += PROGRESS_EVERY;
            let peaks: Vec<String> = workers
                .iter()
                .map(|worker| Ok(format!("{} {:.0} MB", worker.name, worker.peak_mb()?)))
                .collect::<anyhow::Result<_>>()?;
            eprintln!("{:>5} s  {}", started.elapsed().as_secs(), peaks.join(", "));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is stored of the document.
struct Document {
    unpacked_bytes: u64,
    packed_bytes: i64,
    chunk_count: i32,
    row_count: i32,
    observation_count: i32,
    outcome: String,
}

impl Document {
    async fn load(db: &PgPool, bytes_min: u64) -> anyhow::Result<Document> {
        let row = sqlx::query(
            "select body_size_bytes, coalesce(chunk_count, 0), row_count, observation_count, outcome,
                 (select substring(bytes from octet_length(bytes) - 3) from raw.payload_chunks
                  order by chunk_number desc limit 1)
             from raw.payloads join raw.payload_readings using (raw_payload_id)",
        )
        .fetch_one(db)
        .await?;
        // gzip ends with the unpacked size, of which it keeps 32 bits.
        let trailer: [u8; 4] = row.get::<Option<Vec<u8>>, _>(5).and_then(|end| end.try_into().ok()).unwrap_or_default();
        let low = u64::from(u32::from_le_bytes(trailer));
        let unpacked_bytes = (0..).map(|high| low + (high << 32)).find(|size| *size >= bytes_min).unwrap_or(bytes_min);
        Ok(Document {
            unpacked_bytes,
            packed_bytes: row.get(0),
            chunk_count: row.get(1),
            row_count: row.get(2),
            observation_count: row.get(3),
            outcome: row.get(4),
        })
    }
}

/// A process that is ended when it is no longer needed.
struct Worker {
    name: &'static str,
    child: Child,
}

impl Worker {
    fn start(role: &'static str, database_url: &str, settings: &[(String, String)]) -> anyhow::Result<Worker> {
        let child = digitallz()
            .args(["run", role])
            .env("DATABASE_URL", database_url)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env("DIGITALLZ_AMAZON_REPORT_POLL_SECONDS", "1")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start a {role}"))?;
        Ok(Worker { name: role, child })
    }

    /// Returns the most memory that was ever resident.
    fn peak_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the worker has ended")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the sandbox and returns the settings that lead to it.
fn start_sandbox(document_bytes: u64) -> anyhow::Result<(Worker, Vec<(String, String)>)> {
    let mut child = digitallz()
        .args(["--json", "sandbox", "--limit-factor", "1000", "--report-document-bytes", &document_bytes.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start the sandbox")?;
    let output = child.stdout.take().context("the sandbox has no output")?;
    let sandbox = Worker { name: "sandbox", child };
    let said: Value = serde_json::Deserializer::from_reader(output.take(1 << 20))
        .into_iter()
        .next()
        .context("the sandbox said nothing")??;
    let settings = said["settings"].as_object().context("the sandbox names no settings")?;
    let settings = settings.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Ok((sandbox, settings.collect()))
}

/// A private Postgres of this measurement, gone afterwards.
struct Postgres {
    directory: PathBuf,
    url: String,
}

impl Postgres {
    fn start() -> anyhow::Result<Postgres> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/bench-stream")
            .join(Uuid::now_v7().simple().to_string());
        std::fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let output = digitallz().arg("--data-dir").arg(&directory).args(["db", "url"]).output()?;
        let url = String::from_utf8(output.stdout)?.trim().to_owned();
        let postgres = Postgres { directory, url };
        ensure!(output.status.success(), "no Postgres: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(postgres)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = digitallz().arg("--data-dir").arg(&self.directory).args(["db", "stop"]).output();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Prepares a run of the binary: the one that `DIGITALLZ_BINARY` names, or the one built with this measurement.
fn digitallz() -> Command {
    let binary =
        std::env::var_os("DIGITALLZ_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_digitallz").into(), PathBuf::from);
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}
