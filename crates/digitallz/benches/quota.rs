//! `make bench-quota`: eight collector processes on one credential per marketplace, against limits of every kind.
//!
//! The sandbox counts requests over any limit, and how many it accepted is held against the most that any client could have
//! sent in the same time. The second phase does the same while collectors are killed with SIGKILL at random. The last line
//! is one JSON object; `used_share` is the smallest share of all scopes and phases.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Timelike;
use digitallz::commands::crawl;
use digitallz::commands::keywords::Entry;
use digitallz::postgres;
use digitallz::settings::Environment;
use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::{Marketplace, Site};
use digitallz_common::source_policy;
use digitallz_sandbox::{LimitStatistics, LimitWindow, Period, Sandbox, SandboxConfig};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use sqlx::PgPool;

const PROCESSES: usize = 8;
const KILL_EVERY: Duration = Duration::from_secs(4);
const SEED: u64 = 7;

/// A limit at work: how the sandbox and the collectors are told of it.
struct Limited {
    scope: &'static str,
    kind: &'static str,
    marketplace: Marketplace,
    windows: &'static [LimitWindow],
    setting: (&'static str, &'static str),
    resources: (&'static str, &'static str),
}

const LIMITED: [Limited; 3] = [
    Limited {
        scope: "amazon.searchCatalogItems",
        kind: "token bucket 2/s, burst 2",
        marketplace: Marketplace::Amazon,
        windows: &[LimitWindow::TokenBucket { per_second: 2.0, burst: 2.0 }],
        setting: ("DIGITALLZ_AMAZON_LIMITS", "searchCatalogItems=2:2"),
        resources: ("DIGITALLZ_AMAZON_RESOURCES", "catalog_search"),
    },
    Limited {
        scope: "etsy.any",
        kind: "sliding 10 in 1 s and 1,500 in 240 s",
        marketplace: Marketplace::Etsy,
        windows: &[
            LimitWindow::Sliding { limit: 10, window_s: 1.0 },
            LimitWindow::Sliding { limit: 1_500, window_s: 240.0 },
        ],
        setting: ("DIGITALLZ_ETSY_LIMITS", "any=10/1s+1500/240s"),
        resources: ("DIGITALLZ_ETSY_RESOURCES", "listing_search"),
    },
    Limited {
        scope: "ebay.browse",
        kind: "fixed 100 every 60 s",
        marketplace: Marketplace::Ebay,
        windows: &[LimitWindow::Fixed { limit: 100, period: Period::EveryS(60) }],
        setting: ("DIGITALLZ_EBAY_LIMITS", "browse=100/every60s"),
        resources: ("DIGITALLZ_EBAY_RESOURCES", "item_search"),
    },
];

