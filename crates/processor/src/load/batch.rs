//! One transaction: the ends of the jobs, the readings, and every row they hold.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, Utc};
use digitallz_common::partitions;
use digitallz_common::queue::{self, QueueError};
use sqlx::{PgConnection, PgPool};

use super::differences;
use super::listings::Listings;
use super::rows::{self, Place};
use super::{Answer, LoadError, Read, Said};
use crate::READER_VERSION;
use crate::drift;
use crate::reading::{QuarantinedRow, Reading};
use crate::store::storable;

/// Stores readings and ends their jobs in one transaction; the answers come in the order of the readings.
///
/// The rows of the readings come first: of two workers with the same payload the second waits there for the first, and
/// then writes nothing.
pub(super) async fn store(db: &PgPool, reads: &[Read], now: DateTime<Utc>) -> Result<Vec<Answer>, LoadError> {
    let mut tx = db.begin().await?;
    let said: Vec<Said<'_>> = reads.iter().filter_map(Read::said).collect();
    make_partitions(&mut tx, &said).await?;
    let attempts = reads.iter().map(|read| &read.attempt).collect::<Vec<_>>();
    let ended = queue::complete_all(&mut tx, &attempts).await?;
    let ours: Vec<&Read> = reads.iter().filter(|read| ended.contains(&read.attempt.job_id)).collect();
    let new_ids = insert_readings(&mut tx, &ours, now).await?;
    let new: Vec<&Read> = ours.into_iter().filter(|read| new_ids.contains(&read.payload.raw_payload_id)).collect();
    let shaped = new.iter().filter(|read| !read.shape.is_empty());
    let shapes: Vec<_> = shaped.map(|read| (read.payload.raw_payload_id, &read.shape)).collect();
    drift::table::insert(&mut tx, &shapes).await?;
    let new: Vec<Said<'_>> = new.into_iter().filter_map(Read::said).collect();

    insert_quarantined_rows(&mut tx, &new, now).await?;
    let listing_ids = Listings::of(&new).merge(&mut tx).await?;
    rows::copy(&mut tx, &new, &listing_ids, now, Place::Core).await?;
    differences::renew(&mut tx, new.iter().map(|new| new.payload), now).await?;
    tx.commit().await?;

    let answer = |read: &Read| match ended.contains(&read.attempt.job_id) {
        true => Ok(()),
        false => Err(QueueError::Fenced(read.attempt.job_id).into()),
    };
    Ok(reads.iter().map(answer).collect())
}

/// Makes the partitions of every month that a row lies in, before anything is written.
pub(super) async fn make_partitions(tx: &mut PgConnection, said: &[Said<'_>]) -> Result<(), sqlx::Error> {
    let mut months = HashSet::new();
    for Said { payload, reading } in said {
        let observed = reading.observations.iter().map(|observation| observation.period.observed_at());
        for moment in observed.chain([payload.fetched_at]) {
            if months.insert((moment.year(), moment.month())) {
                partitions::make(tx, moment, moment).await?;
            }
        }
    }
    Ok(())
}

/// Returns the payloads that had no reading before.
async fn insert_readings(
    tx: &mut PgConnection,
    reads: &[&Read],
    now: DateTime<Utc>,
) -> Result<HashSet<i64>, sqlx::Error> {
    let readings = reads.iter().map(|read| read.outcome.as_ref().ok());
    let counts =
        |count: fn(&Reading) -> i32| readings.clone().map(|reading| reading.map_or(0, count)).collect::<Vec<_>>();
    let raw_payload_ids: Vec<i64> = reads.iter().map(|read| read.payload.raw_payload_id).collect();
    let reasons: Vec<Option<String>> = reads.iter().map(|read| read.outcome.as_ref().err().cloned()).collect();
    let inserted = sqlx::query_scalar!(
        "insert into raw.payload_readings (raw_payload_id, outcome, reason, reader_version, row_count, observation_count,
             listing_count, serp_entry_count, quarantined_row_count, untracked_row_count, missing_row_count, read_at)
         select raw_payload_id, case when reason is null then 'processed' else 'quarantined' end, reason, $10, row_count,
                observation_count, listing_count, serp_entry_count, quarantined_row_count, untracked_row_count,
                missing_row_count, $11
         from unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
                     $8::integer[], $9::integer[])
              as given (raw_payload_id, reason, row_count, observation_count, listing_count, serp_entry_count,
                        quarantined_row_count, untracked_row_count, missing_row_count)
         order by raw_payload_id
         on conflict (raw_payload_id) do nothing
         returning raw_payload_id",
        &raw_payload_ids,
        &reasons as &[Option<String>],
        &counts(|reading| reading.row_count),
        &counts(|reading| reading.observations.len() as i32),
        &counts(|reading| reading.listings.len() as i32),
        &counts(|reading| reading.serp_entries.len() as i32),
        &counts(Reading::quarantined_row_count),
        &counts(|reading| reading.untracked_row_count),
        &counts(|reading| reading.missing_row_count),
        READER_VERSION,
        now,
    )
    .fetch_all(tx)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// Stores the rows that were set aside, unless they are there.
pub(super) async fn insert_quarantined_rows(
    tx: &mut PgConnection,
    new: &[Said<'_>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<(i64, &QuarantinedRow)> = new
        .iter()
        .flat_map(|new| new.reading.quarantined.iter().map(|row| (new.payload.raw_payload_id, row)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let raw_payload_ids: Vec<i64> = rows.iter().map(|(raw_payload_id, _)| *raw_payload_id).collect();
    let json_pointers: Vec<String> = rows.iter().map(|(_, row)| storable(&row.json_pointer)).collect();
    let reasons: Vec<String> = rows.iter().map(|(_, row)| storable(&row.reason)).collect();
    let row_texts: Vec<String> = rows.iter().map(|(_, row)| storable(&row.row_text)).collect();
    let extents: Vec<String> = rows.iter().map(|(_, row)| row.extent.name().to_owned()).collect();
    sqlx::query!(
        "insert into raw.quarantined_rows (raw_payload_id, json_pointer, reason, row_text, extent, quarantined_at)
         select rows.raw_payload_id, rows.json_pointer, rows.reason, rows.row_text, rows.extent, $6
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
              as rows (raw_payload_id, json_pointer, reason, row_text, extent)
         on conflict (raw_payload_id, json_pointer) do nothing",
        &raw_payload_ids,
        &json_pointers,
        &reasons,
        &row_texts,
        &extents,
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}
