//! A fresh database for each test, a sandbox on free ports, and roles that run when a test says so.

pub mod s3;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use chrono::{DateTime, Utc};
use digitallz::cli::Role;
use digitallz::commands::keywords::Entry;
use digitallz::commands::runs::{self, Sums};
use digitallz::postgres;
use digitallz::roles::{self, Roles};
use digitallz::settings::Environment;
use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::{Marketplace, Site};
use digitallz_common::secret::Secret;
use digitallz_common::source_policy::{self, Rules};
use digitallz_sandbox::{Sandbox, SandboxConfig};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The moment at which test worlds stand unless a test moves them: a Wednesday.
pub const NOW: &str = "2026-03-11T06:00:00Z";

/// How long a test waits for work to end before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own; it stays for a look at what a test left, and a later run of the tests drops it.
pub struct TestDatabase {
    pub db: PgPool,
    pub url: Secret,
}

impl TestDatabase {
    /// Makes an empty, migrated database.
    pub async fn new() -> TestDatabase {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let admin_url = admin_url().await;
        let admin = database::connect(&admin_url, 1).await.expect("the test server answers");
        let template = template(&admin).await;
        sqlx::query(AssertSqlSafe(format!("create database {name} template {template}")))
            .execute(&admin)
            .await
            .expect("a test database");
        admin.close().await;
        let url = with_database(&admin_url, &name);
        let db = database::connect(&url, 24).await.expect("the test database answers");
        TestDatabase { db, url }
    }

