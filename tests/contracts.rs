//! What the adapters ask and what the sandbox answers, both held against the marketplaces' own API descriptions.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use digitallz::cli::Role;
use digitallz_collector::{Disposition, disposition};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_sandbox::{RecordedRequest, SandboxConfig};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::harness::{TestApp, reference};

/// Where the description of an operation stands.
struct Operation {
    file: &'static str,
    path: &'static str,
    method: &'static str,
}

/// The described operations with their files; token endpoints and the document store have none.
#[rustfmt::skip]
const OPERATIONS: [(&str, Operation); 17] = [
    ("createReport", described("amazon/reports_2021-06-30.json", "/reports/2021-06-30/reports", "post")),
    ("findAllListingsActive", described(ETSY, "/v3/application/listings/active", "get")),
    ("getCategorySuggestions", described(TAXONOMY, "/category_tree/{category_tree_id}/get_category_suggestions", "get")),
    ("getCompetitiveSummary", described("amazon/productPricing_2022-05-01.json",
        "/batches/products/pricing/2022-05-01/items/competitiveSummary", "post")),
    ("getDefaultCategoryTreeId", described(TAXONOMY, "/get_default_category_tree_id", "get")),
    ("getItems", described(BROWSE, "/item/", "get")),
    ("getKeywordRecommendations", described("amazon/ads_sponsoredProducts_v3_keyword_recommendations.trimmed.json",
        "/sp/targets/keywords/recommendations", "post")),
    ("getListingsByListingIds", described(ETSY, "/v3/application/listings/batch", "get")),
    ("getRateLimits", described("ebay/developer_analytics_v1_beta.0.0.json", "/rate_limit/", "get")),
    ("getReport", described("amazon/reports_2021-06-30.json", "/reports/2021-06-30/reports/{reportId}", "get")),
    ("getReportDocument", described("amazon/reports_2021-06-30.json",
        "/reports/2021-06-30/documents/{reportDocumentId}", "get")),
    ("getReviewsByListing", described(ETSY, "/v3/application/listings/{listing_id}/reviews", "get")),
    ("getShop", described(ETSY, "/v3/application/shops/{shop_id}", "get")),
    ("itemSalesSearch", described("ebay/buy_marketplace_insights_v1_beta.2.2.yml", "/item_sales/search", "get")),
    ("itemSummarySearch", described(BROWSE, "/item_summary/search", "get")),
    ("searchCatalogItems", described("amazon/catalogItems_2022-04-01.json", "/catalog/2022-04-01/items", "get")),
    ("suggestBids", described("ebay/sell_marketing_v1.17.0_suggest_bids.trimmed.json",
        "/ad_campaign/{campaign_id}/ad_group/{ad_group_id}/suggest_bids", "post")),
];

const ETSY: &str = "etsy/etsy_openapi_3.0.0.json";
const BROWSE: &str = "ebay/buy_browse_v1.19.7.yml";
const TAXONOMY: &str = "ebay/commerce_taxonomy_v1.0.1.yml";

const fn described(file: &'static str, path: &'static str, method: &'static str) -> Operation {
    Operation { file, path, method }
}

impl Operation {
    fn marketplace(&self) -> Marketplace {
        self.file.split('/').next().unwrap().parse().unwrap()
    }

    /// Returns the whole description, and the part about this operation.
    fn load(&self, contracts: &Path) -> (Value, Value) {
        let description = load(&contracts.join(self.file));
        let contract = description["paths"][self.path][self.method].clone();
        assert!(contract.is_object(), "{} is not described", self.path);
        (description, contract)
    }
}

fn load(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "yml") {
        serde_yaml_ng::from_str(&text).unwrap()
    } else {
        serde_json::from_str(&text).unwrap()
    }
}

/// Follows a reference inside a description.
fn resolve<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            description.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere")
        }
        None => value,
    }
}

/// Makes a validator of one schema of a description, with all of the description at hand for its references.
fn validator(description: &Value, schema: &Value) -> Validator {
    let mut whole = Map::new();
    for part in ["definitions", "components"] {
        if let Some(schemas) = description.get(part) {
            whole.insert(part.to_owned(), schemas.clone());
        }
    }
    if let Value::Object(fields) = schema {
        whole.extend(fields.clone());
    }
    let mut whole = Value::Object(whole);
    allow_null_where_nullable(&mut whole);
    jsonschema::options().with_draft(Draft::Draft7).build(&whole).expect("a schema")
}

/// OpenAPI 3.0 writes `nullable`, which JSON Schema does not know.
fn allow_null_where_nullable(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.remove("nullable") == Some(Value::Bool(true)) {
                if let Some(Value::String(kind)) = fields.get("type") {
                    fields.insert("type".to_owned(), json!([kind, "null"]));
                }
                if let Some(Value::Array(values)) = fields.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            fields.values_mut().for_each(allow_null_where_nullable);
        }
        Value::Array(values) => values.iter_mut().for_each(allow_null_where_nullable),
        _ => {}
    }
}

