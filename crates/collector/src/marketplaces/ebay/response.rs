//! Answers of eBay: a page of items and whether another follows, details, categories, sales and bids.

use digitallz_common::marketplace::Resource;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::request::{Call, is_item_id};
use super::{BID_SETTINGS, Ebay, ITEMS_MAX, OFFSET_MAX};
use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, NextFetch, Question, Step, Words, frame, naming, refusal};
use crate::marketplaces::disposition::{Disposition, EVERY, Table};
use crate::marketplaces::oauth;

const SEARCH: &[&str] = &["itemSummarySearch"];
const ITEMS: &[&str] = &["getItems"];
const TAXONOMY: &[&str] = &["getDefaultCategoryTreeId", "getCategorySuggestions"];
const SALES: &[&str] = &["itemSalesSearch"];
const BIDS: &[&str] = &["suggestBids"];
const TOKEN: &[&str] = &["oauthToken"];

/// What becomes of the answers that the contracts document. Codes of an answer with status 200 are warnings in it.
#[rustfmt::skip]
pub(crate) static DISPOSITIONS: Table = Table {
    codes: &[
        (SEARCH, &["12002", "12003", "12008", "12009", "12010", "12011", "12012", "12014", "12015", "12016", "12017",
                   "12018", "12021", "12022", "12024", "12502", "12511"], Disposition::Answer),
        // 12023: the keyword is too broad, which no other try changes.
        (SEARCH, &["12001", "12004", "12005", "12006", "12007", "12023", "12025", "12026", "12027", "12028", "12030",
                   "12032", "12033", "12034", "12503", "12504", "12505", "12506", "12507", "12508", "12509", "12510",
                   "12512", "12515", "12516", "12517", "12518"], Disposition::GiveUp),
        (SEARCH, &["12013", "12019", "12020", "12513", "12514"], Disposition::GiveUp),
        (SEARCH, &["12029"], Disposition::EndOfPages),
        (SEARCH, &["12000"], Disposition::Retry),
        (ITEMS, &["11502", "11508", "11509"], Disposition::Answer),
        (ITEMS, &["11001", "11002", "11005", "11011", "11012", "11013", "11014", "11015", "11016", "11017"],
            Disposition::GiveUp),
        // "Wait a few minutes and try the call again."
        (ITEMS, &["11004", "11008"], Disposition::Retry),
        (ITEMS, &["11000"], Disposition::Retry),
        (TAXONOMY, &["62002", "62003", "62004", "62007"], Disposition::GiveUp),
        (TAXONOMY, &["62000"], Disposition::Retry),
        (SALES, &["100001", "100002", "100003", "100006", "100007", "100008", "100009", "100010", "100011", "100012",
                  "100013", "100014", "100018", "100019", "100020"], Disposition::GiveUp),
        (SALES, &["100004", "100005", "100015", "100016"], Disposition::GiveUp),
        (SALES, &["100017"], Disposition::Misconfigured),
        (SALES, &["100021"], Disposition::EndOfPages),
        (SALES, &["100000"], Disposition::Retry),
        (BIDS, &["35041", "35051", "35091", "36301", "36304", "36311", "36312", "36320"], Disposition::GiveUp),
        (BIDS, &["35045", "36210"], Disposition::Misconfigured),
        (BIDS, &["35001"], Disposition::Retry),
        (TOKEN, oauth::NEW_TOKEN_CODES, Disposition::NewToken),
        (TOKEN, oauth::MISCONFIGURED_CODES, Disposition::Misconfigured),
        (TOKEN, oauth::SNOOZE_CODES, Disposition::Snooze),
        // Of all APIs: an invalid or missing token, a missing scope, too many requests.
        (EVERY, &["1001", "1002"], Disposition::NewToken),
        (EVERY, &["1100"], Disposition::Misconfigured),
        (EVERY, &["2001"], Disposition::Snooze),
    ],
    statuses: &[
        (TOKEN, &[400, 401], Disposition::NewToken),
        (EVERY, &[200, 204], Disposition::Answer),
        (EVERY, &[400, 404, 409], Disposition::GiveUp),
        (EVERY, &[401], Disposition::NewToken),
        (EVERY, &[403], Disposition::Misconfigured),
        (EVERY, &[429], Disposition::Snooze),
        (EVERY, &[500, 503], Disposition::Retry),
    ],
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    total: u64,
    next: Option<String>,
    /// Absent when nothing matches.
    #[serde(default)]
    item_summaries: Vec<Value>,
}

/// Tells whether a page says that nothing matches.
pub(super) fn found_nothing(answer: &Answer) -> bool {
    answer.is_success() && frame::<Page>(answer).is_ok_and(|page| page.total == 0 && page.item_summaries.is_empty())
}

