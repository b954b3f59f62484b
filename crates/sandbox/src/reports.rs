//! The reports of the pretend Amazon: order, poll, fetch the document of a week.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Mutex;

use axum::body::Body;
use axum::http::Method;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, SecondsFormat, Utc, Weekday};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::amazon::{MARKETPLACE_IDS, error, invalid_input};
use crate::clock::{EPOCH, WEEKS, real_now, week_of};
use crate::config::Marketplace;
use crate::exchange::{Answer, Incoming};
use crate::keywords::report_terms;
use crate::listings::{Listing, Shelf};
use crate::long_report::{Clicked, LongReport, Term};
use crate::noise::{hash, hash_texts, normal};
use crate::products::{self, Product};
use crate::server::Shared;
use crate::{catalog, query_performance};

const REPORTS_PATH: &str = "/reports/2021-06-30/reports";
const DOCUMENTS_PATH: &str = "/reports/2021-06-30/documents/";
const STORE_PATH: &str = "/document-store/";
const SEARCH_TERMS: &str = "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT";
pub(crate) const QUERY_PERFORMANCE: &str = "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT";
/// The list of ASINs of a search query performance report is at most so many characters long.
const ASINS_LENGTH_MAX: usize = 200;
/// How long the link to a document works, in real seconds.
const LINK_LIFETIME_S: i64 = 300;
/// Terms searched less often in a week are left out of its report.
const WEEKLY_SEARCHES_MIN: f64 = 180.0;

/// The reports that were ordered.
#[derive(Default)]
pub(crate) struct Reports(Mutex<Ordered>);

#[derive(Default)]
struct Ordered {
    reports: HashMap<String, Report>,
    count: u64,
}

/// A report that was ordered.
#[derive(Clone)]
pub(crate) struct Report {
    id: String,
    kind: Kind,
    pub(crate) marketplace_ids: Vec<String>,
    pub(crate) first_day: NaiveDate,
    created_at: DateTime<Utc>,
    polls: u32,
    end: End,
}

#[derive(Clone, PartialEq)]
enum Kind {
    SearchTerms,
    QueryPerformance { asins: Vec<String> },
}

impl Kind {
    fn as_str(&self) -> &'static str {
        match self {
            Kind::SearchTerms => SEARCH_TERMS,
            Kind::QueryPerformance { .. } => QUERY_PERFORMANCE,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Done,
    Cancelled,
    Fatal,
}

impl Reports {
    /// Lets the report a path names end without data.
    pub(crate) fn end_cancelled(&self, path: &str) {
        self.end(path, End::Cancelled);
    }

    /// Lets the report a path names fail.
    pub(crate) fn end_fatal(&self, path: &str) {
        self.end(path, End::Fatal);
    }

    fn end(&self, path: &str, end: End) {
        let mut ordered = self.0.lock().expect("no holder panics");
        let id = path.rsplit('/').next().unwrap_or_default();
        if let Some(report) = ordered.reports.get_mut(id) {
            report.end = end;
            // The next poll shows the end at once.
            report.polls = 2;
        }
    }

    fn find(&self, id: &str) -> Option<Report> {
        self.0.lock().expect("no holder panics").reports.get(id).cloned()
    }
}

/// Names the report operation a request means.
pub(crate) fn operation(incoming: &Incoming) -> Option<&'static str> {
    let path = incoming.path.as_str();
    let is_below = |base: &str| path.strip_prefix(base).is_some_and(|id| id.len() > 1);
    match incoming.method {
        Method::POST if path == REPORTS_PATH => Some("createReport"),
        Method::GET if is_below(REPORTS_PATH) => Some("getReport"),
        Method::GET if is_below(DOCUMENTS_PATH) => Some("getReportDocument"),
        Method::GET if is_below(STORE_PATH) => Some("downloadDocument"),
        _ => None,
    }
}

/// Returns the marketplaces of the report that a request is about, whatever it asks of it; none for other requests.
pub(crate) fn marketplace_ids(shared: &Shared, incoming: &Incoming) -> Vec<String> {
    let id = [REPORTS_PATH, DOCUMENTS_PATH, STORE_PATH]
        .iter()
        .find_map(|base| incoming.path.strip_prefix(base))
        .map(|id| report_id(id.trim_start_matches('/')));
    id.and_then(|id| shared.reports.find(id)).map(|report| report.marketplace_ids).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    report_type: Option<String>,
    #[serde(default)]
    report_options: HashMap<String, String>,
    data_start_time: Option<String>,
    data_end_time: Option<String>,
    #[serde(default)]
    marketplace_ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    report_id: &'a str,
}

