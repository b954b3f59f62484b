//! The operations beside the searches: what they need, and that they agree with the world.

use std::io::Read;
use std::time::Duration;

use chrono::NaiveDate;
use digitallz_sandbox::{Fault, Marketplace, SandboxConfig, true_weekly_demand};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::bench::{Bench, body, moment, refusal, send};

const INSIGHTS: &str = "https://api.ebay.com/oauth/api_scope/buy.marketplace.insights";

impl Bench {
    fn asins(&self) -> Vec<String> {
        self.settings["DIGITALLZ_AMAZON_ASINS"].split(' ').map(String::from).collect()
    }

    /// Asks eBay for a token with this form.
    async fn ebay_grant(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/identity/v1/oauth2/token", self.settings["DIGITALLZ_EBAY_BASE_URL"]);
        let (id, secret) = (&self.settings["DIGITALLZ_EBAY_CLIENT_ID"], &self.settings["DIGITALLZ_EBAY_CLIENT_SECRET"]);
        refusal(self.client.post(url).basic_auth(id, Some(secret)).form(form)).await
    }

    fn ebay_get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.settings["DIGITALLZ_EBAY_BASE_URL"])).bearer_auth(&self.ebay_token)
    }

    /// Orders the week's search query performance and returns the document.
    async fn query_performance(&self, asins: &str) -> (Vec<String>, Value) {
        let order = json!({
            "reportType": "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT",
            "reportOptions": { "reportPeriod": "WEEK", "asin": asins },
            "dataStartTime": "2025-11-02",
            "dataEndTime": "2025-11-08",
            "marketplaceIds": ["ATVPDKIKX0DER"],
        });
        let url = format!("{}/reports/2021-06-30/reports", self.settings["DIGITALLZ_AMAZON_BASE_URL"]);
        let created = body(self.client.post(url).header("x-amz-access-token", &self.amazon_token).json(&order)).await;
        let (states, report) = self.follow_report(created["reportId"].as_str().unwrap()).await;
        let path = format!("/reports/2021-06-30/documents/{}", report["reportDocumentId"].as_str().unwrap());
        let document = body(self.amazon(&path)).await;
        let packed = send(self.client.get(document["url"].as_str().unwrap())).await.bytes().await.unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_ref()).read_to_string(&mut text).unwrap();
        (states, serde_json::from_str(&text).unwrap())
    }
}

#[tokio::test]
async fn query_performance_tells_the_volume_of_own_products_only() {
    let bench = Bench::start(1_000.0).await;
    let (states, document) = bench.query_performance(&bench.asins().join(" ")).await;
    assert_eq!(states.last().unwrap(), "DONE");
    let rows = document["dataByAsin"].as_array().unwrap();
    let week = NaiveDate::from_ymd_opt(2025, 11, 2).unwrap();
    let row = rows.iter().find(|row| row["searchQueryData"]["searchQuery"] == "phone case").unwrap();
    let demand = true_weekly_demand(1, Marketplace::Amazon, "phone case", week);
    assert_eq!(row["searchQueryData"]["searchQueryVolume"].as_f64().unwrap(), demand.round());
    let (states, document) = bench.query_performance("B000000000").await;
    assert_eq!(states.last().unwrap(), "FATAL");
    assert!(document["errorDetails"].is_string());
}

#[tokio::test]
async fn prices_come_in_batches_with_a_status_each() {
    let bench = Bench::start(1_000.0).await;
    let path = "/batches/products/pricing/2022-05-01/items/competitiveSummary";
    let url = format!("{}{path}", bench.settings["DIGITALLZ_AMAZON_BASE_URL"]);
    let ask = |asins: Vec<String>| {
        let request = |asin| {
            json!({
                "asin": asin,
                "marketplaceId": "ATVPDKIKX0DER",
                "includedData": ["featuredBuyingOptions", "lowestPricedOffers"],
                "method": "GET",
                "uri": "/products/pricing/2022-05-01/items/competitiveSummary",
            })
        };
        let requests: Vec<Value> = asins.into_iter().map(request).collect();
        bench.client.post(&url).header("x-amz-access-token", &bench.amazon_token).json(&json!({ "requests": requests }))
    };
    let found = body(bench.catalog("keywords=some%20unheard%20lamp")).await;
    let mut asins = bench.asins();
    asins.push(found["items"][0]["asin"].as_str().unwrap().into());
    asins.push("B000000000".into());
    let answer = body(ask(asins)).await;
    let statuses: Vec<_> =
        answer["responses"].as_array().unwrap().iter().map(|r| r["status"]["statusCode"].as_u64()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 404].map(Some));
    let featured = &answer["responses"][0]["body"]["featuredBuyingOptions"][0]["segmentedFeaturedOffers"][0];
    assert!(featured["listingPrice"]["amount"].as_f64().unwrap() > 1.0);
    assert_eq!(refusal(ask(vec!["B000000000".into(); 21])).await.0, 400);
}

