//! A request as a plain value and the answer to it, and what of both may be kept.

use std::io::Read;
use std::time::Duration;

use chrono::{DateTime, Utc};
use digitallz_common::raw_payload::Body;
use digitallz_common::secret::Secret;
use digitallz_common::spool::Spool;
use serde_json::{Map, Value};
use url::Url;

/// What stands in the place of a secret.
const REMOVED: &str = "[removed]";

/// Parameters of an address that let whoever reads them act for us.
const SECRET_PARAMETERS: [&str; 15] = [
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "signature",
    "awsaccesskeyid",
    "key-pair-id",
    "policy",
    "sig",
    "token",
    "access_token",
    "refresh_token",
    "client_id",
    "client_secret",
    "api_key",
    "code",
];

/// Headers of an answer that are not kept.
const SECRET_HEADERS: [&str; 6] =
    ["set-cookie", "set-cookie2", "cookie", "authorization", "x-api-key", "x-amz-access-token"];

/// A request that has not been sent yet.
#[derive(Clone, Debug)]
pub struct Request {
    /// The marketplace's name of the operation, against whose limit it counts.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// The headers.
    pub headers: Vec<(&'static str, Text)>,
    /// The body with its media type.
    pub body: Option<(&'static str, Text)>,
    /// What is expected in return.
    pub expects: Expects,
    /// The access token that belongs to it, if one does.
    pub token: Option<TokenKind>,
    /// The part of the marketplace that counts it by itself, such as a region; empty where there are none.
    pub partition: &'static str,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Orders.
    Post,
}

impl Method {
    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// What an access token stands for. Each kind is granted, cached and refused by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenKind {
    /// The application, or the seller it works for.
    Main,
    /// The advertiser (Amazon Ads).
    Advertiser,
    /// The application with the scope of items in bulk (eBay).
    Items,
    /// The application with the scope of Marketplace Insights (eBay).
    Insights,
    /// The user whose campaigns are read (eBay Marketing).
    User,
}

impl TokenKind {
    /// All kinds.
    pub const ALL: [TokenKind; 5] =
        [TokenKind::Main, TokenKind::Advertiser, TokenKind::Items, TokenKind::Insights, TokenKind::User];

    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            TokenKind::Main => "main",
            TokenKind::Advertiser => "advertiser",
            TokenKind::Items => "items",
            TokenKind::Insights => "insights",
            TokenKind::User => "user",
        }
    }
}

/// A text that is sent: open, or secret and never printed.
#[derive(Clone, Debug)]
pub enum Text {
    /// May be seen by everybody.
    Open(String),
    /// Prints as `[secret]`.
    Secret(Secret),
}

impl Text {
    /// Returns the text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        match self {
            Text::Open(text) => text,
            Text::Secret(secret) => secret.expose(),
        }
    }
}

/// What is expected in return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// A JSON document, unpacked on the way.
    Json,
    /// A file of any size, kept byte for byte as it is stored.
    Document,
}

impl Request {
    /// Makes a request that reads JSON.
    pub fn get(operation: &'static str, url: Url) -> Request {
        Request {
            operation,
            method: Method::Get,
            url,
            headers: Vec::new(),
            body: None,
            expects: Expects::Json,
            token: None,
            partition: "",
        }
    }

    /// Makes a request that sends a body and expects JSON.
    pub fn post(operation: &'static str, url: Url, media_type: &'static str, body: Text) -> Request {
        Request { method: Method::Post, body: Some((media_type, body)), ..Request::get(operation, url) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: Text) -> Request {
        self.headers.push((name, value));
        self
    }

    /// Returns the body as it may be kept.
    pub fn open_body(&self) -> Option<String> {
        match &self.body {
            None => None,
            Some((_, Text::Open(body))) => Some(body.clone()),
            Some((_, Text::Secret(_))) => Some(REMOVED.to_owned()),
        }
    }
}

/// An answer as it arrived.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body; of a document only the beginning.
    pub body: Vec<u8>,
    /// The document, where one was asked for and granted.
    pub document: Option<Spool>,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

impl Answer {
    /// Returns a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Returns the media type it claims, in lower case and without parameters.
    pub fn media_type(&self) -> Option<String> {
        let claimed = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        Some(claimed).filter(|claimed| !claimed.is_empty())
    }

