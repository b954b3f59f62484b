//! Questions to Etsy: a search by keyword, then its listings, their shops and their reviews by their ids.

use digitallz_common::marketplace::Resource;

use super::{Etsy, OFFSET_MAX, PAGE_SIZE_MAX};
use crate::exchange::Request;
use crate::marketplaces::adapter::{Question, QuestionError, address};

/// Path of the search.
pub const SEARCH_PATH: &str = "/v3/application/listings/active";

/// Path of the batch.
pub const BATCH_PATH: &str = "/v3/application/listings/batch";

const SHOPS_PATH: &str = "/v3/application/shops";
const LISTINGS_PATH: &str = "/v3/application/listings";
const IDS_PREFIX: &str = "ids:";
const SHOP_PREFIX: &str = "shop:";
const LISTING_PREFIX: &str = "listing:";

/// Most reviews on a page, by contract.
const REVIEWS_MAX: u32 = 100;

impl Etsy {
    pub(super) fn make_request(&self, question: &Question) -> Result<Request, QuestionError> {
        match question.job.resource {
            Resource::ListingSearch => self.search(question),
            Resource::ListingBatch => self.batch(question),
            Resource::Shop => self.shop(question),
            Resource::ListingReviews => self.reviews(question),
            other => Err(QuestionError::NotOffered(other)),
        }
    }

    fn search(&self, question: &Question) -> Result<Request, QuestionError> {
        let offset = question.offset()?;
        if offset > OFFSET_MAX {
            return Err(QuestionError::Cursor(format!("offset:{offset}")));
        }
        let mut url = address(&self.config.base_url, SEARCH_PATH);
        url.query_pairs_mut()
            .append_pair("keywords", question.keyword()?)
            .append_pair("limit", &self.page_size().to_string())
            .append_pair("offset", &offset.to_string())
            .append_pair("sort_on", "score")
            .append_pair("sort_order", "desc");
        Ok(Request::get("findAllListingsActive", url))
    }

    fn batch(&self, question: &Question) -> Result<Request, QuestionError> {
        let cursor = question.cursor.as_deref().unwrap_or_default();
        let unreadable = || QuestionError::Cursor(cursor.to_owned());
        let ids = cursor.strip_prefix(IDS_PREFIX).ok_or_else(unreadable)?;
        let count = ids.split(',').count();
        if count > PAGE_SIZE_MAX as usize || ids.split(',').any(|id| id.parse::<u64>().is_err()) {
            return Err(unreadable());
        }
        let mut url = address(&self.config.base_url, BATCH_PATH);
        url.query_pairs_mut().append_pair("listing_ids", ids);
        Ok(Request::get("getListingsByListingIds", url))
    }

    fn shop(&self, question: &Question) -> Result<Request, QuestionError> {
        let shop_id = id(question, SHOP_PREFIX)?;
        Ok(Request::get("getShop", address(&self.config.base_url, &format!("{SHOPS_PATH}/{shop_id}"))))
    }

    fn reviews(&self, question: &Question) -> Result<Request, QuestionError> {
        let listing_id = id(question, LISTING_PREFIX)?;
        let mut url = address(&self.config.base_url, &format!("{LISTINGS_PATH}/{listing_id}/reviews"));
        url.query_pairs_mut().append_pair("limit", &REVIEWS_MAX.to_string());
        Ok(Request::get("getReviewsByListing", url))
    }
}

/// Names the operation that answers a resource.
pub(super) fn operation(resource: Resource) -> &'static str {
    match resource {
        Resource::ListingBatch => "getListingsByListingIds",
        Resource::Shop => "getShop",
        Resource::ListingReviews => "getReviewsByListing",
        _ => "findAllListingsActive",
    }
}

/// Writes a shop as the cursor of a question for it.
pub(super) fn shop_cursor(shop_id: u64) -> String {
    format!("{SHOP_PREFIX}{shop_id}")
}

/// Writes a listing as the cursor of a question for its reviews.
pub(super) fn listing_cursor(listing_id: u64) -> String {
    format!("{LISTING_PREFIX}{listing_id}")
}

