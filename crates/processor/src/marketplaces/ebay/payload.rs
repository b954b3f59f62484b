//! eBay's JSON, named as eBay names it. Fields that nobody reads are left out; unknown ones are tolerated.

use serde::Deserialize;
use serde_json::value::RawValue;

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
}

/// `ItemSummary`. A pure auction has `currentBidPrice` instead of `price`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSummary {
    pub(super) item_id: String,
    pub(super) title: Option<String>,
    pub(super) seller: Option<Seller>,
    pub(super) price: Option<ConvertedAmount>,
    pub(super) current_bid_price: Option<ConvertedAmount>,
    pub(super) bid_count: Option<u64>,
    pub(super) buying_options: Option<Vec<String>>,
    pub(super) priority_listing: Option<bool>,
    pub(super) item_web_url: Option<String>,
    pub(super) item_origin_date: Option<String>,
    pub(super) item_creation_date: Option<String>,
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
