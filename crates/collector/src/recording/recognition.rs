//! Tells from a request which question it asked: the reverse of the adapters' requests.

use std::io::Read;

use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::raw_payload::MAX_BODY_BYTES;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use url::Url;

use crate::marketplaces::{amazon, ebay, etsy};

/// A question that the collectors could have asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    /// Where it was asked.
    pub site: Site,
    /// What was asked for.
    pub resource: Resource,
    /// The search term as it was sent.
    pub keyword_text: Option<String>,
    /// Page, where the request says.
    pub page_number: Option<i32>,
    /// Listings that were asked for by their ids.
    pub listing_ids: Vec<u64>,
}

/// Recognises a request, or says why it is none of ours. The host counts for nothing: recordings come through proxies.
pub fn recognise(method: &str, url: &Url, ebay_marketplace_id: Option<&str>) -> Result<Recognised, String> {
    let path = url.path().trim_end_matches('/');
    if path.ends_with("/auth/o2/token") || path.ends_with("/oauth2/token") || path.ends_with("/oauth/token") {
        return Err("it asks for a token".to_owned());
    }
    if !method.eq_ignore_ascii_case("GET") {
        return Err(format!("it is a {method} request, and answers with data come from GET"));
    }
    let parameters = Parameters(url.query_pairs().into_owned().collect());
    if path.ends_with(amazon::request::CATALOG_PATH) {
        recognise_catalog(&parameters)
    } else if path.ends_with(etsy::request::SEARCH_PATH) {
        recognise_listings(&parameters)
    } else if path.ends_with(etsy::request::BATCH_PATH) {
        recognise_batch(&parameters)
    } else if path.ends_with(ebay::request::SEARCH_PATH) {
        recognise_items(&parameters, ebay_marketplace_id)
    } else {
        Err("there is no reader for this resource".to_owned())
    }
}

/// Recognises a report of Brand Analytics by what its document says of itself.
pub fn recognise_document(body: &[u8]) -> Option<Recognised> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        report_specification: Specification,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Specification {
        report_type: String,
        marketplace_ids: Vec<String>,
    }
    let document: Document = if body.starts_with(&GZIP_MAGIC) {
        serde_json::from_reader(std::io::BufReader::new(MultiGzDecoder::new(body).take(MAX_BODY_BYTES as u64))).ok()?
    } else {
        serde_json::from_slice(body).ok()?
    };
    let Specification { report_type, marketplace_ids } = document.report_specification;
    let [marketplace_id] = &marketplace_ids[..] else { return None };
    let resource = match report_type.as_str() {
        amazon::request::SEARCH_TERMS_REPORT => Resource::SearchTermsReport,
        amazon::request::SEARCH_QUERY_REPORT => Resource::SearchQueryReport,
        _ => return None,
    };
    let market = amazon::market_of(marketplace_id)?;
    Some(Recognised {
        site: Site { marketplace: Marketplace::Amazon, market: market.to_owned() },
        resource,
        keyword_text: None,
        page_number: Some(1),
        listing_ids: Vec::new(),
    })
}

/// Parameters that a recorded search may have without being another search than the collectors' own.
type Allowed = &'static [(&'static str, Values)];

/// Values that a parameter may have.
enum Values {
    /// Any: the keyword, the site, the place in the results, or more data of the same results.
    Any,
    /// One of these, compared without case.
    OneOf(&'static [&'static str]),
    /// At least one of these in a list, without which the response holds no results.
    Including(&'static [&'static str]),
}

/// Amazon's catalog search.
const CATALOG_PARAMETERS: Allowed = &[
    ("keywords", Values::Any),
    ("marketplaceIds", Values::Any),
    ("includedData", Values::Any),
    ("pageSize", Values::Any),
    ("pageToken", Values::Any),
];

/// Etsy's search. Its `score` order is descending whatever `sort_order` is.
const LISTING_PARAMETERS: Allowed = &[
    ("keywords", Values::Any),
    ("limit", Values::Any),
    ("offset", Values::Any),
    ("sort_on", Values::OneOf(&["score"])),
    ("sort_order", Values::Any),
    ("legacy", Values::Any),
    ("includes", Values::Any),
];

