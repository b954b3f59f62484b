//! Writes a reading: one statement per table, whatever the number of rows.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::marketplace::Site;
use digitallz_common::raw_payload::RawPayload;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::READER_VERSION;
use crate::reading::{
    CategoryReading, KeywordObservation, ListingReading, QuarantinedRow, Reading, SellerReading, SerpEntry,
    TrackedKeyword, TrackedKeywords,
};

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

/// Stores everything a payload says, unless it was stored before.
///
/// The row of the reading comes first: of two workers with the same payload the second waits there for the first, and
/// then writes nothing.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    payload: &RawPayload,
    reading: &Reading,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if !insert_reading(tx, payload.raw_payload_id, reading, now).await? {
        return Ok(());
    }
    if !reading.quarantined.is_empty() {
        insert_quarantined_rows(tx, payload.raw_payload_id, &reading.quarantined, now).await?;
    }
    if !reading.observations.is_empty() {
        insert_observations(tx, payload, &reading.observations, now).await?;
    }
    if !reading.listings.is_empty() {
        let listing_ids = upsert_listings(tx, payload, &reading.listings).await?;
        insert_listing_observations(tx, payload, &reading.listings, &listing_ids, now).await?;
        if let (Some(keyword_id), false) = (payload.keyword_id, reading.serp_entries.is_empty()) {
            insert_serp_entries(tx, payload, keyword_id, &reading.serp_entries, &listing_ids).await?;
        }
    }
    if !reading.sellers.is_empty() {
        insert_seller_observations(tx, payload, &reading.sellers, now).await?;
    }
    if let (Some(keyword_id), false) = (payload.keyword_id, reading.categories.is_empty()) {
        insert_keyword_categories(tx, payload, keyword_id, &reading.categories, now).await?;
    }
    Ok(())
}

