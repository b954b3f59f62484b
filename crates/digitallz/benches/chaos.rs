//! The long storm: thousands of jobs while workers are killed and Postgres crashes twice.
//!
//! `make chaos` runs it on the optimised binary. Talk goes to standard error, a table and one line of JSON to standard
//! output. `DIGITALLZ_CHAOS_SEED`, `DIGITALLZ_CHAOS_JOBS` and `DIGITALLZ_CHAOS_KILLS` change it; the same seed kills the
//! same workers at the same stages. It fails when anything is lost or doubled, or the accounts do not close.

#![expect(clippy::disallowed_methods, reason = "the count asks the database what no query of the program asks")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

#[path = "../../../tests/chaos/driver.rs"]
mod driver;

#[tokio::main]
async fn main() -> ExitCode {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let chaos = driver::Chaos {
        seed: given("DIGITALLZ_CHAOS_SEED", 7),
        // Faults end some questions early, so that about one job in fourteen never comes to be; 5,000 remain.
        job_count: given("DIGITALLZ_CHAOS_JOBS", 5_500),
        kill_count: given("DIGITALLZ_CHAOS_KILLS", 40),
        restart_count: 2,
        worker_count: 3,
        fault_share: 0.1,
        binary: std::env::var_os("DIGITALLZ_BINARY")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_digitallz")), PathBuf::from),
        directory: driver::directory(&top),
        patience: Duration::from_secs(1_800),
    };
    match driver::run(&chaos).await {
        Ok(report) => {
            let value = serde_json::to_value(&report).unwrap_or_default();
            for (name, value) in value.as_object().into_iter().flatten() {
                println!("{name:14} {value}");
            }
            println!("{value}");
            let is_whole = report.lost == 0 && report.duplicated == 0 && report.is_closed;
            if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn given<Number: FromStr>(name: &str, default: Number) -> Number {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
