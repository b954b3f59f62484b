//! Schema drift: how the answers of a source differ from those of the days before.
//!
//! Every payload leaves its shape behind when it is first read. Now and then the shapes of a day are added up and
//! compared with the days before; what differs is an event.

pub mod compare;
pub mod shape;
pub(crate) mod table;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::raw_payload::{self, RawPayloadError};
use digitallz_common::source_contract::KnownFields;
use sqlx::{Connection, PgConnection};
use tracing::warn;

use crate::marketplaces;
use shape::Shape;
use table::Day;
pub use table::{SchemaChange, changes};

/// Shapes that are added up in one transaction.
const BATCH: i64 = 500;

/// Stored answers that are looked at in full to learn which fields there are.
const LOOKED_AT_MAX: i64 = 200;

/// Keeps two processes from adding up the same shapes.
const LOCK: i64 = 0x6472_6966_7400;

/// Adds up the shapes that came since the last time, compares the days they belong to with those before, and raises what
/// differs. Returns how many changes are new.
pub async fn update(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let mut change_count = 0;
    loop {
        let mut tx = connection.begin().await?;
        sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).execute(&mut *tx).await?;
        let open = table::take_open(&mut tx, BATCH).await?;
        let is_last = (open.len() as i64) < BATCH;
        let mut sums: BTreeMap<Day, (Shape, i64)> = BTreeMap::new();
        for payload in open {
            let (sum, count) = sums.entry(payload.day).or_default();
            sum.merge(&payload.shape);
            *count += 1;
        }
        for (day, (sum, payload_count)) in sums {
            let mut shape = table::daily(&mut tx, &day).await?;
            shape.merge(&sum);
            table::write_daily(&mut tx, &day, &shape, payload_count).await?;
            change_count += raise(&mut tx, &day, &shape, now).await?;
        }
        tx.commit().await?;
        if is_last {
            return Ok(change_count);
        }
    }
}

/// Stores and tells what differs on a day.
async fn raise(
    connection: &mut PgConnection,
    day: &Day,
    shape: &Shape,
    now: DateTime<Utc>,
) -> Result<usize, sqlx::Error> {
    let before = table::days_before(connection, day).await?;
    let mut change_count = 0;
    for change in compare::compare(&before, shape) {
        if table::insert_change(connection, day, &change, now).await? {
            change_count += 1;
            let (kind, path) = (change.kind.name(), &change.path);
            warn!(
                marketplace = day.marketplace, market = day.market, resource = day.resource, day = %day.observed_on,
                kind, path, before = change.before, after = change.after,
                "schema drift: {path} of {} {} {}: {kind}", day.marketplace, day.market, day.resource
            );
        }
    }
    Ok(change_count)
}

/// Returns the fields a resource is known to have: those of all days, and of the latest answers every row.
///
/// To be called outside of transactions, because bodies may lie in an object store.
pub async fn known_fields(
    connection: &mut PgConnection,
    body_stores: &BodyStores,
    resource: Resource,
) -> Result<KnownFields, KnownFieldsError> {
    let mut known = table::known_fields(connection, resource).await?;
    let raw_payload_ids = sqlx::query_scalar!(
        "select raw_payload_id from raw.payloads join raw.payload_shapes using (raw_payload_id)
         where marketplace = $1 and resource = $2 and purged_at is null and body_size_bytes <= $4
         order by raw_payload_id desc limit $3",
        resource.marketplace().map(Marketplace::name),
        resource.name(),
        LOOKED_AT_MAX,
        raw_payload::MAX_HELD_BODY_BYTES as i64,
    )
    .fetch_all(&mut *connection)
    .await?;
    for raw_payload_id in raw_payload_ids {
        let payload = match raw_payload::get(connection, body_stores, raw_payload_id).await {
            Ok(payload) => payload,
            // It may be purged at any moment.
            Err(RawPayloadError::Purged { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        for (path, types) in marketplaces::shape_in_full(&payload).known_fields() {
            known.entry(path).or_default().extend(types);
        }
    }
    Ok(known)
}

/// Why it is not known which fields a resource has.
#[derive(Debug, thiserror::Error)]
pub enum KnownFieldsError {
    /// The database failed.
    #[error("failed to load the shapes of earlier answers")]
    Database(#[from] sqlx::Error),
    /// A stored answer could not be loaded.
    #[error("failed to look at an earlier answer")]
    Payload(#[from] RawPayloadError),
}
