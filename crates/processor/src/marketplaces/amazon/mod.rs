//! Amazon, Selling Partner API.
//!
//! | resource | answer | read by |
//! | --- | --- | --- |
//! | `catalog_search` | `searchCatalogItems`, Catalog Items 2022-04-01 | [`normalize::catalog_search`] |
//! | `search_terms_report` | Brand Analytics search terms report, or the `getReport` answer of a cancelled one | [`search_terms::search_terms_report`] |

use std::io::Read;

use digitallz_common::marketplace::Resource;
use digitallz_common::raw_payload::RawPayload;

use crate::reading::{ReadError, Reading, TrackedKeywords};

mod normalize;
mod payload;
mod report_stream;
mod scanner;
mod search_terms;

/// Reads an answer of Amazon.
pub(super) fn read(payload: &RawPayload, tracked: &TrackedKeywords) -> Result<Reading, ReadError> {
    match payload.resource {
        Resource::CatalogSearch => normalize::catalog_search(payload),
        Resource::SearchTermsReport => search_terms::search_terms_report(payload.body.as_slice(), tracked),
        resource => Err(ReadError::NoReader { marketplace: payload.site.marketplace, resource }),
    }
}

/// Reads a report document as it passes by.
pub(super) fn read_report(body: impl Read, tracked: &TrackedKeywords) -> Result<Reading, ReadError> {
    search_terms::search_terms_report(body, tracked)
}

#[cfg(test)]
mod tests;
