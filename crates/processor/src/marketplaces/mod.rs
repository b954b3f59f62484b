//! The readers of the marketplaces' answers, all pure functions.
//!
//! A page says what it says of its first page only: metrics that sum up a page are comparable from one sample to the
//! next only when they are about the same positions, so later pages give listings and SERP entries and no observations.

use std::io::Read;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::raw_payload::RawPayload;

use crate::imports;
use crate::reading::{Problem, ReadError, Reading, TrackedKeywords};

mod amazon;
mod ebay;
mod etsy;

/// Largest body that is held in memory where a reader needs the whole of it.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Reads a payload. `tracked` is looked at only where an answer is about many keywords.
pub fn read(payload: &RawPayload, tracked: &TrackedKeywords) -> Result<Reading, ReadError> {
    if !(200..300).contains(&payload.status_code) {
        return Err(ReadError::Status(payload.status_code));
    }
    if let Some(imported) = imports::read_payload(payload, payload.body.as_slice(), tracked) {
        return imported;
    }
    match payload.site.marketplace {
        Marketplace::Amazon => amazon::read(payload, tracked),
        Marketplace::Etsy => etsy::read(payload),
        Marketplace::Ebay => ebay::read(payload, tracked),
    }
}

/// Reads a payload whose body is not in memory but passes by. Reports and files of users are read so; of other resources
/// the body is taken into memory, within a bound.
pub fn read_passing(
    payload: &RawPayload,
    body: &mut dyn Read,
    tracked: &TrackedKeywords,
) -> Result<Reading, ReadError> {
    if !(200..300).contains(&payload.status_code) {
        return Err(ReadError::Status(payload.status_code));
    }
    if let Some(imported) = imports::read_payload(payload, &mut *body, tracked) {
        return imported;
    }
    if payload.resource == Resource::SearchTermsReport && payload.site.marketplace == Marketplace::Amazon {
        return amazon::read_report(body, tracked);
    }
    let mut held = Vec::new();
    body.take(MAX_HELD_BYTES as u64 + 1).read_to_end(&mut held).map_err(|error| Problem::at("", error.to_string()))?;
    if held.len() > MAX_HELD_BYTES {
        return Err(Problem::at("", format!("it is larger than {MAX_HELD_BYTES} bytes")).into());
    }
    read(&RawPayload { body: held, ..payload.clone() }, tracked)
}

#[cfg(test)]
mod testing;
