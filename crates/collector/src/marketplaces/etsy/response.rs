//! Answers of Etsy: a page of listings, from which the batch, the shops and the reviews follow.

use digitallz_common::marketplace::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::request::{batch_cursor, listing_cursor, operation, shop_cursor};
use super::{Etsy, OFFSET_MAX, PAGE_SIZE_MAX};
use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, NextFetch, Question, Step, Words, frame, naming, refusal};
use crate::marketplaces::disposition::{Disposition, EVERY, Table};

/// What becomes of the answers that the contract documents, and of 429, which it does not. There are no error codes; the
/// two that stand here are read out of the words.
pub(crate) static DISPOSITIONS: Table = Table {
    codes: &[(EVERY, &[OFFSET], Disposition::EndOfPages), (EVERY, &[SHARED_SECRET], Disposition::Misconfigured)],
    statuses: &[
        (EVERY, &[200, 201, 204], Disposition::Answer),
        (EVERY, &[400, 404, 409, 422, 501], Disposition::GiveUp),
        (EVERY, &[401], Disposition::NewToken),
        (EVERY, &[403], Disposition::Misconfigured),
        (EVERY, &[429], Disposition::Snooze),
        (EVERY, &[500, 503], Disposition::Retry),
    ],
};

/// The page begins beyond the last one that is shown.
const OFFSET: &str = "offset";

/// The key came without its second half.
const SHARED_SECRET: &str = "shared secret";

#[derive(Deserialize)]
struct Page {
    count: u64,
    results: Vec<Value>,
}

impl Etsy {
    pub(super) fn read_answer(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        let resource = question.job.resource;
        let words = describe(answer);
        let code = words.as_ref().and_then(|words| words.code.as_deref());
        let known = DISPOSITIONS.of(operation(resource), answer.status, code);
        if known == Some(Disposition::EndOfPages) {
            return Ok(Step::End);
        }
        if let Some(error) = refusal(answer, known, words) {
            return Err(naming(error, KEY));
        }
        match resource {
            Resource::ListingBatch | Resource::ListingReviews => {
                let _: Page = frame(answer)?;
                Ok(Step::Keep(Vec::new()))
            }
            Resource::Shop => read_shop(answer),
            _ => self.read_search(question, answer),
        }
    }

    fn read_search(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        let page: Page = frame(answer)?;
        let job = &question.job;
        let mut next = Vec::new();
        let listing_ids = ids(&page.results, "listing_id");
        if question.wants(Resource::ListingBatch) && !listing_ids.is_empty() {
            next.push(NextFetch {
                resource: Resource::ListingBatch,
                page_number: job.page_number,
                cursor: Some(batch_cursor(&listing_ids)),
            });
        }
        if job.page_number == 1 {
            next.extend(self.details(question, &page.results));
        }
        // Etsy gives no link to the next page: it follows from the offset.
        let offset = question.offset().map_err(|error| AnswerError::Failed(error.to_string()))? + self.page_size();
        let has_more = !page.results.is_empty() && u64::from(offset) < page.count && offset <= OFFSET_MAX;
        if has_more && job.page_number < self.config.pages as i32 {
            next.push(NextFetch {
                resource: Resource::ListingSearch,
                page_number: job.page_number + 1,
                cursor: Some(format!("offset:{offset}")),
            });
        }
        Ok(Step::Keep(next))
    }

    /// Lists what is asked about the first listings of a search: each of their shops once, and the reviews of each.
    fn details(&self, question: &Question, results: &[Value]) -> Vec<NextFetch> {
        let first = &results[..results.len().min(self.config.details as usize)];
        let mut shop_ids = Vec::new();
        for shop_id in ids(first, "shop_id") {
            if !shop_ids.contains(&shop_id) {
                shop_ids.push(shop_id);
            }
        }
        let numbered = |resource, cursors: Vec<String>| {
            let is_wanted = question.wants(resource);
            let cursors = (1..).zip(cursors).filter(move |_| is_wanted);
            cursors.map(move |(page_number, cursor)| NextFetch { resource, page_number, cursor: Some(cursor) })
        };
        let shops = numbered(Resource::Shop, shop_ids.into_iter().map(shop_cursor).collect());
        let listings = ids(first, "listing_id").into_iter().map(listing_cursor).collect();
        shops.chain(numbered(Resource::ListingReviews, listings)).collect()
    }
}

fn read_shop(answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    struct Shop {
        #[serde(rename = "shop_id")]
        _shop_id: u64,
    }
    let _: Shop = frame(answer)?;
    Ok(Step::Keep(Vec::new()))
}

/// Tells whether a page says that nothing matches.
pub(super) fn found_nothing(answer: &Answer) -> bool {
    answer.is_success() && frame::<Page>(answer).is_ok_and(|page| page.count == 0 && page.results.is_empty())
}

/// Returns an id of each listing, of at most a batch; a row without one is left for the reader to judge.
fn ids(results: &[Value], name: &str) -> Vec<u64> {
    let ids = results.iter().filter_map(|listing| listing.get(name)?.as_u64()).filter(|id| *id > 0);
    ids.take(PAGE_SIZE_MAX as usize).collect()
}

/// Returns the ids of the listings on a stored page of a search; none when it cannot be read.
pub(super) fn listing_ids_of(body: &[u8]) -> Vec<u64> {
    serde_json::from_slice::<Page>(body).map(|page| ids(&page.results, "listing_id")).unwrap_or_default()
}

