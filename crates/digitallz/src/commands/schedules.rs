//! `digitallz schedules`: what is due when, a file of schedules, pauses, and a run at once.

use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use digitallz_common::audit;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::cli::{Cli, ScheduleSelection, SchedulesCommand};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::scheduler::apply::{self, Applied, duration_text};
use crate::scheduler::policy;
use crate::scheduler::start::{self, Started, Trigger};
use crate::scheduler::table::{self, Stored};
use crate::scheduler::{SchedulerError, file};
use crate::session::Session;

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

#[derive(Serialize)]
struct OutcomeRow {
    schedule_name: String,
    outcome: &'static str,
}

/// Does what the command line says about schedules.
pub async fn run(cli: &Cli, command: &SchedulesCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let (db, now) = (&session.db, session.clock.now());
    let result = match command {
        SchedulesCommand::List => list(cli, db).await,
        SchedulesCommand::Show { name } => show(cli, db, name, now).await,
        SchedulesCommand::Apply { file, dry_run, prune, actor } => {
            apply_file(cli, db, file, *dry_run, *prune, &actor.by, now).await
        }
        SchedulesCommand::Pause { selection, reason, actor } => pause(cli, db, selection, reason, &actor.by, now).await,
        SchedulesCommand::Resume { selection, catch_up, actor } => {
            resume(cli, db, selection, *catch_up, &actor.by, now).await
        }
        SchedulesCommand::Trigger { name, actor } => trigger(cli, db, name, &actor.by, now).await,
    };
    session.close().await?;
    result
}

