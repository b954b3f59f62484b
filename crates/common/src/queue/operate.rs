//! What an operator does to jobs: finds them, runs them again, ends them, cancels a crawl run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Delivery, QueueError, deliver};
use crate::jobs::Queue;

/// Which jobs are meant: those to which everything that is given applies.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// One of these identifiers.
    pub job_ids: Option<Vec<Uuid>>,
    /// One of these states.
    pub states: Option<Vec<String>>,
    /// Of this crawl run.
    pub crawl_run_id: Option<Uuid>,
    /// In this queue.
    pub queue_name: Option<String>,
    /// Of a crawl run on this marketplace.
    pub marketplace: Option<String>,
    /// About this resource.
    pub resource: Option<String>,
    /// With this text in the cause of its last failed try, whatever the case.
    pub cause: Option<String>,
    /// Enqueued so long ago.
    pub older_than: Option<Duration>,
}

/// A job as it is listed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SelectedJob {
    /// Identifier.
    pub job_id: Uuid,
    /// Kind of job.
    pub job_name: String,
    /// State.
    pub state: String,
    /// Queue that carries it.
    pub queue_name: String,
    /// Natural key.
    pub job_key: String,
    /// The crawl run it belongs to.
    pub crawl_run_id: Option<Uuid>,
    /// Jobs of a higher number run first.
    pub priority: i32,
    /// Tries so far that count.
    pub attempts: i32,
    /// Tries after which it is given up.
    pub max_attempts: i32,
    /// Times it was put off.
    pub snoozes: i32,
    /// Not to be run before this moment.
    pub run_at: DateTime<Utc>,
    /// When it was enqueued.
    pub enqueued_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why its last failed try failed.
    pub last_cause: Option<String>,
}