impl Ebay {
    pub(super) fn read_answer(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        let call = Call::of(question).map_err(|error| AnswerError::Failed(error.to_string()))?;
        let words = describe(answer);
        let code = words.as_ref().and_then(|words| words.code.as_deref()).filter(|_| !answer.is_success());
        let known = DISPOSITIONS.of(call.operation(), answer.status, code);
        if known == Some(Disposition::EndOfPages) {
            return Ok(Step::End);
        }
        if let Some(error) = refusal(answer, known, words) {
            return Err(naming(error, &permission(&call)));
        }
        match call {
            Call::Search => self.read_search(question, answer),
            Call::Items { .. } => keep::<ItemsFrame>(answer),
            Call::Tree => read_tree(question, answer),
            Call::Suggestions { .. } => read_suggestions(question, answer),
            Call::Sales { .. } => keep::<SalesFrame>(answer),
            Call::Bids => keep::<BidsFrame>(answer),
        }
    }

    fn read_search(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        let page: Page = frame(answer)?;
        let job = &question.job;
        let mut next = Vec::new();
        if question.wants(Resource::ItemDetails) && job.page_number == 1 {
            next.extend(self.details(&page.item_summaries));
        }
        // The total is only an indicator: whether there is another page is said by `next`.
        let has_more = page.next.is_some() && !page.item_summaries.is_empty();
        let offset = question.offset().map_err(|error| AnswerError::Failed(error.to_string()))? + self.page_size();
        if has_more && offset <= OFFSET_MAX && job.page_number < self.config.pages as i32 {
            next.push(NextFetch {
                resource: job.resource,
                page_number: job.page_number + 1,
                cursor: Some(format!("offset:{offset}")),
            });
        }
        Ok(Step::Keep(next))
    }

    /// Lists the questions for the first items of a search.
    fn details(&self, items: &[Value]) -> Vec<NextFetch> {
        let item_ids = items.iter().filter_map(|item| item.get("itemId")?.as_str()).filter(|id| is_item_id(id));
        let item_ids: Vec<String> = item_ids.take(self.config.details as usize).map(str::to_owned).collect();
        let batches = (1..).zip(item_ids.chunks(ITEMS_MAX as usize));
        let question = |(page_number, batch): (i32, &[String])| NextFetch {
            resource: Resource::ItemDetails,
            page_number,
            cursor: Some(Call::Items { item_ids: batch.to_vec() }.cursor()),
        };
        batches.map(question).collect()
    }
}

/// Keeps an answer that has the frame of its contract.
fn keep<Frame: DeserializeOwned>(answer: &Answer) -> Result<Step, AnswerError> {
    frame::<Frame>(answer).map(|_| Step::Keep(Vec::new()))
}

