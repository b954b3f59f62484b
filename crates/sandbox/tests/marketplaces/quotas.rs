//! The limits as a client meets them: exact, adjustable and accounted for.

use std::time::Duration;

use digitallz_sandbox::{Fault, LimitWindow, Marketplace, Period, SandboxConfig};
use reqwest::StatusCode;
use serde_json::json;

use crate::bench::{Bench, body, moment, refusal, send};

#[tokio::test]
async fn a_limit_changes_while_requests_come_in_and_the_headers_say_so() {
    let bench = Bench::start(1.0).await;
    let limits = json!({ "etsy.any": [
        { "kind": "sliding", "limit": 2, "window_s": 60 },
        { "kind": "sliding", "limit": 3, "window_s": 86400 },
    ] });
    assert_eq!(send(bench.client.post(bench.control("limits")).json(&limits)).await.status(), StatusCode::NO_CONTENT);
    let first = send(bench.etsy("active?keywords=mug")).await;
    let header = |name| first.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("x-limit-per-second"), header("x-remaining-this-second")), ("2".to_owned(), "1".to_owned()));
    assert_eq!((header("x-limit-per-day"), header("x-remaining-today")), ("3".to_owned(), "2".to_owned()));
    send(bench.etsy("active?keywords=mug")).await;
    let (status, error) = refusal(bench.etsy("active?keywords=mug")).await;
    assert_eq!((status, error["error"].as_str()), (429, Some("Exceeded per second rate limit")));

    // What was taken from the day stays taken.
    bench.limit("etsy.any", &[LimitWindow::Sliding { limit: 3, window_s: 86_400.0 }]);
    assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::OK);
    let refused = send(bench.etsy("active?keywords=mug")).await;
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"86400".parse().unwrap())
    );

    bench.limit("amazon.searchCatalogItems", &[LimitWindow::TokenBucket { per_second: 0.5, burst: 1.0 }]);
    let answer = send(bench.catalog("keywords=mat")).await;
    assert_eq!(answer.headers()["x-amzn-ratelimit-limit"], "0.5000");
    assert_eq!(send(bench.catalog("keywords=mat")).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_state_proves_what_was_accepted() {
    let bench = Bench::start(1.0).await;
    for _ in 0..7 {
        send(bench.etsy("active?keywords=mug")).await;
    }
    let state = body(bench.client.get(bench.control("state"))).await;
    let scope = &state["limits"]["etsy.any"];
    assert_eq!((scope["accepted"].as_u64(), scope["refused"].as_u64()), (Some(5), Some(2)));
    assert_eq!(
        scope["windows"],
        json!([
            { "kind": "sliding", "limit": 5, "window_s": 1.0, "largest_accepted": 5.0 },
            { "kind": "sliding", "limit": 5000, "window_s": 86400.0, "largest_accepted": 5.0 },
        ])
    );
    assert!(scope["first_accepted_s"].as_f64().unwrap() <= scope["last_accepted_s"].as_f64().unwrap());
    assert_eq!(state["tokens_minted"], json!({ "amazon": 1, "ebay": 1 }));

    send(bench.client.post(bench.control("state/reset"))).await;
    let scope = &bench.sandbox.limit_statistics()["etsy.any"];
    assert_eq!((scope.accepted, scope.refused, scope.first_accepted_s), (0, 0, None));
    assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn limits_without_a_meaning_are_refused() {
    let bench = Bench::start(1.0).await;
    for wrong in [
        json!({ "etsy.some": [] }),
        json!({ "etsy.any": [{ "kind": "sliding", "limit": 1, "window_s": 0 }] }),
        json!({ "etsy.any": [{ "kind": "leaky", "limit": 1 }] }),
    ] {
        assert_eq!(refusal(bench.client.post(bench.control("limits")).json(&wrong)).await.0, 400);
    }
    let limits = [("ebay.none".to_owned(), Vec::new())].into();
    let config = SandboxConfig { limits, ..SandboxConfig::default() };
    assert!(digitallz_sandbox::Sandbox::start(config).await.is_err());
}

#[tokio::test]
async fn ebay_counts_its_apis_apart_and_days_in_the_world() {
    let day = LimitWindow::Fixed { limit: 1, period: Period::PacificDay };
    let limits = [("ebay.browse".to_owned(), vec![day]), ("ebay.browse.items".to_owned(), vec![day])].into();
    let now = Some(moment("2025-11-02T06:59:00Z"));
    let bench = Bench::with(SandboxConfig { now, limits, ..SandboxConfig::default() }).await;
    let search = async || send(bench.ebay("q=lamp&limit=1")).await.status().as_u16();
    assert_eq!((search().await, search().await), (200, 429));
    let items = format!("{}/buy/browse/v1/item/?item_ids=v1%7C1%7C0", bench.settings["DIGITALLZ_EBAY_BASE_URL"]);
    assert_eq!(refusal(bench.client.get(items).bearer_auth(&bench.ebay_token)).await.0, 404);
    bench.sandbox.set_now(moment("2025-11-02T07:00:00Z"));
    assert_eq!((search().await, search().await), (200, 429));
    bench.sandbox.set_now(moment("2025-11-03T07:59:59Z"));
    assert_eq!(search().await, 429);
    bench.sandbox.set_now(moment("2025-11-03T08:00:00Z"));
    assert_eq!(search().await, 200);
}

#[tokio::test]
async fn a_limit_comes_before_a_fault_and_a_fault_counts() {
    let bench = Bench::start(1.0).await;
    bench.limit("etsy.any", &[LimitWindow::Sliding { limit: 1, window_s: 60.0 }]);
    bench.inject(Marketplace::Etsy, Fault::ServerError(503));
    assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    bench.inject(Marketplace::Etsy, Fault::ServerError(503));
    assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::TOO_MANY_REQUESTS);
    bench.limit("etsy.any", &[]);
    assert_eq!(send(bench.etsy("active?keywords=mug")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn many_clients_at_once_break_no_window() {
    let bench = Bench::start(1.0).await;
    bench.limit("etsy.any", &[LimitWindow::Sliding { limit: 7, window_s: 0.25 }]);
    let until = tokio::time::Instant::now() + Duration::from_millis(900);
    let client = async || {
        let mut accepted = 0;
        while tokio::time::Instant::now() < until {
            accepted += u64::from(send(bench.etsy("active?keywords=mug&limit=1")).await.status() == StatusCode::OK);
        }
        accepted
    };
    let (a, b, c, d) = tokio::join!(client(), client(), client(), client());
    let scope = &bench.sandbox.limit_statistics()["etsy.any"];
    assert_eq!(scope.accepted, a + b + c + d);
    assert!(scope.windows[0].largest_accepted <= 7.0 && (7..=35).contains(&scope.accepted), "{scope:?}");
}

#[tokio::test]
async fn all_tokens_expire_on_request() {
    let bench = Bench::start(1_000.0).await;
    assert_eq!(send(bench.ebay("q=lamp")).await.status(), StatusCode::OK);
    send(bench.client.post(bench.control("tokens/expire"))).await;
    assert_eq!(send(bench.ebay("q=lamp")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(bench.catalog("keywords=mat")).await.status(), StatusCode::FORBIDDEN);
    bench.ebay_login().await;
    assert_eq!(bench.sandbox.tokens_minted()["ebay"], 2);
}
