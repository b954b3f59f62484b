//! Questions to Amazon: the catalog search, prices of listings, bids on keywords, and the steps of a report.

use std::fmt;

use chrono::NaiveDate;
use digitallz_common::jobs::FetchPage;
use digitallz_common::marketplace::Resource;
use digitallz_common::week;
use serde::Serialize;
use url::Url;

use super::{ADS_SETTINGS, ASINS_SETTING, Amazon, MARKETS, Region, is_asin};
use crate::exchange::{Expects, Request, Text, TokenKind};
use crate::marketplaces::adapter::{Question, QuestionError, address, searchable};
use crate::marketplaces::empty_settings;

/// Path of the catalog search.
pub const CATALOG_PATH: &str = "/catalog/2022-04-01/items";

/// Name of the search terms report.
pub const SEARCH_TERMS_REPORT: &str = "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT";

/// Name of the search query performance report.
pub const SEARCH_QUERY_REPORT: &str = "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT";

/// Most listings in one question for prices, by contract.
pub(super) const PRICED_MAX: usize = 20;

const PRICING_PATH: &str = "/batches/products/pricing/2022-05-01/items/competitiveSummary";
const BIDS_PATH: &str = "/sp/targets/keywords/recommendations";

/// The version that is offered in all markets.
const BIDS_MEDIA_TYPE: &str = "application/vnd.spkeywordsrecommendation.v4+json";

/// Most own keywords in one question for bids, by contract.
const TARGETS_MAX: usize = 100;

const ASINS_PREFIX: &str = "asins:";
const CREATE: &str = "create";

const REPORTS_PATH: &str = "/reports/2021-06-30/reports";
const DOCUMENTS_PATH: &str = "/reports/2021-06-30/documents";

/// A step on the way to a report's document, written as a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReportStep {
    /// Order the report.
    Create,
    /// Look whether it is done.
    Poll { report_id: String },
    /// Ask for a link to the document.
    Document { document: Document },
    /// Follow the link, which holds a signature and lives five minutes; never part of a job.
    Download { document: Document, link: String },
}

/// A report's document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub document_id: String,
    /// Whether it says why the report failed.
    pub is_fatal: bool,
    /// How often its link expired before it was followed.
    pub renewals: u8,
}

impl ReportStep {
    pub(super) fn read(cursor: Option<&str>) -> Result<ReportStep, QuestionError> {
        let Some(cursor) = cursor.filter(|cursor| *cursor != CREATE) else { return Ok(ReportStep::Create) };
        let unreadable = || QuestionError::Cursor(cursor.split(' ').next().unwrap_or_default().to_owned());
        let (kind, rest) = cursor.split_once(':').ok_or_else(unreadable)?;
        if kind == "report" && !rest.is_empty() {
            return Ok(ReportStep::Poll { report_id: rest.to_owned() });
        }
        let (is_fatal, renewals) = match kind.split_once('-') {
            None if kind == "document" => (false, 0),
            Some(("document", renewals)) => (false, renewals.parse().map_err(|_| unreadable())?),
            Some(("fatal", renewals)) => (true, renewals.parse().map_err(|_| unreadable())?),
            _ => return Err(unreadable()),
        };
        let (document_id, link) = rest.split_once(' ').map_or((rest, None), |(id, link)| (id, Some(link)));
        let document = Document { document_id: document_id.to_owned(), is_fatal, renewals };
        Ok(match link {
            _ if document_id.is_empty() => return Err(unreadable()),
            None => ReportStep::Document { document },
            Some(link) => ReportStep::Download { document, link: link.to_owned() },
        })
    }
}

/// Writes the step as a cursor.
impl fmt::Display for ReportStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportStep::Create => formatter.write_str(CREATE),
            ReportStep::Poll { report_id } => write!(formatter, "report:{report_id}"),
            ReportStep::Document { document } => write!(formatter, "{document}"),
            ReportStep::Download { document, link } => write!(formatter, "{document} {link}"),
        }
    }
}

impl ReportStep {
    pub(super) fn operation(&self) -> &'static str {
        match self {
            ReportStep::Create => "createReport",
            ReportStep::Poll { .. } => "getReport",
            ReportStep::Document { .. } => "getReportDocument",
            ReportStep::Download { .. } => "downloadDocument",
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_fatal, self.renewals) {
            (false, 0) => write!(formatter, "document:{}", self.document_id),
            (false, renewals) => write!(formatter, "document-{renewals}:{}", self.document_id),
            (true, renewals) => write!(formatter, "fatal-{renewals}:{}", self.document_id),
        }
    }
}