/// What one phase showed.
struct Phase {
    over_limit: u64,
    used_share: f64,
    kills: u32,
    unaccounted: i64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo bench` hands over options of its own.
    let seconds: u64 = std::env::var("BENCH_SECONDS").ok().map_or(Ok(600), |text| text.parse())?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-quota");
    std::fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    eprintln!("bench-quota: {PROCESSES} collector processes, {seconds} s undisturbed, then {seconds} s with kills");
    let calm = phase(&directory, "calm", Duration::from_secs(seconds), false).await?;
    let killed = phase(&directory, "killed", Duration::from_secs(seconds), true).await?;
    let outcome = json!({
        "over_limit": calm.over_limit + killed.over_limit,
        "used_share": calm.used_share.min(killed.used_share),
        "used_share_calm": calm.used_share,
        "used_share_killed": killed.used_share,
        "kills": killed.kills,
        "unaccounted": calm.unaccounted + killed.unaccounted,
        "processes": PROCESSES,
        "seconds_per_phase": seconds,
    });
    println!("{outcome}");
    Ok(())
}

async fn phase(directory: &Path, name: &str, length: Duration, with_kills: bool) -> anyhow::Result<Phase> {
    let private = postgres::start(&directory.join("data"), &[]).await?;
    let database_name = format!("quota_{name}");
    private.recreate_database(&database_name).await?;
    let url = private.url(&database_name);
    let db = database::connect(&url, 4).await?;
    database::migrate(&db).await?;
    allow_all_sources(&db).await?;

    let started = Instant::now();
    let started_at = Clock::System.now().timestamp_micros() as f64 / 1e6;
    let limits: BTreeMap<String, Vec<LimitWindow>> =
        LIMITED.iter().map(|limited| (limited.scope.to_owned(), limited.windows.to_vec())).collect();
    let sandbox = Sandbox::start(SandboxConfig { limits, ..SandboxConfig::default() }).await?;
    let env_file = write_settings(directory, &sandbox)?;
    enqueue(&db, length).await?;

    let mut collectors =
        Collectors { url: url.expose().to_owned(), env_file, log: directory.join(name), children: Vec::new() };
    for _ in 0..PROCESSES {
        collectors.start_one()?;
    }
    let mut random = StdRng::seed_from_u64(SEED);
    let (mut kills, mut next_kill) = (0, started + KILL_EVERY);
    // It ends late in a minute, so that a fixed window that has just begun does not count as unused.
    while started.elapsed() < length || Clock::System.now().second() < 45 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        if with_kills && Instant::now() >= next_kill {
            collectors.kill_one(random.random_range(0..PROCESSES))?;
            kills += 1;
            next_kill += KILL_EVERY.mul_f64(random.random_range(0.5..1.5));
        }
        if started.elapsed().as_secs().is_multiple_of(30) {
            let accepted: Vec<String> =
                statistics(&sandbox).iter().map(|(_, found)| found.accepted.to_string()).collect();
            eprint!(
                "\r{name} {:>4} s: accepted {}, kills {kills}   ",
                started.elapsed().as_secs(),
                accepted.join(" / ")
            );
        }
    }
    let measured_s = started.elapsed().as_secs_f64();
    let found = statistics(&sandbox);
    eprintln!();
    collectors.kill_all();

    println!("{name}: {measured_s:.0} s, {kills} kills");
    println!("{:<28} {:<38} {:>9} {:>9} {:>9} {:>7}", "SCOPE", "LIMIT", "POSSIBLE", "ACCEPTED", "REFUSED", "USED");
    let (mut over_limit, mut used_share) = (0, f64::INFINITY);
    for (limited, found) in &found {
        let first_s = found.first_accepted_s.context("a collector asked")?;
        let possible = possible(limited.windows, started_at, first_s, measured_s);
        let share = found.accepted as f64 / possible as f64;
        over_limit += found.refused;
        used_share = used_share.min(share);
        println!(
            "{:<28} {:<38} {possible:>9} {:>9} {:>9} {:>6.1}%",
            limited.scope,
            limited.kind,
            found.accepted,
            found.refused,
            share * 100.0
        );
    }
    let unaccounted = unaccounted(&db, &found).await?;
    sandbox.stop().await;
    db.close().await;
    private.leave()?;
    Ok(Phase { over_limit, used_share, kills, unaccounted })
}

/// Collector processes, each with the same credentials.
struct Collectors {
    url: String,
    env_file: PathBuf,
    log: PathBuf,
    children: Vec<Child>,
}

impl Collectors {
    fn start_one(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log.with_extension("log"))?;
        let mut command = Command::new(binary());
        command
            .env_clear()
            .env("DATABASE_URL", &self.url)
            .arg("--env-file")
            .arg(&self.env_file)
            .args(["run", "collector"])
            .stdout(Stdio::null())
            .stderr(log);
        self.children.push(command.spawn()?);
        Ok(())
    }

    fn kill_one(&mut self, number: usize) -> anyhow::Result<()> {
        let mut victim = self.children.swap_remove(number);
        let killed = victim.kill();
        victim.wait()?;
        killed?;
        self.start_one()
    }

    fn kill_all(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.children.clear();
    }
}

impl Drop for Collectors {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// Returns the program: the one that `DIGITALLZ_BINARY` names, or the one built with this measurement.
fn binary() -> PathBuf {
    std::env::var_os("DIGITALLZ_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_digitallz").into(), PathBuf::from)
}

fn statistics(sandbox: &Sandbox) -> Vec<(&'static Limited, LimitStatistics)> {
    let mut found = sandbox.limit_statistics();
    LIMITED.iter().filter_map(|limited| Some((limited, found.remove(limited.scope)?))).collect()
}

/// Counts the most requests that any client could have sent between two moments, in seconds since the start.
fn possible(windows: &[LimitWindow], started_at: f64, from_s: f64, to_s: f64) -> u64 {
    let mut sent: Vec<f64> = Vec::new();
    loop {
        let earliest = sent.last().copied().unwrap_or(from_s);
        let mut next = earliest;
        for window in windows {
            match window {
                LimitWindow::TokenBucket { per_second, burst } => {
                    let beyond_burst = sent.len() as f64 + 1.0 - burst;
                    next = next.max(from_s + beyond_burst.max(0.0) / per_second);
                }
                LimitWindow::Sliding { limit, window_s } => {
                    if let Some(place) = sent.len().checked_sub(*limit as usize) {
                        next = next.max(sent[place] + window_s);
                    }
                }
                LimitWindow::Fixed { limit, period } => {
                    let Period::EveryS(seconds) = period else { continue };
                    let length = *seconds as f64;
                    let period_of = |at: f64| ((started_at + at) / length).floor();
                    let in_period = sent.iter().rev().take_while(|at| period_of(**at) == period_of(earliest)).count();
                    if in_period >= *limit as usize {
                        next = next.max((period_of(earliest) + 1.0) * length - started_at);
                    }
                }
            }
        }
        if next > to_s {
            return sent.len() as u64;
        }
        sent.push(next);
    }
}

/// Enqueues more work than can be done within the time.
async fn enqueue(db: &PgPool, length: Duration) -> anyhow::Result<()> {
    for limited in &LIMITED {
        let pretend = match limited.marketplace {
            Marketplace::Amazon => digitallz_sandbox::Marketplace::Amazon,
            Marketplace::Etsy => digitallz_sandbox::Marketplace::Etsy,
            Marketplace::Ebay => digitallz_sandbox::Marketplace::Ebay,
        };
        let site = Site::new(limited.marketplace, "US")?;
        let mut entries = Vec::new();
        for text in digitallz_sandbox::keywords(pretend) {
            entries.push(Entry::new(site.clone(), Keyword::parse(text)?, text));
        }
        let needed = possible(limited.windows, 0.0, 0.0, length.as_secs_f64()) as usize;
        for _ in 0..needed.div_ceil(entries.len()) * 3 / 2 + 2 {
            crawl::start(db, &site, &entries, Clock::System.now()).await?;
        }
    }
    Ok(())
}

fn write_settings(directory: &Path, sandbox: &Sandbox) -> anyhow::Result<PathBuf> {
    let chosen = LIMITED.iter().flat_map(|limited| [limited.setting, limited.resources]);
    let environment =
        Environment::default().with(sandbox.settings()).with(chosen.map(|(name, value)| (name, value.to_owned())));
    let lines: Vec<String> = environment.given().map(|(name, value)| format!("{name}={}", value.expose())).collect();
    let path = directory.join("settings.env");
    std::fs::write(&path, lines.join("\n"))?;
    Ok(path)
}

/// Counts requests that reached a marketplace without a permit that was spent, or might have been.
async fn unaccounted(db: &PgPool, found: &[(&Limited, LimitStatistics)]) -> anyhow::Result<i64> {
    let mut unaccounted = 0;
    for (limited, found) in found {
        let permits = sqlx::query_scalar!(
            r#"select count(*) as "count!" from ops.quota_permits permits
               where permits.state <> 'returned' and permits.quota_ids && array(
                   select quota_id from ops.quotas where marketplace = $1 and marketplace || '.' || scope = $2)"#,
            limited.marketplace.name(),
            limited.scope,
        )
        .fetch_one(db)
        .await?;
        unaccounted += (found.accepted as i64 - permits).max(0);
    }
    Ok(unaccounted)
}

/// The pretend marketplaces' terms allow everything.
async fn allow_all_sources(db: &PgPool) -> anyhow::Result<()> {
    let mut connection = db.acquire().await?;
    for marketplace in Marketplace::ALL {
        source_policy::acknowledge(&mut connection, marketplace, "bench-quota", Clock::System.now()).await?;
    }
    Ok(())
}
