//! The queue: apalis on Postgres carries jobs to workers; what happens to a job is decided and recorded in `ops.jobs`.
//!
//! This is the only file that names the queue library. apalis delivers a message at least once, takes the messages of a
//! dead worker back, and wakes idle workers. It does not space out retries, put work off, give work up or refuse
//! duplicates: those are done here, each in one transaction with the rows it concerns. The queue lives in real time, by
//! the database's clock, so that all processes agree; the time of the world is an argument of the jobs themselves.

mod history;
mod operate;
mod stop;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use apalis::prelude::{BackendExt, TaskBuilder, WorkerBuilder, WorkerBuilderExt};
use apalis_postgres::{Config, PostgresStorage};
use futures::FutureExt;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use crate::failure::Failure;
use crate::jobs::{Job, Queue};

pub use history::{Pruned, prune, prune_history};
pub use operate::{JobFilter, SelectedJob, cancel_run, discard, discard_all, retry_all, retry_now, select_jobs};
use stop::Begun;
pub use stop::Shutdown;

/// Priority of jobs that a person asked for, ahead of scheduled ones, which have 0.
pub const OPERATOR_PRIORITY: i32 = 10;

/// What the queue could not do.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database failed.
    #[error("the queue's database failed")]
    Database(#[from] sqlx::Error),
    /// The queue library failed.
    #[error("the queue library failed")]
    Library(#[from] apalis_postgres::Error),
    /// A message cannot be written or read.
    #[error("a job's message is malformed")]
    Message(#[from] serde_json::Error),
    /// Another worker has taken the job over meanwhile; this one's effects are rolled back.
    #[error("job {0} was taken over by another worker")]
    Fenced(Uuid),
    /// The worker is stopping and begins nothing any more.
    #[error("the worker is stopping")]
    Stopping,
}

/// A job whose worker was fenced off, or whose database failed, may be tried again.
impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Failure {
        Failure::retry(error)
    }
}

/// How the queue behaves in one process.
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// How often a worker says that it lives.
    pub heartbeat: Duration,
    /// After how many silent heartbeats a worker's jobs are taken back.
    pub missed_heartbeats: usize,
    /// How often an idle worker looks for due work when nothing wakes it.
    pub poll_interval: Duration,
    /// Delay before the second try; it doubles with each further one.
    pub retry_base: Duration,
    /// Longest delay between two tries.
    pub retry_cap: Duration,
    /// How long running jobs may go on after their worker was told to stop; then they go back to the queue.
    pub drain: Duration,
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            heartbeat: Duration::from_secs(5),
            missed_heartbeats: 3,
            poll_interval: Duration::from_millis(500),
            retry_base: Duration::from_secs(2),
            retry_cap: Duration::from_secs(900),
            drain: Duration::from_secs(25),
        }
    }
}

/// Makes the queue library's own tables, in its schema `apalis`.
pub async fn setup(pool: &PgPool) -> Result<(), QueueError> {
    PostgresStorage::setup(pool).await?;
    Ok(())
}

/// Enqueues a job in the caller's transaction and returns its identifier, or nothing when its key is known already or its
/// crawl run was cancelled.
pub async fn enqueue(connection: &mut PgConnection, job: &Job, priority: i32) -> Result<Option<Uuid>, QueueError> {
    let enqueued = enqueue_all(connection, std::slice::from_ref(job), priority).await?;
    Ok(enqueued.first().copied())
}

