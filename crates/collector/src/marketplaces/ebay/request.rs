//! Questions to eBay: a search by keyword over auctions and fixed prices.

use digitallz_common::marketplace::Resource;

use super::{Ebay, MARKETPLACE_ID_PREFIX, OFFSET_MAX};
use crate::exchange::{Request, Text, TokenKind};
use crate::marketplaces::adapter::{Question, QuestionError, address, searchable};

/// Path of the search.
pub const SEARCH_PATH: &str = "/buy/browse/v1/item_summary/search";

/// Header that names the country site.
pub const MARKETPLACE_HEADER: &str = "x-ebay-c-marketplace-id";

/// Without this only offers with a fixed price are answered.
const FILTER: &str = "buyingOptions:{AUCTION|FIXED_PRICE}";

const FIELD_GROUPS: &str = "MATCHING_ITEMS,CATEGORY_REFINEMENTS,CONDITION_REFINEMENTS,BUYING_OPTION_REFINEMENTS";

impl Ebay {
    pub(super) fn make_request(&self, question: &Question) -> Result<Request, QuestionError> {
        if question.job.resource != Resource::ItemSearch {
            return Err(QuestionError::NotOffered(question.job.resource));
        }
        // Parentheses and commas make alternatives of the words, and an asterisk is refused.
        let q = searchable(question.keyword()?, |character| matches!(character, '(' | ')' | '*' | ','))?;
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
        let marketplace_id = format!("{MARKETPLACE_ID_PREFIX}{}", question.job.site.market);
        let request = Request::get("itemSummarySearch", url).header(MARKETPLACE_HEADER, Text::Open(marketplace_id));
        Ok(Request { token: Some(TokenKind::Main), ..request })
    }
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
                ("fieldgroups", "MATCHING_ITEMS,CATEGORY_REFINEMENTS,CONDITION_REFINEMENTS,BUYING_OPTION_REFINEMENTS"),
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
}
