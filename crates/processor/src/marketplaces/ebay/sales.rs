//! eBay's sold items in our words.

use digitallz_common::observation::{Metric, Observed, Period};
use digitallz_common::raw_payload::RawPayload;

use super::normalize::price;
use super::payload::{ItemSales, SalesHistoryPagedCollection};
use crate::entries::{Asked, Entries, Observations};
use crate::guard::Guard;
use crate::reading::{ListingReading, Problem, ReadError, Reading};
use crate::rows;

/// Reads a page of `item_sales/search`: what sold within the 90 days before.
///
/// The observations are about the first page, that is about the listings eBay names first; `total` is eBay's own
/// indicator of the number of all. The listings themselves are over as a rule, so they are not stored.
pub(super) fn item_sales(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let asked = Asked::of(payload)?;
    let page: SalesHistoryPagedCollection = guard.frame(&payload.body, "itemSales")?;
    let sold_listing_count = rows::count(page.total, "/total")?;
    let is_first_page = page.offset.unwrap_or(0) == 0;
    if is_first_page && page.item_sales.is_none() && page.total > 0 {
        return Err(Problem::at("/itemSales", format!("absent, although total is {}", page.total)).into());
    }
    let entries = Entries::read(guard, page.item_sales.as_deref().unwrap_or_default(), "/itemSales", sold);

    let mut observations = Observations::of(asked, payload);
    observations.about(Period::Trailing90Days(payload.fetched_at));
    if is_first_page {
        observations.add(Metric::SoldListingCount, Observed::Value(sold_listing_count as f64));
        let of_none = match entries.row_count() {
            0 => Observed::Value(0.0),
            _ => Observed::Unavailable("no entry tells how many were sold"),
        };
        observations.add(Metric::SoldQuantity90d, entries.sum(|listing| listing.sold_count, of_none));
        let ([_, median, _], currency) = entries.price_quartiles();
        observations.add_money(Metric::SoldPriceMedian, median, currency.as_deref());
    }
    Ok(Reading { listings: Vec::new(), ..entries.into_reading(observations.into_list()) })
}

fn sold(item: ItemSales) -> Result<ListingReading, Problem> {
    Ok(ListingReading {
        marketplace_listing_id: rows::identifier(&item.item_id, "/itemId")?,
        price: item.last_sold_price.as_deref().map(|amount| price(amount, "/lastSoldPrice")).transpose()?,
        sold_count: rows::optional_count(item.total_sold_quantity, "/totalSoldQuantity")?,
        ..ListingReading::default()
    })
}