/// Enqueues many jobs in the caller's transaction and returns the identifiers of those that are new.
///
/// A job whose key is known already is left out, and so is a question to a marketplace whose crawl run was cancelled.
pub async fn enqueue_all(connection: &mut PgConnection, jobs: &[Job], priority: i32) -> Result<Vec<Uuid>, QueueError> {
    /// Keeps a statement's arguments within a few megabytes.
    const CHUNK: usize = 1000;
    let mut enqueued = Vec::with_capacity(jobs.len());
    for chunk in jobs.chunks(CHUNK) {
        let job_ids: Vec<Uuid> = chunk.iter().map(|_| Uuid::now_v7()).collect();
        let names: Vec<String> = chunk.iter().map(|job| job.name().to_owned()).collect();
        let queues: Vec<String> = chunk.iter().map(|job| job.queue().name().to_owned()).collect();
        let keys: Vec<String> = chunk.iter().map(Job::key).collect();
        let messages = chunk.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let runs: Vec<Option<Uuid>> = chunk.iter().map(Job::crawl_run_id).collect();
        let max_attempts: Vec<i32> = chunk.iter().map(Job::max_attempts).collect();
        let new = sqlx::query!(
            "insert into ops.jobs (job_id, job_name, queue_name, job_key, message, crawl_run_id, priority, state,
                 max_attempts, run_at, enqueued_at)
             select given.job_id, job_name, queue_name, job_key, message, given.crawl_run_id, $8, 'ready',
                    max_attempts, now(), now()
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::uuid[], $7::integer[])
                  as given (job_id, job_name, queue_name, job_key, message, crawl_run_id, max_attempts)
             where job_name not in ('plan_crawl', 'fetch_page')
                or not exists (select from ops.crawl_runs runs
                               where runs.crawl_run_id = given.crawl_run_id and runs.cancelled_at is not null)
             on conflict (job_key) do nothing
             returning job_id, queue_name",
            &job_ids,
            &names,
            &queues,
            &keys,
            &messages,
            &runs as &[Option<Uuid>],
            &max_attempts,
            priority,
        )
        .fetch_all(&mut *connection)
        .await?;
        for queue in Queue::ALL {
            let of_queue = new.iter().filter(|row| row.queue_name == queue.name());
            let deliveries: Vec<(Delivery, i32)> =
                of_queue.map(|row| (Delivery { job_id: row.job_id, delivery: 1 }, priority)).collect();
            deliver(connection, &deliveries, queue.name(), Duration::ZERO).await?;
        }
        enqueued.extend(new.into_iter().map(|row| row.job_id));
    }
    Ok(enqueued)
}

/// Returns how many workers, of all processes, gave a sign of life within the last quarter of a minute.
pub async fn live_worker_count(pool: &PgPool) -> Result<i64, QueueError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from apalis.workers where last_seen > now() - interval '15 seconds'"#
    )
    .fetch_one(pool)
    .await?;
    Ok(count)
}

/// The running try of a job, as the job's function sees it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The job.
    pub job_id: Uuid,
    /// Number of the try, from 1.
    pub try_number: i32,
    /// Priority, to be handed on to successors.
    pub priority: i32,
    request_count: Arc<AtomicI32>,
}

