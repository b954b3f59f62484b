//! The months in which time series lie.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Makes the partitions of all months from `first` to `last` that are not there yet.
///
/// That is a look into the catalogue most of the time. Where there is something to make, it is best called before the
/// transaction writes anything.
pub async fn make(connection: &mut PgConnection, first: DateTime<Utc>, last: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("select core.make_partitions($1, $2)", first, last).fetch_one(connection).await?;
    Ok(())
}