/// eBay's search. Without a filter, auctions alone are left out.
const ITEM_PARAMETERS: Allowed = &[
    ("q", Values::Any),
    ("limit", Values::Any),
    ("offset", Values::Any),
    (
        "filter",
        Values::OneOf(&[
            "buyingOptions:{AUCTION|FIXED_PRICE}",
            "buyingOptions:{FIXED_PRICE|AUCTION}",
            "buyingOptions:{FIXED_PRICE}",
        ]),
    ),
    ("fieldgroups", Values::Including(&["MATCHING_ITEMS", "EXTENDED", "FULL"])),
];

fn recognise_catalog(parameters: &Parameters) -> Result<Recognised, String> {
    if parameters.get("identifiers").is_some() {
        return Err("it looks products up by identifier, which says nothing of a keyword".to_owned());
    }
    parameters.refuse_narrowed(&["brandNames", "classificationIds", "sellerId"])?;
    let keywords = parameters.get("keywords").ok_or("it names no keyword")?;
    if keywords.contains(',') {
        return Err("it asks for several keywords at once".to_owned());
    }
    parameters.refuse_others(CATALOG_PARAMETERS)?;
    let marketplace_id = parameters.get("marketplaceIds").ok_or("it names no marketplace")?;
    let market =
        amazon::market_of(marketplace_id).ok_or_else(|| format!("the marketplace '{marketplace_id}' is not known"))?;
    Ok(Recognised {
        site: Site { marketplace: Marketplace::Amazon, market: market.to_owned() },
        resource: Resource::CatalogSearch,
        keyword_text: Some(keywords.to_owned()),
        page_number: parameters.get("pageToken").is_none().then_some(1),
        listing_ids: Vec::new(),
    })
}

fn recognise_listings(parameters: &Parameters) -> Result<Recognised, String> {
    parameters.refuse_narrowed(&["min_price", "max_price", "taxonomy_id", "shop_location", "buyer_country"])?;
    let keywords = parameters.get("keywords").ok_or("it names no keyword")?;
    parameters.refuse_others(LISTING_PARAMETERS)?;
    if parameters.get("sort_on").is_none() {
        let text = "it has no sort_on, so Etsy orders it by time of creation; the results page of a keyword is in order of score";
        return Err(text.to_owned());
    }
    const DEFAULT_LIMIT: i32 = 25;
    Ok(Recognised {
        site: etsy_site(),
        resource: Resource::ListingSearch,
        keyword_text: Some(keywords.to_owned()),
        page_number: Some(parameters.page_number(DEFAULT_LIMIT)?),
        listing_ids: Vec::new(),
    })
}

fn recognise_batch(parameters: &Parameters) -> Result<Recognised, String> {
    let ids = parameters.all("listing_ids").chain(parameters.all("listing_ids[]"));
    let listing_ids: Vec<u64> = ids.flat_map(|ids| ids.split(',')).filter_map(|id| id.trim().parse().ok()).collect();
    if listing_ids.is_empty() {
        return Err("it names no listings".to_owned());
    }
    Ok(Recognised {
        site: etsy_site(),
        resource: Resource::ListingBatch,
        keyword_text: None,
        page_number: Some(1),
        listing_ids,
    })
}

fn recognise_items(parameters: &Parameters, marketplace_id: Option<&str>) -> Result<Recognised, String> {
    let Some(q) = parameters.get("q") else {
        let by = ["gtin", "epid", "category_ids"].into_iter().find(|name| parameters.get(name).is_some());
        return Err(format!("it searches by {} and names no keyword", by.unwrap_or("nothing")));
    };
    parameters.refuse_narrowed(&[
        "category_ids",
        "aspect_filter",
        "charity_ids",
        "compatibility_filter",
        "epid",
        "gtin",
    ])?;
    if q.contains(['(', '*']) {
        return Err("it asks for several keywords at once".to_owned());
    }
    parameters.refuse_others(ITEM_PARAMETERS)?;
    let marketplace_id = marketplace_id.unwrap_or("EBAY_US");
    let market =
        ebay::market_of(marketplace_id).ok_or_else(|| format!("the marketplace '{marketplace_id}' is not known"))?;
    const DEFAULT_LIMIT: i32 = 50;
    Ok(Recognised {
        site: Site { marketplace: Marketplace::Ebay, market: market.to_owned() },
        resource: Resource::ItemSearch,
        keyword_text: Some(q.to_owned()),
        page_number: Some(parameters.page_number(DEFAULT_LIMIT)?),
        listing_ids: Vec::new(),
    })
}

