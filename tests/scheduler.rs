//! Schedules fire once, at the right moment, however many schedulers look and whatever the clocks do.

use chrono::{DateTime, Duration, Utc};
use digitallz::scheduler::definition::{Action, Definition, Origin};
use digitallz::scheduler::policy::{self, MissedRunPolicy, OverlapPolicy};
use digitallz::scheduler::rhythm::Rhythm;
use digitallz::scheduler::timetable::{self, Timetable};
use digitallz::scheduler::{self, apply, file, table};
use digitallz::settings::Environment;
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use futures::future::join_all;

use crate::harness::{TestDatabase, command, entry, scratch, stderr, stdout, workspace_root};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A crawl of eBay in Germany.
fn crawl(cron: &str, zone: &str) -> Definition {
    let site = Site::new(Marketplace::Ebay, "DE").unwrap();
    Definition::new("nightly", Action::Crawl(site), Rhythm::parse(cron, zone).unwrap())
}

async fn add(database: &TestDatabase, schedule: &Definition, from: &str) {
    let mut connection = database.db.acquire().await.unwrap();
    assert!(table::insert(&mut connection, schedule, Origin::Command, time(from)).await.unwrap());
}

async fn tick(database: &TestDatabase, now: &str) -> usize {
    scheduler::tick(&database.db, time(now)).await.unwrap()
}

/// Returns the moments for which crawl runs were made.
async fn runs(database: &TestDatabase) -> Vec<String> {
    database
        .texts("select to_char(scheduled_for at time zone 'UTC', 'MM-DD HH24:MI') from ops.crawl_runs order by crawl_run_id")
        .await
}

async fn missed(database: &TestDatabase) -> i64 {
    database.count("select missed_run_count from ops.schedules").await
}

