//! The questions whose answers the tests read, and the keywords that are tracked meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Resource, Site, Subject};
use digitallz_common::raw_payload::RawPayload;
use digitallz_common::source_contract::SourceContract;
use digitallz_processor::marketplaces;
use digitallz_processor::reading::{ReadError, Reading, TrackedKeyword, TrackedKeywords};

use crate::oracle;

/// The keyword that is asked for where an answer is about one.
pub const KEYWORD_ID: i64 = 7;
/// Its text.
pub const KEYWORD_TEXT: &str = "blue mug";
/// The keywords that are tracked where an answer is about many, with identifiers from 1; the last is not active any more.
pub const TRACKED: [&str; 6] = ["blue mug", "women's hat", "soap", "rain coat", "unheard of", "old mug"];

/// What was asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The kind of data.
    pub resource: Resource,
    /// The address.
    pub url: String,
    /// The page.
    pub page_number: i32,
    /// The status of the answer.
    pub status_code: u16,
    /// When it was answered.
    pub fetched_at: DateTime<Utc>,
    /// The text of the keyword that was asked for.
    pub keyword_text: String,
}

impl Question {
    /// Asks for the first page of a resource in the usual way.
    pub fn of(resource: Resource) -> Question {
        Question {
            resource,
            url: url(resource).to_owned(),
            page_number: 1,
            status_code: 200,
            fetched_at: "2026-08-24T12:00:00Z".parse().expect("a time"),
            keyword_text: KEYWORD_TEXT.to_owned(),
        }
    }

    /// Adds a parameter to the address.
    pub fn with(mut self, parameter: &str) -> Question {
        self.url = format!("{}&{parameter}", self.url);
        self
    }

    /// Asks for a later page.
    pub fn page(self, page_number: i32) -> Question {
        Question { page_number, ..self }
    }

    /// Tells whether the answer is about one keyword.
    pub fn is_of_one_keyword(&self) -> bool {
        self.resource.subject() == Subject::Keyword
    }

    /// Lets the program read an answer.
    pub fn read(&self, body: &[u8]) -> Result<Reading, ReadError> {
        let payload = RawPayload {
            raw_payload_id: 1,
            site: Site::new(self.resource.marketplace().expect("a marketplace"), "US").expect("a site"),
            resource: self.resource,
            keyword_id: self.is_of_one_keyword().then_some(KEYWORD_ID),
            keyword_text: self.is_of_one_keyword().then(|| self.keyword_text.clone()),
            crawl_run_id: uuid::Uuid::nil(),
            page_number: self.page_number,
            request_url: self.url.clone(),
            status_code: self.status_code,
            body: body.to_vec(),
            fetched_at: self.fetched_at,
        };
        let tracked = tracked().asked_in(request_body(self.resource));
        marketplaces::read(&payload, &tracked, &SourceContract::default()).0
    }

    /// Lets the program read an answer, and tells what is wrong with what it made of it: a panic, or a value that the
    /// answer does not hold.
    pub fn judge(&self, body: &[u8]) -> Result<Result<Reading, ReadError>, String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read(body))).map_err(|_| "it panicked".to_owned())?;
        oracle::compare(self, body, &outcome)?;
        Ok(outcome)
    }
}

/// Returns the keywords that a request for many of them names.
pub fn asked() -> &'static [&'static str] {
    &TRACKED[..5]
}

fn tracked() -> TrackedKeywords {
    let last = TRACKED.len();
    let keywords = TRACKED.iter().zip(1..);
    keywords
        .map(|(text, keyword_id)| {
            ((*text).to_owned(), TrackedKeyword { keyword_id, is_active: (keyword_id as usize) < last })
        })
        .collect()
}

fn request_body(resource: Resource) -> Option<String> {
    let listed =
        |field: &str| asked().iter().map(|text| format!("{{\"{field}\": \"{text}\"}}")).collect::<Vec<_>>().join(",");
    match resource {
        Resource::KeywordBids => Some(format!("{{\"targets\": [{}]}}", listed("keyword"))),
        Resource::SuggestedBids => Some(format!("{{\"keywords\": [{}]}}", listed("keywordText"))),
        _ => None,
    }
}

fn url(resource: Resource) -> &'static str {
    match resource {
        Resource::CatalogSearch => {
            "https://sellingpartnerapi-na.amazon.com/catalog/2022-04-01/items?keywords=blue%20mug&pageSize=20"
        }
        Resource::CompetitivePricing => {
            "https://sellingpartnerapi-na.amazon.com/batches/products/pricing/2022-05-01/items/competitiveSummary"
        }
        Resource::ListingSearch => {
            "https://openapi.etsy.com/v3/application/listings/active?keywords=blue%20mug&limit=100&sort_on=score"
        }
        Resource::ListingBatch => "https://openapi.etsy.com/v3/application/listings/batch?listing_ids=1,2,3,4,5,6",
        Resource::Shop => "https://openapi.etsy.com/v3/application/shops/8614061",
        Resource::ListingReviews => "https://openapi.etsy.com/v3/application/listings/77/reviews?limit=100",
        Resource::ItemSearch => {
            "https://api.ebay.com/buy/browse/v1/item_summary/search?q=blue+mug&filter=buyingOptions%3A%7BAUCTION%7CFIXED_PRICE%7D&limit=50&offset=0"
        }
        Resource::ItemDetails => {
            "https://api.ebay.com/buy/browse/v1/item/?item_ids=v1%7C1%7C0%2Cv1%7C2%7C0%2Cv1%7C3%7C0%2Cv1%7C4%7C0%2Cv1%7C5%7C0"
        }
        Resource::CategorySuggestions => {
            "https://api.ebay.com/commerce/taxonomy/v1/category_tree/0/get_category_suggestions?q=blue%20mug"
        }
        Resource::ItemSales => {
            "https://api.ebay.com/buy/marketplace_insights/v1_beta/item_sales/search?q=blue,mug&category_ids=20695"
        }
        _ => "https://example.com/",
    }
}
