//! Answers of Amazon: pages of the catalog, prices, bids, and how far a report has come.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use digitallz_common::jobs::FetchPage;
use digitallz_common::marketplace::Resource;
use digitallz_common::week;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::request::{Document, PRICED_MAX, ReportStep, asins_cursor};
use super::{ADS_SETTINGS, Amazon, is_asin};
use crate::exchange::Answer;
use crate::marketplaces::adapter::{
    AnswerError, NextFetch, Question, Step, Words, frame, naming, refusal, shortened, web_page,
};
use crate::marketplaces::disposition::{Disposition, EVERY, Table};
use crate::marketplaces::oauth;

/// What becomes of the answers that the contracts document. The Selling Partner API and Amazon Ads document statuses; the
/// codes are those of their examples and recordings.
pub(crate) static DISPOSITIONS: Table = Table {
    codes: &[
        (&["lwaToken"], oauth::NEW_TOKEN_CODES, Disposition::NewToken),
        (&["lwaToken"], oauth::MISCONFIGURED_CODES, Disposition::Misconfigured),
        (&["lwaToken"], oauth::SNOOZE_CODES, Disposition::Snooze),
        (EVERY, &["400", "404", "413", "415", "422"], Disposition::GiveUp),
        (EVERY, &["InvalidInput", "NotFound", "INVALID_ASIN", "INVALID_SKU"], Disposition::GiveUp),
        (ADS, &["401"], Disposition::NewToken),
        (EVERY, &["403", "Unauthorized"], Disposition::Misconfigured),
        (EVERY, &["429", "QuotaExceeded"], Disposition::Snooze),
        (EVERY, &["500", "503", "InternalFailure"], Disposition::Retry),
    ],
    statuses: &[
        (&["lwaToken"], &[400, 401], Disposition::NewToken),
        // The store of the documents: what is refused for its time is asked for anew, see `read_download`.
        (&["downloadDocument"], &[403], Disposition::GiveUp),
        (EVERY, &[200, 202], Disposition::Answer),
        (EVERY, &[400, 404, 413, 415, 422], Disposition::GiveUp),
        (EVERY, &[401], Disposition::NewToken),
        // A missing role, and where the words speak of the token, a refused one, see `check`.
        (EVERY, &[403], Disposition::Misconfigured),
        (EVERY, &[429], Disposition::Snooze),
        (EVERY, &[500, 503], Disposition::Retry),
    ],
};

const ADS: &[&str] = &["getKeywordRecommendations"];

/// How long after the order of a report that ended FATAL it is ordered anew: its data come within days.
const REORDER_AFTER: TimeDelta = TimeDelta::hours(6);

/// How long after the end of its week a report on own listings may still end FATAL for want of data.
const DATA_LATE_MAX: TimeDelta = TimeDelta::days(8);

/// How often an expired link is asked for anew within one try.
const RENEWALS_MAX: u8 = 3;

/// Longest page token that is followed; it becomes part of the next job's key.
const PAGE_TOKEN_MAX_BYTES: usize = 2_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    number_of_results: u64,
    items: Vec<Value>,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    next_token: Option<String>,
}

/// Tells whether a page of the catalog says that nothing matches.
pub(super) fn found_nothing(answer: &Answer) -> bool {
    answer.is_success() && frame::<Page>(answer).is_ok_and(|page| page.number_of_results == 0 && page.items.is_empty())
}

impl Amazon {
    pub(super) fn read_answer(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        match question.job.resource {
            Resource::CatalogSearch => return self.read_catalog(question, answer),
            Resource::CompetitivePricing => return read_prices(answer),
            Resource::KeywordBids => return read_bids(answer),
            _ => {}
        }
        match ReportStep::read(question.cursor.as_deref()).map_err(|error| AnswerError::Failed(error.to_string()))? {
            ReportStep::Create => read_created(question, answer),
            ReportStep::Poll { report_id } => self.read_report(question, &report_id, answer),
            ReportStep::Document { document } => read_document(document, answer),
            ReportStep::Download { document, .. } => read_download(document, answer),
        }
    }

