//! What a payload says, before it is stored.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::observation::{Metric, Observed, Period};
use rust_decimal::Decimal;

/// Everything that one payload says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Values of keywords, or the reasons why there are none.
    pub observations: Vec<KeywordObservation>,
    /// Listings, each once.
    pub listings: Vec<ListingReading>,
    /// Positions of the search results page; every listing named here is among `listings`.
    pub serp_entries: Vec<SerpEntry>,
    /// Sellers, each once.
    pub sellers: Vec<SellerReading>,
    /// Categories that suit the keyword, the most suitable first.
    pub categories: Vec<CategoryReading>,
    /// Rows that broke the contract, and single values where only they did; of very many, the first.
    pub quarantined: Vec<QuarantinedRow>,
    /// How many more rows broke the contract.
    pub further_quarantined_row_count: i32,
    /// Rows (items, listings, report rows) the payload held, broken ones included.
    pub row_count: i32,
    /// Rows about search terms that nobody tracks here.
    pub untracked_row_count: i32,
    /// Rows that were asked for and that the marketplace no longer has.
    pub missing_row_count: i32,
}

impl Reading {
    /// Returns the number of rows that broke the contract.
    pub fn quarantined_row_count(&self) -> i32 {
        (self.set_aside(Extent::Row) as i32).saturating_add(self.further_quarantined_row_count)
    }

    /// Returns the number of values that were set aside while their rows were kept.
    pub fn discarded_value_count(&self) -> usize {
        self.set_aside(Extent::Value)
    }

    fn set_aside(&self, extent: Extent) -> usize {
        self.quarantined.iter().filter(|row| row.extent == extent).count()
    }
}

/// One metric of one keyword.
#[derive(Clone, Debug, PartialEq)]
pub struct KeywordObservation {
    /// The keyword.
    pub keyword_id: i64,
    /// What was measured.
    pub metric: Metric,
    /// The value, or why there is none.
    pub observed: Observed,
    /// Unit of the value; for money the currency code.
    pub unit: String,
    /// The time it is about.
    pub period: Period,
}

impl KeywordObservation {
    /// Makes an observation in the metric's own unit.
    pub fn new(keyword_id: i64, metric: Metric, observed: Observed, period: Period) -> KeywordObservation {
        KeywordObservation { keyword_id, metric, observed, unit: metric.unit().to_owned(), period }
    }
}

/// A listing and what the payload says of it at the moment it was fetched; absent where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListingReading {
    /// The marketplace's own identifier.
    pub marketplace_listing_id: String,
    /// Title, entities decoded.
    pub title: Option<String>,
    /// Shop or seller as the marketplace names it.
    pub seller: Option<String>,
    /// Brand.
    pub brand: Option<String>,
    /// Address of the page.
    pub listing_url: Option<String>,
    /// When the offer was first made.
    pub listed_at: Option<DateTime<Utc>>,
    /// Price; for an auction the current bid.
    pub price: Option<Price>,
    /// Views since the listing began.
    pub view_count: Option<i64>,
    /// Members who marked it as a favourite.
    pub favorite_count: Option<i64>,
    /// Best rank by sales in any category; 1 is the best.
    pub sales_rank: Option<i64>,
    /// Bids so far; present exactly for auctions.
    pub bid_count: Option<i64>,
    /// Feedback score of the seller; it may be negative.
    pub seller_feedback_score: Option<i64>,
    /// True when the position was paid for.
    pub is_promoted: Option<bool>,
    /// Sales; since the listing began, where a listing is stored.
    pub sold_count: Option<i64>,
    /// Pieces on offer.
    pub available_count: Option<i64>,
    /// Members who watch it.
    pub watch_count: Option<i64>,
    /// Reviews ever.
    pub review_count: Option<i64>,
    /// Reviews of the last 28 days.
    pub recent_review_count: Option<i64>,
    /// Mean stars of the reviews in the answer, 1 to 5.
    pub review_average: Option<f64>,
}

/// A seller and what the payload says of it at the moment it was fetched; absent where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SellerReading {
    /// The seller, as listings name it.
    pub seller: String,
    /// Sales ever.
    pub sold_count: Option<i64>,
    /// Listings on offer.
    pub active_listing_count: Option<i64>,
    /// Reviews of the past year.
    pub review_count: Option<i64>,
    /// Mean stars of these, 1 to 5.
    pub review_average: Option<f64>,
    /// Members who marked the shop as a favourite.
    pub favorite_count: Option<i64>,
}

