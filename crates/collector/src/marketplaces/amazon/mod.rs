//! Amazon, by the Selling Partner API: <https://developer-docs.amazon.com/sp-api/>.
//!
//! | resource | operations |
//! | --- | --- |
//! | catalog search | `searchCatalogItems` 2022-04-01, one page of 20 |
//! | search terms report | `createReport`, `getReport`, `getReportDocument` 2021-06-30, then the document itself |

mod auth;
pub(crate) mod request;
mod response;

use digitallz_common::marketplace::Resource;
use digitallz_common::secret::Secret;
use url::Url;

use super::adapter::{Adapter, AnswerError, Question, QuestionError, Step};
use super::{empty_settings, oauth};
use crate::config::AmazonConfig;
use crate::exchange::{Answer, Request, TokenKind};
use crate::limits::{Limits, Window};
use crate::quota::account::Statement;
use crate::token::IssuedToken;

/// Where access tokens are issued.
pub const TOKEN_URL: &str = "https://api.amazon.com/auth/o2/token";

/// Most items on a page of a catalog search.
pub const PAGE_SIZE_MAX: u32 = 20;

/// The operations that can be limited.
pub const OPERATIONS: [&str; 7] = [
    Limits::ANY,
    "lwaToken",
    "searchCatalogItems",
    "createReport",
    "getReport",
    "getReportDocument",
    "downloadDocument",
];

/// Every operation has a limit of its own.
const SCOPES: [&[&str]; 6] = [
    &["searchCatalogItems"],
    &["createReport"],
    &["getReport"],
    &["getReportDocument"],
    &["lwaToken"],
    &["downloadDocument"],
];

pub(crate) const SETTINGS: [&str; 3] =
    ["DIGITALLZ_AMAZON_CLIENT_ID", "DIGITALLZ_AMAZON_CLIENT_SECRET", "DIGITALLZ_AMAZON_REFRESH_TOKEN"];

/// The reads by catalog search that may be paged through, by contract.
const ITEMS_MAX: u32 = 1_000;

/// Market, marketplace id and region of every market.
const MARKETS: [(&str, &str, Region); 14] = [
    ("US", "ATVPDKIKX0DER", Region::NorthAmerica),
    ("CA", "A2EUQ1WTGCTBG2", Region::NorthAmerica),
    ("MX", "A1AM78C64UM0Y8", Region::NorthAmerica),
    ("BR", "A2Q3Y263D00KWC", Region::NorthAmerica),
    ("DE", "A1PA6795UKMFR9", Region::Europe),
    ("ES", "A1RKKUPIHCS9HS", Region::Europe),
    ("FR", "A13V1IB3VIYZZH", Region::Europe),
    ("IT", "APJ6JRA9NG5V4", Region::Europe),
    ("GB", "A1F83G8C2ARO7P", Region::Europe),
    ("NL", "A1805IZSGTT6HS", Region::Europe),
    ("SE", "A2NODRKZP88ZB9", Region::Europe),
    ("PL", "A1C3SOZRARQ6R3", Region::Europe),
    ("JP", "A1VC38T7YXB528", Region::FarEast),
    ("AU", "A39IBJ37TRP1C6", Region::FarEast),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    NorthAmerica,
    Europe,
    FarEast,
}

impl Region {
    fn base_url(self) -> &'static str {
        match self {
            Region::NorthAmerica => "https://sellingpartnerapi-na.amazon.com",
            Region::Europe => "https://sellingpartnerapi-eu.amazon.com",
            Region::FarEast => "https://sellingpartnerapi-fe.amazon.com",
        }
    }
}

/// Returns the published usage plans.
pub fn limits() -> Limits {
    Limits::of(&OPERATIONS)
        .with("lwaToken", Window::bucket(1.0, 5))
        .with("searchCatalogItems", Window::bucket(2.0, 2))
        .with("createReport", Window::bucket(0.0167, 15))
        .with("getReport", Window::bucket(2.0, 15))
        .with("getReportDocument", Window::bucket(0.0167, 15))
}

/// Returns the market of a marketplace id.
pub(crate) fn market_of(marketplace_id: &str) -> Option<&'static str> {
    MARKETS.iter().find(|(_, id, _)| *id == marketplace_id).map(|(market, ..)| *market)
}

pub(crate) fn missing_settings(config: &AmazonConfig) -> Vec<&'static str> {
    let [client_id, client_secret, refresh_token] = SETTINGS;
    empty_settings(&[
        (client_id, &config.client_id),
        (client_secret, &config.client_secret),
        (refresh_token, &config.refresh_token),
    ])
}

/// Amazon as it is asked here.
pub(crate) struct Amazon {
    config: AmazonConfig,
}

impl Amazon {
    pub(crate) fn new(config: AmazonConfig) -> Amazon {
        Amazon { config }
    }

    fn base_url(&self, region: Region) -> Url {
        self.config
            .base_url
            .clone()
            .unwrap_or_else(|| Url::parse(region.base_url()).expect("the addresses in this file are valid"))
    }

    fn page_size(&self) -> u32 {
        self.config.page_size.clamp(1, PAGE_SIZE_MAX)
    }

    fn pages(&self) -> u32 {
        self.config.pages.clamp(1, ITEMS_MAX / self.page_size())
    }
}

impl Adapter for Amazon {
    fn token_request(&self, kind: TokenKind) -> Option<Request> {
        (kind == TokenKind::Main).then(|| auth::token_request(&self.config))
    }

    fn read_token(&self, answer: &Answer) -> Result<IssuedToken, AnswerError> {
        oauth::read_token(answer)
    }

    fn found_nothing(&self, question: &Question, answer: &Answer) -> bool {
        question.job.resource == Resource::CatalogSearch && response::item_count(answer) == Some(0)
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

    fn statements(&self, answer: &Answer) -> Vec<Statement> {
        let rate = answer.header("x-amzn-ratelimit-limit").and_then(|text| text.trim().parse().ok());
        rate.map(Statement::Rate).into_iter().collect()
    }

    fn scopes(&self, operation: &'static str) -> &'static [&'static str] {
        let position = SCOPES.iter().position(|scopes| scopes[0] == operation);
        position.map_or(&[], |position| SCOPES[position])
    }
}

#[cfg(test)]
mod tests {
    use digitallz_common::marketplace::Marketplace;

    use super::*;

    #[test]
    fn every_market_has_an_id() {
        let known: Vec<&str> = MARKETS.iter().map(|(market, ..)| *market).collect();
        assert_eq!(known, Marketplace::Amazon.markets());
    }

    #[test]
    fn every_limit_belongs_to_an_operation() {
        assert!(limits().iter().all(|(operation, _)| OPERATIONS.contains(&operation)));
    }
}