fn problems(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).take(5).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

/// Reads a query parameter as the type its schema names; what cannot be read stays a text and fails the schema.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some("number") => text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| json!(text), |truth| json!(truth)),
        Some("array") => text.split(',').map(|part| typed(&schema["items"], part)).collect(),
        _ => json!(text),
    }
}

/// Checks a request's parameters and body; returns what breaks the contract.
fn request_problems(description: &Value, contract: &Value, request: &RecordedRequest) -> Vec<String> {
    let mut found = Vec::new();
    let parameters: Vec<&Value> = contract["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| resolve(description, parameter))
        .collect();
    let of =
        |place: &str| parameters.iter().filter(move |parameter| parameter["in"] == place).copied().collect::<Vec<_>>();
    for (name, text) in &request.query {
        match of("query").iter().find(|parameter| parameter["name"] == name.as_str()) {
            None => found.push(format!("the parameter {name} is not in the contract")),
            Some(parameter) => {
                // Swagger 2 puts the schema into the parameter itself, OpenAPI 3 beside it.
                let schema = parameter.get("schema").map_or(*parameter, |schema| resolve(description, schema));
                let mut schema = schema.clone();
                for word in ["required", "in", "name", "description", "example", "x-example"] {
                    schema.as_object_mut().unwrap().remove(word);
                }
                for problem in problems(&validator(description, &schema), &typed(&schema, text)) {
                    found.push(format!("parameter {name}={text}: {problem}"));
                }
            }
        }
    }
    for parameter in of("query").into_iter().filter(|parameter| parameter["required"] == true) {
        if !request.query.iter().any(|(name, _)| parameter["name"] == name.as_str()) {
            found.push(format!("the parameter {} is required", parameter["name"]));
        }
    }
    for parameter in of("header").into_iter().filter(|parameter| parameter["required"] == true) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if !request.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)) {
            found.push(format!("the header {name} is required"));
        }
    }
    if let Some(media_type) = header(request, "content-type") {
        let schema = &contract["requestBody"]["content"][media_type]["schema"];
        if !schema.is_null() {
            let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
            found.extend(problems(&validator(description, schema), &body));
        } else if !contract["requestBody"].is_null() {
            found.push(format!("the media type {media_type} is not in the contract"));
        }
    }
    for parameter in of("body") {
        let body: Value = serde_json::from_slice(request.body.as_bytes()).unwrap_or(Value::Null);
        found.extend(problems(&validator(description, &parameter["schema"]), &body));
    }
    found
}

fn header<'a>(request: &'a RecordedRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Checks an answer's body against the schema of its status.
fn answer_problems(description: &Value, contract: &Value, request: &RecordedRequest) -> Vec<String> {
    let response = resolve(description, &contract["responses"][request.status.to_string()]);
    // An answer has the media type of the question where both have versions, and is plain JSON otherwise.
    let content = &response["content"];
    let media_type = header(request, "content-type").filter(|media_type| content.get(media_type).is_some());
    let schema = response.get("schema").unwrap_or(&content[media_type.unwrap_or("application/json")]["schema"]);
    if schema.is_null() && response.is_object() && request.response_body.is_empty() {
        return Vec::new();
    }
    if schema.is_null() {
        return vec![format!("the status {} has no schema in the contract", request.status)];
    }
    let body: Value = match serde_json::from_slice(&request.response_body) {
        Ok(body) => body,
        Err(error) => return vec![error.to_string()],
    };
    problems(&validator(description, schema), &body)
}

/// Starts a sandbox that is asked for everything there is.
async fn asked_for_everything() -> TestApp {
    let config = SandboxConfig { limit_factor: 1e6, insights_granted: true, ..SandboxConfig::default() };
    let mut app = TestApp::start_with(config).await;
    let all = |marketplace: Marketplace| marketplace.resources().map(Resource::name).collect::<Vec<_>>().join(",");
    app.environment = app.environment.with([
        ("DIGITALLZ_AMAZON_RESOURCES", all(Marketplace::Amazon)),
        ("DIGITALLZ_ETSY_RESOURCES", all(Marketplace::Etsy)),
        ("DIGITALLZ_EBAY_RESOURCES", all(Marketplace::Ebay)),
    ]);
    app
}

/// Collects until nothing is left to ask.
async fn collect(app: &TestApp) {
    let roles = app.play(&[Role::Collector]);
    let open = "select count(*) from ops.jobs
                where state in ('ready', 'running') and job_name in ('plan_crawl', 'fetch_page')";
    app.database.wait_for_count(open, 0).await;
    roles.stop().await;
}

