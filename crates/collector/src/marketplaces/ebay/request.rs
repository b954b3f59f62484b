//! Questions to eBay: a search by keyword over auctions and fixed prices, its items, categories, sales and bids.

use digitallz_common::marketplace::Resource;
use serde::Serialize;
use url::Url;

use super::{BID_SETTINGS, Ebay, ITEMS_MAX, MARKETPLACE_ID_PREFIX, OFFSET_MAX, PAGE_SIZE_MAX};
use crate::exchange::{Request, Text, TokenKind};
use crate::marketplaces::adapter::{Question, QuestionError, address, searchable};
use crate::marketplaces::empty_settings;

/// Path of the search.
pub const SEARCH_PATH: &str = "/buy/browse/v1/item_summary/search";

const ITEMS_PATH: &str = "/buy/browse/v1/item/";
const TREE_PATH: &str = "/commerce/taxonomy/v1/get_default_category_tree_id";
const SALES_PATH: &str = "/buy/marketplace_insights/v1_beta/item_sales/search";

/// Header that names the country site.
pub const MARKETPLACE_HEADER: &str = "x-ebay-c-marketplace-id";

/// Without this only offers with a fixed price are answered.
const FILTER: &str = "buyingOptions:{AUCTION|FIXED_PRICE}";

const FIELD_GROUPS: &str =
    "MATCHING_ITEMS,ASPECT_REFINEMENTS,CATEGORY_REFINEMENTS,CONDITION_REFINEMENTS,BUYING_OPTION_REFINEMENTS";

/// Bounds of a keyword that is bid for, by contract; one beyond them spoils all that are asked for with it.
const BID_CHARACTERS_MAX: usize = 100;
const BID_WORDS_MAX: usize = 10;

/// One request on the way to what a question asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Search,
    Items {
        item_ids: Vec<String>,
    },
    Tree,
    Suggestions {
        tree_id: String,
    },
    /// Without a category where eBay suggests none.
    Sales {
        category_id: Option<String>,
    },
    Bids,
}

impl Call {
    /// Reads from the cursor how far a question has come.
    pub(super) fn of(question: &Question) -> Result<Call, QuestionError> {
        let cursor = question.cursor.as_deref();
        let part = cursor.and_then(|cursor| cursor.split_once(':'));
        let unreadable = || QuestionError::Cursor(cursor.unwrap_or_default().to_owned());
        match (question.job.resource, part) {
            (Resource::ItemSearch, _) => Ok(Call::Search),
            (Resource::SuggestedBids, _) => Ok(Call::Bids),
            (Resource::ItemDetails, Some(("items", ids))) => {
                let item_ids: Vec<String> = ids.split(',').map(str::to_owned).collect();
                let is_sound = item_ids.len() <= ITEMS_MAX as usize && item_ids.iter().all(|id| is_item_id(id));
                if is_sound { Ok(Call::Items { item_ids }) } else { Err(unreadable()) }
            }
            (Resource::CategorySuggestions | Resource::ItemSales, None) if cursor.is_none() => Ok(Call::Tree),
            (Resource::CategorySuggestions | Resource::ItemSales, Some(("tree", id))) if !id.is_empty() => {
                Ok(Call::Suggestions { tree_id: id.to_owned() })
            }
            (Resource::ItemSales, Some(("category", id))) => {
                Ok(Call::Sales { category_id: Some(id.to_owned()).filter(|id| !id.is_empty()) })
            }
            (Resource::ItemDetails | Resource::CategorySuggestions | Resource::ItemSales, _) => Err(unreadable()),
            (other, _) => Err(QuestionError::NotOffered(other)),
        }
    }

    /// Writes the call as a cursor.
    pub(super) fn cursor(&self) -> String {
        match self {
            Call::Items { item_ids } => format!("items:{}", item_ids.join(",")),
            Call::Suggestions { tree_id } => format!("tree:{tree_id}"),
            Call::Sales { category_id } => format!("category:{}", category_id.as_deref().unwrap_or_default()),
            Call::Search | Call::Tree | Call::Bids => String::new(),
        }
    }

