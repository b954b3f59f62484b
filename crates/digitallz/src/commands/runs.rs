//! `digitallz runs`: crawl runs, the sums by which their accounts close, and what stops or awaits them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use digitallz_common::queue;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::cli::{Cli, RunsCommand};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::progress::Progress;
use crate::session::Session;

/// How often a waiting command looks at its run.
const LOOK: Duration = Duration::from_millis(500);

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
    /// Jobs, among those above, whose rows were pruned after their time.
    pub pruned_job_count: i64,
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
    state: String,
    trigger: String,
    schedule_name: Option<String>,
    scheduled_for: DateTime<Utc>,
    marketplace: String,
    market: String,
    keyword_count: Option<i32>,
    job_count: i64,
    done_job_count: i64,
    dead_job_count: i64,
    discarded_job_count: i64,
    open_job_count: i64,
    request_count: i64,
    payload_count: i64,
}

/// Requests to one operation that a run planned, and what it was permitted.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct OperationRequests {
    operation: String,
    planned: Option<i64>,
    open: i64,
    spent: i64,
    returned: i64,
    expired: i64,
}

/// Lists runs, shows the sums of one, cancels one or waits for it.
pub async fn run(cli: &Cli, command: &RunsCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = match command {
        RunsCommand::List { limit } => list(cli, &session.db, *limit).await,
        RunsCommand::Show { crawl_run_id } => show(cli, &session.db, *crawl_run_id).await,
        RunsCommand::Cancel { crawl_run_id, by, dry_run } => cancel(cli, &session, *crawl_run_id, by, *dry_run).await,
        RunsCommand::Wait { crawl_run_id, timeout } => wait(cli, &session.db, *crawl_run_id, *timeout).await,
    };
    session.close().await?;
    result
}

async fn list(cli: &Cli, db: &PgPool, limit: u32) -> anyhow::Result<Ending> {
    let rows = rows(db, i64::from(limit)).await?;
    output::list(
        cli.json,
        "runs",
        &rows,
        &[
            output::text("RUN", |row: &RunRow| row.crawl_run_id.to_string()),
            output::text("SITE", |row: &RunRow| format!("{} {}", row.marketplace, row.market)),
            output::text("FOR", |row: &RunRow| row.scheduled_for.format("%Y-%m-%d %H:%M").to_string()),
            output::text("TRIGGER", |row: &RunRow| row.schedule_name.clone().unwrap_or_else(|| row.trigger.clone())),
            output::text("STATE", |row: &RunRow| row.state.clone()),
            output::number("KEYWORDS", |row: &RunRow| {
                row.keyword_count.map_or("-".to_owned(), |count| count.to_string())
            }),
            output::number("JOBS", |row: &RunRow| row.job_count.to_string()),
            output::number("DONE", |row: &RunRow| row.done_job_count.to_string()),
            output::number("DEAD", |row: &RunRow| row.dead_job_count.to_string()),
            output::number("DISCARDED", |row: &RunRow| row.discarded_job_count.to_string()),
            output::number("OPEN", |row: &RunRow| row.open_job_count.to_string()),
            output::number("REQUESTS", |row: &RunRow| row.request_count.to_string()),
            output::number("PAYLOADS", |row: &RunRow| row.payload_count.to_string()),
        ],
    )?;
    Ok(Ending::Done)
}

async fn show(cli: &Cli, db: &PgPool, crawl_run_id: Option<Uuid>) -> anyhow::Result<Ending> {
    let sums = sums(db, crawl_run_id).await?;
    if let (Some(crawl_run_id), 0) = (crawl_run_id, sums.run_count) {
        return Err(no_such_run(crawl_run_id));
    }
    let requests = requests(db, crawl_run_id).await?;
    if cli.json {
        output::print_json(&json!({ "run": sums, "requests": requests }))?;
        return Ok(Ending::Done);
    }
    output::item(false, "run", &sums)?;
    if requests.is_empty() {
        return Ok(Ending::Done);
    }
    output::print("")?;
    output::list(
        false,
        "requests",
        &requests,
        &[
            output::text("OPERATION", |row: &OperationRequests| row.operation.clone()),
            output::number("PLANNED", |row: &OperationRequests| {
                row.planned.map_or("-".to_owned(), |count| count.to_string())
            }),
            output::number("SPENT", |row: &OperationRequests| row.spent.to_string()),
            output::number("EXPIRED", |row: &OperationRequests| row.expired.to_string()),
            output::number("RETURNED", |row: &OperationRequests| row.returned.to_string()),
            output::number("OPEN", |row: &OperationRequests| row.open.to_string()),
        ],
    )?;
    Ok(Ending::Done)
}