impl Amazon {
    pub(super) fn make_request(&self, question: &Question) -> Result<Request, QuestionError> {
        let (marketplace_id, region) = marketplace_id(&question.job)?;
        let base = self.base_url(region);
        let request = match question.job.resource {
            Resource::CatalogSearch => self.catalog_search(question, &base, marketplace_id)?,
            Resource::CompetitivePricing => competitive_summary(question, &base, marketplace_id)?,
            Resource::SearchTermsReport | Resource::SearchQueryReport => {
                self.report_step(question, &base, marketplace_id)?
            }
            Resource::KeywordBids => self.keyword_recommendations(question, region)?,
            other => return Err(QuestionError::NotOffered(other)),
        };
        Ok(Request { partition: region.partition(), ..request })
    }

    fn report_step(&self, question: &Question, base: &Url, marketplace_id: &str) -> Result<Request, QuestionError> {
        let step = ReportStep::read(question.cursor.as_deref())?;
        let operation = step.operation();
        let request = match step {
            ReportStep::Create => self.create_report(&question.job, base, marketplace_id)?,
            ReportStep::Poll { report_id } => Request::get(operation, below(base, REPORTS_PATH, &report_id)),
            ReportStep::Document { document } => {
                Request::get(operation, below(base, DOCUMENTS_PATH, &document.document_id))
            }
            // The link carries its own permission; the token would only leak to the store.
            ReportStep::Download { link, .. } => return download(base, &link),
        };
        Ok(Request { token: Some(TokenKind::Main), ..request })
    }

    fn create_report(&self, job: &FetchPage, base: &Url, marketplace_id: &str) -> Result<Request, QuestionError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Order<'a> {
            report_type: &'a str,
            report_options: Options<'a>,
            data_start_time: String,
            data_end_time: String,
            marketplace_ids: [&'a str; 1],
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Options<'a> {
            report_period: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            asin: Option<String>,
        }
        let (report_type, asin) = match job.resource {
            Resource::SearchQueryReport => (SEARCH_QUERY_REPORT, Some(self.own_asins(job.resource)?.join(" "))),
            _ => (SEARCH_TERMS_REPORT, None),
        };
        let week_start = week::last_full_week_start(job.scheduled_for);
        let midnight = |date: NaiveDate| format!("{date}T00:00:00Z");
        let order = Order {
            report_type,
            report_options: Options { report_period: "WEEK", asin },
            data_start_time: midnight(week_start),
            data_end_time: midnight(week::week_end(week_start)),
            marketplace_ids: [marketplace_id],
        };
        Ok(Request::post("createReport", address(base, REPORTS_PATH), "application/json", json(&order)))
    }

    /// Asks what own keywords cost; without recommendations of other keywords, so that the answer is about these alone.
    fn keyword_recommendations(&self, question: &Question, region: Region) -> Result<Request, QuestionError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Ranking<'a> {
            recommendation_type: &'a str,
            asins: &'a [String],
            max_recommendations: u32,
            targets: Vec<Target<'a>>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Target<'a> {
            keyword: &'a str,
            match_type: &'a str,
        }
        let resource = question.job.resource;
        let [refresh_token, profile_id] = ADS_SETTINGS;
        let settings = empty_settings(&[
            (refresh_token, self.config.ads_refresh_token.expose()),
            (profile_id, &self.config.ads_profile_id),
        ]);
        if !settings.is_empty() {
            return Err(QuestionError::Misconfigured { resource, settings });
        }
        let target = |keyword| Target { keyword, match_type: "EXACT" };
        let ranking = Ranking {
            recommendation_type: "KEYWORDS_FOR_ASINS",
            asins: self.own_asins(resource)?,
            max_recommendations: 0,
            targets: question.keywords()?.iter().take(TARGETS_MAX).map(|keyword| target(keyword)).collect(),
        };
        let url = address(&self.ads_base_url(region), BIDS_PATH);
        let request = Request::post("getKeywordRecommendations", url, BIDS_MEDIA_TYPE, json(&ranking))
            .header("accept", Text::Open(BIDS_MEDIA_TYPE.to_owned()))
            .header("amazon-advertising-api-clientid", Text::Secret(self.config.client_id.clone()))
            .header("amazon-advertising-api-scope", Text::Open(self.config.ads_profile_id.clone()));
        Ok(Request { token: Some(TokenKind::Advertiser), ..request })
    }

    fn own_asins(&self, resource: Resource) -> Result<&[String], QuestionError> {
        match self.config.asins.as_slice() {
            [] => Err(QuestionError::Misconfigured { resource, settings: vec![ASINS_SETTING] }),
            asins => Ok(asins),
        }
    }

    fn catalog_search(&self, question: &Question, base: &Url, marketplace_id: &str) -> Result<Request, QuestionError> {
        // The parameter is a comma-separated list: a phrase with a comma would become two keywords.
        let keywords = searchable(question.keyword()?, |character| character == ',')?;
        let mut url = address(base, CATALOG_PATH);
        url.query_pairs_mut()
            .append_pair("keywords", &keywords)
            .append_pair("marketplaceIds", marketplace_id)
            .append_pair("includedData", "summaries,salesRanks,classifications")
            .append_pair("pageSize", &self.page_size().to_string());
        if let Some(cursor) = &question.cursor {
            let token = cursor.strip_prefix("page:").ok_or_else(|| QuestionError::Cursor(cursor.clone()))?;
            url.query_pairs_mut().append_pair("pageToken", token);
        }
        Ok(Request { token: Some(TokenKind::Main), ..Request::get("searchCatalogItems", url) })
    }
}