    pub(super) fn operation(&self) -> &'static str {
        match self {
            Call::Search => "itemSummarySearch",
            Call::Items { .. } => "getItems",
            Call::Tree => "getDefaultCategoryTreeId",
            Call::Suggestions { .. } => "getCategorySuggestions",
            Call::Sales { .. } => "itemSalesSearch",
            Call::Bids => "suggestBids",
        }
    }

    fn token(&self) -> TokenKind {
        match self {
            Call::Search | Call::Tree | Call::Suggestions { .. } => TokenKind::Main,
            Call::Items { .. } => TokenKind::Items,
            Call::Sales { .. } => TokenKind::Insights,
            Call::Bids => TokenKind::User,
        }
    }
}

/// Tells whether a text can be the identifier of an item, which has the form `v1|number|number`.
pub(super) fn is_item_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'|')
}

impl Ebay {
    pub(super) fn make_request(&self, question: &Question) -> Result<Request, QuestionError> {
        let call = Call::of(question)?;
        let marketplace_id = format!("{MARKETPLACE_ID_PREFIX}{}", question.job.site.market);
        let get = |path: &str, parameters: &[(&str, &str)]| {
            let mut url = address(&self.config.base_url, path);
            url.query_pairs_mut().extend_pairs(parameters);
            Request::get(call.operation(), url)
        };
        let request = match &call {
            Call::Search => Request::get(call.operation(), self.search(question)?),
            Call::Items { item_ids } => get(ITEMS_PATH, &[("item_ids", &item_ids.join(","))]),
            Call::Tree => get(TREE_PATH, &[("marketplace_id", &marketplace_id)]),
            Call::Suggestions { tree_id } => {
                let mut url = address(&self.config.base_url, "/commerce/taxonomy/v1/category_tree");
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.push(tree_id).push("get_category_suggestions");
                }
                url.query_pairs_mut().append_pair("q", question.keyword()?);
                Request::get(call.operation(), url)
            }
            Call::Sales { category_id } => {
                // The reverse of Browse: a comma stands for "and", a space for "or".
                let q = plain(question.keyword()?)?.replace(' ', ",");
                let limit = PAGE_SIZE_MAX.to_string();
                let mut parameters = vec![("q", q.as_str()), ("limit", &limit)];
                parameters.extend(category_id.as_deref().map(|category_id| ("category_ids", category_id)));
                get(SALES_PATH, &parameters)
            }
            Call::Bids => self.suggest_bids(question)?,
        };
        let request = request.header(MARKETPLACE_HEADER, Text::Open(marketplace_id));
        Ok(Request { token: Some(call.token()), ..request })
    }

    fn search(&self, question: &Question) -> Result<Url, QuestionError> {
        let q = plain(question.keyword()?)?;
        let (limit, offset) = (self.page_size(), question.offset()?);
        if offset > OFFSET_MAX || !offset.is_multiple_of(limit) {
            return Err(QuestionError::Cursor(format!("offset:{offset}")));
        }
        let mut url = address(&self.config.base_url, SEARCH_PATH);
        url.query_pairs_mut()
            .append_pair("q", &q)
            .append_pair("limit", &limit.to_string())
            .append_pair("offset", &offset.to_string())
            .append_pair("filter", FILTER)
            .append_pair("fieldgroups", FIELD_GROUPS);
        Ok(url)
    }

    fn suggest_bids(&self, question: &Question) -> Result<Request, QuestionError> {
        #[derive(Serialize)]
        struct Wanted<'a> {
            keywords: Vec<Keyword<'a>>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Keyword<'a> {
            keyword_text: &'a str,
            match_type: &'a str,
        }
        let [user, campaign, ad_group] = BID_SETTINGS;
        let settings = empty_settings(&[
            (user, self.config.user_refresh_token.expose()),
            (campaign, &self.config.campaign_id),
            (ad_group, &self.config.ad_group_id),
        ]);
        if !settings.is_empty() {
            return Err(QuestionError::Misconfigured { resource: question.job.resource, settings });
        }
        let is_allowed = |keyword: &&String| {
            keyword.chars().count() <= BID_CHARACTERS_MAX && keyword.split_whitespace().count() <= BID_WORDS_MAX
        };
        let keywords: Vec<Keyword<'_>> = question
            .keywords()?
            .iter()
            .filter(is_allowed)
            .map(|keyword| Keyword { keyword_text: keyword, match_type: "EXACT" })
            .collect();
        if keywords.is_empty() {
            return Err(QuestionError::NoSuitableKeyword("all are longer than 100 characters or ten words"));
        }
        let mut url = address(&self.config.base_url, "/sell/marketing/v1/ad_campaign");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend([&self.config.campaign_id, "ad_group", &self.config.ad_group_id, "suggest_bids"]);
        }
        let body = serde_json::to_string(&Wanted { keywords }).expect("plain texts can be written as JSON");
        Ok(Request::post("suggestBids", url, "application/json", Text::Open(body)))
    }
}