/// Takes back that a payload was read, so that [`insert`] writes what another reading says of it.
///
/// What it gave to the tables stays, and the rows set aside that a person discarded, as long as they are `still_broken`.
pub(crate) async fn take_back(
    tx: &mut PgConnection,
    raw_payload_id: i64,
    still_broken: &[QuarantinedRow],
) -> Result<(), sqlx::Error> {
    let json_pointers: Vec<String> = still_broken.iter().map(|row| storable(&row.json_pointer)).collect();
    sqlx::query!(
        "delete from raw.quarantined_rows
         where raw_payload_id = $1 and (discarded_at is null or json_pointer <> all($2))",
        raw_payload_id,
        &json_pointers,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from raw.payload_readings where raw_payload_id = $1", raw_payload_id).execute(tx).await?;
    Ok(())
}

/// Returns a text without the one character that Postgres cannot store.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// Returns false when the payload has a reading.
async fn insert_reading(
    tx: &mut PgConnection,
    raw_payload_id: i64,
    reading: &Reading,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into raw.payload_readings (raw_payload_id, outcome, reader_version, row_count, observation_count,
             listing_count, serp_entry_count, quarantined_row_count, untracked_row_count, missing_row_count, read_at)
         values ($1, 'processed', $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (raw_payload_id) do nothing",
        raw_payload_id,
        READER_VERSION,
        reading.row_count,
        reading.observations.len() as i32,
        reading.listings.len() as i32,
        reading.serp_entries.len() as i32,
        reading.quarantined_row_count(),
        reading.untracked_row_count,
        reading.missing_row_count,
        now,
    )
    .execute(tx)
    .await?
    .rows_affected();
    Ok(inserted > 0)
}

async fn insert_quarantined_rows(
    tx: &mut PgConnection,
    raw_payload_id: i64,
    rows: &[QuarantinedRow],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let json_pointers: Vec<String> = rows.iter().map(|row| storable(&row.json_pointer)).collect();
    let reasons: Vec<String> = rows.iter().map(|row| storable(&row.reason)).collect();
    let row_texts: Vec<String> = rows.iter().map(|row| storable(&row.row_text)).collect();
    let extents: Vec<String> = rows.iter().map(|row| row.extent.name().to_owned()).collect();
    sqlx::query!(
        "insert into raw.quarantined_rows (raw_payload_id, json_pointer, reason, row_text, extent, quarantined_at)
         select $1, rows.json_pointer, rows.reason, rows.row_text, rows.extent, $6
         from unnest($2::text[], $3::text[], $4::text[], $5::text[])
              as rows (json_pointer, reason, row_text, extent)
         on conflict (raw_payload_id, json_pointer) do nothing",
        raw_payload_id,
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

async fn insert_observations(
    tx: &mut PgConnection,
    payload: &RawPayload,
    observations: &[KeywordObservation],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let keyword_ids: Vec<i64> = observations.iter().map(|one| one.keyword_id).collect();
    let metrics: Vec<String> = observations.iter().map(|one| one.metric.name().to_owned()).collect();
    let values: Vec<Option<f64>> = observations.iter().map(|one| one.observed.value()).collect();
    let units: Vec<String> = observations.iter().map(|one| one.unit.clone()).collect();
    let statuses: Vec<String> = observations.iter().map(|one| one.observed.status().to_owned()).collect();
    let reasons: Vec<Option<String>> =
        observations.iter().map(|one| one.observed.reason().map(str::to_owned)).collect();
    let observed_at: Vec<DateTime<Utc>> = observations.iter().map(|one| one.period.observed_at()).collect();
    let start_dates: Vec<NaiveDate> = observations.iter().map(|one| one.period.start_date()).collect();
    let end_dates: Vec<NaiveDate> = observations.iter().map(|one| one.period.end_date()).collect();
    let period_kinds: Vec<String> = observations.iter().map(|one| one.period.kind().to_owned()).collect();
    sqlx::query_file!(
        "src/store/insert_observations.sql",
        &keyword_ids,
        &metrics,
        &values as &[Option<f64>],
        &units,
        &statuses,
        &reasons as &[Option<String>],
        &observed_at,
        &start_dates,
        &end_dates,
        &period_kinds,
        payload.resource.name(),
        payload.fetched_at,
        now,
        payload.raw_payload_id,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Identifiers of listings by the marketplace's own.
type ListingIds = HashMap<String, i64>;

/// Returns the identifiers of all the listings, new and known.
async fn upsert_listings(
    tx: &mut PgConnection,
    payload: &RawPayload,
    listings: &[ListingReading],
) -> Result<ListingIds, sqlx::Error> {
    let marketplace_listing_ids: Vec<String> = listings.iter().map(|one| one.marketplace_listing_id.clone()).collect();
    let titles: Vec<Option<String>> = listings.iter().map(|one| one.title.clone()).collect();
    let sellers: Vec<Option<String>> = listings.iter().map(|one| one.seller.clone()).collect();
    let brands: Vec<Option<String>> = listings.iter().map(|one| one.brand.clone()).collect();
    let listing_urls: Vec<Option<String>> = listings.iter().map(|one| one.listing_url.clone()).collect();
    let listed_at: Vec<Option<DateTime<Utc>>> = listings.iter().map(|one| one.listed_at).collect();
    let rows = sqlx::query_file!(
        "src/store/upsert_listings.sql",
        payload.site.marketplace.name(),
        payload.site.market,
        payload.fetched_at,
        &marketplace_listing_ids,
        &titles as &[Option<String>],
        &sellers as &[Option<String>],
        &brands as &[Option<String>],
        &listing_urls as &[Option<String>],
        &listed_at as &[Option<DateTime<Utc>>],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.marketplace_listing_id, row.listing_id)).collect())
}

async fn insert_listing_observations(
    tx: &mut PgConnection,
    payload: &RawPayload,
    listings: &[ListingReading],
    listing_ids: &ListingIds,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let prices = listings.iter().map(|one| one.price.as_ref());
    let listing_ids: Vec<i64> = listings.iter().map(|one| listing_ids[&one.marketplace_listing_id]).collect();
    let amounts: Vec<Option<Decimal>> = prices.clone().map(|price| price.map(|price| price.amount)).collect();
    let currencies: Vec<Option<String>> = prices.map(|price| price.map(|price| price.currency.clone())).collect();
    let view_counts: Vec<Option<i64>> = listings.iter().map(|one| one.view_count).collect();
    let favorite_counts: Vec<Option<i64>> = listings.iter().map(|one| one.favorite_count).collect();
    let sales_ranks: Vec<Option<i64>> = listings.iter().map(|one| one.sales_rank).collect();
    let bid_counts: Vec<Option<i64>> = listings.iter().map(|one| one.bid_count).collect();
    let feedback_scores: Vec<Option<i64>> = listings.iter().map(|one| one.seller_feedback_score).collect();
    let promotions: Vec<Option<bool>> = listings.iter().map(|one| one.is_promoted).collect();
    let sold_counts: Vec<Option<i64>> = listings.iter().map(|one| one.sold_count).collect();
    let available_counts: Vec<Option<i64>> = listings.iter().map(|one| one.available_count).collect();
    let watch_counts: Vec<Option<i64>> = listings.iter().map(|one| one.watch_count).collect();
    let review_counts: Vec<Option<i64>> = listings.iter().map(|one| one.review_count).collect();
    let recent_review_counts: Vec<Option<i64>> = listings.iter().map(|one| one.recent_review_count).collect();
    let review_averages: Vec<Option<f64>> = listings.iter().map(|one| one.review_average).collect();
    sqlx::query_file!(
        "src/store/insert_listing_observations.sql",
        payload.raw_payload_id,
        payload.fetched_at,
        now,
        &listing_ids,
        &amounts as &[Option<Decimal>],
        &currencies as &[Option<String>],
        &view_counts as &[Option<i64>],
        &favorite_counts as &[Option<i64>],
        &sales_ranks as &[Option<i64>],
        &bid_counts as &[Option<i64>],
        &feedback_scores as &[Option<i64>],
        &promotions as &[Option<bool>],
        &sold_counts as &[Option<i64>],
        &available_counts as &[Option<i64>],
        &watch_counts as &[Option<i64>],
        &review_counts as &[Option<i64>],
        &recent_review_counts as &[Option<i64>],
        &review_averages as &[Option<f64>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_serp_entries(
    tx: &mut PgConnection,
    payload: &RawPayload,
    keyword_id: i64,
    entries: &[SerpEntry],
    listing_ids: &ListingIds,
) -> Result<(), sqlx::Error> {
    let positions: Vec<i32> = entries.iter().map(|entry| entry.position).collect();
    let listing_ids: Vec<i64> = entries.iter().map(|entry| listing_ids[&entry.marketplace_listing_id]).collect();
    let kinds: Vec<String> = entries.iter().map(|entry| entry.kind.name().to_owned()).collect();
    sqlx::query!(
        "insert into core.serp_entries (raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at)
         select $1, entries.position, $2, entries.listing_id, entries.entry_kind, $3
         from unnest($4::integer[], $5::bigint[], $6::text[]) as entries (position, listing_id, entry_kind)
         on conflict (raw_payload_id, position) do nothing",
        payload.raw_payload_id,
        keyword_id,
        payload.fetched_at,
        &positions,
        &listing_ids,
        &kinds,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_seller_observations(
    tx: &mut PgConnection,
    payload: &RawPayload,
    sellers: &[SellerReading],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let names: Vec<String> = sellers.iter().map(|one| one.seller.clone()).collect();
    let sold_counts: Vec<Option<i64>> = sellers.iter().map(|one| one.sold_count).collect();
    let active_listing_counts: Vec<Option<i64>> = sellers.iter().map(|one| one.active_listing_count).collect();
    let review_counts: Vec<Option<i64>> = sellers.iter().map(|one| one.review_count).collect();
    let review_averages: Vec<Option<f64>> = sellers.iter().map(|one| one.review_average).collect();
    let favorite_counts: Vec<Option<i64>> = sellers.iter().map(|one| one.favorite_count).collect();
    sqlx::query!(
        "insert into core.seller_observations (raw_payload_id, marketplace, market, observed_at, ingested_at, seller,
             sold_count, active_listing_count, review_count, review_average, favorite_count)
         select $1, $2, $3, $4, $5, rows.seller, rows.sold_count, rows.active_listing_count, rows.review_count,
                rows.review_average, rows.favorite_count
         from unnest($6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::double precision[], $11::bigint[])
              as rows (seller, sold_count, active_listing_count, review_count, review_average, favorite_count)
         on conflict (raw_payload_id, seller) do nothing",
        payload.raw_payload_id,
        payload.site.marketplace.name(),
        payload.site.market,
        payload.fetched_at,
        now,
        &names,
        &sold_counts as &[Option<i64>],
        &active_listing_counts as &[Option<i64>],
        &review_counts as &[Option<i64>],
        &review_averages as &[Option<f64>],
        &favorite_counts as &[Option<i64>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_keyword_categories(
    tx: &mut PgConnection,
    payload: &RawPayload,
    keyword_id: i64,
    categories: &[CategoryReading],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let relevancy_ranks: Vec<i32> = categories.iter().map(|one| one.relevancy_rank).collect();
    let category_ids: Vec<String> = categories.iter().map(|one| one.category_id.clone()).collect();
    let category_names: Vec<Option<String>> = categories.iter().map(|one| one.category_name.clone()).collect();
    sqlx::query!(
        "insert into core.keyword_categories (raw_payload_id, keyword_id, observed_at, ingested_at, relevancy_rank,
             category_id, category_name)
         select $1, $2, $3, $4, rows.relevancy_rank, rows.category_id, rows.category_name
         from unnest($5::integer[], $6::text[], $7::text[]) as rows (relevancy_rank, category_id, category_name)
         on conflict (raw_payload_id, relevancy_rank) do nothing",
        payload.raw_payload_id,
        keyword_id,
        payload.fetched_at,
        now,
        &relevancy_ranks,
        &category_ids,
        &category_names as &[Option<String>],
    )
    .execute(tx)
    .await?;
    Ok(())
}
