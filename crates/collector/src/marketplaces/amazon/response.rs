//! Answers of Amazon: pages of the catalog, and how far a report has come.

use std::io::{self, BufRead, BufReader, Read};

use digitallz_common::marketplace::{Resource, Subject};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Amazon;
use super::request::{Document, ReportStep};
use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, NextFetch, Question, Step, frame, refusal, shortened, web_page};

/// How often an expired link is asked for anew within one try.
const RENEWALS_MAX: u8 = 3;

/// Longest page token that is followed; it becomes part of the next job's key.
const PAGE_TOKEN_MAX_BYTES: usize = 2_000;

impl Amazon {
    pub(super) fn read_answer(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        if question.job.resource == Resource::CatalogSearch {
            return self.read_catalog(question, answer);
        }
        match ReportStep::read(question.cursor.as_deref()).map_err(|error| AnswerError::Failed(error.to_string()))? {
            ReportStep::Create => read_created(question, answer),
            ReportStep::Poll { report_id } => self.read_report(question, &report_id, answer),
            ReportStep::Document { document } => read_document(document, answer),
            ReportStep::Download { document, .. } => read_download(document, answer),
        }
    }

    fn read_catalog(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            #[serde(rename = "numberOfResults")]
            _number_of_results: u64,
            #[serde(rename = "items")]
            _items: Vec<IgnoredAny>,
            pagination: Option<Pagination>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Pagination {
            next_token: Option<String>,
        }
        check(answer)?;
        let page: Page = frame(answer)?;
        let next_token = page.pagination.and_then(|pagination| pagination.next_token);
        let next_token = next_token.filter(|token| !token.is_empty() && token.len() <= PAGE_TOKEN_MAX_BYTES);
        let is_last = question.job.page_number >= self.pages() as i32;
        let next = next_token.filter(|_| !is_last).map(|token| NextFetch {
            resource: question.job.resource,
            page_number: question.job.page_number + 1,
            cursor: Some(format!("page:{token}")),
        });
        Ok(Step::Keep(next.into_iter().collect()))
    }

    fn read_report(&self, question: &Question, report_id: &str, answer: &Answer) -> Result<Step, AnswerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Report {
            processing_status: String,
            report_document_id: Option<String>,
        }
        check(answer)?;
        let report: Report = frame(answer)?;
        let document = |is_fatal| {
            let document_id = report.report_document_id.clone().filter(|id| !id.is_empty() && !id.contains(' '))?;
            Some(ReportStep::Document { document: Document { document_id, is_fatal, renewals: 0 } })
        };
        match report.processing_status.as_str() {
            "IN_QUEUE" | "IN_PROGRESS" => Ok(Step::Wait {
                cause: format!("report {report_id} is {}", report.processing_status),
                delay: self.config.report_poll_delay,
            }),
            "DONE" => document(false)
                .map(|step| Step::Continue(next_step(question, &step)))
                .ok_or_else(|| AnswerError::Unusable(format!("report {report_id} is DONE and names no document"))),
            // Amazon cancels a report by itself when there is nothing in it: the status is the data.
            "CANCELLED" => Ok(Step::Keep(Vec::new())),
            "FATAL" => document(true)
                .map(|step| Step::Ask(step.to_string()))
                .ok_or_else(|| AnswerError::Failed(format!("report {report_id} ended FATAL without an explanation"))),
            other => {
                Err(AnswerError::Unusable(format!("report {report_id} has the unknown status '{}'", shortened(other))))
            }
        }
    }
}

fn read_created(question: &Question, answer: &Answer) -> Result<Step, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        report_id: String,
    }
    check(answer)?;
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
    check(answer).map_err(|error| told_as_fatal(&document, error))?;
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
    if let Some(error) = refusal(answer, describe_store) {
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

/// Sorts an answer of the Selling Partner API.
fn check(answer: &Answer) -> Result<(), AnswerError> {
    match refusal(answer, describe) {
        None => Ok(()),
        // An expired or unknown token is answered with 403, as is a missing role; only the words differ.
        Some(AnswerError::Refused { status: 403, detail }) if detail.to_ascii_lowercase().contains("access token") => {
            Err(AnswerError::Unauthorized(detail))
        }
        Some(error) => Err(error),
    }
}

/// Reads the words of the Selling Partner API.
fn describe(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        code: String,
        #[serde(default)]
        message: String,
        details: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).ok()?;
    let entry = refusal.errors.into_iter().next()?;
    let details = entry.details.filter(|details| !details.is_empty());
    Some(format!("{}: {}{}", entry.code, entry.message, details.map(|text| format!(" {text}")).unwrap_or_default()))
}

/// Reads the words of the store that holds the documents.
fn describe_store(answer: &Answer) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let element = |name: &str| {
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        let length = text[start..].find("</")?;
        Some(text[start..start + length].to_owned())
    };
    Some(format!("{}: {}", element("Code")?, element("Message").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::super::request::tests::{amazon, question};
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
        assert!(matches!(read(Resource::CatalogSearch, None, &role), Err(AnswerError::Refused { status: 403, .. })));

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
