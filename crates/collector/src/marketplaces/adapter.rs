//! The shape of an adapter: pure functions between a job and HTTP, and the classes of answers.

use std::time::Duration;

use digitallz_common::jobs::FetchPage;
use digitallz_common::marketplace::Resource;
use digitallz_common::secret::Secret;
use serde::de::DeserializeOwned;
use url::Url;

use super::disposition::Disposition;
use crate::exchange::{Answer, Request, TokenKind};
use crate::quota::account::Statement;
use crate::token::IssuedToken;

/// How one marketplace is asked and understood.
pub trait Adapter: Send + Sync {
    /// Returns the request that issues an access token; none where the marketplace has no such tokens or the settings
    /// do not suffice.
    fn token_request(&self, kind: TokenKind) -> Option<Request>;

    /// Reads the answer to it.
    fn read_token(&self, kind: TokenKind, answer: &Answer) -> Result<IssuedToken, AnswerError>;

    /// Returns the kinds of data that take more than the credential itself, each with the token that opens it.
    fn grants(&self) -> &'static [(Resource, TokenKind)] {
        &[]
    }

    /// Puts an access token of the kind that [`Request::token`] names on a request.
    fn authorize(&self, request: Request, token: &Secret) -> Request;

    /// Returns the scopes against whose limits an operation counts, the widest first; each is a key of the limits.
    fn scopes(&self, operation: &'static str) -> &'static [&'static str];

    /// Makes the request a question stands for.
    fn request(&self, question: &Question) -> Result<Request, QuestionError>;

    /// Reads the answer to it.
    fn read(&self, question: &Question, answer: &Answer) -> Result<Step, AnswerError>;

    /// Returns what an answer says about the narrowest of the scopes it counted against.
    fn statements(&self, answer: &Answer) -> Vec<Statement>;

    /// Returns the request that asks for the limits, where the marketplace says nothing of them in its answers.
    fn limits_request(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to it: scopes and what is said of them.
    fn read_limits(&self, _answer: &Answer) -> Result<Vec<(&'static str, Statement)>, AnswerError> {
        Ok(Vec::new())
    }

    /// Tells whether a good answer to a search says that nothing matches; false for all that is no search.
    fn found_nothing(&self, question: &Question, answer: &Answer) -> bool;
}

/// What is asked: a job, and within it the place to continue.
#[derive(Clone, Debug)]
pub struct Question {
    /// The job.
    pub job: FetchPage,
    /// The keyword, normalised.
    pub keyword_text: Option<String>,
    /// The keywords, normalised, where one request is about many.
    pub keyword_texts: Vec<String>,
    /// Where to continue: the job's cursor, or that of [`Step::Ask`].
    pub cursor: Option<String>,
}

impl Question {
    /// Returns the keyword of a resource that needs one.
    pub fn keyword(&self) -> Result<&str, QuestionError> {
        self.keyword_text.as_deref().ok_or(QuestionError::NoKeyword(self.job.resource))
    }

    /// Returns the number of entries before this page, which the cursor `offset:<number>` holds.
    pub fn offset(&self) -> Result<u32, QuestionError> {
        let Some(cursor) = self.cursor.as_deref() else { return Ok(0) };
        let offset = cursor.strip_prefix("offset:").and_then(|number| number.parse().ok());
        offset.ok_or_else(|| QuestionError::Cursor(cursor.to_owned()))
    }

    /// Returns the keywords of a resource that is asked for many at once.
    pub fn keywords(&self) -> Result<&[String], QuestionError> {
        if self.keyword_texts.is_empty() {
            return Err(QuestionError::NoKeyword(self.job.resource));
        }
        Ok(&self.keyword_texts)
    }

    /// Tells whether the run wants a resource that follows from the answer.
    pub fn wants(&self, resource: Resource) -> bool {
        self.job.then.contains(&resource)
    }
}

/// Why a question cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The marketplace has no such data.
    #[error("the marketplace does not offer {0}")]
    NotOffered(Resource),
    /// The job names no keyword.
    #[error("{0} is asked by keyword, and the job names none")]
    NoKeyword(Resource),
    /// Nothing is left of the keyword that the marketplace can search for.
    #[error("nothing of the keyword '{0}' can be searched for")]
    EmptyKeyword(String),
    /// Nothing that is allowed in a request is left of the keywords.
    #[error("none of the keywords may be sent: {0}")]
    NoSuitableKeyword(&'static str),
    /// Settings are missing without which it cannot be asked.
    #[error("configuration error: {resource} needs {}", .settings.join(", "))]
    Misconfigured {
        /// What cannot be asked.
        resource: Resource,
        /// The missing settings.
        settings: Vec<&'static str>,
    },
    /// The cursor is not one of this adapter's.
    #[error("the cursor '{0}' cannot be read")]
    Cursor(String),
}

/// What is to be done after a good answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The answer holds data: keep it, then fetch these.
    Keep(Vec<NextFetch>),
    /// The answer holds no data but tells where it is: fetch there.
    Continue(NextFetch),
    /// The answer tells where to ask at once, within the same try; the cursor may hold secrets and is not kept.
    Ask(String),
    /// What was asked for is not ready.
    Wait {
        /// What is not ready.
        cause: String,
        /// When to ask again.
        delay: Duration,
    },
    /// The answer says that there are no further pages: nothing is kept, nothing follows.
    End,
}

/// A fetch that follows from an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct NextFetch {
    /// What to ask for.
    pub resource: Resource,
    /// Page within the run and resource, from 1.
    pub page_number: i32,
    /// Where to continue.
    pub cursor: Option<String>,
}

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It claims success and is something else; it is kept as evidence.
    #[error("the answer is not what was asked for: {0}")]
    Unusable(String),
    /// The limit is reached.
    #[error("too many requests ({detail})")]
    TooManyRequests {
        /// The marketplace's words.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The token or the credentials are refused.
    #[error("the credentials are refused ({0})")]
    Unauthorized(String),
    /// The marketplace is out of order.
    #[error("status {status} ({detail})")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// The marketplace's words.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The marketplace will not answer this question, however often it is asked.
    #[error("status {status} ({detail})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The marketplace's words.
        detail: String,
    },
    /// The collectors are set up wrongly.
    #[error("configuration error: {0}")]
    Misconfigured(String),
    /// What was asked for has failed for good.
    #[error("{0}")]
    Failed(String),
    /// What was asked for went away meanwhile and may come back.
    #[error("{0}")]
    Lost(String),
}