#[tokio::test]
async fn questions_and_answers_keep_the_contracts() {
    let Some(contracts) = reference("contracts") else { return };
    let app = asked_for_everything().await;
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 4);
        app.crawl(marketplace, &keywords).await;
    }
    collect(&app).await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());

    let mut checked = BTreeMap::<&str, usize>::new();
    let mut found = Vec::new();
    let requests = app.sandbox.requests();
    for (name, operation) in &OPERATIONS {
        let (description, contract) = operation.load(&contracts);
        for request in requests.iter().filter(|request| request.operation == *name) {
            *checked.entry(name).or_default() += 1;
            for problem in request_problems(&description, &contract, request) {
                found.push(format!("question {name} {}: {problem}", request.path));
            }
            for problem in answer_problems(&description, &contract, request) {
                found.push(format!("answer {name} {}: {problem}", request.path));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    // The collectors look at eBay's own count of requests only in need.
    let expected = OPERATIONS.iter().map(|(name, _)| *name).filter(|name| *name != "getRateLimits");
    let checked = checked.into_keys().filter(|name| *name != "getRateLimits");
    assert_eq!(checked.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn every_resource_of_every_marketplace_is_stored() {
    let app = asked_for_everything().await;
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 2);
        app.crawl(marketplace, &keywords).await;
    }
    collect(&app).await;
    let stored = app.database.texts("select distinct resource from raw.payloads order by resource").await;
    let mut expected = Resource::ALL.map(|resource| resource.name().to_owned());
    expected.sort();
    assert_eq!(stored, expected);
    let secrets = "select count(*) from raw.payloads where request_body ~ 'refresh_token|Atzr|client_secret'";
    assert_eq!(app.database.count(secrets).await, 0);
}

#[tokio::test]
async fn report_documents_keep_their_schemas() {
    let Some(contracts) = reference("contracts") else { return };
    let app = asked_for_everything().await;
    let keywords = app.keywords(Marketplace::Amazon, 1);
    app.crawl(Marketplace::Amazon, &keywords).await;
    collect(&app).await;
    let mut checked = BTreeMap::new();
    for request in app.sandbox.requests().into_iter().filter(|request| request.operation == "downloadDocument") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(request.response_body.as_slice()).read_to_string(&mut text).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let (file, rows) = match document.get("dataByAsin") {
            Some(rows) => ("amazon/sellingPartnerSearchQueryPerformanceReport.json", rows),
            None => ("amazon/sellingPartnerSearchTermsReport.json", &document["dataByDepartmentAndSearchTerm"]),
        };
        let schema = load(&contracts.join(file));
        let validator = jsonschema::options().with_draft(Draft::Draft7).build(&schema).unwrap();
        assert_eq!(problems(&validator, &document), Vec::<String>::new());
        checked.insert(file, rows.as_array().unwrap().len());
    }
    assert_eq!(checked.len(), 2);
    assert!(checked["amazon/sellingPartnerSearchTermsReport.json"] > 100, "{checked:?}");
}

/// Lists the statuses and error codes that a contract documents for an operation.
fn documented_answers(description: &Value, contract: &Value) -> Vec<(u16, Option<String>)> {
    let mut answers = Vec::new();
    for (status, response) in contract["responses"].as_object().unwrap() {
        let status: u16 = status.parse().unwrap();
        answers.push((status, None));
        let codes = resolve(description, response)["x-response-codes"]["errors"].as_object();
        answers.extend(codes.into_iter().flatten().map(|(code, _)| (status, Some(code.clone()))));
    }
    answers
}

#[test]
fn every_documented_answer_has_a_disposition() {
    let Some(contracts) = reference("contracts") else { return };
    let mut checked = BTreeMap::<&str, usize>::new();
    for (name, operation) in &OPERATIONS {
        let (description, contract) = operation.load(&contracts);
        let marketplace = operation.marketplace();
        let mut answers = documented_answers(&description, &contract);
        // What every API answers, whether or not its description says so.
        answers.extend([401, 403, 429, 500, 503].map(|status| (status, None)));
        let of_all: &[(u16, &str)] = match marketplace {
            Marketplace::Ebay => &[(401, "1001"), (401, "1002"), (403, "1100"), (429, "2001")],
            Marketplace::Amazon => &[(403, "Unauthorized"), (429, "QuotaExceeded"), (400, "InvalidInput")],
            Marketplace::Etsy => &[],
        };
        answers.extend(of_all.iter().map(|(status, code)| (*status, Some((*code).to_owned()))));
        for (status, code) in answers {
            let found = disposition(marketplace, name, status, code.as_deref());
            let found = found.unwrap_or_else(|| panic!("{name}: {status} {code:?} has no disposition"));
            let is_fitting = match status {
                200..=299 => found == Disposition::Answer,
                429 => found == Disposition::Snooze,
                501 => found == Disposition::GiveUp,
                500.. => found == Disposition::Retry,
                401 => found == Disposition::NewToken,
                403 => found == Disposition::Misconfigured,
                _ => found != Disposition::Answer && found != Disposition::Snooze,
            };
            assert!(is_fitting, "{name}: {status} {code:?} is {found:?}");
            *checked.entry(name).or_default() += 1;
        }
        assert_eq!(disposition(marketplace, name, 418, None), None, "{name}");
        assert_eq!(disposition(marketplace, name, 400, Some("no such code")), None, "{name}");
    }
    assert!(checked["itemSummarySearch"] > 50 && checked["getItems"] > 20 && checked["itemSalesSearch"] > 20);
}

#[test]
fn examples_and_exceptions_have_their_dispositions() {
    for (marketplace, operation, status, code, expected) in [
        (Marketplace::Ebay, "itemSummarySearch", 400, Some("12023"), Disposition::GiveUp),
        (Marketplace::Ebay, "itemSummarySearch", 400, Some("12029"), Disposition::EndOfPages),
        (Marketplace::Ebay, "itemSummarySearch", 200, Some("12002"), Disposition::Answer),
        (Marketplace::Ebay, "getItems", 400, Some("11004"), Disposition::Retry),
        (Marketplace::Ebay, "itemSalesSearch", 400, Some("100017"), Disposition::Misconfigured),
        (Marketplace::Ebay, "suggestBids", 400, Some("35045"), Disposition::Misconfigured),
        (Marketplace::Ebay, "oauthToken", 401, Some("invalid_client"), Disposition::NewToken),
        (Marketplace::Ebay, "oauthToken", 400, Some("invalid_grant"), Disposition::NewToken),
        (Marketplace::Ebay, "oauthToken", 400, Some("invalid_scope"), Disposition::Misconfigured),
        (Marketplace::Ebay, "oauthToken", 429, None, Disposition::Snooze),
        (Marketplace::Amazon, "lwaToken", 400, Some("invalid_grant"), Disposition::NewToken),
        (Marketplace::Amazon, "lwaToken", 400, Some("unauthorized_client"), Disposition::Misconfigured),
        (Marketplace::Amazon, "lwaToken", 429, Some("slow_down"), Disposition::Snooze),
        (Marketplace::Amazon, "getReport", 400, Some("400"), Disposition::GiveUp),
        (Marketplace::Amazon, "getCompetitiveSummary", 400, Some("INVALID_ASIN"), Disposition::GiveUp),
        (Marketplace::Amazon, "getCompetitiveSummary", 400, Some("INVALID_SKU"), Disposition::GiveUp),
        (Marketplace::Amazon, "getKeywordRecommendations", 422, Some("422"), Disposition::GiveUp),
        (Marketplace::Amazon, "getKeywordRecommendations", 401, Some("401"), Disposition::NewToken),
        (Marketplace::Etsy, "findAllListingsActive", 400, Some("offset"), Disposition::EndOfPages),
        (Marketplace::Etsy, "getShop", 403, Some("shared secret"), Disposition::Misconfigured),
    ] {
        assert_eq!(disposition(marketplace, operation, status, code), Some(expected), "{operation} {status} {code:?}");
    }
    // Statuses that Etsy documents for other operations may come from any.
    for status in [200, 201, 204, 400, 401, 403, 404, 409, 422, 429, 500, 501, 503] {
        assert!(disposition(Marketplace::Etsy, "getReviewsByListing", status, None).is_some(), "{status}");
    }
}

#[test]
fn the_check_itself_finds_what_breaks_a_contract() {
    let Some(contracts) = reference("contracts") else { return };
    let description = load(&contracts.join("ebay/buy_browse_v1.19.7.yml"));
    let contract = &description["paths"]["/item_summary/search"]["get"];
    let request = RecordedRequest {
        marketplace: digitallz_sandbox::Marketplace::Ebay,
        operation: "itemSummarySearch".to_owned(),
        method: "GET".to_owned(),
        path: "/buy/browse/v1/item_summary/search".to_owned(),
        query: vec![("query".to_owned(), "lamp".to_owned())],
        headers: Vec::new(),
        body: String::new(),
        status: 200,
        response_body: br#"{"total": "many", "itemSummaries": [{"price": "5"}]}"#.to_vec(),
    };
    assert_eq!(request_problems(&description, contract, &request), ["the parameter query is not in the contract"]);
    assert_eq!(answer_problems(&description, contract, &request).len(), 2);
}