/// Takes the order of a report.
pub(crate) fn create(shared: &Shared, incoming: &Incoming) -> Answer {
    let order: Order = match serde_json::from_slice(&incoming.body) {
        Ok(order) => order,
        Err(_) => return invalid_input("The request body is not valid JSON for createReport."),
    };
    let (kind, first_day) = match check(&order) {
        Ok(checked) => checked,
        Err(message) => return invalid_input(&message),
    };
    let now = shared.clock.now();
    let is_over = now >= (first_day + Days::new(7)).and_time(NaiveTime::MIN).and_utc();
    let is_known = (0..WEEKS as i64).contains(&week_of(first_day));
    let end = match &kind {
        _ if !is_over || !is_known => End::Cancelled,
        Kind::QueryPerformance { asins } if !are_own(shared, asins) => End::Fatal,
        _ => End::Done,
    };

    let mut ordered = shared.reports.0.lock().expect("no holder panics");
    ordered.count += 1;
    let id = (50_000_000_000 + ordered.count).to_string();
    let report = Report {
        id: id.clone(),
        kind,
        marketplace_ids: order.marketplace_ids,
        first_day,
        created_at: now,
        polls: 0,
        end,
    };
    ordered.reports.insert(id.clone(), report);
    Answer::json(202, &Created { report_id: &id })
}

/// Whether all products belong to the seller.
fn are_own(shared: &Shared, asins: &[String]) -> bool {
    let own: Vec<String> = products::own(&shared.world).iter().map(Product::asin).collect();
    asins.iter().all(|asin| own.contains(asin))
}

/// Checks an order and returns what is ordered and the first day of its week.
fn check(order: &Order) -> Result<(Kind, NaiveDate), String> {
    let kind = match order.report_type.as_deref() {
        Some(SEARCH_TERMS) => Kind::SearchTerms,
        Some(QUERY_PERFORMANCE) => {
            let text = order.report_options.get("asin").ok_or("Missing required reportOption 'asin'.")?;
            let asins: Vec<String> = text.split_whitespace().map(String::from).collect();
            if asins.is_empty() || text.len() > ASINS_LENGTH_MAX {
                return Err(format!("reportOptions.asin must hold ASINs in 1 to {ASINS_LENGTH_MAX} characters."));
            }
            Kind::QueryPerformance { asins }
        }
        Some(other) => return Err(format!("Invalid Report Type {other}")),
        None => return Err("Missing required field 'reportType'.".into()),
    };
    if order.marketplace_ids.is_empty() {
        return Err("Missing required field 'marketplaceIds'.".into());
    }
    if let Some(id) = order.marketplace_ids.iter().find(|id| !MARKETPLACE_IDS.contains(&id.as_str())) {
        return Err(format!("Invalid marketplace id '{id}'."));
    }
    match order.report_options.get("reportPeriod").map(String::as_str) {
        Some("WEEK") => {}
        Some("DAY" | "MONTH" | "QUARTER") => return Err("The sandbox offers only the reportPeriod WEEK.".into()),
        _ => return Err("reportOptions.reportPeriod must be one of DAY, WEEK, MONTH, QUARTER.".into()),
    }
    let day = |text: &Option<String>, name: &str| {
        let date = text.as_deref().and_then(|text| text.get(..10)).and_then(|date| date.parse::<NaiveDate>().ok());
        date.ok_or_else(|| format!("Field '{name}' must be a date."))
    };
    let (first, last) = (day(&order.data_start_time, "dataStartTime")?, day(&order.data_end_time, "dataEndTime")?);
    if first.weekday() != Weekday::Sun || last.weekday() != Weekday::Sat {
        return Err("For the reportPeriod WEEK, dataStartTime must be a Sunday and dataEndTime a Saturday.".into());
    }
    if last - first != chrono::TimeDelta::days(6) {
        return Err("The requested dates span more than one reportPeriod.".into());
    }
    Ok((kind, first))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportAnswer<'a> {
    report_type: &'a str,
    processing_status: &'a str,
    marketplace_ids: &'a [String],
    report_id: &'a str,
    data_start_time: String,
    data_end_time: String,
    created_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_document_id: Option<String>,
}