impl Attempt {
    /// Counts a request that was sent to a marketplace for the job's crawl run; tokens and looks at limits serve all runs.
    pub fn count_request(&self) {
        self.request_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the job as done in the transaction that holds its effects: both are committed, or neither.
    pub async fn complete(&self, connection: &mut PgConnection) -> Result<(), QueueError> {
        let ended = self.end(connection, "done", None).await?;
        if !ended {
            return Err(QueueError::Fenced(self.job_id));
        }
        sqlx::query!(
            "update ops.jobs set state = 'done', finished_at = now() where job_id = $1 and state = 'running'",
            self.job_id
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Closes the try; false when another worker has taken the job over.
    async fn end(
        &self,
        connection: &mut PgConnection,
        outcome: &str,
        cause: Option<&str>,
    ) -> Result<bool, sqlx::Error> {
        let changed = sqlx::query!(
            "update ops.job_attempts set outcome = $3, cause = $4, finished_at = now(), request_count = $5
             where job_id = $1 and try_number = $2 and outcome = 'running'",
            self.job_id,
            self.try_number,
            outcome,
            cause,
            self.request_count.load(Ordering::Relaxed),
        )
        .execute(connection)
        .await?
        .rows_affected();
        Ok(changed > 0)
    }
}

/// Ends jobs as done in the transaction that holds the effects of all of them, and returns those that were still theirs to
/// end; the others were taken over by another worker, and nothing of theirs may be committed.
pub async fn complete_all(connection: &mut PgConnection, attempts: &[&Attempt]) -> Result<HashSet<Uuid>, QueueError> {
    let mut attempts = attempts.to_vec();
    attempts.sort_unstable_by_key(|attempt| attempt.job_id);
    let job_ids: Vec<Uuid> = attempts.iter().map(|attempt| attempt.job_id).collect();
    let try_numbers: Vec<i32> = attempts.iter().map(|attempt| attempt.try_number).collect();
    let request_counts: Vec<i32> =
        attempts.iter().map(|attempt| attempt.request_count.load(Ordering::Relaxed)).collect();
    let ended = sqlx::query_scalar!(
        "with ended as (
             update ops.job_attempts attempts
             set outcome = 'done', finished_at = now(), request_count = given.request_count
             from unnest($1::uuid[], $2::integer[], $3::integer[]) as given (job_id, try_number, request_count)
             where attempts.job_id = given.job_id and attempts.try_number = given.try_number
               and attempts.outcome = 'running'
             returning attempts.job_id
         ), done as (
             update ops.jobs set state = 'done', finished_at = now()
             where job_id in (select job_id from ended) and state = 'running'
         )
         select job_id from ended",
        &job_ids,
        &try_numbers,
        &request_counts,
    )
    .fetch_all(connection)
    .await?;
    Ok(ended.into_iter().collect())
}

/// Serves a queue until `shutdown`: runs its jobs, at most `concurrency` at a time, and acts on their answers.
///
/// A worker that loses the database is started again until it is back. On shutdown, jobs that were fetched and not begun
/// go back to the queue at once; running ones have [`QueueConfig::drain`] to finish, then they go back too, uncounted and
/// fenced.
pub async fn work<Handler, Answer>(
    pool: PgPool,
    config: QueueConfig,
    queue: Queue,
    concurrency: usize,
    shutdown: impl Into<Shutdown>,
    handler: Handler,
) where
    Handler: Fn(Job, Attempt) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<(), Failure>> + Send + 'static,
{
    const RESTART_DELAY: Duration = Duration::from_secs(1);
    let shutdown = shutdown.into();
    while !shutdown.is_stopping() {
        let worker_name = format!("{}-{}", queue.name(), Uuid::now_v7().simple());
        let begun = Begun::default();
        let alive =
            AbortOnDropHandle::new(tokio::spawn(stop::stay_alive(pool.clone(), config.heartbeat, worker_name.clone())));
        let serving = serve(&pool, &config, queue, concurrency, &worker_name, &begun, &shutdown, handler.clone());
        // A task of its own can be left behind even while a job computes and does not yield.
        let mut serving = AbortOnDropHandle::new(tokio::spawn(serving));
        let ended = tokio::select! {
            biased;
            () = shutdown.stopping() => {
                drain(&pool, &config, &worker_name, &begun, &shutdown, &mut serving).await;
                serving.abort();
                drop(alive);
                stop::leave(&pool, &worker_name, true).await;
                return;
            }
            ended = &mut serving => ended,
        };
        drop(alive);
        // Its running jobs were dropped with it; a job that does this again and again must run out of tries.
        stop::leave(&pool, &worker_name, false).await;
        warn!(queue = queue.name(), result = ?ended, "worker ended, starting another");
        tokio::select! {
            () = tokio::time::sleep(RESTART_DELAY) => {}
            () = shutdown.stopping() => return,
        }
    }
}

/// Runs one worker of the queue library until it is told to stop or fails.
#[expect(clippy::too_many_arguments, reason = "what `work` is given, with the worker's name and memory")]
fn serve<Handler, Answer>(
    pool: &PgPool,
    config: &QueueConfig,
    queue: Queue,
    concurrency: usize,
    worker_name: &str,
    begun: &Begun,
    shutdown: &Shutdown,
    handler: Handler,
) -> impl Future<Output = Result<(), String>> + Send + use<Handler, Answer>
where
    Handler: Fn(Job, Attempt) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let storage = PostgresStorage::<Delivery>::new(pool)
        .with_config(
            Config::default()
                .queue(queue.name())
                .batch_size(concurrency.max(1))
                .heartbeat_interval(config.heartbeat)
                .missed_heartbeats(config.missed_heartbeats)
                .lock_tasks(false)
                .persist_results(false),
        )
        .with_pubsub()
        .poll_with_interval(config.poll_interval);
    let (pool, config, worker_name) = (pool.clone(), config.clone(), worker_name.to_owned());
    let (begun, stop) = (begun.clone(), shutdown.clone());
    let run = {
        let worker_name = worker_name.clone();
        move |delivery: Delivery| {
            let (pool, config, handler, worker_name, begun) =
                (pool.clone(), config.clone(), handler.clone(), worker_name.clone(), begun.clone());
            async move {
                let key = delivery.key();
                if !begun.begin(&key) {
                    return Err(QueueError::Stopping);
                }
                let result = attempt(&pool, &config, &worker_name, &delivery, handler).await;
                begun.end(&key);
                if let Err(cause) = &result {
                    // The message is not lost: the library hands a failed one out again.
                    error!(job.id = %delivery.job_id, error = %crate::failure::chain(cause), "failed to record a job");
                }
                result
            }
        }
    };
    let worker = WorkerBuilder::new(worker_name.as_str()).backend(storage).concurrency(concurrency.max(1)).build(run);
    async move {
        let stopping = async move {
            stop.stopping().await;
            Ok::<(), std::io::Error>(())
        };
        worker.run_until(stopping).await.map_err(|problem| problem.to_string())
    }
}

/// Waits for the last jobs of a worker that was told to stop, as long as they may take.
async fn drain<T>(
    pool: &PgPool,
    config: &QueueConfig,
    worker_name: &str,
    begun: &Begun,
    shutdown: &Shutdown,
    serving: &mut AbortOnDropHandle<T>,
) {
    let ended = shutdown.ended(config.drain);
    tokio::pin!(ended);
    stop::return_buffered(pool, worker_name, begun).await;
    tokio::select! {
        _ = &mut *serving => {}
        () = &mut ended => {}
    }
}

/// The message that the queue library carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Delivery {
    job_id: Uuid,
    delivery: i32,
}

