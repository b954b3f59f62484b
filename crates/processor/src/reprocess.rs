//! Reads stored payloads again with the reader of today, without network, and tells what that changes.
//!
//! Rows that differ are superseded and the new ones take their place; what was known before stays known as of then. A
//! reader that says the same changes nothing at all.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::raw_payload::RawPayload;
use serde::Serialize;
use sqlx::PgPool;

use crate::Context;
use crate::load::{Reread, replace};
use crate::process::{self, LoadFailure};
use crate::reading::Reading;

pub use crate::load::{Example, TableChanges};

/// Payloads in one transaction.
const BATCH_PAYLOADS: usize = 50;

/// Rows in one transaction after which no further payload is added.
const BATCH_ROWS: usize = 20_000;

/// Examples that a report shows at the most.
const EXAMPLES: usize = 20;

/// Which payloads to read again: those to which everything given applies.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these.
    pub raw_payload_ids: Option<Vec<i64>>,
    /// Only of this marketplace.
    pub marketplace: Option<Marketplace>,
    /// Only of this resource.
    pub resource: Option<Resource>,
    /// Only those that arrived at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those that this version of the reader read, or an older one.
    pub reader_version_max: Option<i16>,
}

/// What reading again changes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Changes {
    /// Payloads that were read again.
    pub payload_count: i64,
    /// Payloads among them whose rows differ, or that could be read and now cannot, or the other way about.
    pub changed_payload_count: i64,
    /// Payloads whose body is no longer kept, so that they stay as they are.
    pub purged_payload_count: i64,
    /// The tables.
    pub tables: Vec<TableChanges>,
    /// Some of the rows that differ.
    pub examples: Vec<Example>,
}

/// Why payloads could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum ReprocessError {
    /// The database failed.
    #[error("the database failed while payloads were read again")]
    Database(#[from] sqlx::Error),
    /// A stored payload is damaged.
    #[error("payload {raw_payload_id} cannot be read again")]
    Payload {
        /// The payload.
        raw_payload_id: i64,
        /// What is wrong with it.
        #[source]
        source: LoadFailure,
    },
}

/// Returns the payloads of a selection that were read before, the oldest first, and how many have no body any more.
pub async fn select(db: &PgPool, selection: &Selection) -> Result<(Vec<i64>, i64), sqlx::Error> {
    let rows = sqlx::query!(
        r#"select raw_payload_id, purged_at is not null as "is_purged!"
           from raw.payloads join raw.payload_readings using (raw_payload_id)
           where ($1::bigint[] is null or raw_payload_id = any($1))
             and ($2::text is null or marketplace = $2)
             and ($3::text is null or resource = $3)
             and ($4::timestamptz is null or fetched_at >= $4)
             and ($5::smallint is null or reader_version <= $5)
           order by raw_payload_id"#,
        selection.raw_payload_ids.as_deref(),
        selection.marketplace.map(Marketplace::name),
        selection.resource.map(Resource::name),
        selection.since,
        selection.reader_version_max,
    )
    .fetch_all(db)
    .await?;
    let purged = rows.iter().filter(|row| row.is_purged).count() as i64;
    Ok((rows.into_iter().filter(|row| !row.is_purged).map(|row| row.raw_payload_id).collect(), purged))
}

/// Reads payloads again and puts what differs in its place, or with `is_dry_run` only tells what would change.
///
/// `progress` is told after every batch how many payloads are done. Each batch is a transaction of its own: what was done
/// when this is cut off stays done, and doing it again changes nothing.
pub async fn run(
    ctx: &Context,
    raw_payload_ids: &[i64],
    is_dry_run: bool,
    mut progress: impl FnMut(usize),
) -> Result<Changes, ReprocessError> {
    let mut all = Changes::default();
    let mut rest = raw_payload_ids.iter();
    let mut done = 0;
    loop {
        let mut read = Vec::new();
        let mut row_count = 0;
        while read.len() < BATCH_PAYLOADS
            && row_count < BATCH_ROWS
            && let Some(raw_payload_id) = rest.next()
        {
            let found = process::read(&ctx.db, &ctx.body_stores, *raw_payload_id)
                .await
                .map_err(|source| ReprocessError::Payload { raw_payload_id: *raw_payload_id, source })?;
            let (payload, outcome, _) = found.without_body();
            row_count += outcome.as_ref().map_or(1, |reading| 1 + reading.observations.len() + reading.listings.len());
            read.push((payload, outcome));
        }
        if read.is_empty() {
            return Ok(all);
        }
        replace_batch(ctx, &read, is_dry_run, &mut all).await?;
        done += read.len();
        progress(done);
    }
}

async fn replace_batch(
    ctx: &Context,
    read: &[(RawPayload, Result<Reading, String>)],
    is_dry_run: bool,
    all: &mut Changes,
) -> Result<(), sqlx::Error> {
    let reread: Vec<Reread<'_>> = read.iter().map(|(payload, outcome)| Reread::new(payload, outcome)).collect();
    let mut tx = ctx.db.begin().await?;
    let replaced = replace(&mut tx, &reread, ctx.clock.now(), (EXAMPLES - all.examples.len()) as i64).await?;
    match is_dry_run {
        true => tx.rollback().await?,
        false => tx.commit().await?,
    }
    all.payload_count += read.len() as i64;
    all.changed_payload_count += replaced.changed_payload_count;
    all.examples.extend(replaced.examples);
    if all.tables.is_empty() {
        all.tables = replaced.tables;
    } else {
        all.tables.iter_mut().zip(&replaced.tables).for_each(|(sum, more)| sum.add(more));
    }
    Ok(())
}
