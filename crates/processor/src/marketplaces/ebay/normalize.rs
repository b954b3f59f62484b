//! eBay's item summaries in our words.

use chrono::{DateTime, Utc};
use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;

use super::payload::{ConvertedAmount, ItemSummary, Refinement, SearchPagedCollection, Seller};
use crate::entries::{Asked, Entries, Observations, query_parameter};
use crate::guard::Guard;
use crate::reading::{ListingReading, Price, Problem, ReadError, Reading};
use crate::rows;

/// What eBay calls the brand on its country sites.
const BRAND: [&str; 6] = ["Brand", "Marke", "Marque", "Marca", "Merk", "Marka"];
/// Largest feedback score that is believed, either way.
const MAX_FEEDBACK_SCORE: u64 = 1_000_000_000;

/// Reads a page of `item_summary/search`.
///
/// `total` is eBay's own indicator of the number of listings.
pub(super) fn item_search(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let page: SearchPagedCollection = guard.frame(&payload.body, "itemSummaries")?;
    let result_count = rows::count(page.total, "/total")?;
    let is_first_page = page.offset == 0;
    if is_first_page && page.item_summaries.is_none() && page.total > 0 {
        return Err(Problem::at("/itemSummaries", format!("absent, although total is {}", page.total)).into());
    }
    let mut entries =
        Entries::read(guard, page.item_summaries.as_deref().unwrap_or_default(), "/itemSummaries", listing);
    let brands = entries.brand_concentration(page.refinement, "/refinement", |refinement: Refinement| {
        let aspects = refinement.aspect_distributions.into_iter().flatten();
        let brands = aspects.filter(|aspect| BRAND.contains(&aspect.localized_aspect_name.as_str()));
        brands.flat_map(|aspect| aspect.0.aspect_value_distributions).map(|value| value.match_count).collect()
    });

    let mut observations = Observations::of(asked, payload);
    if is_first_page {
        observations.add(Metric::ResultCount, Observed::Value(result_count as f64));
        observations.add(Metric::SellerCount, entries.distinct(|listing| listing.seller.as_deref()));
        observations.add(Metric::SellerConcentration, entries.concentration(|listing| listing.seller.as_deref()));
        observations.add(Metric::BrandConcentration, brands);
        observations.add_prices(&entries);
        observations.add(Metric::NewListingShare, entries.new_listing_share(payload.fetched_at));
        observations.add(Metric::SellerFeedbackMedian, entries.seller_feedback_median());
        observations.add(Metric::TitleMatchShare, entries.title_match_share(asked));
        observations.add(Metric::PromotedShare, promoted_share(&entries, &payload.request_url));
        let no_auctions = no_auctions(&payload.request_url);
        observations.add(Metric::AuctionBids, entries.sum(|listing| listing.bid_count, no_auctions.clone()));
        observations.add(Metric::AuctionCount, entries.sum(|listing| listing.bid_count.map(|_| 1), no_auctions));
    }
    entries.into_search_reading(observations.into_list(), page.offset)
}

/// Promoted items are marked only where eBay sorts by best match, which it does when not told otherwise.
fn promoted_share(entries: &Entries, request_url: &str) -> Observed {
    match query_parameter(request_url, "sort") {
        Some(sort) if !sort.eq_ignore_ascii_case("bestMatch") => {
            Observed::Unavailable("promoted items are marked under best match only")
        }
        _ => entries.share(|listing| listing.is_promoted == Some(true)),
    }
}

/// What a page without auctions says of them: a search shows fixed prices only, unless it asks for auctions.
fn no_auctions(request_url: &str) -> Observed {
    match query_parameter(request_url, "filter").is_some_and(|filter| filter.contains("AUCTION")) {
        true => Observed::Value(0.0),
        false => Observed::Unavailable("the search did not ask for auctions"),
    }
}

fn listing(item: ItemSummary) -> Result<ListingReading, Problem> {
    let is_auction = item.buying_options.iter().flatten().any(|option| option == "AUCTION");
    let price = match (&item.current_bid_price, &item.price) {
        (Some(bid), _) if is_auction => Some(price(bid, "/currentBidPrice")?),
        (_, Some(fixed)) => Some(price(fixed, "/price")?),
        _ => None,
    };
    let bid_count = rows::count(item.bid_count.unwrap_or(0), "/bidCount")?;
    let feedback_score = feedback_score(item.seller.as_deref())?;
    let listed_at = match (&item.item_origin_date, &item.item_creation_date) {
        (Some(origin), _) => Some(moment(origin, "/itemOriginDate")?),
        (None, Some(creation)) => Some(moment(creation, "/itemCreationDate")?),
        (None, None) => None,
    };
    Ok(ListingReading {
        marketplace_listing_id: rows::identifier(&item.item_id, "/itemId")?,
        title: rows::text(item.title.as_deref()),
        seller: item.seller.as_ref().and_then(|seller| rows::text(seller.username.as_deref())),
        listing_url: rows::text(item.item_web_url.as_deref()),
        listed_at,
        price,
        bid_count: is_auction.then_some(bid_count),
        seller_feedback_score: feedback_score,
        is_promoted: Some(item.priority_listing == Some(true)),
        ..ListingReading::default()
    })
}

pub(super) fn feedback_score(seller: Option<&Seller>) -> Result<Option<i64>, Problem> {
    let feedback_score = seller.and_then(|seller| seller.feedback_score);
    if let Some(score) = feedback_score.filter(|score| score.unsigned_abs() > MAX_FEEDBACK_SCORE) {
        return Err(Problem::at("/seller/feedbackScore", format!("{score} is not a feedback score")));
    }
    Ok(feedback_score)
}

pub(super) fn price(amount: &ConvertedAmount, json_pointer: &str) -> Result<Price, Problem> {
    let value = rows::amount(&amount.value, &format!("{json_pointer}/value"))?;
    Ok(Price { amount: value, currency: rows::currency(&amount.currency, &format!("{json_pointer}/currency"))? })
}

pub(super) fn moment(text: &str, json_pointer: &str) -> Result<DateTime<Utc>, Problem> {
    rows::date(text, json_pointer)?;
    let moment = DateTime::parse_from_rfc3339(text).map_err(|_| Problem::at(json_pointer, "not a time"))?;
    Ok(moment.with_timezone(&Utc))
}
