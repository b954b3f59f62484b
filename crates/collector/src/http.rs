//! Sends requests: one pool of connections, bounded bodies, no way to a foreign host.
//!
//! JSON is held in memory. A document may have gigabytes: it passes into a file without a name as it arrives.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use digitallz_common::clock::Clock;
use digitallz_common::spool::{Spool, SpoolWriter};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use tokio::sync::mpsc;

use crate::config::HttpConfig;
use crate::exchange::{Answer, Expects, Method, Request, Text};

/// Largest JSON answer that is accepted, in bytes; the largest page of the contracts has a hundredth of it.
const MAX_JSON_BYTES: usize = 64 * 1024 * 1024;

/// Longest beginning of a document, and of what comes in its place, that is held in memory, in bytes.
const MAX_START_BYTES: usize = 64 * 1024;

/// Pieces of a document that have arrived and are not written yet.
const PIECES_AHEAD: usize = 8;

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
        received_bytes: u64,
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
        max_bytes: u64,
    },
    /// The document cannot be written down.
    #[error("failed to write a document to a temporary file")]
    Spool(#[source] io::Error),
}

/// The way out.
#[derive(Clone, Debug)]
pub struct Http {
    /// Unpacks what came compressed.
    unpacking: Client,
    /// Hands over bytes as they are stored.
    verbatim: Client,
    timeout: Duration,
    max_document_bytes: u64,
    spool_dir: Option<PathBuf>,
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
            max_document_bytes: config.max_document_bytes,
            spool_dir: config.spool_dir.clone(),
        })
    }

    /// Returns the longest time for a whole JSON answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and receives the whole answer.
    pub async fn send(&self, request: &Request, clock: &Clock) -> Result<Answer, HttpError> {
        let host = request.url.host_str().unwrap_or("(no host)").to_owned();
        let client = match request.expects {
            Expects::Json => &self.unpacking,
            Expects::Document => &self.verbatim,
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

        let response = builder
            .send()
            .await
            .map_err(|source| HttpError::Exchange { host: host.clone(), source: source.without_url() })?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let receiving = Receiving { response, host, received_bytes: 0 };
        let (body, document) = match request.expects {
            Expects::Json => (receiving.hold(MAX_JSON_BYTES).await?, None),
            Expects::Document if (200..300).contains(&status) => {
                let (start, document) = receiving.spool(self.spool_dir.clone(), self.max_document_bytes).await?;
                (start, Some(document))
            }
            // The words of a refusal are few; what is longer is a page for people, whose beginning tells it.
            Expects::Document => (receiving.start().await?, None),
        };
        Ok(Answer { status, headers, body, document, received_at: clock.now() })
    }
}

/// An answer whose body is on its way.
struct Receiving {
    response: Response,
    host: String,
    received_bytes: u64,
}

