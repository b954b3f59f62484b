//! Chaos: a crawl under faults while workers are killed and Postgres crashes, and the count of what came of it.
//!
//! The seed decides which worker is killed and how far the crawl is then. Everything is real: a Postgres of its own, worker
//! processes of the real binary, HTTP to the sandbox. The count asks the database directly and trusts no state of a job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use digitallz::commands::crawl;
use digitallz::commands::keywords::Entry;
use digitallz::postgres::{self, DATABASE_NAME, PrivatePostgres};
use digitallz::settings::Environment;
use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::{Marketplace, Site};
use digitallz_common::secret::Secret;
use digitallz_common::source_policy;
use digitallz_sandbox::{Fault, FaultRule, Sandbox, SandboxConfig};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool, Row};

/// How the chaos is to be.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// Decides who is killed when, and which requests fail.
    pub seed: u64,
    /// Jobs there will be if every question is answered.
    pub job_count: usize,
    /// Workers to kill.
    pub kill_count: usize,
    /// Crashes of Postgres.
    pub restart_count: usize,
    /// Worker processes at a time.
    pub worker_count: usize,
    /// Share of requests that each kind of fault spoils.
    pub fault_share: f64,
    /// The program.
    pub binary: PathBuf,
    /// Where the database lives.
    pub directory: PathBuf,
    /// After this time without an end the crawl is taken for stuck.
    pub patience: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seed, to see it again.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// Jobs there were.
    pub jobs: i64,
    /// Jobs that were done.
    pub done: i64,
    /// Workers killed.
    pub kills: usize,
    /// Crashes of Postgres.
    pub restarts: usize,
    /// Tries that were lost with their worker.
    pub lost_tries: i64,
    /// Requests that the sandbox counted.
    pub requests: u64,
    /// Payloads stored.
    pub payloads: i64,
    /// Questions without an answer, a successor or a dead letter; answers that were neither read nor set aside.
    pub lost: i64,
    /// Answers to one question, or values of one metric, beyond the first.
    pub duplicated: i64,
    /// Jobs that were given up, each with its cause.
    pub dead_letters: i64,
    /// Whether the program's own accounts close.
    pub is_closed: bool,
}

/// Lets chaos loose and reports what came of it. Everything it started is stopped and removed in the end.
pub async fn run(chaos: &Chaos) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&chaos.directory)?;
    let server = postgres::start(&chaos.directory, SERVER_OPTIONS).await?;
    let cluster = server.directory().to_owned();
    let sandbox =
        Sandbox::start(SandboxConfig { seed: chaos.seed, limit_factor: 1e6, ..SandboxConfig::default() }).await?;
    let result = Storm::start(chaos, server, &sandbox).await?.run(&sandbox).await;
    sandbox.stop().await;
    postgres::stop(&chaos.directory)?;
    let _ = std::fs::remove_dir_all(cluster);
    let _ = std::fs::remove_dir_all(&chaos.directory);
    result
}

const SERVER_OPTIONS: &[&str] = &["-c fsync=off"];

/// A crash of the processes loses nothing that was written to the operating system, so fsync=off is no cheat here.
struct Storm<'a> {
    chaos: &'a Chaos,
    url: Secret,
    db: PgPool,
    env_file: PathBuf,
    workers: Vec<Child>,
    server: PrivatePostgres,
    questions: i64,
}

impl Drop for Storm<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

