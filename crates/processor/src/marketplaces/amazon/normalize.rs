//! Amazon's catalog search in our words.

use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;

use super::payload::{Item, ItemSalesRanks, ItemSearchResults, Refinements};
use crate::entries::{Asked, Entries, Observations, numeric_parameter, query_parameter};
use crate::guard::Guard;
use crate::reading::{ListingReading, Problem, ReadError, Reading};
use crate::rows::{self, Named};

/// `pageSize` where the request names none.
const DEFAULT_PAGE_SIZE: u64 = 10;

/// Reads a page of `searchCatalogItems`.
///
/// `numberOfResults` is an estimate. Sellers are not named, so brands stand for them, those of the page's items.
pub(super) fn catalog_search(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let page: ItemSearchResults = guard.frame(&payload.body, "items")?;
    let result_count = rows::count(page.number_of_results, "/numberOfResults")?;
    let mut entries = Entries::read(guard, &page.items, "/items", listing);
    let brands = entries.brand_concentration(page.refinements, "/refinements", |refinements: Refinements| {
        refinements.brands.into_iter().map(|brand| brand.number_of_results).collect()
    });

    // The answer does not say where it stands: the first page is the one that was asked for without a token.
    let is_first_page = query_parameter(&payload.request_url, "pageToken").is_none();
    let mut observations = Observations::of(asked, payload);
    if is_first_page {
        observations.add(Metric::ResultCount, Observed::Value(result_count as f64));
        observations.add(Metric::SellerCount, entries.distinct(|listing| listing.brand.as_deref()));
        observations.add(Metric::SellerConcentration, entries.concentration(|listing| listing.brand.as_deref()));
        observations.add(Metric::BrandConcentration, brands);
        let sales_rank_median = entries.median(|listing| listing.sales_rank, "no entry has a sales rank");
        observations.add(Metric::SalesRankMedian, sales_rank_median);
        observations.add(Metric::NewListingShare, entries.new_listing_share(payload.fetched_at));
        observations.add(Metric::TitleMatchShare, entries.title_match_share(asked));
    }
    let offset = match is_first_page {
        true => 0,
        false => {
            let page_size = numeric_parameter(&payload.request_url, "pageSize", DEFAULT_PAGE_SIZE)?;
            u64::from(payload.page_number.max(1).unsigned_abs() - 1).saturating_mul(page_size)
        }
    };
    entries.into_search_reading(observations.into_list(), offset)
}

fn listing(item: Item) -> Result<ListingReading, Problem> {
    // A search covers exactly one marketplace, so there is one summary at most.
    let summary = item.summaries.as_ref().and_then(|summaries| summaries.first());
    let listed_at = match summary.and_then(|summary| summary.release_date.as_deref()) {
        Some(release_date) => Some(rows::date_start(release_date, "/summaries/0/releaseDate")?),
        None => None,
    };
    Ok(ListingReading {
        marketplace_listing_id: rows::identifier(&item.asin, "/asin")?,
        title: summary.and_then(|summary| rows::text(summary.item_name.as_deref())),
        brand: summary.and_then(|summary| rows::text(summary.brand.as_deref())),
        listed_at,
        sales_rank: best_rank(item.sales_ranks.as_deref().unwrap_or_default())?,
        ..ListingReading::default()
    })
}

/// Returns the best rank over all categories.
fn best_rank(sales_ranks: &[Named<ItemSalesRanks>]) -> Result<Option<i64>, Problem> {
    let of_groups = sales_ranks.iter().flat_map(|ranks| ranks.display_group_ranks.iter().flatten());
    let of_classifications = sales_ranks.iter().flat_map(|ranks| ranks.classification_ranks.iter().flatten());
    let Some(best) = of_groups.chain(of_classifications).map(|sales_rank| sales_rank.rank).min() else {
        return Ok(None);
    };
    if best == 0 {
        return Err(Problem::at("/salesRanks", "a rank is 0, the best there is is 1"));
    }
    rows::count(best, "/salesRanks").map(Some)
}
