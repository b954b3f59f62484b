//! Sends requests: one pool of connections, bounded bodies, no way to a foreign host.

use std::time::Duration;

use digitallz_common::clock::Clock;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use crate::config::HttpConfig;
use crate::exchange::{Answer, Expects, Method, Request, Text};

/// Largest JSON answer that is accepted, in bytes; the largest page of the contracts has a hundredth of it.
const MAX_JSON_BYTES: usize = 64 * 1024 * 1024;

const MAX_REDIRECTS: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be made.
    #[error("failed to set up the HTTP client")]
    Setup(#[source] reqwest::Error),
    /// A header value holds characters that cannot be sent.
    #[error("the header {0} holds characters that cannot be sent")]
    Header(&'static str),
    /// Nobody answered in time, or the connection broke.
    #[error("failed to reach {host}")]
    Exchange {
        /// The host.
        host: String,
        /// The cause, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// The body broke off or could not be unpacked.
    #[error("the answer of {host} broke off after {received_bytes} bytes")]
    Body {
        /// The host.
        host: String,
        /// What had arrived by then.
        received_bytes: usize,
        /// The cause, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// The body is larger than allowed.
    #[error("the answer of {host} is larger than {max_bytes} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The bound.
        max_bytes: usize,
    },
}

/// The way out.
#[derive(Clone, Debug)]
pub struct Http {
    /// Unpacks what came compressed.
    unpacking: Client,
    /// Hands over bytes as they are stored.
    verbatim: Client,
    timeout: Duration,
    max_body_bytes: usize,
}

impl Http {
    /// Makes the client of a process.
    pub fn new(config: &HttpConfig) -> Result<Http, HttpError> {
        // Fails only when a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Http {
            unpacking: builder(config).build().map_err(HttpError::Setup)?,
            verbatim: builder(config).no_gzip().build().map_err(HttpError::Setup)?,
            timeout: config.timeout,
            max_body_bytes: config.max_body_bytes,
        })
    }

    /// Returns the longest time for a whole JSON answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and receives the whole answer.
    pub async fn send(&self, request: &Request, clock: &Clock) -> Result<Answer, HttpError> {
        let host = request.url.host_str().unwrap_or("(no host)").to_owned();
        let (client, max_bytes) = match request.expects {
            Expects::Json => (&self.unpacking, self.max_body_bytes.min(MAX_JSON_BYTES)),
            Expects::Document => (&self.verbatim, self.max_body_bytes),
        };
        let mut builder = match request.method {
            Method::Get => client.get(request.url.clone()),
            Method::Post => client.post(request.url.clone()),
        };
        if request.expects == Expects::Json {
            builder = builder.timeout(self.timeout).header(ACCEPT, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, header_value(name, value)?);
        }
        if let Some((media_type, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *media_type).body(body.expose().to_owned());
        }

        let mut response = builder
            .send()
            .await
            .map_err(|source| HttpError::Exchange { host: host.clone(), source: source.without_url() })?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|source| HttpError::Body {
                host: host.clone(),
                received_bytes: body.len(),
                source: source.without_url(),
            })?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > max_bytes {
                return Err(HttpError::TooLarge { host, max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body, received_at: clock.now() })
    }
}

fn builder(config: &HttpConfig) -> ClientBuilder {
    Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(config.timeout.min(Duration::from_secs(10)))
        .read_timeout(config.timeout)
        .redirect(Policy::custom(|attempt| {
            let came_from = attempt.previous().last();
            let stays = came_from.is_some_and(|url| {
                url.scheme() == attempt.url().scheme()
                    && url.host_str() == attempt.url().host_str()
                    && url.port_or_known_default() == attempt.url().port_or_known_default()
            });
            // A stopped redirect is an answer like any other, and is judged by its status.
            if stays && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
        }))
}

fn header_value(name: &'static str, text: &Text) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| HttpError::Header(name))?;
    value.set_sensitive(matches!(text, Text::Secret(_)));
    Ok(value)
}