async fn list(cli: &Cli, db: &PgPool) -> anyhow::Result<Ending> {
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

async fn show(cli: &Cli, db: &PgPool, name: &str, now: DateTime<Utc>) -> anyhow::Result<Ending> {
    const MOMENTS: usize = 5;
    let stored = find(&mut *db.acquire().await?, name).await?;
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

async fn apply_file(
    cli: &Cli,
    db: &PgPool,
    path: &Path,
    is_dry_run: bool,
    prune: bool,
    actor: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<Ending> {
    let shown_path = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| UserError::new(format!("failed to read {shown_path}: {error}"), "check the path"))?;
    let entries = file::parse(&text)
        .map_err(|error| UserError::new(format!("{shown_path}, {error}"), "correct the file; nothing was changed"))?;
    if !is_dry_run {
        demo_mark::note_users_data(db).await?;
    }
    let mut tx = db.begin().await?;
    let applied = apply::apply(&mut tx, &entries, prune, actor, now).await?;
    let doubled = doubled_sites(&table::list(&mut tx, None).await?);
    if is_dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    for note in doubled {
        eprintln!("note: {note}");
    }
    if cli.json {
        output::print_json(&json!({
            "schedules": applied, "meta": { "count": applied.len(), "is_dry_run": is_dry_run },
        }))?;
        return Ok(Ending::Done);
    }
    for schedule in &applied {
        output::print(&applied_text(schedule))?;
    }
    if is_dry_run {
        eprintln!("dry run: nothing was changed");
    }
    Ok(Ending::Done)
}

async fn pause(
    cli: &Cli,
    db: &PgPool,
    selection: &ScheduleSelection,
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<Ending> {
    let mut tx = db.begin().await?;
    let mut rows = Vec::new();
    for stored in select(&mut tx, selection).await? {
        let name = stored.schedule_name;
        // A pause that is there already keeps its reason when all are paused.
        if stored.is_paused && selection.all {
            rows.push(OutcomeRow { schedule_name: name, outcome: "was paused already" });
            continue;
        }
        table::pause(&mut tx, &name, reason).await?;
        audit::record(&mut tx, now, actor, "pause_schedule", &name, json!({ "reason": reason })).await?;
        rows.push(OutcomeRow { schedule_name: name, outcome: "paused" });
    }
    tx.commit().await?;
    print_outcomes(cli, &rows)
}

async fn resume(
    cli: &Cli,
    db: &PgPool,
    selection: &ScheduleSelection,
    catch_up: bool,
    actor: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<Ending> {
    let mut tx = db.begin().await?;
    let mut rows = Vec::new();
    for stored in select(&mut tx, selection).await? {
        let name = &stored.schedule_name;
        let outcome = if stored.is_paused {
            table::resume(&mut tx, &stored, catch_up, now).await.map_err(unreadable)?;
            let detail = json!({ "catch_up": catch_up, "pause_reason": stored.pause_reason });
            audit::record(&mut tx, now, actor, "resume_schedule", name, detail).await?;
            "resumed"
        } else {
            "was not paused"
        };
        rows.push(OutcomeRow { schedule_name: stored.schedule_name, outcome });
    }
    tx.commit().await?;
    print_outcomes(cli, &rows)
}

async fn trigger(cli: &Cli, db: &PgPool, name: &str, actor: &str, now: DateTime<Utc>) -> anyhow::Result<Ending> {
    demo_mark::note_users_data(db).await?;
    let mut tx = db.begin().await?;
    let definition = find(&mut tx, name).await?.definition().map_err(unreadable)?;
    let started = start::start(&mut tx, &definition, now, Trigger::Operator, now).await?;
    audit::record(&mut tx, now, actor, "trigger_schedule", name, json!({ "started": started })).await?;
    tx.commit().await?;
    let Some(Started { job_id, crawl_run_id }) = started else {
        let next = "look at `digitallz jobs list`, then trigger it again";
        return Err(UserError::new(format!("schedule '{name}' started at this very moment already"), next).into());
    };
    let shown = json!({ "schedule_name": name, "job_id": job_id, "crawl_run_id": crawl_run_id });
    output::item(cli.json, "triggered", &shown)?;
    if digitallz_common::queue::live_worker_count(db).await? == 0 {
        eprintln!("note: no worker is running; start one with `digitallz run`");
    }
    Ok(Ending::Done)
}

async fn find(connection: &mut PgConnection, name: &str) -> anyhow::Result<Stored> {
    let next = "`digitallz schedules list` shows the schedules there are";
    let found = table::list(connection, Some(name)).await?.pop();
    Ok(found.ok_or_else(|| UserError::new(format!("there is no schedule '{name}'"), next))?)
}

/// Loads the chosen schedules and keeps schedulers from firing them until the transaction ends.
async fn select(connection: &mut PgConnection, selection: &ScheduleSelection) -> anyhow::Result<Vec<Stored>> {
    table::lock_all(connection).await?;
    if selection.all {
        return Ok(table::list(connection, None).await?);
    }
    let mut chosen = Vec::with_capacity(selection.names.len());
    for name in &selection.names {
        chosen.push(find(connection, name).await?);
    }
    Ok(chosen)
}

fn unreadable(error: SchedulerError) -> anyhow::Error {
    match error {
        SchedulerError::Malformed { .. } => {
            UserError::new(error.to_string(), "correct it in the file of schedules and apply that").into()
        }
        other => other.into(),
    }
}

fn print_outcomes(cli: &Cli, rows: &[OutcomeRow]) -> anyhow::Result<Ending> {
    output::list(
        cli.json,
        "schedules",
        rows,
        &[
            output::text("SCHEDULE", |row: &OutcomeRow| row.schedule_name.clone()),
            output::text("OUTCOME", |row: &OutcomeRow| row.outcome.to_owned()),
        ],
    )?;
    Ok(Ending::Done)
}

/// Tells of crawls that the settings made for sites that a file's schedules crawl too.
fn doubled_sites(stored: &[Stored]) -> Vec<String> {
    let is_crawl_of = |schedule: &&Stored, origin: &str| {
        schedule.origin == origin && schedule.action == "crawl" && !schedule.is_paused
    };
    let site = |schedule: &Stored| (schedule.marketplace.clone(), schedule.market.clone());
    let named: Vec<_> = stored.iter().filter(|schedule| is_crawl_of(schedule, "file")).map(site).collect();
    stored
        .iter()
        .filter(|schedule| is_crawl_of(schedule, "settings") && named.contains(&site(schedule)))
        .map(|schedule| {
            let name = &schedule.schedule_name;
            format!("schedule '{name}', made from the settings, crawls the same site; name it in the file or pause it")
        })
        .collect()
}

fn applied_text(applied: &Applied) -> String {
    let mut text = format!("{:9} {}", applied.outcome, applied.schedule);
    if applied.outcome == "changed" {
        for change in &applied.changes {
            text.push_str(&format!("\n            {}: {} -> {}", change.field, change.from, change.to));
        }
    }
    text
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
