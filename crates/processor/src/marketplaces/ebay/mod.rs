//! eBay, Buy Browse API.
//!
//! | resource | answer | read by |
//! | --- | --- | --- |
//! | `item_search` | `item_summary/search` by keyword | [`normalize::item_search`] |

use digitallz_common::marketplace::Resource;
use digitallz_common::raw_payload::RawPayload;

use crate::reading::{ReadError, Reading};

mod normalize;
mod payload;

/// Reads an answer of eBay.
pub(super) fn read(payload: &RawPayload) -> Result<Reading, ReadError> {
    match payload.resource {
        Resource::ItemSearch => normalize::item_search(payload),
        resource => Err(ReadError::NoReader { marketplace: payload.site.marketplace, resource }),
    }
}

#[cfg(test)]
mod tests;
