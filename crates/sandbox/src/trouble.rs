//! What faults make of answers.

use crate::config::Marketplace;
use crate::exchange::{Answer, Incoming};
use crate::faults::Fault;
use crate::server::Site;
use crate::{ads, amazon, ebay, etsy, reports};

/// Gives the answer that a fault puts in place of the true one, or prepares what leads to a spoiled answer.
pub(crate) fn instead(fault: &Fault, site: &Site, operation: &str, incoming: &mut Incoming) -> Option<Answer> {
    match fault {
        Fault::TooManyRequests { retry_after_s } => {
            let answer = too_many_requests(site.marketplace, operation);
            Some(match retry_after_s {
                Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
                None => answer,
            })
        }
        Fault::ServerError(status) => Some(server_error(site.marketplace, operation, *status)),
        Fault::Unauthorized => Some(unauthorized(site.marketplace, operation)),
        Fault::HtmlWithStatus200 => Some(captcha_page()),
        Fault::ConnectionClosed => Some(Answer::new(0, "", Vec::new())),
        Fault::ExpiredReportLink => Some(reports::link_expired(incoming)),
        Fault::CancelledReport => {
            site.shared.reports.end_cancelled(&incoming.path);
            None
        }
        Fault::FatalReport => {
            site.shared.reports.end_fatal(&incoming.path);
            None
        }
        Fault::EmptyResults => {
            incoming.finds_nothing = true;
            None
        }
        Fault::MalformedRow => {
            incoming.breaks_row = true;
            None
        }
        Fault::Slow(_)
        | Fault::TruncatedBody
        | Fault::WrongContentType
        | Fault::UnknownField(_)
        | Fault::ChangedType(_) => None,
    }
}

/// Spoils a true answer.
pub(crate) fn spoiled(fault: &Fault, mut answer: Answer) -> Answer {
    match fault {
        Fault::MalformedRow => with_malformed_row(answer),
        Fault::UnknownField(name) => with_rows(answer, |row| {
            row.insert(name.clone(), "new".into());
        }),
        Fault::ChangedType(name) => with_rows(answer, |row| {
            if let Some(field) = row.get_mut(name) {
                *field = format!("changed: {field}").into();
            }
        }),
        Fault::WrongContentType => {
            answer.content_type = "text/html; charset=utf-8";
            answer
        }
        _ => answer,
    }
}

fn too_many_requests(marketplace: Marketplace, operation: &str) -> Answer {
    match marketplace {
        Marketplace::Amazon if operation == ads::OPERATION => ads::error(429, "Too many requests"),
        Marketplace::Amazon => amazon::too_many_requests(),
        Marketplace::Etsy => etsy::error(429, "Exceeded per second rate limit"),
        Marketplace::Ebay => ebay::too_many_requests(),
    }
}

fn server_error(marketplace: Marketplace, operation: &str, status: u16) -> Answer {
    match marketplace {
        Marketplace::Amazon if operation == ads::OPERATION => ads::error(status, "Internal server error"),
        Marketplace::Amazon => {
            amazon::error(status, "InternalFailure", "We encountered an internal error. Please try again.")
        }
        Marketplace::Etsy => etsy::error(status, "Server error"),
        Marketplace::Ebay => ebay::error(
            status,
            12_000,
            "There was a problem with an eBay internal system or process. Contact eBay developer support for assistance.",
        ),
    }
}

fn unauthorized(marketplace: Marketplace, operation: &str) -> Answer {
    match (marketplace, operation) {
        (Marketplace::Amazon, "lwaToken") => amazon::client_refused(),
        (Marketplace::Amazon, ads::OPERATION) => ads::unauthorized(),
        (Marketplace::Amazon, _) => amazon::token_expired(),
        (Marketplace::Etsy, _) => etsy::unauthorized(),
        (Marketplace::Ebay, "oauthToken") => ebay::client_refused(),
        (Marketplace::Ebay, _) => ebay::token_refused(),
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

/// Breaks the type of one field in the middle row of an answer that has rows; streams break their own.
fn with_malformed_row(answer: Answer) -> Answer {
    const ROWS: [(&str, &str); 12] = [
        ("items", "asin"),
        ("items", "itemId"),
        ("itemSummaries", "itemId"),
        ("itemSales", "itemId"),
        ("results", "listing_id"),
        ("dataByDepartmentAndSearchTerm", "searchFrequencyRank"),
        ("dataByAsin", "searchQueryData"),
        ("responses", "status"),
        ("keywordTargetList", "keyword"),
        ("rateLimits", "resources"),
        ("categorySuggestions", "category"),
        ("suggestedBids", "proposedBid"),
    ];
    rewritten(answer, |document| {
        for (rows, field) in ROWS {
            let rows = document.get_mut(rows).and_then(serde_json::Value::as_array_mut);
            if let Some(rows) = rows.filter(|rows| !rows.is_empty()) {
                let middle = rows.len() / 2;
                if rows[middle].get(field).is_some() {
                    rows[middle][field] = serde_json::json!({ "value": null });
                }
            }
        }
    })
}

/// Changes every row of an answer that has rows.
fn with_rows(answer: Answer, change: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) -> Answer {
    const ROWS: [&str; 10] = [
        "items",
        "itemSummaries",
        "itemSales",
        "results",
        "dataByDepartmentAndSearchTerm",
        "dataByAsin",
        "responses",
        "keywordTargetList",
        "categorySuggestions",
        "suggestedBids",
    ];
    rewritten(answer, |document| {
        for rows in ROWS {
            let rows = document.get_mut(rows).and_then(serde_json::Value::as_array_mut);
            rows.into_iter().flatten().filter_map(serde_json::Value::as_object_mut).for_each(&change);
        }
    })
}

/// Writes an answer's document anew, packed if it came packed.
fn rewritten(mut answer: Answer, change: impl FnOnce(&mut serde_json::Value)) -> Answer {
    let packed = answer.body.starts_with(&[0x1F, 0x8B]);
    let plain = if packed { reports::unpack(&answer.body) } else { answer.body.clone() };
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(&plain) else { return answer };
    change(&mut document);
    answer.body = if packed { reports::pack(&document) } else { document.to_string().into_bytes() };
    answer
}
