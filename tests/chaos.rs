//! A short storm; `make chaos` runs the long one.

use std::path::Path;
use std::time::Duration;

use crate::harness::workspace_root;

#[path = "chaos/driver.rs"]
mod driver;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_workers_die_and_the_database_crashes() {
    let chaos = driver::Chaos {
        seed: 7,
        job_count: 160,
        kill_count: 3,
        restart_count: 1,
        worker_count: 2,
        fault_share: 0.1,
        binary: Path::new(env!("CARGO_BIN_EXE_digitallz")).to_owned(),
        directory: driver::directory(&workspace_root()),
        patience: Duration::from_secs(120),
    };
    let report = driver::run(&chaos).await.unwrap();
    assert_eq!((report.lost, report.duplicated, report.is_closed), (0, 0, true), "{report:?}");
    assert_eq!((report.kills, report.restarts), (3, 1), "{report:?}");
    assert!(report.done > 0 && report.done + report.dead_letters == report.jobs, "{report:?}");
}