impl Delivery {
    /// Names the message: a job is delivered once under each number.
    fn key(&self) -> String {
        format!("{}:{}", self.job_id, self.delivery)
    }
}

/// A job that was taken up, or the reason why it is not run.
enum TakenUp {
    Run(Job, Attempt),
    Skip,
}

async fn attempt<Handler, Answer>(
    pool: &PgPool,
    config: &QueueConfig,
    worker_name: &str,
    delivery: &Delivery,
    handler: Handler,
) -> Result<(), QueueError>
where
    Handler: Fn(Job, Attempt) -> Answer,
    Answer: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (job, attempt) = match take_up(pool, worker_name, delivery).await? {
        TakenUp::Run(job, attempt) => (job, attempt),
        TakenUp::Skip => return Ok(()),
    };
    let name = job.name();
    let answer = match std::panic::AssertUnwindSafe(handler(job, attempt.clone())).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => Err(Failure::Retry { cause: format!("the job panicked: {}", panic_text(&*panic)) }),
    };
    let settled = match answer {
        Ok(()) => finish(pool, &attempt).await,
        Err(failure) => settle_failure(pool, config, &attempt, name, failure).await,
    };
    match settled {
        Err(QueueError::Fenced(job_id)) => {
            info!(job.id = %job_id, job.name = name, "job {job_id} was taken over by another worker");
            Ok(())
        }
        other => other,
    }
}

/// Marks the job as running and opens a try, unless the message is outdated or the job has no try left.
async fn take_up(pool: &PgPool, worker_name: &str, delivery: &Delivery) -> Result<TakenUp, QueueError> {
    let mut tx = pool.begin().await?;
    let row = sqlx::query!(
        r#"select message, attempts, max_attempts, priority, state,
                  job_name in ('plan_crawl', 'fetch_page') and exists (
                      select from ops.crawl_runs runs
                      where runs.crawl_run_id = jobs.crawl_run_id and runs.cancelled_at is not null) as "is_cancelled!"
           from ops.jobs jobs
           where job_id = $1 and delivery = $2 and state in ('ready', 'running')
           for update"#,
        delivery.job_id,
        delivery.delivery,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(TakenUp::Skip) };

    // A try that still counts as running belongs to a worker that died: the queue library takes back only those.
    if row.state == "running" {
        sqlx::query!(
            "update ops.job_attempts set outcome = 'lost', finished_at = now() where job_id = $1 and outcome = 'running'",
            delivery.job_id
        )
        .execute(&mut *tx)
        .await?;
    }
    if row.is_cancelled {
        operate::end_cancelled(&mut tx, delivery.job_id).await?;
        tx.commit().await?;
        return Ok(TakenUp::Skip);
    }
    if row.attempts >= row.max_attempts {
        let cause = format!("its worker died during each of {} tries", row.attempts);
        bury(&mut tx, delivery.job_id, &cause).await?;
        tx.commit().await?;
        return Ok(TakenUp::Skip);
    }
    let job = match serde_json::from_value::<Job>(row.message) {
        Ok(job) => job,
        Err(problem) => {
            bury(&mut tx, delivery.job_id, &format!("its message cannot be read: {problem}")).await?;
            tx.commit().await?;
            return Ok(TakenUp::Skip);
        }
    };
    let try_number = sqlx::query_scalar!(
        r#"with job as (
               update ops.jobs set state = 'running', attempts = attempts + 1 where job_id = $1
           )
           insert into ops.job_attempts (job_id, try_number, worker_name, started_at, outcome)
           select $1, coalesce(max(try_number), 0) + 1, $2, now(), 'running'
           from ops.job_attempts where job_id = $1
           returning try_number"#,
        delivery.job_id,
        worker_name,
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    let attempt = Attempt {
        job_id: delivery.job_id,
        try_number,
        priority: row.priority,
        request_count: Arc::new(AtomicI32::new(0)),
    };
    Ok(TakenUp::Run(job, attempt))
}