/// Shows how far a report has come: one step with every poll.
pub(crate) fn get(shared: &Shared, incoming: &Incoming) -> Answer {
    let id = incoming.path.rsplit('/').next().unwrap_or_default();
    let mut ordered = shared.reports.0.lock().expect("no holder panics");
    let Some(report) = ordered.reports.get_mut(id) else {
        return error(404, "NotFound", "One or more of the provided ReportRequestIds could not be found.");
    };
    report.polls += 1;
    let processing_status = match (report.polls, report.end) {
        (1, _) => "IN_QUEUE",
        (2, _) => "IN_PROGRESS",
        (_, End::Done) => "DONE",
        (_, End::Cancelled) => "CANCELLED",
        (_, End::Fatal) => "FATAL",
    };
    let moment = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::Secs, false);
    let at_midnight = |date: NaiveDate| moment(date.and_time(NaiveTime::MIN).and_utc());
    let is_over = report.polls > 2;
    Answer::json(
        200,
        &ReportAnswer {
            report_type: report.kind.as_str(),
            processing_status,
            marketplace_ids: &report.marketplace_ids,
            report_id: &report.id,
            data_start_time: at_midnight(report.first_day),
            data_end_time: at_midnight(report.first_day + Days::new(6)),
            created_time: moment(report.created_at),
            processing_start_time: (report.polls > 1).then(|| moment(report.created_at)),
            processing_end_time: is_over.then(|| moment(report.created_at)),
            report_document_id: (is_over && report.end != End::Cancelled).then(|| document_id(&report.id)),
        },
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DocumentAnswer<'a> {
    report_document_id: &'a str,
    url: String,
    compression_algorithm: &'a str,
}

/// Gives a fresh link to a document.
pub(crate) fn get_document(shared: &Shared, incoming: &Incoming) -> Answer {
    let id = incoming.path.trim_start_matches(DOCUMENTS_PATH);
    if shared.reports.find(report_id(id)).is_none() {
        return error(404, "NotFound", "The requested document could not be found.");
    }
    let signed_at = real_now().timestamp();
    let url = format!(
        "{}{STORE_PATH}{id}?X-Amz-Date={signed_at}&X-Amz-Expires={LINK_LIFETIME_S}&signature={}",
        shared.base_url(Marketplace::Amazon),
        signature(shared, id, signed_at),
    );
    Answer::json(200, &DocumentAnswer { report_document_id: id, url, compression_algorithm: "GZIP" })
}

/// Serves a document to everybody who holds a link that is still good.
pub(crate) fn download(shared: &Shared, incoming: &Incoming) -> Answer {
    let id = incoming.path.trim_start_matches(STORE_PATH);
    let signed_at = incoming.parameter("X-Amz-Date").and_then(|text| text.parse::<i64>().ok());
    let signed_at = signed_at.filter(|at| incoming.parameter("signature") == Some(&signature(shared, id, *at)));
    let Some(signed_at) = signed_at else {
        return store_error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            "",
        );
    };
    if real_now().timestamp() > signed_at + LINK_LIFETIME_S {
        return link_expired(incoming);
    }
    let Some(report) = shared.reports.find(report_id(id)) else {
        return store_error("AccessDenied", "Access Denied", "");
    };
    let packed = match (report.end, &report.kind, shared.report_document_bytes) {
        (End::Fatal, _, _) => pack(&ErrorDocument {
            error_details: "A client error occurred. Please double check that your parameters are valid and fulfill the requirements of the report type.",
        }),
        (_, Kind::QueryPerformance { asins }, _) => pack(&query_performance::document(shared, &report, asins)),
        (_, Kind::SearchTerms, Some(bytes_min)) => {
            let mut answer = Answer::new(200, "application/octet-stream", Vec::new());
            answer.stream = Some(long_document(shared, &report, bytes_min, incoming.breaks_row));
            return answer;
        }
        (_, Kind::SearchTerms, None) => pack(&search_terms(shared, &report)),
    };
    Answer::new(200, "application/octet-stream", packed)
}

/// The store's answer to a link that is no longer good.
pub(crate) fn link_expired(incoming: &Incoming) -> Answer {
    let now = real_now();
    let signed_at = incoming.parameter("X-Amz-Date").and_then(|text| text.parse::<i64>().ok());
    let expired_at = signed_at.and_then(|at| DateTime::from_timestamp(at + LINK_LIFETIME_S, 0)).unwrap_or(now).min(now);
    let stamp = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::Secs, true);
    let details = format!(
        "<X-Amz-Expires>{LINK_LIFETIME_S}</X-Amz-Expires><Expires>{}</Expires><ServerTime>{}</ServerTime>",
        stamp(expired_at),
        stamp(now),
    );
    store_error("AccessDenied", "Request has expired", &details)
}

fn store_error(code: &str, message: &str, details: &str) -> Answer {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{details}\
         <RequestId>S3JY1BXRCHR180S3</RequestId><HostId>c2FuZGJveA==</HostId></Error>"
    );
    Answer::new(403, "application/xml", xml.into_bytes()).with_header("Server", "AmazonS3")
}

fn document_id(report_id: &str) -> String {
    format!("amzn1.spdoc.1.4.na.{report_id}")
}

fn report_id(document_id: &str) -> &str {
    document_id.strip_prefix("amzn1.spdoc.1.4.na.").unwrap_or_default()
}