/// Lists jobs, the newest first, at most `limit`.
pub async fn select_jobs(
    connection: &mut PgConnection,
    filter: &JobFilter,
    limit: i64,
) -> Result<Vec<SelectedJob>, QueueError> {
    let rows = sqlx::query_as!(
        SelectedJob,
        r#"select job_id, job_name, state, queue_name, job_key, crawl_run_id, priority, attempts, max_attempts, snoozes,
                  run_at, enqueued_at, finished_at, last_failure.cause as "last_cause?"
           from ops.jobs jobs
           left join lateral (
               select cause from ops.job_attempts tries
               where tries.job_id = jobs.job_id and cause is not null
               order by try_number desc limit 1
           ) last_failure on true
           where ($1::uuid[] is null or job_id = any($1))
             and ($2::text[] is null or state = any($2))
             and ($3::uuid is null or crawl_run_id = $3)
             and ($4::text is null or queue_name = $4)
             and ($5::text is null or exists (
                 select from ops.crawl_runs runs where runs.crawl_run_id = jobs.crawl_run_id and marketplace = $5))
             and ($6::text is null or $6 = case job_name
                 when 'process_payload' then (
                     select resource from raw.payloads where raw_payload_id = (jobs.message ->> 'raw_payload_id')::bigint)
                 else jobs.message ->> 'resource' end)
             and ($7::text is null or strpos(lower(last_failure.cause), lower($7)) > 0)
             and ($8::double precision is null or enqueued_at < now() - make_interval(secs => $8))
           order by job_id desc
           limit $9"#,
        filter.job_ids.as_deref(),
        filter.states.as_deref(),
        filter.crawl_run_id,
        filter.queue_name,
        filter.marketplace,
        filter.resource,
        filter.cause,
        filter.older_than.map(|age| age.as_secs_f64()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Hands dead, discarded or waiting jobs to the queue again, at once and with all their tries, and returns which.
///
/// Jobs that run or are done are left alone, and so are questions of a cancelled crawl run.
pub async fn retry_all(connection: &mut PgConnection, job_ids: &[Uuid]) -> Result<Vec<Uuid>, QueueError> {
    let rows = sqlx::query!(
        "with chosen as (
             select job_id from ops.jobs jobs
             where job_id = any($1) and state in ('dead', 'discarded', 'ready')
               and (job_name not in ('plan_crawl', 'fetch_page') or not exists (
                   select from ops.crawl_runs runs
                   where runs.crawl_run_id = jobs.crawl_run_id and runs.cancelled_at is not null))
             order by job_id
             for update
         )
         update ops.jobs
         set state = 'ready', attempts = 0, delivery = delivery + 1, run_at = now(), finished_at = null
         from chosen where jobs.job_id = chosen.job_id
         returning jobs.job_id, delivery, queue_name, priority",
        job_ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let retried: Vec<Uuid> = rows.iter().map(|row| row.job_id).collect();
    resolve_dead_letters(connection, &retried, "retried").await?;
    for queue in Queue::ALL {
        let of_queue = rows.iter().filter(|row| row.queue_name == queue.name());
        let deliveries: Vec<(Delivery, i32)> =
            of_queue.map(|row| (Delivery { job_id: row.job_id, delivery: row.delivery }, row.priority)).collect();
        deliver(connection, &deliveries, queue.name(), Duration::ZERO).await?;
    }
    Ok(retried)
}

/// Ends dead or waiting jobs for good, and returns which. Jobs that run or ended are left alone.
pub async fn discard_all(connection: &mut PgConnection, job_ids: &[Uuid]) -> Result<Vec<Uuid>, QueueError> {
    let discarded = sqlx::query_scalar!(
        "with chosen as (
             select job_id from ops.jobs where job_id = any($1) and state in ('dead', 'ready') order by job_id for update
         )
         update ops.jobs set state = 'discarded', delivery = delivery + 1, finished_at = now()
         from chosen where jobs.job_id = chosen.job_id
         returning jobs.job_id",
        job_ids
    )
    .fetch_all(&mut *connection)
    .await?;
    resolve_dead_letters(connection, &discarded, "discarded").await?;
    Ok(discarded)
}

/// Hands one job to the queue again, as [`retry_all`]; false when it was left alone.
pub async fn retry_now(connection: &mut PgConnection, job_id: Uuid) -> Result<bool, QueueError> {
    Ok(!retry_all(connection, &[job_id]).await?.is_empty())
}

/// Ends one job for good, as [`discard_all`]; false when it was left alone.
pub async fn discard(connection: &mut PgConnection, job_id: Uuid) -> Result<bool, QueueError> {
    Ok(!discard_all(connection, &[job_id]).await?.is_empty())
}

/// Cancels a crawl run: its waiting questions are discarded and how many is returned; nothing when there is no such run.
///
/// Questions that are being asked are answered and followed by no other. Answers that are here are still read: they cost
/// quota, and the accounts of the run close.
pub async fn cancel_run(
    pool: &PgPool,
    crawl_run_id: Uuid,
    cancelled_by: &str,
    now: DateTime<Utc>,
) -> Result<Option<u64>, QueueError> {
    const BATCH: i64 = 1000;
    let mut tx = pool.begin().await?;
    let found =
        sqlx::query_scalar!("select cancelled_at from ops.crawl_runs where crawl_run_id = $1 for update", crawl_run_id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(cancelled_at) = found else { return Ok(None) };
    if cancelled_at.is_none() {
        sqlx::query!(
            "update ops.crawl_runs set cancelled_at = $2, cancelled_by = $3 where crawl_run_id = $1",
            crawl_run_id,
            now,
            cancelled_by,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "insert into ops.audit_events (happened_at, actor, action, subject) values ($1, $2, 'cancel_run', $3)",
            now,
            cancelled_by,
            crawl_run_id.to_string(),
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;

    // From here on no question of the run is enqueued or put off any more; what waits is ended in batches.
    let mut count = 0;
    loop {
        let mut tx = pool.begin().await?;
        let waiting = sqlx::query_scalar!(
            "select job_id from ops.jobs
             where crawl_run_id = $1 and job_name in ('plan_crawl', 'fetch_page') and state = 'ready'
             limit $2",
            crawl_run_id,
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        if waiting.is_empty() {
            return Ok(Some(count));
        }
        count += discard_all(&mut tx, &waiting).await?.len() as u64;
        tx.commit().await?;
    }
}

/// Ends a question of a cancelled crawl run.
pub(super) async fn end_cancelled(connection: &mut PgConnection, job_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.jobs set state = 'discarded', delivery = delivery + 1, finished_at = now() where job_id = $1",
        job_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn resolve_dead_letters(
    connection: &mut PgConnection,
    job_ids: &[Uuid],
    resolution: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.dead_letters set resolution = $2, resolved_at = now()
         where job_id = any($1) and resolution is null",
        job_ids,
        resolution,
    )
    .execute(connection)
    .await?;
    Ok(())
}
