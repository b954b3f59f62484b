//! Schedules as they are shown: a list, or one with its next due moments.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use crate::cli::Cli;
use crate::exit::Ending;
use crate::output;
use crate::scheduler::apply::duration_text;
use crate::scheduler::policy;
use crate::scheduler::table::{self, Stored};

/// A schedule as it is shown.
#[derive(Serialize)]
struct ScheduleRow {
    schedule_name: String,
    action: String,
    marketplace: Option<String>,
    market: Option<String>,
    cron: String,
    time_zone: String,
    next_due_at: DateTime<Utc>,
    next_due_local: String,
    next_start_at: DateTime<Utc>,
    last_fired_at: Option<DateTime<Utc>>,
    buffered_due_at: Option<DateTime<Utc>>,
    missed_run_count: i64,
    is_paused: bool,
    pause_reason: Option<String>,
    overlap: String,
    missed_runs: String,
    catch_up: String,
    jitter: String,
    keyword_tags: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    request_budget: Option<i32>,
    priority: i32,
    origin: String,
}

/// A due moment to come.
#[derive(Serialize)]
struct MomentRow {
    due_at: DateTime<Utc>,
    due_local: String,
    start_at: DateTime<Utc>,
}

/// Prints all schedules.
pub async fn list(cli: &Cli, db: &PgPool) -> anyhow::Result<Ending> {
    let stored = table::list(&mut *db.acquire().await?, None).await?;
    let rows: Vec<ScheduleRow> = stored.into_iter().map(row).collect();
    output::list(
        cli.json,
        "schedules",
        &rows,
        &[
            output::text("SCHEDULE", |row: &ScheduleRow| row.schedule_name.clone()),
            output::text("ACTION", |row: &ScheduleRow| action_text(row)),
            output::text("CRON", |row: &ScheduleRow| row.cron.clone()),
            output::text("NEXT DUE", |row: &ScheduleRow| row.next_due_local.clone()),
            output::text("NEXT DUE (UTC)", |row: &ScheduleRow| utc_text(row.next_due_at)),
            output::text("LAST FIRED (UTC)", |row: &ScheduleRow| {
                row.last_fired_at.map_or_else(|| "-".to_owned(), utc_text)
            }),
            output::number("MISSED", |row: &ScheduleRow| output::thousands(row.missed_run_count)),
            output::text("OVERLAP", |row: &ScheduleRow| row.overlap.clone()),
            output::text("MISSED RUNS", |row: &ScheduleRow| format!("{} within {}", row.missed_runs, row.catch_up)),
            output::text("FROM", |row: &ScheduleRow| row.origin.clone()),
            output::text("PAUSED", |row: &ScheduleRow| pause_text(row)),
        ],
    )?;
    Ok(Ending::Done)
}

/// Prints one schedule with its next due moments.
pub async fn show(cli: &Cli, db: &PgPool, name: &str, now: DateTime<Utc>) -> anyhow::Result<Ending> {
    const MOMENTS: usize = 5;
    let stored = super::find(&mut *db.acquire().await?, name).await?;
    let definition = stored.definition()?;
    let zone = definition.rhythm.time_zone();
    // A schedule that is paused or behind is shown as it will be, not as it was.
    let first = if stored.next_due_at > now { Some(stored.next_due_at) } else { definition.rhythm.next_after(now) };
    let moments: Vec<MomentRow> = std::iter::successors(first, |due_at| definition.rhythm.next_after(*due_at))
        .take(MOMENTS)
        .map(|due_at| MomentRow {
            due_at,
            due_local: local_text(due_at, zone),
            start_at: policy::fires_at(&definition, due_at),
        })
        .collect();
    let shown = row(stored);
    if cli.json {
        output::print_json(&json!({ "schedule": shown, "moments": moments }))?;
        return Ok(Ending::Done);
    }
    output::item(false, "schedule", &shown)?;
    output::print("")?;
    output::list(
        false,
        "moments",
        &moments,
        &[
            output::text("DUE", |row: &MomentRow| row.due_local.clone()),
            output::text("DUE (UTC)", |row: &MomentRow| utc_text(row.due_at)),
            output::text("STARTS (UTC)", |row: &MomentRow| utc_text(row.start_at)),
        ],
    )?;
    Ok(Ending::Done)
}

fn row(stored: Stored) -> ScheduleRow {
    let definition = stored.definition().ok();
    let next_start_at =
        definition.as_ref().map_or(stored.next_due_at, |schedule| policy::fires_at(schedule, stored.next_due_at));
    let zone: Tz = stored.time_zone.parse().unwrap_or(Tz::UTC);
    let seconds = |seconds: f64| duration_text(Duration::milliseconds((seconds * 1000.0) as i64));
    ScheduleRow {
        next_due_local: local_text(stored.next_due_at, zone),
        next_start_at,
        catch_up: seconds(stored.catch_up_seconds),
        jitter: seconds(stored.jitter_seconds),
        schedule_name: stored.schedule_name,
        action: stored.action,
        marketplace: stored.marketplace,
        market: stored.market,
        cron: stored.cron_expression,
        time_zone: stored.time_zone,
        next_due_at: stored.next_due_at,
        last_fired_at: stored.last_fired_at,
        buffered_due_at: stored.buffered_due_at,
        missed_run_count: stored.missed_run_count,
        is_paused: stored.is_paused,
        pause_reason: stored.pause_reason,
        overlap: stored.overlap_policy,
        missed_runs: stored.missed_run_policy,
        keyword_tags: stored.keyword_tags,
        resources: stored.resources,
        request_budget: stored.request_budget,
        priority: stored.priority,
        origin: stored.origin,
    }
}

fn action_text(row: &ScheduleRow) -> String {
    match (&row.marketplace, &row.market) {
        (Some(marketplace), Some(market)) => format!("{} {marketplace} {market}", row.action),
        _ => row.action.clone(),
    }
}

fn pause_text(row: &ScheduleRow) -> String {
    match (row.is_paused, &row.pause_reason) {
        (false, _) => String::new(),
        (true, None) => "paused".to_owned(),
        (true, Some(reason)) => reason.clone(),
    }
}

fn utc_text(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn local_text(moment: DateTime<Utc>, zone: Tz) -> String {
    format!("{} {}", moment.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S"), zone.name())
}
