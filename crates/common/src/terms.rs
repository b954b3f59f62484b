//! The terms of use of the marketplaces as this program knows them: what a person acknowledges before anything is
//! collected.
//!
//! The points are a reading for orientation and no legal advice; the text behind the address is what counts.

use crate::marketplace::Marketplace;

/// The terms of use of one marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// The version, a date: that of the terms, or the day of reading where they bear none.
    pub version: &'static str,
    /// What they are called.
    pub title: &'static str,
    /// Where they stand.
    pub url: &'static str,
    /// What in them matters to whoever collects and predicts keyword data.
    pub points: &'static [&'static str],
}

/// The known terms, one per marketplace.
const TERMS: [Terms; 3] = [
    Terms {
        marketplace: Marketplace::Amazon,
        version: "2026-09-27",
        title: "Selling Partner API Acceptable Use Policy and Data Protection Policy",
        url: "https://developer-docs.amazon.com/sp-api/docs/policies-and-agreements",
        points: &[
            "Data of several sellers is not aggregated to be provided or sold to anybody (4.4), so an index of keywords made from one seller's Brand Analytics is for that seller alone.",
            "The data serves no insights about Amazon's own business (4.5), and one user's data is not disclosed to others, not even in sums (4.6).",
            "The policies name no time after which data that is not about persons is deleted; nothing of Amazon is purged unless you set a time.",
        ],
    },
    Terms {
        marketplace: Marketplace::Etsy,
        version: "2025-06-16",
        title: "Etsy API Terms of Use",
        url: "https://www.etsy.com/legal/api",
        points: &[
            "Collecting Etsy's content for analytics or to train a model needs Etsy's express authorisation; no model is trained on it here unless you say that you have it.",
            "Listings are at most 6 hours old and other content 24 hours, and nothing is kept longer than needed; listings and answers are purged after these times unless you agreed on others.",
            "No more data than needed is taken, no further keys are used to raise a limit, and pages are not scraped.",
            "Demand at Etsy is told from the views that listings gain between two samples a day or more apart; with listings kept for 6 hours there is none.",
        ],
    },
    Terms {
        marketplace: Marketplace::Ebay,
        version: "2025-09-03",
        title: "eBay API License Agreement",
        url: "https://developer.ebay.com/products/license",
        points: &[
            "Listings are at most 6 hours old and other content 24 hours, or their age is shown (8.1.3); content that is no longer public is deleted and not mixed with that of others in public (8.1.2).",
            "No average prices or sales of a category and no statistics about eBay are made (8.1.4).",
            "Data of restricted APIs is not fed to a model without eBay's written consent (8.5.2); no model is trained on eBay's data here unless you say that you have it.",
            "When the agreement ends, data is destroyed within 10 days (16.3).",
        ],
    },
];

/// Returns the terms of a marketplace that are to be acknowledged.
pub fn known(marketplace: Marketplace) -> &'static Terms {
    match marketplace {
        Marketplace::Amazon => &TERMS[0],
        Marketplace::Etsy => &TERMS[1],
        Marketplace::Ebay => &TERMS[2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marketplace_has_terms_with_a_date_and_points() {
        for marketplace in Marketplace::ALL {
            let terms = known(marketplace);
            assert_eq!(terms.marketplace, marketplace);
            assert!(terms.version.parse::<chrono::NaiveDate>().is_ok(), "{}", terms.version);
            assert!(terms.url.starts_with("https://"));
            assert!((2..=4).contains(&terms.points.len()));
        }
    }
}
