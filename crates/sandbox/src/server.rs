//! What the three servers have in common: faults, credentials and limits around every answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::clock::Clock;
use crate::config::{Marketplace, SandboxConfig};
use crate::exchange::{Answer, Incoming};
use crate::faults::{Fault, FaultRule, Faults};
use crate::limits::Limits;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::tokens::Tokens;
use crate::world::World;
use crate::{amazon, ebay, etsy, reports};

/// Everything the servers share.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) recorder: Recorder,
    pub(crate) limits: Mutex<Limits>,
    pub(crate) amazon_tokens: Tokens,
    pub(crate) ebay_tokens: Tokens,
    pub(crate) reports: Reports,
    /// Base addresses in the order of [`Marketplace::ALL`], known once the ports are bound.
    pub(crate) base_urls: OnceLock<[String; 3]>,
}

impl Shared {
    pub(crate) fn new(config: &SandboxConfig) -> Self {
        Self {
            world: World::new(config.seed),
            clock: Clock::new(config.now),
            faults: Faults::default(),
            recorder: Recorder::new(config.keep_requests),
            limits: Mutex::new(Limits::new(config.limit_factor, Instant::now())),
            amazon_tokens: Tokens::new("Atza|", config.token_lifetime),
            ebay_tokens: Tokens::new("v^1.1#i^1#", config.token_lifetime * 2),
            reports: Reports::default(),
            base_urls: OnceLock::new(),
        }
    }

    pub(crate) fn base_url(&self, marketplace: Marketplace) -> &str {
        self.base_urls.get().map_or("", |urls| urls[marketplace as usize].as_str())
    }
}

/// Builds the server of one marketplace.
pub(crate) fn router(shared: Arc<Shared>, marketplace: Marketplace) -> Router {
    Router::new().fallback(handle).with_state(Site { shared, marketplace })
}

#[derive(Clone)]
struct Site {
    shared: Arc<Shared>,
    marketplace: Marketplace,
}

async fn handle(State(site): State<Site>, request: Request) -> Response {
    let incoming = Incoming::read(request).await;
    if incoming.path.starts_with("/__sandbox/") {
        return control(&site.shared, &incoming).into_response();
    }
    let Some(operation) = operation(site.marketplace, &incoming) else {
        return not_found(site.marketplace).into_response();
    };

    let keyword = keyword(site.marketplace, &incoming);
    let fault = site.shared.faults.take(site.marketplace, operation, keyword);
    if let Some(Fault::Slow(wait)) = fault {
        tokio::time::sleep(wait).await;
    }
    let answer = match &fault {
        None | Some(Fault::Slow(_) | Fault::TruncatedBody | Fault::MalformedRow) => {
            let answer = answer(&site, operation, &incoming);
            if fault == Some(Fault::MalformedRow) { with_malformed_row(answer) } else { answer }
        }
        Some(fault) => spoiled(&site, operation, &incoming, fault),
    };
    debug!(marketplace = site.marketplace.as_str(), operation, status = answer.status, "answered {operation}");
    site.shared.recorder.record(site.marketplace, operation, &incoming, &answer);
    if fault == Some(Fault::TruncatedBody) { answer.into_truncated_response() } else { answer.into_response() }
}

fn operation(marketplace: Marketplace, incoming: &Incoming) -> Option<&'static str> {
    match marketplace {
        Marketplace::Amazon => amazon::operation(incoming),
        Marketplace::Etsy => etsy::operation(incoming),
        Marketplace::Ebay => ebay::operation(incoming),
    }
}

fn keyword(marketplace: Marketplace, incoming: &Incoming) -> Option<&str> {
    incoming.parameter(match marketplace {
        Marketplace::Amazon | Marketplace::Etsy => "keywords",
        Marketplace::Ebay => "q",
    })
}

fn answer(site: &Site, operation: &str, incoming: &Incoming) -> Answer {
    match site.marketplace {
        Marketplace::Amazon => amazon::answer(&site.shared, operation, incoming),
        Marketplace::Etsy => etsy::answer(&site.shared, operation, incoming),
        Marketplace::Ebay => ebay::answer(&site.shared, operation, incoming),
    }
}

fn not_found(marketplace: Marketplace) -> Answer {
    match marketplace {
        Marketplace::Amazon => amazon::error(404, "NotFound", "The requested resource doesn't exist."),
        Marketplace::Etsy => etsy::error(404, "Resource not found"),
        Marketplace::Ebay => ebay::error(404, 2002, "Resource not found"),
    }
}

