//! HAR 1.2 as far as it is needed: requests, answers and when they happened.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use crate::exchange::Answer;
use crate::marketplaces::ebay;

/// The file; its entries are read one by one, so that a bad one spoils no other.
pub struct Har {
    /// The text of every entry.
    pub entries: Vec<Box<RawValue>>,
}

/// A request and its answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When the request was sent, as written.
    #[serde(default)]
    pub started_date_time: String,
    /// The request.
    pub request: Request,
    /// The answer.
    pub response: Response,
}

/// The request of an entry.
#[derive(Deserialize)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    #[serde(default)]
    headers: Vec<Header>,
}

/// The answer of an entry.
#[derive(Deserialize)]
pub struct Response {
    /// The status; 0 when there was none.
    pub status: u16,
    #[serde(default)]
    headers: Vec<Header>,
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    #[serde(default, deserialize_with = "header_value")]
    value: String,
}

/// Reads the value of a header; one that is not a text is taken for an empty one, and never shown.
fn header_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned).unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    mime_type: Option<String>,
    text: Option<Box<RawValue>>,
    encoding: Option<String>,
}

impl Har {
    /// Reads a file; an error names line and column.
    pub fn parse(bytes: &[u8]) -> Result<Har, serde_json::Error> {
        #[derive(Deserialize)]
        struct File {
            log: Log,
        }
        #[derive(Deserialize)]
        struct Log {
            entries: Vec<Box<RawValue>>,
        }
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let file: File = serde_json::from_slice(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes))?;
        Ok(Har { entries: file.log.entries })
    }
}

impl Entry {
    /// Reads an entry.
    pub fn parse(text: &str) -> Result<Entry, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the address.
    pub fn url(&self) -> Result<Url, url::ParseError> {
        Url::parse(&self.request.url)
    }

    /// Returns the header by which eBay is told the country site.
    pub fn marketplace_header(&self) -> Option<&str> {
        let mut headers = self.request.headers.iter();
        let header = headers.find(|header| header.name.eq_ignore_ascii_case(ebay::request::MARKETPLACE_HEADER));
        header.map(|header| header.value.as_str())
    }

    /// Returns when the request was sent; an answer of unknown age is of no use to a series.
    pub fn recorded_at(&self) -> Result<DateTime<Utc>, String> {
        let text = self.started_date_time.trim();
        let Ok(recorded_at) = DateTime::parse_from_rfc3339(text) else {
            return Err(format!("no time: startedDateTime is '{text}'"));
        };
        // Tools write 1970 when they do not know.
        if recorded_at.timestamp() < 86_400 {
            return Err(format!("no time: startedDateTime is {text}, which stands for an unknown time"));
        }
        Ok(recorded_at.to_utc())
    }

    /// Returns the body, if there is one.
    pub fn body(&self) -> Result<Option<Vec<u8>>, String> {
        let Some(content) = &self.response.content else { return Ok(None) };
        let Some(raw) = content.text.as_deref().map(RawValue::get) else { return Ok(None) };
        // Some tools parse JSON and record what they parsed; its bytes in the file are the body then.
        if raw.starts_with(['{', '[']) {
            return Ok(Some(raw.as_bytes().to_vec()));
        }
        let Ok(text) = serde_json::from_str::<String>(raw) else {
            return Err("its body is neither a text nor JSON".to_owned());
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        match content.encoding.as_deref() {
            None | Some("") => Ok(Some(text.as_bytes().to_vec())),
            Some(encoding) if encoding.eq_ignore_ascii_case("base64") => {
                let packed: String = text.split_ascii_whitespace().collect();
                let body = STANDARD.decode(packed).map_err(|error| format!("its body is no base64: {error}"))?;
                Ok(Some(body).filter(|body| !body.is_empty()))
            }
            Some(other) => Err(format!("its body is encoded as '{other}', which is unknown")),
        }
    }

    /// Returns the media type of the answer.
    pub fn media_type(&self) -> Option<String> {
        let answer = self.answer();
        let content = || self.response.content.as_ref()?.mime_type.clone().filter(|claimed| !claimed.is_empty());
        answer.media_type().or_else(content)
    }

    /// Returns the headers of the answer as they may be kept.
    pub fn open_headers(&self) -> Value {
        self.answer().open_headers()
    }

    fn answer(&self) -> Answer {
        let headers = self.response.headers.iter();
        Answer {
            status: self.response.status,
            headers: headers.map(|header| (header.name.to_ascii_lowercase(), header.value.clone())).collect(),
            body: Vec::new(),
            document: None,
            received_at: DateTime::UNIX_EPOCH,
        }
    }
}
