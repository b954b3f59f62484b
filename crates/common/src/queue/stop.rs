//! How others know that a worker lives, and how it stops: it takes no more jobs, waits for the running ones a while, and hands the
//! others back.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{Delivery, QueueError, deliver};

/// Why a try ended when its worker was stopped before its job was.
const CAUSE: &str = "its worker was stopped";

/// How long handing back may take when the database does not answer; what is not handed back is taken back later.
const HAND_BACK_PATIENCE: Duration = Duration::from_secs(3);

/// How workers are told to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    stop: CancellationToken,
    at_once: CancellationToken,
}

/// A token alone stops workers gracefully.
impl From<CancellationToken> for Shutdown {
    fn from(stop: CancellationToken) -> Shutdown {
        Shutdown { stop, at_once: CancellationToken::new() }
    }
}

impl Shutdown {
    /// Lets workers take no more jobs; running ones have as long as [`super::QueueConfig::drain`] says.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Lets workers stop without waiting for running jobs.
    pub fn stop_at_once(&self) {
        self.stop.cancel();
        self.at_once.cancel();
    }

    /// Tells whether workers were told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns when workers are told to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Returns when running jobs are not to be waited for any longer.
    pub(super) async fn ended(&self, drain: Duration) {
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = self.at_once.cancelled() => {}
        }
    }
}

/// The messages a worker has begun to work on; once it is closed, none is begun any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    keys: HashSet<String>,
}

impl Begun {
    /// Notes that a message is begun; false when the worker is stopping and must leave it alone.
    pub(super) fn begin(&self, key: &str) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_closed {
            state.keys.insert(key.to_owned());
        }
        !state.is_closed
    }

    /// Notes that a message needs the worker no more.
    pub(super) fn end(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys.remove(key);
    }

    /// Lets no further message begin and returns those that have.
    fn close(&self) -> Vec<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        state.keys.iter().cloned().collect()
    }
}

/// Returns the messages to the queue that a stopping worker has fetched and not begun.
pub(super) async fn return_buffered(pool: &PgPool, worker_name: &str, begun: &Begun) {
    let begun = begun.close();
    let returned = return_messages(pool, worker_name, &begun);
    match tokio::time::timeout(HAND_BACK_PATIENCE, returned).await {
        Ok(Ok(count)) => debug!(worker = worker_name, count, "returned {count} messages that were not begun"),
        Ok(Err(problem)) => debug!(worker = worker_name, error = %problem, "could not return messages"),
        Err(_) => debug!(worker = worker_name, "could not return messages in time"),
    }
}

/// Says again and again that a worker lives. The queue library does so too, but not while fetched messages wait for a
/// running job to end, nor while it drains: a worker with long jobs would be taken for dead.
pub(super) async fn stay_alive(pool: PgPool, every: Duration, worker_name: String) {
    let mut beat = tokio::time::interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let said =
            sqlx::query!("update apalis.workers set last_seen = now() where id = $1", worker_name).execute(&pool).await;
        if let Err(problem) = said {
            debug!(worker = worker_name, error = %problem, "could not say that the worker lives");
        }
    }
}

/// Ends what a worker leaves: its messages go back and everybody knows that it is gone. Where it was stopped before its
/// jobs were, their tries are closed uncounted and they are due at once. What fails here is taken back by other workers
/// after its silence.
pub(super) async fn leave(pool: &PgPool, worker_name: &str, was_stopped: bool) {
    let leaving = async {
        if was_stopped {
            hand_back_all(pool, worker_name).await?;
        }
        return_messages(pool, worker_name, &[]).await?;
        sqlx::query!("update apalis.workers set last_seen = 'epoch' where id = $1", worker_name).execute(pool).await?;
        Ok::<(), QueueError>(())
    };
    match tokio::time::timeout(HAND_BACK_PATIENCE, leaving).await {
        Ok(Ok(())) => debug!(worker = worker_name, "worker left"),
        Ok(Err(problem)) => {
            warn!(worker = worker_name, error = %crate::failure::chain(&problem), "a worker left without a farewell");
        }
        Err(_) => warn!(worker = worker_name, "a worker left without a farewell: the database did not answer"),
    }
}

async fn hand_back_all(pool: &PgPool, worker_name: &str) -> Result<(), QueueError> {
    let running = sqlx::query_scalar!(
        "select job_id from ops.job_attempts where worker_name = $1 and outcome = 'running'",
        worker_name
    )
    .fetch_all(pool)
    .await?;
    for job_id in running {
        if hand_back(pool, worker_name, job_id).await? {
            info!(job.id = %job_id, "job {job_id} goes back to the queue: {CAUSE}");
        }
    }
    Ok(())
}

/// Closes a try that was cut short, so that nothing late of it can commit, and makes its job due at once.
async fn hand_back(pool: &PgPool, worker_name: &str, job_id: Uuid) -> Result<bool, QueueError> {
    let mut tx = pool.begin().await?;
    // The try is locked before the job, as in `Attempt::complete`: of the two, one is first and the other changes nothing.
    let closed = sqlx::query!(
        "update ops.job_attempts set outcome = 'snooze', cause = $3, finished_at = now()
         where job_id = $1 and worker_name = $2 and outcome = 'running'",
        job_id,
        worker_name,
        CAUSE,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if closed == 0 {
        return Ok(false);
    }
    let row = sqlx::query!(
        "update ops.jobs
         set state = 'ready', delivery = delivery + 1, run_at = now(), attempts = attempts - 1, snoozes = snoozes + 1
         where job_id = $1 and state = 'running'
         returning delivery, queue_name, priority",
        job_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let delivery = Delivery { job_id, delivery: row.delivery };
    deliver(&mut tx, &[(delivery, row.priority)], &row.queue_name, Duration::ZERO).await?;
    tx.commit().await?;
    Ok(true)
}

/// Lets other workers fetch the messages that a worker holds, all but those named.
async fn return_messages(pool: &PgPool, worker_name: &str, but: &[String]) -> Result<u64, QueueError> {
    let returned = sqlx::query!(
        "update apalis.jobs set status = 'Pending', lock_by = null, lock_at = null
         where lock_by = $1 and status in ('Queued', 'Running') and idempotency_key <> all($2)",
        worker_name,
        but,
    )
    .execute(pool)
    .await?;
    Ok(returned.rows_affected())
}
