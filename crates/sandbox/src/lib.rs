//! Pretend marketplaces for the demo and the tests.
//!
//! A [`Sandbox`] serves Amazon, Etsy and eBay on three local ports from one seeded world.
//! Answers have the shape of the published contracts, with their limits and their traps.
//! The same seed and the same moment give the same answers; trouble is scripted with [`FaultRule`]s.
//!
//! | marketplace | operations |
//! | --- | --- |
//! | Amazon | `lwaToken`, `searchCatalogItems`, `createReport`, `getReport`, `getReportDocument`, `downloadDocument` |
//! | Etsy | `findAllListingsActive`, `getListingsByListingIds` |
//! | eBay | `oauthToken`, `itemSummarySearch` |
//!
//! Every server is also steered over HTTP: `POST /__sandbox/faults` with a [`FaultRule`] as JSON,
//! `DELETE /__sandbox/faults`, `POST /__sandbox/clock` with `{"now": "..."}` and `GET /__sandbox/state`.

mod amazon;
mod browse;
mod catalog;
mod clock;
mod config;
mod ebay;
mod etsy;
mod exchange;
mod faults;
mod keyword_tables;
mod keywords;
mod limits;
mod listings;
mod noise;
mod recorder;
mod refinements;
mod reports;
mod server;
mod tokens;
mod words;
mod world;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use config::credentials;
use server::Shared;

pub use config::{Marketplace, SandboxConfig};
pub use faults::{Fault, FaultRule};
pub use keywords::keywords;
pub use recorder::RecordedRequest;
pub use world::true_weekly_demand;

/// Three pretend marketplaces that run until they are stopped or dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    base_urls: [String; 3],
    shutdown: watch::Sender<bool>,
    servers: Vec<JoinHandle<io::Result<()>>>,
}

impl Sandbox {
    /// How long open connections may keep [`Sandbox::stop`] waiting.
    const STOP_WAIT_MAX: Duration = Duration::from_secs(2);

    /// Binds the ports and begins to serve.
    pub async fn start(config: SandboxConfig) -> io::Result<Sandbox> {
        let shared = Arc::new(Shared::new(&config));
        let mut listeners = Vec::new();
        let mut base_urls: [String; 3] = Default::default();
        for (base_url, port) in base_urls.iter_mut().zip(config.ports) {
            let listener = TcpListener::bind(("127.0.0.1", port)).await?;
            *base_url = format!("http://{}", listener.local_addr()?);
            listeners.push(listener);
        }
        shared.base_urls.get_or_init(|| base_urls.clone());

        let (shutdown, stopping) = watch::channel(false);
        let mut servers = Vec::new();
        for (marketplace, listener) in Marketplace::ALL.into_iter().zip(listeners) {
            let base_url = shared.base_url(marketplace);
            info!(marketplace = marketplace.as_str(), "serving {} at {base_url}", marketplace.as_str());
            let listener = listener.tap_io(|connection| {
                // Without this, small answers wait for the client's acknowledgement of earlier ones.
                let _ = connection.set_nodelay(true);
            });
            let serving = axum::serve(listener, server::router(Arc::clone(&shared), marketplace))
                .with_graceful_shutdown(until_stopped(stopping.clone()));
            servers.push(tokio::spawn(serving.into_future()));
        }
        Ok(Sandbox { shared, base_urls, shutdown, servers })
    }

    /// The environment settings that point collectors here.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let [amazon, etsy, ebay] = &self.base_urls;
        vec![
            ("DIGITALLZ_AMAZON_BASE_URL", amazon.clone()),
            ("DIGITALLZ_AMAZON_TOKEN_URL", format!("{amazon}/auth/o2/token")),
            ("DIGITALLZ_AMAZON_CLIENT_ID", credentials::AMAZON_CLIENT_ID.to_owned()),
            ("DIGITALLZ_AMAZON_CLIENT_SECRET", credentials::AMAZON_CLIENT_SECRET.to_owned()),
            ("DIGITALLZ_AMAZON_REFRESH_TOKEN", credentials::AMAZON_REFRESH_TOKEN.to_owned()),
            ("DIGITALLZ_ETSY_BASE_URL", etsy.clone()),
            ("DIGITALLZ_ETSY_KEYSTRING", credentials::ETSY_KEYSTRING.to_owned()),
            ("DIGITALLZ_ETSY_SHARED_SECRET", credentials::ETSY_SHARED_SECRET.to_owned()),
            ("DIGITALLZ_EBAY_BASE_URL", ebay.clone()),
            ("DIGITALLZ_EBAY_CLIENT_ID", credentials::EBAY_CLIENT_ID.to_owned()),
            ("DIGITALLZ_EBAY_CLIENT_SECRET", credentials::EBAY_CLIENT_SECRET.to_owned()),
        ]
    }

    /// Sets the world's clock, which then stands still.
    pub fn set_now(&self, now: DateTime<Utc>) {
        self.shared.clock.set(now);
    }

    /// Reads the world's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Adds a fault; of several rules that fit a request the oldest counts.
    pub fn inject(&self, rule: FaultRule) {
        self.shared.faults.inject(rule);
    }

    /// Counts the requests so far by operation, such as `amazon.searchCatalogItems`.
    pub fn request_counts(&self) -> BTreeMap<String, u64> {
        self.shared.recorder.counts()
    }

    /// The latest thousand requests with their answers, oldest first; empty unless `keep_requests` was set.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.recorder.requests()
    }

    /// Stops serving; open connections get a moment to finish.
    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        for mut server in self.servers {
            if tokio::time::timeout(Self::STOP_WAIT_MAX, &mut server).await.is_err() {
                server.abort();
            }
        }
    }
}

/// Waits until the sandbox is stopped or dropped.
async fn until_stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sandbox was dropped, which also ends the wait.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}
