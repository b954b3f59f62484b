//! eBay, by the Buy APIs: <https://developer.ebay.com/api-docs/buy/browse/overview.html>.
//!
//! | resource | operation |
//! | --- | --- |
//! | item search | Browse `item_summary/search` with refinements |

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

/// Address of the API.
pub const BASE_URL: &str = "https://api.ebay.com";

/// Most items on a page.
pub const PAGE_SIZE_MAX: u32 = 200;

/// The operations that can be limited.
pub const OPERATIONS: [&str; 3] = ["itemSummarySearch", "getRateLimits", "oauthToken"];

/// What eBay counts together, each by the day.
const SCOPES: [&str; 3] = ["browse", "analytics", "oauthToken"];

pub(crate) const SETTINGS: [&str; 2] = ["DIGITALLZ_EBAY_CLIENT_ID", "DIGITALLZ_EBAY_CLIENT_SECRET"];

/// Highest offset that is answered.
const OFFSET_MAX: u32 = 9_999;

const MARKETPLACE_ID_PREFIX: &str = "EBAY_";

/// Returns the published daily limits with a cautious rate; eBay publishes none per second.
pub fn limits() -> Limits {
    let per_day = |requests| Window::day(requests, Los_Angeles);
    Limits::of(&SCOPES)
        .with("oauthToken", per_day(1_000))
        .with("oauthToken", Window::bucket(1.0, 5))
        .with("browse", per_day(5_000))
        .with("browse", Window::bucket(5.0, 5))
        .with("analytics", per_day(5_000))
}

/// Returns the market of a marketplace id.
pub(crate) fn market_of(marketplace_id: &str) -> Option<&'static str> {
    let market = marketplace_id.trim().strip_prefix(MARKETPLACE_ID_PREFIX)?;
    Marketplace::Ebay.markets().iter().copied().find(|known| *known == market)
}

pub(crate) fn missing_settings(config: &EbayConfig) -> Vec<&'static str> {
    let [client_id, client_secret] = SETTINGS;
    empty_settings(&[(client_id, &config.client_id), (client_secret, &config.client_secret)])
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
        (kind == TokenKind::Main).then(|| auth::token_request(&self.config))
    }

    fn read_token(&self, answer: &Answer) -> Result<IssuedToken, AnswerError> {
        oauth::read_token(answer)
    }

    fn found_nothing(&self, question: &Question, answer: &Answer) -> bool {
        question.job.resource == Resource::ItemSearch && response::item_count(answer) == Some(0)
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
        // No recorded answer of eBay says anything about limits; they are asked for, see `limits.rs`.
        Vec::new()
    }

    fn scopes(&self, operation: &'static str) -> &'static [&'static str] {
        match operation {
            "oauthToken" => &["oauthToken"],
            "getRateLimits" => &["analytics"],
            _ => &["browse"],
        }
    }
}