fn id(question: &Question, prefix: &str) -> Result<u64, QuestionError> {
    let cursor = question.cursor.as_deref().unwrap_or_default();
    let id = cursor.strip_prefix(prefix).and_then(|id| id.parse().ok()).filter(|id| *id > 0);
    id.ok_or_else(|| QuestionError::Cursor(cursor.to_owned()))
}

/// Writes listing ids as the cursor of a batch.
pub(super) fn batch_cursor(listing_ids: &[u64]) -> String {
    let ids: Vec<String> = listing_ids.iter().map(u64::to_string).collect();
    format!("{IDS_PREFIX}{}", ids.join(","))
}

#[cfg(test)]
pub(super) mod tests {
    use digitallz_common::jobs::FetchPage;
    use digitallz_common::marketplace::{Marketplace, Site};
    use digitallz_common::secret::Secret;
    use uuid::Uuid;

    use super::*;
    use crate::config::EtsyConfig;

    pub(crate) fn etsy() -> Etsy {
        Etsy::new(EtsyConfig::new(Secret::new("k"), Secret::new("s")))
    }

    pub(crate) fn question(resource: Resource, cursor: Option<&str>) -> Question {
        Question {
            job: FetchPage {
                crawl_run_id: Uuid::nil(),
                site: Site::new(Marketplace::Etsy, "US").unwrap(),
                resource,
                keyword_id: Some(1),
                keyword_ids: Vec::new(),
                then: Vec::new(),
                page_number: 1,
                cursor: cursor.map(str::to_owned),
                scheduled_for: "2025-06-11T05:00:00Z".parse().unwrap(),
            },
            keyword_text: Some("women's hat".to_owned()),
            keyword_texts: Vec::new(),
            cursor: cursor.map(str::to_owned),
        }
    }

    #[test]
    fn a_search_is_sorted_by_score() {
        let request = etsy().make_request(&question(Resource::ListingSearch, None)).unwrap();
        assert_eq!(
            request.url.as_str(),
            "https://openapi.etsy.com/v3/application/listings/active?keywords=women%27s+hat&limit=48&offset=0\
             &sort_on=score&sort_order=desc"
        );
        let next = etsy().make_request(&question(Resource::ListingSearch, Some("offset:48"))).unwrap();
        assert!(next.url.as_str().contains("offset=48"));
        assert!(etsy().make_request(&question(Resource::ListingSearch, Some("offset:12001"))).is_err());
    }

    #[test]
    fn a_batch_names_at_most_a_hundred_listings() {
        let cursor = batch_cursor(&[11, 12]);
        let request = etsy().make_request(&question(Resource::ListingBatch, Some(&cursor))).unwrap();
        assert_eq!(request.url.as_str(), "https://openapi.etsy.com/v3/application/listings/batch?listing_ids=11%2C12");
        for cursor in [batch_cursor(&(1..=101).collect::<Vec<_>>()), "ids:1,x".to_owned(), "ids:".to_owned()] {
            assert!(etsy().make_request(&question(Resource::ListingBatch, Some(&cursor))).is_err(), "{cursor}");
        }
        assert!(etsy().make_request(&question(Resource::ListingBatch, None)).is_err());
    }

    #[test]
    fn shops_and_reviews_are_asked_one_by_one() {
        let shop = etsy().make_request(&question(Resource::Shop, Some(&shop_cursor(7)))).unwrap();
        assert_eq!(shop.url.as_str(), "https://openapi.etsy.com/v3/application/shops/7");
        let reviews = etsy().make_request(&question(Resource::ListingReviews, Some(&listing_cursor(11)))).unwrap();
        assert_eq!(reviews.url.as_str(), "https://openapi.etsy.com/v3/application/listings/11/reviews?limit=100");
        for cursor in [None, Some("shop:0"), Some("shop:x"), Some("listing:7")] {
            assert!(etsy().make_request(&question(Resource::Shop, cursor)).is_err(), "{cursor:?}");
        }
        for resource in Marketplace::Etsy.resources() {
            let cursor = match resource {
                Resource::ListingSearch => None,
                Resource::ListingBatch => Some("ids:1"),
                Resource::Shop => Some("shop:1"),
                _ => Some("listing:1"),
            };
            let request = etsy().make_request(&question(resource, cursor)).unwrap();
            assert_eq!(request.operation, operation(resource));
        }
    }
}