/// Writes listings as the cursor of a question for their prices.
pub(super) fn asins_cursor(asins: &[&str]) -> String {
    format!("{ASINS_PREFIX}{}", asins.join(","))
}

fn competitive_summary(question: &Question, base: &Url, marketplace_id: &str) -> Result<Request, QuestionError> {
    #[derive(Serialize)]
    struct Batch<'a> {
        requests: Vec<Part<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        asin: &'a str,
        marketplace_id: &'a str,
        included_data: [&'a str; 3],
        lowest_priced_offers_inputs: [Lowest<'a>; 1],
        method: &'a str,
        uri: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Lowest<'a> {
        item_condition: &'a str,
        offer_type: &'a str,
    }
    let cursor = question.cursor.as_deref().unwrap_or_default();
    let asins: Vec<&str> = cursor.strip_prefix(ASINS_PREFIX).unwrap_or_default().split(',').collect();
    if asins.len() > PRICED_MAX || !asins.iter().all(|asin| is_asin(asin)) {
        return Err(QuestionError::Cursor(cursor.to_owned()));
    }
    let part = |asin| Part {
        asin,
        marketplace_id,
        included_data: ["featuredBuyingOptions", "referencePrices", "lowestPricedOffers"],
        lowest_priced_offers_inputs: [Lowest { item_condition: "New", offer_type: "Consumer" }],
        method: "GET",
        uri: "/products/pricing/2022-05-01/items/competitiveSummary",
    };
    let batch = Batch { requests: asins.into_iter().map(part).collect() };
    let url = address(base, PRICING_PATH);
    let request = Request::post("getCompetitiveSummary", url, "application/json", json(&batch));
    Ok(Request { token: Some(TokenKind::Main), ..request })
}

fn json(body: &impl Serialize) -> Text {
    Text::Open(serde_json::to_string(body).expect("plain texts can be written as JSON"))
}

fn download(base: &Url, link: &str) -> Result<Request, QuestionError> {
    // Neither the link nor its signature goes into an error.
    let unreadable = || QuestionError::Cursor("link to a report document".to_owned());
    let url = Url::parse(link).map_err(|_| unreadable())?;
    let is_safe = url.scheme() == "https" || url.scheme() == base.scheme();
    if !is_safe || !url.has_host() {
        return Err(unreadable());
    }
    Ok(Request { expects: Expects::Document, ..Request::get("downloadDocument", url) })
}

/// Returns the address of one thing in a collection; its identifier stays one segment of the path.
fn below(base: &Url, path: &str, id: &str) -> Url {
    let mut url = address(base, path);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(id);
    }
    url
}