impl<'a> Storm<'a> {
    async fn start(chaos: &'a Chaos, server: PrivatePostgres, sandbox: &Sandbox) -> anyhow::Result<Storm<'a>> {
        let url = server.url(DATABASE_NAME);
        let db = database::connect(&url, 4).await?;
        database::migrate(&db).await?;
        acknowledge_terms(&db).await?;
        let env_file = chaos.directory.join("chaos.env");
        std::fs::write(&env_file, settings(sandbox))?;

        // Etsy has four jobs a keyword, the others two: half of the jobs are Etsy's.
        let shares = [(Marketplace::Etsy, 8), (Marketplace::Ebay, 8), (Marketplace::Amazon, 8)];
        let mut questions = 0;
        for (marketplace, divisor) in shares {
            let entries = entries(marketplace, (chaos.job_count / divisor).max(1))?;
            questions += entries.len() as i64;
            crawl::start(&db, &Site::new(marketplace, "US")?, &entries, Clock::System.now()).await?;
        }
        for rule in faults(chaos.fault_share) {
            sandbox.inject(rule);
        }
        Ok(Storm { chaos, url, db, env_file, workers: Vec::new(), server, questions })
    }

    /// Kills and crashes at the moments that the seed chose, until no job is open.
    async fn run(mut self, sandbox: &Sandbox) -> anyhow::Result<Report> {
        let mut rng = SmallRng::seed_from_u64(self.chaos.seed);
        let mut kills: Vec<f64> = (0..self.chaos.kill_count).map(|_| rng.random_range(0.02..0.9)).collect();
        kills.sort_by(|left, right| right.total_cmp(left));
        let crash_count = self.chaos.restart_count;
        let mut crashes: Vec<f64> = (1..=crash_count).rev().map(|n| n as f64 / (crash_count + 1) as f64).collect();
        let (mut kill_count, mut restart_count) = (0, 0);
        for _ in 0..self.chaos.worker_count {
            let worker = self.start_worker()?;
            self.workers.push(worker);
        }
        let started = Instant::now();
        let mut said_at = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.replace_the_dead()?;
            let (ended, open) = self.progress().await?;
            let share = ended as f64 / self.chaos.job_count as f64;
            if kills.last().is_some_and(|at| share >= *at) {
                kills.pop();
                let chosen = rng.random_range(0..self.workers.len());
                self.workers[chosen].kill()?; // SIGKILL
                self.workers[chosen].wait()?;
                kill_count += 1;
            }
            if crashes.last().is_some_and(|at| share >= *at) {
                crashes.pop();
                self.crash_postgres().await?;
                restart_count += 1;
            }
            if said_at.elapsed() > Duration::from_secs(5) {
                said_at = Instant::now();
                eprintln!("chaos: {ended} jobs ended, {open} open, {kill_count} kills, {restart_count} crashes");
                if std::env::var_os("DIGITALLZ_CHAOS_VERBOSE").is_some() {
                    eprintln!("chaos: {}", self.open_jobs().await?);
                }
            }
            if open == 0 {
                break;
            }
            if started.elapsed() > self.chaos.patience {
                let said = std::fs::read_to_string(self.chaos.directory.join("workers.log")).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(10).collect();
                bail!("{open} jobs are still open: {}\nworkers: {}", self.open_jobs().await?, last.join("\n"));
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        self.count(sandbox, seconds, kill_count, restart_count).await
    }

    fn start_worker(&self) -> anyhow::Result<Child> {
        Command::new(&self.chaos.binary)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DATABASE_URL", self.url.expose())
            .arg("--env-file")
            .arg(&self.env_file)
            .args(["--log", "error", "run", "collector", "processor"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.worker_log()?)
            .spawn()
            .with_context(|| format!("failed to start {}", self.chaos.binary.display()))
    }

    /// What the workers say, for whoever looks into a storm that does not end.
    fn worker_log(&self) -> anyhow::Result<std::fs::File> {
        let path = self.chaos.directory.join("workers.log");
        Ok(std::fs::File::options().create(true).append(true).open(path)?)
    }

    /// Starts a worker for each that was killed or found no database.
    fn replace_the_dead(&mut self) -> anyhow::Result<()> {
        for index in 0..self.workers.len() {
            if self.workers[index].try_wait()?.is_some() {
                self.workers[index] = self.start_worker()?;
            }
        }
        Ok(())
    }

    /// Returns how many jobs have ended and how many are open; a database that is coming back is asked again.
    async fn progress(&self) -> anyhow::Result<(i64, i64)> {
        let sql = "select count(*) filter (where state in ('done', 'dead', 'discarded')),
                          count(*) filter (where state in ('ready', 'running')) from ops.jobs";
        for _ in 0..50 {
            if let Ok(row) = sqlx::query(sql).fetch_one(&self.db).await {
                return Ok((row.get(0), row.get(1)));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("the database does not come back");
    }

    /// Ends the server as a crash does, without a checkpoint, and starts it again.
    async fn crash_postgres(&mut self) -> anyhow::Result<()> {
        let notes = std::fs::read_to_string(self.server.directory().join("data/postmaster.pid"))?;
        let process: i32 = notes.lines().next().unwrap_or_default().trim().parse()?;
        let process = rustix::process::Pid::from_raw(process).context("a process number")?;
        rustix::process::kill_process(process, rustix::process::Signal::QUIT)?;
        let started = Instant::now();
        while rustix::process::test_kill_process(process).is_ok() {
            ensure!(started.elapsed() < Duration::from_secs(30), "Postgres does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.server = postgres::start(&self.chaos.directory, SERVER_OPTIONS).await?;
        Ok(())
    }

    async fn open_jobs(&self) -> anyhow::Result<String> {
        let sql =
            "select format('%s %s, %s tries, %s snoozes, due in %s, last: %s', queue_name, state, attempts, snoozes,
                       run_at - now(), (select cause from ops.job_attempts tries where tries.job_id = jobs.job_id
                                        and cause is not null order by try_number desc limit 1))
                   from ops.jobs where state in ('ready', 'running') limit 5";
        let rows = sqlx::query(sql).fetch_all(&self.db).await?;
        Ok(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("; "))
    }

    async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&self.db).await?;
        Ok(row.try_get(0)?)
    }

    async fn count(&self, sandbox: &Sandbox, seconds: f64, kills: usize, restarts: usize) -> anyhow::Result<Report> {
        let mut lost = 0;
        for sql in LOST {
            let found = self.number(sql).await?;
            if found > 0 {
                eprintln!("chaos: lost {found}: {sql}");
            }
            lost += found;
        }
        lost += (self.questions - self.number(FIRST_QUESTIONS).await?).abs();
        let mut duplicated = 0;
        for sql in DUPLICATED {
            duplicated += self.number(sql).await?;
        }
        let asked: BTreeMap<String, u64> = sandbox.request_counts();
        let shown = Command::new(&self.chaos.binary)
            .env_clear()
            .env("DATABASE_URL", self.url.expose())
            .args(["--json", "runs", "show"])
            .output()?;
        let accounts: serde_json::Value = serde_json::from_slice(&shown.stdout).context("`runs show` gave no JSON")?;
        Ok(Report {
            seed: self.chaos.seed,
            seconds,
            jobs: self.number("select count(*) from ops.jobs").await?,
            done: self.number("select count(*) from ops.jobs where state = 'done'").await?,
            kills,
            restarts,
            lost_tries: self.number("select count(*) from ops.job_attempts where outcome = 'lost'").await?,
            requests: asked.values().sum(),
            payloads: self.number("select count(*) from raw.payloads").await?,
            lost,
            duplicated,
            dead_letters: self.number("select count(*) from ops.dead_letters where resolution is null").await?,
            is_closed: accounts["run"]["is_closed"] == true,
        })
    }
}

/// The first question about each keyword of each run.
const FIRST_QUESTIONS: &str = "
    select count(*) from (
        select distinct crawl_run_id, message ->> 'keyword_id' from ops.jobs
        where job_name = 'fetch_page' and message ->> 'keyword_id' is not null) questions";

/// Each counts what may not be.
const LOST: [&str; 6] = [
    // A job that did not end, or was given up without a letter and its cause.
    "select count(*) from ops.jobs where state in ('ready', 'running', 'discarded')",
    "select count(*) from ops.jobs where state = 'dead' and not exists (
         select from ops.dead_letters letters
         where letters.job_id = jobs.job_id and resolution is null and letters.cause <> '')",
    // A question about a keyword that is said to be done and has no answer.
    "select count(*) from ops.jobs
     where job_name = 'fetch_page' and state = 'done' and message ->> 'keyword_id' is not null
       and not exists (select from raw.payloads where request_key = job_key)",
    // An answer that nobody reads and that is not set aside.
    "select count(*) from raw.payloads left join raw.payload_readings using (raw_payload_id)
     where outcome is null and not exists (
         select from ops.jobs where job_key = 'process_payload:' || raw_payload_id and state = 'dead')",
    // A search of Etsy with listings and no question for their particulars.
    "select count(*) from raw.payloads found join raw.payload_readings readings using (raw_payload_id)
     where found.resource = 'listing_search' and readings.outcome = 'processed' and readings.listing_count > 0
       and not exists (
         select from ops.jobs where jobs.crawl_run_id = found.crawl_run_id
           and jobs.message ->> 'resource' = 'listing_batch'
           and (jobs.message ->> 'keyword_id')::bigint = found.keyword_id)",
    // A run that was never planned.
    "select count(*) from ops.crawl_runs where planned_at is null and not exists (
         select from ops.jobs where jobs.crawl_run_id = crawl_runs.crawl_run_id and state = 'dead')",
];

/// Each counts what is there more than once.
const DUPLICATED: [&str; 2] = [
    "select count(*) - count(distinct (crawl_run_id, resource, keyword_id, page_number)) from raw.payloads
     where keyword_id is not null and request_key not like '%:rejected:%'",
    "select count(*) - count(distinct (keyword_id, metric, resource, period_kind, period_start_date))
     from core.keyword_observations",
];

/// Settings of the workers: the sandbox, limits out of the way, quick tries and heartbeats.
fn settings(sandbox: &Sandbox) -> String {
    let own = [
        (
            "DIGITALLZ_AMAZON_LIMITS",
            "searchCatalogItems=1000:1000,createReport=1000:1000,getReport=1000:1000,getReportDocument=1000:1000",
        ),
        ("DIGITALLZ_ETSY_LIMITS", "any=1000:1000"),
        ("DIGITALLZ_EBAY_LIMITS", "browse=1000:1000,browse.items=1000:1000,oauthToken=1000:1000"),
        // Every source fails all the time here, and is to be asked all the same.
        ("DIGITALLZ_BREAKER_FAILURES", "1000000"),
        ("DIGITALLZ_AMAZON_REPORT_POLL_SECONDS", "1"),
        ("DIGITALLZ_RETRY_BASE_SECONDS", "0.2"),
        ("DIGITALLZ_HEARTBEAT_SECONDS", "1"),
    ];
    let own = own.map(|(name, value)| (name, value.to_owned()));
    let environment = Environment::default().with(sandbox.settings()).with(own);
    environment.given().map(|(name, value)| format!("{name}={}\n", value.expose())).collect()
}

/// The pretend marketplaces' terms allow everything.
async fn acknowledge_terms(db: &PgPool) -> anyhow::Result<()> {
    let mut connection = db.acquire().await?;
    for marketplace in Marketplace::ALL {
        source_policy::acknowledge(&mut connection, marketplace, "chaos", Clock::System.now()).await?;
    }
    Ok(())
}

/// Makes as many keywords as wanted: the sandbox's named ones, then those with a number.
fn entries(marketplace: Marketplace, count: usize) -> anyhow::Result<Vec<Entry>> {
    let pretend = pretend(marketplace);
    let named = digitallz_sandbox::keywords(pretend);
    let mut entries = Vec::with_capacity(count);
    for index in 0..count {
        let name = named[index % named.len()];
        let text = if index < named.len() { name.to_owned() } else { format!("{name} {}", index / named.len()) };
        let keyword = Keyword::parse(&text)?;
        entries.push(Entry::new(Site::new(marketplace, "US")?, keyword, text));
    }
    Ok(entries)
}

/// Every fault, each at its share of the requests that it makes sense for.
fn faults(share: f64) -> Vec<FaultRule> {
    let kinds = [
        Fault::TooManyRequests { retry_after_s: Some(1) },
        Fault::ServerError(500),
        Fault::ServerError(503),
        Fault::Slow(Duration::from_millis(200)),
        Fault::TruncatedBody,
        Fault::HtmlWithStatus200,
        Fault::ExpiredReportLink,
        Fault::CancelledReport,
        Fault::FatalReport,
        Fault::MalformedRow,
        Fault::Unauthorized,
        Fault::WrongContentType,
        Fault::ConnectionClosed,
        Fault::EmptyResults,
    ];
    let mut rules = Vec::new();
    for marketplace in Marketplace::ALL.map(pretend) {
        for fault in &kinds {
            rules.push(FaultRule {
                marketplace,
                operation: None,
                keyword: None,
                times: None,
                share: Some(share),
                fault: fault.clone(),
            });
        }
    }
    rules
}

fn pretend(marketplace: Marketplace) -> digitallz_sandbox::Marketplace {
    match marketplace {
        Marketplace::Amazon => digitallz_sandbox::Marketplace::Amazon,
        Marketplace::Etsy => digitallz_sandbox::Marketplace::Etsy,
        Marketplace::Ebay => digitallz_sandbox::Marketplace::Ebay,
    }
}

/// Returns where a database for chaos may live: short enough for the path of a socket.
pub fn directory(top: &Path) -> PathBuf {
    top.join("target/chaos").join(std::process::id().to_string())
}
