//! What an operator does to jobs and runs, from the command line and against real workers.

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use digitallz::cli::Role;
use digitallz_common::jobs::{Job, TrainModels};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue;
use digitallz_sandbox::{Fault, FaultRule, SandboxConfig};
use uuid::Uuid;

use crate::harness::{TestApp, TestDatabase, command, scratch, stderr, stdout};

/// Runs the binary on a database.
fn on(database: &TestDatabase, arguments: &[&str]) -> Output {
    command(arguments).env("DATABASE_URL", database.url.expose()).stdin(Stdio::null()).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(!output.stdout.is_empty(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Makes jobs that were given up, each with a letter and a cause.
async fn dead_jobs(database: &TestDatabase, numbers: std::ops::Range<i64>, cause: &str) -> Vec<Uuid> {
    let as_of = |number| chrono::DateTime::from_timestamp(number, 0).unwrap();
    let jobs: Vec<Job> = numbers.map(|number| Job::TrainModels(TrainModels { as_of: as_of(number) })).collect();
    let mut connection = database.db.acquire().await.unwrap();
    let job_ids = queue::enqueue_all(&mut connection, &jobs, 0).await.unwrap();
    let list = job_ids.iter().map(|job_id| format!("'{job_id}'")).collect::<Vec<_>>().join(",");
    for sql in [
        format!("update ops.jobs set state = 'dead', finished_at = now() where job_id in ({list})"),
        format!(
            "insert into ops.dead_letters (job_id, cause, dead_at) select job_id, '{cause}', now() from ops.jobs where job_id in ({list})"
        ),
        format!(
            "insert into ops.job_attempts (job_id, try_number, worker_name, started_at, finished_at, outcome, cause) select job_id, 1, 'w', now(), now(), 'dead', '{cause}' from ops.jobs where job_id in ({list})"
        ),
    ] {
        database.execute(&sql).await;
    }
    job_ids
}

/// Lets every answer of Etsy take a while.
fn slow_etsy(app: &TestApp, wait: Duration) {
    app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Etsy,
        operation: None,
        keyword: None,
        times: None,
        share: None,
        fault: Fault::Slow(wait),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_chosen_by_filters_and_a_dry_run_changes_nothing() {
    let database = TestDatabase::new().await;
    dead_jobs(&database, 0..3, "HTTP 503 of Etsy").await;
    dead_jobs(&database, 3..5, "the document is FATAL").await;

    let none = on(&database, &["jobs", "retry"]);
    assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
    assert!(stderr(&none).contains("no job is chosen"), "{}", stderr(&none));

    let listed = json(&on(&database, &["--json", "jobs", "list", "--cause", "http 503", "--queue", "score"]));
    assert_eq!(listed["meta"]["count"], 3);
    let young = json(&on(&database, &["--json", "jobs", "list", "--older-than", "2h"]));
    assert_eq!(young["meta"]["count"], 0);

    let dry = on(&database, &["jobs", "retry", "--cause", "fatal", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0));
    assert!(stderr(&dry).contains("2 jobs would be enqueued again"), "{}", stderr(&dry));
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'dead'").await, 5);

    let retried = on(&database, &["jobs", "retry", "--cause", "fatal"]);
    assert_eq!(retried.status.code(), Some(0), "{}", stderr(&retried));
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'ready' and attempts = 0").await, 2);
    assert_eq!(database.count("select count(*) from ops.dead_letters where resolution = 'retried'").await, 2);

    let discarded = on(&database, &["jobs", "discard", "--all-dead"]);
    assert_eq!(discarded.status.code(), Some(0), "{}", stderr(&discarded));
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'discarded'").await, 3);
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'ready'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_hundred_jobs_are_changed_only_by_who_says_yes() {
    let database = TestDatabase::new().await;
    dead_jobs(&database, 0..700, "HTTP 503 of Etsy").await;
    let refused = on(&database, &["jobs", "retry", "--state", "dead"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("700 jobs would be enqueued again"), "{}", stderr(&refused));
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'dead'").await, 700);

    let done = on(&database, &["jobs", "retry", "--state", "dead", "--limit", "600", "--yes"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'ready'").await, 600);
    assert_eq!(database.count("select count(*) from apalis.jobs").await, 700 + 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_asks_no_more_and_its_accounts_close() {
    let app = TestApp::start().await;
    slow_etsy(&app, Duration::from_millis(200));
    let crawl_run_id = app.crawl(Marketplace::Etsy, &app.keywords(Marketplace::Etsy, 30)).await;
    let roles = app.play(&[Role::Collector, Role::Processor]);
    app.database
        .wait_for_at_least("select count(*) from ops.jobs where job_name = 'fetch_page' and state = 'done'", 4)
        .await;

    let run = crawl_run_id.to_string();
    let dry = json(&on(&app.database, &["--json", "runs", "cancel", &run, "--by", "maria", "--dry-run"]));
    assert!(dry["run"]["discarded_job_count"].as_i64().unwrap() > 10, "{dry}");
    assert_eq!(app.sums(crawl_run_id).await.discarded_job_count, 0);

    let cancelled = json(&on(&app.database, &["--json", "runs", "cancel", &run, "--by", "maria"]));
    assert!(cancelled["run"]["discarded_job_count"].as_i64().unwrap() > 10, "{cancelled}");
    app.database.wait_until_idle().await;
    roles.stop().await;
    let sums = app.sums(crawl_run_id).await;
    assert!(sums.is_closed && sums.discarded_job_count > 10 && sums.payload_count > 0, "{sums:?}");
    let asked = app.sandbox.request_counts()["etsy.findAllListingsActive"];
    assert!(asked <= 20, "{asked} of 30 keywords were asked for");
    assert_eq!(
        app.database
            .texts("select actor || ' ' || action || ' ' || subject from ops.audit_events where actor <> 'test'")
            .await,
        [format!("maria cancel_run {run}")]
    );

    let listed = json(&on(&app.database, &["--json", "runs", "list"]));
    assert_eq!(listed["runs"][0]["state"], "cancelled");
    let again = on(&app.database, &["jobs", "retry", "--run", &run, "--state", "discarded"]);
    assert_eq!(again.status.code(), Some(3), "{}", stderr(&again));
    assert_eq!(app.sums(crawl_run_id).await.open_job_count, 0, "what was cancelled is not asked again");
    let nothing = on(&app.database, &["runs", "cancel", &Uuid::nil().to_string(), "--by", "maria"]);
    assert_eq!(nothing.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_waited_for_until_it_ends_or_time_is_up() {
    let app = TestApp::start().await;
    let crawl_run_id = app.crawl(Marketplace::Ebay, &app.keywords(Marketplace::Ebay, 2)).await;
    let run = crawl_run_id.to_string();
    let early = on(&app.database, &["--json", "runs", "wait", &run, "--timeout", "1s"]);
    assert_eq!(early.status.code(), Some(75), "{}", stderr(&early));
    assert!(stderr(&early).contains("no worker is running"), "{}", stderr(&early));

    app.work_until_idle().await;
    let done = on(&app.database, &["--json", "runs", "wait", &run]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(json(&done)["run"]["is_closed"], true);

    dead_jobs(&app.database, 0..1, "gone").await;
    app.database.execute(&format!("update ops.jobs set crawl_run_id = '{run}' where state = 'dead'")).await;
    let partly = on(&app.database, &["runs", "wait", &run]);
    assert_eq!(partly.status.code(), Some(3), "{}", stderr(&partly));
    assert!(stderr(&partly).contains("dead letter: gone"), "{}", stderr(&partly));
    assert!(stdout(&on(&app.database, &["runs", "list"])).contains("partly"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_forgets_tries_and_jobs_but_no_sum() {
    let app = TestApp::start().await;
    let crawl_run_id = app.crawl(Marketplace::Etsy, &app.keywords(Marketplace::Etsy, 5)).await;
    app.work_until_idle().await;
    dead_jobs(&app.database, 0..2, "gone").await;
    app.database
        .execute(&format!(
            "insert into ops.quota_permits (marketplace, operation, quota_ids, crawl_run_id, holder, state, granted_at, send_at, expires_at, settled_at)
             select 'etsy', 'findAllListingsActive', '{{1}}', '{crawl_run_id}', 1, 'spent', now(), now(), now(), now() - interval '99 days'
             from generate_series(1, 5)"
        ))
        .await;
    let before = app.sums(crawl_run_id).await;
    assert!(before.is_closed && before.request_count > 0);

    let dry = json(&on(&app.database, &["--json", "jobs", "prune", "--older-than", "90d", "--dry-run"]));
    assert_eq!((&dry["pruned"]["job_count"], &dry["pruned"]["permit_count"]), (&0.into(), &5.into()));
    app.database.execute("update ops.jobs set finished_at = finished_at - interval '91 days'").await;
    app.database.execute("update apalis.jobs set done_at = done_at - interval '91 days'").await;
    app.database.execute("update apalis.workers set last_seen = 'epoch', started_at = 'epoch'").await;
    let dry = json(&on(&app.database, &["--json", "jobs", "prune", "--dry-run"]));
    assert_eq!(app.database.count("select count(*) from ops.pruned_counts").await, 0);
    let pruned = json(&on(&app.database, &["--json", "jobs", "prune"]));
    assert_eq!(dry["pruned"], pruned["pruned"]);

    assert_eq!(pruned["pruned"]["job_count"], 11, "the plan and the readings of 10 payloads");
    assert_eq!(pruned["pruned"]["attempt_count"], before.job_count);
    assert_eq!(app.database.count("select count(*) from ops.jobs where state = 'dead'").await, 2);
    assert_eq!(app.database.count("select count(*) from ops.dead_letters where resolution is null").await, 2);
    assert_eq!(app.database.count("select count(*) from raw.payloads join ops.jobs using (job_id)").await, 10);
    assert_eq!(app.database.count("select count(*) from apalis.jobs where status = 'Done'").await, 0);
    assert_eq!(app.database.count("select count(*) from apalis.workers").await, 0);

    let after = app.sums(crawl_run_id).await;
    assert_eq!(after.pruned_job_count, 11);
    assert_eq!(
        (after.job_count, after.done_job_count, after.request_count, after.is_closed),
        (before.job_count, before.done_job_count, before.request_count, true)
    );
    let shown = json(&on(&app.database, &["--json", "runs", "show", &crawl_run_id.to_string()]));
    assert_eq!(shown["requests"][0]["spent"], 10);
    let listed = json(&on(&app.database, &["--json", "runs", "list"]));
    assert_eq!(listed["runs"][0]["job_count"], before.job_count);
    assert_eq!(listed["runs"][0]["state"], "done");
}

fn start_collector(app: &TestApp, drain_seconds: &str) -> Child {
    let env_file = app.env_file(&scratch("drain"));
    command(&["--env-file", env_file.to_str().unwrap(), "run", "collector"])
        .env("DATABASE_URL", app.database.url.expose())
        .env("DIGITALLZ_DRAIN_SECONDS", drain_seconds)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn terminate(child: &Child) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_process_ends_in_time_and_its_jobs_are_due_at_once() {
    for (drain_seconds, signals) in [("1", 1), ("600", 2)] {
        let app = TestApp::start().await;
        slow_etsy(&app, Duration::from_secs(25));
        let crawl_run_id = app.crawl(Marketplace::Etsy, &app.keywords(Marketplace::Etsy, 10)).await;
        let mut child = start_collector(&app, drain_seconds);
        let running = "select count(*) from ops.jobs where job_name = 'fetch_page' and state = 'running'";
        app.database.wait_for_count(running, 4).await;
        let signalled = Instant::now();
        for _ in 0..signals {
            terminate(&child);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(signalled.elapsed() < Duration::from_secs(6), "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(status.code(), Some(0));
        let due = "select count(*) from ops.jobs where state = 'ready' and attempts = 0 and run_at <= now()";
        assert_eq!(app.database.count(due).await, 10);
        let handed_back =
            "select count(*) from ops.job_attempts where outcome = 'snooze' and cause = 'its worker was stopped'";
        assert_eq!(app.database.count(handed_back).await, 4);
        assert_eq!(app.sums(crawl_run_id).await.dead_job_count, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_out_what_the_credentials_are_granted() {
    for (is_granted, is_wanted, mark, words) in [
        (true, true, true, "item_sales is granted"),
        (
            false,
            false,
            true,
            "item_sales is not granted: ebay oauthToken: configuration error: no token is granted for Marketplace Insights",
        ),
        (
            false,
            true,
            false,
            "item_sales is not granted: ebay oauthToken: configuration error: no token is granted for Marketplace Insights",
        ),
    ] {
        let mut app =
            TestApp::start_with(SandboxConfig { insights_granted: is_granted, ..SandboxConfig::default() }).await;
        if is_wanted {
            app.environment = app.environment.with([("DIGITALLZ_EBAY_RESOURCES", "item_search,item_sales".to_owned())]);
        }
        let directory = scratch("doctor");
        let env_file = app.env_file(&directory);
        let doctor = |more: &[&str]| {
            let arguments = [&["--json", "--env-file", env_file.to_str().unwrap(), "doctor"], more].concat();
            let output = command(&arguments).env("DATABASE_URL", app.database.url.expose()).output().unwrap();
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["findings"].clone()
        };
        let find = |findings: &serde_json::Value| {
            let all = findings.as_array().unwrap().iter();
            all.filter(|row| row["finding"].as_str().unwrap().contains("item_sales")).cloned().collect::<Vec<_>>()
        };
        assert!(find(&doctor(&["--offline"])).is_empty());
        assert_eq!(app.sandbox.request_counts().values().sum::<u64>(), 0, "offline nobody is asked");
        let findings = doctor(&[]);
        let found = find(&findings);
        assert_eq!((found.len(), &found[0]["is_well"]), (1, &serde_json::json!(mark)), "{findings}");
        assert!(found[0]["finding"].as_str().unwrap().starts_with(words), "{}", found[0]);
        let asked = app.sandbox.request_counts()["ebay.oauthToken"];
        doctor(&[]);
        let again = app.sandbox.request_counts()["ebay.oauthToken"] - asked;
        assert_eq!(again, u64::from(!is_granted), "what was granted is remembered");
    }
}