impl Receiving {
    /// Receives the body into memory.
    async fn hold(mut self, max_bytes: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        while let Some(piece) = self.next(max_bytes as u64).await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Receives the beginning of the body into memory, and leaves the rest.
    async fn start(mut self) -> Result<Vec<u8>, HttpError> {
        let mut start = Vec::new();
        while start.len() < MAX_START_BYTES
            && let Some(piece) = self.next(u64::MAX).await?
        {
            start.extend_from_slice(&piece);
        }
        start.truncate(MAX_START_BYTES);
        Ok(start)
    }

    /// Receives the body into a file, and its beginning into memory as well.
    async fn spool(mut self, directory: Option<PathBuf>, max_bytes: u64) -> Result<(Vec<u8>, Spool), HttpError> {
        if self.response.content_length().is_some_and(|length| length > max_bytes) {
            return Err(HttpError::TooLarge { host: self.host, max_bytes });
        }
        let (sender, mut receiver) = mpsc::channel::<Bytes>(PIECES_AHEAD);
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = SpoolWriter::create(directory.as_deref())?;
            while let Some(piece) = receiver.blocking_recv() {
                writer.write(&piece)?;
            }
            Ok::<_, io::Error>(writer.finish())
        });
        let mut start = Vec::new();
        while let Some(piece) = self.next(max_bytes).await? {
            let missing = MAX_START_BYTES.saturating_sub(start.len()).min(piece.len());
            start.extend_from_slice(&piece[..missing]);
            if sender.send(piece).await.is_err() {
                break; // Writing has failed and says below why.
            }
        }
        drop(sender);
        let written = writing.await.map_err(io::Error::other).flatten();
        Ok((start, written.map_err(HttpError::Spool)?))
    }

    /// Receives the next piece, unless with it the body becomes too large.
    async fn next(&mut self, max_bytes: u64) -> Result<Option<Bytes>, HttpError> {
        let piece = self.response.chunk().await.map_err(|source| HttpError::Body {
            host: self.host.clone(),
            received_bytes: self.received_bytes,
            source: source.without_url(),
        })?;
        self.received_bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.received_bytes > max_bytes {
            return Err(HttpError::TooLarge { host: self.host.clone(), max_bytes });
        }
        Ok(piece)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use digitallz_common::clock::Clock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;

    /// Answers one request with these bytes, then holds the connection open as long or closes it.
    async fn serve(answer: Vec<u8>, silence: Duration) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/document", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).await.unwrap();
            let _ = connection.write_all(&answer).await;
            tokio::time::sleep(silence).await;
        });
        Url::parse(&url).unwrap()
    }

    async fn ask(url: Url, spool_dir: &Path, max_document_bytes: u64) -> Result<Answer, HttpError> {
        let config = HttpConfig {
            timeout: Duration::from_millis(300),
            max_document_bytes,
            spool_dir: Some(spool_dir.to_owned()),
            ..HttpConfig::default()
        };
        let request = Request { expects: Expects::Document, ..Request::get("downloadDocument", url) };
        Http::new(&config).unwrap().send(&request, &Clock::System).await
    }

    fn head(status: &str, length: usize) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    }

    #[tokio::test]
    async fn a_document_lies_in_a_file_as_it_came_and_its_beginning_in_memory() {
        let body: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
        let url = serve([head("200 OK", body.len()), body.clone()].concat(), Duration::ZERO).await;
        let answer = ask(url, &std::env::temp_dir(), 300_000).await.unwrap();
        assert_eq!(answer.document.as_ref().unwrap().size_bytes(), 300_000);
        let mut whole = Vec::new();
        answer.reader().read_to_end(&mut whole).unwrap();
        assert!(whole == body);
        assert!(answer.body == body[..MAX_START_BYTES]);
    }

    #[tokio::test]
    async fn a_refusal_is_held_in_memory_up_to_a_bound() {
        let body = vec![b'x'; 200_000];
        let url = serve([head("403 Forbidden", body.len()), body].concat(), Duration::ZERO).await;
        let answer = ask(url, Path::new("/nowhere"), 10).await.unwrap();
        assert!(answer.document.is_none());
        assert_eq!((answer.status, answer.body.len()), (403, MAX_START_BYTES));
    }

    #[tokio::test]
    async fn a_document_that_is_too_large_breaks_off_falls_silent_or_finds_no_room_is_no_answer() {
        let announced = serve(head("200 OK", 101), Duration::ZERO).await;
        let unannounced = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 101]].concat();
        let unannounced = serve(unannounced, Duration::ZERO).await;
        for url in [announced, unannounced] {
            let error = ask(url, &std::env::temp_dir(), 100).await.unwrap_err();
            assert!(matches!(error, HttpError::TooLarge { max_bytes: 100, .. }), "{error}");
        }
        for silence in [Duration::ZERO, Duration::from_secs(60)] {
            let url = serve([head("200 OK", 100), vec![b'x'; 60]].concat(), silence).await;
            let error = ask(url, &std::env::temp_dir(), 100).await.unwrap_err();
            assert!(matches!(error, HttpError::Body { received_bytes: 60, .. }), "{error}");
        }
        let url = serve([head("200 OK", 3), b"{}\n".to_vec()].concat(), Duration::ZERO).await;
        let error = ask(url, Path::new("/nowhere"), 100).await.unwrap_err();
        assert!(matches!(error, HttpError::Spool(_)), "{error}");
    }
}
