//! What listings gained between two samples of a keyword, computed by the database from what was read of both.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Resource;
use digitallz_common::observation::Metric;
use digitallz_common::raw_payload::RawPayload;
use sqlx::PgConnection;

use super::reread::TableChanges;
use super::rows::Table;

/// The name under which changes of differences are told.
const NAME: &str = "differences of listings";

/// Resources whose listings tell counts since they began. Sales of the last 90 days, which others tell, have no differences.
const RESOURCES: [Resource; 3] = [Resource::ListingSearch, Resource::ListingBatch, Resource::ItemDetails];

/// Brings the differences up to date that end with some payloads, or begin with them, and tells how many changed.
///
/// Everything else must be written by then: workers that meet at a keyword wait here for one another, with all other locks in
/// their hands.
pub(super) async fn renew(
    tx: &mut PgConnection,
    payloads: impl Iterator<Item = &RawPayload>,
    now: DateTime<Utc>,
) -> Result<TableChanges, sqlx::Error> {
    let mut changes = TableChanges { table: NAME.to_owned(), ..TableChanges::default() };
    let samples = payloads.filter(|payload| RESOURCES.contains(&payload.resource));
    let raw_payload_ids: Vec<i64> = samples.map(|payload| payload.raw_payload_id).collect();
    if raw_payload_ids.is_empty() {
        return Ok(changes);
    }
    let row = sqlx::query!(
        r#"select new_count as "new_count!", gone_count as "gone_count!" from core.renew_listing_differences($1, $2)"#,
        &raw_payload_ids,
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
