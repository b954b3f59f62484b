//! Asks the marketplaces and keeps their answers verbatim: the only crate that calls out.
//!
//! | job | function | leaves behind |
//! | --- | --- | --- |
//! | `plan_crawl` | [`plan::run`] | jobs `fetch_page` |
//! | `fetch_page` | [`fetch::run`] | a raw payload, the next `fetch_page`, `process_payload` |
//!
//! Answers that others recorded come in through [`recording::ingest_har`].

pub mod config;
pub mod cost;
pub mod estimate;
pub mod fetch;
pub mod grants;
pub mod plan;
pub mod quota;
pub mod recording;
pub mod selection;

mod ask;
mod canary;
mod exchange;
mod gate;
mod http;
mod limits;
mod marketplaces;
mod terms;
mod token;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use digitallz_common::clock::Clock;
use digitallz_common::raw_payload::stores::BodyStores;
use sqlx::PgPool;

pub use http::HttpError;
pub use marketplaces::disposition::{Disposition, disposition};
pub use marketplaces::{Marketplaces, MissingSettings, OutlookError};

use config::CollectorConfig;

/// What the jobs of this crate work with.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub db: PgPool,
    /// The clock of the world.
    pub clock: Clock,
    /// The object stores, where bodies are to go into one.
    pub body_stores: BodyStores,
    /// The marketplaces with their limits and tokens, one set for the whole process.
    pub marketplaces: Arc<Marketplaces>,
    /// What the marketplaces were made of.
    pub config: Arc<CollectorConfig>,
}

impl Context {
    /// Returns the time of the world where it is not that of the database.
    pub(crate) fn world(&self) -> Option<DateTime<Utc>> {
        match self.clock {
            Clock::System => None,
            Clock::Manual(_) => Some(self.clock.now()),
        }
    }

    /// Makes the context of a process.
    pub fn new(
        db: PgPool,
        clock: Clock,
        body_stores: BodyStores,
        config: &CollectorConfig,
    ) -> Result<Context, HttpError> {
        let marketplaces = Arc::new(Marketplaces::new(config)?);
        Ok(Context { db, clock, body_stores, marketplaces, config: Arc::new(config.clone()) })
    }
}
