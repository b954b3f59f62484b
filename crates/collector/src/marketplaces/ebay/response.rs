//! Answers of eBay: a page of items and whether another follows.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Ebay, OFFSET_MAX};
use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, NextFetch, Question, Step, frame, refusal};

impl Ebay {
    pub(super) fn read_answer(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            #[serde(rename = "total")]
            _total: u64,
            next: Option<String>,
            /// Absent when nothing matches.
            item_summaries: Option<Vec<IgnoredAny>>,
        }
        if let Some(error) = refusal(answer, describe) {
            return Err(error);
        }
        let page: Page = frame(answer)?;
        let job = &question.job;
        // The total is only an indicator: whether there is another page is said by `next`.
        let has_more = page.next.is_some() && page.item_summaries.is_some_and(|items| !items.is_empty());
        let offset = question.offset().map_err(|error| AnswerError::Failed(error.to_string()))? + self.page_size();
        if !has_more || offset > OFFSET_MAX || job.page_number >= self.config.pages as i32 {
            return Ok(Step::Keep(Vec::new()));
        }
        Ok(Step::Keep(vec![NextFetch {
            resource: job.resource,
            page_number: job.page_number + 1,
            cursor: Some(format!("offset:{offset}")),
        }]))
    }
}

/// Returns the number of items on a page of a search; nothing when it cannot be read.
pub(super) fn item_count(answer: &Answer) -> Option<usize> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        #[serde(default)]
        item_summaries: Vec<IgnoredAny>,
    }
    serde_json::from_slice::<Page>(&answer.body).ok().map(|page| page.item_summaries.len())
}

/// Reads the words of an error.
fn describe(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        error_id: i64,
        #[serde(default)]
        message: String,
        long_message: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).ok()?;
    let entry = refusal.errors.into_iter().next()?;
    Some(format!("{}: {}", entry.error_id, entry.long_message.unwrap_or(entry.message)))
}

#[cfg(test)]
mod tests {
    use digitallz_common::marketplace::Resource;
    use digitallz_common::secret::Secret;

    use super::super::request::tests::{ebay, question};
    use super::*;
    use crate::config::EbayConfig;
    use crate::exchange::tests::answer;

    fn json(status: u16, body: &str) -> Answer {
        answer(status, "application/json", body)
    }

    #[test]
    fn pages_follow_the_link_and_not_the_total() {
        let deep = Ebay::new(EbayConfig { pages: 3, ..EbayConfig::new(Secret::new("i"), Secret::new("s")) });
        let more = json(200, r#"{"total": 3693618, "next": "https://api.ebay.com/x", "itemSummaries": [{}]}"#);
        let next = NextFetch { resource: Resource::ItemSearch, page_number: 2, cursor: Some("offset:50".to_owned()) };
        assert_eq!(deep.read_answer(&question("hat", 1, None), &more).unwrap(), Step::Keep(vec![next]));
        assert_eq!(deep.read_answer(&question("hat", 3, Some("offset:100")), &more).unwrap(), Step::Keep(vec![]));
        let last = json(200, r#"{"total": 3693618, "itemSummaries": [{}]}"#);
        assert_eq!(deep.read_answer(&question("hat", 1, None), &last).unwrap(), Step::Keep(vec![]));
    }

    #[test]
    fn an_empty_result_has_no_items_and_is_an_answer() {
        let empty = json(200, r#"{"href": "https://api.ebay.com/x", "total": 0, "limit": 50, "offset": 0}"#);
        assert_eq!(ebay().read_answer(&question("hat", 1, None), &empty).unwrap(), Step::Keep(vec![]));
        let frameless = json(200, r#"{"warnings": []}"#);
        assert!(matches!(ebay().read_answer(&question("hat", 1, None), &frameless), Err(AnswerError::Unusable(_))));
    }

    #[test]
    fn errors_keep_ebays_words() {
        let broad = json(
            400,
            r#"{"errors":[{"errorId":12023,"domain":"API_BROWSE","category":"REQUEST","message":"too large"}]}"#,
        );
        let error = ebay().read_answer(&question("a", 1, None), &broad).unwrap_err();
        assert_eq!(error.to_string(), "status 400 (12023: too large)");
        let token = json(401, r#"{"errors":[{"errorId":1001,"message":"Invalid access token"}]}"#);
        assert!(matches!(ebay().read_answer(&question("a", 1, None), &token), Err(AnswerError::Unauthorized(_))));
    }
}