#[derive(Deserialize)]
struct ItemsFrame {
    /// Absent when all of them are gone.
    #[serde(default, rename = "items")]
    _items: Vec<IgnoredAny>,
    #[serde(default, rename = "warnings")]
    _warnings: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SalesFrame {
    #[serde(rename = "total")]
    _total: u64,
    /// Absent when nothing was sold.
    #[serde(default, rename = "itemSales")]
    _item_sales: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BidsFrame {
    /// Absent when there is no bid for any of the keywords.
    #[serde(default, rename = "suggestedBids")]
    _suggested_bids: Vec<IgnoredAny>,
}

fn read_tree(question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tree {
        category_tree_id: String,
    }
    if answer.status == 204 {
        return Err(AnswerError::Failed(format!("{} has no tree of categories", question.job.site)));
    }
    let Tree { category_tree_id: tree_id } = frame(answer)?;
    if tree_id.is_empty() {
        return Err(AnswerError::Unusable("the tree of categories has no identifier".to_owned()));
    }
    Ok(Step::Ask(Call::Suggestions { tree_id }.cursor()))
}

/// Reads the categories of a keyword, or from them where to look for its sales. Where there is none, the status is 204.
fn read_suggestions(question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Suggestions {
        #[serde(default)]
        category_suggestions: Vec<Suggestion>,
    }
    #[derive(Deserialize)]
    struct Suggestion {
        category: Category,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Category {
        category_id: String,
    }
    let suggestions: Suggestions = if answer.status == 204 { Suggestions::default() } else { frame(answer)? };
    if question.job.resource == Resource::CategorySuggestions {
        return Ok(Step::Keep(Vec::new()));
    }
    // They come in the order of their relevance.
    let first = suggestions.category_suggestions.into_iter().next();
    Ok(Step::Ask(Call::Sales { category_id: first.map(|first| first.category.category_id) }.cursor()))
}

/// Names what a call needs to be allowed.
fn permission(call: &Call) -> String {
    match call {
        Call::Items { .. } => "the application may lack the scope buy.item.bulk".to_owned(),
        Call::Sales { .. } => {
            "the application may lack the scope buy.marketplace.insights, which few are granted".to_owned()
        }
        Call::Bids => format!(
            "the user may lack Promoted Listings with the scope sell.marketing, or campaign and ad group be others; \
             see {}",
            BID_SETTINGS.join(", ")
        ),
        Call::Search | Call::Tree | Call::Suggestions { .. } => {
            "the application may lack the scope api_scope".to_owned()
        }
    }
}

/// Reads the words of an error.
fn describe(answer: &Answer) -> Option<Words> {
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
    let Entry { error_id, message, long_message } = refusal.errors.into_iter().next()?;
    Some(Words { code: Some(error_id.to_string()), text: format!("{error_id}: {}", long_message.unwrap_or(message)) })
}

#[cfg(test)]
mod tests {
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
        assert!(found_nothing(&empty));
        let frameless = json(200, r#"{"warnings": []}"#);
        assert!(matches!(ebay().read_answer(&question("hat", 1, None), &frameless), Err(AnswerError::Unusable(_))));
    }

    fn of(resource: Resource, cursor: Option<&str>) -> Question {
        let mut question = question("hat", 1, cursor);
        question.job.resource = resource;
        question
    }

    #[test]
    fn details_follow_the_first_page_if_they_are_wanted() {
        let items: Vec<_> = (0..50).map(|number| serde_json::json!({"itemId": format!("v1|{number}|0")})).collect();
        let page = json(200, &serde_json::json!({"total": 50, "itemSummaries": items}).to_string());
        let mut search = question("hat", 1, None);
        assert_eq!(ebay().read_answer(&search, &page).unwrap(), Step::Keep(vec![]));
        search.job.then = vec![Resource::ItemDetails];
        let config = EbayConfig { details: 45, ..EbayConfig::new(Secret::new("i"), Secret::new("s")) };
        let Step::Keep(next) = Ebay::new(config).read_answer(&search, &page).unwrap() else { panic!("it is kept") };
        let sizes: Vec<_> =
            next.iter().map(|next| (next.page_number, next.cursor.as_deref().unwrap().split(',').count())).collect();
        assert_eq!(sizes, [(1, 20), (2, 20), (3, 5)]);
        search.job.page_number = 2;
        assert_eq!(ebay().read_answer(&search, &page).unwrap(), Step::Keep(vec![]));
        let details = of(Resource::ItemDetails, next[2].cursor.as_deref());
        let warned = json(200, r#"{"items": [{}], "total": 1, "warnings": [{"errorId": 11001}]}"#);
        assert_eq!(ebay().read_answer(&details, &warned).unwrap(), Step::Keep(vec![]));
    }

    #[test]
    fn categories_are_found_in_two_steps_and_sales_in_three() {
        let tree = json(200, r#"{"categoryTreeId": "3", "categoryTreeVersion": "119"}"#);
        let suggested =
            json(200, r#"{"categorySuggestions": [{"category": {"categoryId": "9355"}}], "categoryTreeId": "3"}"#);
        let none = answer(204, "application/json", "");
        for resource in [Resource::CategorySuggestions, Resource::ItemSales] {
            let step = ebay().read_answer(&of(resource, None), &tree).unwrap();
            assert_eq!(step, Step::Ask("tree:3".to_owned()));
            assert!(matches!(ebay().read_answer(&of(resource, None), &none), Err(AnswerError::Failed(_))));
        }
        let categories = of(Resource::CategorySuggestions, Some("tree:3"));
        assert_eq!(ebay().read_answer(&categories, &suggested).unwrap(), Step::Keep(vec![]));
        assert_eq!(ebay().read_answer(&categories, &none).unwrap(), Step::Keep(vec![]));
        let sales = of(Resource::ItemSales, Some("tree:3"));
        assert_eq!(ebay().read_answer(&sales, &suggested).unwrap(), Step::Ask("category:9355".to_owned()));
        assert_eq!(ebay().read_answer(&sales, &none).unwrap(), Step::Ask("category:".to_owned()));
        let sold = of(Resource::ItemSales, Some("category:9355"));
        assert_eq!(ebay().read_answer(&sold, &json(200, r#"{"total": 0}"#)).unwrap(), Step::Keep(vec![]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let denied = json(403, r#"{"errors":[{"errorId":1100,"message":"Access denied"}]}"#);
        for (resource, cursor, named) in [
            (Resource::ItemDetails, Some("items:v1|1|0"), "buy.item.bulk"),
            (Resource::ItemSales, Some("category:1"), "buy.marketplace.insights"),
            (Resource::SuggestedBids, None, "DIGITALLZ_EBAY_CAMPAIGN_ID"),
        ] {
            let error = ebay().read_answer(&of(resource, cursor), &denied).unwrap_err();
            assert!(matches!(&error, AnswerError::Misconfigured(detail) if detail.contains(named)), "{error}");
        }
        let campaign = json(400, r#"{"errors":[{"errorId":35045,"message":"No campaign found"}]}"#);
        let error = ebay().read_answer(&of(Resource::SuggestedBids, None), &campaign).unwrap_err();
        assert!(matches!(error, AnswerError::Misconfigured(_)));
    }

    #[test]
    fn beyond_the_last_page_there_is_nothing() {
        let far = json(400, r#"{"errors":[{"errorId":12029,"message":"your offset value must be less than 10,000"}]}"#);
        assert_eq!(ebay().read_answer(&question("hat", 9, Some("offset:400")), &far).unwrap(), Step::End);
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
