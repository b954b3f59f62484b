//! Answers of Etsy: a page of listings, from which the batch follows.

use digitallz_common::marketplace::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::request::batch_cursor;
use super::{Etsy, OFFSET_MAX, PAGE_SIZE_MAX};
use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, NextFetch, Question, Step, frame, refusal};

#[derive(Deserialize)]
struct Page {
    count: u64,
    results: Vec<Value>,
}

impl Etsy {
    pub(super) fn read_answer(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        check(answer)?;
        let page: Page = frame(answer)?;
        if question.job.resource == Resource::ListingBatch {
            return Ok(Step::Keep(Vec::new()));
        }
        let job = &question.job;
        let mut next = Vec::new();
        let listing_ids = listing_ids(&page.results);
        if !listing_ids.is_empty() {
            next.push(NextFetch {
                resource: Resource::ListingBatch,
                page_number: job.page_number,
                cursor: Some(batch_cursor(&listing_ids)),
            });
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
}

/// Returns the ids of the listings; a row without one is left for the reader to judge.
fn listing_ids(results: &[Value]) -> Vec<u64> {
    let ids = results.iter().filter_map(|listing| listing.get("listing_id")?.as_u64()).filter(|id| *id > 0);
    ids.take(PAGE_SIZE_MAX as usize).collect()
}

/// Returns the ids of the listings on a stored page of a search; none when it cannot be read.
pub(super) fn listing_ids_of(body: &[u8]) -> Vec<u64> {
    serde_json::from_slice::<Page>(body).map(|page| listing_ids(&page.results)).unwrap_or_default()
}

/// Returns how many listings match a search; nothing when the answer cannot be read.
pub(super) fn result_count(answer: &Answer) -> Option<u64> {
    serde_json::from_slice::<Page>(&answer.body).ok().map(|page| page.count.max(page.results.len() as u64))
}

fn check(answer: &Answer) -> Result<(), AnswerError> {
    match refusal(answer, describe) {
        None => Ok(()),
        Some(AnswerError::Refused { status: 403, detail }) if detail.to_ascii_lowercase().contains("shared secret") => {
            Err(AnswerError::Misconfigured(format!(
                "etsy wants keystring and shared secret, check DIGITALLZ_ETSY_KEYSTRING and DIGITALLZ_ETSY_SHARED_SECRET ({detail})"
            )))
        }
        Some(error) => Err(error),
    }
}

/// Reads the words of an error.
fn describe(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).ok()?;
    Some(match refusal.error_description {
        Some(description) => format!("{}: {description}", refusal.error),
        None => refusal.error,
    })
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
        let search = question(Resource::ListingSearch, None);
        assert_eq!(etsy().read_answer(&search, &json(200, body)).unwrap(), Step::Keep(vec![batch.clone()]));

        let deep = Etsy::new(EtsyConfig { pages: 2, ..EtsyConfig::new(Secret::new("k"), Secret::new("s")) });
        let page =
            NextFetch { resource: Resource::ListingSearch, page_number: 2, cursor: Some("offset:48".to_owned()) };
        assert_eq!(deep.read_answer(&search, &json(200, body)).unwrap(), Step::Keep(vec![batch, page]));
    }

    #[test]
    fn nothing_follows_an_empty_page_or_a_batch() {
        let empty = json(200, r#"{"count": 0, "results": []}"#);
        assert_eq!(etsy().read_answer(&question(Resource::ListingSearch, None), &empty).unwrap(), Step::Keep(vec![]));
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
        let error = etsy().read_answer(&search, &far).unwrap_err();
        assert_eq!(error.to_string(), "status 400 (Offset provided is greater than the maximum offset allowed.)");
        assert!(matches!(etsy().read_answer(&search, &json(200, r#"{"results": []}"#)), Err(AnswerError::Unusable(_))));
    }
}
