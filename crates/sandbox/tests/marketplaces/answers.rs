//! What the marketplaces answer, with their traps and faults.

use std::io::Read;
use std::time::Duration;

use chrono::NaiveDate;
use digitallz_sandbox::{Fault, Marketplace, SandboxConfig, true_weekly_demand};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::bench::{Bench, body, moment, refusal, send};

#[tokio::test]
async fn the_same_seed_and_moment_give_the_same_bytes() {
    let (one, two) = (Bench::start(1.0).await, Bench::start(1.0).await);
    for bench in [&one, &two] {
        send(bench.catalog("keywords=yoga%20mat&includedData=summaries,salesRanks,classifications")).await;
        send(bench.etsy("active?keywords=boho%20lamp&sort_on=score&limit=100")).await;
    }
    let answers =
        |bench: &Bench| bench.sandbox.requests().into_iter().skip(2).map(|r| r.response_body).collect::<Vec<_>>();
    assert_eq!(answers(&one), answers(&two));
    assert!(answers(&one).iter().all(|answer| answer.len() > 2_000));
    one.sandbox.set_now(moment("2026-03-19T10:00:00Z"));
    let later = send(one.etsy("active?keywords=boho%20lamp&sort_on=score&limit=100")).await.bytes().await.unwrap();
    assert_ne!(later, answers(&two)[1]);
    one.sandbox.stop().await;
    two.sandbox.stop().await;
}

#[tokio::test]
async fn amazon_search_has_the_published_traps() {
    let bench = Bench::start(1_000.0).await;
    let (status, error) = refusal(bench.catalog("keywords=yoga%20mat&pageSize=21")).await;
    assert_eq!((status, error["errors"][0]["code"].as_str()), (400, Some("InvalidInput")));
    assert_eq!(refusal(bench.catalog("keywords=yoga%20mat&includedData=prices")).await.0, 400);
    assert_eq!(refusal(bench.catalog("pageSize=20")).await.0, 400);
    assert_eq!(refusal(bench.amazon("/catalog/2022-04-01/items?keywords=mat")).await.0, 400);

    let plain = body(bench.catalog("keywords=yoga%20mat")).await;
    assert_eq!(plain["items"].as_array().unwrap().len(), 10);
    assert!(plain["items"][0]["summaries"][0]["itemName"].is_string());
    assert!(plain["items"][0].get("salesRanks").is_none());
    let both = body(bench.catalog("keywords=yoga%20mat,beach%20towel&pageSize=20")).await;
    let titles = both["items"].to_string();
    assert!(titles.contains("Yoga Mat") && titles.contains("Beach Towel"));

    let mut refused = 0;
    let mut ended_early = 0;
    for keyword in digitallz_sandbox::keywords(Marketplace::Amazon) {
        let mut url = format!("keywords={}&pageSize=20", keyword.replace(' ', "%20"));
        for page in 1.. {
            let response = send(bench.catalog(&url)).await;
            if response.status() == StatusCode::BAD_REQUEST {
                assert_eq!(page, 4);
                refused += 1;
                break;
            }
            let answer: Value = response.json().await.unwrap();
            let Some(token) = answer["pagination"]["nextToken"].as_str() else {
                ended_early += usize::from(answer["numberOfResults"].as_u64().unwrap() > 20 * page);
                break;
            };
            url = format!("keywords={}&pageSize=20&pageToken={token}", keyword.replace(' ', "%20"));
        }
    }
    assert!(refused > 0 && ended_early > 0, "{refused} refused, {ended_early} ended early");
}

