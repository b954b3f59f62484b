//! What listings gained between two samples of a keyword, computed by the database from what was read of both.

use chrono::{DateTime, Utc};
use digitallz_common::observation::Metric;
use sqlx::PgConnection;

use super::reread::TableChanges;
use super::rows::Table;
use crate::reading::{ListingReading, Reading};

/// The name under which changes of differences are told.
const NAME: &str = "core.keyword_observations, differences between samples";

/// Tells whether differences follow from a reading.
pub(super) fn follow_from(reading: &Reading) -> bool {
    let counts = |listing: &ListingReading| {
        listing.view_count.is_some() || listing.favorite_count.is_some() || listing.sold_count.is_some()
    };
    reading.listings.iter().any(counts)
}

/// Brings the differences up to date that end with some payloads, or begin with them, and tells how many changed.
///
/// Everything else must be written by then: workers that meet at a keyword wait here for one another, with all other locks in
/// their hands.
pub(super) async fn renew(
    tx: &mut PgConnection,
    raw_payload_ids: &[i64],
    now: DateTime<Utc>,
) -> Result<TableChanges, sqlx::Error> {
    let mut changes = TableChanges { table: NAME.to_owned(), ..TableChanges::default() };
    if raw_payload_ids.is_empty() {
        return Ok(changes);
    }
    let row = sqlx::query!(
        r#"select new_count as "new_count!", gone_count as "gone_count!" from core.renew_listing_differences($1, $2)"#,
        raw_payload_ids,
        now,
    )
    .fetch_one(tx)
    .await?;
    changes.new_count = row.new_count;
    changes.gone_count = row.gone_count;
    Ok(changes)
}

/// Returns what is true of those rows of a table that were read, and not computed here.
pub(super) fn is_read(table: &Table) -> String {
    match table.holds_differences {
        true => {
            format!("metric not in ({})", Metric::DIFFERENCES.map(|metric| format!("'{}'", metric.name())).join(", "))
        }
        false => "true".to_owned(),
    }
}