fn signature(shared: &Shared, document_id: &str, signed_at: i64) -> String {
    let salt = hash_texts(shared.world.seed(), &["link", document_id]);
    format!("{:016x}", hash(salt, signed_at as u64))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorDocument<'a> {
    error_details: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SearchTerms<'a> {
    report_specification: Specification<'a>,
    data_by_department_and_search_term: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Specification<'a> {
    report_type: &'a str,
    report_options: Options<'a>,
    data_start_time: NaiveDate,
    data_end_time: NaiveDate,
    marketplace_ids: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options<'a> {
    report_period: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    department_name: &'a str,
    search_term: String,
    search_frequency_rank: u64,
    clicked_asin: String,
    /// In real documents, though no contract names it.
    clicked_item_name: String,
    click_share_rank: u64,
    click_share: f64,
    conversion_share: f64,
}

/// Writes the search terms of a week, the most searched first.
fn search_terms<'a>(shared: &Shared, report: &'a Report) -> SearchTerms<'a> {
    let day = (report.first_day - EPOCH).num_days() as f64 + 3.0;
    let shelves = report_terms().into_iter().map(|term| shared.world.shelf(Marketplace::Amazon, &term));
    let mut searched: Vec<_> = shelves
        .map(|shelf| (shelf.demand_in_week_of(day), shelf))
        .filter(|(searches, _)| *searches >= WEEKLY_SEARCHES_MIN)
        .collect();
    searched.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.keyword.cmp(&b.1.keyword)));

    let mut rows = Vec::with_capacity(searched.len() * 3);
    for (position, (_, shelf)) in searched.iter().enumerate() {
        rows.extend(term_rows(shelf, day, position as u64 + 1));
    }
    SearchTerms {
        report_specification: Specification {
            report_type: SEARCH_TERMS,
            report_options: Options { report_period: "WEEK" },
            data_start_time: report.first_day,
            data_end_time: report.first_day + Days::new(6),
            marketplace_ids: &report.marketplace_ids,
        },
        data_by_department_and_search_term: rows,
    }
}

/// Spreads the rows of a document through one that is as long as wanted.
fn long_document(shared: &Shared, report: &Report, bytes_min: u64, has_malformed_row: bool) -> Body {
    let mut document = search_terms(shared, report);
    let mut terms: Vec<Term> = Vec::new();
    for row in std::mem::take(&mut document.data_by_department_and_search_term) {
        if row.click_share_rank == 1 {
            terms.push(Term { text: row.search_term, clicked: Vec::new() });
        }
        if let Some(term) = terms.last_mut() {
            term.clicked.push(Clicked {
                asin: row.clicked_asin,
                item_name: row.clicked_item_name,
                click_share: row.click_share,
                conversion_share: row.conversion_share,
            });
        }
    }
    let frame = serde_json::to_string_pretty(&document).expect("documents hold nothing that JSON cannot express");
    let (head, tail) = frame.split_once("[]").expect("the frame has no rows");
    LongReport {
        seed: shared.world.seed(),
        head: format!("{head}["),
        terms,
        tail: format!("\n  ]{tail}"),
        bytes_min,
        has_malformed_row,
    }
    .into_body()
}

/// The rows of one term: the three listings clicked most.
fn term_rows<'a>(shelf: &Shelf, day: f64, rank: u64) -> Vec<Row<'a>> {
    let week = (day / 7.0) as u64;
    let luck = |listing: &Listing, purpose: u64| normal(hash(hash(listing.salt, purpose), week));
    let mut clicked: Vec<(f64, &Listing)> =
        shelf.alive(day).map(|listing| (0.6 * listing.share * (0.15 * luck(listing, 31)).exp(), listing)).collect();
    clicked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.number.cmp(&b.1.number)));
    let rounded = |share: f64| (share.clamp(0.0, 0.6) * 10_000.0).round() / 10_000.0;
    let row = |(position, (share, listing)): (usize, &(f64, &Listing))| Row {
        department_name: "Amazon.com",
        search_term: shelf.keyword.clone(),
        search_frequency_rank: rank,
        clicked_asin: catalog::asin(shelf, listing),
        clicked_item_name: catalog::item_name(shelf, listing),
        click_share_rank: position as u64 + 1,
        click_share: rounded(*share),
        conversion_share: rounded(share * (0.4 * luck(listing, 32)).exp()),
    };
    clicked.iter().take(3).enumerate().map(row).collect()
}

/// Writes a document as reports come: pretty-printed and compressed.
pub(crate) fn pack(document: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_vec_pretty(document).expect("documents hold nothing that JSON cannot express");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&text).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// Reads a document that [`pack`] wrote; other bytes give nothing.
pub(crate) fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match GzDecoder::new(packed).read_to_end(&mut text) {
        Ok(_) => text,
        Err(_) => Vec::new(),
    }
}
