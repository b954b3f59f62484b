//! Pretend marketplaces for the demo and the tests.
//!
//! A [`Sandbox`] serves Amazon, Etsy and eBay on three local ports from one seeded world.
//! Answers have the shape of the published contracts, with their limits and their traps.
//! The same seed and the same moment give the same answers; trouble is scripted with [`FaultRule`]s.
//!
//! | marketplace | operations |
//! | --- | --- |
//! | Amazon | `lwaToken`, `searchCatalogItems`, `createReport`, `getReport`, `getReportDocument`, `downloadDocument`, `getCompetitiveSummary` |
//! | Amazon Ads | `getKeywordRecommendations`, on the server of Amazon |
//! | Etsy | `findAllListingsActive`, `getListingsByListingIds`, `getShop`, `getReviewsByListing` |
//! | eBay | `oauthToken`, `itemSummarySearch`, `getItems`, `getRateLimits`, `getDefaultCategoryTreeId`, `getCategorySuggestions`, `itemSalesSearch`, `suggestBids` |
//!
//! A request takes from the limits of its scope first; one over a limit gets the honest 429 and is counted in no
//! window. One within the limits may meet a fault, else its credentials are looked at and it is answered.
//!
//! | scope | takes from it |
//! | --- | --- |
//! | `amazon.<operation>` | that operation |
//! | `etsy.any` | every operation of Etsy |
//! | `ebay.oauthToken`, `ebay.browse`, `ebay.browse.items`, `ebay.insights` | `oauthToken`, `itemSummarySearch`, `getItems`, `itemSalesSearch` |
//! | `ebay.taxonomy` | `getDefaultCategoryTreeId`, `getCategorySuggestions` |
//! | `ebay.analytics`, `ebay.marketing` | `getRateLimits`, `suggestBids` |
//!
//! Every server is also steered over HTTP:
//!
//! | request | does |
//! | --- | --- |
//! | `POST /__sandbox/faults` with a [`FaultRule`], `DELETE /__sandbox/faults` | adds a fault, forgets all |
//! | `POST /__sandbox/clock` with `{"now": "..."}` | sets the world's clock |
//! | `POST /__sandbox/limits` with a map from scopes to lists of [`LimitWindow`]s | changes limits at once |
//! | `POST /__sandbox/tokens/expire` | ends the life of every token |
//! | `GET /__sandbox/state` | shows the clock, requests, minted tokens and [`LimitStatistics`] by scope |
//! | `POST /__sandbox/state/reset` | begins the limit statistics anew |

mod ads;
mod amazon;
mod analytics;
mod browse;
mod catalog;
mod clock;
mod config;
mod control;
mod ebay;
mod entrants;
mod etsy;
mod exchange;
mod faults;
mod insights;
mod items;
mod keyword_tables;
mod keywords;
mod limits;
mod listings;
mod long_report;
mod marketing;
mod noise;
mod pricing;
mod products;
mod query_performance;
mod recorder;
mod refinements;
mod reports;
mod reviews;
mod server;
mod shops;
mod taxonomy;
mod tokens;
mod trouble;
mod windows;
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
pub use entrants::{Position, SearchResults, true_entry_probability};
pub use faults::{Fault, FaultRule};
pub use keywords::keywords;
pub use limits::{LimitError, LimitStatistics, WindowStatistics};
pub use recorder::RecordedRequest;
pub use windows::{LimitWindow, Period};
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

    /// Binds the ports and begins to serve; limits without a meaning are an invalid input.
    pub async fn start(config: SandboxConfig) -> io::Result<Sandbox> {
        let shared = Shared::new(&config).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let shared = Arc::new(shared);
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
        let own_asins: Vec<String> = products::own(&self.shared.world).iter().map(products::Product::asin).collect();
        vec![
            ("DIGITALLZ_AMAZON_BASE_URL", amazon.clone()),
            ("DIGITALLZ_AMAZON_TOKEN_URL", format!("{amazon}/auth/o2/token")),
            ("DIGITALLZ_AMAZON_CLIENT_ID", credentials::AMAZON_CLIENT_ID.to_owned()),
            ("DIGITALLZ_AMAZON_CLIENT_SECRET", credentials::AMAZON_CLIENT_SECRET.to_owned()),
            ("DIGITALLZ_AMAZON_REFRESH_TOKEN", credentials::AMAZON_REFRESH_TOKEN.to_owned()),
            ("DIGITALLZ_AMAZON_ASINS", own_asins.join(" ")),
            ("DIGITALLZ_AMAZON_ADS_BASE_URL", amazon.clone()),
            ("DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN", credentials::AMAZON_ADS_REFRESH_TOKEN.to_owned()),
            ("DIGITALLZ_AMAZON_ADS_PROFILE_ID", credentials::AMAZON_ADS_PROFILE_ID.to_owned()),
            ("DIGITALLZ_ETSY_BASE_URL", etsy.clone()),
            ("DIGITALLZ_ETSY_KEYSTRING", credentials::ETSY_KEYSTRING.to_owned()),
            ("DIGITALLZ_ETSY_SHARED_SECRET", credentials::ETSY_SHARED_SECRET.to_owned()),
            ("DIGITALLZ_EBAY_BASE_URL", ebay.clone()),
            ("DIGITALLZ_EBAY_CLIENT_ID", credentials::EBAY_CLIENT_ID.to_owned()),
            ("DIGITALLZ_EBAY_CLIENT_SECRET", credentials::EBAY_CLIENT_SECRET.to_owned()),
            ("DIGITALLZ_EBAY_USER_REFRESH_TOKEN", credentials::EBAY_USER_REFRESH_TOKEN.to_owned()),
            ("DIGITALLZ_EBAY_CAMPAIGN_ID", credentials::EBAY_CAMPAIGN_ID.to_owned()),
            ("DIGITALLZ_EBAY_AD_GROUP_ID", credentials::EBAY_AD_GROUP_ID.to_owned()),
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

    /// Adds a fault; of several rules that hit a request the oldest counts.
    pub fn inject(&self, rule: FaultRule) {
        self.shared.faults.inject(rule);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Changes the limits of some scopes at once; what was taken stays taken where kind and length stay the same.
    pub fn set_limits(&self, limits: &BTreeMap<String, Vec<LimitWindow>>) -> Result<(), LimitError> {
        self.shared.set_limits(limits)
    }

    /// Says by scope what was accepted and refused, and how far every window was used.
    pub fn limit_statistics(&self) -> BTreeMap<String, LimitStatistics> {
        self.shared.limit_statistics()
    }

    /// Begins the limit statistics anew; what was taken from the limits stays taken.
    pub fn reset_statistics(&self) {
        self.shared.forget_statistics();
    }

    /// Ends the life of every token.
    pub fn expire_tokens(&self) {
        self.shared.expire_tokens();
    }

    /// Counts the tokens given out so far by what they open: `amazon`, `amazon_ads`, `ebay`, `ebay_insights` or
    /// `ebay_user`.
    pub fn tokens_minted(&self) -> BTreeMap<String, u64> {
        self.shared.tokens_minted()
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