#[tokio::test]
async fn bids_need_the_token_of_amazon_ads() {
    let bench = Bench::start(1_000.0).await;
    let login = async |refresh_token: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &bench.settings["DIGITALLZ_AMAZON_CLIENT_ID"]),
            ("client_secret", &bench.settings["DIGITALLZ_AMAZON_CLIENT_SECRET"]),
            ("refresh_token", refresh_token),
        ];
        let answer = body(bench.client.post(&bench.settings["DIGITALLZ_AMAZON_TOKEN_URL"]).form(&form)).await;
        answer["access_token"].as_str().unwrap().to_owned()
    };
    let token = login(&bench.settings["DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN"]).await;
    let media_type = "application/vnd.spkeywordsrecommendation.v5+json";
    let question = json!({
        "recommendationType": "KEYWORDS_FOR_ASINS",
        "asins": bench.asins(),
        "targets": [{ "keyword": "yoga mat", "matchType": "EXACT" }],
        "maxRecommendations": 0,
    });
    let ask = |token: &str| {
        let url = format!("{}/sp/targets/keywords/recommendations", bench.settings["DIGITALLZ_AMAZON_ADS_BASE_URL"]);
        let request = bench.client.post(url).bearer_auth(token).body(question.to_string());
        request
            .header("content-type", media_type)
            .header("Amazon-Advertising-API-ClientId", &bench.settings["DIGITALLZ_AMAZON_CLIENT_ID"])
            .header("Amazon-Advertising-API-Scope", &bench.settings["DIGITALLZ_AMAZON_ADS_PROFILE_ID"])
    };
    let answer = body(ask(&token)).await;
    let targets = answer["keywordTargetList"].as_array().unwrap();
    assert_eq!((targets.len(), targets[0]["keyword"].as_str()), (1, Some("yoga mat")));
    let bids: Vec<f64> = targets[0]["bidInfo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bid| bid["suggestedBid"]["suggested"].as_f64().unwrap())
        .collect();
    assert!(bids.len() == 3 && bids[0] > bids[1] && bids[1] > bids[2], "{bids:?}");
    assert_eq!(refusal(ask(&bench.amazon_token)).await.0, 401);
    let url = format!(
        "{}/catalog/2022-04-01/items?marketplaceIds=ATVPDKIKX0DER&keywords=mat",
        bench.settings["DIGITALLZ_AMAZON_BASE_URL"]
    );
    assert_eq!(refusal(bench.client.get(url).header("x-amz-access-token", token)).await.0, 403);
}

