//! Writes readings into their tables: many payloads in one transaction, together with the ends of their jobs.
//!
//! A job hands its reading to the [`Loader`] of the process and waits. The loader takes what has gathered while it wrote
//! the batch before, within a bound of rows. Where a batch fails, each of its readings is loaded alone, so that one that
//! cannot be stored holds up no other.

mod batch;
mod copy;
mod differences;
mod listings;
mod reread;
mod rows;

use chrono::{DateTime, Utc};
use digitallz_common::clock::Clock;
use digitallz_common::failure::{self, Failure};
use digitallz_common::queue::{Attempt, QueueError};
use digitallz_common::raw_payload::RawPayload;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::drift::shape::Shape;
use crate::reading::Reading;

pub use reread::{Example, TableChanges};
pub(crate) use reread::{Reread, replace};

/// Readings that wait while a batch is being written; whoever reads faster waits.
const WAITING_READINGS: usize = 256;

/// Rows after which a batch takes no further reading.
const BATCH_ROWS: usize = 20_000;

/// A payload that was read, on its way into the tables.
#[derive(Debug)]
pub(crate) struct Read {
    /// The payload; its body is not needed any more.
    pub(crate) payload: RawPayload,
    /// What it says, or why nothing in it can be trusted.
    pub(crate) outcome: Result<Reading, String>,
    /// What its answer looks like, field by field.
    pub(crate) shape: Shape,
    /// The try of the job that read it.
    pub(crate) attempt: Attempt,
}

impl Read {
    /// Returns what it says, where it could be read.
    fn said(&self) -> Option<Said<'_>> {
        Some(Said { payload: &self.payload, reading: self.outcome.as_ref().ok()? })
    }

    fn row_count(&self) -> usize {
        let of_reading = |reading: &Reading| {
            reading.observations.len()
                + reading.listings.len()
                + reading.serp_entries.len()
                + reading.quarantined.len()
                + reading.sellers.len()
                + reading.categories.len()
        };
        1 + self.outcome.as_ref().map_or(0, of_reading)
    }
}

/// A payload that could be read, with what it says.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) payload: &'a RawPayload,
    pub(crate) reading: &'a Reading,
}

/// Why a reading was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The database failed.
    #[error("failed to store what a payload says")]
    Database(#[from] sqlx::Error),
    /// The queue failed, or another worker has taken the job over.
    #[error("failed to end the job of a payload")]
    Queue(#[from] QueueError),
    /// The process is ending.
    #[error("the loader has ended")]
    Ended,
}

/// A database may come back, and a job that was taken over is in good hands.
impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure::retry(error)
    }
}

type Answer = Result<(), LoadError>;

struct Waiting {
    read: Read,
    answer: oneshot::Sender<Answer>,
}

/// The one that writes, for all jobs of the process.
#[derive(Clone, Debug)]
pub struct Loader {
    sender: mpsc::Sender<Waiting>,
}

impl Loader {
    /// Starts a loader, which ends when nobody can hand it anything any more.
    pub fn start(db: PgPool, clock: Clock) -> Loader {
        let (sender, receiver) = mpsc::channel(WAITING_READINGS);
        tokio::spawn(serve(db, clock, receiver));
        Loader { sender }
    }

    /// Stores a reading and ends its job, both or neither.
    pub(crate) async fn load(&self, read: Read) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Waiting { read, answer }).await.map_err(|_| LoadError::Ended)?;
        answered.await.map_err(|_| LoadError::Ended)?
    }
}

async fn serve(db: PgPool, clock: Clock, mut receiver: mpsc::Receiver<Waiting>) {
    while let Some(first) = receiver.recv().await {
        let mut row_count = first.read.row_count();
        let mut batch = vec![first];
        while row_count < BATCH_ROWS
            && let Ok(next) = receiver.try_recv()
        {
            row_count += next.read.row_count();
            batch.push(next);
        }
        let (reads, answers): (Vec<Read>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.read, waiting.answer)).unzip();
        for (answer, outcome) in answers.into_iter().zip(load(&db, &reads, clock.now()).await) {
            // Whoever does not wait any more was stopped; what it had read is stored all the same, or fenced off.
            let _ = answer.send(outcome);
        }
    }
}

/// Stores readings together, and where that fails one by one.
async fn load(db: &PgPool, reads: &[Read], now: DateTime<Utc>) -> Vec<Answer> {
    match batch::store(db, reads, now).await {
        Ok(answers) => {
            debug!(payload_count = reads.len(), "loaded {} payloads", reads.len());
            return answers;
        }
        Err(problem) if reads.len() == 1 => return vec![Err(problem)],
        Err(problem) => warn!(
            payload_count = reads.len(), error = %failure::chain(&problem),
            "{} payloads could not be loaded together and are loaded one by one", reads.len()
        ),
    }
    let mut answers = Vec::with_capacity(reads.len());
    for read in reads {
        let alone = batch::store(db, std::slice::from_ref(read), now).await;
        answers.push(alone.and_then(|mut answers| answers.pop().unwrap_or(Ok(()))));
    }
    answers
}
