//! The rows of keywords.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Keyword, NORMALIZATION_VERSION};
use crate::marketplace::Site;

/// Makes sure that a keyword is known and returns its identifier; the original text of the first writer is kept.
pub async fn ensure(
    connection: &mut PgConnection,
    site: &Site,
    keyword: &Keyword,
    original_text: &str,
    now: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    let inserted = sqlx::query_scalar!(
        "insert into core.keywords (marketplace, market, keyword_text, match_text, original_text, normalization_version,
             created_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (marketplace, market, keyword_text) do nothing
         returning keyword_id",
        site.marketplace.name(),
        site.market,
        keyword.as_str(),
        keyword.match_text(&site.market),
        original_text,
        NORMALIZATION_VERSION,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    match inserted {
        Some(keyword_id) => Ok(keyword_id),
        None => {
            sqlx::query_scalar!(
                "select keyword_id from core.keywords where marketplace = $1 and market = $2 and keyword_text = $3",
                site.marketplace.name(),
                site.market,
                keyword.as_str(),
            )
            .fetch_one(connection)
            .await
        }
    }
}

/// Returns the text to ask for about a keyword: its own, or that of the keyword it was merged into.
///
/// There is none for an unknown keyword, nor for one that a newer reading takes for none.
pub async fn text(connection: &mut PgConnection, keyword_id: i64) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!(
        "select named.keyword_text
         from core.keywords
         join core.keywords named on named.keyword_id = coalesce(keywords.merged_into_keyword_id, keywords.keyword_id)
         where keywords.keyword_id = $1 and named.unreadable_reason is null",
        keyword_id
    )
    .fetch_one(connection)
    .await
}

/// Returns the same of several keywords, in the order of their identifiers as given; those without are left out.
pub async fn texts(connection: &mut PgConnection, keyword_ids: &[i64]) -> Result<Vec<String>, sqlx::Error> {
    if keyword_ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "select named.keyword_text
         from core.keywords
         join core.keywords named on named.keyword_id = coalesce(keywords.merged_into_keyword_id, keywords.keyword_id)
         join unnest($1::bigint[]) with ordinality as wanted (keyword_id, place) on wanted.keyword_id = keywords.keyword_id
         where named.unreadable_reason is null
         order by place",
        keyword_ids
    )
    .fetch_all(connection)
    .await
}