/// Ends every open job, as workers would.
async fn end_jobs(database: &TestDatabase) {
    database
        .execute("update ops.jobs set state = 'done', finished_at = now() where state in ('ready', 'running')")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_schedulers_make_one_run() {
    let database = TestDatabase::new().await;
    add(&database, &crawl("0 2 * * *", "UTC"), "2026-03-10T12:00:00Z").await;
    let train = Definition { name: "train".to_owned(), action: Action::Train, ..crawl("0 2 * * *", "UTC") };
    add(&database, &train, "2026-03-10T12:00:00Z").await;
    let ticks = (0..8).map(|_| {
        let db = database.db.clone();
        tokio::spawn(async move { scheduler::tick(&db, time("2026-03-11T02:00:00Z")).await.unwrap() })
    });
    let fired: usize = join_all(ticks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(fired, 2);
    assert_eq!(database.count("select count(*) from ops.crawl_runs").await, 1);
    assert_eq!(database.count("select count(*) from ops.jobs where job_name = 'plan_crawl'").await, 1);
    assert_eq!(database.count("select count(*) from ops.jobs where job_name = 'train_models'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_fire_each_missed_moment_once() {
    let database = TestDatabase::new().await;
    let schedule = Definition { missed_runs: MissedRunPolicy::All, ..crawl("*/10 * * * *", "UTC") };
    add(&database, &schedule, "2026-03-10T02:05:00Z").await;
    let mut fired = 0;
    for hour in 3..8 {
        let now = time(&format!("2026-03-10T{hour:02}:00:00Z"));
        let (first, second) = tokio::join!(scheduler::tick(&database.db, now), scheduler::tick(&database.db, now));
        fired += first.unwrap() + second.unwrap();
        end_jobs(&database).await;
    }
    assert_eq!(fired, 30);
    assert_eq!(database.count("select count(distinct scheduled_for) from ops.crawl_runs").await, 30);
    assert_eq!(missed(&database).await, 0);
}

#[tokio::test]
async fn a_schedule_keeps_the_hour_of_its_time_zone_through_daylight_saving() {
    let database = TestDatabase::new().await;
    // On 29 March 2026 the clocks of Berlin go from UTC+1 to UTC+2.
    add(&database, &crawl("30 4 * * *", "Europe/Berlin"), "2026-03-28T00:00:00Z").await;
    assert_eq!(tick(&database, "2026-03-28T03:29:59Z").await, 0);
    assert_eq!(tick(&database, "2026-03-28T03:30:00Z").await, 1);
    end_jobs(&database).await;
    assert_eq!(tick(&database, "2026-03-29T02:30:00Z").await, 1);
}

/// Lets every quarter of an hour of some days go by and returns the moments that fired.
async fn fired_within(schedule: Definition, from: &str, days: i64) -> Vec<String> {
    let database = TestDatabase::new().await;
    let schedule = Definition { overlap: OverlapPolicy::Allow, ..schedule };
    add(&database, &schedule, from).await;
    for quarter in 1..=days * 24 * 4 {
        scheduler::tick(&database.db, time(from) + Duration::minutes(15 * quarter)).await.unwrap();
    }
    assert_eq!(missed(&database).await, 0);
    runs(&database).await
}

#[tokio::test]
async fn a_day_whose_hour_is_jumped_over_or_comes_twice_has_one_run() {
    // Los Angeles: 2026-03-08 02:00 to 03:00, 2026-11-01 02:00 to 01:00.
    assert_eq!(
        fired_within(crawl("30 2 * * *", "America/Los_Angeles"), "2026-03-07T08:00:00Z", 3).await,
        ["03-07 10:30", "03-08 10:00", "03-09 09:30"]
    );
    assert_eq!(
        fired_within(crawl("30 1 * * *", "America/Los_Angeles"), "2026-10-31T07:00:00Z", 3).await,
        ["10-31 08:30", "11-01 08:30", "11-02 09:30"]
    );
    // Lord Howe: 2026-10-04 02:00 to 02:30, 2026-04-05 02:00 to 01:30.
    assert_eq!(
        fired_within(crawl("15 2 * * *", "Australia/Lord_Howe"), "2026-10-02T14:00:00Z", 3).await,
        ["10-02 15:45", "10-03 15:30", "10-04 15:15"]
    );
    assert_eq!(
        fired_within(crawl("45 1 * * *", "Australia/Lord_Howe"), "2026-04-03T13:00:00Z", 3).await,
        ["04-03 14:45", "04-04 14:45", "04-05 15:15"]
    );
}

/// Lets a day and more go by without a scheduler: 12 moments of a two-hourly schedule are missed, one is due now.
async fn after_an_outage(missed_runs: MissedRunPolicy, catch_up: Duration) -> (TestDatabase, usize) {
    let database = TestDatabase::new().await;
    let schedule = Definition { missed_runs, catch_up, ..crawl("0 */2 * * *", "UTC") };
    add(&database, &schedule, "2026-03-10T01:00:00Z").await;
    let fired = tick(&database, "2026-03-11T02:00:01Z").await;
    (database, fired)
}

#[tokio::test]
async fn after_an_outage_the_last_moment_fires_and_the_others_are_counted() {
    let (database, fired) = after_an_outage(MissedRunPolicy::One, Duration::days(1)).await;
    assert_eq!((fired, missed(&database).await), (1, 12));
    assert_eq!(runs(&database).await, ["03-11 02:00"]);
    assert_eq!(tick(&database, "2026-03-11T03:00:00Z").await, 0);
}

#[tokio::test]
async fn after_an_outage_all_moments_within_the_window_fire_in_order() {
    let (database, fired) = after_an_outage(MissedRunPolicy::All, Duration::hours(6)).await;
    assert_eq!((fired, missed(&database).await), (3, 10));
    assert_eq!(runs(&database).await, ["03-10 22:00", "03-11 00:00", "03-11 02:00"]);
    assert_eq!(tick(&database, "2026-03-11T03:00:00Z").await, 0);
}

#[tokio::test]
async fn after_an_outage_nothing_is_made_up_for_when_the_policy_says_none() {
    let (database, fired) = after_an_outage(MissedRunPolicy::None, Duration::days(1)).await;
    assert_eq!((fired, missed(&database).await), (1, 12));
    assert_eq!(runs(&database).await, ["03-11 02:00"]);

    let database = TestDatabase::new().await;
    let schedule = Definition { missed_runs: MissedRunPolicy::None, ..crawl("0 */2 * * *", "UTC") };
    add(&database, &schedule, "2026-03-10T01:00:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T03:00:00Z").await, 0);
    assert_eq!(missed(&database).await, 13);
    end_jobs(&database).await;
    assert_eq!(tick(&database, "2026-03-11T04:00:00Z").await, 1);
}

#[tokio::test]
async fn a_gap_fires_once_and_a_paused_schedule_never() {
    let database = TestDatabase::new().await;
    add(&database, &crawl("0 2 * * *", "UTC"), "2026-03-01T12:00:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T08:00:00Z").await, 1);
    assert_eq!(tick(&database, "2026-03-11T09:00:00Z").await, 0);
    database.execute("update ops.schedules set is_paused = true").await;
    assert_eq!(tick(&database, "2026-03-20T09:00:00Z").await, 0);
}

#[tokio::test]
async fn a_clock_that_goes_back_fires_nothing_again() {
    let database = TestDatabase::new().await;
    let schedule = Definition { overlap: OverlapPolicy::Allow, ..crawl("0 2 * * *", "UTC") };
    add(&database, &schedule, "2026-03-10T12:00:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 1);
    for now in ["2026-03-09T02:00:00Z", "2026-03-11T01:59:00Z", "2026-03-11T02:00:00Z", "2026-03-12T01:59:59Z"] {
        assert_eq!(tick(&database, now).await, 0, "{now}");
        assert_eq!(database.texts("select next_due_at::text from ops.schedules").await, ["2026-03-12 02:00:00+00"]);
    }
    // Even where a person sets the table back, a moment that fired does not fire again.
    database.execute("update ops.schedules set next_due_at = '2026-03-11T02:00:00Z'").await;
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 0);
    assert_eq!(tick(&database, "2026-03-12T02:00:00Z").await, 1);
    assert_eq!(runs(&database).await, ["03-11 02:00", "03-12 02:00"]);
}

#[tokio::test]
async fn jitter_puts_the_start_off_but_not_the_moment_it_stands_for() {
    let database = TestDatabase::new().await;
    let schedule = Definition { jitter: Duration::hours(1), ..crawl("0 2 * * *", "UTC") };
    let due_at = time("2026-03-11T02:00:00Z");
    let fires_at = policy::fires_at(&schedule, due_at);
    assert!(fires_at > due_at && fires_at < due_at + Duration::hours(1));
    add(&database, &schedule, "2026-03-10T12:00:00Z").await;
    assert_eq!(scheduler::tick(&database.db, fires_at - Duration::milliseconds(1)).await.unwrap(), 0);
    assert_eq!(scheduler::tick(&database.db, fires_at).await.unwrap(), 1);
    assert_eq!(runs(&database).await, ["03-11 02:00"]);
    assert_eq!(missed(&database).await, 0);
}

#[tokio::test]
async fn a_moment_is_skipped_while_the_run_before_is_open() {
    let database = TestDatabase::new().await;
    let schedule = Definition { overlap: OverlapPolicy::Skip, ..crawl("0 * * * *", "UTC") };
    add(&database, &schedule, "2026-03-11T00:30:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T01:00:00Z").await, 1);
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 0);
    assert_eq!(missed(&database).await, 1);
    end_jobs(&database).await;
    assert_eq!(tick(&database, "2026-03-11T02:30:00Z").await, 0);
    assert_eq!(tick(&database, "2026-03-11T03:00:00Z").await, 1);
    assert_eq!(runs(&database).await, ["03-11 01:00", "03-11 03:00"]);
}

