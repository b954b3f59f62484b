//! Listings, which many payloads speak of: what they say is merged, whatever the order in which they are read.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Site};
use sqlx::{PgConnection, Row};

use super::Said;
use super::copy::Rows;
use super::reread::TableChanges;
use crate::reading::ListingReading;

/// A listing by the marketplace's own identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ListingKey<'a> {
    marketplace: Marketplace,
    market: &'a str,
    marketplace_listing_id: &'a str,
}

impl<'a> ListingKey<'a> {
    pub(super) fn new(site: &'a Site, marketplace_listing_id: &'a str) -> ListingKey<'a> {
        ListingKey { marketplace: site.marketplace, market: &site.market, marketplace_listing_id }
    }
}

/// What some payloads say of listings, each listing once.
#[derive(Default)]
pub(super) struct Listings<'a> {
    places: HashMap<ListingKey<'a>, usize>,
    known: Vec<Known<'a>>,
}

/// The identifiers of listings in their table.
pub(super) struct ListingIds<'a> {
    places: HashMap<ListingKey<'a>, usize>,
    ids: Vec<i64>,
}

impl ListingIds<'_> {
    /// Returns the identifier of a listing that was merged.
    pub(super) fn of(&self, key: ListingKey<'_>) -> i64 {
        self.ids[self.places[&key]]
    }
}

/// What is known of a listing, and when each was told last.
struct Known<'a> {
    key: ListingKey<'a>,
    title: Told<&'a str>,
    seller: Told<&'a str>,
    brand: Told<&'a str>,
    listing_url: Told<&'a str>,
    listed_at: Told<DateTime<Utc>>,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
}

/// Something that was told at a moment, or never.
type Told<Value> = Option<(DateTime<Utc>, Value)>;

impl<'a> Listings<'a> {
    /// Gathers what payloads say of listings.
    pub(super) fn of(said: &[Said<'a>]) -> Listings<'a> {
        let mut listings = Listings::default();
        for Said { payload, reading } in said {
            for listing in &reading.listings {
                let key = ListingKey::new(&payload.site, &listing.marketplace_listing_id);
                listings.add(key, listing, payload.fetched_at);
            }
        }
        listings
    }

    /// Adds what a payload, fetched at a moment, says of a listing.
    fn add(&mut self, key: ListingKey<'a>, listing: &'a ListingReading, seen_at: DateTime<Utc>) {
        let told = |text: &'a Option<String>| text.as_deref().map(|text| (seen_at, text));
        let place = *self.places.entry(key).or_insert(self.known.len());
        if place == self.known.len() {
            self.known.push(Known::new(key, seen_at));
        }
        let known = &mut self.known[place];
        // Of two that were told at the same moment, the greater one counts, as in merge_listings.sql.
        known.title = known.title.max(told(&listing.title));
        known.seller = known.seller.max(told(&listing.seller));
        known.brand = known.brand.max(told(&listing.brand));
        known.listing_url = known.listing_url.max(told(&listing.listing_url));
        known.listed_at = known.listed_at.max(listing.listed_at.map(|listed_at| (seen_at, listed_at)));
        known.first_seen_at = known.first_seen_at.min(seen_at);
        known.last_seen_at = known.last_seen_at.max(seen_at);
    }

    /// Merges them into the table and returns their identifiers there.
    pub(super) async fn merge(self, connection: &mut PgConnection) -> Result<ListingIds<'a>, sqlx::Error> {
        self.stage(connection).await?;
        self.merge_staged(connection).await
    }

    /// Merges them where they were merged before, from another reading of the same payloads, and tells what differs.
    #[expect(clippy::disallowed_methods, reason = "a temporary table is not there when queries are checked")]
    pub(super) async fn merge_anew(
        self,
        connection: &mut PgConnection,
    ) -> Result<(ListingIds<'a>, TableChanges), sqlx::Error> {
        let mut changes = TableChanges { table: "core.listings".to_owned(), ..TableChanges::default() };
        if !self.known.is_empty() {
            self.stage(connection).await?;
            changes.new_count = sqlx::query_scalar(
                "select count(*) from staged_listings
                 left join core.listings using (marketplace, market, marketplace_listing_id) where listing_id is null",
            )
            .fetch_one(&mut *connection)
            .await?;
            let changed = sqlx::query(include_str!("reread_listings.sql")).execute(&mut *connection).await?;
            changes.changed_count = changed.rows_affected() as i64;
            changes.same_count = self.known.len() as i64 - changes.new_count - changes.changed_count;
        }
        Ok((self.merge_staged(connection).await?, changes))
    }

    /// Copies them to where they wait to be merged.
    #[expect(clippy::disallowed_methods, reason = "a temporary table is not there when queries are checked")]
    async fn stage(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.known.is_empty() {
            return Ok(());
        }
        sqlx::query(STAGING).execute(&mut *connection).await?;
        let mut rows = Rows::new();
        for known in &self.known {
            known.write(&mut rows)?;
        }
        rows.send(connection, "copy staged_listings from stdin (format binary)").await
    }

    #[expect(clippy::disallowed_methods, reason = "a temporary table is not there when queries are checked")]
    async fn merge_staged(self, connection: &mut PgConnection) -> Result<ListingIds<'a>, sqlx::Error> {
        let Listings { places, known } = self;
        let mut ids = vec![0; known.len()];
        if known.is_empty() {
            return Ok(ListingIds { places, ids });
        }
        for row in sqlx::query(include_str!("merge_listings.sql")).fetch_all(connection).await? {
            let marketplace: &str = row.try_get("marketplace")?;
            let key = ListingKey {
                marketplace: marketplace.parse().map_err(|problem| sqlx::Error::Decode(Box::new(problem)))?,
                market: row.try_get("market")?,
                marketplace_listing_id: row.try_get("marketplace_listing_id")?,
            };
            ids[places[&key]] = row.try_get("listing_id")?;
        }
        Ok(ListingIds { places, ids })
    }
}

/// Where listings wait to be merged; one for each connection, and empty between transactions.
const STAGING: &str = "create temporary table if not exists staged_listings (
    marketplace text, market text, marketplace_listing_id text, title text, title_seen_at timestamptz, seller text,
    seller_seen_at timestamptz, brand text, brand_seen_at timestamptz, listing_url text, listing_url_seen_at timestamptz,
    listed_at timestamptz, listed_at_seen_at timestamptz, first_seen_at timestamptz, last_seen_at timestamptz
) on commit delete rows";

impl<'a> Known<'a> {
    fn new(key: ListingKey<'a>, seen_at: DateTime<Utc>) -> Known<'a> {
        Known {
            key,
            title: None,
            seller: None,
            brand: None,
            listing_url: None,
            listed_at: None,
            first_seen_at: seen_at,
            last_seen_at: seen_at,
        }
    }

    fn write(&self, rows: &mut Rows) -> Result<(), sqlx::Error> {
        rows.begin(15);
        rows.field(self.key.marketplace.name())?;
        rows.field(self.key.market)?;
        rows.field(self.key.marketplace_listing_id)?;
        for told in [self.title, self.seller, self.brand, self.listing_url] {
            rows.field(told.map(|(_, text)| text))?;
            rows.field(told.map(|(told_at, _)| told_at))?;
        }
        rows.field(self.listed_at.map(|(_, listed_at)| listed_at))?;
        rows.field(self.listed_at.map(|(told_at, _)| told_at))?;
        rows.field(self.first_seen_at)?;
        rows.field(self.last_seen_at)
    }
}
