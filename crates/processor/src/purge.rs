//! Purges what has been kept for as long as the policy of its source allows, and nothing else.
//!
//! | what | kept for | what stays |
//! | --- | --- | --- |
//! | bodies of answers about listings, and rows quarantined from them | `listing_retention` | the answer's row: request, headers, hash |
//! | bodies of other answers, and rows quarantined from them | `raw_retention` | the same |
//! | observations of sellers, and categories that suit keywords | `raw_retention` | nothing |
//! | listing observations and SERP entries | `listing_retention` | observations of keywords that were derived from them |
//! | what is said of a listing that was not seen since | `listing_retention` | its bare identifier |
//! | observations of keywords | `aggregate_retention` | competition scores and predictions |
//!
//! Files that users brought are their own: neither their bodies nor the observations read from them are ever purged.
//!
//! Age is measured from when the answer arrived to the moment of the purge, by the clock of the world. An answer that is
//! not read yet is kept until it is, but never for longer than twice its time: then it is quarantined with that reason.
//! Every batch is a short transaction of its own that leaves the same when it is run twice. A body in an object store is
//! condemned in the transaction that purges its payload, and deleted from the store after it.

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::jobs::PurgeExpired;
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::partitions;
use digitallz_common::queue::Attempt;
use digitallz_common::raw_payload::stores;
use digitallz_common::source_policy::{self, Rules};
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool};
use tracing::{info, warn};

use crate::Context;

/// Answers, or payloads whose rows go, in one transaction.
const BATCH_PAYLOADS: i64 = 200;

/// Payloads whose rows are looked for at a time.
const LOOK_PAYLOADS: i64 = 20_000;

/// Listings or observations of keywords in one transaction.
const BATCH_ROWS: i64 = 2_000;

/// How long ago a month must have ended to be dropped when it is empty: rows about a month come late.
const EMPTY_MONTH_AGE: TimeDelta = TimeDelta::days(31);

/// Version under which a payload that was never read is quarantined: nothing read it.
const READER_VERSION: i16 = 0;

/// What is due, or was purged, of one marketplace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PurgeCounts {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Bodies of answers.
    pub raw_payload_count: i64,
    /// Answers among them that were never read.
    pub unread_payload_count: i64,
    /// Rows set aside from these answers.
    pub quarantined_row_count: i64,
    /// What answers said of listings.
    pub listing_observation_count: i64,
    /// Positions of search results pages.
    pub serp_entry_count: i64,
    /// Listings of which only the identifier stays.
    pub listing_count: i64,
    /// What answers said of sellers.
    pub seller_observation_count: i64,
    /// Categories that suit keywords.
    pub keyword_category_count: i64,
    /// Observations of keywords.
    pub keyword_observation_count: i64,
}

impl PurgeCounts {
    fn none(marketplace: Marketplace) -> PurgeCounts {
        PurgeCounts {
            marketplace,
            raw_payload_count: 0,
            unread_payload_count: 0,
            quarantined_row_count: 0,
            listing_observation_count: 0,
            serp_entry_count: 0,
            listing_count: 0,
            seller_observation_count: 0,
            keyword_category_count: 0,
            keyword_observation_count: 0,
        }
    }

    /// Returns the rows of all tables.
    pub fn total(&self) -> i64 {
        self.raw_payload_count
            + self.quarantined_row_count
            + self.listing_observation_count
            + self.serp_entry_count
            + self.listing_count
            + self.seller_observation_count
            + self.keyword_category_count
            + self.keyword_observation_count
    }
}

/// Purges what is due at `job.as_of`.
pub async fn run(ctx: &Context, attempt: &Attempt, job: PurgeExpired) -> Result<(), Failure> {
    let purged = purge(&ctx.db, job.as_of, ctx.clock.now()).await?;
    sweep(ctx).await?;
    attempt.complete(&mut *ctx.db.acquire().await?).await?;
    let sum = |of: fn(&PurgeCounts) -> i64| purged.iter().map(of).sum::<i64>();
    info!(
        raw_payload_count = sum(|counts| counts.raw_payload_count),
        listing_observation_count = sum(|counts| counts.listing_observation_count),
        serp_entry_count = sum(|counts| counts.serp_entry_count),
        listing_count = sum(|counts| counts.listing_count),
        seller_observation_count = sum(|counts| counts.seller_observation_count),
        keyword_category_count = sum(|counts| counts.keyword_category_count),
        keyword_observation_count = sum(|counts| counts.keyword_observation_count),
        "purged {} rows that were kept for as long as their sources allow",
        sum(PurgeCounts::total),
    );
    Ok(())
}

