//! One transaction: the ends of the jobs, the readings, and every row they hold.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, Utc};
use digitallz_common::partitions;
use digitallz_common::queue::{self, QueueError};
use sqlx::{PgConnection, PgPool};

use super::copy::Rows;
use super::listings::{ListingIds, ListingKey, Listings};
use super::{Answer, LoadError, Read};
use crate::READER_VERSION;
use crate::reading::{QuarantinedRow, Reading};
use crate::store::storable;

/// A payload that nobody has read before, with what it says.
struct New<'a> {
    read: &'a Read,
    reading: &'a Reading,
}

/// Stores readings and ends their jobs in one transaction; the answers come in the order of the readings.
///
/// The rows of the readings come first: of two workers with the same payload the second waits there for the first, and
/// then writes nothing.
pub(super) async fn store(db: &PgPool, reads: &[Read], now: DateTime<Utc>) -> Result<Vec<Answer>, LoadError> {
    let mut tx = db.begin().await?;
    make_partitions(&mut tx, reads).await?;
    let attempts = reads.iter().map(|read| &read.attempt).collect::<Vec<_>>();
    let ended = queue::complete_all(&mut tx, &attempts).await?;
    let ours: Vec<&Read> = reads.iter().filter(|read| ended.contains(&read.attempt.job_id)).collect();
    let new_ids = insert_readings(&mut tx, &ours, now).await?;
    let new: Vec<New<'_>> = ours
        .into_iter()
        .filter(|read| new_ids.contains(&read.payload.raw_payload_id))
        .filter_map(|read| Some(New { read, reading: read.outcome.as_ref().ok()? }))
        .collect();

    insert_quarantined_rows(&mut tx, &new, now).await?;
    copy_observations(&mut tx, &new, now).await?;
    let mut listings = Listings::default();
    for New { read, reading } in &new {
        for listing in &reading.listings {
            let key = ListingKey::new(&read.payload.site, &listing.marketplace_listing_id);
            listings.add(key, listing, read.payload.fetched_at);
        }
    }
    let listing_ids = listings.merge(&mut tx).await?;
    copy_listing_observations(&mut tx, &new, &listing_ids, now).await?;
    copy_serp_entries(&mut tx, &new, &listing_ids, now).await?;
    copy_seller_observations(&mut tx, &new, now).await?;
    copy_keyword_categories(&mut tx, &new, now).await?;
    tx.commit().await?;

    let answer = |read: &Read| match ended.contains(&read.attempt.job_id) {
        true => Ok(()),
        false => Err(QueueError::Fenced(read.attempt.job_id).into()),
    };
    Ok(reads.iter().map(answer).collect())
}

