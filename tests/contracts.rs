//! What the adapters ask and what the sandbox answers, both held against the marketplaces' own API descriptions.

use std::io::Read;
use std::path::Path;

use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::RecordedRequest;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::harness::{TestApp, reference};

/// Where the description of an operation stands.
struct Operation {
    file: &'static str,
    path: &'static str,
    method: &'static str,
}

/// Finds the description of an operation; token endpoints and the document store have none.
fn operation(name: &str) -> Option<Operation> {
    let (file, path, method) = match name {
        "searchCatalogItems" => ("amazon/catalogItems_2022-04-01.json", "/catalog/2022-04-01/items", "get"),
        "createReport" => ("amazon/reports_2021-06-30.json", "/reports/2021-06-30/reports", "post"),
        "getReport" => ("amazon/reports_2021-06-30.json", "/reports/2021-06-30/reports/{reportId}", "get"),
        "getReportDocument" => {
            ("amazon/reports_2021-06-30.json", "/reports/2021-06-30/documents/{reportDocumentId}", "get")
        }
        "findAllListingsActive" => ("etsy/etsy_openapi_3.0.0.json", "/v3/application/listings/active", "get"),
        "getListingsByListingIds" => ("etsy/etsy_openapi_3.0.0.json", "/v3/application/listings/batch", "get"),
        "itemSummarySearch" => ("ebay/buy_browse_v1.19.7.yml", "/item_summary/search", "get"),
        _ => return None,
    };
    Some(Operation { file, path, method })
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
    for parameter in of("body") {
        let body: Value = serde_json::from_slice(request.body.as_bytes()).unwrap_or(Value::Null);
        found.extend(problems(&validator(description, &parameter["schema"]), &body));
    }
    found
}

/// Checks an answer's body against the schema of its status.
fn answer_problems(description: &Value, contract: &Value, request: &RecordedRequest) -> Vec<String> {
    let response = resolve(description, &contract["responses"][request.status.to_string()]);
    let schema = response.get("schema").unwrap_or(&response["content"]["application/json"]["schema"]);
    if schema.is_null() {
        return vec![format!("the status {} has no schema in the contract", request.status)];
    }
    let body: Value = match serde_json::from_slice(&request.response_body) {
        Ok(body) => body,
        Err(error) => return vec![error.to_string()],
    };
    problems(&validator(description, schema), &body)
}

#[tokio::test]
async fn questions_and_answers_keep_the_contracts() {
    let Some(contracts) = reference("contracts") else { return };
    let app = TestApp::start().await;
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 4);
        app.crawl(marketplace, &keywords).await;
    }
    app.work_until_idle().await;

    let requests = app.sandbox.requests();
    let mut checked = std::collections::BTreeMap::<String, usize>::new();
    let mut found = Vec::new();
    for request in &requests {
        let Some(operation) = operation(&request.operation) else { continue };
        *checked.entry(request.operation.clone()).or_default() += 1;
        let description = load(&contracts.join(operation.file));
        let contract = &description["paths"][operation.path][operation.method];
        assert!(contract.is_object(), "{} is not described", request.operation);
        for problem in request_problems(&description, contract, request) {
            found.push(format!("question {} {}: {problem}", request.operation, request.path));
        }
        for problem in answer_problems(&description, contract, request) {
            found.push(format!("answer {} {}: {problem}", request.operation, request.path));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(
        checked.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "createReport",
            "findAllListingsActive",
            "getListingsByListingIds",
            "getReport",
            "getReportDocument",
            "itemSummarySearch",
            "searchCatalogItems"
        ]
    );
}

#[tokio::test]
async fn the_report_document_keeps_its_schema() {
    let Some(contracts) = reference("contracts") else { return };
    let app = TestApp::start().await;
    let keywords = app.keywords(Marketplace::Amazon, 1);
    app.crawl(Marketplace::Amazon, &keywords).await;
    app.work_until_idle().await;
    let document = app
        .sandbox
        .requests()
        .into_iter()
        .find(|request| request.operation == "downloadDocument")
        .expect("the document was downloaded");
    let mut text = String::new();
    flate2::read::GzDecoder::new(document.response_body.as_slice()).read_to_string(&mut text).unwrap();
    let schema = load(&contracts.join("amazon/sellingPartnerSearchTermsReport.json"));
    let validator = jsonschema::options().with_draft(Draft::Draft7).build(&schema).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problems(&validator, &document), Vec::<String>::new());
    assert!(document["dataByDepartmentAndSearchTerm"].as_array().unwrap().len() > 100);
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
