//! The scheduler: due schedules become crawl runs, trainings, scorings and purges.
//!
//! Any number of schedulers may look at the same table. A due schedule is taken under a row lock, and its runs and jobs are
//! made in the transaction that moves the schedule on, so a moment fires once. A schedule only ever moves forward, so a clock
//! that goes back makes it wait. Which moments fire is decided by [`policy`], when they are due by [`rhythm`].

pub mod apply;
pub mod definition;
pub mod file;
pub mod policy;
pub mod rhythm;
pub mod start;
pub mod table;
pub mod timetable;

use chrono::{DateTime, Utc};
use digitallz_common::queue::QueueError;
use sqlx::PgPool;
use tracing::{error, info, warn};

use self::policy::OverlapPolicy;
use self::start::Trigger;

/// Why the scheduler could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The database failed.
    #[error("the scheduler's database failed")]
    Database(#[from] sqlx::Error),
    /// A job could not be enqueued.
    #[error("failed to enqueue a scheduled job")]
    Queue(#[from] QueueError),
    /// An entry of the table cannot be read.
    #[error("schedule '{schedule_name}' is malformed: {problem}")]
    Malformed {
        /// The entry.
        schedule_name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl SchedulerError {
    fn malformed(schedule_name: &str, problem: &(impl std::fmt::Display + ?Sized)) -> SchedulerError {
        SchedulerError::Malformed { schedule_name: schedule_name.to_owned(), problem: problem.to_string() }
    }

    fn never_due(schedule_name: &str) -> SchedulerError {
        SchedulerError::malformed(schedule_name, "it never falls due")
    }
}

/// Fires every schedule that is due and returns how many runs and jobs that started.
pub async fn tick(db: &PgPool, now: DateTime<Utc>) -> Result<usize, SchedulerError> {
    let names = table::due_names(&mut *db.acquire().await?, now).await?;
    let mut started = 0;
    for name in names {
        started += visit(db, &name, now).await?;
    }
    Ok(started)
}

/// Fires what is due of one schedule, unless another scheduler is at it.
async fn visit(db: &PgPool, name: &str, now: DateTime<Utc>) -> Result<usize, SchedulerError> {
    let mut tx = db.begin().await?;
    if !table::lock_due(&mut tx, name, now).await? {
        return Ok(0);
    }
    let Some(stored) = table::list(&mut tx, Some(name)).await?.pop() else { return Ok(0) };
    let schedule = match stored.definition() {
        Ok(schedule) => schedule,
        Err(problem) => {
            // One broken schedule must not hold up the others for ever.
            error!(schedule = name, "{problem}; the schedule is paused");
            table::pause(&mut tx, name, &problem.to_string()).await?;
            tx.commit().await?;
            return Ok(0);
        }
    };
    let look = policy::look(&schedule, stored.next_due_at, now);
    let is_previous_open = start::is_previous_open(&mut tx, &schedule).await?;
    // Nobody would look after the last moment of all again, so it does not wait.
    let overlap = if look.next_due_at.is_some() { schedule.overlap } else { OverlapPolicy::Allow };
    let settlement = policy::settle(overlap, &look.firing, stored.buffered_due_at, is_previous_open);
    let missed_count = look.missed_count + settlement.missed_count;
    if settlement.starting.is_empty() && settlement.buffered == stored.buffered_due_at && missed_count == 0 {
        return Ok(0);
    }

    let mut started = 0;
    for due_at in &settlement.starting {
        if start::start(&mut tx, &schedule, *due_at, Trigger::Due, now).await?.is_some() {
            info!(schedule = name, due_at = %due_at, "schedule {name} fired");
            started += 1;
        }
    }
    let next_due_at = look.next_due_at.unwrap_or(stored.next_due_at);
    table::move_on(&mut tx, name, next_due_at, &settlement, i64::try_from(missed_count).unwrap_or(i64::MAX)).await?;
    if look.next_due_at.is_none() {
        table::pause(&mut tx, name, "it never falls due again").await?;
    }
    tx.commit().await?;
    if missed_count > 0 {
        warn!(schedule = name, missed_count, is_previous_open, "schedule {name} passed over {missed_count} moments");
    }
    Ok(started)
}
