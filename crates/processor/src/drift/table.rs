//! Where shapes and changes are kept.

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::source_contract::KnownFields;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::compare::Change;
use super::shape::Shape;

/// Days with answers that a day is compared with.
const DAYS_BEFORE: i64 = 28;

/// A source and a day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day {
    pub(crate) marketplace: String,
    pub(crate) market: String,
    pub(crate) resource: String,
    pub(crate) observed_on: NaiveDate,
}

/// A payload's shape that is not part of its day's yet.
pub(crate) struct OpenShape {
    pub(crate) day: Day,
    pub(crate) shape: Shape,
}

/// A change as it is stored.
#[derive(Clone, Debug, Serialize)]
pub struct SchemaChange {
    /// Marketplace that answered.
    pub marketplace: String,
    /// Country site.
    pub market: String,
    /// Kind of data.
    pub resource: String,
    /// Day of the answers that differ.
    pub observed_on: NaiveDate,
    /// appeared, vanished, type_changed or nulls_moved.
    pub change_kind: String,
    /// The field.
    pub path: String,
    /// How it was.
    pub state_before: String,
    /// How it is.
    pub state_after: String,
    /// When it was found.
    pub detected_at: DateTime<Utc>,
}

/// Stores the shapes of payloads, unless they were stored before.
pub(crate) async fn insert(connection: &mut PgConnection, shapes: &[(i64, &Shape)]) -> Result<(), sqlx::Error> {
    if shapes.is_empty() {
        return Ok(());
    }
    let raw_payload_ids: Vec<i64> = shapes.iter().map(|(raw_payload_id, _)| *raw_payload_id).collect();
    let shapes: Vec<Json<&Shape>> = shapes.iter().map(|(_, shape)| Json(*shape)).collect();
    sqlx::query!(
        "insert into raw.payload_shapes (raw_payload_id, shape)
         select raw_payload_id, shape from unnest($1::bigint[], $2::jsonb[]) as given (raw_payload_id, shape)
         on conflict (raw_payload_id) do nothing",
        &raw_payload_ids,
        &shapes as &[Json<&Shape>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes shapes that are not part of their day's yet; whoever rolls back gives them back.
pub(crate) async fn take_open(connection: &mut PgConnection, limit: i64) -> Result<Vec<OpenShape>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select shapes.raw_payload_id, payloads.marketplace, payloads.market, payloads.resource,
                  (payloads.fetched_at at time zone 'utc')::date as "observed_on!", shapes.shape as "shape!: Json<Shape>"
           from raw.payload_shapes shapes
           join raw.payloads payloads using (raw_payload_id)
           where shapes.shape is not null
           order by shapes.raw_payload_id limit $1"#,
        limit
    )
    .fetch_all(&mut *connection)
    .await?;
    let raw_payload_ids: Vec<i64> = rows.iter().map(|row| row.raw_payload_id).collect();
    sqlx::query!("update raw.payload_shapes set shape = null where raw_payload_id = any($1)", &raw_payload_ids)
        .execute(connection)
        .await?;
    let open = rows.into_iter().map(|row| OpenShape {
        day: Day {
            marketplace: row.marketplace,
            market: row.market,
            resource: row.resource,
            observed_on: row.observed_on,
        },
        shape: row.shape.0,
    });
    Ok(open.collect())
}

/// Returns the shape of a day, as far as it is known.
pub(crate) async fn daily(connection: &mut PgConnection, day: &Day) -> Result<Shape, sqlx::Error> {
    let shape = sqlx::query_scalar!(
        r#"select shape as "shape: Json<Shape>" from raw.daily_shapes
           where marketplace = $1 and market = $2 and resource = $3 and observed_on = $4"#,
        day.marketplace,
        day.market,
        day.resource,
        day.observed_on,
    )
    .fetch_optional(connection)
    .await?;
    Ok(shape.map(|shape| shape.0).unwrap_or_default())
}

/// Returns the sum of the shapes of the days before.
pub(crate) async fn days_before(connection: &mut PgConnection, day: &Day) -> Result<Shape, sqlx::Error> {
    let shapes = sqlx::query_scalar!(
        r#"select shape as "shape: Json<Shape>" from raw.daily_shapes
           where marketplace = $1 and market = $2 and resource = $3 and observed_on < $4
           order by observed_on desc limit $5"#,
        day.marketplace,
        day.market,
        day.resource,
        day.observed_on,
        DAYS_BEFORE,
    )
    .fetch_all(connection)
    .await?;
    let mut sum = Shape::default();
    shapes.iter().for_each(|shape| sum.merge(&shape.0));
    Ok(sum)
}

/// Writes the shape of a day anew, with more payloads in it.
pub(crate) async fn write_daily(
    connection: &mut PgConnection,
    day: &Day,
    shape: &Shape,
    further_payload_count: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into raw.daily_shapes (marketplace, market, resource, observed_on, payload_count, shape)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (marketplace, market, resource, observed_on) do update
         set payload_count = daily_shapes.payload_count + excluded.payload_count, shape = excluded.shape",
        day.marketplace,
        day.market,
        day.resource,
        day.observed_on,
        further_payload_count,
        Json(shape) as Json<&Shape>,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a change; returns false when it was known.
pub(crate) async fn insert_change(
    connection: &mut PgConnection,
    day: &Day,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into ops.schema_changes (marketplace, market, resource, observed_on, change_kind, path, state_before,
             state_after, detected_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (marketplace, market, resource, observed_on, change_kind, path) do nothing",
        day.marketplace,
        day.market,
        day.resource,
        day.observed_on,
        change.kind.name(),
        change.path,
        change.before,
        change.after,
        now,
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(inserted > 0)
}

/// Returns the changes of a marketplace, or of all, since a day; the newest first.
pub async fn changes(
    connection: &mut PgConnection,
    marketplace: Option<Marketplace>,
    since: NaiveDate,
) -> Result<Vec<SchemaChange>, sqlx::Error> {
    sqlx::query_as!(
        SchemaChange,
        "select marketplace, market, resource, observed_on, change_kind, path, state_before, state_after, detected_at
         from ops.schema_changes
         where observed_on >= $1 and ($2::text is null or marketplace = $2)
         order by observed_on desc, marketplace, market, resource, path, change_kind",
        since,
        marketplace.map(Marketplace::name),
    )
    .fetch_all(connection)
    .await
}

/// Returns every field that was ever seen in the looked-at rows of a resource, over all markets.
pub(crate) async fn known_fields(
    connection: &mut PgConnection,
    resource: Resource,
) -> Result<KnownFields, sqlx::Error> {
    let shapes = sqlx::query_scalar!(
        r#"select shape as "shape: Json<Shape>" from raw.daily_shapes where marketplace = $1 and resource = $2"#,
        resource.marketplace().map(Marketplace::name),
        resource.name(),
    )
    .fetch_all(connection)
    .await?;
    let mut known = KnownFields::new();
    for shape in shapes {
        for (path, types) in shape.0.known_fields() {
            known.entry(path).or_default().extend(types);
        }
    }
    Ok(known)
}