#[tokio::test]
async fn one_run_waits_for_the_run_before_to_end_and_the_last_takes_its_place() {
    let database = TestDatabase::new().await;
    add(&database, &crawl("0 * * * *", "UTC"), "2026-03-11T00:30:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T01:00:00Z").await, 1);
    for now in ["2026-03-11T02:00:00Z", "2026-03-11T03:00:00Z", "2026-03-11T03:00:01Z"] {
        assert_eq!(tick(&database, now).await, 0, "{now}");
    }
    assert_eq!(database.texts("select buffered_due_at::text from ops.schedules").await, ["2026-03-11 03:00:00+00"]);
    assert_eq!(missed(&database).await, 1);
    end_jobs(&database).await;
    assert_eq!(tick(&database, "2026-03-11T03:20:00Z").await, 1);
    assert_eq!(tick(&database, "2026-03-11T03:21:00Z").await, 0);
    assert_eq!(runs(&database).await, ["03-11 01:00", "03-11 03:00"]);
    assert_eq!(database.count("select count(*) from ops.schedules where buffered_due_at is null").await, 1);
}

#[tokio::test]
async fn trainings_wait_for_one_another_too() {
    let database = TestDatabase::new().await;
    let train = Definition { action: Action::Train, ..crawl("0 * * * *", "UTC") };
    add(&database, &train, "2026-03-11T00:30:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T01:00:00Z").await, 1);
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 0);
    end_jobs(&database).await;
    assert_eq!(tick(&database, "2026-03-11T02:10:00Z").await, 1);
    let keys = database.texts("select job_key from ops.jobs order by job_id").await;
    assert_eq!(keys, ["train_models:2026-03-11T01:00:00+00:00", "train_models:2026-03-11T02:00:00+00:00"]);
}

