//! `digitallz jobs`: every job, what was tried, and what to do with those that were given up.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use digitallz_common::queue::{self, JobFilter, SelectedJob};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::ask;
use crate::cli::{Cli, JobFilterArgs, JobSelection, JobState, JobsCommand};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

#[derive(Serialize)]
struct AttemptRow {
    try_number: i32,
    worker_name: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    outcome: String,
    cause: Option<String>,
    request_count: i32,
}

/// What `retry` and `discard` do to a job.
#[derive(Clone, Copy)]
enum Act {
    Retry,
    Discard,
}

#[derive(Serialize)]
struct ActRow {
    job_id: Uuid,
    job_name: Option<String>,
    state: Option<String>,
    outcome: &'static str,
    last_cause: Option<String>,
}

/// Jobs changed in one transaction.
const BATCH: usize = 500;

/// Lists, shows, retries, discards or prunes jobs.
pub async fn run(cli: &Cli, command: &JobsCommand) -> anyhow::Result<Ending> {
    if let JobsCommand::Retry(selection) | JobsCommand::Discard(selection) = command
        && selection.job_ids.is_empty()
        && !selection.all_dead
        && selection.filter.is_empty()
    {
        let next = "name jobs by their identifiers, choose them by filters such as --run or --cause, or use --all-dead";
        return Err(UserError::usage("no job is chosen", next).into());
    }
    let session = Session::open(cli).await?;
    let result = match command {
        JobsCommand::List { filter, limit } => list(cli, &session.db, filter, *limit).await,
        JobsCommand::Show { job_id } => show(cli, &session.db, *job_id).await,
        JobsCommand::Retry(selection) => act(cli, &session.db, selection, Act::Retry).await,
        JobsCommand::Discard(selection) => act(cli, &session.db, selection, Act::Discard).await,
        JobsCommand::Prune { older_than, dry_run } => prune(cli, &session, *older_than, *dry_run).await,
    };
    session.close().await?;
    result
}

async fn list(cli: &Cli, db: &PgPool, filter: &JobFilterArgs, limit: u32) -> anyhow::Result<Ending> {
    let mut connection = db.acquire().await?;
    let rows = queue::select_jobs(&mut connection, &job_filter(filter), i64::from(limit)).await?;
    output::list(
        cli.json,
        "jobs",
        &rows,
        &[
            output::text("JOB", |row: &SelectedJob| row.job_id.to_string()),
            output::text("NAME", |row: &SelectedJob| row.job_name.clone()),
            output::text("STATE", |row: &SelectedJob| row.state.clone()),
            output::number("TRIES", |row: &SelectedJob| format!("{}/{}", row.attempts, row.max_attempts)),
            output::number("SNOOZES", |row: &SelectedJob| row.snoozes.to_string()),
            output::text("RUN AT", |row: &SelectedJob| row.run_at.format("%Y-%m-%d %H:%M:%S").to_string()),
            output::text("LAST CAUSE", |row: &SelectedJob| row.last_cause.clone().unwrap_or_default()),
        ],
    )?;
    Ok(Ending::Done)
}

async fn show(cli: &Cli, db: &PgPool, job_id: Uuid) -> anyhow::Result<Ending> {
    let job = sqlx::query!(
        r#"select job_name, state, job_key, message, crawl_run_id, priority, attempts, max_attempts, snoozes, run_at,
                  enqueued_at, finished_at
           from ops.jobs where job_id = $1"#,
        job_id
    )
    .fetch_optional(db)
    .await?;
    let Some(job) = job else {
        let next = "`digitallz jobs list` shows the jobs there are";
        return Err(UserError::new(format!("there is no job {job_id}"), next).into());
    };
    let attempts = sqlx::query_as!(
        AttemptRow,
        "select try_number, worker_name, started_at, finished_at, outcome, cause, request_count
         from ops.job_attempts where job_id = $1 order by try_number",
        job_id
    )
    .fetch_all(db)
    .await?;
    let shown = json!({
        "job_id": job_id, "job_name": job.job_name, "state": job.state, "job_key": job.job_key,
        "message": job.message, "crawl_run_id": job.crawl_run_id, "priority": job.priority,
        "attempts": job.attempts, "max_attempts": job.max_attempts, "snoozes": job.snoozes,
        "run_at": job.run_at, "enqueued_at": job.enqueued_at, "finished_at": job.finished_at,
    });
    if cli.json {
        output::print_json(&json!({ "job": shown, "attempts": attempts }))?;
        return Ok(Ending::Done);
    }
    output::item(false, "job", &shown)?;
    output::print("")?;
    output::list(
        false,
        "attempts",
        &attempts,
        &[
            output::number("TRY", |row: &AttemptRow| row.try_number.to_string()),
            output::text("STARTED", |row: &AttemptRow| row.started_at.format("%Y-%m-%d %H:%M:%S").to_string()),
            output::text("OUTCOME", |row: &AttemptRow| row.outcome.clone()),
            output::number("REQUESTS", |row: &AttemptRow| row.request_count.to_string()),
            output::text("CAUSE", |row: &AttemptRow| row.cause.clone().unwrap_or_default()),
        ],
    )?;
    Ok(Ending::Done)
}

