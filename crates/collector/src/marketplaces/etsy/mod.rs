//! Etsy, by the Open API v3: <https://developers.etsy.com/documentation/reference/>.
//!
//! | resource | operation |
//! | --- | --- |
//! | listing search | `findAllListingsActive`, sorted by score |
//! | listing batch | `getListingsByListingIds` for the listings of the search, because only this carries their views |
//! | shop | `getShop` of the shops of the first listings of the search |
//! | listing reviews | `getReviewsByListing` of the first listings of the search |
//!
//! Limits are granted per application and counted over all operations together.

mod auth;
pub(crate) mod request;
mod response;

use std::time::Duration;

use digitallz_common::marketplace::Resource;
use digitallz_common::secret::Secret;

use super::adapter::{Adapter, AnswerError, Question, QuestionError, Step};
use super::empty_settings;
use crate::config::EtsyConfig;
use crate::exchange::{Answer, Request, TokenKind};
use crate::limits::{Limits, Window};
use crate::quota::account::Statement;
use crate::token::IssuedToken;

pub(super) use response::DISPOSITIONS;

/// Address of the API.
pub const BASE_URL: &str = "https://openapi.etsy.com";

/// Most listings on a page of a search, and in a batch.
pub const PAGE_SIZE_MAX: u32 = 100;

/// The operations that are asked for.
pub const OPERATIONS: [&str; 4] =
    ["findAllListingsActive", "getListingsByListingIds", "getShop", "getReviewsByListing"];

/// What can be limited: all operations together.
pub const SCOPES: [&str; 1] = [Limits::ANY];

pub(crate) const SETTINGS: [&str; 2] = ["DIGITALLZ_ETSY_KEYSTRING", "DIGITALLZ_ETSY_SHARED_SECRET"];

/// The two windows within which requests are counted.
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Highest offset that is answered.
const OFFSET_MAX: u32 = 12_000;

/// Returns cautious limits; the true ones are in every answer.
pub fn limits() -> Limits {
    Limits::of(&SCOPES).with(Limits::ANY, Window::sliding(5, SECOND)).with(Limits::ANY, Window::sliding(5_000, DAY))
}

pub(crate) fn missing_settings(config: &EtsyConfig) -> Vec<&'static str> {
    let [keystring, shared_secret] = SETTINGS;
    empty_settings(&[(keystring, config.keystring.expose()), (shared_secret, config.shared_secret.expose())])
}

/// Etsy as it is asked here.
pub(crate) struct Etsy {
    config: EtsyConfig,
}

impl Etsy {
    pub(crate) fn new(config: EtsyConfig) -> Etsy {
        Etsy { config }
    }

    fn page_size(&self) -> u32 {
        self.config.page_size.clamp(1, PAGE_SIZE_MAX)
    }
}

impl Adapter for Etsy {
    fn token_request(&self, _kind: TokenKind) -> Option<Request> {
        None
    }

    fn read_token(&self, _kind: TokenKind, _answer: &Answer) -> Result<IssuedToken, AnswerError> {
        Err(AnswerError::Misconfigured("etsy issues no tokens for public data".to_owned()))
    }

    fn found_nothing(&self, question: &Question, answer: &Answer) -> bool {
        question.job.resource == Resource::ListingSearch && response::found_nothing(answer)
    }

    fn authorize(&self, request: Request, _token: &Secret) -> Request {
        request
    }

    fn request(&self, question: &Question) -> Result<Request, QuestionError> {
        Ok(auth::authorize(self.make_request(question)?, &self.config))
    }

    fn read(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        self.read_answer(question, answer)
    }

    fn statements(&self, answer: &Answer) -> Vec<Statement> {
        let number = |name| answer.header(name).and_then(|text| text.trim().parse().ok());
        let second = number("x-limit-per-second");
        let second = second.map(|requests| Statement::Sliding { period: SECOND, requests, remaining: None });
        let day = number("x-limit-per-day");
        let remaining = number("x-remaining-today");
        let day = day.map(|requests| Statement::Sliding { period: DAY, requests, remaining });
        second.into_iter().chain(day).collect()
    }

    fn scopes(&self, _operation: &'static str) -> &'static [&'static str] {
        &[Limits::ANY]
    }
}

/// Returns the ids of the listings on a stored page of a search; none when it cannot be read.
pub(crate) fn listing_ids_of(body: &[u8]) -> Vec<u64> {
    response::listing_ids_of(body)
}
