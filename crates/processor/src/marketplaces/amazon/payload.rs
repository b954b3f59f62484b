//! Amazon's JSON, named as Amazon names it. Fields that nobody reads are left out; unknown ones are tolerated.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::guard::Row;
use crate::rows::{Named, NumberText};

/// `ItemSearchResults`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSearchResults<'a> {
    pub(super) number_of_results: u64,
    #[serde(borrow)]
    pub(super) items: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(super) refinements: Option<&'a RawValue>,
}

/// `Refinements`: how many of the items that match are of which brand.
#[derive(Deserialize)]
pub(super) struct Refinements {
    pub(super) brands: Vec<Named<BrandRefinement>>,
}

/// `BrandRefinement`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BrandRefinement {
    pub(super) number_of_results: u64,
}

/// `Item`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) asin: String,
    pub(super) summaries: Option<Vec<Named<ItemSummary>>>,
    pub(super) sales_ranks: Option<Vec<Named<ItemSalesRanks>>>,
}

impl Row<'_> for Item {}

/// `ItemSummaryByMarketplace`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSummary {
    pub(super) item_name: Option<String>,
    pub(super) brand: Option<String>,
    pub(super) release_date: Option<String>,
}

/// `ItemSalesRanksByMarketplace`; the arrays may be empty.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSalesRanks {
    pub(super) classification_ranks: Option<Vec<Named<SalesRank>>>,
    pub(super) display_group_ranks: Option<Vec<Named<SalesRank>>>,
}

/// `ItemClassificationSalesRank` and `ItemDisplayGroupSalesRank`.
#[derive(Deserialize)]
pub(super) struct SalesRank {
    pub(super) rank: u64,
}

/// `reportSpecification` of a report document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportSpecification {
    pub(super) report_type: Option<String>,
    pub(super) report_options: Named<ReportOptions>,
    pub(super) data_start_time: String,
    pub(super) data_end_time: String,
}

/// `reportOptions`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportOptions {
    pub(super) report_period: String,
}

/// `DetailsByDepartmentAndSearchTerm`: one of the up to three most clicked listings of a search term in a department.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchTermRow<'a> {
    #[serde(borrow)]
    pub(super) department_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) search_term: Cow<'a, str>,
    pub(super) search_frequency_rank: u64,
    pub(super) click_share_rank: u64,
    pub(super) click_share: f64,
    pub(super) conversion_share: f64,
}

impl<'a> Row<'a> for SearchTermRow<'a> {}

/// What is left of a row that breaks the contract elsewhere.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchTermOnly<'a> {
    #[serde(borrow)]
    pub(super) search_term: Cow<'a, str>,
}

/// `SearchQueryPerformanceData`: one of the user's own listings under one search term.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchQueryRow {
    pub(super) start_date: String,
    pub(super) search_query_data: Named<SearchQueryData>,
    pub(super) impression_data: Named<ImpressionData>,
    pub(super) click_data: Named<ClickData>,
    pub(super) cart_add_data: Named<CartAddData>,
    pub(super) purchase_data: Named<PurchaseData>,
}

impl Row<'_> for SearchQueryRow {
    // Without a price nothing that has one was clicked.
    const TELLING: &'static [&'static str] = &["/clickData/totalMedianClickPrice"];
}

/// `SearchQueryData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchQueryData {
    pub(super) search_query: String,
    pub(super) search_query_volume: u64,
}

/// `SearchQueryPerformanceImpressionData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImpressionData {
    pub(super) total_query_impression_count: u64,
}

/// `SearchQueryPerformanceClickData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClickData {
    pub(super) total_click_count: u64,
    pub(super) total_median_click_price: Option<Named<CurrencyAmount>>,
}

/// `SearchQueryPerformanceCartAddData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CartAddData {
    pub(super) total_cart_add_count: u64,
}

/// `SearchQueryPerformancePurchaseData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PurchaseData {
    pub(super) total_purchase_count: u64,
}

/// What is left of a row that breaks the contract elsewhere.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchQueryOnly {
    pub(super) search_query_data: Named<SearchQueryNameOnly>,
}