/// Gives the answer that a fault puts in place of the true one.
fn spoiled(site: &Site, operation: &str, incoming: &Incoming, fault: &Fault) -> Answer {
    let marketplace = site.marketplace;
    match fault {
        Fault::TooManyRequests { retry_after_s } => {
            let answer = match marketplace {
                Marketplace::Amazon => amazon::too_many_requests(),
                Marketplace::Etsy => etsy::error(429, "Exceeded per second rate limit"),
                Marketplace::Ebay => ebay::too_many_requests(),
            };
            match retry_after_s {
                Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
                None => answer,
            }
        }
        Fault::ServerError(status) => match marketplace {
            Marketplace::Amazon => {
                amazon::error(*status, "InternalFailure", "We encountered an internal error. Please try again.")
            }
            Marketplace::Etsy => etsy::error(*status, "Server error"),
            Marketplace::Ebay => ebay::error(
                *status,
                12_000,
                "There was a problem with an eBay internal system or process. Contact eBay developer support for assistance.",
            ),
        },
        Fault::Unauthorized => match (marketplace, operation) {
            (Marketplace::Amazon, "lwaToken") => amazon::client_refused(),
            (Marketplace::Amazon, _) => amazon::token_expired(),
            (Marketplace::Etsy, _) => etsy::unauthorized(),
            (Marketplace::Ebay, "oauthToken") => ebay::client_refused(),
            (Marketplace::Ebay, _) => ebay::token_refused(),
        },
        Fault::ExpiredReportLink => reports::link_expired(incoming),
        Fault::CancelledReport => {
            site.shared.reports.end_cancelled(&incoming.path);
            answer(site, operation, incoming)
        }
        Fault::FatalReport => {
            site.shared.reports.end_fatal(&incoming.path);
            answer(site, operation, incoming)
        }
        Fault::HtmlWithStatus200 => captcha_page(),
        Fault::Slow(_) | Fault::TruncatedBody | Fault::MalformedRow => answer(site, operation, incoming),
    }
}

fn captcha_page() -> Answer {
    const PAGE: &str = "<!doctype html>\n<html><head><title>Robot or human?</title></head>\n<body>\
        <form method=\"get\" action=\"/errors/validateCaptcha\">\
        <h4>Enter the characters you see below</h4>\
        <p>Sorry, we just need to make sure you're not a robot.</p>\
        <input name=\"field-keywords\"></form></body></html>\n";
    Answer::new(200, "text/html; charset=utf-8", PAGE.into())
}

/// Breaks the type of one field in the middle row of an answer that has rows.
fn with_malformed_row(mut answer: Answer) -> Answer {
    const ROWS: [(&str, &str); 4] = [
        ("items", "asin"),
        ("results", "listing_id"),
        ("itemSummaries", "itemId"),
        ("dataByDepartmentAndSearchTerm", "searchFrequencyRank"),
    ];
    let packed = answer.body.starts_with(&[0x1F, 0x8B]);
    let plain = if packed { reports::unpack(&answer.body) } else { answer.body.clone() };
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(&plain) else { return answer };
    for (rows, field) in ROWS {
        let rows = document.get_mut(rows).and_then(serde_json::Value::as_array_mut);
        if let Some(rows) = rows.filter(|rows| !rows.is_empty()) {
            let middle = rows.len() / 2;
            rows[middle][field] = serde_json::json!({ "value": null });
        }
    }
    answer.body = if packed { reports::pack(&document) } else { document.to_string().into_bytes() };
    answer
}

#[derive(Deserialize)]
struct ClockSetting {
    now: DateTime<Utc>,
}

#[derive(Serialize)]
struct ControlState {
    now: DateTime<Utc>,
    requests: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct ControlError {
    error: String,
}

/// Answers the requests that steer the sandbox itself.
fn control(shared: &Shared, incoming: &Incoming) -> Answer {
    let done = || Answer::new(204, "application/json", Vec::new());
    let refused = |error: serde_json::Error| Answer::json(400, &ControlError { error: error.to_string() });
    match (&incoming.method, incoming.path.as_str()) {
        (&Method::POST, "/__sandbox/faults") => match serde_json::from_slice::<FaultRule>(&incoming.body) {
            Ok(rule) => {
                shared.faults.inject(rule);
                done()
            }
            Err(error) => refused(error),
        },
        (&Method::DELETE, "/__sandbox/faults") => {
            shared.faults.clear();
            done()
        }
        (&Method::POST, "/__sandbox/clock") => match serde_json::from_slice::<ClockSetting>(&incoming.body) {
            Ok(setting) => {
                shared.clock.set(setting.now);
                done()
            }
            Err(error) => refused(error),
        },
        (&Method::GET, "/__sandbox/state") => {
            Answer::json(200, &ControlState { now: shared.clock.now(), requests: shared.recorder.counts() })
        }
        _ => Answer::json(404, &ControlError { error: "no such control".into() }),
    }
}
