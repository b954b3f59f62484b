//! The months and quarters in which time series lie: made before their first row, dropped after their last.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Makes the partitions of all months from `first` to `last`, and of their quarters, that are not there yet.
///
/// That is a look into the catalogue most of the time. Where there is something to make, it is best called before the
/// transaction writes anything.
pub async fn make(connection: &mut PgConnection, first: DateTime<Utc>, last: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("select core.make_partitions($1, $2)", first, last).fetch_one(connection).await?;
    Ok(())
}

/// Drops the months that ended before a moment and are empty in all tables, and then such quarters; returns how many. One that
/// is in use stays.
pub async fn drop_empty(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<i32, sqlx::Error> {
    let dropped = sqlx::query_scalar!(r#"select core.drop_empty_partitions($1) as "dropped!""#, before);
    dropped.fetch_one(connection).await
}
