//! eBay's JSON, named as eBay names it. Fields that nobody reads are left out; unknown ones are tolerated.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::guard::Row;
use crate::rows::Named;

/// `SearchPagedCollection`; without results it has no `itemSummaries`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchPagedCollection<'a> {
    #[expect(dead_code, reason = "part of the frame, without which the answer is no search results page")]
    pub(super) href: String,
    pub(super) total: u64,
    #[expect(dead_code, reason = "part of the frame, without which the answer is no search results page")]
    pub(super) limit: u64,
    pub(super) offset: u64,
    #[serde(borrow)]
    pub(super) item_summaries: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) refinement: Option<&'a RawValue>,
}

/// `Refinement`: how many of the items that match have which properties.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refinement {
    pub(super) aspect_distributions: Option<Vec<Named<AspectDistribution>>>,
}

/// `AspectDistribution`; the name is in the language of the country site.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AspectDistribution {
    pub(super) localized_aspect_name: String,
    pub(super) aspect_value_distributions: Vec<Named<AspectValueDistribution>>,
}

/// `AspectValueDistribution`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AspectValueDistribution {
    pub(super) match_count: u64,
}

/// `ItemSummary`. A pure auction has `currentBidPrice` instead of `price`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSummary {
    pub(super) item_id: String,
    pub(super) title: Option<String>,
    pub(super) seller: Option<Named<Seller>>,
    pub(super) price: Option<Named<ConvertedAmount>>,
    pub(super) current_bid_price: Option<Named<ConvertedAmount>>,
    pub(super) bid_count: Option<u64>,
    pub(super) buying_options: Option<Vec<String>>,
    pub(super) priority_listing: Option<bool>,
    pub(super) item_web_url: Option<String>,
    pub(super) item_origin_date: Option<String>,
    pub(super) item_creation_date: Option<String>,
}

/// Fields of items whose absence says something: that it is no auction, that nobody bid, that nobody paid for the position,
/// that another price or time counts.
const TELLING_OF_ITEMS: &[&str] =
    &["/buyingOptions", "/bidCount", "/priorityListing", "/currentBidPrice", "/itemOriginDate"];

impl Row<'_> for ItemSummary {
    const TELLING: &'static [&'static str] = TELLING_OF_ITEMS;
}

/// `Seller`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seller {
    pub(super) username: Option<String>,
    pub(super) feedback_score: Option<i64>,
}

/// `ConvertedAmount`: `value` is in `currency`, as the buyer sees it; what it was converted from is not read.
#[derive(Deserialize)]
pub(super) struct ConvertedAmount {
    pub(super) value: String,
    pub(super) currency: String,
}

/// `Items`; `warnings` name the items that are gone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Items<'a> {
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) warnings: Option<Vec<&'a RawValue>>,
}

/// `CoreItem`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) item_id: String,
    pub(super) title: Option<String>,
    pub(super) seller: Option<Named<Seller>>,
    pub(super) price: Option<Named<ConvertedAmount>>,
    pub(super) current_bid_price: Option<Named<ConvertedAmount>>,
    pub(super) bid_count: Option<u64>,
    pub(super) buying_options: Option<Vec<String>>,
    pub(super) item_web_url: Option<String>,
    pub(super) item_origin_date: Option<String>,
    pub(super) item_creation_date: Option<String>,
    pub(super) watch_count: Option<u64>,
    pub(super) estimated_availabilities: Option<Vec<Named<EstimatedAvailability>>>,
    pub(super) primary_product_review_rating: Option<Named<ReviewRating>>,
}

impl Row<'_> for Item {
    const TELLING: &'static [&'static str] = TELLING_OF_ITEMS;
}

/// `EstimatedAvailability`: the same item by each way of delivery.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EstimatedAvailability {
    pub(super) estimated_available_quantity: Option<u64>,
    pub(super) estimated_sold_quantity: Option<u64>,
}

/// `ReviewRating`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewRating {
    pub(super) review_count: Option<u64>,
}

/// `CategorySuggestionResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CategorySuggestionResponse<'a> {
    #[serde(borrow)]
    pub(super) category_suggestions: Vec<&'a RawValue>,
}

/// `CategorySuggestion`.
#[derive(Deserialize)]
pub(super) struct CategorySuggestion {
    pub(super) category: Named<Category>,
}

impl Row<'_> for CategorySuggestion {}

/// `Category`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Category {
    pub(super) category_id: String,
    pub(super) category_name: Option<String>,
}

/// `SalesHistoryPagedCollection`; without results it has no `itemSales`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SalesHistoryPagedCollection<'a> {
    pub(super) total: u64,
    pub(super) offset: Option<u64>,
    #[serde(borrow)]
    pub(super) item_sales: Option<Vec<&'a RawValue>>,
}

/// `ItemSales`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSales {
    pub(super) item_id: String,
    pub(super) total_sold_quantity: Option<u64>,
    pub(super) last_sold_price: Option<Named<ConvertedAmount>>,
}

impl Row<'_> for ItemSales {}

/// `TargetedBidsPagedCollection`; where nothing is suggested it may have no `suggestedBids`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetedBidsPagedCollection<'a> {
    #[serde(borrow)]
    pub(super) suggested_bids: Option<Vec<&'a RawValue>>,
}

/// `SuggestedBids`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SuggestedBid {
    pub(super) keyword_text: String,
    pub(super) match_type: Option<String>,
    pub(super) proposed_bid: Option<Named<ProposedBid>>,
}

impl Row<'_> for SuggestedBid {
    // Without a match type a bid is taken for one of exact match, without a bid none is suggested.
    const TELLING: &'static [&'static str] = &["/matchType", "/proposedBid"];
}

/// `ProposedBid`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProposedBid {
    pub(super) currency: String,
    pub(super) value: String,
    pub(super) range_start: Option<String>,
    pub(super) range_end: Option<String>,
}

/// `TargetedBidRequest`.
#[derive(Deserialize)]
pub(super) struct TargetedBidRequest {
    pub(super) keywords: Vec<KeywordRequest>,
}

/// `KeywordRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeywordRequest {
    pub(super) keyword_text: String,
}
