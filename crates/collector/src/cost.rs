//! What a question costs: how many requests of which operation it will send, before it is asked.

use digitallz_common::marketplace::{Marketplace, Resource};

use crate::config::{AmazonConfig, CollectorConfig, EbayConfig, EtsyConfig};

/// How many requests of one operation a question sends, if none of them has to be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The marketplace's name of the operation.
    pub operation: &'static str,
    /// If the answers leave nothing further to ask for.
    pub fewest: u32,
    /// If they leave all that may be asked for.
    pub most: u32,
}

/// Longest time that a report is expected to be in the making, in seconds; one has been seen to take eight hours.
const REPORT_SECONDS_MAX: u32 = 8 * 3_600;

/// How often the link to a document is asked for: once, and three times more if it expires.
const LINKS_MAX: u32 = 4;

/// Returns what one planned question costs with all that follows from its answers and is in the list of resources.
///
/// A resource that follows from another costs nothing by itself: it is part of that other's cost. Tokens, the download of
/// documents and repetitions after failures are not counted.
pub fn requests_per_question(marketplace: Marketplace, resource: Resource, config: &CollectorConfig) -> Vec<Expected> {
    if resource.marketplace() != marketplace || resource.follows().is_some() {
        return Vec::new();
    }
    let resources = config.resources.get(&marketplace).map_or(marketplace.default_resources(), Vec::as_slice);
    let expected = match marketplace {
        Marketplace::Amazon => config.amazon.as_ref().map(|config| amazon(resource, config)),
        Marketplace::Etsy => config.etsy.as_ref().map(|config| etsy(resource, resources, config)),
        Marketplace::Ebay => config.ebay.as_ref().map(|config| ebay(resource, config)),
    };
    expected.unwrap_or_default()
}

fn amazon(resource: Resource, config: &AmazonConfig) -> Vec<Expected> {
    let looks = REPORT_SECONDS_MAX / u32::try_from(config.report_poll_delay.as_secs()).unwrap_or(u32::MAX).max(1);
    match resource {
        Resource::CatalogSearch => vec![expected("searchCatalogItems", 1, config.pages.max(1))],
        Resource::SearchTermsReport => vec![
            expected("createReport", 1, 1),
            expected("getReport", 1, looks.max(1) + 1),
            // A cancelled report, which is an empty one, has no document.
            expected("getReportDocument", 0, LINKS_MAX),
        ],
        _ => Vec::new(),
    }
}

fn etsy(resource: Resource, resources: &[Resource], config: &EtsyConfig) -> Vec<Expected> {
    let pages = config.pages.max(1);
    match resource {
        Resource::ListingSearch if resources.contains(&Resource::ListingBatch) => {
            vec![expected("findAllListingsActive", 1, pages), expected("getListingsByListingIds", 0, pages)]
        }
        Resource::ListingSearch => vec![expected("findAllListingsActive", 1, pages)],
        _ => Vec::new(),
    }
}

fn ebay(resource: Resource, config: &EbayConfig) -> Vec<Expected> {
    match resource {
        Resource::ItemSearch => vec![expected("itemSummarySearch", 1, config.pages.max(1))],
        _ => Vec::new(),
    }
}

fn expected(operation: &'static str, fewest: u32, most: u32) -> Expected {
    Expected { operation, fewest, most }
}
