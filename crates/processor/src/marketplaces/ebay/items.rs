//! eBay's items in our words: what a search does not tell of them.

use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;

use super::normalize::{feedback_score, moment, price};
use super::payload::{EstimatedAvailability, Item, Items};
use crate::entries::{Asked, Entries, Observations, query_parameter};
use crate::guard::Guard;
use crate::reading::{ListingReading, Problem, ReadError, Reading};
use crate::rows;

/// Reads the items of one search again, now with what was sold of each since it began.
///
/// Items that are gone come as warnings; they are counted. Positions are those of the search, not of this answer.
pub(super) fn item_details(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let page: Items = guard.frame(&payload.body, "items")?;
    let raw_items = page.items.as_deref().unwrap_or_default();
    let warning_count = page.warnings.as_deref().unwrap_or_default().len();
    if page.items.is_none() && warning_count == 0 {
        return Err(Problem::at("/items", "absent").into());
    }
    let missing_count = match asked_count(&payload.request_url) {
        Some(asked_count) => asked_count.saturating_sub(raw_items.len()),
        None => warning_count,
    };
    let entries = Entries::read(guard, raw_items, "/items", listing).with_missing(missing_count);

    let mut observations = Observations::of(asked, payload);
    let is_of_first_page = payload.page_number <= 1;
    if is_of_first_page {
        let of_none = Observed::Unavailable("no item tells how many were sold");
        observations.add(Metric::SoldCountTotal, entries.sum(|listing| listing.sold_count, of_none));
        let telling = entries.sum(|listing| listing.sold_count.map(|_| 1), Observed::Value(0.0));
        observations.add(Metric::SoldCountListings, telling);
        let reviews = entries.median(|listing| listing.review_count, "no item tells its reviews");
        observations.add(Metric::IncumbentReviewMedian, reviews);
    }
    Ok(entries.into_reading(observations.into_list()))
}

/// Returns how many items were asked for.
fn asked_count(url: &str) -> Option<usize> {
    let item_ids = query_parameter(url, "item_ids")?;
    let separated = item_ids.replace("%2C", ",").replace("%2c", ",");
    Some(separated.split(',').filter(|item_id| !item_id.is_empty()).count())
}

fn listing(item: Item) -> Result<ListingReading, Problem> {
    let is_auction = item.buying_options.iter().flatten().any(|option| option == "AUCTION");
    let price = match (&item.current_bid_price, &item.price) {
        (Some(bid), _) if is_auction => Some(price(bid, "/currentBidPrice")?),
        (_, Some(fixed)) => Some(price(fixed, "/price")?),
        _ => None,
    };
    let bid_count = rows::count(item.bid_count.unwrap_or(0), "/bidCount")?;
    let listed_at = match (&item.item_origin_date, &item.item_creation_date) {
        (Some(origin), _) => Some(moment(origin, "/itemOriginDate")?),
        (None, Some(creation)) => Some(moment(creation, "/itemCreationDate")?),
        (None, None) => None,
    };
    let most = |quantity: fn(&EstimatedAvailability) -> Option<u64>| {
        // The ways of delivery share one stock.
        item.estimated_availabilities.iter().flatten().filter_map(|one| quantity(one)).max()
    };
    let review_count = item.primary_product_review_rating.as_ref().and_then(|rating| rating.review_count);
    Ok(ListingReading {
        marketplace_listing_id: rows::identifier(&item.item_id, "/itemId")?,
        title: rows::text(item.title.as_deref()),
        seller: item.seller.as_ref().and_then(|seller| rows::text(seller.username.as_deref())),
        listing_url: rows::text(item.item_web_url.as_deref()),
        listed_at,
        price,
        bid_count: is_auction.then_some(bid_count),
        seller_feedback_score: feedback_score(item.seller.as_deref())?,
        sold_count: rows::optional_count(most(|one| one.estimated_sold_quantity), "/estimatedAvailabilities")?,
        available_count: rows::optional_count(
            most(|one| one.estimated_available_quantity),
            "/estimatedAvailabilities",
        )?,
        watch_count: rows::optional_count(item.watch_count, "/watchCount")?,
        review_count: rows::optional_count(review_count, "/primaryProductReviewRating/reviewCount")?,
        ..ListingReading::default()
    })
}
