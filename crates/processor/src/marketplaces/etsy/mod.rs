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

use crate::reading::{ReadError, Reading};

mod normalize;
mod payload;
mod reviews;
mod shop;

/// Reads an answer of Etsy.
pub(super) fn read(payload: &RawPayload) -> Result<Reading, ReadError> {
    match payload.resource {
        Resource::ListingSearch => normalize::listing_search(payload),
        Resource::ListingBatch => normalize::listing_batch(payload),
        Resource::Shop => shop::shop(payload),
        Resource::ListingReviews => reviews::listing_reviews(payload),
        resource => Err(ReadError::NoReader { marketplace: payload.site.marketplace, resource }),
    }
}

#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests;