async fn act(cli: &Cli, db: &PgPool, selection: &JobSelection, act: Act) -> anyhow::Result<Ending> {
    let chosen = choose(db, selection, act).await?;
    let mut changed = HashSet::new();
    if !selection.dry_run {
        let job_ids: Vec<Uuid> = chosen.iter().filter(|row| row.job_name.is_some()).map(|row| row.job_id).collect();
        if job_ids.len() > ask::UNASKED_MAX && !selection.yes {
            ask::before(&format!("{} jobs would be {}", job_ids.len(), act.done()))?;
        }
        for batch in job_ids.chunks(BATCH) {
            let mut tx = db.begin().await?;
            changed.extend(match act {
                Act::Retry => queue::retry_all(&mut tx, batch).await?,
                Act::Discard => queue::discard_all(&mut tx, batch).await?,
            });
            tx.commit().await?;
        }
    }
    let mut rows = chosen;
    for row in &mut rows {
        row.outcome = match (row.job_name.is_some(), selection.dry_run, changed.contains(&row.job_id), act) {
            (false, ..) => "left alone: there is no such job",
            (_, true, ..) => "would be changed",
            (_, _, true, Act::Retry) => "enqueued",
            (_, _, true, Act::Discard) => "discarded",
            (_, _, false, _) => "left alone: it runs, has ended, or its crawl run was cancelled",
        };
    }
    output::list(
        cli.json,
        "jobs",
        &rows,
        &[
            output::text("JOB", |row: &ActRow| row.job_id.to_string()),
            output::text("NAME", |row: &ActRow| row.job_name.clone().unwrap_or_default()),
            output::text("WAS", |row: &ActRow| row.state.clone().unwrap_or_default()),
            output::text("OUTCOME", |row: &ActRow| row.outcome.to_owned()),
            output::text("LAST CAUSE", |row: &ActRow| row.last_cause.clone().unwrap_or_default()),
        ],
    )?;
    let count = rows.iter().filter(|row| !row.outcome.starts_with("left alone")).count();
    if selection.dry_run {
        eprintln!("{count} jobs would be {}", act.done());
    } else {
        eprintln!("{count} jobs {}", act.done());
    }
    Ok(if count < rows.len() { Ending::PartlyDone } else { Ending::Done })
}

/// Finds the chosen jobs; one that was named and does not exist has no name.
async fn choose(db: &PgPool, selection: &JobSelection, act: Act) -> anyhow::Result<Vec<ActRow>> {
    let mut filter = job_filter(&selection.filter);
    if !selection.job_ids.is_empty() {
        filter.job_ids = Some(selection.job_ids.clone());
    } else if filter.states.is_none() {
        let states: &[&str] = match act {
            Act::Discard if !selection.all_dead => &["dead", "ready"],
            Act::Retry | Act::Discard => &["dead"],
        };
        filter.states = Some(states.iter().map(|state| (*state).to_owned()).collect());
    }
    let mut connection = db.acquire().await?;
    let limit = selection.limit.map_or(i64::MAX, i64::from);
    let found = queue::select_jobs(&mut connection, &filter, limit).await?;
    let known: HashSet<Uuid> = found.iter().map(|job| job.job_id).collect();
    let mut rows: Vec<ActRow> = found
        .into_iter()
        .map(|job| ActRow {
            job_id: job.job_id,
            job_name: Some(job.job_name),
            state: Some(job.state),
            outcome: "",
            last_cause: job.last_cause,
        })
        .collect();
    if selection.filter.is_empty() && selection.limit.is_none() {
        let unknown = selection.job_ids.iter().filter(|job_id| !known.contains(job_id));
        rows.extend(unknown.map(|job_id| ActRow {
            job_id: *job_id,
            job_name: None,
            state: None,
            outcome: "",
            last_cause: None,
        }));
    }
    Ok(rows)
}

impl Act {
    fn done(self) -> &'static str {
        match self {
            Act::Retry => "enqueued again",
            Act::Discard => "discarded",
        }
    }
}

fn job_filter(given: &JobFilterArgs) -> JobFilter {
    JobFilter {
        job_ids: None,
        states: given.state.map(|state| vec![state_name(state).to_owned()]),
        crawl_run_id: given.run,
        queue_name: given.queue.clone(),
        marketplace: given.marketplace.map(|marketplace| marketplace.name().to_owned()),
        resource: given.resource.map(|resource| resource.name().to_owned()),
        cause: given.cause.clone(),
        older_than: given.older_than,
    }
}

fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Ready => "ready",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Dead => "dead",
        JobState::Discarded => "discarded",
    }
}

async fn prune(cli: &Cli, session: &Session, older_than: Option<Duration>, is_dry_run: bool) -> anyhow::Result<Ending> {
    let retention = match older_than {
        Some(age) => age,
        None => session.environment.job_retention()?,
    };
    let pruned = if is_dry_run {
        let mut tx = session.db.begin().await?;
        let now = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut *tx).await?;
        // Pruned to the end and taken back: what would be deleted is counted by what deletes it.
        let pruned = queue::prune(&mut tx, now - retention, i64::MAX).await?;
        tx.rollback().await?;
        pruned
    } else {
        let Some(pruned) = queue::prune_history(&session.db, retention).await? else {
            eprintln!("another process is pruning; nothing was done");
            return Ok(Ending::TryLater);
        };
        pruned
    };
    output::item(cli.json, "pruned", &pruned)?;
    if is_dry_run {
        eprintln!("nothing was deleted: this is what would be");
    }
    Ok(Ending::Done)
}
