//! What the tables say, in one number each: equal exactly when they say the same, whenever and in whatever order it was read.
//!
//! Identifiers that the database gives out and times of ingestion differ from one reading to the next, so rows are compared
//! by natural keys: the request of their payload, the text of their keyword, the marketplace's name of their listing. A
//! hash is comparable between databases of the same schema.

use serde::Serialize;
use sqlx::PgConnection;

/// What one table says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableHash {
    /// Table with its schema.
    pub table_name: String,
    /// How many rows were hashed.
    pub row_count: i64,
    /// The hash, hexadecimal.
    pub content_hash: String,
}

/// Hashes every table that a reading fills, in the order of their names. The tables are read whole;
/// those without rows are left out.
pub async fn of_tables(connection: &mut PgConnection) -> Result<Vec<TableHash>, sqlx::Error> {
    sqlx::query_file_as!(TableHash, "src/content_hash.sql").fetch_all(connection).await
}