/// Makes the partitions of every month that a row lies in, before anything is written.
async fn make_partitions(tx: &mut PgConnection, reads: &[Read]) -> Result<(), sqlx::Error> {
    let mut months = HashSet::new();
    for read in reads {
        let observed = read.outcome.iter().flat_map(|reading| &reading.observations);
        let moments = observed.map(|observation| observation.period.observed_at());
        for moment in moments.chain([read.payload.fetched_at]) {
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

async fn insert_quarantined_rows(
    tx: &mut PgConnection,
    new: &[New<'_>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<(i64, &QuarantinedRow)> = new
        .iter()
        .flat_map(|new| new.reading.quarantined.iter().map(|row| (new.read.payload.raw_payload_id, row)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let raw_payload_ids: Vec<i64> = rows.iter().map(|(raw_payload_id, _)| *raw_payload_id).collect();
    let json_pointers: Vec<String> = rows.iter().map(|(_, row)| storable(&row.json_pointer)).collect();
    let reasons: Vec<String> = rows.iter().map(|(_, row)| storable(&row.reason)).collect();
    let row_texts: Vec<String> = rows.iter().map(|(_, row)| storable(&row.row_text)).collect();
    sqlx::query!(
        "insert into raw.quarantined_rows (raw_payload_id, json_pointer, reason, row_text, quarantined_at)
         select rows.raw_payload_id, rows.json_pointer, rows.reason, rows.row_text, $5
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
              as rows (raw_payload_id, json_pointer, reason, row_text)
         on conflict (raw_payload_id, json_pointer) do nothing",
        &raw_payload_ids,
        &json_pointers,
        &reasons,
        &row_texts,
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn copy_observations(tx: &mut PgConnection, new: &[New<'_>], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for New { read, reading } in new {
        // What an answer says twice, of one keyword and period, is said once.
        let mut said = HashSet::with_capacity(reading.observations.len());
        for observation in &reading.observations {
            if !said.insert((observation.keyword_id, observation.metric, observation.period.start_date())) {
                continue;
            }
            rows.begin(14);
            rows.field(observation.keyword_id)?;
            rows.field(observation.metric.name())?;
            rows.field(observation.observed.value())?;
            rows.field(observation.unit.as_str())?;
            rows.field(observation.observed.status())?;
            rows.field(observation.observed.reason())?;
            rows.field(read.payload.resource.name())?;
            rows.field(observation.period.observed_at())?;
            rows.field(observation.period.start_date())?;
            rows.field(observation.period.end_date())?;
            rows.field(observation.period.kind())?;
            rows.field(read.payload.fetched_at)?;
            rows.field(now)?;
            rows.field(read.payload.raw_payload_id)?;
        }
    }
    rows.send(
        tx,
        "copy core.keyword_observations (keyword_id, metric, value, unit, value_status, status_reason, resource,
             observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id)
         from stdin (format binary)",
    )
    .await
}

async fn copy_listing_observations(
    tx: &mut PgConnection,
    new: &[New<'_>],
    listing_ids: &ListingIds<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for New { read, reading } in new {
        for listing in &reading.listings {
            rows.begin(18);
            rows.field(read.payload.raw_payload_id)?;
            rows.field(listing_ids.of(ListingKey::new(&read.payload.site, &listing.marketplace_listing_id)))?;
            rows.field(read.payload.fetched_at)?;
            rows.field(listing.price.as_ref().map(|price| price.amount))?;
            rows.field(listing.price.as_ref().map(|price| price.currency.as_str()))?;
            rows.field(listing.view_count)?;
            rows.field(listing.favorite_count)?;
            rows.field(listing.sales_rank)?;
            rows.field(listing.bid_count)?;
            rows.field(listing.seller_feedback_score)?;
            rows.field(listing.is_promoted)?;
            rows.field(listing.sold_count)?;
            rows.field(listing.available_count)?;
            rows.field(listing.watch_count)?;
            rows.field(listing.review_count)?;
            rows.field(listing.recent_review_count)?;
            rows.field(listing.review_average)?;
            rows.field(now)?;
        }
    }
    rows.send(
        tx,
        "copy core.listing_observations (raw_payload_id, listing_id, observed_at, price_amount, price_currency,
             view_count, favorite_count, sales_rank, bid_count, seller_feedback_score, is_promoted, sold_count,
             available_count, watch_count, review_count, recent_review_count, review_average, ingested_at)
         from stdin (format binary)",
    )
    .await
}

async fn copy_serp_entries(
    tx: &mut PgConnection,
    new: &[New<'_>],
    listing_ids: &ListingIds<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for New { read, reading } in new {
        let Some(keyword_id) = read.payload.keyword_id else { continue };
        for entry in &reading.serp_entries {
            rows.begin(7);
            rows.field(read.payload.raw_payload_id)?;
            rows.field(entry.position)?;
            rows.field(keyword_id)?;
            rows.field(listing_ids.of(ListingKey::new(&read.payload.site, &entry.marketplace_listing_id)))?;
            rows.field(entry.kind.name())?;
            rows.field(read.payload.fetched_at)?;
            rows.field(now)?;
        }
    }
    rows.send(
        tx,
        "copy core.serp_entries (raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at, ingested_at)
         from stdin (format binary)",
    )
    .await
}

async fn copy_seller_observations(
    tx: &mut PgConnection,
    new: &[New<'_>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for New { read, reading } in new {
        for seller in &reading.sellers {
            rows.begin(11);
            rows.field(read.payload.raw_payload_id)?;
            rows.field(read.payload.site.marketplace.name())?;
            rows.field(read.payload.site.market.as_str())?;
            rows.field(seller.seller.as_str())?;
            rows.field(read.payload.fetched_at)?;
            rows.field(seller.sold_count)?;
            rows.field(seller.active_listing_count)?;
            rows.field(seller.review_count)?;
            rows.field(seller.review_average)?;
            rows.field(seller.favorite_count)?;
            rows.field(now)?;
        }
    }
    rows.send(
        tx,
        "copy core.seller_observations (raw_payload_id, marketplace, market, seller, observed_at, sold_count,
             active_listing_count, review_count, review_average, favorite_count, ingested_at)
         from stdin (format binary)",
    )
    .await
}

async fn copy_keyword_categories(
    tx: &mut PgConnection,
    new: &[New<'_>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for New { read, reading } in new {
        let Some(keyword_id) = read.payload.keyword_id else { continue };
        for category in &reading.categories {
            rows.begin(7);
            rows.field(read.payload.raw_payload_id)?;
            rows.field(category.relevancy_rank)?;
            rows.field(keyword_id)?;
            rows.field(category.category_id.as_str())?;
            rows.field(category.category_name.as_deref())?;
            rows.field(read.payload.fetched_at)?;
            rows.field(now)?;
        }
    }
    rows.send(
        tx,
        "copy core.keyword_categories (raw_payload_id, relevancy_rank, keyword_id, category_id, category_name, observed_at,
             ingested_at)
         from stdin (format binary)",
    )
    .await
}
