//! eBay, by the Buy APIs: <https://developer.ebay.com/api-docs/buy/browse/overview.html>.
//!
//! | resource | operation |
//! | --- | --- |
//! | item search | Browse `item_summary/search` with refinements |

mod auth;
pub(crate) mod request;
mod response;

use digitallz_common::marketplace::Marketplace;
use digitallz_common::secret::Secret;

use super::adapter::{Adapter, AnswerError, Question, QuestionError, Step};
use super::{empty_settings, oauth};
use crate::config::EbayConfig;
use crate::exchange::{Answer, Request, TokenKind};
use crate::limiter::StatedLimit;
use crate::limits::Limits;
use crate::token::IssuedToken;

/// Address of the API.
pub const BASE_URL: &str = "https://api.ebay.com";

/// Most items on a page.
pub const PAGE_SIZE_MAX: u32 = 200;

/// The operations that can be limited.
pub const OPERATIONS: [&str; 3] = [Limits::ANY, "oauthToken", "itemSummarySearch"];

pub(crate) const SETTINGS: [&str; 2] = ["DIGITALLZ_EBAY_CLIENT_ID", "DIGITALLZ_EBAY_CLIENT_SECRET"];

/// Highest offset that is answered.
const OFFSET_MAX: u32 = 9_999;

const MARKETPLACE_ID_PREFIX: &str = "EBAY_";

/// Returns the published daily limits with a cautious rate; eBay publishes none per second.
pub fn limits() -> Limits {
    Limits::of(&OPERATIONS).with("oauthToken", 1.0, 5, Some(1_000)).with("itemSummarySearch", 2.0, 2, Some(5_000))
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

    fn authorize(&self, request: Request, token: &Secret) -> Request {
        auth::authorize(request, token)
    }

    fn request(&self, question: &Question) -> Result<Request, QuestionError> {
        self.make_request(question)
    }

    fn read(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        self.read_answer(question, answer)
    }

    fn stated_limit(&self, _answer: &Answer) -> StatedLimit {
        // No recorded answer of eBay says anything about limits.
        StatedLimit::default()
    }

    fn scopes(&self, operation: &'static str) -> &'static [&'static str] {
        match operation {
            "oauthToken" => &["oauthToken"],
            _ => &["browse"],
        }
    }
}
