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

    /// Returns the kinds of data that are asked for unless the settings or a schedule say otherwise.
    pub fn default_resources(self) -> &'static [Resource] {
        match self {
            Marketplace::Amazon => &[Resource::CatalogSearch, Resource::SearchTermsReport],
            Marketplace::Etsy => &[Resource::ListingSearch, Resource::ListingBatch],
            Marketplace::Ebay => &[Resource::ItemSearch, Resource::ItemDetails],
        }
    }

    /// Returns every kind of data it offers.
    pub fn resources(self) -> impl Iterator<Item = Resource> {
        Resource::ALL.into_iter().filter(move |resource| resource.marketplace() == Some(self))
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

impl UnknownName {
    /// Names what was given and what would have been understood.
    pub(crate) fn new(kind: &'static str, name: &str, expected: &[&str]) -> UnknownName {
        UnknownName { kind, name: name.to_owned(), expected: expected.join(", ") }
    }
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

/// A kind of data: offered by a marketplace, or brought by the user as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Amazon: `searchCatalogItems` by keyword.
    CatalogSearch,
    /// Amazon: `getCompetitiveSummary` for the listings of a catalog search.
    CompetitivePricing,
    /// Amazon: the Brand Analytics search terms report of one week, all search terms of a market.
    SearchTermsReport,
    /// Amazon: the Brand Analytics search query performance report of one week, for the user's own listings.
    SearchQueryReport,
    /// Amazon Ads: suggested bids for up to a hundred keywords.
    KeywordBids,
    /// Etsy: `findAllListingsActive` by keyword, sorted by score.
    ListingSearch,
    /// Etsy: `getListingsByListingIds` for the listings of one search, which carries the views.
    ListingBatch,
    /// Etsy: `getShop` of the shops of the first listings of a search.
    Shop,
    /// Etsy: `getReviewsByListing` of the first listings of a search.
    ListingReviews,
    /// eBay: Browse `item_summary/search` with refinements.
    ItemSearch,
    /// eBay: Browse `getItems` for the first items of a search, which carries the sold counts.
    ItemDetails,
    /// eBay: Taxonomy `get_category_suggestions` by keyword.
    CategorySuggestions,
    /// eBay: Marketplace Insights `item_sales/search` by keyword.
    ItemSales,
    /// eBay: Marketing `suggest_bids` for up to a hundred keywords.
    SuggestedBids,
    /// A file: Amazon's Brand Analytics search terms as Seller Central exports them.
    SearchTermsFile,
    /// A file: Amazon's search query performance as Seller Central exports it.
    SearchQueryFile,
    /// A file: Google Trends' interest over time.
    InterestFile,
    /// A file: Google Ads' keyword planner.
    KeywordPlanFile,
    /// A file: values in long form, one a row.
    SeriesFile,
}

/// What one answer of a resource is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One keyword.
    Keyword,
    /// As many keywords as fit into a request.
    KeywordBatch {
        /// How many fit.
        keywords_max: usize,
    },
    /// All of a market.
    Market,
}

impl Resource {
    /// All that marketplaces offer: what collectors ask for.
    pub const ALL: [Resource; 14] = [
        Resource::CatalogSearch,
        Resource::CompetitivePricing,
        Resource::SearchTermsReport,
        Resource::SearchQueryReport,
        Resource::KeywordBids,
        Resource::ListingSearch,
        Resource::ListingBatch,
        Resource::Shop,
        Resource::ListingReviews,
        Resource::ItemSearch,
        Resource::ItemDetails,
        Resource::CategorySuggestions,
        Resource::ItemSales,
        Resource::SuggestedBids,
    ];

    /// All that users bring as files: nobody collects them, and no terms of a marketplace bind them.
    pub const IMPORTED: [Resource; 5] = [
        Resource::SearchTermsFile,
        Resource::SearchQueryFile,
        Resource::InterestFile,
        Resource::KeywordPlanFile,
        Resource::SeriesFile,
    ];

    /// Returns the name used in tables, settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Resource::CatalogSearch => "catalog_search",
            Resource::CompetitivePricing => "competitive_pricing",
            Resource::SearchTermsReport => "search_terms_report",
            Resource::SearchQueryReport => "search_query_report",
            Resource::KeywordBids => "keyword_bids",
            Resource::ListingSearch => "listing_search",
            Resource::ListingBatch => "listing_batch",
            Resource::Shop => "shop",
            Resource::ListingReviews => "listing_reviews",
            Resource::ItemSearch => "item_search",
            Resource::ItemDetails => "item_details",
            Resource::CategorySuggestions => "category_suggestions",
            Resource::ItemSales => "item_sales",
            Resource::SuggestedBids => "suggested_bids",
            Resource::SearchTermsFile => "search_terms_file",
            Resource::SearchQueryFile => "search_query_file",
            Resource::InterestFile => "interest_file",
            Resource::KeywordPlanFile => "keyword_plan_file",
            Resource::SeriesFile => "series_file",
        }
    }

    /// Returns the marketplace that offers it; none for files, which may be about the keywords of any.
    pub fn marketplace(self) -> Option<Marketplace> {
        match self {
            Resource::CatalogSearch
            | Resource::CompetitivePricing
            | Resource::SearchTermsReport
            | Resource::SearchQueryReport
            | Resource::KeywordBids => Some(Marketplace::Amazon),
            Resource::ListingSearch | Resource::ListingBatch | Resource::Shop | Resource::ListingReviews => {
                Some(Marketplace::Etsy)
            }
            Resource::ItemSearch
            | Resource::ItemDetails
            | Resource::CategorySuggestions
            | Resource::ItemSales
            | Resource::SuggestedBids => Some(Marketplace::Ebay),
            Resource::SearchTermsFile
            | Resource::SearchQueryFile
            | Resource::InterestFile
            | Resource::KeywordPlanFile
            | Resource::SeriesFile => None,
        }
    }

    /// Tells whether users bring it as a file.
    pub fn is_imported(self) -> bool {
        self.marketplace().is_none()
    }

    /// Returns the names of all that users bring as files.
    pub fn imported_names() -> Vec<String> {
        Resource::IMPORTED.map(|resource| resource.name().to_owned()).to_vec()
    }

    /// Returns the resource of a name as tables hold it, files included.
    pub fn stored(name: &str) -> Option<Resource> {
        Resource::ALL.into_iter().chain(Resource::IMPORTED).find(|resource| resource.name() == name)
    }

    /// Tells what one answer is about.
    pub fn subject(self) -> Subject {
        match self {
            Resource::SearchTermsReport | Resource::SearchQueryReport => Subject::Market,
            file if file.is_imported() => Subject::Market,
            Resource::KeywordBids | Resource::SuggestedBids => Subject::KeywordBatch { keywords_max: 100 },
            _ => Subject::Keyword,
        }
    }

    /// Returns the resource from whose answer it follows; none for those that a plan begins with.
    pub fn follows(self) -> Option<Resource> {
        match self {
            Resource::CompetitivePricing => Some(Resource::CatalogSearch),
            Resource::ListingBatch | Resource::Shop | Resource::ListingReviews => Some(Resource::ListingSearch),
            Resource::ItemDetails => Some(Resource::ItemSearch),
            _ => None,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Reads the name of what a marketplace offers; files are not asked for.
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
