//! A sandbox with a client that holds its credentials.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use digitallz_sandbox::{Fault, FaultRule, LimitWindow, Marketplace, Sandbox, SandboxConfig};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

/// A running sandbox and a client with its credentials.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) settings: HashMap<&'static str, String>,
    pub(crate) client: Client,
    pub(crate) amazon_token: String,
    pub(crate) ebay_token: String,
}

pub(crate) fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl Bench {
    pub(crate) async fn start(limit_factor: f64) -> Self {
        let now = Some(moment("2025-11-19T10:00:00Z"));
        Self::with(SandboxConfig { now, limit_factor, keep_requests: true, ..SandboxConfig::default() }).await
    }

    pub(crate) async fn with(config: SandboxConfig) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(config).await.unwrap();
        let settings: HashMap<_, _> = sandbox.settings().into_iter().collect();
        let client = Client::new();
        let mut bench = Self { sandbox, settings, client, amazon_token: String::new(), ebay_token: String::new() };
        bench.amazon_token = bench.amazon_login("refresh_token").await["access_token"].as_str().unwrap().into();
        bench.ebay_token = bench.ebay_login().await["access_token"].as_str().unwrap().into();
        bench
    }

    pub(crate) async fn amazon_login(&self, grant_type: &str) -> Value {
        let form = [
            ("grant_type", grant_type),
            ("client_id", &self.settings["DIGITALLZ_AMAZON_CLIENT_ID"]),
            ("client_secret", &self.settings["DIGITALLZ_AMAZON_CLIENT_SECRET"]),
            ("refresh_token", &self.settings["DIGITALLZ_AMAZON_REFRESH_TOKEN"]),
        ];
        let request = self.client.post(&self.settings["DIGITALLZ_AMAZON_TOKEN_URL"]).form(&form);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn ebay_login(&self) -> Value {
        let url = format!("{}/identity/v1/oauth2/token", self.settings["DIGITALLZ_EBAY_BASE_URL"]);
        let (id, secret) = (&self.settings["DIGITALLZ_EBAY_CLIENT_ID"], &self.settings["DIGITALLZ_EBAY_CLIENT_SECRET"]);
        let form = [("grant_type", "client_credentials"), ("scope", "https://api.ebay.com/oauth/api_scope")];
        let request = self.client.post(url).basic_auth(id, Some(secret)).form(&form);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn amazon(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.settings["DIGITALLZ_AMAZON_BASE_URL"]);
        self.client.get(url).header("x-amz-access-token", &self.amazon_token)
    }

    pub(crate) fn catalog(&self, rest: &str) -> RequestBuilder {
        self.amazon(&format!("/catalog/2022-04-01/items?marketplaceIds=ATVPDKIKX0DER&{rest}"))
    }

    pub(crate) fn etsy(&self, path: &str) -> RequestBuilder {
        let key =
            format!("{}:{}", self.settings["DIGITALLZ_ETSY_KEYSTRING"], self.settings["DIGITALLZ_ETSY_SHARED_SECRET"]);
        let url = format!("{}/v3/application/listings/{path}", self.settings["DIGITALLZ_ETSY_BASE_URL"]);
        self.client.get(url).header("x-api-key", key)
    }

    pub(crate) fn ebay(&self, query: &str) -> RequestBuilder {
        let url = format!("{}/buy/browse/v1/item_summary/search?{query}", self.settings["DIGITALLZ_EBAY_BASE_URL"]);
        self.client.get(url).bearer_auth(&self.ebay_token)
    }

    pub(crate) async fn order_report(&self, first: &str, last: &str) -> Response {
        let order = json!({
            "reportType": "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT",
            "reportOptions": { "reportPeriod": "WEEK" },
            "dataStartTime": first,
            "dataEndTime": last,
            "marketplaceIds": ["ATVPDKIKX0DER"],
        });
        let url = format!("{}/reports/2021-06-30/reports", self.settings["DIGITALLZ_AMAZON_BASE_URL"]);
        let request = self.client.post(url).header("x-amz-access-token", &self.amazon_token).json(&order);
        request.send().await.unwrap()
    }

    /// Puts windows in force for one scope.
    pub(crate) fn limit(&self, scope: &str, windows: &[LimitWindow]) {
        self.sandbox.set_limits(&BTreeMap::from([(scope.to_owned(), windows.to_vec())])).unwrap();
    }

    /// Asks one server's control.
    pub(crate) fn control(&self, path: &str) -> String {
        format!("{}/__sandbox/{path}", self.settings["DIGITALLZ_ETSY_BASE_URL"])
    }

    /// Polls a report until it has ended and returns its states.
    pub(crate) async fn follow_report(&self, id: &str) -> (Vec<String>, Value) {
        let mut states = Vec::new();
        loop {
            let report = body(self.amazon(&format!("/reports/2021-06-30/reports/{id}"))).await;
            let state = report["processingStatus"].as_str().unwrap().to_owned();
            states.push(state.clone());
            if !state.starts_with("IN_") {
                return (states, report);
            }
        }
    }

    pub(crate) fn inject(&self, marketplace: Marketplace, fault: Fault) {
        self.sandbox.inject(FaultRule {
            marketplace,
            operation: None,
            keyword: None,
            times: Some(1),
            share: None,
            fault,
        });
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

pub(crate) async fn body(request: RequestBuilder) -> Value {
    let response = send(request).await;
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    response.json().await.unwrap()
}

pub(crate) async fn refusal(request: RequestBuilder) -> (u16, Value) {
    let response = send(request).await;
    (response.status().as_u16(), response.json().await.unwrap())
}
