//! What a reader must know of the database beside the payload.

use digitallz_common::marketplace::Site;
use sqlx::PgConnection;

use crate::reading::{TrackedKeyword, TrackedKeywords};

/// Tells whether a payload was read before, or quarantined.
pub(crate) async fn is_read(connection: &mut PgConnection, raw_payload_id: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from raw.payload_readings where raw_payload_id = $1) as "exists!""#,
        raw_payload_id
    )
    .fetch_one(connection)
    .await
}

/// Returns every keyword of a market.
pub(crate) async fn tracked_keywords(
    connection: &mut PgConnection,
    site: &Site,
) -> Result<TrackedKeywords, sqlx::Error> {
    let rows = sqlx::query!(
        "select keyword_text, keyword_id, is_active from core.keywords where marketplace = $1 and market = $2",
        site.marketplace.name(),
        site.market,
    )
    .fetch_all(connection)
    .await?;
    let keywords = rows
        .into_iter()
        .map(|row| (row.keyword_text, TrackedKeyword { keyword_id: row.keyword_id, is_active: row.is_active }));
    Ok(keywords.collect())
}

/// Returns the body of the request that brought a payload.
pub(crate) async fn request_body(
    connection: &mut PgConnection,
    raw_payload_id: i64,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select request_body from raw.payloads where raw_payload_id = $1", raw_payload_id)
        .fetch_one(connection)
        .await
}

/// Returns a text without the one character that Postgres cannot store.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "")
}
