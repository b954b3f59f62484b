//! The readers of the marketplaces' answers, all pure functions.
//!
//! A page says what it says of its first page only: metrics that sum up a page are comparable from one sample to the
//! next only when they are about the same positions, so later pages give listings and SERP entries and no observations.

use std::io::Read;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::raw_payload::RawPayload;
use digitallz_common::source_contract::SourceContract;

use crate::drift::shape::Shape;
use crate::guard::Guard;
use crate::imports;
use crate::reading::{Problem, ReadError, Reading, TrackedKeywords};

mod amazon;
mod ebay;
mod etsy;

/// Largest body that is held in memory where a reader needs the whole of it.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Reads a payload under the contract of its source, and tells its shape. `tracked` is looked at only where an answer is
/// about many keywords.
pub fn read(
    payload: &RawPayload,
    tracked: &TrackedKeywords,
    contract: &SourceContract,
) -> (Result<Reading, ReadError>, Shape) {
    let mut guard = Guard::new(contract);
    let outcome = read_guarded(payload, tracked, &mut guard);
    guard.close(outcome)
}

/// Returns the shape of every row of a payload, as far as it can be read.
pub(crate) fn shape_in_full(payload: &RawPayload) -> Shape {
    let contract = SourceContract::default();
    let mut guard = Guard::new(&contract).of_every_row();
    let outcome = read_guarded(payload, &TrackedKeywords::default(), &mut guard);
    guard.close(outcome).1
}

fn read_guarded(payload: &RawPayload, tracked: &TrackedKeywords, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    if !(200..300).contains(&payload.status_code) {
        return Err(ReadError::Status(payload.status_code));
    }
    if let Some(imported) = imports::read_payload(payload, payload.body.as_slice(), tracked) {
        return imported;
    }
    match payload.site.marketplace {
        Marketplace::Amazon => amazon::read(payload, tracked, guard),
        Marketplace::Etsy => etsy::read(payload, guard),
        Marketplace::Ebay => ebay::read(payload, tracked, guard),
    }
}

/// Reads a payload whose body is not in memory but passes by. Reports and files of users are read so; of other resources
/// the body is taken into memory, within a bound.
pub fn read_passing(
    payload: &RawPayload,
    body: &mut dyn Read,
    tracked: &TrackedKeywords,
    contract: &SourceContract,
) -> (Result<Reading, ReadError>, Shape) {
    let mut guard = Guard::new(contract);
    let outcome = read_passing_guarded(payload, body, tracked, &mut guard);
    guard.close(outcome)
}

fn read_passing_guarded(
    payload: &RawPayload,
    body: &mut dyn Read,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    let is_success = (200..300).contains(&payload.status_code);
    if is_success && let Some(imported) = imports::read_payload(payload, &mut *body, tracked) {
        return imported;
    }
    if is_success && payload.resource == Resource::SearchTermsReport && payload.site.marketplace == Marketplace::Amazon
    {
        return amazon::read_report(body, tracked, guard);
    }
    let mut held = Vec::new();
    body.take(MAX_HELD_BYTES as u64 + 1).read_to_end(&mut held).map_err(|error| Problem::at("", error.to_string()))?;
    if held.len() > MAX_HELD_BYTES {
        return Err(Problem::at("", format!("it is larger than {MAX_HELD_BYTES} bytes")).into());
    }
    read_guarded(&RawPayload { body: held, ..payload.clone() }, tracked, guard)
}

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod testing;