#[tokio::test]
async fn a_run_covers_what_its_schedule_says() {
    let database = TestDatabase::new().await;
    let schedule = Definition {
        keyword_tags: Some(vec!["top".to_owned()]),
        resources: Some(vec![Resource::ItemSearch]),
        request_budget: Some(500),
        priority: 7,
        ..crawl("0 2 * * *", "UTC")
    };
    add(&database, &schedule, "2026-03-10T12:00:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 1);
    let run = "select format('%s %s %s %s', keyword_tags, resources, request_budget, priority) from ops.crawl_runs";
    assert_eq!(database.texts(run).await, ["{top} {item_search} 500 7"]);
    assert_eq!(database.count("select priority::bigint from ops.jobs").await, 7);
}

#[tokio::test]
async fn a_malformed_schedule_is_set_aside_and_the_others_fire() {
    let database = TestDatabase::new().await;
    add(&database, &crawl("0 2 * * *", "UTC"), "2026-03-10T12:00:00Z").await;
    database
        .execute("insert into ops.schedules select 'broken', action, 'every full moon', time_zone, marketplace, market, false, next_due_at - interval '1 hour', null, created_at from ops.schedules")
        .await;
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 1);
    assert_eq!(database.texts("select schedule_name from ops.schedules where is_paused").await, ["broken"]);
    let reason = database.texts("select pause_reason from ops.schedules where is_paused").await;
    assert!(reason[0].contains("'every full moon' is no cron expression"), "{reason:?}");
}

#[tokio::test]
async fn a_schedule_that_never_falls_due_again_fires_its_last_moment_and_is_paused() {
    let database = TestDatabase::new().await;
    add(&database, &crawl("0 0 2 11 3 * 2026", "UTC"), "2026-03-10T12:00:00Z").await;
    assert_eq!(tick(&database, "2026-03-11T02:00:00Z").await, 1);
    assert_eq!(tick(&database, "2026-03-11T02:00:01Z").await, 0);
    let reason = database.texts("select pause_reason from ops.schedules where is_paused").await;
    assert_eq!(reason, ["it never falls due again"]);
}

#[tokio::test]
async fn every_site_with_keywords_gets_a_schedule() {
    let database = TestDatabase::new().await;
    let now = time("2026-03-11T12:00:00Z");
    let entries = [entry(Marketplace::Etsy, "lamp"), entry(Marketplace::Amazon, "lamp")];
    digitallz::commands::keywords::import(&database.db, &entries, false, now).await.unwrap();
    let timetable = Timetable::read(&Environment::default()).unwrap();
    for _ in 0..2 {
        timetable::ensure(&database.db, &timetable, now).await.unwrap();
    }
    let names = database.texts("select schedule_name from ops.schedules order by 1").await;
    assert_eq!(names, ["crawl-amazon-us", "crawl-etsy-us", "purge", "score", "train"]);
}

#[tokio::test]
async fn the_settings_make_no_schedule_where_a_file_made_one() {
    let database = TestDatabase::new().await;
    let now = time("2026-03-11T12:00:00Z");
    digitallz::commands::keywords::import(&database.db, &[entry(Marketplace::Etsy, "lamp")], false, now).await.unwrap();
    let text = "[[schedule]]\nname = \"learn\"\naction = \"train\"\ncron = \"0 5 * * MON\"\n
        [[schedule]]\nname = \"etsy\"\naction = \"crawl\"\nmarketplace = \"etsy\"\nmarket = \"us\"\ncron = \"0 4 * * *\"\n";
    apply_text(&database, text, false, now).await;
    timetable::ensure(&database.db, &Timetable::read(&Environment::default()).unwrap(), now).await.unwrap();
    let names = database.texts("select schedule_name from ops.schedules order by 1").await;
    assert_eq!(names, ["etsy", "learn", "purge", "score"]);
}