    fn read_catalog(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        check("searchCatalogItems", answer)?;
        let page: Page = frame(answer)?;
        let job = &question.job;
        let mut next = Vec::new();
        let asins: Vec<&str> = page.items.iter().filter_map(|item| item.get("asin")?.as_str()).collect();
        let asins: Vec<&str> = asins.into_iter().filter(|asin| is_asin(asin)).take(PRICED_MAX).collect();
        if question.wants(Resource::CompetitivePricing) && !asins.is_empty() {
            next.push(NextFetch {
                resource: Resource::CompetitivePricing,
                page_number: job.page_number,
                cursor: Some(asins_cursor(&asins)),
            });
        }
        let next_token = page.pagination.and_then(|pagination| pagination.next_token);
        let next_token = next_token.filter(|token| !token.is_empty() && token.len() <= PAGE_TOKEN_MAX_BYTES);
        let is_last = job.page_number >= self.pages() as i32;
        next.extend(next_token.filter(|_| !is_last).map(|token| NextFetch {
            resource: job.resource,
            page_number: job.page_number + 1,
            cursor: Some(format!("page:{token}")),
        }));
        Ok(Step::Keep(next))
    }

    fn read_report(&self, question: &Question, report_id: &str, answer: &Answer) -> Result<Step, AnswerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Report {
            processing_status: String,
            report_document_id: Option<String>,
            created_time: Option<DateTime<Utc>>,
        }
        check("getReport", answer)?;
        let report: Report = frame(answer)?;
        let document = |is_fatal| {
            let document_id = report.report_document_id.clone().filter(|id| !id.is_empty() && !id.contains(' '))?;
            Some(ReportStep::Document { document: Document { document_id, is_fatal, renewals: 0 } })
        };
        match report.processing_status.as_str() {
            "IN_QUEUE" | "IN_PROGRESS" => Ok(Step::Wait {
                cause: format!("report {report_id} is {}", report.processing_status),
                delay: self.config.look_again_after(report.created_time.map_or(Duration::ZERO, |created_at| {
                    (answer.received_at - created_at).to_std().unwrap_or_default()
                })),
            }),
            "DONE" => document(false)
                .map(|step| Step::Continue(next_step(question, &step)))
                .ok_or_else(|| AnswerError::Unusable(format!("report {report_id} is DONE and names no document"))),
            // Amazon cancels a report by itself when there is nothing in it: the status is the data.
            "CANCELLED" => Ok(Step::Keep(Vec::new())),
            "FATAL" if may_come_later(&question.job, answer) => {
                let ordered_at = report.created_time.unwrap_or(answer.received_at);
                Ok(order_again(report_id, ordered_at, answer.received_at))
            }
            "FATAL" => document(true)
                .map(|step| Step::Ask(step.to_string()))
                .ok_or_else(|| AnswerError::Failed(format!("report {report_id} ended FATAL without an explanation"))),
            other => {
                Err(AnswerError::Unusable(format!("report {report_id} has the unknown status '{}'", shortened(other))))
            }
        }
    }
}

/// Tells whether a report that ended FATAL may be made once its data are there: Amazon answers so for days after the end
/// of a week.
fn may_come_later(job: &FetchPage, answer: &Answer) -> bool {
    let week_over = week::week_end(week::last_full_week_start(job.scheduled_for)) + Days::new(1);
    let given_up_at = week_over.and_time(NaiveTime::MIN).and_utc() + DATA_LATE_MAX;
    job.resource == Resource::SearchQueryReport && answer.received_at < given_up_at
}

/// Orders a report anew, a good while after it was ordered last.
fn order_again(report_id: &str, ordered_at: DateTime<Utc>, now: DateTime<Utc>) -> Step {
    let rest = (ordered_at + REORDER_AFTER - now).min(REORDER_AFTER);
    match rest.to_std() {
        Ok(delay) if !delay.is_zero() => Step::Wait {
            cause: format!("report {report_id} is FATAL, as reports of a fresh week are, and is ordered anew later"),
            delay,
        },
        _ => Step::Ask(ReportStep::Create.to_string()),
    }
}