/// Ends a job that answered well, unless its own transaction did so.
async fn finish(pool: &PgPool, attempt: &Attempt) -> Result<(), QueueError> {
    let state =
        sqlx::query_scalar!("select state from ops.jobs where job_id = $1", attempt.job_id).fetch_one(pool).await?;
    if state != "running" {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Acts on a failure: another try with a growing delay, a pause, or the dead letters.
async fn settle_failure(
    pool: &PgPool,
    config: &QueueConfig,
    attempt: &Attempt,
    job_name: &str,
    failure: Failure,
) -> Result<(), QueueError> {
    let mut tx = pool.begin().await?;
    let row = sqlx::query!(
        r#"select attempts, max_attempts, queue_name, delivery,
                  job_name in ('plan_crawl', 'fetch_page') and exists (
                      select from ops.crawl_runs runs
                      where runs.crawl_run_id = jobs.crawl_run_id and runs.cancelled_at is not null) as "is_cancelled!"
           from ops.jobs jobs where job_id = $1 for update"#,
        attempt.job_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let is_exhausted = row.attempts >= row.max_attempts;
    let (outcome, counted, delay) = match &failure {
        Failure::Retry { .. } if is_exhausted => ("dead", true, None),
        Failure::Retry { .. } => ("retry", true, Some(backoff(config, row.attempts))),
        Failure::Snooze { delay, .. } => ("snooze", false, Some(*delay)),
        Failure::GiveUp { .. } => ("dead", true, None),
    };
    if !attempt.end(&mut tx, outcome, Some(failure.cause())).await? {
        return Err(QueueError::Fenced(attempt.job_id));
    }
    match delay {
        Some(_) if row.is_cancelled => operate::end_cancelled(&mut tx, attempt.job_id).await?,
        None => {
            warn!(job.id = %attempt.job_id, job.name = job_name, cause = failure.cause(),
                "gave up job {}: {}", attempt.job_id, failure.cause());
            bury(&mut tx, attempt.job_id, failure.cause()).await?;
        }
        Some(delay) => {
            debug!(job.id = %attempt.job_id, job.name = job_name, outcome, delay_ms = delay.as_millis() as u64,
                cause = failure.cause(), "job {} will run again", attempt.job_id);
            sqlx::query!(
                "update ops.jobs
                 set state = 'ready', delivery = delivery + 1, run_at = now() + make_interval(secs => $2),
                     attempts = attempts - $3, snoozes = snoozes + $3
                 where job_id = $1",
                attempt.job_id,
                delay.as_secs_f64(),
                i32::from(!counted),
            )
            .execute(&mut *tx)
            .await?;
            let delivery = Delivery { job_id: attempt.job_id, delivery: row.delivery + 1 };
            deliver(&mut tx, &[(delivery, attempt.priority)], &row.queue_name, delay).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Hands messages with their priorities to the queue library, due after `delay`.
async fn deliver(
    connection: &mut PgConnection,
    deliveries: &[(Delivery, i32)],
    queue_name: &str,
    delay: Duration,
) -> Result<(), QueueError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let mut tasks = Vec::with_capacity(deliveries.len());
    for (delivery, priority) in deliveries {
        let mut task = TaskBuilder::new(serde_json::to_vec(delivery)?)
            .idempotency_key(delivery.key())
            .priority((*priority).max(0) as usize);
        if !delay.is_zero() {
            // The library keeps due times in whole seconds; waiting a little longer is right, waiting less is not.
            task = task.run_after(Duration::from_secs(delay.as_secs() + 1));
        }
        tasks.push(task.build());
    }
    apalis_postgres::queries::push_tasks(connection, queue_name, tasks).await?;
    Ok(())
}

/// Gives a job up and keeps it with its cause.
async fn bury(connection: &mut PgConnection, job_id: Uuid, cause: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update ops.jobs set state = 'dead', finished_at = now() where job_id = $1", job_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "insert into ops.dead_letters (job_id, cause, dead_at) values ($1, $2, now())
         on conflict (job_id) where resolution is null do nothing",
        job_id,
        cause
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the delay after the given number of counted tries: doubled each time, capped, half of it random.
fn backoff(config: &QueueConfig, attempts: i32) -> Duration {
    let doublings = attempts.clamp(1, 20) as u32 - 1;
    let full = config.retry_base.saturating_mul(2u32.saturating_pow(doublings)).min(config.retry_cap);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_stay_below_the_cap() {
        let config = QueueConfig {
            retry_base: Duration::from_secs(2),
            retry_cap: Duration::from_secs(60),
            ..QueueConfig::default()
        };
        for (attempts, full) in [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (30, 60)] {
            let delay = backoff(&config, attempts);
            assert!(
                delay >= Duration::from_secs(full) / 2 && delay <= Duration::from_secs(full),
                "{attempts}: {delay:?}"
            );
        }
    }
}