/// Deletes from object stores what the purge gave up, and what no payload ever named.
async fn sweep(ctx: &Context) -> Result<(), Failure> {
    let swept = ctx.body_stores.sweep(&ctx.db).await?;
    if swept.deleted_count > 0 {
        info!(object_count = swept.deleted_count, "deleted {} bodies from object stores", swept.deleted_count);
    }
    match swept.problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(problem.into()),
    }
}

/// Purges what is due at `as_of` and tells what that was; `now` is written as the time of the purge.
pub async fn purge(db: &PgPool, as_of: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<PurgeCounts>, sqlx::Error> {
    let mut connection = db.acquire().await?;
    let mut purged = Vec::with_capacity(Marketplace::ALL.len());
    for marketplace in Marketplace::ALL {
        let bounds = Bounds::load(&mut connection, marketplace, as_of).await?;
        let mut counts = PurgeCounts::none(marketplace);
        while purge_bodies(&mut connection, marketplace, &bounds, now, &mut counts).await? {}
        if let Some(bound) = bounds.listings {
            while purge_listing_rows(&mut connection, marketplace, bound, &mut counts).await? {}
            while purge_listings(&mut connection, marketplace, bound, &mut counts).await? {}
        }
        if let Some(bound) = bounds.raw {
            while purge_seller_observations(&mut connection, marketplace, bound, &mut counts).await? {}
            while purge_keyword_categories(&mut connection, marketplace, bound, &mut counts).await? {}
        }
        if let Some(bound) = bounds.aggregates {
            while purge_keyword_observations(&mut connection, marketplace, bound, &mut counts).await? {}
        }
        if counts.unread_payload_count > 0 {
            warn!(%marketplace, unread_payload_count = counts.unread_payload_count,
                "purged {} answers of {marketplace} that were never read", counts.unread_payload_count);
        }
        purged.push(counts);
    }
    let month_count = partitions::drop_empty(&mut connection, as_of - EMPTY_MONTH_AGE).await?;
    if month_count > 0 {
        info!(month_count, "dropped {month_count} months in which nothing is left");
    }
    Ok(purged)
}

/// Counts what is due at `as_of` and deletes nothing.
pub async fn due(connection: &mut PgConnection, as_of: DateTime<Utc>) -> Result<Vec<PurgeCounts>, sqlx::Error> {
    let mut all = Vec::with_capacity(Marketplace::ALL.len());
    for marketplace in Marketplace::ALL {
        let bounds = Bounds::load(connection, marketplace, as_of).await?;
        let row = sqlx::query_file!(
            "src/purge_due.sql",
            marketplace.name(),
            &listing_resources(),
            bounds.listings,
            bounds.raw,
            bounds.unread_listings,
            bounds.unread_raw,
            bounds.aggregates,
            &Resource::imported_names(),
        )
        .fetch_one(&mut *connection)
        .await?;
        all.push(PurgeCounts {
            marketplace,
            raw_payload_count: row.raw_payload_count,
            unread_payload_count: row.unread_payload_count,
            quarantined_row_count: row.quarantined_row_count,
            listing_observation_count: row.listing_observation_count,
            serp_entry_count: row.serp_entry_count,
            listing_count: row.listing_count,
            seller_observation_count: row.seller_observation_count,
            keyword_category_count: row.keyword_category_count,
            keyword_observation_count: row.keyword_observation_count,
        });
    }
    Ok(all)
}

/// The moments up to which data of a marketplace is due; none where it is kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    listings: Option<DateTime<Utc>>,
    raw: Option<DateTime<Utc>>,
    unread_listings: Option<DateTime<Utc>>,
    unread_raw: Option<DateTime<Utc>>,
    aggregates: Option<DateTime<Utc>>,
}

impl Bounds {
    async fn load(
        connection: &mut PgConnection,
        marketplace: Marketplace,
        as_of: DateTime<Utc>,
    ) -> Result<Bounds, sqlx::Error> {
        Ok(Bounds::of(&source_policy::get(connection, marketplace).await?.rules, as_of))
    }

