//! The readers of the marketplaces' answers, all pure functions.
//!
//! A page says what it says of its first page only: metrics that sum up a page are comparable from one sample to the
//! next only when they are about the same positions, so later pages give listings and SERP entries and no observations.

use digitallz_common::marketplace::Marketplace;
use digitallz_common::raw_payload::RawPayload;

use crate::reading::{ReadError, Reading, TrackedKeywords};

mod amazon;
mod ebay;
mod etsy;

/// Reads a payload. `tracked` is looked at only where an answer is about many keywords.
pub fn read(payload: &RawPayload, tracked: &TrackedKeywords) -> Result<Reading, ReadError> {
    if !(200..300).contains(&payload.status_code) {
        return Err(ReadError::Status(payload.status_code));
    }
    match payload.site.marketplace {
        Marketplace::Amazon => amazon::read(payload, tracked),
        Marketplace::Etsy => etsy::read(payload),
        Marketplace::Ebay => ebay::read(payload, tracked),
    }
}

#[cfg(test)]
mod testing;
