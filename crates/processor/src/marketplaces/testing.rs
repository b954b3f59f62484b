//! Payloads for tests of the readers.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::observation::{Metric, Observed};
use digitallz_common::raw_payload::RawPayload;
use digitallz_common::source_contract::SourceContract;

use crate::reading::{ReadError, Reading, TrackedKeyword, TrackedKeywords};

pub(super) fn fetched_at() -> DateTime<Utc> {
    "2026-08-24T12:00:00Z".parse().expect("a time")
}

pub(super) fn payload(marketplace: Marketplace, resource: Resource, request_url: &str, body: &str) -> RawPayload {
    RawPayload {
        raw_payload_id: 1,
        site: Site::new(marketplace, "US").expect("a site"),
        resource,
        keyword_id: Some(7),
        keyword_text: Some("blue mug".to_owned()),
        crawl_run_id: uuid::Uuid::nil(),
        page_number: 1,
        request_url: request_url.to_owned(),
        status_code: 200,
        body: body.as_bytes().to_vec(),
        fetched_at: fetched_at(),
    }
}

pub(super) fn read(payload: &RawPayload) -> Result<Reading, ReadError> {
    read_for(payload, &TrackedKeywords::default())
}

/// Reads a payload about many keywords, under a contract that evolves.
pub(super) fn read_for(payload: &RawPayload, tracked: &TrackedKeywords) -> Result<Reading, ReadError> {
    super::read(payload, tracked, &SourceContract::default()).0
}

/// Returns what a reading says of a metric of a keyword.
pub(super) fn observed(reading: &Reading, keyword_id: i64, metric: Metric) -> Option<Observed> {
    let mut all = reading.observations.iter();
    all.find(|one| one.keyword_id == keyword_id && one.metric == metric).map(|one| one.observed.clone())
}

/// Makes a payload that answers a question about many keywords or a whole market.
pub(super) fn payload_of_many(marketplace: Marketplace, resource: Resource, body: &str) -> RawPayload {
    let payload = payload(marketplace, resource, "https://example.com/", body);
    RawPayload { keyword_id: None, keyword_text: None, ..payload }
}

/// Returns the value and the unit that a reading gives a metric of a keyword.
pub(super) fn value(reading: &Reading, keyword_id: i64, metric: Metric) -> Option<(f64, String)> {
    let mut all = reading.observations.iter();
    let found = all.find(|one| one.keyword_id == keyword_id && one.metric == metric)?;
    Some((found.observed.value()?, found.unit.clone()))
}

/// Tracks keywords with identifiers from 1.
pub(super) fn tracked(texts: &[&str]) -> TrackedKeywords {
    let keywords = texts.iter().zip(1..);
    keywords.map(|(text, keyword_id)| ((*text).to_owned(), TrackedKeyword { keyword_id, is_active: true })).collect()
}