/// The search term alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchQueryNameOnly {
    pub(super) search_query: String,
}

/// `CurrencyAmount` of reports, `MoneyType` of Product Pricing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CurrencyAmount {
    pub(super) amount: NumberText,
    pub(super) currency_code: String,
}

/// `CompetitiveSummaryBatchResponse`.
#[derive(Deserialize)]
pub(super) struct CompetitiveSummaryBatchResponse<'a> {
    #[serde(borrow)]
    pub(super) responses: Vec<&'a RawValue>,
}

/// `CompetitiveSummaryResponse`.
#[derive(Deserialize)]
pub(super) struct CompetitiveSummaryResponse {
    pub(super) status: Named<HttpStatusLine>,
    pub(super) body: Named<CompetitiveSummaryResponseBody>,
}

impl Row<'_> for CompetitiveSummaryResponse {
    // Without a status the answer is good, without featured offers the lowest of the others counts.
    const TELLING: &'static [&'static str] = &["/status", "/body/featuredBuyingOptions"];
}

/// `HttpStatusLine` of one request of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpStatusLine {
    pub(super) status_code: Option<u16>,
    pub(super) reason_phrase: Option<String>,
}

/// `CompetitiveSummaryResponseBody`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompetitiveSummaryResponseBody {
    pub(super) asin: String,
    pub(super) featured_buying_options: Option<Vec<Named<FeaturedBuyingOption>>>,
    pub(super) lowest_priced_offers: Option<Vec<Named<LowestPricedOffer>>>,
}

/// `FeaturedBuyingOption`: the offer behind the button of the page, which may differ by region and membership.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeaturedBuyingOption {
    pub(super) segmented_featured_offers: Vec<Named<Offer>>,
}

/// `LowestPricedOffer`: the offers of one condition.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LowestPricedOffer {
    pub(super) lowest_priced_offers_input: Named<LowestPricedOffersInput>,
    pub(super) offers: Vec<Named<Offer>>,
}

/// `LowestPricedOffersInput`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LowestPricedOffersInput {
    pub(super) item_condition: String,
}

/// `Offer`, `SegmentedFeaturedOffer`. Who sells is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offer {
    pub(super) listing_price: Named<CurrencyAmount>,
    pub(super) featured_offer_segments: Option<Vec<Named<FeaturedOfferSegment>>>,
}

/// `FeaturedOfferSegment`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeaturedOfferSegment {
    pub(super) segment_details: Option<Named<SegmentDetails>>,
}

/// `SegmentDetails`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SegmentDetails {
    pub(super) glance_view_weight_percentage: Option<f64>,
}

/// `RankedTargetResponse` (v4) and `RankedTargetWithThemedBidsResponse` (v5) of Amazon Ads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RankedTargets<'a> {
    #[serde(borrow)]
    pub(super) keyword_target_list: Vec<&'a RawValue>,
}

/// `RecKeywordTarget`, `RankedTargetWithThemedBids`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RankedTarget {
    pub(super) keyword: String,
    pub(super) bid_info: Option<Vec<Named<BidInfo>>>,
}

impl Row<'_> for RankedTarget {
    // Without bids none is suggested.
    const TELLING: &'static [&'static str] = &["/bidInfo"];
}

/// `KeywordBidInfo`, `ThemedBid`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BidInfo {
    pub(super) match_type: Option<String>,
    pub(super) theme: Option<String>,
    pub(super) suggested_bid: Option<Named<BidSuggestion>>,
}

/// `BidSuggestion`, `BidValues`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BidSuggestion {
    pub(super) range_start: Option<NumberText>,
    pub(super) suggested: Option<NumberText>,
    pub(super) range_end: Option<NumberText>,
}

/// The keywords of a question for bids.
#[derive(Deserialize)]
pub(super) struct BidQuestion {
    pub(super) targets: Vec<BidQuestionTarget>,
}

/// `KeywordTarget` of the question.
#[derive(Deserialize)]
pub(super) struct BidQuestionTarget {
    pub(super) keyword: String,
}
