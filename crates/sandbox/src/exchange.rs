//! A request and its answer, as the pretend marketplaces see them.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures::stream;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

/// Bodies longer than this are refused.
const BODY_SIZE_MAX: usize = 1 << 20;

/// A request that has been read.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether a fault wants the search to find nothing.
    pub(crate) finds_nothing: bool,
    /// Whether a fault wants a row of a streamed body to be malformed.
    pub(crate) breaks_row: bool,
}

impl Incoming {
    /// Reads a request; one whose body is too long has none.
    pub(crate) async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers,
            body: to_bytes(body, BODY_SIZE_MAX).await.unwrap_or_default(),
            finds_nothing: false,
            breaks_row: false,
        }
    }

    /// Finds a query parameter that is not empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the body as a form.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// Finds the first pair of a name whose value is not empty.
pub(crate) fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let value = pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    value.filter(|value| !value.is_empty())
}

/// An answer that has not been sent yet.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// A body that is too long for memory; it is sent instead of `body` and without announcing its length.
    pub(crate) stream: Option<Body>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), content_type, body, stream: None }
    }

    pub(crate) fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("answers hold nothing that JSON cannot express");
        Self::new(status, "application/json", body)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Turns the answer into what axum sends.
    pub(crate) fn into_response(mut self) -> Response {
        match self.stream.take() {
            Some(stream) => self.into_response_with(stream, None),
            None => {
                let length = self.body.len();
                let body = std::mem::take(&mut self.body);
                self.into_response_with(Body::from(body), Some(length))
            }
        }
    }

    /// Announces the whole body, but sends half of it and breaks off; of a stream only the beginning is sent.
    pub(crate) fn into_truncated_response(mut self) -> Response {
        const CHUNKS_OF_STREAM: usize = 4;
        let broken = stream::once(async {
            // What was sent must leave the machine before the connection is closed.
            tokio::time::sleep(Duration::from_millis(30)).await;
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        });
        if let Some(whole) = self.stream.take() {
            let beginning = whole.into_data_stream().take(CHUNKS_OF_STREAM).map_err(io::Error::other);
            return self.into_response_with(Body::from_stream(beginning.chain(broken)), None);
        }
        let half = Bytes::copy_from_slice(&self.body[..self.body.len() / 2]);
        let sent = stream::once(async move { Ok::<_, io::Error>(half) });
        let length = self.body.len();
        self.into_response_with(Body::from_stream(sent.chain(broken)), Some(length))
    }

    /// Closes the connection before anything is sent.
    pub(crate) fn into_closed_connection() -> Response {
        // The server writes the head together with the first part of the body, so an error at once leaves it unsent.
        let broken = stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
        Response::new(Body::from_stream(broken))
    }

    fn into_response_with(self, body: Body, length: Option<usize>) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if length != Some(0) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
