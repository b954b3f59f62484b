//! Amazon, Selling Partner API and Amazon Ads.
//!
//! | resource | answer | read by |
//! | --- | --- | --- |
//! | `catalog_search` | `searchCatalogItems`, Catalog Items 2022-04-01 | [`normalize::catalog_search`] |
//! | `competitive_pricing` | `getCompetitiveSummary`, Product Pricing 2022-05-01 | [`pricing::competitive_pricing`] |
//! | `search_terms_report` | Brand Analytics search terms report, or the `getReport` answer of a cancelled one | [`search_terms::search_terms_report`] |
//! | `search_query_report` | Brand Analytics search query performance report, or the same | [`search_query::search_query_report`] |
//! | `keyword_bids` | `getRankedKeywordRecommendation` of Amazon Ads, v4 or v5 | [`keyword_bids::keyword_bids`] |

use std::io::Read;

use digitallz_common::marketplace::Resource;
use digitallz_common::raw_payload::RawPayload;

use crate::guard::Guard;
use crate::reading::{ReadError, Reading, TrackedKeywords};

mod keyword_bids;
mod normalize;
mod payload;
mod pricing;
mod report_head;
mod report_stream;
mod scanner;
mod search_query;
mod search_terms;
mod set_aside;

/// Reads an answer of Amazon.
pub(super) fn read(
    payload: &RawPayload,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    match payload.resource {
        Resource::CatalogSearch => normalize::catalog_search(payload, guard),
        Resource::CompetitivePricing => pricing::competitive_pricing(payload, guard),
        Resource::SearchTermsReport => search_terms::search_terms_report(payload.body.as_slice(), tracked, guard),
        Resource::SearchQueryReport => search_query::search_query_report(payload, tracked, guard),
        Resource::KeywordBids => keyword_bids::keyword_bids(payload, tracked, guard),
        resource => Err(ReadError::NoReader { marketplace: payload.site.marketplace, resource }),
    }
}

/// Reads a report document as it passes by.
pub(super) fn read_report(
    body: impl Read,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    search_terms::search_terms_report(body, tracked, guard)
}

#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests;
