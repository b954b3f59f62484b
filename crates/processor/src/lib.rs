//! Reads stored raw payloads into keyword observations, listings and SERP entries. It never touches the network.
//!
//! | job | function | leaves behind |
//! | --- | --- | --- |
//! | `process_payload` | [`process::run`] | a payload reading with everything it says, or a quarantined payload |
//! | `purge_expired` | [`purge::run`] | nothing that was kept for as long as its source allows |

use digitallz_common::clock::Clock;
use sqlx::PgPool;

pub mod content_hash;
pub mod marketplaces;
pub mod process;
pub mod purge;
pub mod reading;

mod bids;
mod entries;
mod rows;
mod statistics;
mod store;
mod words;

/// Version of the code that reads payloads; it grows when the same payload would be read differently.
pub const READER_VERSION: i16 = 2;

/// What every job of this crate needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// The database.
    pub db: PgPool,
    /// The clock that tells when something became known.
    pub clock: Clock,
}