/// A category of the marketplace that suits a keyword.
#[derive(Clone, Debug, PartialEq)]
pub struct CategoryReading {
    /// Position among the suggestions; 1 is the most relevant.
    pub relevancy_rank: i32,
    /// The marketplace's own identifier.
    pub category_id: String,
    /// Its name.
    pub category_name: Option<String>,
}

/// An amount of money, exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The amount, not negative.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
}

/// One position of a search results page.
#[derive(Clone, Debug, PartialEq)]
pub struct SerpEntry {
    /// Position over all pages of the result, from 1.
    pub position: i32,
    /// The listing at the position.
    pub marketplace_listing_id: String,
    /// Whether the position was paid for.
    pub kind: EntryKind,
}

/// Whether a position was earned or paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The marketplace ranked it there.
    Organic,
    /// The marketplace says that the position was paid for.
    Sponsored,
}

impl EntryKind {
    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::Organic => "organic",
            EntryKind::Sponsored => "sponsored",
        }
    }
}

/// A row that broke the contract, or a value of one, while the rest of its payload was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct QuarantinedRow {
    /// Position of the row in the payload, RFC 6901.
    pub json_pointer: String,
    /// What was wrong, with the path inside the row.
    pub reason: String,
    /// The row as it stands in the payload, cut.
    pub row_text: String,
    /// Whether it is the row, or only a value of it.
    pub extent: Extent,
}

/// How much of a row was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Row,
    /// One value; the rest of the row was kept.
    Value,
}

impl Extent {
    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Extent::Row => "row",
            Extent::Value => "value",
        }
    }
}

/// The keywords of a market, as far as an answer about many of them needs them.
#[derive(Clone, Debug, Default)]
pub struct TrackedKeywords {
    by_text: HashMap<String, TrackedKeyword>,
    request_body: Option<String>,
}

/// A keyword that somebody tracks, or once tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedKeyword {
    /// The keyword.
    pub keyword_id: i64,
    /// True when crawl runs cover it; only then is its absence from a report worth recording.
    pub is_active: bool,
}

impl TrackedKeywords {
    /// Returns the keyword of a normalised text.
    pub fn get(&self, keyword_text: &str) -> Option<TrackedKeyword> {
        self.by_text.get(keyword_text).copied()
    }

    /// Adds the body of the request, which names those that were asked for.
    pub fn asked_in(self, request_body: Option<String>) -> TrackedKeywords {
        TrackedKeywords { request_body, ..self }
    }

    /// Returns the body of the request.
    pub fn request_body(&self) -> Option<&str> {
        self.request_body.as_deref()
    }

    /// Returns all keywords, ordered by identifier.
    pub fn sorted(&self) -> Vec<TrackedKeyword> {
        let mut keywords: Vec<TrackedKeyword> = self.by_text.values().copied().collect();
        keywords.sort_unstable_by_key(|keyword| keyword.keyword_id);
        keywords
    }
}

impl FromIterator<(String, TrackedKeyword)> for TrackedKeywords {
    fn from_iter<Pairs: IntoIterator<Item = (String, TrackedKeyword)>>(pairs: Pairs) -> TrackedKeywords {
        TrackedKeywords { by_text: pairs.into_iter().collect(), request_body: None }
    }
}

/// Why nothing in a payload can be trusted.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// The marketplace refused to answer.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The answer is about one keyword, but nobody knows which.
    #[error("it is not known for which keyword was asked")]
    NoKeyword,
    /// The marketplace offers no such resource.
    #[error("{marketplace} offers no {resource}")]
    NoReader {
        /// The marketplace.
        marketplace: Marketplace,
        /// The resource.
        resource: Resource,
    },
    /// The frame around the rows breaks the contract.
    #[error("{0}")]
    Contract(Problem),
}

/// A place in a JSON document and what is wrong there.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where, RFC 6901; empty for the document itself.
    pub json_pointer: String,
    /// What is wrong.
    pub text: String,
}

impl Problem {
    /// Names a place and what is wrong there.
    pub fn at(json_pointer: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { json_pointer: json_pointer.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.json_pointer.as_str() {
            "" => formatter.write_str(&self.text),
            json_pointer => write!(formatter, "{json_pointer}: {}", self.text),
        }
    }
}

impl From<Problem> for ReadError {
    fn from(problem: Problem) -> ReadError {
        ReadError::Contract(problem)
    }
}
