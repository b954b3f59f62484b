//! Amazon's JSON, named as Amazon names it. Fields that nobody reads are left out; unknown ones are tolerated.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// `ItemSearchResults`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemSearchResults<'a> {
    pub(super) number_of_results: u64,
    #[serde(borrow)]
    pub(super) items: Vec<&'a RawValue>,
}

/// `Item`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) asin: String,
    pub(super) summaries: Option<Vec<ItemSummary>>,
    pub(super) sales_ranks: Option<Vec<ItemSalesRanks>>,
}

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
    pub(super) classification_ranks: Option<Vec<SalesRank>>,
    pub(super) display_group_ranks: Option<Vec<SalesRank>>,
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
    pub(super) report_options: ReportOptions,
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

/// What is left of a row that breaks the contract elsewhere.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchTermOnly<'a> {
    #[serde(borrow)]
    pub(super) search_term: Cow<'a, str>,
}
