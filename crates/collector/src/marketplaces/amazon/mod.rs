//! Amazon, by the Selling Partner API, <https://developer-docs.amazon.com/sp-api/>, and Amazon Ads,
//! <https://advertising.amazon.com/API/docs/>.
//!
//! | resource | operations |
//! | --- | --- |
//! | catalog search | `searchCatalogItems` 2022-04-01, one page of 20 |
//! | competitive pricing | `getCompetitiveSummary` 2022-05-01 for the items of a page |
//! | search terms report, search query report | `createReport`, `getReport`, `getReportDocument` 2021-06-30, then the document itself |
//! | keyword bids | Amazon Ads `getKeywordRecommendations` for own keywords and own listings |
//!
//! Regions count their requests by themselves. The two reports need the role Brand Analytics; Amazon Ads needs the consent
//! of an advertiser, which is a refresh token and a profile of its own.

mod auth;
pub(crate) mod request;
mod response;

use std::str::FromStr;

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

pub(super) use response::DISPOSITIONS;

/// Where access tokens are issued.
pub const TOKEN_URL: &str = "https://api.amazon.com/auth/o2/token";

/// Most items on a page of a catalog search.
pub const PAGE_SIZE_MAX: u32 = 20;

/// The operations that are asked for.
pub const OPERATIONS: [&str; 8] = [
    "lwaToken",
    "searchCatalogItems",
    "getCompetitiveSummary",
    "createReport",
    "getReport",
    "getReportDocument",
    "downloadDocument",
    "getKeywordRecommendations",
];

/// What can be limited: every operation has a limit of its own.
pub const SCOPES: [&str; 8] = OPERATIONS;

pub(crate) const SETTINGS: [&str; 3] =
    ["DIGITALLZ_AMAZON_CLIENT_ID", "DIGITALLZ_AMAZON_CLIENT_SECRET", "DIGITALLZ_AMAZON_REFRESH_TOKEN"];

/// The setting that holds the user's own listings.
pub(super) const ASINS_SETTING: &str = "DIGITALLZ_AMAZON_ASINS";

/// The settings that Amazon Ads needs.
pub(super) const ADS_SETTINGS: [&str; 2] = ["DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN", "DIGITALLZ_AMAZON_ADS_PROFILE_ID"];

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

    fn ads_base_url(self) -> &'static str {
        match self {
            Region::NorthAmerica => "https://advertising-api.amazon.com",
            Region::Europe => "https://advertising-api-eu.amazon.com",
            Region::FarEast => "https://advertising-api-fe.amazon.com",
        }
    }

    /// Returns the name under which its requests are counted.
    fn partition(self) -> &'static str {
        match self {
            Region::NorthAmerica => "na",
            Region::Europe => "eu",
            Region::FarEast => "fe",
        }
    }
}

/// Returns the published usage plans. Amazon Ads publishes none: its rate is a cautious choice, and its 429 says how long
/// to wait.
pub fn limits() -> Limits {
    Limits::of(&SCOPES)
        .with("lwaToken", Window::bucket(1.0, 5))
        .with("searchCatalogItems", Window::bucket(2.0, 2))
        .with("getCompetitiveSummary", Window::bucket(0.033, 1))
        .with("createReport", Window::bucket(0.0167, 15))
        .with("getReport", Window::bucket(2.0, 15))
        .with("getReportDocument", Window::bucket(0.0167, 15))
        .with("getKeywordRecommendations", Window::bucket(1.0, 1))
}

/// Own listings as they are sent: at most so many that a report can name them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asins(Vec<String>);

/// Why a text is no list of ASINs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AsinsError {
    /// One of them is none.
    #[error("'{0}' is no ASIN, which is ten capital letters and digits")]
    Malformed(String),
    /// They are too many.
    #[error("{count} ASINs are more than fit into the 200 characters of a report's option, which are {ASINS_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// Most ASINs of ten characters, with spaces between, in 200 characters.
const ASINS_MAX: usize = 18;

impl Asins {
    /// Returns them one by one.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Reads ASINs separated by commas or spaces; one that is named twice counts once.
impl FromStr for Asins {
    type Err = AsinsError;

    fn from_str(text: &str) -> Result<Asins, AsinsError> {
        let mut asins: Vec<String> = Vec::new();
        for asin in text.split([',', ' ']).map(str::trim).filter(|asin| !asin.is_empty()) {
            if !is_asin(asin) {
                return Err(AsinsError::Malformed(asin.to_owned()));
            }
            if !asins.iter().any(|known| known == asin) {
                asins.push(asin.to_owned());
            }
        }
        if asins.len() > ASINS_MAX {
            return Err(AsinsError::TooMany { count: asins.len() });
        }
        Ok(Asins(asins))
    }
}

/// Tells whether a text is an Amazon Standard Identification Number.
fn is_asin(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Returns the market of a marketplace id.
pub(crate) fn market_of(marketplace_id: &str) -> Option<&'static str> {
    MARKETS.iter().find(|(_, id, _)| *id == marketplace_id).map(|(market, ..)| *market)
}

pub(crate) fn missing_settings(config: &AmazonConfig) -> Vec<&'static str> {
    let [client_id, client_secret, refresh_token] = SETTINGS;
    empty_settings(&[
        (client_id, config.client_id.expose()),
        (client_secret, config.client_secret.expose()),
        (refresh_token, config.refresh_token.expose()),
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

    fn ads_base_url(&self, region: Region) -> Url {
        self.config
            .ads_base_url
            .clone()
            .unwrap_or_else(|| Url::parse(region.ads_base_url()).expect("the addresses in this file are valid"))
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
        auth::token_request(&self.config, kind)
    }

    fn grants(&self) -> &'static [(Resource, TokenKind)] {
        &[(Resource::KeywordBids, TokenKind::Advertiser)]
    }

    fn read_token(&self, kind: TokenKind, answer: &Answer) -> Result<IssuedToken, AnswerError> {
        oauth::read_token(answer, auth::scope_of(kind))
    }

    fn found_nothing(&self, question: &Question, answer: &Answer) -> bool {
        question.job.resource == Resource::CatalogSearch && response::found_nothing(answer)
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
        let position = SCOPES.iter().position(|scope| *scope == operation);
        position.map_or(&[], |position| &SCOPES_OF_OPERATIONS[position..=position])
    }
}

static SCOPES_OF_OPERATIONS: [&str; 8] = SCOPES;

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
    fn every_limit_belongs_to_a_scope() {
        assert!(limits().iter().all(|(scope, _)| SCOPES.contains(&scope)));
        let amazon = request::tests::amazon();
        assert!(OPERATIONS.iter().all(|operation| amazon.scopes(operation) == [*operation]));
    }

    #[test]
    fn asins_are_read_once_and_bounded() {
        let asins: Asins = "B0SANDBOX1, B0SANDBOX2 B0SANDBOX1".parse().unwrap();
        assert_eq!(asins.as_slice(), ["B0SANDBOX1", "B0SANDBOX2"]);
        assert_eq!("b0sandbox1".parse::<Asins>(), Err(AsinsError::Malformed("b0sandbox1".to_owned())));
        let many = |count: usize| (0..count).map(|number| format!("B{number:09}")).collect::<Vec<_>>().join(" ");
        assert_eq!(many(ASINS_MAX).parse::<Asins>().unwrap().as_slice().join(" ").len(), 197);
        assert_eq!(many(19).parse::<Asins>(), Err(AsinsError::TooMany { count: 19 }));
    }
}
