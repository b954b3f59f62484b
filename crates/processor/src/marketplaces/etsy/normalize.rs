//! Etsy's listings in our words.

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;
use rust_decimal::Decimal;

use super::payload::{Money, ShopListing, ShopListings};
use crate::entries::{Asked, Entries, Observations, numeric_parameter};
use crate::guard::Guard;
use crate::reading::{ListingReading, Price, Problem, ReadError, Reading};
use crate::rows;

/// The contract's least timestamp, the start of the year 2000.
const MIN_TIMESTAMP: i64 = 946_684_800;
/// The start of the year 2100.
const MAX_TIMESTAMP: i64 = 4_102_444_800;

/// Reads a page of `findAllListingsActive`.
///
/// Shops are known by number only. `price` is the least over a listing's variations.
pub(super) fn listing_search(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let page: ShopListings = guard.frame(&payload.body, "results")?;
    let result_count = rows::count(page.count, "/count")?;
    let entries = read_listings(guard, &page, payload.fetched_at);

    // The answer does not say where it stands: the request does.
    let offset = numeric_parameter(&payload.request_url, "offset", 0)?;
    let mut observations = Observations::of(asked, payload);
    if offset == 0 {
        observations.add(Metric::ResultCount, Observed::Value(result_count as f64));
        observations.add(Metric::SellerCount, entries.distinct(|listing| listing.seller.as_deref()));
        observations.add(Metric::SellerConcentration, entries.concentration(|listing| listing.seller.as_deref()));
        observations.add_prices(&entries);
        let untold = "no entry tells its favourites";
        observations.add(Metric::FavoriteMedian, entries.median(|listing| listing.favorite_count, untold));
        let of_incumbents = entries.incumbent_median(|listing| listing.favorite_count, untold);
        observations.add(Metric::IncumbentFavoriteMedian, of_incumbents);
        observations.add(Metric::NewListingShare, entries.new_listing_share(payload.fetched_at));
        observations.add(Metric::TitleMatchShare, entries.title_match_share(asked));
    }
    entries.into_search_reading(observations.into_list(), offset)
}

/// Reads the listings of one search again, now with their views. They come in no order that means anything.
pub(super) fn listing_batch(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let page: ShopListings = guard.frame(&payload.body, "results")?;
    let entries = read_listings(guard, &page, payload.fetched_at);

    let mut observations = Observations::of(asked, payload);
    let is_of_first_page = payload.page_number <= 1;
    if is_of_first_page {
        let of_none = Observed::Unavailable("no listing of the page tells its views");
        observations.add(Metric::ListingViewsTotal, entries.sum(|listing| listing.view_count, of_none));
    }
    Ok(entries.into_reading(observations.into_list()))
}

fn read_listings(guard: &mut Guard<'_>, page: &ShopListings<'_>, fetched_at: DateTime<Utc>) -> Entries {
    Entries::read(guard, &page.results, "/results", |listing| normalize(listing, fetched_at))
}

fn normalize(listing: ShopListing, fetched_at: DateTime<Utc>) -> Result<ListingReading, Problem> {
    if listing.listing_id == 0 || i64::try_from(listing.listing_id).is_err() {
        return Err(Problem::at("/listing_id", "not an identifier"));
    }
    // Renewing a listing moves its creation, but not its original creation.
    let listed_at = match (listing.original_creation_timestamp, listing.creation_timestamp, listing.created_timestamp) {
        (Some(seconds), _, _) => Some(moment(seconds, "/original_creation_timestamp")?),
        (None, Some(seconds), _) => Some(moment(seconds, "/creation_timestamp")?),
        (None, None, Some(seconds)) => Some(moment(seconds, "/created_timestamp")?),
        (None, None, None) => None,
    };
    let views = listing.views.map(|views| rows::count(views, "/views")).transpose()?;
    // Views are counted once a day, so the zero of a new listing means that nobody has counted yet.
    let is_counted = listed_at.is_none_or(|listed_at| fetched_at - listed_at >= TimeDelta::days(1));
    Ok(ListingReading {
        marketplace_listing_id: listing.listing_id.to_string(),
        title: rows::text(listing.title.as_deref()),
        seller: listing.shop_id.map(|shop_id| shop_id.to_string()),
        listing_url: rows::text(listing.url.as_deref()),
        listed_at,
        price: listing.price.as_deref().map(price).transpose()?,
        view_count: views.filter(|views| *views > 0 || is_counted),
        favorite_count: listing.num_favorers.map(|favorers| rows::count(favorers, "/num_favorers")).transpose()?,
        ..ListingReading::default()
    })
}

pub(super) fn moment(seconds: i64, json_pointer: &str) -> Result<DateTime<Utc>, Problem> {
    Some(seconds)
        .filter(|seconds| (MIN_TIMESTAMP..MAX_TIMESTAMP).contains(seconds))
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or_else(|| Problem::at(json_pointer, format!("{seconds} is not a time since 2000")))
}

/// Divides exactly: a power of ten only moves the point, so the amount keeps the places the currency has.
fn price(money: &Money) -> Result<Price, Problem> {
    let currency = rows::currency(&money.currency_code, "/price/currency_code")?;
    let amount = rows::count(money.amount, "/price/amount")?;
    let places = money.divisor.checked_ilog10().filter(|places| 10u64.pow(*places) == money.divisor);
    let Some(places) = places.filter(|places| *places <= Decimal::MAX_SCALE) else {
        return Err(Problem::at("/price/divisor", format!("{} is not a power of ten", money.divisor)));
    };
    Ok(Price { amount: Decimal::new(amount, places), currency })
}