fn marketplace_id(job: &FetchPage) -> Result<(&'static str, Region), QuestionError> {
    let market = MARKETS.iter().find(|(market, ..)| *market == job.site.market);
    market.map(|(_, id, region)| (*id, *region)).ok_or(QuestionError::NotOffered(job.resource))
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::{DateTime, Utc};
    use digitallz_common::marketplace::{Marketplace, Site};
    use digitallz_common::secret::Secret;
    use uuid::Uuid;

    use super::*;
    use crate::config::AmazonConfig;

    pub(crate) fn amazon() -> Amazon {
        Amazon::new(AmazonConfig::new(Secret::new("i"), Secret::new("s"), Secret::new("r")))
    }

    pub(crate) fn question(resource: Resource, market: &str, keyword: Option<&str>, cursor: Option<&str>) -> Question {
        let scheduled_for: DateTime<Utc> = "2025-06-11T05:00:00Z".parse().unwrap();
        Question {
            job: FetchPage {
                crawl_run_id: Uuid::nil(),
                site: Site::new(Marketplace::Amazon, market).unwrap(),
                resource,
                keyword_id: keyword.map(|_| 1),
                keyword_ids: Vec::new(),
                then: Vec::new(),
                page_number: 1,
                cursor: cursor.map(str::to_owned),
                scheduled_for,
            },
            keyword_text: keyword.map(str::to_owned),
            keyword_texts: Vec::new(),
            cursor: cursor.map(str::to_owned),
        }
    }

    #[test]
    fn a_catalog_search_asks_the_region_of_the_market() {
        let request = amazon().request_of(Resource::CatalogSearch, "DE", Some("hut, rot"), None);
        assert_eq!(
            request.url.as_str(),
            "https://sellingpartnerapi-eu.amazon.com/catalog/2022-04-01/items?keywords=hut+rot\
             &marketplaceIds=A1PA6795UKMFR9&includedData=summaries%2CsalesRanks%2Cclassifications&pageSize=20"
        );
        assert!(request.token.is_some());
        let next = amazon().request_of(Resource::CatalogSearch, "DE", Some("hut"), Some("page:a=b"));
        assert!(next.url.as_str().ends_with("&pageToken=a%3Db"), "{}", next.url);
    }

    #[test]
    fn a_report_is_ordered_for_the_last_full_week() {
        let request = amazon().request_of(Resource::SearchTermsReport, "US", None, None);
        assert_eq!((request.method.name(), request.url.path()), ("POST", "/reports/2021-06-30/reports"));
        let body: serde_json::Value = serde_json::from_str(&request.open_body().unwrap()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "reportType": "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT",
                "reportOptions": {"reportPeriod": "WEEK"},
                "dataStartTime": "2025-06-01T00:00:00Z",
                "dataEndTime": "2025-06-07T00:00:00Z",
                "marketplaceIds": ["ATVPDKIKX0DER"],
            })
        );
    }

    /// Amazon with own listings and an advertiser.
    pub(crate) fn advertiser() -> Amazon {
        let mut amazon = amazon();
        amazon.config.asins = "B0SANDBOX1 B0SANDBOX2".parse().unwrap();
        amazon.config.ads_refresh_token = Secret::new("a");
        amazon.config.ads_profile_id = "99".to_owned();
        amazon
    }

    fn body(request: &Request) -> serde_json::Value {
        serde_json::from_str(&request.open_body().unwrap()).unwrap()
    }

    #[test]
    fn a_report_on_own_listings_names_them() {
        let request = advertiser().request_of(Resource::SearchQueryReport, "DE", None, None);
        let body = body(&request);
        assert_eq!(body["reportType"], "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT");
        assert_eq!(body["reportOptions"], serde_json::json!({"reportPeriod": "WEEK", "asin": "B0SANDBOX1 B0SANDBOX2"}));
        assert_eq!(request.partition, "eu");
        let error = amazon().make_request(&question(Resource::SearchQueryReport, "DE", None, None)).unwrap_err();
        assert_eq!(error.to_string(), "configuration error: search_query_report needs DIGITALLZ_AMAZON_ASINS");
    }

    #[test]
    fn prices_are_asked_for_the_listings_of_a_page() {
        let cursor = asins_cursor(&["B0SANDBOX1", "B0SANDBOX2"]);
        let request = amazon().request_of(Resource::CompetitivePricing, "JP", Some("hat"), Some(&cursor));
        let body = body(&request);
        assert_eq!((request.method.name(), request.partition), ("POST", "fe"));
        assert_eq!(body["requests"].as_array().unwrap().len(), 2);
        assert_eq!(body["requests"][1]["asin"], "B0SANDBOX2");
        assert_eq!(body["requests"][1]["marketplaceId"], "A1VC38T7YXB528");
        let many = vec!["B0SANDBOX1"; 21];
        for cursor in [Some("asins:"), Some("asins:B0"), Some("page:x"), None, Some(asins_cursor(&many).as_str())] {
            let question = question(Resource::CompetitivePricing, "US", Some("hat"), cursor);
            assert!(amazon().make_request(&question).is_err(), "{cursor:?}");
        }
    }

    #[test]
    fn bids_are_asked_for_own_keywords_only() {
        let mut question = question(Resource::KeywordBids, "GB", None, None);
        assert!(advertiser().make_request(&question).unwrap_err().to_string().contains("the job names none"));
        question.keyword_texts = vec!["hat".to_owned(), "red hat".to_owned()];
        let request = advertiser().make_request(&question).unwrap();
        assert_eq!(request.url.as_str(), "https://advertising-api-eu.amazon.com/sp/targets/keywords/recommendations");
        assert_eq!(request.token, Some(TokenKind::Advertiser));
        assert_eq!(
            body(&request),
            serde_json::json!({
                "recommendationType": "KEYWORDS_FOR_ASINS",
                "asins": ["B0SANDBOX1", "B0SANDBOX2"],
                "maxRecommendations": 0,
                "targets": [
                    {"keyword": "hat", "matchType": "EXACT"},
                    {"keyword": "red hat", "matchType": "EXACT"},
                ],
            })
        );
        let error = amazon().make_request(&question).unwrap_err().to_string();
        assert_eq!(
            error,
            "configuration error: keyword_bids needs DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN, DIGITALLZ_AMAZON_ADS_PROFILE_ID"
        );
    }

    #[test]
    fn a_document_is_fetched_without_the_token() {
        let cursor = "document:amzn1.spdoc.1/..%2F https://store/x?signature=s";
        let request = amazon().request_of(Resource::SearchTermsReport, "US", None, Some(cursor));
        assert_eq!(request.url.as_str(), "https://store/x?signature=s");
        assert!(request.token.is_none() && request.expects == Expects::Document);

        let request = amazon().request_of(Resource::SearchTermsReport, "US", None, Some("document:a/b"));
        assert_eq!(request.url.path(), "/reports/2021-06-30/documents/a%2Fb");
    }

    #[test]
    fn a_link_to_a_plain_or_foreign_scheme_is_not_followed() {
        for link in ["http://store/x", "file:///etc/passwd", "no link"] {
            let cursor = format!("document:d {link}");
            let question = question(Resource::SearchTermsReport, "US", None, Some(&cursor));
            let error = amazon().make_request(&question).unwrap_err().to_string();
            assert!(!error.contains(link), "{error}");
        }
    }

    #[test]
    fn cursors_are_read_as_they_are_written() {
        for cursor in
            ["create", "report:1", "document:d", "document-2:d", "fatal-0:d", "fatal-1:d https://store/x?a=b:c"]
        {
            assert_eq!(ReportStep::read(Some(cursor)).unwrap().to_string(), cursor);
        }
        for cursor in ["", "report:", "document-x:d", "document:", "offset:50"] {
            assert!(ReportStep::read(Some(cursor)).is_err(), "{cursor}");
        }
    }

    #[test]
    fn what_amazon_does_not_offer_is_refused() {
        let amazon = amazon();
        assert!(amazon.make_request(&question(Resource::ItemSearch, "US", Some("hat"), None)).is_err());
        assert!(amazon.make_request(&question(Resource::CatalogSearch, "US", None, None)).is_err());
        assert!(amazon.make_request(&question(Resource::CatalogSearch, "US", Some(",,"), None)).is_err());
    }

    impl Amazon {
        fn request_of(&self, resource: Resource, market: &str, keyword: Option<&str>, cursor: Option<&str>) -> Request {
            self.make_request(&question(resource, market, keyword, cursor)).unwrap()
        }
    }
}
