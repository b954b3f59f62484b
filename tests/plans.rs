//! Plans say what is spent, to the request; what has changed or costs too much is refused; backfills resume.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use digitallz::cli::Role;
use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::{Fault, FaultRule, SandboxConfig};
use serde_json::{Value, json};

use crate::harness::{TestApp, command, entry, scratch, stderr, stdout};

/// A test world with its settings in a file, for the binary.
struct World {
    app: TestApp,
    directory: PathBuf,
}

impl World {
    async fn start(settings: &[(&'static str, &str)]) -> World {
        let mut app = TestApp::start_with(SandboxConfig { limit_factor: 1e6, ..SandboxConfig::default() }).await;
        app.environment = app.environment.with(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let world = World { app, directory: scratch("plans") };
        world.write_settings();
        world
    }

    /// Changes settings for the commands that follow.
    fn set(&mut self, settings: &[(&'static str, &str)]) {
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        self.app.environment = self.app.environment.clone().with(settings);
        self.write_settings();
    }

    fn write_settings(&self) {
        self.app.env_file(&self.directory);
    }

    async fn import(&self, marketplace: Marketplace, count: usize) {
        let keywords = self.app.keywords(marketplace, count);
        digitallz::commands::keywords::import(self.app.db(), &keywords, false, self.app.clock.now()).await.unwrap();
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let env_file = self.directory.join("test.env");
        let mut command = command(&["--env-file", env_file.to_str().unwrap()]);
        command.args(arguments).env("DATABASE_URL", self.app.database.url.expose());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Makes a plan and returns it with its file.
    fn plan(&self, arguments: &[&str]) -> (Value, PathBuf) {
        let file = self.directory.join(format!("plan-{}.json", uuid::Uuid::now_v7().simple()));
        let mut all = vec!["--json", "crawl", "plan", "--out", file.to_str().unwrap()];
        all.extend(arguments);
        let output = self.run(&all);
        assert!(output.status.success(), "{}", stderr(&output));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        (plan["plan"].clone(), file)
    }

    fn apply(&self, file: &Path, more: &[&str]) -> Output {
        let mut all = vec!["--json", "crawl", "apply", file.to_str().unwrap()];
        all.extend(more);
        self.run(&all)
    }

    /// Requests spent for the runs of plans, per operation.
    async fn spent(&self) -> BTreeMap<String, u64> {
        let rows = self
            .app
            .database
            .texts(
                "select format('%s %s', operation, count(*)) from ops.quota_permits
                 join ops.crawl_runs using (crawl_run_id) where plan_key is not null and state = 'spent'
                 group by operation",
            )
            .await;
        rows.iter()
            .map(|row| row.split_once(' ').unwrap())
            .map(|(name, n)| (name.to_owned(), n.parse().unwrap()))
            .collect()
    }
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}{}", stdout(output));
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing:\n{text}");
    }
}

/// Compares figures with what was spent according to the ledger and to the sandbox.
async fn assert_figures_hold(world: &World, marketplace: Marketplace, plan: &Value, exact: &[(&str, u64)]) {
    let spent = world.spent().await;
    let counted = world.app.sandbox.request_counts();
    let mut figures: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for figure in plan["runs"].as_array().unwrap().iter().flat_map(|run| run["requests"].as_array().unwrap()) {
        let sum = figures.entry(figure["operation"].as_str().unwrap().to_owned()).or_default();
        *sum = (sum.0 + figure["fewest"].as_u64().unwrap(), sum.1 + figure["most"].as_u64().unwrap());
    }
    for (operation, (fewest, most)) in &figures {
        let spent = spent.get(operation).copied().unwrap_or(0);
        assert!((*fewest..=*most).contains(&spent), "{operation}: {spent} is not {fewest} to {most}");
        let asked = counted.get(&format!("{marketplace}.{operation}")).copied().unwrap_or(0);
        assert_eq!(asked, spent, "{operation}: asked and accounted for");
    }
    for (operation, requests) in exact {
        assert_eq!(spent.get(*operation), Some(requests), "{operation}");
        assert_eq!(figures[*operation].1, *requests, "{operation}: the plan's most");
    }
    let unplanned: Vec<_> = spent.keys().filter(|operation| !figures.contains_key(*operation)).collect();
    assert!(unplanned.is_empty() || unplanned == ["downloadDocument"], "{unplanned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_plan_are_what_its_runs_spend() {
    for (marketplace, keywords, exact) in [
        (Marketplace::Amazon, 3, &[("searchCatalogItems", 3), ("createReport", 1)][..]),
        (Marketplace::Etsy, 4, &[("findAllListingsActive", 4), ("getListingsByListingIds", 4)][..]),
        (Marketplace::Ebay, 5, &[("itemSummarySearch", 5), ("getItems", 5)][..]),
    ] {
        let world = World::start(&[]).await;
        world.import(marketplace, keywords).await;
        let (plan, file) = world.plan(&["--marketplace", marketplace.name()]);
        assert_eq!(world.app.sandbox.request_counts().values().sum::<u64>(), 0, "a plan asks nothing");
        let output = world.apply(&file, &["--wait"]);
        assert!(output.status.success(), "{marketplace}: {}", stderr(&output));
        assert_figures_hold(&world, marketplace, &plan, exact).await;
        let again = world.apply(&file, &["--wait"]);
        assert!(again.status.success() && stderr(&again).contains("applied before"), "{}", stderr(&again));
        assert_eq!(world.app.database.count("select count(*) from ops.crawl_runs").await, 1);
        assert_eq!(
            world.app.database.count("select count(*) from ops.audit_events where action = 'apply plan'").await,
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_hold_with_more_pages_and_details_too() {
    let world = World::start(&[
        ("DIGITALLZ_ETSY_PAGES", "2"),
        ("DIGITALLZ_ETSY_RESOURCES", "listing_search,listing_batch,shop,listing_reviews"),
        ("DIGITALLZ_ETSY_DETAILS", "2"),
    ])
    .await;
    world.import(Marketplace::Etsy, 3).await;
    let (plan, file) = world.plan(&[]);
    let output = world.apply(&file, &["--wait"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let exact = [("findAllListingsActive", 6), ("getListingsByListingIds", 6), ("getReviewsByListing", 6)];
    assert_figures_hold(&world, Marketplace::Etsy, &plan, &exact).await;

    let world = World::start(&[("DIGITALLZ_EBAY_PAGES", "3"), ("DIGITALLZ_EBAY_DETAILS", "40")]).await;
    world.import(Marketplace::Ebay, 2).await;
    let (plan, file) = world.plan(&["--resources", "item_search,item_details,category_suggestions"]);
    let output = world.apply(&file, &["--wait"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let exact = [("itemSummarySearch", 6), ("getItems", 4), ("getCategorySuggestions", 2)];
    assert_figures_hold(&world, Marketplace::Ebay, &plan, &exact).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_choose_what_they_say() {
    let world = World::start(&[]).await;
    world.import(Marketplace::Ebay, 6).await;
    world.import(Marketplace::Etsy, 2).await;
    let database = &world.app.database;
    let texts = |plan: &Value| -> Vec<String> {
        let runs = plan["runs"].as_array().unwrap();
        let keywords = runs.iter().flat_map(|run| run["keywords"].as_array().unwrap());
        keywords.map(|keyword| keyword["keyword_text"].as_str().unwrap().to_owned()).collect()
    };
    let all = texts(&world.plan(&["--marketplace", "ebay"]).0);
    assert_eq!(all.len(), 6);
    assert_eq!(texts(&world.plan(&[]).0).len(), 8);
    assert_eq!(texts(&world.plan(&["--marketplace", "ebay", "--market", "DE"]).0).len(), 0);

    let output =
        world.run(&["keywords", "tag", "core", "--keyword", &all[0], "--keyword", &all[1], "--marketplace", "ebay"]);
    assert!(stdout(&output).starts_with("2 keywords changed"), "{}", stderr(&output));
    assert_eq!(texts(&world.plan(&["--tag", "core"]).0), all[..2]);
    assert_eq!(texts(&world.plan(&["--tag", "core", "--keyword", &all[1]]).0), all[1..2]);
    let file = world.directory.join("chosen.txt");
    std::fs::write(&file, format!("{}\nSomething  New\n", all[2])).unwrap();
    let named = texts(&world.plan(&["--marketplace", "ebay", "--file", file.to_str().unwrap()]).0);
    assert_eq!(named, [all[2].as_str(), "something new"]);

    // Two keywords are collected, the first one long ago; one question is given up.
    world.app.crawl(Marketplace::Ebay, &[entry(Marketplace::Ebay, &all[0]), entry(Marketplace::Ebay, &all[1])]).await;
    world.app.work_until_idle().await;
    database.make_partitions("now() - interval '8 days'", "now()").await;
    database
        .execute(&format!(
            "update core.keyword_observations
             set observed_at = at, period_start_date = (at at time zone 'utc')::date, period_end_date = (at at time zone 'utc')::date
             from (select keyword_id, case when marketplace = 'ebay' and keyword_text = '{}'
                                           then now() - interval '8 days' else now() end as at
                   from core.keywords) moments
             where moments.keyword_id = keyword_observations.keyword_id",
            all[0]
        ))
        .await;
    let stale = texts(&world.plan(&["--marketplace", "ebay", "--stale", "7d"]).0);
    assert_eq!(stale.len(), 5);
    assert!(!stale.contains(&all[1]));

    world.app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: Some("itemSummarySearch".to_owned()),
        keyword: Some(all[4].clone()),
        times: None,
        share: None,
        fault: Fault::Unauthorized,
    });
    let run = world
        .app
        .crawl(Marketplace::Ebay, &[entry(Marketplace::Ebay, &all[3]), entry(Marketplace::Ebay, &all[4])])
        .await;
    world.app.work_until_idle().await;
    assert_eq!(texts(&world.plan(&["--run", &run.to_string(), "--failed-only"]).0), all[4..5]);
    assert_eq!(texts(&world.plan(&["--failed-since", "1h"]).0), all[4..5]);
    assert!(texts(&world.plan(&["--failed-since", "2200-01-01"]).0).is_empty());
    refused(&world.run(&["crawl", "plan", "--run", &run.to_string()]), 2, &["--failed-only"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_refused_when_the_world_has_changed() {
    let mut world = World::start(&[]).await;
    world.import(Marketplace::Ebay, 3).await;
    let (_, file) = world.plan(&["--marketplace", "ebay"]);

    world.import(Marketplace::Ebay, 4).await;
    refused(&world.apply(&file, &[]), 1, &["ebay US: 1 keyword added: ", "next: make a new plan"]);
    world
        .app
        .database
        .execute("delete from core.keywords where keyword_id = (select max(keyword_id) from core.keywords)")
        .await;
    world
        .app
        .database
        .execute("update core.keywords set is_active = keyword_id <> (select min(keyword_id) from core.keywords)")
        .await;
    refused(&world.apply(&file, &[]), 1, &["ebay US: 1 keyword removed: "]);
    world.app.database.execute("update core.keywords set is_active = true").await;

    world.set(&[("DIGITALLZ_EBAY_PAGES", "2")]);
    refused(&world.apply(&file, &[]), 1, &["settings of ebay item_search: ", "itemSummarySearch 1 to 2 now"]);
    world.set(&[("DIGITALLZ_EBAY_PAGES", "1"), ("DIGITALLZ_EBAY_RESOURCES", "item_search")]);
    refused(&world.apply(&file, &[]), 1, &["ebay US is asked for item_search now, was item_details,item_search"]);
    world.set(&[("DIGITALLZ_EBAY_RESOURCES", "item_search,item_details")]);
    let limits = world.app.environment.given().find(|(name, _)| *name == "DIGITALLZ_EBAY_LIMITS").unwrap().1;
    let limits = limits.expose().to_owned();
    world.set(&[("DIGITALLZ_EBAY_LIMITS", "browse=900:900")]);
    refused(&world.apply(&file, &[]), 1, &["limits of ebay browse of ", "900:900 now"]);
    world.app.environment = world.app.environment.clone().with([("DIGITALLZ_EBAY_LIMITS", limits)]);
    world.write_settings();

    let text = std::fs::read_to_string(&file).unwrap();
    let mut edited: Value = serde_json::from_str(&text).unwrap();
    edited["runs"][0]["request_budget"] = json!(1_000_000);
    let edited_file = world.directory.join("edited.json");
    std::fs::write(&edited_file, edited.to_string()).unwrap();
    refused(&world.apply(&edited_file, &[]), 1, &["does not match its fingerprint"]);
    std::fs::write(&edited_file, "{}").unwrap();
    refused(&world.apply(&edited_file, &[]), 1, &["is no plan: "]);

    world
        .app
        .database
        .execute("update ops.source_policies set terms_version = null, acknowledged_by = null, acknowledged_at = null")
        .await;
    refused(&world.apply(&file, &[]), 4, &["nothing is collected from ebay", "sources acknowledge ebay"]);
    world.app.database.acknowledge_terms().await;

    assert_eq!(world.app.database.count("select count(*) from ops.crawl_runs").await, 0);
    assert!(world.apply(&file, &[]).status.success(), "nothing is other now");
    assert_eq!(world.app.database.count("select count(*) from ops.crawl_runs").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_left_is_refused_with_exit_code_5() {
    let world =
        World::start(&[("DIGITALLZ_EBAY_RESOURCES", "item_search"), ("DIGITALLZ_EBAY_LIMITS", "browse=10/day@UTC")])
            .await;
    world.import(Marketplace::Ebay, 12).await;
    let (plan, file) = world.plan(&["--marketplace", "ebay"]);
    assert_eq!((&plan["quotas"][0]["left"], &plan["quotas"][0]["is_overspent"]), (&json!(10), &json!(true)));
    assert_eq!(plan["runs"][0]["affordable_keyword_count"], 10);
    let text = stdout(&world.run(&["crawl", "plan", "--marketplace", "ebay"]));
    assert!(text.contains("does not fit: 2 of 12 keywords of ebay US"), "{text}");
    refused(&world.apply(&file, &[]), 5, &["over budget: ebay browse takes 12 requests, 10 of 10 are left"]);
    assert_eq!(world.app.database.count("select count(*) from ops.crawl_runs").await, 0);

    let partial = world.apply(&file, &["--allow-partial"]);
    assert_eq!(partial.status.code(), Some(3), "{}", stderr(&partial));
    assert_eq!(world.app.database.count("select cardinality(keyword_selection)::bigint from ops.crawl_runs").await, 10);
    // What runs under way may still send is not there for another plan.
    let named = world.app.keywords(Marketplace::Ebay, 1).remove(0).original_text;
    let (_, file) = world.plan(&["--marketplace", "ebay", "--keyword", &named]);
    refused(&world.apply(&file, &[]), 5, &["0 of 10 are left", "besides 10 of runs under way"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_ones_own_is_kept_as_well() {
    let world = World::start(&[("DIGITALLZ_COLLECT_CONCURRENCY", "1")]).await;
    world.import(Marketplace::Ebay, 4).await;
    let (_, file) = world.plan(&["--resources", "item_search", "--budget", "3"]);
    refused(&world.apply(&file, &[]), 5, &["the plan takes up to 4 requests, its budget is 3"]);
    let (plan, _) = world.plan(&["--resources", "item_search", "--budget", "4"]);
    assert_eq!(plan["runs"][0]["request_budget"], 4, "no room for repetitions");
    let (plan, file) = world.plan(&["--resources", "item_search"]);
    assert_eq!(plan["runs"][0]["request_budget"], 5, "a tenth more, rounded up");
    // More trouble than the allowance covers ends in dead letters that say so, and never in more requests.
    world.app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: Some("itemSummarySearch".to_owned()),
        keyword: None,
        times: Some(4),
        share: None,
        fault: Fault::ServerError(500),
    });
    let output = world.apply(&file, &["--wait"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("over budget: the crawl run has spent 5 of its 5 requests"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_shows_what_is_missing_asks_only_for_that_and_resumes_after_a_kill() {
    let world = World::start(&[("DIGITALLZ_AMAZON_RESOURCES", "catalog_search,search_terms_report")]).await;
    world.import(Marketplace::Amazon, 3).await;
    world.import(Marketplace::Etsy, 1).await;
    let range = ["--missing", "--from", "2026-01-20", "--to", "2026-03-05"];
    let weeks = |plan: &Value| -> Vec<String> {
        plan["runs"].as_array().unwrap().iter().map(|run| run["week"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["2026-03-01", "2026-02-22", "2026-02-15", "2026-02-08", "2026-02-01", "2026-01-25", "2026-01-18"];
    let (plan, _) = world.plan(&range);
    assert_eq!(weeks(&plan), all);
    let notes = plan["notes"].to_string();
    assert!(notes.contains("etsy US: listing_search, listing_batch cannot be collected for the past"), "{notes}");

    // One week is there already; a cap takes the latest of the others.
    let (_, file) = world.plan(&["--missing", "--from", "2026-02-15", "--to", "2026-02-15"]);
    assert!(world.apply(&file, &["--wait"]).status.success());
    let mut capped: Vec<&str> = range.to_vec();
    capped.extend(["--cap", "4"]);
    let (plan, file) = world.plan(&capped);
    assert_eq!(weeks(&plan), ["2026-03-01", "2026-02-22", "2026-02-08", "2026-02-01"]);
    assert!(plan["notes"].to_string().contains("2 further weeks are missing"), "{}", plan["notes"]);

    // The process that applies and collects is killed while reports are in the making, twice.
    world.app.sandbox.inject(FaultRule {
        marketplace: digitallz_sandbox::Marketplace::Amazon,
        operation: None,
        keyword: None,
        times: None,
        share: None,
        fault: Fault::Slow(std::time::Duration::from_millis(100)),
    });
    let start = || -> Child {
        let mut command = world.command(&["crawl", "apply", file.to_str().unwrap(), "--wait"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let database = &world.app.database;
    for payloads in [2, 3] {
        let mut child = start();
        database.wait_for_at_least("select count(*) from raw.payloads", payloads).await;
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let open = database.count("select count(*) from ops.jobs where state in ('ready', 'running')").await;
        assert!(open > 0, "the kill must come in the middle");
    }
    let output = world.apply(&file, &["--wait"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("applied before"), "{}", stderr(&output));
    assert_eq!(database.count("select count(*) from ops.crawl_runs where trigger = 'backfill'").await, 5);
    assert_eq!(database.count("select count(*) from raw.payloads where resource = 'search_terms_report'").await, 5);
    let twice = "select count(*) from (select from core.keyword_observations
                 group by keyword_id, metric, period_start_date having count(*) > 1) t";
    assert_eq!(database.count(twice).await, 0);
    let (plan, _) = world.plan(&range);
    assert_eq!(weeks(&plan), ["2026-01-25", "2026-01-18"]);
    let ahead = database.count("select count(*) from ops.crawl_runs where priority > 0 and priority < 10").await;
    assert_eq!(ahead, 5, "ahead of scheduled runs, behind what an operator wants now");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_asks_for_runs_ahead_of_the_nightly_run() {
    let world = World::start(&[
        ("DIGITALLZ_EBAY_RESOURCES", "item_search"),
        ("DIGITALLZ_EBAY_LIMITS", "browse=8:1"),
        ("DIGITALLZ_COLLECT_CONCURRENCY", "1"),
    ])
    .await;
    world.import(Marketplace::Ebay, 30).await;
    let database = &world.app.database;
    nightly(&world).await;
    let roles = world.app.play(&[Role::Collector, Role::Processor]);
    database.wait_for_at_least("select count(*) from ops.quota_permits where operation = 'itemSummarySearch'", 3).await;
    let named = world.app.keywords(Marketplace::Ebay, 2);
    let (_, file) = world.plan(&["--keyword", &named[0].original_text, "--keyword", &named[1].original_text]);
    assert!(world.apply(&file, &[]).status.success());
    database.wait_until_idle().await;
    roles.stop().await;
    let nightly_after = database
        .count(
            "select count(*) from ops.quota_permits permits join ops.crawl_runs runs using (crawl_run_id)
             where runs.trigger = 'schedule' and permits.granted_at > (
                 select max(granted_at) from ops.quota_permits join ops.crawl_runs using (crawl_run_id) where trigger = 'plan')",
        )
        .await;
    assert!(nightly_after >= 15, "only {nightly_after} of 30 nightly requests came after the operator's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nightly_run_takes_what_the_quota_allows_and_starves_nobody() {
    let world = World::start(&[
        ("DIGITALLZ_EBAY_RESOURCES", "item_search"),
        ("DIGITALLZ_EBAY_LIMITS", "browse=4/24h+1000:1000"),
        ("DIGITALLZ_CANARY_KEYWORD", ""),
    ])
    .await;
    world.import(Marketplace::Ebay, 10).await;
    let database = &world.app.database;
    database
        .execute("update core.keywords set weight = 50 where keyword_id = (select min(keyword_id) from core.keywords)")
        .await;
    for night in 0..6 {
        let now = world.app.clock.now() + chrono::TimeDelta::hours(if night == 0 { 0 } else { 25 });
        world.app.clock.set(now);
        world.app.sandbox.set_now(now);
        nightly(&world).await;
        world.app.work_until_idle().await;
    }
    assert_eq!(database.count("select min(keyword_count)::bigint from ops.crawl_runs").await, 4);
    assert_eq!(database.count("select max(deferred_keyword_count)::bigint from ops.crawl_runs").await, 6);
    assert_eq!(database.count("select count(distinct keyword_id) from raw.payloads").await, 10, "everybody had a turn");
    let heavy = "select count(*) from raw.payloads where keyword_id = (select min(keyword_id) from core.keywords)";
    assert!(database.count(heavy).await >= 5, "the heavy keyword has more turns than others");
    assert!(world.app.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_says_what_the_budgets_sustain() {
    let world =
        World::start(&[("DIGITALLZ_EBAY_RESOURCES", "item_search"), ("DIGITALLZ_EBAY_LIMITS", "browse=8/24h")]).await;
    world.import(Marketplace::Ebay, 12).await;
    let output = world.run(&["--json", "crawl", "forecast", "--marketplace", "ebay"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let forecast: Value = serde_json::from_slice(&output.stdout).unwrap();
    let site = &forecast["forecast"]["sites"][0];
    assert_eq!((&site["keyword_count"], &site["cadence_s"]), (&json!(12), &json!(36 * 3_600)));
    assert_eq!((&site["overdue_keyword_count"], &site["debt_requests"]), (&json!(12), &json!(12)));
    assert!(site["verdict"].as_str().unwrap().contains("the target takes 12 requests a day, the quota gives 8"));
    let text = stdout(&world.run(&["crawl", "forecast", "--target", "48h"]));
    assert!(text.contains("1 d 12 h") && text.contains("broken since"), "{text}");
}

/// Fires a nightly run of eBay.
async fn nightly(world: &World) {
    let database = &world.app.database;
    let now = world.app.clock.now().to_rfc3339();
    let run = uuid::Uuid::now_v7();
    database
        .execute(&format!(
            "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at)
             values ('{run}', 'schedule', '{now}', 'ebay', 'US', '{now}')"
        ))
        .await;
    let mut connection = world.app.db().acquire().await.unwrap();
    let job = digitallz_common::jobs::Job::PlanCrawl(digitallz_common::jobs::PlanCrawl { crawl_run_id: run });
    digitallz_common::queue::enqueue(&mut connection, &job, 0).await.unwrap();
}
