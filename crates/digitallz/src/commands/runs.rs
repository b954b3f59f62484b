//! `digitallz runs`: crawl runs and the sums by which their accounts close.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::cli::{Cli, RunsCommand};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

/// The sums of one crawl run, or of all.
#[derive(Clone, Debug, Serialize)]
pub struct Sums {
    /// Crawl runs summed up.
    pub run_count: i64,
    /// Jobs of the runs.
    pub job_count: i64,
    /// Jobs that were done.
    pub done_job_count: i64,
    /// Jobs that were given up and wait for an operator.
    pub dead_job_count: i64,
    /// Jobs that an operator ended.
    pub discarded_job_count: i64,
    /// Jobs that wait or run.
    pub open_job_count: i64,
    /// Open dead letters; equal to the dead jobs.
    pub dead_letter_count: i64,
    /// Requests sent, tokens included.
    pub request_count: i64,
    /// Raw payloads stored.
    pub payload_count: i64,
    /// Payloads that were read.
    pub processed_payload_count: i64,
    /// Payloads that were set aside whole, with a reason.
    pub quarantined_payload_count: i64,
    /// Payloads that were not read yet.
    pub unread_payload_count: i64,
    /// Rows that were set aside while the rest of their payload was kept.
    pub quarantined_row_count: i64,
    /// Keyword observations.
    pub observation_count: i64,
    /// Keyword observations that name no payload or one that was not processed; always 0.
    pub observation_without_payload_count: i64,
    /// SERP entries.
    pub serp_entry_count: i64,
    /// True when every job ended, every dead job has its letter, every payload was processed or quarantined, and no
    /// observation lacks its payload.
    pub is_closed: bool,
}

#[derive(Serialize)]
struct RunRow {
    crawl_run_id: Uuid,
    trigger: String,
    schedule_name: Option<String>,
    scheduled_for: DateTime<Utc>,
    marketplace: String,
    market: String,
    keyword_count: Option<i32>,
    job_count: i64,
    done_job_count: i64,
    dead_job_count: i64,
    open_job_count: i64,
    payload_count: i64,
}

/// Lists runs, or shows the sums of one.
pub async fn run(cli: &Cli, command: &RunsCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    match command {
        RunsCommand::List { limit } => {
            let rows = list(&session.db, *limit).await?;
            session.close().await?;
            output::list(
                cli.json,
                "runs",
                &rows,
                &[
                    output::text("RUN", |row: &RunRow| row.crawl_run_id.to_string()),
                    output::text("SITE", |row: &RunRow| format!("{} {}", row.marketplace, row.market)),
                    output::text("FOR", |row: &RunRow| row.scheduled_for.format("%Y-%m-%d %H:%M").to_string()),
                    output::text("TRIGGER", |row: &RunRow| {
                        row.schedule_name.clone().unwrap_or_else(|| row.trigger.clone())
                    }),
                    output::number("KEYWORDS", |row: &RunRow| {
                        row.keyword_count.map_or("-".to_owned(), |count| count.to_string())
                    }),
                    output::number("JOBS", |row: &RunRow| row.job_count.to_string()),
                    output::number("DONE", |row: &RunRow| row.done_job_count.to_string()),
                    output::number("DEAD", |row: &RunRow| row.dead_job_count.to_string()),
                    output::number("OPEN", |row: &RunRow| row.open_job_count.to_string()),
                    output::number("PAYLOADS", |row: &RunRow| row.payload_count.to_string()),
                ],
            )?;
        }
        RunsCommand::Show { crawl_run_id } => {
            let sums = sums(&session.db, *crawl_run_id).await;
            session.close().await?;
            let sums = sums?;
            if let (Some(crawl_run_id), 0) = (crawl_run_id, sums.run_count) {
                return Err(UserError::new(
                    format!("there is no crawl run {crawl_run_id}"),
                    "`digitallz runs list` shows the runs there are",
                )
                .into());
            }
            output::item(cli.json, "run", &sums)?;
        }
    }
    Ok(Ending::Done)
}

/// Adds up one run, or all runs.
pub async fn sums(db: &PgPool, crawl_run_id: Option<Uuid>) -> Result<Sums, sqlx::Error> {
    let row = sqlx::query_file!("src/commands/runs_sums.sql", crawl_run_id).fetch_one(db).await?;
    Ok(Sums {
        run_count: row.run_count,
        job_count: row.job_count,
        done_job_count: row.done_job_count,
        dead_job_count: row.dead_job_count,
        discarded_job_count: row.discarded_job_count,
        open_job_count: row.open_job_count,
        dead_letter_count: row.dead_letter_count,
        request_count: row.request_count,
        payload_count: row.payload_count,
        processed_payload_count: row.processed_payload_count,
        quarantined_payload_count: row.quarantined_payload_count,
        unread_payload_count: row.unread_payload_count,
        quarantined_row_count: row.quarantined_row_count,
        observation_count: row.observation_count,
        observation_without_payload_count: row.observation_without_payload_count,
        serp_entry_count: row.serp_entry_count,
        is_closed: row.open_job_count == 0
            && row.job_count == row.done_job_count + row.dead_job_count + row.discarded_job_count
            && row.dead_letter_count == row.dead_job_count
            && row.unread_payload_count == 0
            && row.payload_count == row.processed_payload_count + row.quarantined_payload_count
            && row.observation_without_payload_count == 0,
    })
}

/// Returns why jobs of a run were given up, each cause once.
pub async fn dead_letter_causes(db: &PgPool, crawl_run_id: Uuid) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select distinct letters.cause from ops.dead_letters letters join ops.jobs using (job_id)
         where jobs.crawl_run_id = $1 and letters.resolution is null
         order by letters.cause limit 20",
        crawl_run_id
    )
    .fetch_all(db)
    .await
}

async fn list(db: &PgPool, limit: u32) -> Result<Vec<RunRow>, sqlx::Error> {
    sqlx::query_as!(
        RunRow,
        r#"select runs.crawl_run_id, runs.trigger, runs.schedule_name, runs.scheduled_for, runs.marketplace, runs.market,
                  runs.keyword_count, jobs.job_count as "job_count!", jobs.done_job_count as "done_job_count!",
                  jobs.dead_job_count as "dead_job_count!", jobs.open_job_count as "open_job_count!",
                  (select count(*) from raw.payloads where payloads.crawl_run_id = runs.crawl_run_id) as "payload_count!"
           from ops.crawl_runs runs
           cross join lateral (
               select count(*) as job_count,
                      count(*) filter (where state = 'done') as done_job_count,
                      count(*) filter (where state = 'dead') as dead_job_count,
                      count(*) filter (where state in ('ready', 'running')) as open_job_count
               from ops.jobs where jobs.crawl_run_id = runs.crawl_run_id
           ) jobs
           order by runs.created_at desc, runs.crawl_run_id desc
           limit $1"#,
        i64::from(limit)
    )
    .fetch_all(db)
    .await
}
