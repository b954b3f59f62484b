//! Reads one stored raw payload and writes what it says.

use digitallz_common::failure::{self, Failure};
use digitallz_common::jobs::ProcessPayload;
use digitallz_common::marketplace::Subject;
use digitallz_common::queue::Attempt;
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::raw_payload::{self, RawPayload, RawPayloadError};
use digitallz_common::source_contract::{self, SourceContract};
use sqlx::PgPool;
use tracing::{debug, warn};

use crate::drift::shape::Shape;
use crate::load::Read;
use crate::marketplaces;
use crate::reading::{ReadError, Reading, TrackedKeywords};
use crate::{Context, store};

/// A payload and what was found in it.
pub(crate) struct Found {
    pub(crate) payload: RawPayload,
    pub(crate) outcome: Result<Reading, ReadError>,
    pub(crate) shape: Shape,
}

impl Found {
    /// Lets go of the body, and keeps of an error what is stored of it.
    pub(crate) fn without_body(self) -> (RawPayload, Result<Reading, String>, Shape) {
        let payload = RawPayload { body: Vec::new(), ..self.payload };
        (payload, self.outcome.map_err(|error| store::storable(&failure::chain(&error))), self.shape)
    }
}

/// Reads a payload and hands everything it says to the loader, which ends the job in the same transaction.
///
/// A payload that cannot be read as a whole is quarantined: then the job is done, and the payload waits for a better
/// reader. Running it twice leaves what running it once leaves.
pub async fn run(ctx: &Context, attempt: &Attempt, job: ProcessPayload) -> Result<(), Failure> {
    let mut connection = ctx.db.acquire().await?;
    if store::is_read(&mut connection, job.raw_payload_id).await? {
        attempt.complete(&mut connection).await?;
        return Ok(());
    }
    drop(connection);
    let found = read(&ctx.db, &ctx.body_stores, job.raw_payload_id).await?;
    report(&found.payload, &found.outcome);
    let (payload, outcome, shape) = found.without_body();
    Ok(ctx.loader.load(Read { payload, outcome, shape, attempt: attempt.clone() }).await?)
}

/// Reads a stored payload under the contract of its source; what is wrong with what it says is no error here but an outcome.
pub(crate) async fn read(db: &PgPool, body_stores: &BodyStores, raw_payload_id: i64) -> Result<Found, LoadFailure> {
    let mut connection = db.acquire().await?;
    let (payload, passing) = raw_payload::open(&mut connection, body_stores, raw_payload_id).await?;
    let contract = source_contract::get(&mut connection, payload.site.marketplace, payload.resource).await?;
    let tracked = match payload.resource.subject() {
        Subject::Keyword => TrackedKeywords::default(),
        Subject::Market => store::tracked_keywords(&mut connection, &payload.site).await?,
        Subject::KeywordBatch { .. } => {
            let request_body = store::request_body(&mut connection, payload.raw_payload_id).await?;
            store::tracked_keywords(&mut connection, &payload.site).await?.asked_in(request_body)
        }
    };
    match passing {
        Some(passing) => {
            let read = move |body: &mut dyn std::io::Read| {
                let (outcome, shape) = marketplaces::read_passing(&payload, body, &tracked, &contract);
                Found { payload, outcome, shape }
            };
            Ok(passing.read(&mut connection, read).await?)
        }
        None => think(payload, tracked, contract).await,
    }
}

/// Why a stored payload could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The payload is not there, or damaged.
    #[error(transparent)]
    Payload(#[from] RawPayloadError),
    /// Its reader ended before it was done.
    #[error("the reader ended before it was done")]
    Reader(#[from] tokio::task::JoinError),
}

/// A database or an object store may come back; bytes that are gone or damaged do not.
impl From<LoadFailure> for Failure {
    fn from(failure: LoadFailure) -> Failure {
        match failure {
            LoadFailure::Payload(
                error @ (RawPayloadError::Database { source: sqlx::Error::RowNotFound, .. }
                | RawPayloadError::Damaged { .. }
                | RawPayloadError::Purged { .. }
                | RawPayloadError::TooLarge { .. }),
            ) => Failure::give_up(error),
            LoadFailure::Payload(error) => Failure::retry(error),
            LoadFailure::Database(_) | LoadFailure::Reader(_) => Failure::retry(failure),
        }
    }
}

/// Reads the payload; an answer about a whole market may hold millions of rows, so it is read off the async threads.
async fn think(payload: RawPayload, tracked: TrackedKeywords, contract: SourceContract) -> Result<Found, LoadFailure> {
    let is_small = payload.resource.subject() == Subject::Keyword;
    let read = move || {
        let (outcome, shape) = marketplaces::read(&payload, &tracked, &contract);
        Found { payload, outcome, shape }
    };
    if is_small {
        return Ok(read());
    }
    Ok(tokio::task::spawn_blocking(read).await?)
}

fn report(payload: &RawPayload, outcome: &Result<Reading, ReadError>) {
    let raw_payload_id = payload.raw_payload_id;
    let marketplace = payload.site.marketplace.name();
    let resource = payload.resource.name();
    match outcome {
        Ok(reading) if !reading.quarantined.is_empty() => warn!(
            raw_payload.id = raw_payload_id,
            marketplace,
            resource,
            quarantined_rows = reading.quarantined_row_count(),
            discarded_values = reading.discarded_value_count(),
            "quarantined {} of {} rows and {} values of payload {raw_payload_id}",
            reading.quarantined_row_count(),
            reading.row_count,
            reading.discarded_value_count(),
        ),
        Ok(reading) => debug!(
            raw_payload.id = raw_payload_id,
            marketplace,
            resource,
            rows = reading.row_count,
            "read payload {raw_payload_id}: {} rows",
            reading.row_count
        ),
        Err(error) => warn!(
            raw_payload.id = raw_payload_id, marketplace, resource, reason = %failure::chain(error),
            "quarantined payload {raw_payload_id}"
        ),
    }
}

#[cfg(test)]
#[path = "process_order_tests.rs"]
mod order_tests;
#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