/// Parentheses and commas make alternatives of the words, and an asterisk is refused.
fn plain(keyword: &str) -> Result<String, QuestionError> {
    searchable(keyword, |character| matches!(character, '(' | ')' | '*' | ','))
}

#[cfg(test)]
pub(super) mod tests {
    use digitallz_common::jobs::FetchPage;
    use digitallz_common::marketplace::{Marketplace, Site};
    use digitallz_common::secret::Secret;
    use uuid::Uuid;

    use super::*;
    use crate::config::EbayConfig;

    pub(crate) fn ebay() -> Ebay {
        Ebay::new(EbayConfig::new(Secret::new("i"), Secret::new("s")))
    }

    pub(crate) fn question(keyword: &str, page_number: i32, cursor: Option<&str>) -> Question {
        Question {
            job: FetchPage {
                crawl_run_id: Uuid::nil(),
                site: Site::new(Marketplace::Ebay, "GB").unwrap(),
                resource: Resource::ItemSearch,
                keyword_id: Some(1),
                keyword_ids: Vec::new(),
                then: Vec::new(),
                page_number,
                cursor: cursor.map(str::to_owned),
                scheduled_for: "2025-06-11T05:00:00Z".parse().unwrap(),
            },
            keyword_text: Some(keyword.to_owned()),
            keyword_texts: Vec::new(),
            cursor: cursor.map(str::to_owned),
        }
    }