fn read_prices(answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    struct Batch {
        responses: Vec<Part>,
    }
    #[derive(Deserialize)]
    struct Part {
        status: Status,
        #[serde(rename = "body")]
        _body: IgnoredAny,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        status_code: u16,
    }
    check("getCompetitiveSummary", answer)?;
    let batch: Batch = frame(answer)?;
    // Every part has its own status. Some may be unknown listings; if nothing was answered at all, the batch was not.
    let is_all = |wanted: fn(u16) -> bool| batch.responses.iter().all(|part| wanted(part.status.status_code));
    match batch.responses.first().map(|part| part.status.status_code) {
        None => Err(AnswerError::Unusable("the batch has no parts".to_owned())),
        Some(_) if is_all(|status| status == 429) => Err(AnswerError::TooManyRequests {
            detail: "every part of the batch is refused for its rate".to_owned(),
            retry_after: answer.retry_after(),
        }),
        Some(status) if is_all(|status| status >= 500) => Err(AnswerError::Unavailable {
            status,
            detail: "every part of the batch failed".to_owned(),
            retry_after: answer.retry_after(),
        }),
        Some(_) => Ok(Step::Keep(Vec::new())),
    }
}

fn read_bids(answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Ranking {
        #[serde(rename = "keywordTargetList")]
        _keyword_target_list: Vec<IgnoredAny>,
    }
    check("getKeywordRecommendations", answer)?;
    let _: Ranking = frame(answer)?;
    Ok(Step::Keep(Vec::new()))
}

fn read_created(question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        report_id: String,
    }
    check("createReport", answer)?;
    let Created { report_id } = frame(answer)?;
    if report_id.is_empty() {
        return Err(AnswerError::Unusable("the report has no identifier".to_owned()));
    }
    Ok(Step::Continue(next_step(question, &ReportStep::Poll { report_id })))
}

fn read_document(document: Document, answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    struct Link {
        url: String,
    }
    check("getReportDocument", answer).map_err(|error| told_as_fatal(&document, error))?;
    let Link { url } = frame(answer)?;
    Ok(Step::Ask(ReportStep::Download { document, link: url }.to_string()))
}

fn read_download(document: Document, answer: &Answer) -> Result<Step, AnswerError> {
    if answer.status == 403 && String::from_utf8_lossy(&answer.body).contains("Request has expired") {
        if document.renewals >= RENEWALS_MAX {
            return Err(AnswerError::Lost(format!("the link to the report document expired {RENEWALS_MAX} times")));
        }
        let document = Document { renewals: document.renewals + 1, ..document };
        return Ok(Step::Ask(ReportStep::Document { document }.to_string()));
    }
    let known = DISPOSITIONS.find("downloadDocument", answer.status, None);
    if let Some(error) = refusal(answer, known, describe_store(answer)) {
        return Err(told_as_fatal(&document, error));
    }
    if document.is_fatal {
        return Err(AnswerError::Failed(format!("the report ended FATAL: {}", error_details(answer))));
    }
    check_document(answer)?;
    Ok(Step::Keep(Vec::new()))
}

/// Keeps in mind that the report has failed, even where its explanation is refused.
fn told_as_fatal(document: &Document, error: AnswerError) -> AnswerError {
    match error {
        AnswerError::Refused { .. } if document.is_fatal => {
            AnswerError::Failed(format!("the report ended FATAL, and its explanation cannot be read: {error}"))
        }
        other => other,
    }
}

