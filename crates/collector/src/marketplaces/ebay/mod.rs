//! eBay, by the Buy, Commerce and Sell APIs: <https://developer.ebay.com/develop/apis>.
//!
//! | resource | operations |
//! | --- | --- |
//! | item search | Browse `item_summary/search` with refinements |
//! | item details | Browse `getItems` for the first items of the search, twenty at a time |
//! | category suggestions | Taxonomy `getDefaultCategoryTreeId`, then `getCategorySuggestions` |
//! | item sales | both of these, then Marketplace Insights `item_sales/search` in the first category suggested |
//! | suggested bids | Marketing `suggestBids` for the keywords of an ad group |
//!
//! Marketplace Insights answers a search text only within a category. The category is the one eBay itself finds most
//! relevant, and stands in the address of the stored answer; where eBay suggests none, the text is asked alone. The tree of a
//! market is asked for each time, within the same try, because nothing says how long it stays.
//!
//! Each token holds the scope of its API alone: an application that was not granted one can still use the others.

mod auth;
mod rate_limits;
pub(crate) mod request;
mod response;

use chrono_tz::America::Los_Angeles;
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::secret::Secret;

use super::adapter::{Adapter, AnswerError, Question, QuestionError, Step};
use super::{empty_settings, oauth};
use crate::config::EbayConfig;
use crate::exchange::{Answer, Request, TokenKind};
use crate::limits::{Limits, Window};
use crate::quota::account::Statement;
use crate::token::IssuedToken;

pub(super) use response::DISPOSITIONS;

/// Address of the API.
pub const BASE_URL: &str = "https://api.ebay.com";

/// Most items on a page.
pub const PAGE_SIZE_MAX: u32 = 200;

/// The operations that are asked for.
pub const OPERATIONS: [&str; 8] = [
    "oauthToken",
    "itemSummarySearch",
    "getItems",
    "getDefaultCategoryTreeId",
    "getCategorySuggestions",
    "getRateLimits",
    "itemSalesSearch",
    "suggestBids",
];

/// What can be limited: eBay counts by API, and the bulk reads of Browse by themselves.
pub const SCOPES: [&str; 7] =
    ["oauthToken", "browse", "browse.items", "taxonomy", "analytics", "insights", "marketing"];

pub(crate) const SETTINGS: [&str; 2] = ["DIGITALLZ_EBAY_CLIENT_ID", "DIGITALLZ_EBAY_CLIENT_SECRET"];

/// The settings that the bids need.
pub(super) const BID_SETTINGS: [&str; 3] =
    ["DIGITALLZ_EBAY_USER_REFRESH_TOKEN", "DIGITALLZ_EBAY_CAMPAIGN_ID", "DIGITALLZ_EBAY_AD_GROUP_ID"];

/// Most items in one question for details, by contract.
pub(crate) const ITEMS_MAX: u32 = 20;

/// Highest offset that is answered.
const OFFSET_MAX: u32 = 9_999;

const MARKETPLACE_ID_PREFIX: &str = "EBAY_";

/// Returns the published daily limits with a cautious rate; eBay publishes none per second.
pub fn limits() -> Limits {
    let per_day = |requests| Window::day(requests, Los_Angeles);
    let limits = Limits::of(&SCOPES).with("oauthToken", per_day(1_000)).with("oauthToken", Window::bucket(1.0, 5));
    let apis = SCOPES.iter().filter(|scope| **scope != "oauthToken");
    apis.fold(limits, |limits, scope| limits.with(scope, per_day(5_000)).with(scope, Window::bucket(5.0, 5)))
}

/// Returns the market of a marketplace id.
pub(crate) fn market_of(marketplace_id: &str) -> Option<&'static str> {
    let market = marketplace_id.trim().strip_prefix(MARKETPLACE_ID_PREFIX)?;
    Marketplace::Ebay.markets().iter().copied().find(|known| *known == market)
}

pub(crate) fn missing_settings(config: &EbayConfig) -> Vec<&'static str> {
    let [client_id, client_secret] = SETTINGS;
    empty_settings(&[(client_id, config.client_id.expose()), (client_secret, config.client_secret.expose())])
}

/// eBay as it is asked here.
pub(crate) struct Ebay {
    config: EbayConfig,
}

impl Ebay {
    pub(crate) fn new(config: EbayConfig) -> Ebay {
        Ebay { config }
    }

    fn page_size(&self) -> u32 {
        self.config.page_size.clamp(1, PAGE_SIZE_MAX)
    }
}

impl Adapter for Ebay {
    fn token_request(&self, kind: TokenKind) -> Option<Request> {
        auth::token_request(&self.config, kind)
    }

    fn grants(&self) -> &'static [(Resource, TokenKind)] {
        &[
            (Resource::ItemDetails, TokenKind::Items),
            (Resource::ItemSales, TokenKind::Insights),
            (Resource::SuggestedBids, TokenKind::User),
        ]
    }

    fn read_token(&self, kind: TokenKind, answer: &Answer) -> Result<IssuedToken, AnswerError> {
        oauth::read_token(answer, auth::scope_of(kind))
    }

    fn found_nothing(&self, question: &Question, answer: &Answer) -> bool {
        question.job.resource == Resource::ItemSearch && response::found_nothing(answer)
    }

    fn limits_request(&self) -> Option<Request> {
        Some(rate_limits::request(&self.config))
    }

    fn read_limits(&self, answer: &Answer) -> Result<Vec<(&'static str, Statement)>, AnswerError> {
        rate_limits::read(answer)
    }

    fn authorize(&self, request: Request, token: &Secret) -> Request {
        auth::authorize(request, token)
    }

    fn request(&self, question: &Question) -> Result<Request, QuestionError> {
        self.make_request(question)
    }

    fn read(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        self.read_answer(question, answer)
    }

    fn statements(&self, _answer: &Answer) -> Vec<Statement> {
        // No recorded answer of eBay says anything about limits; they are asked for, see `rate_limits.rs`.
        Vec::new()
    }

    fn scopes(&self, operation: &'static str) -> &'static [&'static str] {
        match operation {
            "oauthToken" => &["oauthToken"],
            "getRateLimits" => &["analytics"],
            "getItems" => &["browse.items"],
            "getDefaultCategoryTreeId" | "getCategorySuggestions" => &["taxonomy"],
            "itemSalesSearch" => &["insights"],
            "suggestBids" => &["marketing"],
            _ => &["browse"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_limit() {
        let ebay = request::tests::ebay();
        for operation in OPERATIONS {
            let scopes = ebay.scopes(operation);
            assert!(limits().iter().any(|(scope, _)| scopes == [scope]), "{operation}");
        }
    }
}