    #[test]
    fn a_search_covers_auctions_and_asks_for_refinements() {
        let request = ebay().make_request(&question("hat (red*, blue)", 1, None)).unwrap();
        let parameters: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            parameters,
            [
                ("q", "hat red blue"),
                ("limit", "50"),
                ("offset", "0"),
                ("filter", "buyingOptions:{AUCTION|FIXED_PRICE}"),
                (
                    "fieldgroups",
                    "MATCHING_ITEMS,ASPECT_REFINEMENTS,CATEGORY_REFINEMENTS,CONDITION_REFINEMENTS,BUYING_OPTION_REFINEMENTS"
                ),
            ]
        );
        let [(name, value)] = &request.headers[..] else { panic!("one header") };
        assert_eq!((*name, value.expose()), (MARKETPLACE_HEADER, "EBAY_GB"));
    }

    #[test]
    fn an_offset_is_a_multiple_of_the_page_size() {
        assert!(ebay().make_request(&question("hat", 2, Some("offset:50"))).is_ok());
        for cursor in ["offset:51", "offset:10000", "offset:-1", "50"] {
            assert!(ebay().make_request(&question("hat", 2, Some(cursor))).is_err(), "{cursor}");
        }
        assert!(ebay().make_request(&question("(*)", 1, None)).is_err());
    }

    fn asked(resource: Resource, cursor: Option<&str>) -> Result<Request, QuestionError> {
        let mut question = question("red (hat)", 1, cursor);
        question.job.resource = resource;
        ebay().make_request(&question)
    }

    #[test]
    fn details_are_asked_for_twenty_items_at_most() {
        let item_ids = |count: usize| (0..count).map(|number| format!("v1|{number}|0")).collect();
        let cursor = |count| Call::Items { item_ids: item_ids(count) }.cursor();
        let request = asked(Resource::ItemDetails, Some(&cursor(2))).unwrap();
        assert_eq!(request.url.as_str(), "https://api.ebay.com/buy/browse/v1/item/?item_ids=v1%7C0%7C0%2Cv1%7C1%7C0");
        assert_eq!((request.operation, request.token), ("getItems", Some(TokenKind::Items)));
        assert!(asked(Resource::ItemDetails, Some(&cursor(20))).is_ok());
        for cursor in [Some(cursor(21).as_str()), Some("items:"), Some("items:a b"), None] {
            assert!(asked(Resource::ItemDetails, cursor).is_err(), "{cursor:?}");
        }
    }

    #[test]
    fn suggestions_are_asked_of_the_tree_of_the_market() {
        let url = |cursor| asked(Resource::CategorySuggestions, cursor).unwrap().url.to_string();
        assert_eq!(
            url(None),
            "https://api.ebay.com/commerce/taxonomy/v1/get_default_category_tree_id?marketplace_id=EBAY_GB"
        );
        assert_eq!(
            url(Some("tree:3")),
            "https://api.ebay.com/commerce/taxonomy/v1/category_tree/3/get_category_suggestions?q=red+%28hat%29"
        );
        for cursor in ["tree:", "category:1", "offset:50", ""] {
            assert!(asked(Resource::CategorySuggestions, Some(cursor)).is_err(), "{cursor}");
        }
    }

    #[test]
    fn sales_are_asked_for_all_words_in_one_category() {
        let sales = asked(Resource::ItemSales, Some("category:9355")).unwrap();
        assert_eq!(
            sales.url.as_str(),
            "https://api.ebay.com/buy/marketplace_insights/v1_beta/item_sales/search?q=red%2Chat&limit=200&category_ids=9355"
        );
        assert_eq!(sales.token, Some(TokenKind::Insights));
        let alone = asked(Resource::ItemSales, Some("category:")).unwrap();
        assert!(alone.url.as_str().ends_with("?q=red%2Chat&limit=200"));
        assert_eq!(asked(Resource::ItemSales, None).unwrap().operation, "getDefaultCategoryTreeId");
    }

    #[test]
    fn bids_leave_out_what_would_spoil_the_request() {
        let mut question = question("", 1, None);
        question.job.resource = Resource::SuggestedBids;
        question.keyword_texts = vec!["hat".to_owned(), "w ".repeat(11), "x".repeat(101)];
        let error = ebay().make_request(&question).unwrap_err().to_string();
        assert!(error.contains("suggested_bids needs DIGITALLZ_EBAY_USER_REFRESH_TOKEN, DIGITALLZ_EBAY_CAMPAIGN_ID"));

        let mut ebay = ebay();
        ebay.config.user_refresh_token = Secret::new("u");
        ebay.config.campaign_id = "1".to_owned();
        ebay.config.ad_group_id = "2".to_owned();
        let request = ebay.make_request(&question).unwrap();
        assert_eq!(
            request.url.as_str(),
            "https://api.ebay.com/sell/marketing/v1/ad_campaign/1/ad_group/2/suggest_bids"
        );
        assert_eq!(request.open_body().unwrap(), r#"{"keywords":[{"keywordText":"hat","matchType":"EXACT"}]}"#);
        assert_eq!(request.token, Some(TokenKind::User));
        question.keyword_texts.remove(0);
        assert!(ebay.make_request(&question).is_err());
    }
}