/// Checks that a document arrived whole and is a JSON object, without holding it in memory unpacked.
fn check_document(answer: &Answer) -> Result<(), AnswerError> {
    if answer.is_web_page() {
        return Err(AnswerError::Unusable(web_page(answer).to_owned()));
    }
    let unreadable = |error| AnswerError::Unusable(format!("the report document cannot be unpacked: {error}"));
    let mut document = unpacked(answer).map_err(unreadable)?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut first, mut last) = (None, None);
    loop {
        let length = document.read(&mut buffer).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        let text = buffer[..length].trim_ascii();
        first = first.or(text.first().copied());
        last = text.last().copied().or(last);
    }
    match (first, last) {
        (Some(b'{'), Some(b'}')) => Ok(()),
        (None, _) => Err(AnswerError::Unusable("the report document is empty".to_owned())),
        _ => Err(AnswerError::Unusable("the report document is no whole JSON object".to_owned())),
    }
}

/// Reads why a report failed, in Amazon's words.
fn error_details(answer: &Answer) -> String {
    const LONGEST_BYTES: u64 = 64 * 1024;
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        error_details: String,
    }
    let mut text = Vec::new();
    let read = unpacked(answer).and_then(|document| document.take(LONGEST_BYTES).read_to_end(&mut text));
    let details = read.ok().and_then(|_| serde_json::from_slice::<Details>(&text).ok());
    details.map_or_else(|| "its document explains nothing".to_owned(), |details| shortened(&details.error_details))
}

fn unpacked(answer: &Answer) -> io::Result<Box<dyn Read + '_>> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    const BUFFER_BYTES: usize = 64 * 1024;
    let mut body = BufReader::with_capacity(BUFFER_BYTES, answer.reader());
    let is_packed = body.fill_buf()?.starts_with(&GZIP_MAGIC);
    if is_packed { Ok(Box::new(MultiGzDecoder::new(body))) } else { Ok(Box::new(body)) }
}

fn next_step(question: &Question, step: &ReportStep) -> NextFetch {
    let job = &question.job;
    NextFetch { resource: job.resource, page_number: job.page_number, cursor: Some(step.to_string()) }
}

/// Sorts an answer of the Selling Partner API or of Amazon Ads.
fn check(operation: &'static str, answer: &Answer) -> Result<(), AnswerError> {
    let words = describe(answer);
    let known = DISPOSITIONS.of(operation, answer.status, words.as_ref().and_then(|words| words.code.as_deref()));
    // An expired or unknown token is answered with 403, as is a missing role; only the words differ.
    let is_about_token = words.as_ref().is_some_and(|words| words.text.to_ascii_lowercase().contains("access token"));
    let known = if answer.status == 403 && is_about_token { Some(Disposition::NewToken) } else { known };
    match refusal(answer, known, words) {
        None => Ok(()),
        Some(AnswerError::Unauthorized(detail)) if ADS.contains(&operation) => Err(AnswerError::Unauthorized(format!(
            "{detail}; the advertiser's consent and profile are {}",
            ADS_SETTINGS.join(" and ")
        ))),
        Some(error) => Err(naming(error, permission(operation))),
    }
}

/// Names what an operation needs to be allowed.
fn permission(operation: &str) -> &'static str {
    match operation {
        "searchCatalogItems" => "the application may lack the role Product Listing",
        "getCompetitiveSummary" => "the application may lack the role Pricing",
        "getKeywordRecommendations" => {
            "the advertiser of DIGITALLZ_AMAZON_ADS_PROFILE_ID may not have permitted the reading of campaigns"
        }
        _ => "the application may lack the role Brand Analytics, or the seller be no brand representative",
    }
}

/// Reads the words of the Selling Partner API, or of Amazon Ads.
fn describe(answer: &Answer) -> Option<Words> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Refusal {
        SellingPartner { errors: Vec<Entry> },
        Ads { code: String, details: String },
    }
    #[derive(Deserialize)]
    struct Entry {
        code: String,
        #[serde(default)]
        message: String,
        details: Option<String>,
    }
    match serde_json::from_slice(&answer.body).ok()? {
        Refusal::Ads { code, details } => Some(Words { text: format!("{code}: {details}"), code: Some(code) }),
        Refusal::SellingPartner { errors } => {
            let Entry { code, message, details } = errors.into_iter().next()?;
            let details = details.filter(|details| !details.is_empty());
            let details = details.map(|text| format!(" {text}")).unwrap_or_default();
            Some(Words { text: format!("{code}: {message}{details}"), code: Some(code) })
        }
    }
}