/// Applies a file and returns name, outcome and changed fields of each schedule.
async fn apply_text(database: &TestDatabase, text: &str, prune: bool, now: DateTime<Utc>) -> Vec<String> {
    let entries = file::parse(text).unwrap();
    let mut tx = database.db.begin().await.unwrap();
    let applied = apply::apply(&mut tx, &entries, prune, "tester", now).await.unwrap();
    tx.commit().await.unwrap();
    let describe = |applied: apply::Applied| {
        let changes: Vec<String> = match applied.outcome {
            "changed" => applied.changes.iter().map(|c| format!(" {}: {} -> {}", c.field, c.from, c.to)).collect(),
            _ => Vec::new(),
        };
        format!("{} {}{}", applied.schedule, applied.outcome, changes.join(","))
    };
    applied.into_iter().map(describe).collect()
}

#[tokio::test]
async fn the_example_file_applies_and_a_second_time_changes_nothing() {
    let database = TestDatabase::new().await;
    let now = time("2026-03-11T12:00:00Z");
    let text = std::fs::read_to_string(workspace_root().join("deploy/schedules.example.toml")).unwrap();
    let first = apply_text(&database, &text, false, now).await;
    assert!(first.len() == 6 && first.iter().all(|applied| applied.ends_with(" created")), "{first:?}");
    let before = database.texts("select schedules::text from ops.schedules order by 1").await;
    let second = apply_text(&database, &text, true, now + Duration::hours(1)).await;
    assert!(second.iter().all(|applied| applied.ends_with(" unchanged")), "{second:?}");
    assert_eq!(database.texts("select schedules::text from ops.schedules order by 1").await, before);
    assert_eq!(database.count("select count(*) from ops.audit_events where actor = 'tester'").await, 6);
}

