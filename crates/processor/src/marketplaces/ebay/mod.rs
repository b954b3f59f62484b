//! eBay, Buy, Taxonomy and Marketing APIs.
//!
//! | resource | answer | read by |
//! | --- | --- | --- |
//! | `item_search` | Browse `item_summary/search` by keyword | [`normalize::item_search`] |
//! | `item_details` | Browse `getItems`, which alone carries sold counts | [`items::item_details`] |
//! | `category_suggestions` | Taxonomy `getCategorySuggestions` by keyword | [`categories::category_suggestions`] |
//! | `item_sales` | Marketplace Insights `item_sales/search` by keyword | [`sales::item_sales`] |
//! | `suggested_bids` | Marketing `suggestBids` | [`suggested_bids::suggested_bids`] |

use digitallz_common::marketplace::Resource;
use digitallz_common::raw_payload::RawPayload;

use crate::guard::Guard;
use crate::reading::{ReadError, Reading, TrackedKeywords};

mod categories;
mod items;
mod normalize;
mod payload;
mod sales;
mod suggested_bids;

/// Reads an answer of eBay.
pub(super) fn read(
    payload: &RawPayload,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    match payload.resource {
        Resource::ItemSearch => normalize::item_search(payload, guard),
        Resource::ItemDetails => items::item_details(payload, guard),
        Resource::CategorySuggestions => categories::category_suggestions(payload, guard),
        Resource::ItemSales => sales::item_sales(payload, guard),
        Resource::SuggestedBids => suggested_bids::suggested_bids(payload, tracked, guard),
        resource => Err(ReadError::NoReader { marketplace: payload.site.marketplace, resource }),
    }
}

#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests;
