//! Etsy, Open API v3.
//!
//! | resource | answer | read by |
//! | --- | --- | --- |
//! | `listing_search` | `findAllListingsActive` by keyword | [`normalize::listing_search`] |
//! | `listing_batch` | `getListingsByListingIds`, which alone carries views | [`normalize::listing_batch`] |
//! | `shop` | `getShop` | [`shop::shop`] |
//! | `listing_reviews` | `getReviewsByListing` | [`reviews::listing_reviews`] |

use digitallz_common::marketplace::Resource;
use digitallz_common::raw_payload::RawPayload;

use crate::guard::Guard;
use crate::reading::{ReadError, Reading};

mod normalize;
mod payload;
mod reviews;
mod shop;

/// Reads an answer of Etsy.
pub(super) fn read(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    match payload.resource {
        Resource::ListingSearch => normalize::listing_search(payload, guard),
        Resource::ListingBatch => normalize::listing_batch(payload, guard),
        Resource::Shop => shop::shop(payload, guard),
        Resource::ListingReviews => reviews::listing_reviews(payload, guard),
        resource => Err(ReadError::NoReader { marketplace: payload.site.marketplace, resource }),
    }
}

#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests;
