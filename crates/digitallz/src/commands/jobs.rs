//! `digitallz jobs`: every job, what was tried, and what to do with those that were given up.

use chrono::{DateTime, Utc};
use digitallz_common::queue;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::cli::{Cli, JobSelection, JobState, JobsCommand};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

#[derive(Serialize)]
struct JobRow {
    job_id: Uuid,
    job_name: String,
    state: String,
    job_key: String,
    crawl_run_id: Option<Uuid>,
    attempts: i32,
    max_attempts: i32,
    snoozes: i32,
    run_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    last_cause: Option<String>,
}

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
    outcome: &'static str,
}

/// Lists, shows, retries or discards jobs.
pub async fn run(cli: &Cli, command: &JobsCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = match command {
        JobsCommand::List { state, run, limit } => list(cli, &session.db, *state, *run, *limit).await,
        JobsCommand::Show { job_id } => show(cli, &session.db, *job_id).await,
        JobsCommand::Retry(selection) => act(cli, &session.db, selection, Act::Retry).await,
        JobsCommand::Discard(selection) => act(cli, &session.db, selection, Act::Discard).await,
    };
    session.close().await?;
    result
}

async fn list(
    cli: &Cli,
    db: &PgPool,
    state: Option<JobState>,
    crawl_run_id: Option<Uuid>,
    limit: u32,
) -> anyhow::Result<Ending> {
    let state = state.map(|state| format!("{state:?}").to_lowercase());
    let rows = sqlx::query_as!(
        JobRow,
        r#"select job_id, job_name, state, job_key, crawl_run_id, attempts, max_attempts, snoozes, run_at, finished_at,
                  (select cause from ops.job_attempts tries where tries.job_id = jobs.job_id and cause is not null
                   order by try_number desc limit 1) as last_cause
           from ops.jobs jobs
           where ($1::text is null or state = $1) and ($2::uuid is null or crawl_run_id = $2)
           order by job_id desc
           limit $3"#,
        state,
        crawl_run_id,
        i64::from(limit)
    )
    .fetch_all(db)
    .await?;
    output::list(
        cli.json,
        "jobs",
        &rows,
        &[
            output::text("JOB", |row: &JobRow| row.job_id.to_string()),
            output::text("NAME", |row: &JobRow| row.job_name.clone()),
            output::text("STATE", |row: &JobRow| row.state.clone()),
            output::number("TRIES", |row: &JobRow| format!("{}/{}", row.attempts, row.max_attempts)),
            output::number("SNOOZES", |row: &JobRow| row.snoozes.to_string()),
            output::text("RUN AT", |row: &JobRow| row.run_at.format("%Y-%m-%d %H:%M:%S").to_string()),
            output::text("LAST CAUSE", |row: &JobRow| row.last_cause.clone().unwrap_or_default()),
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
    let job_ids = if selection.all_dead {
        sqlx::query_scalar!("select job_id from ops.dead_letters where resolution is null order by dead_letter_id")
            .fetch_all(db)
            .await?
    } else {
        selection.job_ids.clone()
    };
    let mut rows = Vec::with_capacity(job_ids.len());
    for job_id in job_ids {
        let outcome = if selection.dry_run {
            "would be changed"
        } else {
            let mut tx = db.begin().await?;
            let changed = match act {
                Act::Retry => queue::retry_now(&mut tx, job_id).await?,
                Act::Discard => queue::discard(&mut tx, job_id).await?,
            };
            tx.commit().await?;
            match (changed, act) {
                (true, Act::Retry) => "enqueued",
                (true, Act::Discard) => "discarded",
                (false, _) => "left alone: unknown, running or ended",
            }
        };
        rows.push(ActRow { job_id, outcome });
    }
    let is_partial = rows.iter().any(|row| row.outcome.starts_with("left alone"));
    output::list(
        cli.json,
        "jobs",
        &rows,
        &[
            output::text("JOB", |row: &ActRow| row.job_id.to_string()),
            output::text("OUTCOME", |row: &ActRow| row.outcome.to_owned()),
        ],
    )?;
    Ok(if is_partial { Ending::PartlyDone } else { Ending::Done })
}
