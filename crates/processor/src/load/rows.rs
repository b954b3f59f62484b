//! The rows of readings, table by table, on their way into the tables or beside them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Said;
use super::copy::Rows;
use super::listings::{ListingIds, ListingKey};

/// A table of rows that each come from one payload.
pub(crate) struct Table {
    /// Its name in the schema `core`.
    pub(crate) name: &'static str,
    /// The columns that are filled, in the order of COPY.
    columns: &'static str,
    /// The columns that tell its rows apart.
    pub(crate) key: &'static [&'static str],
    /// Whether it holds differences between samples too, which no single payload tells.
    pub(crate) holds_differences: bool,
}

impl Table {
    /// Returns the columns that are filled.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.split(", ")
    }

    /// Returns the columns in which two readings of a payload may differ: neither the key nor when they were made.
    pub(crate) fn content(&self) -> impl Iterator<Item = &'static str> {
        self.columns().filter(|column| !self.key.contains(column) && *column != "ingested_at")
    }
}

/// All of them.
pub(crate) const TABLES: [&Table; 5] =
    [&KEYWORD_OBSERVATIONS, &LISTING_OBSERVATIONS, &SERP_ENTRIES, &SELLER_OBSERVATIONS, &KEYWORD_CATEGORIES];

const KEYWORD_OBSERVATIONS: Table = Table {
    name: "keyword_observations",
    columns: "keyword_id, metric, value, unit, value_status, status_reason, resource, observed_at, \
              period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id",
    key: &["raw_payload_id", "keyword_id", "metric", "period_start_date", "observed_at"],
    holds_differences: true,
};

const LISTING_OBSERVATIONS: Table = Table {
    name: "listing_observations",
    columns: "raw_payload_id, listing_id, observed_at, price_amount, price_currency, view_count, \
              favorite_count, sales_rank, bid_count, seller_feedback_score, is_promoted, sold_count, \
              available_count, watch_count, review_count, recent_review_count, review_average, ingested_at",
    key: &["raw_payload_id", "listing_id", "observed_at"],
    holds_differences: false,
};

const SERP_ENTRIES: Table = Table {
    name: "serp_entries",
    columns: "raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at, ingested_at",
    key: &["raw_payload_id", "position", "observed_at"],
    holds_differences: false,
};

const SELLER_OBSERVATIONS: Table = Table {
    name: "seller_observations",
    columns: "raw_payload_id, marketplace, market, seller, observed_at, sold_count, active_listing_count, \
              review_count, review_average, favorite_count, ingested_at",
    key: &["raw_payload_id", "seller", "observed_at"],
    holds_differences: false,
};

const KEYWORD_CATEGORIES: Table = Table {
    name: "keyword_categories",
    columns: "raw_payload_id, relevancy_rank, keyword_id, category_id, category_name, observed_at, \
              ingested_at",
    key: &["raw_payload_id", "relevancy_rank", "observed_at"],
    holds_differences: false,
};

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the tables themselves.
    Core,
    /// Into temporary tables of the same names with `reread_` before them, to be compared.
    Beside,
}

impl Place {
    fn copy_statement(self, table: &Table) -> String {
        let before = match self {
            Place::Core => "core.",
            Place::Beside => "reread_",
        };
        format!("copy {before}{} ({}) from stdin (format binary)", table.name, table.columns)
    }
}