/// What a refused permission is about.
const KEY: &str = "etsy refuses the key of DIGITALLZ_ETSY_KEYSTRING and DIGITALLZ_ETSY_SHARED_SECRET, of which it wants \
                   both, approved for what is asked";

/// Reads the words of an error.
fn describe(answer: &Answer) -> Option<Words> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).ok()?;
    let words = refusal.error.to_ascii_lowercase();
    let code = match answer.status {
        400 if words.contains("offset provided is greater") => Some(OFFSET.to_owned()),
        403 if words.contains(SHARED_SECRET) => Some(SHARED_SECRET.to_owned()),
        _ => None,
    };
    let text = match refusal.error_description {
        Some(description) => format!("{}: {description}", refusal.error),
        None => refusal.error,
    };
    Some(Words { code, text })
}

#[cfg(test)]
mod tests {
    use digitallz_common::secret::Secret;

    use super::super::request::tests::{etsy, question};
    use super::*;
    use crate::config::EtsyConfig;
    use crate::exchange::tests::answer;

    fn json(status: u16, body: &str) -> Answer {
        answer(status, "application/json", body)
    }

    #[test]
    fn the_listings_of_a_search_are_fetched_for_their_views() {
        let body = r#"{"count": 310579, "results": [{"listing_id": 11}, {"listing_id": {"value": null}}, {"listing_id": 12}]}"#;
        let batch =
            NextFetch { resource: Resource::ListingBatch, page_number: 1, cursor: Some("ids:11,12".to_owned()) };
        let mut search = question(Resource::ListingSearch, None);
        assert_eq!(etsy().read_answer(&search, &json(200, body)).unwrap(), Step::Keep(vec![]));
        search.job.then = vec![Resource::ListingBatch];
        assert_eq!(etsy().read_answer(&search, &json(200, body)).unwrap(), Step::Keep(vec![batch.clone()]));

        let deep = Etsy::new(EtsyConfig { pages: 2, ..EtsyConfig::new(Secret::new("k"), Secret::new("s")) });
        let page =
            NextFetch { resource: Resource::ListingSearch, page_number: 2, cursor: Some("offset:48".to_owned()) };
        assert_eq!(deep.read_answer(&search, &json(200, body)).unwrap(), Step::Keep(vec![batch, page]));
    }

    #[test]
    fn shops_and_reviews_follow_the_first_listings() {
        let body = r#"{"count": 9, "results": [{"listing_id": 11, "shop_id": 7}, {"listing_id": 12, "shop_id": 7},
            {"listing_id": 13, "shop_id": 8}, {"listing_id": 14, "shop_id": 9}]}"#;
        let mut search = question(Resource::ListingSearch, None);
        search.job.then = vec![Resource::Shop, Resource::ListingReviews];
        let Step::Keep(next) = etsy().read_answer(&search, &json(200, body)).unwrap() else { panic!("it is kept") };
        let asked: Vec<_> =
            next.iter().map(|next| (next.resource, next.page_number, next.cursor.as_deref().unwrap())).collect();
        assert_eq!(
            asked,
            [
                (Resource::Shop, 1, "shop:7"),
                (Resource::Shop, 2, "shop:8"),
                (Resource::ListingReviews, 1, "listing:11"),
                (Resource::ListingReviews, 2, "listing:12"),
                (Resource::ListingReviews, 3, "listing:13"),
            ]
        );
        search.job.page_number = 2;
        assert_eq!(etsy().read_answer(&search, &json(200, body)).unwrap(), Step::Keep(vec![]));

        let shop = question(Resource::Shop, Some("shop:7"));
        assert_eq!(etsy().read_answer(&shop, &json(200, r#"{"shop_id": 7}"#)).unwrap(), Step::Keep(vec![]));
        assert!(matches!(etsy().read_answer(&shop, &json(200, "{}")), Err(AnswerError::Unusable(_))));
        assert!(matches!(etsy().read_answer(&shop, &json(404, "{}")), Err(AnswerError::Refused { status: 404, .. })));
    }

    #[test]
    fn nothing_follows_an_empty_page_or_a_batch() {
        let empty = json(200, r#"{"count": 0, "results": []}"#);
        assert_eq!(etsy().read_answer(&question(Resource::ListingSearch, None), &empty).unwrap(), Step::Keep(vec![]));
        assert!(found_nothing(&empty) && !found_nothing(&json(404, "{}")));
        let batch = question(Resource::ListingBatch, Some("ids:11"));
        let body = json(200, r#"{"count": 1, "results": [{"listing_id": 11, "views": 5}]}"#);
        assert_eq!(etsy().read_answer(&batch, &body).unwrap(), Step::Keep(vec![]));
    }

    #[test]
    fn a_missing_shared_secret_is_a_configuration_error() {
        let search = question(Resource::ListingSearch, None);
        let bare = json(403, r#"{"error": "Shared secret is required in x-api-key header."}"#);
        let error = etsy().read_answer(&search, &bare).unwrap_err();
        assert!(error.to_string().starts_with("configuration error: "), "{error}");

        let far = json(400, r#"{"error": "Offset provided is greater than the maximum offset allowed."}"#);
        assert_eq!(etsy().read_answer(&search, &far).unwrap(), Step::End);
        let other = json(400, r#"{"error": "Invalid shop_location."}"#);
        let error = etsy().read_answer(&search, &other).unwrap_err();
        assert_eq!(error.to_string(), "status 400 (Invalid shop_location.)");
        assert!(matches!(etsy().read_answer(&search, &json(200, r#"{"results": []}"#)), Err(AnswerError::Unusable(_))));
    }
}
