//! Reads one stored raw payload and writes what it says.

use std::io::Read;

use digitallz_common::failure::{self, Failure};
use digitallz_common::jobs::ProcessPayload;
use digitallz_common::marketplace::Subject;
use digitallz_common::queue::Attempt;
use digitallz_common::raw_payload::{self, RawPayload, RawPayloadError};
use tracing::{debug, warn};

use crate::marketplaces;
use crate::reading::{ReadError, Reading, TrackedKeywords};
use crate::{Context, READER_VERSION, store};

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
    let (payload, chunks) = raw_payload::open(&mut connection, job.raw_payload_id).await.map_err(load_failure)?;
    let tracked = match payload.resource.subject() {
        Subject::Keyword => TrackedKeywords::default(),
        Subject::Market => store::tracked_keywords(&mut connection, &payload.site).await?,
        Subject::KeywordBatch { .. } => {
            let request_body = store::request_body(&mut connection, payload.raw_payload_id).await?;
            store::tracked_keywords(&mut connection, &payload.site).await?.asked_in(request_body)
        }
    };
    let (payload, outcome) = match chunks {
        Some(chunks) => {
            let read = move |body: &mut dyn Read| {
                let outcome = marketplaces::read_passing(&payload, body, &tracked);
                (payload, outcome)
            };
            chunks.read(&mut connection, read).await.map_err(load_failure)?
        }
        None => think(payload, tracked).await?,
    };
    drop(connection);

    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    match &outcome {
        Ok(reading) => store::insert(&mut tx, &payload, reading, now).await?,
        Err(error) => {
            let reason = store::storable(&failure::chain(error));
            raw_payload::quarantine(&mut tx, payload.raw_payload_id, &reason, READER_VERSION, now).await?;
        }
    }
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    report(&payload, &outcome);
    Ok(())
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
async fn think(
    payload: RawPayload,
    tracked: TrackedKeywords,
) -> Result<(RawPayload, Result<Reading, ReadError>), Failure> {
    if payload.resource.subject() == Subject::Keyword {
        let outcome = marketplaces::read(&payload, &tracked);
        return Ok((payload, outcome));
    }
    tokio::task::spawn_blocking(move || {
        let outcome = marketplaces::read(&payload, &tracked);
        (payload, outcome)
    })
    .await
    .map_err(Failure::retry)
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
            "quarantined {} of {} rows of payload {raw_payload_id}",
            reading.quarantined_row_count(),
            reading.row_count
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