/// Reads the words of the store that holds the documents.
fn describe_store(answer: &Answer) -> Option<Words> {
    let text = String::from_utf8_lossy(&answer.body);
    let element = |name: &str| {
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        let length = text[start..].find("</")?;
        Some(text[start..start + length].to_owned())
    };
    let text = format!("{}: {}", element("Code")?, element("Message").unwrap_or_default());
    Some(Words { code: None, text })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::request::tests::{amazon, question};
    use digitallz_common::marketplace::Subject;

    use super::*;
    use crate::config::AmazonConfig;
    use crate::exchange::tests::answer;
    use digitallz_common::secret::Secret;

    fn read(resource: Resource, cursor: Option<&str>, answer: &Answer) -> Result<Step, AnswerError> {
        let keyword = (resource.subject() == Subject::Keyword).then_some("hat");
        amazon().read_answer(&question(resource, "US", keyword, cursor), answer)
    }

    fn report(cursor: Option<&str>, body: &str) -> Result<Step, AnswerError> {
        read(Resource::SearchTermsReport, cursor, &answer(200, "application/json", body))
    }

    fn json(status: u16, body: &str) -> Answer {
        answer(status, "application/json", body)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_page_is_enough_unless_more_are_configured() {
        let body = r#"{"numberOfResults": 3000, "items": [{"asin": "B0"}], "pagination": {"nextToken": "t"}}"#;
        assert_eq!(read(Resource::CatalogSearch, None, &json(200, body)).unwrap(), Step::Keep(vec![]));

        let secret = || Secret::new("s");
        let deep = Amazon::new(AmazonConfig { pages: 2, ..AmazonConfig::new(secret(), secret(), secret()) });
        let question = question(Resource::CatalogSearch, "US", Some("hat"), None);
        let next = NextFetch { resource: Resource::CatalogSearch, page_number: 2, cursor: Some("page:t".to_owned()) };
        assert_eq!(deep.read_answer(&question, &json(200, body)).unwrap(), Step::Keep(vec![next]));
    }

    #[test]
    fn prices_follow_a_page_if_they_are_wanted() {
        let body =
            r#"{"numberOfResults": 3, "items": [{"asin": "B0SANDBOX1"}, {"asin": "?"}, {"asin": "B0SANDBOX2"}]}"#;
        let mut question = question(Resource::CatalogSearch, "US", Some("hat"), None);
        assert_eq!(amazon().read_answer(&question, &json(200, body)).unwrap(), Step::Keep(vec![]));
        question.job.then = vec![Resource::CompetitivePricing];
        let prices = NextFetch {
            resource: Resource::CompetitivePricing,
            page_number: 1,
            cursor: Some("asins:B0SANDBOX1,B0SANDBOX2".to_owned()),
        };
        assert_eq!(amazon().read_answer(&question, &json(200, body)).unwrap(), Step::Keep(vec![prices]));
        let empty = json(200, r#"{"numberOfResults": 0, "items": []}"#);
        assert_eq!(amazon().read_answer(&question, &empty).unwrap(), Step::Keep(vec![]));
        assert!(found_nothing(&empty) && !found_nothing(&json(200, body)) && !found_nothing(&json(500, "")));
    }

    #[test]
    fn a_batch_of_prices_is_judged_by_its_parts() {
        let batch = |statuses: &[u16]| {
            let parts = statuses.iter().map(|status| serde_json::json!({"status": {"statusCode": status}, "body": {}}));
            let body = serde_json::json!({"responses": parts.collect::<Vec<_>>()}).to_string();
            read(Resource::CompetitivePricing, Some("asins:B0SANDBOX1"), &json(200, &body))
        };
        assert_eq!(batch(&[200, 404]).unwrap(), Step::Keep(vec![]));
        assert_eq!(batch(&[429, 200]).unwrap(), Step::Keep(vec![]));
        assert!(matches!(batch(&[429, 429]), Err(AnswerError::TooManyRequests { .. })));
        assert!(matches!(batch(&[500, 503]), Err(AnswerError::Unavailable { status: 500, .. })));
        assert!(matches!(batch(&[]), Err(AnswerError::Unusable(_))));
    }

    #[test]
    fn refusals_of_amazon_ads_name_its_settings() {
        let bids = |status, body: &str| read(Resource::KeywordBids, None, &json(status, body));
        assert_eq!(bids(200, r#"{"keywordTargetList": []}"#).unwrap(), Step::Keep(vec![]));
        let error = bids(401, r#"{"code": "401", "details": "Not authorized"}"#).unwrap_err();
        assert!(
            matches!(&error, AnswerError::Unauthorized(detail) if detail.contains("DIGITALLZ_AMAZON_ADS_PROFILE_ID"))
        );
        let error = bids(403, r#"{"code": "403", "details": "Forbidden"}"#).unwrap_err();
        assert!(
            matches!(&error, AnswerError::Misconfigured(detail) if detail.contains("DIGITALLZ_AMAZON_ADS_PROFILE_ID"))
        );
        let error = bids(422, r#"{"code": "422", "details": "None of the asins is valid"}"#).unwrap_err();
        assert_eq!(error.to_string(), "status 422 (422: None of the asins is valid)");
    }

    #[test]
    fn a_fresh_week_on_own_listings_is_ordered_again_for_days() {
        let poll = |resource, received_at: &str| {
            let body =
                r#"{"processingStatus": "FATAL", "createdTime": "2025-06-11T05:00:00Z", "reportDocumentId": "d"}"#;
            let answer = Answer { received_at: received_at.parse().unwrap(), ..json(200, body) };
            read(resource, Some("report:7"), &answer).unwrap()
        };
        let own = Resource::SearchQueryReport;
        let waiting = poll(own, "2025-06-11T06:00:00Z");
        assert!(matches!(waiting, Step::Wait { delay, .. } if delay == Duration::from_secs(5 * 3_600)), "{waiting:?}");
        assert_eq!(poll(own, "2025-06-11T11:00:00Z"), Step::Ask("create".to_owned()));
        assert_eq!(poll(own, "2025-06-15T23:59:59Z"), Step::Ask("create".to_owned()));
        assert_eq!(poll(own, "2025-06-16T00:00:00Z"), Step::Ask("fatal-0:d".to_owned()));
        assert_eq!(poll(Resource::SearchTermsReport, "2025-06-11T06:00:00Z"), Step::Ask("fatal-0:d".to_owned()));
    }

    #[test]
    fn a_page_without_the_contracts_frame_is_unusable() {
        for body in
            [r#"{"items": []}"#, r#"{"numberOfResults": -1, "items": []}"#, r#"{"numberOfResults": 1, "items": {}}"#]
        {
            let error = read(Resource::CatalogSearch, None, &json(200, body)).unwrap_err();
            assert!(matches!(error, AnswerError::Unusable(_)), "{body}");
        }
    }

    #[test]
    fn errors_keep_amazons_words() {
        let quota =
            json(429, r#"{"errors":[{"code":"QuotaExceeded","message":"You exceeded your quota.","details":""}]}"#);
        let error = read(Resource::CatalogSearch, None, &quota).unwrap_err();
        assert_eq!(error.to_string(), "too many requests (QuotaExceeded: You exceeded your quota.)");

        let role =
            json(403, r#"{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied."}]}"#);
        let error = read(Resource::CatalogSearch, None, &role).unwrap_err();
        assert!(matches!(error, AnswerError::Misconfigured(_)));
        assert!(error.to_string().contains("lack the role Product Listing"), "{error}");
        let error = read(Resource::SearchTermsReport, None, &role).unwrap_err().to_string();
        assert!(error.contains("lack the role Brand Analytics"), "{error}");

        let expired = json(
            403,
            r#"{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":"The access token you provided has expired."}]}"#,
        );
        assert!(matches!(read(Resource::CatalogSearch, None, &expired), Err(AnswerError::Unauthorized(_))));
    }

    #[test]
    fn a_report_goes_its_way() {
        let next = |cursor: &str| {
            Step::Continue(NextFetch {
                resource: Resource::SearchTermsReport,
                page_number: 1,
                cursor: Some(cursor.to_owned()),
            })
        };
        assert_eq!(report(None, r#"{"reportId": "7"}"#).unwrap(), next("report:7"));
        let poll = Some("report:7");
        let waiting = report(poll, r#"{"processingStatus": "IN_QUEUE"}"#).unwrap();
        assert!(matches!(waiting, Step::Wait { delay, .. } if delay == Duration::from_secs(60)));
        let old = r#"{"processingStatus": "IN_PROGRESS", "createdTime": "2020-01-01T00:00:00Z"}"#;
        let waiting = report(poll, old).unwrap();
        assert!(matches!(waiting, Step::Wait { delay, .. } if delay == Duration::from_secs(1_800)));
        let done = report(poll, r#"{"processingStatus": "DONE", "reportDocumentId": "d"}"#).unwrap();
        assert_eq!(done, next("document:d"));
        assert_eq!(report(poll, r#"{"processingStatus": "CANCELLED"}"#).unwrap(), Step::Keep(vec![]));
        let link =
            report(Some("document:d"), r#"{"reportDocumentId": "d", "url": "https://store/d?signature=s"}"#).unwrap();
        assert_eq!(link, Step::Ask("document:d https://store/d?signature=s".to_owned()));
    }

    #[test]
    fn a_failed_report_says_why() {
        let poll = Some("report:7");
        let fatal = report(poll, r#"{"processingStatus": "FATAL", "reportDocumentId": "d"}"#).unwrap();
        assert_eq!(fatal, Step::Ask("fatal-0:d".to_owned()));
        let document = answer(200, "binary/octet-stream", gzip(r#"{"errorDetails": "A client error occurred."}"#));
        let error = read(Resource::SearchTermsReport, Some("fatal-0:d https://store/d"), &document).unwrap_err();
        assert_eq!(error.to_string(), "the report ended FATAL: A client error occurred.");
        let silent = report(poll, r#"{"processingStatus": "FATAL"}"#).unwrap_err();
        assert_eq!(silent.to_string(), "report 7 ended FATAL without an explanation");
    }

    #[test]
    fn an_expired_link_is_renewed_three_times() {
        let expired = answer(
            403,
            "application/xml",
            "<?xml?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
        );
        let mut cursor = "document:d".to_owned();
        for renewal in 1..=3 {
            let step = read(Resource::SearchTermsReport, Some(&format!("{cursor} https://store/d")), &expired).unwrap();
            cursor = format!("document-{renewal}:d");
            assert_eq!(step, Step::Ask(cursor.clone()));
        }
        let error =
            read(Resource::SearchTermsReport, Some(&format!("{cursor} https://store/d")), &expired).unwrap_err();
        assert!(matches!(error, AnswerError::Lost(_)));
    }

    #[test]
    fn a_document_must_arrive_whole() {
        let download = |body: Vec<u8>| {
            read(Resource::SearchTermsReport, Some("document:d https://store/d"), &answer(200, "text/plain", body))
        };
        let whole = gzip("{\"dataByDepartmentAndSearchTerm\": [] }\n");
        assert_eq!(download(whole.clone()).unwrap(), Step::Keep(vec![]));
        assert_eq!(download(b"{}".to_vec()).unwrap(), Step::Keep(vec![]));
        for body in [whole[..whole.len() - 6].to_vec(), gzip("{\"a\": ["), gzip(""), b"<html>".to_vec()] {
            assert!(matches!(download(body), Err(AnswerError::Unusable(_))));
        }
        let denied =
            answer(403, "application/xml", "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>");
        let error = read(Resource::SearchTermsReport, Some("document:d https://store/d"), &denied).unwrap_err();
        assert_eq!(error.to_string(), "status 403 (SignatureDoesNotMatch: no)");
    }
}
