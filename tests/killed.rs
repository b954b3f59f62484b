//! The binary is killed in the middle of a crawl and started again.

use std::process::{Child, Stdio};
use std::time::Duration;

use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::SandboxConfig;

use crate::harness::{TestApp, command, scratch};

fn start_workers(app: &TestApp, env_file: &std::path::Path) -> Child {
    command(&["--env-file", env_file.to_str().unwrap(), "run", "collector", "processor"])
        .env("DATABASE_URL", app.database.url.expose())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_that_was_killed_completes_with_nothing_missing_and_nothing_twice() {
    let app = TestApp::start_with(SandboxConfig { limit_factor: 1e6, ..SandboxConfig::default() }).await;
    let slow = digitallz_sandbox::FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Etsy,
        operation: None,
        keyword: None,
        times: None,
        share: None,
        fault: digitallz_sandbox::Fault::Slow(Duration::from_millis(50)),
    };
    app.sandbox.inject(slow);
    let keywords = app.keywords(Marketplace::Etsy, 20);
    let crawl_run_id = app.crawl(Marketplace::Etsy, &keywords).await;
    let env_file = app.env_file(&scratch("killed"));

    let mut killed_with_work_open = 0;
    for done_before in [4, 12] {
        let mut child = start_workers(&app, &env_file);
        let started = std::time::Instant::now();
        while app.sums(crawl_run_id).await.done_job_count < done_before && started.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        killed_with_work_open += i64::from(app.sums(crawl_run_id).await.open_job_count > 0);
    }
    assert_eq!(killed_with_work_open, 2, "the kills must come in the middle");

    let mut child = start_workers(&app, &env_file);
    app.database.wait_until_idle().await;
    child.kill().unwrap();
    child.wait().unwrap();

    let sums = app.sums(crawl_run_id).await;
    assert!(sums.is_closed, "{sums:?}");
    assert_eq!(sums.dead_job_count, 0);
    assert_eq!(sums.payload_count, 40, "a search and a batch for each of 20 keywords");
    assert_eq!(sums.job_count, 1 + 20 * 4, "plan; search, batch, and the reading of each");
    assert_eq!(app.database.count("select count(distinct (keyword_id, resource)) from raw.payloads").await, 40);
    let twice = app
        .database
        .count("select count(*) from (select keyword_id, metric, period_start_date from core.keyword_observations group by 1, 2, 3 having count(*) > 1) t")
        .await;
    assert_eq!(twice, 0);
    assert_eq!(
        app.database.count("select count(*) from core.keyword_observations where metric = 'result_count'").await,
        20
    );
}