fn etsy_site() -> Site {
    Site { marketplace: Marketplace::Etsy, market: "US".to_owned() }
}

fn narrowed(parameter: &str) -> String {
    format!("it is narrowed by {parameter}, so its counts are not those of the keyword")
}

struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.trim().is_empty())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    fn refuse_narrowed(&self, names: &[&str]) -> Result<(), String> {
        match names.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(narrowed(name)),
            None => Ok(()),
        }
    }

    /// Refuses a search whose order, filter, scope or fields differ from what the collectors request, and any parameter that is
    /// not known to leave them alone.
    fn refuse_others(&self, allowed: Allowed) -> Result<(), String> {
        for (name, value) in self.0.iter().filter(|(_, value)| !value.trim().is_empty()) {
            let value = value.trim();
            let is_allowed = match allowed.iter().find(|(known, _)| known == name).map(|(_, values)| values) {
                Some(Values::Any) => true,
                Some(Values::OneOf(values)) => {
                    let plain = value.replace(' ', "");
                    values.iter().any(|known| known.eq_ignore_ascii_case(&plain))
                }
                Some(Values::Including(values)) => {
                    value.split(',').any(|part| values.iter().any(|known| known.eq_ignore_ascii_case(part.trim())))
                }
                None => false,
            };
            if !is_allowed {
                let value: String = value.chars().take(60).collect();
                return Err(format!(
                    "its parameter {name}={value} makes it another search than the collectors' own, so its order, counts and \
                     prices are not those of the keyword"
                ));
            }
        }
        Ok(())
    }

    fn page_number(&self, default_limit: i32) -> Result<i32, String> {
        let number = |name: &str, default: i32, least: i32| match self.get(name) {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|number: &i32| *number >= least)
                .ok_or_else(|| format!("its {name} '{text}' is no number of entries")),
        };
        Ok(number("offset", 0, 0)? / number("limit", default_limit, 1)? + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(address: &str) -> Result<Recognised, String> {
        recognise("GET", &Url::parse(address).unwrap(), None)
    }

    fn keyword(address: &str) -> (String, Resource, String, Option<i32>) {
        let recognised = get(address).unwrap();
        let text = recognised.keyword_text.unwrap_or_default();
        (recognised.site.to_string(), recognised.resource, text, recognised.page_number)
    }

    #[test]
    fn searches_by_keyword_are_recognised_whatever_the_host() {
        let found = |site: &str, resource, text: &str, page| (site.to_owned(), resource, text.to_owned(), page);
        assert_eq!(
            keyword("https://api.ebay.com/buy/browse/v1/item_summary/search?q=iphone&limit=50&offset=100"),
            found("ebay US", Resource::ItemSearch, "iphone", Some(3))
        );
        assert_eq!(
            keyword(
                "http://127.0.0.1:8080/catalog/2022-04-01/items?keywords=lemon%20oil&marketplaceIds=A1F83G8C2ARO7P"
            ),
            found("amazon GB", Resource::CatalogSearch, "lemon oil", Some(1))
        );
        assert_eq!(
            keyword(
                "https://openapi.etsy.com/v3/application/listings/active?keywords=stamp&limit=100&sort_on=score&sort_order=desc"
            ),
            found("etsy US", Resource::ListingSearch, "stamp", Some(1))
        );
        let batch = get("https://api.etsy.com/v3/application/listings/batch?listing_ids=1,2&listing_ids=3").unwrap();
        assert_eq!((batch.resource, batch.listing_ids), (Resource::ListingBatch, vec![1, 2, 3]));
        let url = Url::parse(
            "https://proxy/x/buy/browse/v1/item_summary/search?q=hut&filter=buyingOptions:{AUCTION|FIXED_PRICE}",
        );
        assert_eq!(recognise("get", &url.unwrap(), Some("EBAY_DE")).unwrap().site.market, "DE");
    }

    #[test]
    fn other_questions_are_refused_with_a_reason() {
        for (address, reason) in [
            ("https://a/catalog/2022-04-01/items?identifiers=1&marketplaceIds=ATVPDKIKX0DER", "by identifier"),
            ("https://a/catalog/2022-04-01/items?keywords=a,b&marketplaceIds=ATVPDKIKX0DER", "several keywords"),
            ("https://a/catalog/2022-04-01/items?keywords=a&marketplaceIds=X", "'X' is not known"),
            (
                "https://a/catalog/2022-04-01/items?keywords=a&classificationIds=1&marketplaceIds=ATVPDKIKX0DER",
                "narrowed by classificationIds",
            ),
            ("https://a/catalog/2022-04-01/items/B0?marketplaceIds=ATVPDKIKX0DER", "no reader"),
            ("https://a/buy/browse/v1/item_summary/search?gtin=5011100517", "by gtin"),
            ("https://a/buy/browse/v1/item_summary/search?q=a&filter=price:[1..2]", "filter=price:[1..2]"),
            ("https://a/buy/browse/v1/item_summary/search?q=a&sort=price", "sort=price"),
            ("https://a/buy/browse/v1/item_summary/search?q=a&sort=newlyListed", "another search"),
            ("https://a/buy/browse/v1/item_summary/search?q=a&filter=buyingOptions:{AUCTION}", "filter="),
            ("https://a/buy/browse/v1/item_summary/search?q=a&fieldgroups=ASPECT_REFINEMENTS", "fieldgroups="),
            ("https://a/buy/browse/v1/item_summary/search?q=a&auto_correct=KEYWORD", "auto_correct="),
            ("https://a/v3/application/listings/active?keywords=a", "no sort_on"),
            ("https://a/v3/application/listings/active?keywords=a&sort_on=price", "sort_on=price"),
            ("https://a/v3/application/listings/active?keywords=a&sort_on=score&is_safe=true", "is_safe=true"),
            ("https://a/v3/application/listings/active?keywords=a&sort_on=score&currency=EUR", "currency=EUR"),
            ("https://a/catalog/2022-04-01/items?keywords=a&marketplaceIds=ATVPDKIKX0DER&locale=es_US", "locale=es_US"),
            ("https://a/catalog/2022-04-01/items?keywords=a&marketplaceIds=ATVPDKIKX0DER&x-new=1", "x-new=1"),
            ("https://a/buy/browse/v1/item_summary/search?q=a&limit=0", "its limit '0'"),
            ("https://a/v3/application/listings/active?limit=5", "no keyword"),
            ("https://api.amazon.com/auth/o2/token", "a token"),
        ] {
            let refused = get(address).unwrap_err();
            assert!(refused.contains(reason), "{address}: {refused}");
        }
        let reports = Url::parse("https://a/reports/2021-06-30/reports").unwrap();
        assert!(recognise("POST", &reports, None).unwrap_err().contains("POST"));
    }

    #[test]
    fn a_report_document_is_recognised_by_its_content() {
        let body = br#"{"dataByDepartmentAndSearchTerm": [{"searchTerm": "a"}], "reportSpecification":
            {"reportType": "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT", "marketplaceIds": ["ATVPDKIKX0DER"]}}"#;
        let recognised = recognise_document(body).unwrap();
        assert_eq!((recognised.resource, recognised.site.market.as_str()), (Resource::SearchTermsReport, "US"));
        let own = br#"{"dataByAsin": [], "reportSpecification":
            {"reportType": "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT", "marketplaceIds": ["A1F83G8C2ARO7P"]}}"#;
        assert_eq!(recognise_document(own).unwrap().resource, Resource::SearchQueryReport);
        assert_eq!(recognise_document(b"{}"), None);
    }
}