    fn of(rules: &Rules, as_of: DateTime<Utc>) -> Bounds {
        // A time that reaches back beyond the calendar is for ever.
        let before = |time: Option<TimeDelta>| time.and_then(|time| as_of.checked_sub_signed(time));
        let twice = |time: Option<TimeDelta>| time.and_then(|time| time.checked_mul(2));
        Bounds {
            listings: before(rules.listing_retention),
            raw: before(rules.raw_retention),
            unread_listings: before(twice(rules.listing_retention)),
            unread_raw: before(twice(rules.raw_retention)),
            aggregates: before(rules.aggregate_retention),
        }
    }
}

fn listing_resources() -> Vec<String> {
    let about_listings = Resource::ALL.into_iter().filter(|resource| source_policy::concerns_listings(*resource));
    about_listings.map(|resource| resource.name().to_owned()).collect()
}

/// Takes the bodies of one batch away; returns false when none was due.
async fn purge_bodies(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    bounds: &Bounds,
    now: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<bool, sqlx::Error> {
    const UNREAD: &str = "purged before it was read: it was kept for twice the time that its source allows";
    let mut tx = connection.begin().await?;
    // A payload that is being read at this moment is locked by its reader, and left for the next purge.
    let batch = sqlx::query!(
        r#"select payloads.raw_payload_id, readings.raw_payload_id is null as "is_unread!"
           from raw.payloads payloads
           left join raw.payload_readings readings using (raw_payload_id)
           where payloads.marketplace = $1 and payloads.purged_at is null
             and payloads.resource <> all($8)
             and payloads.fetched_at <= greatest($3::timestamptz, $4::timestamptz)
             and payloads.fetched_at <= case when payloads.resource = any($2) then $3::timestamptz else $4 end
             and (readings.raw_payload_id is not null
                  or payloads.fetched_at <= case when payloads.resource = any($2) then $5::timestamptz else $6 end)
           order by payloads.fetched_at
           limit $7
           for update of payloads skip locked"#,
        marketplace.name(),
        &listing_resources(),
        bounds.listings,
        bounds.raw,
        bounds.unread_listings,
        bounds.unread_raw,
        BATCH_PAYLOADS,
        &Resource::imported_names(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let raw_payload_ids: Vec<i64> = batch.iter().map(|row| row.raw_payload_id).collect();
    let unread_ids: Vec<i64> = batch.iter().filter(|row| row.is_unread).map(|row| row.raw_payload_id).collect();

    let unread = sqlx::query!(
        "insert into raw.payload_readings (raw_payload_id, outcome, reason, reader_version, read_at)
         select raw_payload_id, 'quarantined', $2, $3, $4 from unnest($1::bigint[]) as unread (raw_payload_id)
         on conflict (raw_payload_id) do nothing",
        &unread_ids,
        UNREAD,
        READER_VERSION,
        now,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    stores::condemn(&mut tx, &raw_payload_ids).await?;
    let bodies = sqlx::query!(
        "update raw.payloads set chunk_count = null, body_location = null, purged_at = $2
         where raw_payload_id = any($1) and purged_at is null",
        &raw_payload_ids,
        now,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    sqlx::query!("delete from raw.payload_chunks where raw_payload_id = any($1)", &raw_payload_ids)
        .execute(&mut *tx)
        .await?;
    let rows = sqlx::query!(
        "update raw.quarantined_rows set row_text = '' where raw_payload_id = any($1) and row_text <> ''",
        &raw_payload_ids
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    counts.raw_payload_count += bodies as i64;
    counts.unread_payload_count += unread as i64;
    counts.quarantined_row_count += rows as i64;
    Ok(!batch.is_empty())
}

/// Deletes what many payloads said of listings, in batches; returns false when none was due.
async fn purge_listing_rows(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    bound: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<bool, sqlx::Error> {
    // The tables of listings know no marketplace and are read as a whole, so one look finds the work of many batches.
    let due = sqlx::query_scalar!(
        "select payloads.raw_payload_id
         from raw.payloads payloads
         where payloads.marketplace = $1
           and payloads.raw_payload_id in (
               select raw_payload_id from core.listing_observations where observed_at <= $2
               union
               select raw_payload_id from core.serp_entries where observed_at <= $2)
         order by payloads.raw_payload_id
         limit $3",
        marketplace.name(),
        bound,
        LOOK_PAYLOADS,
    )
    .fetch_all(&mut *connection)
    .await?;
    for batch in due.chunks(BATCH_PAYLOADS as usize) {
        purge_listing_rows_of(connection, batch, bound, counts).await?;
    }
    Ok(!due.is_empty())
}

/// Deletes what some payloads said of listings; the differences that were observed between them stay.
async fn purge_listing_rows_of(
    connection: &mut PgConnection,
    raw_payload_ids: &[i64],
    bound: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    let entries = sqlx::query!(
        "delete from core.serp_entries where raw_payload_id = any($1) and observed_at <= $2",
        raw_payload_ids,
        bound,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let observations = sqlx::query!(
        "delete from core.listing_observations where raw_payload_id = any($1) and observed_at <= $2",
        raw_payload_ids,
        bound,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    counts.serp_entry_count += entries as i64;
    counts.listing_observation_count += observations as i64;
    Ok(())
}

/// Blanks one batch of the listings that were not seen since; a listing that is being written is left for the next purge.
async fn purge_listings(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    bound: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<bool, sqlx::Error> {
    let blanked = sqlx::query!(
        "update core.listings
         set title = null, seller = null, brand = null, listing_url = null, listed_at = null, title_seen_at = null,
             seller_seen_at = null, brand_seen_at = null, listing_url_seen_at = null, listed_at_seen_at = null
         where listing_id in (
             select listing_id from core.listings
             where marketplace = $1 and last_seen_at <= $2
               and num_nonnulls(title, seller, brand, listing_url, listed_at) > 0
             limit $3
             for update skip locked)",
        marketplace.name(),
        bound,
        BATCH_ROWS,
    )
    .execute(connection)
    .await?
    .rows_affected();
    counts.listing_count += blanked as i64;
    Ok(blanked > 0)
}

/// Deletes one batch of the observations of sellers that are due.
async fn purge_seller_observations(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    bound: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "delete from core.seller_observations
         where (raw_payload_id, seller) in (
             select raw_payload_id, seller from core.seller_observations
             where marketplace = $1 and observed_at <= $2
             limit $3)",
        marketplace.name(),
        bound,
        BATCH_ROWS,
    )
    .execute(connection)
    .await?
    .rows_affected();
    counts.seller_observation_count += deleted as i64;
    Ok(deleted > 0)
}

/// Deletes one batch of the categories that are due.
async fn purge_keyword_categories(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    bound: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "delete from core.keyword_categories
         where (raw_payload_id, relevancy_rank) in (
             select raw_payload_id, relevancy_rank
             from core.keyword_categories join core.keywords using (keyword_id)
             where keywords.marketplace = $1 and observed_at <= $2
             limit $3)",
        marketplace.name(),
        bound,
        BATCH_ROWS,
    )
    .execute(connection)
    .await?
    .rows_affected();
    counts.keyword_category_count += deleted as i64;
    Ok(deleted > 0)
}

/// Deletes one batch of the observations of keywords that are due.
async fn purge_keyword_observations(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    bound: DateTime<Utc>,
    counts: &mut PurgeCounts,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "delete from core.keyword_observations
         where (observed_at, keyword_observation_id) in (
             select observed_at, keyword_observation_id
             from core.keyword_observations join core.keywords using (keyword_id)
             where keywords.marketplace = $1 and keyword_observations.fetched_at <= $2
               and keyword_observations.resource <> all($4)
             limit $3)",
        marketplace.name(),
        bound,
        BATCH_ROWS,
        &Resource::imported_names(),
    )
    .execute(connection)
    .await?
    .rows_affected();
    counts.keyword_observation_count += deleted as i64;
    Ok(deleted > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_ever_has_no_bound_and_the_unread_have_twice_the_time() {
        let as_of: DateTime<Utc> = "2026-03-11T06:00:00Z".parse().unwrap();
        let bounds = Bounds::of(&Rules::default_of(Marketplace::Etsy), as_of);
        assert_eq!(bounds.listings, Some(as_of - TimeDelta::hours(6)));
        assert_eq!(bounds.unread_listings, Some(as_of - TimeDelta::hours(12)));
        assert_eq!((bounds.raw, bounds.aggregates), (Some(as_of - TimeDelta::hours(24)), None));
        let none = Bounds { listings: None, raw: None, unread_listings: None, unread_raw: None, aggregates: None };
        assert_eq!(Bounds::of(&Rules::UNLIMITED, as_of), none);
        let endless = Rules { listing_retention: Some(TimeDelta::MAX), ..Rules::UNLIMITED };
        assert_eq!(Bounds::of(&endless, as_of), none);
    }
}
