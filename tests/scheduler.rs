//! Schedules fire once, at the right moment, however many schedulers look.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use digitallz::scheduler::{self, Action, Timetable};
use digitallz::settings::Environment;
use digitallz_common::marketplace::{Marketplace, Site};
use futures::future::join_all;

use crate::harness::{TestDatabase, entry};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn schedule(database: &TestDatabase, cron: &str, zone: Tz, from: &str) {
    let mut connection = database.db.acquire().await.unwrap();
    let action = Action::Crawl(Site::new(Marketplace::Ebay, "DE").unwrap());
    scheduler::ensure_schedule(&mut connection, "nightly", &action, &cron.parse().unwrap(), zone, time(from))
        .await
        .unwrap();
}

#[tokio::test]
async fn many_schedulers_make_one_run() {
    let database = TestDatabase::new().await;
    schedule(&database, "0 0 2 * * *", Tz::UTC, "2026-03-10T12:00:00Z").await;
    let fired: usize = join_all((0..8).map(|_| scheduler::tick(&database.db, time("2026-03-11T02:00:00Z"))))
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    assert_eq!(fired, 1);
    assert_eq!(database.count("select count(*) from ops.crawl_runs").await, 1);
    assert_eq!(database.count("select count(*) from ops.jobs where job_name = 'plan_crawl'").await, 1);
}

#[tokio::test]
async fn a_schedule_keeps_the_hour_of_its_time_zone_through_daylight_saving() {
    let database = TestDatabase::new().await;
    // On 29 March 2026 the clocks of Berlin go from UTC+1 to UTC+2.
    schedule(&database, "0 30 4 * * *", Tz::Europe__Berlin, "2026-03-28T00:00:00Z").await;
    assert_eq!(scheduler::tick(&database.db, time("2026-03-28T03:29:59Z")).await.unwrap(), 0);
    assert_eq!(scheduler::tick(&database.db, time("2026-03-28T03:30:00Z")).await.unwrap(), 1);
    assert_eq!(scheduler::tick(&database.db, time("2026-03-29T02:30:00Z")).await.unwrap(), 1);
}

#[tokio::test]
async fn a_gap_fires_once_and_a_paused_schedule_never() {
    let database = TestDatabase::new().await;
    schedule(&database, "0 0 2 * * *", Tz::UTC, "2026-03-01T12:00:00Z").await;
    assert_eq!(scheduler::tick(&database.db, time("2026-03-11T08:00:00Z")).await.unwrap(), 1);
    assert_eq!(scheduler::tick(&database.db, time("2026-03-11T09:00:00Z")).await.unwrap(), 0);
    database.execute("update ops.schedules set is_paused = true").await;
    assert_eq!(scheduler::tick(&database.db, time("2026-03-20T09:00:00Z")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_malformed_schedule_is_set_aside_and_the_others_fire() {
    let database = TestDatabase::new().await;
    schedule(&database, "0 0 2 * * *", Tz::UTC, "2026-03-10T12:00:00Z").await;
    database
        .execute("insert into ops.schedules select 'broken', action, 'every full moon', time_zone, marketplace, market, false, next_due_at - interval '1 hour', null, created_at from ops.schedules")
        .await;
    assert_eq!(scheduler::tick(&database.db, time("2026-03-11T02:00:00Z")).await.unwrap(), 1);
    assert_eq!(database.texts("select schedule_name from ops.schedules where is_paused").await, ["broken"]);
}

#[tokio::test]
async fn every_site_with_keywords_gets_a_schedule() {
    let database = TestDatabase::new().await;
    let now = time("2026-03-11T12:00:00Z");
    let entries = [entry(Marketplace::Etsy, "lamp"), entry(Marketplace::Amazon, "lamp")];
    digitallz::commands::keywords::import(&database.db, &entries, false, now).await.unwrap();
    let timetable = Timetable::read(&Environment::default()).unwrap();
    for _ in 0..2 {
        scheduler::ensure_timetable(&database.db, &timetable, now).await.unwrap();
    }
    let names = database.texts("select schedule_name from ops.schedules order by 1").await;
    assert_eq!(names, ["crawl-amazon-us", "crawl-etsy-us", "score", "train"]);
}
