//! Reads stored raw payloads into keyword observations, listings and SERP entries. Of the network it knows Postgres and the object store.
//!
//! | job | function | leaves behind |
//! | --- | --- | --- |
//! | `process_payload` | [`process::run`] | a payload reading with everything it says, or a quarantined payload |
//! | `purge_expired` | [`purge::run`] | nothing that was kept for as long as its source allows |
//!
//! Besides the jobs, [`drift::update`] tells how answers differ from those of the days before, and [`quarantine`] reads
//! again what could not be read.

use digitallz_common::clock::Clock;
use digitallz_common::raw_payload::stores::BodyStores;
use sqlx::PgPool;

use crate::load::Loader;

pub mod content_hash;
pub mod drift;
pub mod imports;
pub mod marketplaces;
pub mod process;
pub mod publish;
pub mod purge;
pub mod quarantine;
pub mod reading;
pub mod reprocess;
pub mod tables;

mod bids;
mod entries;
mod guard;
mod load;
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
    /// The object stores in which bodies lie.
    pub body_stores: BodyStores,
    loader: Loader,
}

impl Context {
    /// Makes a context with a loader of its own.
    pub fn new(db: PgPool, clock: Clock, body_stores: BodyStores) -> Context {
        let loader = Loader::start(db.clone(), clock.clone());
        Context { db, clock, body_stores, loader }
    }
}