#[tokio::test]
async fn amazon_refuses_the_third_request_of_a_second_without_naming_a_wait() {
    let bench = Bench::start(1.0).await;
    let first = send(bench.catalog("keywords=yoga%20mat")).await;
    assert_eq!(first.headers()["x-amzn-ratelimit-limit"], "2.0");
    assert!(first.headers().contains_key("x-amzn-requestid"));
    let mut last = first;
    for _ in 0..3 {
        last = send(bench.catalog("keywords=yoga%20mat")).await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(last.headers()["x-amzn-errortype"], "TooManyRequestsException");
    assert!(!last.headers().contains_key("retry-after") && !last.headers().contains_key("x-amzn-ratelimit-limit"));
    let error: Value = last.json().await.unwrap();
    assert_eq!(error["errors"][0]["code"], "QuotaExceeded");
}

#[tokio::test]
async fn amazon_tokens_are_needed_and_expire() {
    let config = SandboxConfig { token_lifetime: Duration::from_millis(300), ..SandboxConfig::default() };
    let bench = Bench::with(config).await;
    assert_eq!(send(bench.catalog("keywords=yoga%20mat")).await.status(), StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(350)).await;
    let (status, error) = refusal(bench.catalog("keywords=yoga%20mat")).await;
    assert_eq!((status, error["errors"][0]["code"].as_str()), (403, Some("Unauthorized")));
    assert_eq!(bench.amazon_login("password").await["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn a_weekly_report_ranks_terms_by_their_demand() {
    let bench = Bench::start(1_000.0).await;
    assert_eq!(bench.order_report("2025-11-03", "2025-11-09").await.status(), StatusCode::BAD_REQUEST);
    let created = bench.order_report("2025-11-02", "2025-11-08").await;
    assert_eq!(created.status(), StatusCode::ACCEPTED);
    let created: Value = created.json().await.unwrap();
    let (states, report) = bench.follow_report(created["reportId"].as_str().unwrap()).await;
    assert_eq!(states, ["IN_QUEUE", "IN_PROGRESS", "DONE"]);

    let document_id = report["reportDocumentId"].as_str().unwrap();
    let document = body(bench.amazon(&format!("/reports/2021-06-30/documents/{document_id}"))).await;
    assert_eq!(document["compressionAlgorithm"], "GZIP");
    let url = document["url"].as_str().unwrap();
    let packed = send(bench.client.get(url)).await.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_ref()).read_to_string(&mut text).unwrap();
    let terms: Value = serde_json::from_str(&text).unwrap();
    assert!(text.lines().count() > 5_000);
    let rows = terms["dataByDepartmentAndSearchTerm"].as_array().unwrap();
    let rank = |term: &str| {
        rows.iter().find(|row| row["searchTerm"] == term).unwrap()["searchFrequencyRank"].as_u64().unwrap()
    };
    let week = NaiveDate::from_ymd_opt(2025, 11, 2).unwrap();
    let demand = |term| true_weekly_demand(1, Marketplace::Amazon, term, week);
    let terms = ["yoga mat", "phone case", "space heater", "beach towel", "gaming mouse"];
    for (one, two) in terms.iter().zip(&terms[1..]) {
        assert_eq!(rank(one) < rank(two), demand(one) > demand(two));
    }

    let old = url.replace("X-Amz-Date=", "X-Amz-Date=1");
    assert!(send(bench.client.get(old)).await.text().await.unwrap().contains("SignatureDoesNotMatch"));
    bench.inject(Marketplace::Amazon, Fault::ExpiredReportLink);
    let expired = send(bench.client.get(url)).await;
    assert_eq!(expired.status(), StatusCode::FORBIDDEN);
    assert!(expired.text().await.unwrap().contains("<Message>Request has expired</Message>"));
    assert_eq!(send(bench.client.get(url)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_report_about_an_unfinished_week_is_cancelled() {
    let bench = Bench::start(1_000.0).await;
    let created: Value = bench.order_report("2025-11-16", "2025-11-22").await.json().await.unwrap();
    let (states, report) = bench.follow_report(created["reportId"].as_str().unwrap()).await;
    assert_eq!(states.last().unwrap(), "CANCELLED");
    assert!(report.get("reportDocumentId").is_none());
    let created: Value = bench.order_report("2025-11-09", "2025-11-15").await.json().await.unwrap();
    bench.inject(Marketplace::Amazon, Fault::FatalReport);
    let (states, report) = bench.follow_report(created["reportId"].as_str().unwrap()).await;
    assert_eq!(states, ["FATAL"]);
    assert!(report["reportDocumentId"].is_string());
}

#[tokio::test]
async fn etsy_search_has_no_views_and_a_ceiling() {
    let bench = Bench::start(1_000.0).await;
    let page = body(bench.etsy("active?keywords=knitted%20scarf&sort_on=score&limit=100")).await;
    let results = page["results"].as_array().unwrap();
    assert_eq!(results.len(), 100);
    assert!(results.iter().all(|listing| listing.get("views").is_none() && listing["num_favorers"].is_u64()));
    assert!(page.to_string().contains("&#39;"));
    let newest = body(bench.etsy("active?keywords=knitted%20scarf")).await;
    let created: Vec<_> =
        newest["results"].as_array().unwrap().iter().map(|l| l["created_timestamp"].as_i64()).collect();
    assert!(created.len() == 25 && created.is_sorted_by(|a, b| a >= b));

    let deep = body(bench.etsy("active?keywords=knitted%20scarf&limit=100&offset=1000")).await;
    let in_reach = deep["count"].as_u64().unwrap().saturating_sub(1_000).min(100);
    assert_eq!(deep["results"].as_array().unwrap().len() as u64, in_reach);
    let (status, error) = refusal(bench.etsy("active?keywords=stamp&offset=12001")).await;
    assert_eq!(status, 400);
    assert_eq!(error["error"], "Offset provided is greater than the maximum offset allowed.");
    assert_eq!(refusal(bench.etsy("active?keywords=stamp&limit=101")).await.0, 400);

    let url = format!("{}/v3/application/listings/active", bench.settings["DIGITALLZ_ETSY_BASE_URL"]);
    let bare = bench.client.get(url).header("x-api-key", &bench.settings["DIGITALLZ_ETSY_KEYSTRING"]);
    let (status, error) = refusal(bare).await;
    assert_eq!((status, error["error"].as_str()), (403, Some("Shared secret is required in x-api-key header.")));
}

#[tokio::test]
async fn etsy_views_grow_with_demand() {
    let bench = Bench::start(1_000.0).await;
    let page = body(bench.etsy("active?keywords=christmas%20stocking&sort_on=score&limit=100")).await;
    let ids: Vec<String> = page["results"].as_array().unwrap().iter().map(|l| l["listing_id"].to_string()).collect();
    let path = format!("batch?listing_ids={}", ids.join(","));
    let mut views = Vec::new();
    for day in ["2025-11-23", "2025-11-30"] {
        bench.sandbox.set_now(moment(&format!("{day}T00:00:00Z")));
        let batch = body(bench.etsy(&path)).await;
        views.push(batch["results"].as_array().unwrap().iter().map(|l| l["views"].as_f64().unwrap()).sum::<f64>());
    }
    let week = NaiveDate::from_ymd_opt(2025, 11, 23).unwrap();
    let demand = true_weekly_demand(1, Marketplace::Etsy, "christmas stocking", week);
    let ratio = (views[1] - views[0]) / demand;
    assert!((0.4..1.6).contains(&ratio), "{ratio}");

    let many = vec!["1"; 101].join(",");
    assert_eq!(refusal(bench.etsy(&format!("batch?listing_ids={many}"))).await.0, 400);
}

#[tokio::test]
async fn etsy_refuses_the_sixth_request_of_a_second() {
    let bench = Bench::start(1.0).await;
    let mut last = send(bench.etsy("active?keywords=stamp&limit=1")).await;
    assert_eq!(last.headers()["x-limit-per-second"], "5");
    assert_eq!(last.headers()["x-remaining-this-second"], "4");
    assert_eq!(last.headers()["x-remaining-today"], "4999");
    for _ in 0..5 {
        last = send(bench.etsy("active?keywords=stamp&limit=1")).await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!last.headers().contains_key("retry-after"));
    let error: Value = last.json().await.unwrap();
    assert_eq!(error["error"], "Exceeded per second rate limit");
}

#[tokio::test]
async fn ebay_search_has_the_published_traps() {
    let bench = Bench::start(1_000.0).await;
    let (status, error) = refusal(bench.ebay("q=film%20camera&limit=50&offset=30")).await;
    assert_eq!((status, error["errors"][0]["errorId"].as_i64()), (400, Some(12_515)));
    assert_eq!(refusal(bench.ebay("limit=50")).await.1["errors"][0]["errorId"], 12_001);
    assert_eq!(refusal(bench.ebay("q=film%20camera&limit=201")).await.1["errors"][0]["errorId"], 12_006);
    assert_eq!(refusal(bench.ebay("q=film%20camera&limit=100&offset=10000")).await.1["errors"][0]["errorId"], 12_029);

    let page = body(bench.ebay("q=film%20camera&limit=200")).await;
    let items = page["itemSummaries"].as_array().unwrap();
    assert_eq!(items.len(), 200);
    assert!(items.iter().all(|item| item["buyingOptions"].to_string().contains("FIXED_PRICE")));
    assert!(items.iter().any(|item| item.get("condition").is_none()));
    assert!(items.iter().any(|item| item["price"].get("convertedFromValue").is_some()));
    assert!(items.iter().any(|item| item["priorityListing"] == true));
    assert!(page["next"].as_str().unwrap().contains("offset=200"));
    assert!(page.get("refinement").is_none());

    let query = "q=film%20camera&limit=200&fieldgroups=FULL&filter=buyingOptions:%7BAUCTION%7CFIXED_PRICE%7D";
    let page = body(bench.ebay(query)).await;
    let auctions = page["itemSummaries"].as_array().unwrap().iter().filter(|item| item.get("bidCount").is_some());
    let auctions: Vec<_> = auctions.collect();
    assert!(auctions.len() >= 10);
    assert!(auctions.iter().any(|item| item.get("price").is_none() && item["currentBidPrice"]["value"].is_string()));
    assert!(page["refinement"]["conditionDistributions"][0]["matchCount"].is_u64());

    let nothing = body(bench.ebay(&format!("q={}", "x".repeat(30)))).await;
    assert!(nothing["total"] == 0 && nothing.get("itemSummaries").is_none());
    let odd = body(bench.ebay("q=film%20camera&sort=cheapest")).await;
    assert_eq!(odd["warnings"][0]["errorId"], 12_008);
}

#[tokio::test]
async fn ebay_wants_good_credentials_and_counts_the_day() {
    let mut bare = Bench::start(1.0).await;
    let url = format!("{}/identity/v1/oauth2/token", bare.settings["DIGITALLZ_EBAY_BASE_URL"]);
    let (status, error) =
        refusal(bare.client.post(url).basic_auth("me", Some("wrong")).form(&[("grant_type", "x")])).await;
    assert_eq!((status, error["error"].as_str()), (401, Some("invalid_client")));
    bare.ebay_token = "expired".into();
    assert_eq!(refusal(bare.ebay("q=film%20camera")).await.1["errors"][0]["errorId"], 1001);
    let bench = Bench::start(0.0004).await;
    for _ in 0..2 {
        assert_eq!(send(bench.ebay("q=film%20camera&limit=1")).await.status(), StatusCode::OK);
    }
    assert_eq!(send(bench.ebay("q=film%20camera&limit=1")).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn faults_spoil_answers_as_often_as_told() {
    let bench = Bench::start(1_000.0).await;
    let search = || bench.etsy("active?keywords=boho%20lamp&limit=10");
    let fault = Fault::TooManyRequests { retry_after_s: Some(3) };
    bench.inject(Marketplace::Etsy, fault);
    let refused = send(search()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "3");
    assert_eq!(send(search()).await.status(), StatusCode::OK);

    bench.inject(Marketplace::Etsy, Fault::ServerError(503));
    assert_eq!(send(search()).await.status(), StatusCode::SERVICE_UNAVAILABLE);

    bench.inject(Marketplace::Etsy, Fault::TruncatedBody);
    let cut = send(search()).await;
    assert!(cut.status() == StatusCode::OK && cut.content_length().unwrap() > 1_000);
    assert!(cut.bytes().await.is_err());

    bench.inject(Marketplace::Etsy, Fault::HtmlWithStatus200);
    let page = send(search()).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));

    bench.inject(Marketplace::Etsy, Fault::MalformedRow);
    let broken = body(search()).await;
    let ids = broken["results"].as_array().unwrap().iter().filter(|listing| !listing["listing_id"].is_u64());
    assert_eq!(ids.count(), 1);

    bench.inject(Marketplace::Ebay, Fault::Unauthorized);
    assert_eq!(send(bench.ebay("q=film%20camera")).await.status(), StatusCode::UNAUTHORIZED);
    bench.inject(Marketplace::Amazon, Fault::Unauthorized);
    assert_eq!(send(bench.catalog("keywords=mat")).await.status(), StatusCode::FORBIDDEN);

    bench.inject(Marketplace::Etsy, Fault::Slow(Duration::from_millis(200)));
    let started = std::time::Instant::now();
    assert_eq!(send(search()).await.status(), StatusCode::OK);
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(send(search()).await.status(), StatusCode::OK);
    assert_eq!(bench.sandbox.request_counts()["etsy.findAllListingsActive"], 8);
}

#[tokio::test]
async fn a_sandbox_is_steered_over_http() {
    let bench = Bench::start(1_000.0).await;
    let url = |path: &str| format!("{}/__sandbox/{path}", bench.settings["DIGITALLZ_EBAY_BASE_URL"]);
    let rule = json!({ "marketplace": "etsy", "fault": { "server_error": 500 } });
    assert_eq!(send(bench.client.post(url("faults")).json(&rule)).await.status(), StatusCode::NO_CONTENT);
    for _ in 0..3 {
        assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    send(bench.client.delete(url("faults"))).await;
    assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::OK);
    send(bench.client.post(url("clock")).json(&json!({ "now": "2026-01-01T00:00:00Z" }))).await;
    assert_eq!(bench.sandbox.now(), moment("2026-01-01T00:00:00Z"));
    let state = body(bench.client.get(url("state"))).await;
    assert_eq!(state["requests"]["etsy.findAllListingsActive"], 4);
    let recorded = bench.sandbox.requests();
    assert!(recorded.iter().all(|r| r.headers.iter().all(|(name, _)| name != "x-api-key" && name != "authorization")));
}