#[tokio::test]
async fn a_file_takes_over_changes_and_prunes() {
    let database = TestDatabase::new().await;
    let now = time("2026-03-11T12:00:00Z");
    let schedule = |name: &str, rest: &str| {
        format!(
            "[[schedule]]\nname = \"{name}\"\naction = \"crawl\"\nmarketplace = \"ebay\"\nmarket = \"DE\"\n{rest}\n"
        )
    };
    let mut connection = database.db.acquire().await.unwrap();
    let made = Definition { name: "crawl-ebay-de".to_owned(), ..crawl("0 2 * * *", "UTC") };
    table::insert(&mut connection, &made, Origin::Settings, now).await.unwrap();
    drop(connection);

    let three = schedule("crawl-ebay-de", "cron = \"30 3 * * *\"\njitter = \"10m\"")
        + &schedule("ran", "cron = \"0 13 * * *\"")
        + &schedule("never-ran", "cron = \"0 2 1 1 *\"");
    assert_eq!(
        apply_text(&database, &three, true, now).await,
        [
            "crawl-ebay-de changed cron: 0 0 2 * * * -> 0 30 3 * * *, jitter: 0s -> 10m, origin: settings -> file",
            "ran created",
            "never-ran created"
        ]
    );
    let due = "select next_due_at::text from ops.schedules where schedule_name = 'crawl-ebay-de'";
    assert_eq!(database.texts(due).await, ["2026-03-12 03:30:00+00"]);
    assert_eq!(tick(&database, "2026-03-11T13:00:00Z").await, 1);

    let one = schedule("crawl-ebay-de", "cron = \"30 3 * * *\"\npaused = true\npause_reason = \"holidays\"");
    assert_eq!(
        apply_text(&database, &one, true, now).await,
        [
            "crawl-ebay-de changed jitter: 10m -> 0s, paused: false -> true, pause_reason: - -> holidays",
            "never-ran removed",
            "ran paused"
        ]
    );
    assert_eq!(apply_text(&database, &one, true, now).await, ["crawl-ebay-de unchanged"]);
    // Named again, it goes on.
    let two = one + &schedule("ran", "cron = \"0 13 * * *\"");
    let again = apply_text(&database, &two, true, now + Duration::days(3)).await;
    assert_eq!(again, ["crawl-ebay-de unchanged", "ran changed paused: true -> false"]);
    let due = "select next_due_at::text from ops.schedules where schedule_name = 'ran'";
    assert_eq!(database.texts(due).await, ["2026-03-14 13:00:00+00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_paused_resumed_and_triggered_from_the_command_line() {
    let database = TestDatabase::new().await;
    let run = |arguments: &[&str]| {
        let arguments = [&["--json", "schedules"], arguments].concat();
        let output = command(&arguments).env("DATABASE_URL", database.url.expose()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_str::<serde_json::Value>(&stdout(&output)).unwrap()
    };
    let path = scratch("schedules").join("schedules.toml");
    let text = "[[schedule]]\nname = \"nightly\"\naction = \"crawl\"\nmarketplace = \"ebay\"\nmarket = \"DE\"
        cron = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"\nrequest_budget = 50\n";
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(run(&["apply", path, "--dry-run"])["schedules"][0]["outcome"], "created");
    assert_eq!(run(&["list"])["meta"]["count"], 0);
    assert_eq!(run(&["apply", path, "--by", "ada"])["schedules"][0]["outcome"], "created");
    let listed = &run(&["list"])["schedules"][0];
    assert!(listed["next_due_local"].as_str().unwrap().ends_with("02:30:00 Europe/Berlin"), "{listed}");
    assert_eq!(run(&["show", "nightly"])["moments"].as_array().unwrap().len(), 5);

    run(&["pause", "nightly", "--reason", "the shop moves", "--by", "ada"]);
    assert_eq!(run(&["list"])["schedules"][0]["pause_reason"], "the shop moves");
    // A week goes by in the pause.
    let week = "update ops.schedules set next_due_at = next_due_at - interval '7 days'";
    database.execute(week).await;
    run(&["resume", "nightly"]);
    assert_eq!(database.count("select count(*) from ops.schedules where next_due_at > now()").await, 1);
    run(&["pause", "--all", "--reason", "again"]);
    database.execute(week).await;
    run(&["resume", "--all", "--catch-up"]);
    assert_eq!(database.count("select count(*) from ops.schedules where next_due_at > now()").await, 0);

    let due = database.texts("select next_due_at::text from ops.schedules").await;
    assert!(run(&["trigger", "nightly", "--by", "ada"])["triggered"]["crawl_run_id"].is_string());
    assert_eq!(database.texts("select next_due_at::text from ops.schedules").await, due);
    let triggered = "select count(*) from ops.crawl_runs join ops.jobs using (crawl_run_id)
                     where trigger = 'manual' and schedule_name = 'nightly' and request_budget = 50 and jobs.priority = 10";
    assert_eq!(database.count(triggered).await, 1);
    let audit =
        database.texts("select concat_ws(' ', actor, action, subject) from ops.audit_events order by audit_event_id");
    assert_eq!(
        audit.await,
        [
            "ada apply_schedule nightly",
            "ada pause_schedule nightly",
            "operator resume_schedule nightly",
            "operator pause_schedule nightly",
            "operator resume_schedule nightly",
            "ada trigger_schedule nightly"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_file_or_an_unknown_name_is_one_clear_error() {
    let database = TestDatabase::new().await;
    let fails = |arguments: &[&str], parts: &[&str]| {
        let output = command(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in parts {
            assert!(text.contains(part), "'{part}' is missing:\n{text}");
        }
    };
    let path = scratch("schedules").join("schedules.toml");
    std::fs::write(&path, "[[schedule]]\nname = \"train\"\naction = \"train\"\ncorn = \"0 5 * * *\"\n").unwrap();
    let path = path.to_str().unwrap();
    fails(&["schedules", "apply", path], &["schedules.toml, line 4: unknown field `corn`", "next: correct the file"]);
    fails(&["schedules", "apply", "no-such.toml"], &["failed to read no-such.toml", "next: check the path"]);
    fails(&["schedules", "trigger", "nobody"], &["there is no schedule 'nobody'", "next: `digitallz schedules list`"]);
}