    /// Returns one number.
    pub async fn count(&self, sql: &str) -> i64 {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&self.db).await.expect(sql);
        row.get::<i64, _>(0)
    }

    /// Returns the first column of all rows as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&self.db).await.expect(sql);
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    /// Acknowledges the terms of every marketplace, keeps all that they answer, and lets it train.
    pub async fn acknowledge_terms(&self) {
        let now: DateTime<Utc> = NOW.parse().expect("a time");
        let mut tx = self.db.begin().await.expect("a transaction");
        for marketplace in Marketplace::ALL {
            source_policy::set_rules(&mut tx, marketplace, Rules::UNLIMITED, "test", now).await.expect("rules");
            source_policy::acknowledge(&mut tx, marketplace, "test", now).await.expect("an acknowledgement");
        }
        tx.commit().await.expect("a commit");
    }

    /// Makes the months of rows that a test writes by itself; both are SQL expressions.
    pub async fn make_partitions(&self, first: &str, last: &str) {
        self.count(&format!("select core.make_partitions({first}, {last})::bigint")).await;
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&self.db).await.expect(sql);
    }

    /// Waits until a query counts what is expected.
    pub async fn wait_for_count(&self, sql: &str, expected: i64) {
        let started = std::time::Instant::now();
        loop {
            let found = self.count(sql).await;
            if found == expected {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "expected {expected}, still {found}: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a query counts at least so many.
    pub async fn wait_for_at_least(&self, sql: &str, least: i64) {
        let started = std::time::Instant::now();
        loop {
            let found = self.count(sql).await;
            if found >= least {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "expected at least {least}, still {found}: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no job is open.
    pub async fn wait_until_idle(&self) {
        self.wait_for_count("select count(*) from ops.jobs where state in ('ready', 'running')", 0).await;
    }
}

/// A database, a sandbox, and the settings that join them.
pub struct TestApp {
    pub database: TestDatabase,
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub environment: Environment,
}

impl TestApp {
    /// Starts a sandbox whose limits are out of the way.
    pub async fn start() -> TestApp {
        TestApp::start_with(SandboxConfig { limit_factor: 1e6, ..SandboxConfig::default() }).await
    }

    /// Starts a sandbox of the given kind; its world stands at [`NOW`]. All terms are acknowledged.
    pub async fn start_with(config: SandboxConfig) -> TestApp {
        let app = TestApp::start_unacknowledged(config).await;
        app.database.acknowledge_terms().await;
        app
    }

    /// Starts a sandbox of the given kind with the policies that a new database has: no terms are acknowledged.
    pub async fn start_unacknowledged(config: SandboxConfig) -> TestApp {
        let now: DateTime<Utc> = NOW.parse().expect("a time");
        let sandbox = Sandbox::start(SandboxConfig { now: Some(now), keep_requests: true, ..config })
            .await
            .expect("the sandbox starts");
        let environment = Environment::default().with(sandbox.settings()).with([
            (
                "DIGITALLZ_AMAZON_LIMITS",
                raised(&[
                    "searchCatalogItems",
                    "getCompetitiveSummary",
                    "createReport",
                    "getReport",
                    "getReportDocument",
                    "getKeywordRecommendations",
                ]),
            ),
            ("DIGITALLZ_ETSY_LIMITS", raised(&["any"])),
            (
                "DIGITALLZ_EBAY_LIMITS",
                raised(&["oauthToken", "browse", "browse.items", "taxonomy", "analytics", "insights", "marketing"]),
            ),
            ("DIGITALLZ_AMAZON_REPORT_POLL_SECONDS", "0".to_owned()),
            ("DIGITALLZ_BREAKER_FAILURES", "1000".to_owned()),
            ("DIGITALLZ_RETRY_BASE_SECONDS", "0.1".to_owned()),
            ("DIGITALLZ_HEARTBEAT_SECONDS", "1".to_owned()),
        ]);
        TestApp { database: TestDatabase::new().await, sandbox, clock: Clock::manual(now), environment }
    }

    /// Returns the connections.
    pub fn db(&self) -> &PgPool {
        &self.database.db
    }

    /// Returns the entries of the sandbox's first named keywords of a marketplace.
    pub fn keywords(&self, marketplace: Marketplace, count: usize) -> Vec<Entry> {
        let pretend = match marketplace {
            Marketplace::Amazon => digitallz_sandbox::Marketplace::Amazon,
            Marketplace::Etsy => digitallz_sandbox::Marketplace::Etsy,
            Marketplace::Ebay => digitallz_sandbox::Marketplace::Ebay,
        };
        digitallz_sandbox::keywords(pretend).into_iter().take(count).map(|text| entry(marketplace, text)).collect()
    }

    /// Starts a crawl run over the given keywords and returns its identifier.
    pub async fn crawl(&self, marketplace: Marketplace, entries: &[Entry]) -> Uuid {
        let site = Site::new(marketplace, "US").expect("a site");
        digitallz::commands::crawl::start(self.db(), &site, entries, self.clock.now()).await.expect("a crawl run")
    }

    /// Plays roles.
    pub fn play(&self, played: &[Role]) -> Roles {
        roles::start(self.db(), &self.clock, &self.environment, played).expect("roles start")
    }

    /// Collects and processes until no job is open.
    pub async fn work_until_idle(&self) {
        let roles = self.play(&[Role::Collector, Role::Processor]);
        self.database.wait_until_idle().await;
        roles.stop().await;
    }

    /// Returns the sums of a crawl run.
    pub async fn sums(&self, crawl_run_id: Uuid) -> Sums {
        runs::sums(self.db(), Some(crawl_run_id)).await.expect("sums")
    }

    /// Returns the causes of open dead letters.
    pub async fn dead_letters(&self) -> Vec<String> {
        self.database.texts("select cause from ops.dead_letters where resolution is null order by cause").await
    }

    /// Writes the settings to a file that `--env-file` reads.
    pub fn env_file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("test.env");
        let lines: Vec<String> =
            self.environment.given().map(|(name, value)| format!("{name}={}", value.expose())).collect();
        std::fs::write(&path, lines.join("\n")).expect("an env file");
        path
    }
}

/// Puts the limits of scopes out of the way.
fn raised(scopes: &[&str]) -> String {
    scopes.iter().map(|scope| format!("{scope}=1000:1000")).collect::<Vec<_>>().join(",")
}

/// Makes an entry of a keyword file.
pub fn entry(marketplace: Marketplace, text: &str) -> Entry {
    let site = Site::new(marketplace, "US").expect("a site");
    Entry::new(site, Keyword::parse(text).expect("a keyword"), text)
}

/// Runs the binary with a clean environment and returns what it said.
pub fn digitallz(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary runs")
}

/// Prepares a run of the binary with a clean environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_digitallz"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(arguments);
    command
}

/// Returns what the binary wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns what the binary wrote to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes an empty directory for a test.
pub fn scratch(name: &str) -> PathBuf {
    let path = workspace_root().join("target/test-scratch").join(format!("{name}-{}", Uuid::now_v7().simple()));
    std::fs::create_dir_all(&path).expect("a scratch directory");
    path
}

/// Returns the top of the repository.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Returns a folder of reference material beside the repository, or says that the test is skipped.
pub fn reference(folder: &str) -> Option<PathBuf> {
    let path = workspace_root().join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: the reference material {folder} is not beside the repository");
    None
}

/// Returns the server on which test databases are made: the user's own, or a private one that all tests share.
async fn admin_url() -> Secret {
    static URL: OnceCell<Secret> = OnceCell::const_new();
    URL.get_or_init(|| async {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Secret::new(url);
        }
        let private = postgres::start(&workspace_root().join("target/test-data"), &["-c fsync=off"])
            .await
            .expect("a private Postgres for the tests");
        let url = private.url("postgres");
        // It stays up for the tests that come after; `make test` stops it.
        std::mem::forget(private);
        url
    })
    .await
    .clone()
}

/// Returns a migrated database from which test databases are copied.
async fn template(admin: &PgPool) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            drop_old_databases(admin).await;
            let name = format!("template_{}", Uuid::now_v7().simple());
            sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(admin).await.expect("a template");
            let db =
                database::connect(&with_database(&admin_url().await, &name), 2).await.expect("the template answers");
            database::migrate(&db).await.expect("the migrations run");
            db.close().await;
            name
        })
        .await
}

/// Drops the databases of runs that began more than an hour ago; their names tell when they were made.
async fn drop_old_databases(admin: &PgPool) {
    let hour_ago = Clock::System.now() - chrono::TimeDelta::hours(1);
    let names =
        sqlx::query(AssertSqlSafe("select datname from pg_database where datname ~ '^(test|template)_[0-9a-f]{32}$'"))
            .fetch_all(admin)
            .await
            .expect("the names of databases");
    for name in names.iter().map(|row| row.get::<String, _>(0)) {
        let made_at = name.split_once('_').and_then(|(_, id)| Uuid::parse_str(id).ok()?.get_timestamp());
        if made_at.is_some_and(|made_at| (made_at.to_unix().0 as i64) < hour_ago.timestamp()) {
            // Another run may drop it at the same moment.
            let _ =
                sqlx::query(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).execute(admin).await;
        }
    }
}

fn with_database(url: &Secret, name: &str) -> Secret {
    let mut parsed = url::Url::parse(url.expose()).expect("a database URL");
    parsed.set_path(name);
    Secret::new(parsed.as_str())
}
