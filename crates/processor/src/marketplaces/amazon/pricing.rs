//! Amazon's prices in our words: what listings of one search cost.

use digitallz_common::raw_payload::RawPayload;

use super::payload::{
    CompetitiveSummaryBatchResponse, CompetitiveSummaryResponse, CompetitiveSummaryResponseBody, Offer,
};
use super::search_query::amount;
use crate::entries::{Asked, Entries, Observations};
use crate::guard::Guard;
use crate::reading::{ListingReading, Price, Problem, ReadError, Reading};
use crate::rows;

/// Reads the answers of one batch of `getCompetitiveSummary`.
///
/// The price of a listing is that of its featured offer, of several the one that most visitors see; without one, the
/// lowest of its offers in new condition. Shipping, points and promotions are not in it.
pub(super) fn competitive_pricing(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let batch: CompetitiveSummaryBatchResponse = guard.frame(&payload.body, "responses")?;
    let entries = Entries::read_present(guard, &batch.responses, "/responses", listing);

    let mut observations = Observations::of(asked, payload);
    let is_of_first_page = payload.page_number <= 1;
    if is_of_first_page {
        observations.add_prices(&entries);
    }
    Ok(entries.into_reading(observations.into_list()))
}

/// Reads one answer of the batch; nothing when the listing is gone.
fn listing(response: CompetitiveSummaryResponse) -> Result<Option<ListingReading>, Problem> {
    match response.status.status_code {
        None | Some(200..=299) => {}
        Some(404) => return Ok(None),
        Some(status) => {
            let phrase = response.status.reason_phrase.as_deref().unwrap_or_default();
            return Err(Problem::at("/status/statusCode", format!("{status} {}", rows::cut(phrase, 100))));
        }
    }
    Ok(Some(ListingReading {
        marketplace_listing_id: rows::identifier(&response.body.asin, "/body/asin")?,
        price: price(&response.body)?,
        ..ListingReading::default()
    }))
}

fn price(body: &CompetitiveSummaryResponseBody) -> Result<Option<Price>, Problem> {
    let featured = body.featured_buying_options.iter().flatten().flat_map(|option| &option.segmented_featured_offers);
    // Of equally many visitors, the first counts.
    let featured = featured.rev().max_by(|left, right| visitors(left).total_cmp(&visitors(right)));
    if let Some(offer) = featured {
        return amount(&offer.listing_price, "/body/featuredBuyingOptions").map(Some);
    }
    let lists = body.lowest_priced_offers.iter().flatten();
    let new = lists.filter(|list| list.lowest_priced_offers_input.item_condition.eq_ignore_ascii_case("new"));
    let prices = new
        .flat_map(|list| &list.offers)
        .map(|offer| amount(&offer.listing_price, "/body/lowestPricedOffers"))
        .collect::<Result<Vec<Price>, Problem>>()?;
    Ok(prices.into_iter().min_by_key(|price| price.amount))
}

/// Returns the percentage of visitors to whom an offer is shown, as far as it is told.
fn visitors(offer: &Offer) -> f64 {
    let segments = offer.featured_offer_segments.iter().flatten();
    let weights = segments.filter_map(|segment| segment.segment_details.as_ref()?.glance_view_weight_percentage);
    // Nothing told is zero, as zero told is; the sum of nothing would be less, a negative zero.
    weights.fold(0.0, |sum, weight| sum + weight)
}