async fn cancel(
    cli: &Cli,
    session: &Session,
    crawl_run_id: Uuid,
    by: &str,
    is_dry_run: bool,
) -> anyhow::Result<Ending> {
    if by.trim().is_empty() {
        return Err(UserError::usage("--by names nobody", "say who cancels the run").into());
    }
    let discarded = if is_dry_run {
        waiting_question_count(&session.db, crawl_run_id).await?
    } else {
        let count = queue::cancel_run(&session.db, crawl_run_id, by.trim(), session.clock.now()).await?;
        count.map(|count| count as i64)
    };
    let Some(discarded_job_count) = discarded else { return Err(no_such_run(crawl_run_id)) };
    output::item(
        cli.json,
        "run",
        &json!({
            "crawl_run_id": crawl_run_id, "discarded_job_count": discarded_job_count, "is_dry_run": is_dry_run,
        }),
    )?;
    Ok(Ending::Done)
}

async fn wait(cli: &Cli, db: &PgPool, crawl_run_id: Uuid, timeout: Option<Duration>) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let mut progress = Progress::start("jobs", 1);
    let mut has_warned = false;
    let sums = loop {
        let sums = sums(db, Some(crawl_run_id)).await?;
        if sums.run_count == 0 {
            return Err(no_such_run(crawl_run_id));
        }
        let open = sums.open_job_count;
        progress.set((sums.job_count - open) as u64, sums.job_count as u64, &format!("{} dead", sums.dead_job_count));
        if open == 0 {
            break sums;
        }
        if timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
            progress.finish();
            output::item(cli.json, "run", &sums)?;
            eprintln!("{open} jobs of crawl run {crawl_run_id} are still open");
            eprintln!("  next: wait again, or look with `digitallz jobs list --run {crawl_run_id}`");
            return Ok(Ending::TryLater);
        }
        if !has_warned && queue::live_worker_count(db).await? == 0 {
            has_warned = true;
            eprintln!("note: no worker is running; start one with `digitallz run`");
        }
        tokio::time::sleep(LOOK).await;
    };
    progress.finish();
    output::item(cli.json, "run", &sums)?;
    for cause in dead_letter_causes(db, crawl_run_id).await? {
        eprintln!("dead letter: {cause}");
    }
    let is_whole = sums.dead_job_count == 0 && sums.discarded_job_count == 0;
    Ok(if is_whole { Ending::Done } else { Ending::PartlyDone })
}

fn no_such_run(crawl_run_id: Uuid) -> anyhow::Error {
    let next = "`digitallz runs list` shows the runs there are";
    UserError::new(format!("there is no crawl run {crawl_run_id}"), next).into()
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
        pruned_job_count: row.pruned_job_count,
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

/// Returns how many questions of a run wait; nothing when there is no such run.
async fn waiting_question_count(db: &PgPool, crawl_run_id: Uuid) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select (select count(*) from ops.jobs
                   where jobs.crawl_run_id = runs.crawl_run_id and state = 'ready'
                     and job_name in ('plan_crawl', 'fetch_page')) as "count!"
           from ops.crawl_runs runs where crawl_run_id = $1"#,
        crawl_run_id
    )
    .fetch_optional(db)
    .await
}

/// Returns the requests of one run, or of all, per operation: what was planned, and what became of the permits.
async fn requests(db: &PgPool, crawl_run_id: Option<Uuid>) -> Result<Vec<OperationRequests>, sqlx::Error> {
    let permits = sqlx::query!(
        r#"select operation as "operation!", state as "state!", sum(amount)::bigint as "amount!"
           from (
               select operation, state, count(*) as amount from ops.quota_permits
               where crawl_run_id is not null and ($1::uuid is null or crawl_run_id = $1)
               group by operation, state
               union all
               select operation, state, amount from ops.pruned_counts
               where counted = 'permits' and ($1::uuid is null or crawl_run_id = $1)
           ) permits
           group by operation, state"#,
        crawl_run_id
    )
    .fetch_all(db)
    .await?;
    let plans = sqlx::query_scalar!(
        r#"select planned_requests as "planned!" from ops.crawl_runs
           where planned_requests is not null and ($1::uuid is null or crawl_run_id = $1)"#,
        crawl_run_id
    )
    .fetch_all(db)
    .await?;
    let permits = permits.into_iter().map(|row| (row.operation, row.state, row.amount));
    Ok(requests_per_operation(permits, &plans))
}

