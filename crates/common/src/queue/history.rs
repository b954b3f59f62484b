//! What is forgotten of jobs: messages that were delivered, tries, jobs and permits that ended long ago.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::QueueError;

/// What was pruned, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Jobs that were done or discarded and that no payload names.
    pub job_count: u64,
    /// Tries of jobs that were done or discarded.
    pub attempt_count: u64,
    /// Messages of the queue library.
    pub message_count: u64,
    /// Workers of the queue library that have been silent for a day.
    pub worker_count: u64,
    /// Settled permits to send requests.
    pub permit_count: u64,
}

impl Pruned {
    /// Tells whether there was nothing to prune.
    pub fn is_empty(&self) -> bool {
        *self == Pruned::default()
    }

    fn add(&mut self, other: Pruned) {
        self.job_count += other.job_count;
        self.attempt_count += other.attempt_count;
        self.message_count += other.message_count;
        self.worker_count += other.worker_count;
        self.permit_count += other.permit_count;
    }
}

/// Prunes the history older than `retention`, by the clock of the database, until nothing is left to prune.
///
/// Each batch is a transaction of its own. Returns nothing when another process prunes at this moment.
pub async fn prune_history(pool: &PgPool, retention: Duration) -> Result<Option<Pruned>, QueueError> {
    const BATCH: i64 = 2000;
    /// Any number that nothing else locks.
    const LOCK: i64 = 0x6469_6769_7072_756e;
    let mut pruned = Pruned::default();
    loop {
        let mut tx = pool.begin().await?;
        let row = sqlx::query!(
            r#"select pg_try_advisory_xact_lock($1) as "is_locked!", now() - make_interval(secs => $2) as "older_than!""#,
            LOCK,
            retention.as_secs_f64(),
        )
        .fetch_one(&mut *tx)
        .await?;
        if !row.is_locked {
            return Ok((!pruned.is_empty()).then_some(pruned));
        }
        let batch = prune(&mut tx, row.older_than, BATCH).await?;
        tx.commit().await?;
        pruned.add(batch);
        if batch.is_empty() {
            return Ok(Some(pruned));
        }
    }
}

/// Prunes at most `limit` rows of each kind that ended before `older_than`, in the caller's transaction.
///
/// Kept are: jobs that wait, run or are dead; jobs that a stored payload names, because they tell where it came from. What
/// is pruned of a crawl run is added to `ops.pruned_counts`, so that its sums stay right.
pub async fn prune(connection: &mut PgConnection, older_than: DateTime<Utc>, limit: i64) -> Result<Pruned, QueueError> {
    Ok(Pruned {
        attempt_count: prune_attempts(connection, older_than, limit).await?,
        job_count: prune_jobs(connection, older_than, limit).await?,
        permit_count: prune_permits(connection, older_than, limit).await?,
        message_count: prune_messages(connection, limit).await?,
        worker_count: prune_workers(connection, limit).await?,
    })
}

async fn prune_attempts(
    connection: &mut PgConnection,
    older_than: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let count = sqlx::query_scalar!(
        r#"with old as (
               select job_id, try_number, crawl_run_id
               from ops.jobs join ops.job_attempts using (job_id)
               where jobs.state in ('done', 'discarded') and jobs.finished_at < $1
               limit $2
           ),
           gone as (
               delete from ops.job_attempts tries using old
               where tries.job_id = old.job_id and tries.try_number = old.try_number
               returning old.crawl_run_id, tries.request_count
           ),
           counted as (
               insert into ops.pruned_counts (crawl_run_id, counted, amount)
               select crawl_run_id, 'requests', sum(request_count) from gone
               where crawl_run_id is not null group by crawl_run_id
               on conflict (crawl_run_id, counted, operation, state)
               do update set amount = pruned_counts.amount + excluded.amount
           )
           select count(*) as "count!" from gone"#,
        older_than,
        limit,
    )
    .fetch_one(connection)
    .await?;
    Ok(count as u64)
}

async fn prune_jobs(connection: &mut PgConnection, older_than: DateTime<Utc>, limit: i64) -> Result<u64, sqlx::Error> {
    let count = sqlx::query_scalar!(
        r#"with old as (
               select job_id from ops.jobs jobs
               where state in ('done', 'discarded') and finished_at < $1
                 and not exists (select from raw.payloads where payloads.job_id = jobs.job_id)
                 and not exists (select from ops.job_attempts tries where tries.job_id = jobs.job_id)
               limit $2
           ),
           gone as (
               delete from ops.jobs jobs using old
               where jobs.job_id = old.job_id and jobs.state in ('done', 'discarded')
               returning jobs.crawl_run_id, jobs.state
           ),
           counted as (
               insert into ops.pruned_counts (crawl_run_id, counted, state, amount)
               select crawl_run_id, 'jobs', state, count(*) from gone
               where crawl_run_id is not null group by crawl_run_id, state
               on conflict (crawl_run_id, counted, operation, state)
               do update set amount = pruned_counts.amount + excluded.amount
           )
           select count(*) as "count!" from gone"#,
        older_than,
        limit,
    )
    .fetch_one(connection)
    .await?;
    Ok(count as u64)
}

async fn prune_permits(
    connection: &mut PgConnection,
    older_than: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let count = sqlx::query_scalar!(
        r#"with old as (
               select permit_id from ops.quota_permits where settled_at < $1 limit $2
           ),
           gone as (
               delete from ops.quota_permits permits using old
               where permits.permit_id = old.permit_id
               returning permits.crawl_run_id, permits.operation, permits.state
           ),
           counted as (
               insert into ops.pruned_counts (crawl_run_id, counted, operation, state, amount)
               select crawl_run_id, 'permits', operation, state, count(*)
               from gone join ops.crawl_runs using (crawl_run_id)
               group by crawl_run_id, operation, state
               on conflict (crawl_run_id, counted, operation, state)
               do update set amount = pruned_counts.amount + excluded.amount
           )
           select count(*) as "count!" from gone"#,
        older_than,
        limit,
    )
    .fetch_one(connection)
    .await?;
    Ok(count as u64)
}

/// Deletes messages that were delivered an hour ago, and those that wait for a job that ended or was delivered anew.
async fn prune_messages(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "with old as (
             select messages.id from apalis.jobs messages
             where case
                 when messages.status in ('Done', 'Killed') or (messages.status = 'Failed' and messages.attempts >= messages.max_attempts)
                     then messages.done_at < now() - interval '1 hour'
                 when messages.status in ('Pending', 'Failed')
                     then not exists (
                         select from ops.jobs
                         where jobs.job_id = split_part(messages.idempotency_key, ':', 1)::uuid
                           and jobs.delivery = split_part(messages.idempotency_key, ':', 2)::integer
                           and jobs.state in ('ready', 'running'))
                 else false end
             limit $1
             for update skip locked
         )
         delete from apalis.jobs messages using old where messages.id = old.id",
        limit
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes workers that have been silent for a day; one that still holds messages waits for them to be taken back.
async fn prune_workers(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "delete from apalis.workers
         where id in (
             select id from apalis.workers
             where greatest(last_seen, started_at) < now() - interval '1 day'
               and not exists (select from apalis.jobs where jobs.lock_by = workers.id)
             limit $1)",
        limit
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}