impl AnswerError {
    /// Tells whether the source is at fault and others who ask it will fare no better; not so when it refused one question.
    pub fn is_of_the_source(&self) -> bool {
        match self {
            AnswerError::Unusable(_)
            | AnswerError::Unavailable { .. }
            | AnswerError::Unauthorized(_)
            | AnswerError::Misconfigured(_) => true,
            AnswerError::TooManyRequests { .. }
            | AnswerError::Refused { .. }
            | AnswerError::Failed(_)
            | AnswerError::Lost(_) => false,
        }
    }
}

/// What a marketplace says in a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Its error code.
    pub code: Option<String>,
    /// Code and message, for people.
    pub text: String,
}

/// Makes the error that an answer stands for; nothing when it claims success. Without a known disposition the class of
/// the status decides.
pub fn refusal(answer: &Answer, known: Option<Disposition>, words: Option<Words>) -> Option<AnswerError> {
    if answer.is_success() {
        return None;
    }
    let status = answer.status;
    let detail = words.map_or_else(|| unreadable_detail(answer), |words| shortened(&words.text));
    let retry_after = answer.retry_after();
    Some(match known.unwrap_or_else(|| class_of(status)) {
        Disposition::NewToken => AnswerError::Unauthorized(detail),
        Disposition::Snooze => AnswerError::TooManyRequests { detail, retry_after },
        Disposition::Retry => AnswerError::Unavailable { status, detail, retry_after },
        Disposition::Misconfigured => AnswerError::Misconfigured(format!("status {status} ({detail})")),
        Disposition::GiveUp | Disposition::EndOfPages | Disposition::Answer => AnswerError::Refused { status, detail },
    })
}

