//! What a question costs: how many requests of which operation it will send, before it is asked.

use std::time::Duration;

use digitallz_common::marketplace::Resource;

use crate::config::{AmazonConfig, CollectorConfig, EbayConfig, EtsyConfig, ebay};
use digitallz_common::marketplace::Marketplace;

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
const REPORT_TIME_MAX: Duration = Duration::from_secs(8 * 3_600);

/// How often the link to a document is asked for: once, and three times more if it expires.
const LINKS_MAX: u32 = 4;

/// How often a report on own listings is ordered while its data are late: every six hours for eight days.
const ORDERS_MAX: u32 = 8 * 4;

/// Returns what one planned question costs with all that follows from its answers and is in the list of resources.
///
/// A resource that follows from another costs nothing by itself: it is part of that other's cost. Tokens, the download of
/// documents and repetitions after failures are not counted.
pub fn requests_per_question(marketplace: Marketplace, resource: Resource, config: &CollectorConfig) -> Vec<Expected> {
    if resource.marketplace() != Some(marketplace) || resource.follows().is_some() {
        return Vec::new();
    }
    let resources = config.resources.get(&marketplace).map_or(marketplace.default_resources(), Vec::as_slice);
    let expected = match marketplace {
        Marketplace::Amazon => config.amazon.as_ref().map(|config| amazon(resource, resources, config)),
        Marketplace::Etsy => config.etsy.as_ref().map(|config| etsy(resource, resources, config)),
        Marketplace::Ebay => config.ebay.as_ref().map(|config| ebay(resource, resources, config)),
    };
    expected.unwrap_or_default()
}

fn amazon(resource: Resource, resources: &[Resource], config: &AmazonConfig) -> Vec<Expected> {
    let looks = looks_at_a_report(config);
    let report = |orders: u32| {
        vec![
            expected("createReport", 1, orders),
            expected("getReport", 1, looks.saturating_mul(orders)),
            // A cancelled report, which is an empty one, has no document.
            expected("getReportDocument", 0, LINKS_MAX),
        ]
    };
    match resource {
        Resource::CatalogSearch => {
            let mut all = vec![expected("searchCatalogItems", 1, config.pages.max(1))];
            if resources.contains(&Resource::CompetitivePricing) {
                all.push(expected("getCompetitiveSummary", 0, config.pages.max(1)));
            }
            all
        }
        Resource::SearchTermsReport => report(1),
        Resource::SearchQueryReport => report(1 + ORDERS_MAX),
        Resource::KeywordBids => vec![expected("getKeywordRecommendations", 1, 1)],
        _ => Vec::new(),
    }
}

/// Returns how often a report is looked at that takes as long as one may.
fn looks_at_a_report(config: &AmazonConfig) -> u32 {
    const SHORTEST: Duration = Duration::from_secs(1);
    let (mut looks, mut age) = (1, Duration::ZERO);
    while age < REPORT_TIME_MAX {
        age += config.look_again_after(age).max(SHORTEST);
        looks += 1;
    }
    looks
}

fn etsy(resource: Resource, resources: &[Resource], config: &EtsyConfig) -> Vec<Expected> {
    if resource != Resource::ListingSearch {
        return Vec::new();
    }
    let pages = config.pages.max(1);
    let details = config.details.min(config.page_size);
    let following = [
        (Resource::ListingBatch, "getListingsByListingIds", pages),
        (Resource::Shop, "getShop", details),
        (Resource::ListingReviews, "getReviewsByListing", details),
    ];
    let following = following.into_iter().filter(|(resource, ..)| resources.contains(resource));
    let mut all = vec![expected("findAllListingsActive", 1, pages)];
    all.extend(following.map(|(_, operation, most)| expected(operation, 0, most)));
    all
}

fn ebay(resource: Resource, resources: &[Resource], config: &EbayConfig) -> Vec<Expected> {
    let categories = || vec![expected("getDefaultCategoryTreeId", 1, 1), expected("getCategorySuggestions", 1, 1)];
    match resource {
        Resource::ItemSearch => {
            let mut all = vec![expected("itemSummarySearch", 1, config.pages.max(1))];
            if resources.contains(&Resource::ItemDetails) {
                let details = config.details.min(config.page_size);
                all.push(expected("getItems", 0, details.div_ceil(ebay::ITEMS_MAX)));
            }
            all
        }
        Resource::CategorySuggestions => categories(),
        Resource::ItemSales => {
            let mut all = categories();
            all.push(expected("itemSalesSearch", 1, 1));
            all
        }
        Resource::SuggestedBids => vec![expected("suggestBids", 1, 1)],
        _ => Vec::new(),
    }
}

fn expected(operation: &'static str, fewest: u32, most: u32) -> Expected {
    Expected { operation, fewest, most }
}

#[cfg(test)]
mod tests {
    use digitallz_common::secret::Secret;

    use super::*;

    fn config() -> CollectorConfig {
        let secret = || Secret::new("s");
        CollectorConfig {
            amazon: Some(AmazonConfig::new(secret(), secret(), secret())),
            etsy: Some(EtsyConfig { pages: 2, ..EtsyConfig::new(secret(), secret()) }),
            ebay: Some(EbayConfig { details: 45, ..EbayConfig::new(secret(), secret()) }),
            ..CollectorConfig::default()
        }
    }

    #[test]
    fn what_follows_is_part_of_the_cost_if_it_is_wanted() {
        let cost = |config: &CollectorConfig| requests_per_question(Marketplace::Etsy, Resource::ListingSearch, config);
        let mut config = config();
        let batch = [expected("findAllListingsActive", 1, 2), expected("getListingsByListingIds", 0, 2)];
        assert_eq!(cost(&config), batch);
        config.resources.insert(Marketplace::Etsy, vec![Resource::ListingSearch, Resource::Shop]);
        assert_eq!(cost(&config), [expected("findAllListingsActive", 1, 2), expected("getShop", 0, 3)]);
        assert!(requests_per_question(Marketplace::Etsy, Resource::Shop, &config).is_empty());

        let items = requests_per_question(Marketplace::Ebay, Resource::ItemSearch, &config);
        assert_eq!(items, [expected("itemSummarySearch", 1, 1), expected("getItems", 0, 3)]);
    }

    #[test]
    fn every_planned_resource_has_a_cost() {
        for marketplace in Marketplace::ALL {
            for resource in marketplace.resources() {
                let cost = requests_per_question(marketplace, resource, &config());
                assert_eq!(cost.is_empty(), resource.follows().is_some(), "{resource}");
                assert!(cost.iter().all(|expected| expected.fewest <= expected.most), "{resource}: {cost:?}");
            }
            for file in Resource::IMPORTED {
                assert!(requests_per_question(marketplace, file, &config()).is_empty(), "{file}");
            }
        }
        assert!(requests_per_question(Marketplace::Etsy, Resource::ItemSearch, &config()).is_empty());
        let report = requests_per_question(Marketplace::Amazon, Resource::SearchTermsReport, &config());
        assert_eq!(report[1], expected("getReport", 1, 33));
    }
}
