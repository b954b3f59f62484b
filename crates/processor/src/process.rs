//! Reads one stored raw payload and writes what it says.

use std::io::Read;

use chrono::{DateTime, Utc};
use digitallz_common::failure::{self, Failure};
use digitallz_common::jobs::ProcessPayload;
use digitallz_common::marketplace::Subject;
use digitallz_common::queue::Attempt;
use digitallz_common::raw_payload::{self, RawPayload, RawPayloadError};
use digitallz_common::source_contract::{self, SourceContract};
use sqlx::PgConnection;
use tracing::{debug, warn};

use crate::drift;
use crate::drift::shape::Shape;
use crate::marketplaces;
use crate::reading::{ReadError, Reading, TrackedKeywords};
use crate::{Context, READER_VERSION, store};

/// A payload and what was found in it.
pub(crate) struct Found {
    pub(crate) payload: RawPayload,
    pub(crate) outcome: Result<Reading, ReadError>,
    pub(crate) shape: Shape,
}

/// Reads a payload and writes everything it says in one transaction with the end of the job.
///
/// A payload that cannot be read as a whole is quarantined: then the job is done, and the payload waits for a better
/// reader. Running it twice leaves what running it once leaves.
pub async fn run(ctx: &Context, attempt: &Attempt, job: ProcessPayload) -> Result<(), Failure> {
    let mut connection = ctx.db.acquire().await?;
    if store::is_read(&mut connection, job.raw_payload_id).await? {
        attempt.complete(&mut connection).await?;
        return Ok(());
    }
    let found = read(&mut connection, job.raw_payload_id).await?;
    drop(connection);

    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    write(&mut tx, &found, now).await?;
    if !found.shape.is_empty() {
        drift::table::insert(&mut tx, found.payload.raw_payload_id, &found.shape).await?;
    }
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    report(&found.payload, &found.outcome);
    Ok(())
}

/// Reads a stored payload under the contract of its source.
pub(crate) async fn read(connection: &mut PgConnection, raw_payload_id: i64) -> Result<Found, Failure> {
    let (payload, chunks) = raw_payload::open(&mut *connection, raw_payload_id).await.map_err(load_failure)?;
    let contract = source_contract::get(&mut *connection, payload.site.marketplace, payload.resource).await?;
    let tracked = match payload.resource.subject() {
        Subject::Keyword => TrackedKeywords::default(),
        Subject::Market => store::tracked_keywords(connection, &payload.site).await?,
        Subject::KeywordBatch { .. } => {
            let request_body = store::request_body(connection, payload.raw_payload_id).await?;
            store::tracked_keywords(connection, &payload.site).await?.asked_in(request_body)
        }
    };
    match chunks {
        Some(chunks) => {
            let read = move |body: &mut dyn Read| {
                let (outcome, shape) = marketplaces::read_passing(&payload, body, &tracked, &contract);
                Found { payload, outcome, shape }
            };
            chunks.read(connection, read).await.map_err(load_failure)
        }
        None => think(payload, tracked, contract).await,
    }
}

/// Writes what was found in a payload, or why nothing was, unless that was written before.
pub(crate) async fn write(tx: &mut PgConnection, found: &Found, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    match &found.outcome {
        Ok(reading) => store::insert(tx, &found.payload, reading, now).await,
        Err(error) => {
            let reason = store::storable(&failure::chain(error));
            raw_payload::quarantine(tx, found.payload.raw_payload_id, &reason, READER_VERSION, now).await
        }
    }
}

/// A database may come back; bytes that are gone or damaged do not.
fn load_failure(error: RawPayloadError) -> Failure {
    match error {
        RawPayloadError::Database { source: sqlx::Error::RowNotFound, .. }
        | RawPayloadError::Damaged { .. }
        | RawPayloadError::Purged { .. }
        | RawPayloadError::InChunks { .. } => Failure::give_up(error),
        RawPayloadError::Database { .. } => Failure::retry(error),
    }
}

/// Reads the payload; an answer about a whole market may hold millions of rows, so it is read off the async threads.
async fn think(payload: RawPayload, tracked: TrackedKeywords, contract: SourceContract) -> Result<Found, Failure> {
    let is_small = payload.resource.subject() == Subject::Keyword;
    let read = move || {
        let (outcome, shape) = marketplaces::read(&payload, &tracked, &contract);
        Found { payload, outcome, shape }
    };
    if is_small {
        return Ok(read());
    }
    tokio::task::spawn_blocking(read).await.map_err(Failure::retry)
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
#[path = "process_tests.rs"]
mod tests;