/// Returns what a status means where no contract says more.
fn class_of(status: u16) -> Disposition {
    match status {
        401 => Disposition::NewToken,
        429 => Disposition::Snooze,
        // A redirect that was not followed leads to a page for people more often than to an answer.
        100..=399 | 408 | 500.. => Disposition::Retry,
        _ => Disposition::GiveUp,
    }
}

/// Says in the refusal of a permission what is missing.
pub fn naming(error: AnswerError, missing: &str) -> AnswerError {
    match error {
        AnswerError::Misconfigured(detail) => AnswerError::Misconfigured(format!("{missing}: {detail}")),
        other => other,
    }
}

/// Reads a successful answer as JSON in the contract's frame.
pub fn frame<T: DeserializeOwned>(answer: &Answer) -> Result<T, AnswerError> {
    if answer.is_web_page() {
        return Err(AnswerError::Unusable(web_page(answer).to_owned()));
    }
    if let Some(claimed) = answer.media_type() {
        let is_json = claimed == "application/json" || claimed == "text/json" || claimed.ends_with("+json");
        if !is_json {
            return Err(AnswerError::Unusable(format!("it claims to be {claimed} instead of JSON")));
        }
    }
    if answer.body.trim_ascii().is_empty() {
        return Err(AnswerError::Unusable("it is empty".to_owned()));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| AnswerError::Unusable(format!("it is not the JSON of the contract: {error}")))
}

/// Says what kind of web page an answer is.
pub fn web_page(answer: &Answer) -> &'static str {
    const LOOKED_AT_BYTES: usize = 64 * 1024;
    let start = &answer.body[..answer.body.len().min(LOOKED_AT_BYTES)];
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    if text.contains("captcha") || text.contains("robot") {
        "blocked, it is a web page that asks for a captcha"
    } else {
        "blocked, it is a web page"
    }
}

/// Puts a path behind a base address, which may have a path of its own.
pub fn address(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url
}

/// Collapses white space after some characters became spaces.
pub fn searchable(keyword: &str, is_operator: impl Fn(char) -> bool) -> Result<String, QuestionError> {
    let plain: String = keyword.chars().map(|character| if is_operator(character) { ' ' } else { character }).collect();
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { Err(QuestionError::EmptyKeyword(keyword.to_owned())) } else { Ok(words) }
}

fn unreadable_detail(answer: &Answer) -> String {
    if answer.is_web_page() {
        return "with a web page instead of an error message".to_owned();
    }
    match answer.header("location") {
        Some(_) => "a redirect to another host".to_owned(),
        None => "without a readable error message".to_owned(),
    }
}

/// Bounds the words of others before they go into logs and tables.
pub fn shortened(words: &str) -> String {
    const LONGEST: usize = 500;
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::answer;

    fn class(status: u16) -> AnswerError {
        refusal(&answer(status, "application/json", "{}"), None, None).unwrap()
    }

    #[test]
    fn every_status_has_one_class() {
        assert!(refusal(&answer(202, "application/json", "{}"), None, None).is_none());
        assert!(matches!(class(401), AnswerError::Unauthorized(_)));
        assert!(matches!(class(429), AnswerError::TooManyRequests { retry_after: None, .. }));
        for status in [302, 408, 500, 502, 503] {
            assert!(matches!(class(status), AnswerError::Unavailable { .. }), "{status}");
        }
        for status in [400, 403, 404, 409, 413, 422] {
            assert!(matches!(class(status), AnswerError::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn what_is_not_the_contracts_json_is_unusable() {
        for (content_type, body, reason) in [
            ("text/html", "<html>enter the CAPTCHA</html>", "captcha"),
            ("application/json", " <!doctype html>", "web page"),
            ("text/plain", "{}", "claims to be text/plain"),
            ("application/json", "  ", "empty"),
            ("application/json", "{\"items\": [", "not the JSON"),
            ("application/json; charset=utf-8", "[]", "not the JSON"),
        ] {
            let error = frame::<std::collections::HashMap<String, u8>>(&answer(200, content_type, body)).unwrap_err();
            assert!(matches!(&error, AnswerError::Unusable(why) if why.contains(reason)), "{body}: {error}");
        }
    }
}