fn requests_per_operation(
    permits: impl Iterator<Item = (String, String, i64)>,
    plans: &[Value],
) -> Vec<OperationRequests> {
    let mut by_operation: BTreeMap<String, OperationRequests> = BTreeMap::new();
    for (operation, state, amount) in permits {
        let row = by_operation.entry(operation).or_default();
        match state.as_str() {
            "open" => row.open += amount,
            "spent" => row.spent += amount,
            "returned" => row.returned += amount,
            _ => row.expired += amount,
        }
    }
    for (operation, planned) in plans.iter().filter_map(Value::as_object).flatten() {
        if let Some(planned) = planned.as_i64() {
            let row = by_operation.entry(operation.clone()).or_default();
            row.planned = Some(row.planned.unwrap_or(0) + planned);
        }
    }
    by_operation.into_iter().map(|(operation, row)| OperationRequests { operation, ..row }).collect()
}

/// Lists runs with their state: `cancelled`; `planned` while it waits for its questions to be enqueued; `open` while a job
/// of it waits or runs; `partly` when jobs of it were given up or discarded; else `done`.
async fn rows(db: &PgPool, limit: i64) -> Result<Vec<RunRow>, sqlx::Error> {
    sqlx::query_as!(
        RunRow,
        r#"select runs.crawl_run_id, runs.trigger, runs.schedule_name, runs.scheduled_for, runs.marketplace, runs.market,
                  runs.keyword_count,
                  case when runs.cancelled_at is not null then 'cancelled'
                       when runs.planned_at is null and jobs.open_count > 0 then 'planned'
                       when jobs.open_count > 0 then 'open'
                       when jobs.dead_count + jobs.discarded_count + pruned.discarded_count > 0 then 'partly'
                       else 'done' end as "state!",
                  jobs.job_count + pruned.job_count as "job_count!",
                  jobs.done_count + pruned.done_count as "done_job_count!",
                  jobs.dead_count as "dead_job_count!",
                  jobs.discarded_count + pruned.discarded_count as "discarded_job_count!",
                  jobs.open_count as "open_job_count!",
                  tries.request_count + pruned.request_count as "request_count!",
                  (select count(*) from raw.payloads where payloads.crawl_run_id = runs.crawl_run_id) as "payload_count!"
           from ops.crawl_runs runs
           cross join lateral (
               select count(*) as job_count,
                      count(*) filter (where state = 'done') as done_count,
                      count(*) filter (where state = 'dead') as dead_count,
                      count(*) filter (where state = 'discarded') as discarded_count,
                      count(*) filter (where state in ('ready', 'running')) as open_count
               from ops.jobs where jobs.crawl_run_id = runs.crawl_run_id
           ) jobs
           cross join lateral (
               select coalesce(sum(request_count), 0)::bigint as request_count
               from ops.job_attempts join ops.jobs using (job_id)
               where jobs.crawl_run_id = runs.crawl_run_id
           ) tries
           cross join lateral (
               select coalesce(sum(amount) filter (where counted = 'jobs'), 0)::bigint as job_count,
                      coalesce(sum(amount) filter (where counted = 'jobs' and state = 'done'), 0)::bigint as done_count,
                      coalesce(sum(amount) filter (where counted = 'jobs' and state = 'discarded'), 0)::bigint
                          as discarded_count,
                      coalesce(sum(amount) filter (where counted = 'requests'), 0)::bigint as request_count
               from ops.pruned_counts where pruned_counts.crawl_run_id = runs.crawl_run_id
           ) pruned
           order by runs.created_at desc, runs.crawl_run_id desc
           limit $1"#,
        limit
    )
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_shown_beside_the_plan() {
        let permits = [("createReport", "spent", 2), ("createReport", "returned", 1), ("getReport", "expired", 3)];
        let permits = permits.map(|(operation, state, amount)| (operation.to_owned(), state.to_owned(), amount));
        let plans = [json!({"createReport": 4}), json!({"createReport": 1, "searchCatalogItems": 7})];
        let rows = requests_per_operation(permits.into_iter(), &plans);
        let row = |operation: &str| rows.iter().find(|row| row.operation == operation).unwrap();
        assert_eq!((row("createReport").planned, row("createReport").spent), (Some(5), 2));
        assert_eq!(row("createReport").returned, 1);
        assert_eq!((row("getReport").planned, row("getReport").expired), (None, 3));
        assert_eq!((row("searchCatalogItems").planned, row("searchCatalogItems").spent), (Some(7), 0));
    }
}