#[tokio::test]
async fn sales_and_reviews_grow_with_time() {
    let bench = Bench::start(1_000.0).await;
    let page = body(bench.etsy("active?keywords=knitted%20scarf&sort_on=score&limit=20")).await;
    let listings = page["results"].as_array().unwrap().clone();
    let shop_url = |listing: &Value| {
        format!("{}/v3/application/shops/{}", bench.settings["DIGITALLZ_ETSY_BASE_URL"], listing["shop_id"])
    };
    let key =
        format!("{}:{}", bench.settings["DIGITALLZ_ETSY_KEYSTRING"], bench.settings["DIGITALLZ_ETSY_SHARED_SECRET"]);
    let mut totals = Vec::new();
    for day in ["2025-11-19T10:00:00Z", "2025-12-19T10:00:00Z"] {
        bench.sandbox.set_now(moment(day));
        let (mut sold, mut reviews) = (0, 0);
        for listing in &listings {
            let shop = body(bench.client.get(shop_url(listing)).header("x-api-key", &key)).await;
            sold += shop["transaction_sold_count"].as_u64().unwrap();
            let page = body(bench.etsy(&format!("{}/reviews?limit=100", listing["listing_id"]))).await;
            reviews += page["count"].as_u64().unwrap();
        }
        totals.push((sold, reviews));
    }
    assert!(totals[1].0 > totals[0].0 + 20 && totals[1].1 > totals[0].1 + 5, "{totals:?}");

    let path = format!("{}/reviews?limit=100&min_created=1763546400&max_created=1766138400", listings[0]["listing_id"]);
    let recent = body(bench.etsy(&path)).await;
    let moments: Vec<i64> = recent["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|review| review["created_timestamp"].as_i64().unwrap())
        .collect();
    assert!(
        moments.iter().all(|at| (1_763_546_400..=1_766_138_400).contains(at)) && moments.is_sorted_by(|a, b| a >= b)
    );
    assert_eq!(refusal(bench.etsy("5/reviews")).await.0, 404);
    assert_eq!(refusal(bench.etsy(&format!("{}/reviews?limit=101", listings[0]["listing_id"]))).await.0, 400);
}

#[tokio::test]
async fn items_of_a_search_are_read_with_what_was_sold() {
    let bench = Bench::start(1_000.0).await;
    let page = body(bench.ebay("q=film%20camera&limit=200")).await;
    let ids: Vec<&str> =
        page["itemSummaries"].as_array().unwrap().iter().map(|item| item["itemId"].as_str().unwrap()).collect();
    let path = |ids: &[&str]| format!("/buy/browse/v1/item/?item_ids={}", ids.join(",").replace('|', "%7C"));
    let sold = async |ids: &[&str]| {
        let answer = body(bench.ebay_get(&path(ids))).await;
        assert_eq!(answer["items"].as_array().unwrap().len(), ids.len());
        let sold = |item: &Value| item["estimatedAvailabilities"][0]["estimatedSoldQuantity"].as_u64().unwrap();
        answer["items"].as_array().unwrap().iter().map(sold).sum::<u64>()
    };
    sold(&ids[180..]).await;
    let before = sold(&ids[..20]).await;
    bench.sandbox.set_now(moment("2025-11-26T10:00:00Z"));
    let later = body(bench.ebay_get(&path(&ids[..20]))).await;
    let still_there = later["items"].as_array().unwrap();
    let after: u64 = still_there
        .iter()
        .map(|item| item["estimatedAvailabilities"][0]["estimatedSoldQuantity"].as_u64().unwrap())
        .sum();
    assert!(after > before, "{before} and then {after}");
    assert_eq!(refusal(bench.ebay_get(&path(&ids[..21]))).await.1["errors"][0]["errorId"], 11_015);
    let partly = body(bench.ebay_get(&path(&[ids[199], "v1|1|0"]))).await;
    assert_eq!(partly["warnings"][0]["errorId"], 11_001);
}

#[tokio::test]
async fn ebay_tells_its_limits_and_categories() {
    let bench = Bench::start(1.0).await;
    for _ in 0..3 {
        send(bench.ebay("q=film%20camera&limit=1")).await;
    }
    let path = "/developer/analytics/v1_beta/rate_limit/?api_context=buy&api_name=browse";
    let answer = body(bench.ebay_get(path)).await;
    let rate = &answer["rateLimits"][0]["resources"][0]["rates"][0];
    assert_eq!(
        *rate,
        json!({ "limit": 5000, "remaining": 4997, "reset": "2025-11-20T08:00:00.000Z", "timeWindow": 86400 })
    );
    let tree = body(bench.ebay_get("/commerce/taxonomy/v1/get_default_category_tree_id?marketplace_id=EBAY_US")).await;
    let tree = tree["categoryTreeId"].as_str().unwrap();
    let path = |query| format!("/commerce/taxonomy/v1/category_tree/{tree}/get_category_suggestions?q={query}");
    let suggestions = body(bench.ebay_get(&path("film%20camera"))).await;
    assert!(suggestions["categorySuggestions"][0]["category"]["categoryId"].is_string());
    assert_eq!(send(bench.ebay_get(&path("zzxqvw"))).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn sold_items_are_for_those_who_were_granted_the_scope() {
    let form = [("grant_type", "client_credentials"), ("scope", INSIGHTS)];
    let path = "/buy/marketplace_insights/v1_beta/item_sales/search?q=film,camera&category_ids=625";
    let bench = Bench::start(1_000.0).await;
    assert_eq!(
        bench.ebay_grant(&form).await,
        (
            400,
            json!({
                "error": "invalid_scope",
                "error_description": "The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client",
            })
        )
    );
    let (status, error) = refusal(bench.ebay_get(path)).await;
    assert_eq!((status, error["errors"][0]["errorId"].as_i64()), (403, Some(1100)));

    let now = Some(moment("2025-11-19T10:00:00Z"));
    let mut bench = Bench::with(SandboxConfig { now, insights_granted: true, ..SandboxConfig::default() }).await;
    bench.ebay_token = bench.ebay_grant(&form).await.1["access_token"].as_str().unwrap().into();
    let sales = body(bench.ebay_get(path)).await;
    assert!(sales["itemSales"][0]["totalSoldQuantity"].as_u64().unwrap() > 0);
    assert_eq!(
        refusal(bench.ebay_get(&path.replace("&category_ids=625", ""))).await.1["errors"][0]["errorId"],
        100_018
    );
}

#[tokio::test]
async fn ebay_suggests_bids_to_a_user() {
    let bench = Bench::start(1_000.0).await;
    let ask = |token: &str| {
        let path = format!(
            "/sell/marketing/v1/ad_campaign/{}/ad_group/{}/suggest_bids",
            bench.settings["DIGITALLZ_EBAY_CAMPAIGN_ID"], bench.settings["DIGITALLZ_EBAY_AD_GROUP_ID"]
        );
        let keywords = json!({ "keywords": [{ "keywordText": "film camera", "matchType": "EXACT" }] });
        bench
            .client
            .post(format!("{}{path}", bench.settings["DIGITALLZ_EBAY_BASE_URL"]))
            .bearer_auth(token)
            .json(&keywords)
    };
    assert_eq!(refusal(ask(&bench.ebay_token)).await.0, 403);
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", &bench.settings["DIGITALLZ_EBAY_USER_REFRESH_TOKEN"])];
    let token = bench.ebay_grant(&form).await.1["access_token"].as_str().unwrap().to_owned();
    let bids = body(ask(&token)).await;
    assert!(bids["suggestedBids"][0]["proposedBid"]["value"].as_str().unwrap().parse::<f64>().unwrap() > 0.0);
}

#[tokio::test]
async fn the_canary_is_found_everywhere_and_nonsense_nowhere() {
    for seed in 1..=3 {
        let config = SandboxConfig { seed, limit_factor: 1_000.0, ..SandboxConfig::default() };
        let bench = Bench::with(config).await;
        for now in ["2024-01-01T00:00:00Z", "2025-11-19T10:00:00Z", "2031-06-01T00:00:00Z"] {
            bench.sandbox.set_now(moment(now));
            let items =
                body(bench.catalog("keywords=phone%20case&pageSize=20")).await["items"].as_array().unwrap().len();
            let listings =
                body(bench.etsy("active?keywords=phone%20case&limit=100")).await["results"].as_array().unwrap().len();
            let page = body(bench.ebay("q=phone%20case&limit=100")).await;
            assert_eq!((items, listings, page["itemSummaries"].as_array().unwrap().len()), (20, 100, 100));
        }
        let nothing = body(bench.catalog("keywords=zzxqvw")).await;
        assert!(nothing["numberOfResults"] == 0 && nothing["items"] == json!([]));
        assert_eq!(body(bench.etsy("active?keywords=zzxqvw")).await, json!({ "count": 0, "results": [] }));
        let nothing = body(bench.ebay("q=zzxqvw")).await;
        assert!(nothing["total"] == 0 && nothing.get("itemSummaries").is_none());
    }
}

#[tokio::test]
async fn a_search_can_be_made_to_find_nothing() {
    let bench = Bench::start(1_000.0).await;
    bench.inject(Marketplace::Ebay, Fault::EmptyResults);
    let empty = body(bench.ebay("q=film%20camera")).await;
    assert!(empty["total"] == 0 && empty.get("itemSummaries").is_none() && empty["href"].to_string().contains("film"));
    assert!(body(bench.ebay("q=film%20camera")).await["total"].as_u64().unwrap() > 0);
    let rule = json!({ "marketplace": "etsy", "keyword": "phone case", "fault": "empty_results" });
    send(bench.client.post(bench.control("faults")).json(&rule)).await;
    assert_eq!(body(bench.etsy("active?keywords=phone%20case")).await["count"], 0);
    assert_ne!(body(bench.etsy("active?keywords=boho%20lamp")).await["count"], 0);
}

#[tokio::test]
async fn a_connection_can_be_closed_and_a_type_wrong() {
    let bench = Bench::start(1_000.0).await;
    bench.inject(Marketplace::Etsy, Fault::ConnectionClosed);
    let error = bench.etsy("active?keywords=mug").send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    let recorded = bench.sandbox.requests().pop().unwrap();
    assert_eq!((recorded.operation.as_str(), recorded.status), ("findAllListingsActive", 0));
    bench.inject(Marketplace::Etsy, Fault::WrongContentType);
    let odd = send(bench.etsy("active?keywords=mug")).await;
    assert!(odd.status() == StatusCode::OK && odd.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(odd.json::<Value>().await.unwrap()["count"].is_u64());
    assert_eq!(bench.sandbox.limit_statistics()["etsy.any"].accepted, 2);
}

#[tokio::test]
async fn every_answer_can_be_late() {
    let config = SandboxConfig { latency: Duration::from_millis(80), ..SandboxConfig::default() };
    let bench = Bench::with(config).await;
    let started = std::time::Instant::now();
    body(bench.ebay("q=lamp")).await;
    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_report_document_is_as_long_as_wanted() {
    let bytes = 3_000_000;
    let now = Some(moment("2025-11-19T10:00:00Z"));
    let bench =
        Bench::with(SandboxConfig { now, report_document_bytes: Some(bytes), ..SandboxConfig::default() }).await;
    let created: Value = bench.order_report("2025-11-02", "2025-11-08").await.json().await.unwrap();
    let (_, report) = bench.follow_report(created["reportId"].as_str().unwrap()).await;
    let document_id = report["reportDocumentId"].as_str().unwrap();
    let document = body(bench.amazon(&format!("/reports/2021-06-30/documents/{document_id}"))).await;
    let download = async || {
        let packed = send(bench.client.get(document["url"].as_str().unwrap())).await.bytes().await.unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_ref()).read_to_string(&mut text).unwrap();
        text
    };
    let text = download().await;
    assert_eq!(text, download().await);
    assert!((bytes..bytes + 300_000).contains(&(text.len() as u64)), "{}", text.len());
    let terms: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&terms).unwrap().lines().count(), text.lines().count());
    let rows = terms["dataByDepartmentAndSearchTerm"].as_array().unwrap();
    assert!(rows.chunks(3).zip(1..).all(|(three, rank)| three.iter().all(|row| row["searchFrequencyRank"] == rank)));
    for keyword in ["air fryer", "yoga mat", "phone case", "wall clock"] {
        assert_eq!(rows.iter().filter(|row| row["searchTerm"] == keyword).count(), 3);
    }
    bench.inject(Marketplace::Amazon, Fault::MalformedRow);
    let broken: Value = serde_json::from_str(&download().await).unwrap();
    let rows = broken["dataByDepartmentAndSearchTerm"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| !row["searchFrequencyRank"].is_u64()).count(), 1);
    bench.inject(Marketplace::Amazon, Fault::TruncatedBody);
    let cut = bench.client.get(document["url"].as_str().unwrap()).send().await.unwrap();
    assert!(cut.bytes().await.is_err());
}
