//! Two processor processes at work.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use digitallz::postgres::PrivatePostgres;
use sqlx::PgPool;

const PROCESSES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What the processes did.
pub struct Processed {
    /// From their start to the last commit.
    pub seconds: f64,
    /// SERP entries that arrived.
    pub entry_count: u64,
    /// The most memory that one of them ever had resident, in MB of a million bytes.
    pub peak_mb: f64,
}

impl Processed {
    /// Returns the speed.
    pub fn entries_per_s(&self) -> f64 {
        self.entry_count as f64 / self.seconds
    }
}

/// Lets processors read all answers that wait.
pub async fn process(
    db: &PgPool,
    private: &PrivatePostgres,
    directory: &Path,
    name: &str,
) -> anyhow::Result<Processed> {
    let entries_before = entries(db).await?;
    let mut workers = Workers(Vec::new());
    let started = Instant::now();
    for number in 0..PROCESSES {
        let log = std::fs::File::create(directory.join(format!("processor-{name}-{number}.log")))?;
        let binary = std::env::var_os("DIGITALLZ_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_digitallz").into());
        let mut command = Command::new(binary);
        command.env_clear().env("DATABASE_URL", private.url("process").expose()).args(["run", "processor"]);
        workers.0.push(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
    }
    loop {
        let open: bool = sqlx::query_scalar("select exists (select from ops.jobs where state in ('ready', 'running'))")
            .fetch_one(db)
            .await?;
        if !open {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "still at work after {} s", PATIENCE.as_secs());
        workers.are_alive()?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let peak_mb = workers.peak_mb()?;
    let dead: i64 = sqlx::query_scalar("select count(*) from ops.dead_letters").fetch_one(db).await?;
    ensure!(dead == 0, "{dead} jobs were given up");
    Ok(Processed { seconds, entry_count: entries(db).await? - entries_before, peak_mb })
}

async fn entries(db: &PgPool) -> anyhow::Result<u64> {
    let count: i64 = sqlx::query_scalar("select coalesce(sum(serp_entry_count), 0)::bigint from raw.payload_readings")
        .fetch_one(db)
        .await?;
    Ok(count as u64)
}

struct Workers(Vec<Child>);

impl Workers {
    fn are_alive(&mut self) -> anyhow::Result<()> {
        for child in &mut self.0 {
            if let Some(status) = child.try_wait()? {
                bail!("a processor ended ({status}) before the work did; its log lies beside the data");
            }
        }
        Ok(())
    }

    fn peak_mb(&self) -> anyhow::Result<f64> {
        let mut peak: f64 = 0.0;
        for child in &self.0 {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a worker has ended")?;
            let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
            peak = peak.max(kibibytes * 1024.0 / 1e6);
        }
        Ok(peak)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
