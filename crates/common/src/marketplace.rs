//! Marketplaces, their country sites and the kinds of data they offer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marketplace {
    /// Amazon, by the Selling Partner API.
    Amazon,
    /// Etsy, by the Open API v3.
    Etsy,
    /// eBay, by the Buy APIs.
    Ebay,
}

impl Marketplace {
    /// All marketplaces, in the order in which they are shown.
    pub const ALL: [Marketplace; 3] = [Marketplace::Amazon, Marketplace::Etsy, Marketplace::Ebay];

    /// Returns the name used in tables, messages and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Marketplace::Amazon => "amazon",
            Marketplace::Etsy => "etsy",
            Marketplace::Ebay => "ebay",
        }
    }

    /// Returns the country sites that can be asked. Etsy has one site for all countries, named `US` after its currency.
    pub fn markets(self) -> &'static [&'static str] {
        match self {
            Marketplace::Amazon => {
                &["US", "CA", "MX", "BR", "DE", "ES", "FR", "IT", "GB", "NL", "SE", "PL", "JP", "AU"]
            }
            Marketplace::Etsy => &["US"],
            Marketplace::Ebay => &["US", "AT", "AU", "BE", "CA", "CH", "DE", "ES", "FR", "GB", "IE", "IT", "NL", "PL"],
        }
    }

    /// Returns the kinds of data a crawl run asks for, each once per keyword or once per market.
    pub fn planned_resources(self) -> &'static [Resource] {
        match self {
            Marketplace::Amazon => &[Resource::CatalogSearch, Resource::SearchTermsReport],
            Marketplace::Etsy => &[Resource::ListingSearch],
            Marketplace::Ebay => &[Resource::ItemSearch],
        }
    }
}

impl fmt::Display for Marketplace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is not one of the known ones.
#[derive(Debug, thiserror::Error)]
#[error("unknown {kind} '{name}', expected one of: {expected}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    expected: String,
}

impl FromStr for Marketplace {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Marketplace, UnknownName> {
        let lower = name.trim().to_ascii_lowercase();
        Marketplace::ALL.into_iter().find(|marketplace| marketplace.name() == lower).ok_or_else(|| UnknownName {
            kind: "marketplace",
            name: name.to_owned(),
            expected: Marketplace::ALL.map(Marketplace::name).join(", "),
        })
    }
}

/// A country site of a marketplace, for example `amazon US`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Site {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// The country, ISO 3166 alpha-2 in capitals; one of the marketplace's markets.
    pub market: String,
}

impl Site {
    /// Makes a site, or names the markets there are.
    pub fn new(marketplace: Marketplace, market: &str) -> Result<Site, UnknownName> {
        let market = market.trim().to_ascii_uppercase();
        if !marketplace.markets().contains(&market.as_str()) {
            return Err(UnknownName { kind: "market", name: market, expected: marketplace.markets().join(", ") });
        }
        Ok(Site { marketplace, market })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.marketplace, self.market)
    }
}

/// A kind of data offered by a marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Amazon: `searchCatalogItems` by keyword.
    CatalogSearch,
    /// Amazon: the Brand Analytics search terms report of one week, all search terms of a market.
    SearchTermsReport,
    /// Etsy: `findAllListingsActive` by keyword, sorted by score.
    ListingSearch,
    /// Etsy: `getListingsByListingIds` for the listings of one search, which carries the views.
    ListingBatch,
    /// eBay: Browse `item_summary/search` with refinements.
    ItemSearch,
}

impl Resource {
    /// All resources.
    pub const ALL: [Resource; 5] = [
        Resource::CatalogSearch,
        Resource::SearchTermsReport,
        Resource::ListingSearch,
        Resource::ListingBatch,
        Resource::ItemSearch,
    ];

    /// Returns the name used in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Resource::CatalogSearch => "catalog_search",
            Resource::SearchTermsReport => "search_terms_report",
            Resource::ListingSearch => "listing_search",
            Resource::ListingBatch => "listing_batch",
            Resource::ItemSearch => "item_search",
        }
    }

    /// Tells whether one answer is about one keyword; otherwise it is about a whole market.
    pub fn is_per_keyword(self) -> bool {
        self != Resource::SearchTermsReport
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Resource {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Resource, UnknownName> {
        Resource::ALL.into_iter().find(|resource| resource.name() == name).ok_or_else(|| UnknownName {
            kind: "resource",
            name: name.to_owned(),
            expected: Resource::ALL.map(Resource::name).join(", "),
        })
    }
}