/// Copies everything that some payloads say.
pub(super) async fn copy(
    tx: &mut PgConnection,
    said: &[Said<'_>],
    listing_ids: &ListingIds<'_>,
    now: DateTime<Utc>,
    place: Place,
) -> Result<(), sqlx::Error> {
    copy_observations(tx, said, now, place).await?;
    copy_listing_observations(tx, said, listing_ids, now, place).await?;
    copy_serp_entries(tx, said, listing_ids, now, place).await?;
    copy_seller_observations(tx, said, now, place).await?;
    copy_keyword_categories(tx, said, now, place).await
}

async fn copy_observations(
    tx: &mut PgConnection,
    said: &[Said<'_>],
    now: DateTime<Utc>,
    place: Place,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for Said { payload, reading } in said {
        // What an answer says twice, of one keyword and period, is said once.
        let mut said = HashSet::with_capacity(reading.observations.len());
        for observation in &reading.observations {
            if !said.insert((observation.keyword_id, observation.metric, observation.period.start_date())) {
                continue;
            }
            rows.begin(15);
            rows.field(observation.keyword_id)?;
            rows.field(observation.metric.name())?;
            rows.field(observation.observed.value())?;
            rows.field(observation.unit.as_str())?;
            rows.field(observation.observed.status())?;
            rows.field(observation.observed.reason())?;
            rows.field(payload.resource.name())?;
            rows.field(observation.period.observed_at())?;
            rows.field(observation.period.start_date())?;
            rows.field(observation.period.end_date())?;
            rows.field(observation.period.kind())?;
            rows.field(payload.fetched_at)?;
            rows.field(now)?;
            rows.field(payload.raw_payload_id)?;
            rows.field(payload.crawl_run_id)?;
        }
    }
    rows.send(tx, &place.copy_statement(&KEYWORD_OBSERVATIONS)).await
}

async fn copy_listing_observations(
    tx: &mut PgConnection,
    said: &[Said<'_>],
    listing_ids: &ListingIds<'_>,
    now: DateTime<Utc>,
    place: Place,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for Said { payload, reading } in said {
        for listing in &reading.listings {
            rows.begin(18);
            rows.field(payload.raw_payload_id)?;
            rows.field(listing_ids.of(ListingKey::new(&payload.site, &listing.marketplace_listing_id)))?;
            rows.field(payload.fetched_at)?;
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
    rows.send(tx, &place.copy_statement(&LISTING_OBSERVATIONS)).await
}

async fn copy_serp_entries(
    tx: &mut PgConnection,
    said: &[Said<'_>],
    listing_ids: &ListingIds<'_>,
    now: DateTime<Utc>,
    place: Place,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for Said { payload, reading } in said {
        let Some(keyword_id) = payload.keyword_id else { continue };
        for entry in &reading.serp_entries {
            rows.begin(7);
            rows.field(payload.raw_payload_id)?;
            rows.field(entry.position)?;
            rows.field(keyword_id)?;
            rows.field(listing_ids.of(ListingKey::new(&payload.site, &entry.marketplace_listing_id)))?;
            rows.field(entry.kind.name())?;
            rows.field(payload.fetched_at)?;
            rows.field(now)?;
        }
    }
    rows.send(tx, &place.copy_statement(&SERP_ENTRIES)).await
}

async fn copy_seller_observations(
    tx: &mut PgConnection,
    said: &[Said<'_>],
    now: DateTime<Utc>,
    place: Place,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for Said { payload, reading } in said {
        for seller in &reading.sellers {
            rows.begin(11);
            rows.field(payload.raw_payload_id)?;
            rows.field(payload.site.marketplace.name())?;
            rows.field(payload.site.market.as_str())?;
            rows.field(seller.seller.as_str())?;
            rows.field(payload.fetched_at)?;
            rows.field(seller.sold_count)?;
            rows.field(seller.active_listing_count)?;
            rows.field(seller.review_count)?;
            rows.field(seller.review_average)?;
            rows.field(seller.favorite_count)?;
            rows.field(now)?;
        }
    }
    rows.send(tx, &place.copy_statement(&SELLER_OBSERVATIONS)).await
}

async fn copy_keyword_categories(
    tx: &mut PgConnection,
    said: &[Said<'_>],
    now: DateTime<Utc>,
    place: Place,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new();
    for Said { payload, reading } in said {
        let Some(keyword_id) = payload.keyword_id else { continue };
        for category in &reading.categories {
            rows.begin(7);
            rows.field(payload.raw_payload_id)?;
            rows.field(category.relevancy_rank)?;
            rows.field(keyword_id)?;
            rows.field(category.category_id.as_str())?;
            rows.field(category.category_name.as_deref())?;
            rows.field(payload.fetched_at)?;
            rows.field(now)?;
        }
    }
    rows.send(tx, &place.copy_statement(&KEYWORD_CATEGORIES)).await
}