    /// Reads the whole body.
    pub fn reader(&self) -> Box<dyn Read + '_> {
        match &self.document {
            Some(document) => Box::new(document.reader()),
            None => Box::new(self.body.as_slice()),
        }
    }

    /// Returns the whole body as it is stored.
    pub fn into_body(self) -> Body {
        self.document.map_or(Body::Held(self.body), Body::Spooled)
    }

    /// Tells whether the request was granted.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Tells whether it is a page for people: a log-in, a captcha, an error page.
    pub fn is_web_page(&self) -> bool {
        let claims =
            self.media_type().is_some_and(|claimed| claimed == "text/html" || claimed == "application/xhtml+xml");
        claims || self.body.trim_ascii_start().first() == Some(&b'<')
    }

    /// Returns how long the marketplace asks to wait, at most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(86_400);
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return Some(Duration::try_from_secs_f64(seconds).unwrap_or_default().min(LONGEST));
        }
        let moment = |text: &str| DateTime::parse_from_rfc2822(text).ok().map(|moment| moment.to_utc());
        // The marketplace's own clock, where it tells it, is the one the date is meant by.
        let now = self.header("date").and_then(moment).unwrap_or(self.received_at);
        Some((moment(text)? - now).to_std().unwrap_or_default().min(LONGEST))
    }

    /// Returns the headers as they may be kept.
    pub fn open_headers(&self) -> Value {
        let open = self.headers.iter().filter(|(name, _)| !SECRET_HEADERS.contains(&name.as_str()));
        let mut object = Map::new();
        for (name, value) in open {
            match object.get_mut(name) {
                Some(Value::String(earlier)) => {
                    earlier.push_str(", ");
                    earlier.push_str(value);
                }
                _ => {
                    object.insert(name.clone(), Value::String(value.clone()));
                }
            }
        }
        Value::Object(object)
    }
}

/// Returns an address as it may be kept: without a password, signatures and tokens.
pub fn open_url(url: &Url) -> String {
    let mut open = url.clone();
    if !url.username().is_empty() || url.password().is_some() {
        let _ = open.set_username("");
        let _ = open.set_password(None);
    }
    if let Some(query) = url.query() {
        let parameters: Vec<String> = query.split('&').map(open_parameter).collect();
        open.set_query(Some(&parameters.join("&")));
    }
    open.set_fragment(None);
    open.into()
}

fn open_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}={REMOVED}")
        }
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An answer for tests.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
            document: None,
            received_at: DateTime::from_timestamp(1_750_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn a_signed_address_is_kept_without_its_signature() {
        let url = Url::parse(
            "https://user:pass@store/doc?X-Amz-Date=1&X-Amz-Credential=AKIA%2Fx&X-Amz-Signature=abc&signature=d&a=b,c",
        );
        assert_eq!(
            open_url(&url.unwrap()),
            "https://store/doc?X-Amz-Date=1&X-Amz-Credential=[removed]&X-Amz-Signature=[removed]&signature=[removed]&a=b,c"
        );
    }

    #[test]
    fn cookies_are_not_kept() {
        let mut answer = answer(200, "application/json", "{}");
        answer.headers.push(("set-cookie".to_owned(), "session=1".to_owned()));
        answer.headers.push(("vary".to_owned(), "a".to_owned()));
        answer.headers.push(("vary".to_owned(), "b".to_owned()));
        assert_eq!(answer.open_headers(), serde_json::json!({"content-type": "application/json", "vary": "a, b"}));
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        let wait = |text: &str, date: Option<&str>| {
            let mut answer = answer(429, "application/json", "");
            answer.headers.push(("retry-after".to_owned(), text.to_owned()));
            answer.headers.extend(date.map(|date| ("date".to_owned(), date.to_owned())));
            answer.retry_after()
        };
        assert_eq!(wait("17", None), Some(Duration::from_secs(17)));
        assert_eq!(wait("99999999", None), Some(Duration::from_secs(86_400)));
        assert_eq!(wait("-1", None), Some(Duration::ZERO));
        assert_eq!(wait("soon", None), None);
        let later = wait("Tue, 03 Jun 2025 14:35:02 GMT", Some("Tue, 03 Jun 2025 14:34:02 GMT"));
        assert_eq!(later, Some(Duration::from_secs(60)));
    }
}
