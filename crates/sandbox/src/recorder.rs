//! What was asked and answered: counts always, whole exchanges when wanted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use crate::config::Marketplace;
use crate::exchange::{Answer, Incoming};

/// A request and the answer it got.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The marketplace that was asked.
    pub marketplace: Marketplace,
    /// The operation, such as `searchCatalogItems`.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query parameters in their order, decoded.
    pub query: Vec<(String, String)>,
    /// The headers without those that carry credentials.
    pub headers: Vec<(String, String)>,
    /// The body that was sent; empty for token requests, which carry credentials.
    pub body: String,
    /// The status of the answer; 0 where the connection was closed without one.
    pub status: u16,
    /// The body of the answer as announced, even where a fault cut it short; compressed documents stay compressed
    /// and those too long for memory are left out.
    pub response_body: Vec<u8>,
}

/// The memory of one sandbox.
#[derive(Default)]
pub(crate) struct Recorder {
    keep: bool,
    counts: Mutex<BTreeMap<String, u64>>,
    requests: Mutex<VecDeque<RecordedRequest>>,
}

impl Recorder {
    /// Older exchanges are forgotten.
    const REQUESTS_MAX: usize = 1_000;

    pub(crate) fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    pub(crate) fn record(&self, marketplace: Marketplace, operation: &str, incoming: &Incoming, answer: &Answer) {
        let name = format!("{}.{operation}", marketplace.as_str());
        *self.counts.lock().expect("no holder panics").entry(name).or_default() += 1;
        if !self.keep {
            return;
        }
        let mut requests = self.requests.lock().expect("no holder panics");
        if requests.len() == Self::REQUESTS_MAX {
            requests.pop_front();
        }
        requests.push_back(RecordedRequest {
            marketplace,
            operation: operation.to_owned(),
            method: incoming.method.to_string(),
            path: incoming.path.clone(),
            query: incoming.query.clone(),
            headers: open_headers(incoming),
            body: open_body(operation, incoming),
            status: answer.status,
            response_body: answer.body.clone(),
        });
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().expect("no holder panics").clone()
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().expect("no holder panics").iter().cloned().collect()
    }
}

fn open_headers(incoming: &Incoming) -> Vec<(String, String)> {
    const SECRET: [&str; 3] = ["authorization", "x-api-key", "x-amz-access-token"];
    let open = incoming.headers.iter().filter(|(name, _)| !SECRET.contains(&name.as_str()));
    open.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

fn open_body(operation: &str, incoming: &Incoming) -> String {
    if matches!(operation, "lwaToken" | "oauthToken") {
        return String::new();
    }
    String::from_utf8_lossy(&incoming.body).into_owned()
}
