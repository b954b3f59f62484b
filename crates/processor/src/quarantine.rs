//! What is quarantined, whole payloads and rows: found by filters, read again, or discarded by a person.

use chrono::{DateTime, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::raw_payload::RawPayload;
use digitallz_common::raw_payload::stores::BodyStores;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::load::{Reread, replace};
use crate::process;
use crate::reading::Reading;

/// What is meant: everything to which all that is given applies.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    /// Of this marketplace.
    pub marketplace: Option<Marketplace>,
    /// Of this resource.
    pub resource: Option<Resource>,
    /// With this text in the reason, whatever the case.
    pub reason: Option<String>,
    /// Quarantined since then.
    pub since: Option<DateTime<Utc>>,
    /// Of this crawl run.
    pub crawl_run_id: Option<Uuid>,
    /// In one of these payloads.
    pub raw_payload_ids: Option<Vec<i64>>,
    /// Discarded by a person, instead of open.
    pub is_discarded: bool,
}

/// A payload, a row of one, or a value of a row, that is quarantined.
#[derive(Clone, Debug, Serialize)]
pub struct Quarantined {
    /// The payload.
    pub raw_payload_id: i64,
    /// payload, row or value.
    pub extent: String,
    /// Where in the payload, RFC 6901; empty for the whole of it.
    pub json_pointer: String,
    /// Marketplace that answered.
    pub marketplace: String,
    /// Country site.
    pub market: String,
    /// Kind of data.
    pub resource: String,
    /// The crawl run that asked.
    pub crawl_run_id: Uuid,
    /// Why it is quarantined.
    pub reason: String,
    /// Since when.
    pub quarantined_at: DateTime<Utc>,
    /// When a person discarded it; nothing while it is open.
    pub discarded_at: Option<DateTime<Utc>>,
    /// Who.
    pub discarded_by: Option<String>,
    /// Why.
    pub discard_reason: Option<String>,
}

/// What came of reading a payload again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Replayed {
    /// It could be read.
    Read {
        /// Rows it holds.
        row_count: i32,
        /// Rows of it that stay quarantined.
        quarantined_row_count: i32,
    },
    /// Nothing in it can be trusted still.
    Quarantined {
        /// Why.
        reason: String,
    },
    /// It cannot be read again, and is left as it is.
    LeftAlone {
        /// Why.
        reason: String,
    },
}

/// Finds what is quarantined, the latest first.
pub async fn select(
    connection: &mut PgConnection,
    filter: &QuarantineFilter,
    limit: i64,
) -> Result<Vec<Quarantined>, sqlx::Error> {
    sqlx::query_file_as!(
        Quarantined,
        "src/quarantine_select.sql",
        filter.marketplace.map(Marketplace::name),
        filter.resource.map(Resource::name),
        filter.reason,
        filter.since,
        filter.crawl_run_id,
        filter.raw_payload_ids.as_deref(),
        filter.is_discarded,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Reads a payload again with the current reader and contract, and writes what can be read of it now. A payload of which
/// nothing could be trusted any more keeps what was read of it. A dry run does the same and takes it back.
pub async fn replay(
    db: &PgPool,
    body_stores: &BodyStores,
    raw_payload_id: i64,
    is_dry_run: bool,
    now: DateTime<Utc>,
) -> Result<Replayed, Failure> {
    let found = match process::read(db, body_stores, raw_payload_id).await {
        Ok(found) => found,
        Err(failure) => match Failure::from(failure) {
            Failure::GiveUp { cause } => return Ok(Replayed::LeftAlone { reason: cause }),
            failure => return Err(failure),
        },
    };
    let (payload, outcome, _) = found.without_body();
    let mut tx = db.begin().await?;
    let replayed = write_again(&mut tx, &payload, &outcome, now).await?;
    if is_dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(replayed)
}

async fn write_again(
    tx: &mut PgConnection,
    payload: &RawPayload,
    outcome: &Result<Reading, String>,
    now: DateTime<Utc>,
) -> Result<Replayed, sqlx::Error> {
    let left_alone = |reason: &str| Ok(Replayed::LeftAlone { reason: reason.to_owned() });
    // Of two replays the second waits here for the first.
    let stored = sqlx::query!(
        "select outcome, reason, reader_version from raw.payload_readings where raw_payload_id = $1 for update",
        payload.raw_payload_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(stored) = stored else { return left_alone("it was not read yet") };
    let was_read = stored.outcome == "processed";
    // What the collector refused may look like an answer and not be one, such as the empty page of a blocked search.
    if !was_read && stored.reader_version == 0 {
        return left_alone(&format!("no reader refused it: {}", stored.reason.unwrap_or_default()));
    }
    if let (Err(reason), true) = (outcome, was_read) {
        return left_alone(&format!("it would be refused now: {reason}"));
    }
    replace(tx, &[Reread::new(payload, outcome)], now, 0).await?;
    Ok(match outcome {
        Ok(reading) => {
            Replayed::Read { row_count: reading.row_count, quarantined_row_count: reading.quarantined_row_count() }
        }
        Err(reason) => Replayed::Quarantined { reason: reason.clone() },
    })
}

/// Marks what is quarantined as not worth reading, and returns how many marks are new. The answers themselves stay for as
/// long as their source allows.
pub async fn discard(
    connection: &mut PgConnection,
    chosen: &[Quarantined],
    by: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let (payloads, parts): (Vec<&Quarantined>, Vec<&Quarantined>) =
        chosen.iter().partition(|one| one.extent == "payload");
    let payload_ids: Vec<i64> = payloads.iter().map(|one| one.raw_payload_id).collect();
    let marked_payloads = sqlx::query!(
        "update raw.payload_readings set discarded_at = $2, discarded_by = $3, discard_reason = $4
         where raw_payload_id = any($1) and outcome = 'quarantined' and discarded_at is null",
        &payload_ids,
        now,
        by,
        reason,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let part_ids: Vec<i64> = parts.iter().map(|one| one.raw_payload_id).collect();
    let json_pointers: Vec<String> = parts.iter().map(|one| one.json_pointer.clone()).collect();
    let marked_parts = sqlx::query!(
        "update raw.quarantined_rows rows set discarded_at = $3, discarded_by = $4, discard_reason = $5
         from unnest($1::bigint[], $2::text[]) as chosen (raw_payload_id, json_pointer)
         where rows.raw_payload_id = chosen.raw_payload_id and rows.json_pointer = chosen.json_pointer
           and rows.discarded_at is null",
        &part_ids,
        &json_pointers,
        now,
        by,
        reason,
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(marked_payloads + marked_parts)
}
