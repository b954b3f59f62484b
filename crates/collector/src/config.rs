//! How the collectors are configured: credentials, addresses, limits and depth, per marketplace.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::secret::Secret;
use url::Url;

pub use crate::limits::{Limits, LimitsError, Renewal, Window};
pub use crate::marketplaces::amazon::{Asins, AsinsError};
pub use crate::marketplaces::{amazon, ebay, etsy};

/// Largest report document that is accepted unless another bound is set, in bytes as it is sent: 8 GiB.
pub const MAX_DOCUMENT_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Everything the collectors are told. A marketplace that is absent has no credentials, and its jobs are given up.
#[derive(Clone, Debug, Default)]
pub struct CollectorConfig {
    /// Amazon, by the Selling Partner API.
    pub amazon: Option<AmazonConfig>,
    /// Etsy, by the Open API v3.
    pub etsy: Option<EtsyConfig>,
    /// eBay, by the Buy APIs.
    pub ebay: Option<EbayConfig>,
    /// The kinds of data that are asked for, where they are not the defaults.
    pub resources: BTreeMap<Marketplace, Vec<Resource>>,
    /// When a source that fails is left alone.
    pub breaker: BreakerConfig,
    /// A keyword that has results in every market; without one, a search that finds nothing is believed.
    pub canary: Option<String>,
    /// What holds for every request.
    pub http: HttpConfig,
}

/// When a source that fails is left alone.
#[derive(Clone, Copy, Debug)]
pub struct BreakerConfig {
    /// Failures in a row after which nobody asks.
    pub failures: u32,
    /// For how long, the first time; doubled with each further time, an hour at most.
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig { failures: 10, open_for: Duration::from_secs(60) }
    }
}

/// What holds for every HTTP request.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Longest time for a whole answer; for a report document, longest silence while it is received.
    pub timeout: Duration,
    /// Largest report document that is accepted, in bytes as it is sent.
    pub max_document_bytes: u64,
    /// Where documents lie while they are received; absent takes the machine's directory for temporary files.
    pub spool_dir: Option<PathBuf>,
    /// How the collectors introduce themselves.
    pub user_agent: String,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            timeout: Duration::from_secs(30),
            max_document_bytes: MAX_DOCUMENT_BYTES,
            spool_dir: None,
            user_agent: concat!("digitallz-keywords/", env!("CARGO_PKG_VERSION"), " (Language=Rust)").to_owned(),
        }
    }
}

/// How Amazon is asked.
#[derive(Clone, Debug)]
pub struct AmazonConfig {
    /// Address of the API; absent takes the region of the market (North America, Europe, Far East).
    pub base_url: Option<Url>,
    /// Address where access tokens are issued.
    pub token_url: Url,
    /// Identifier of the application; empty counts as missing.
    pub client_id: Secret,
    /// Secret of the application; empty counts as missing.
    pub client_secret: Secret,
    /// The seller's long-lived token; empty counts as missing.
    pub refresh_token: Secret,
    /// Items per page of a catalog search, 1 to 20.
    pub page_size: u32,
    /// Pages per keyword; one, because paging by keyword is unreliable.
    pub pages: u32,
    /// Shortest time before asking again whether a report is done, see [`AmazonConfig::look_again_after`].
    pub report_poll_delay: Duration,
    /// The user's own listings, which reports and bids are about.
    pub asins: Asins,
    /// Address of Amazon Ads; absent takes the region of the market.
    pub ads_base_url: Option<Url>,
    /// The advertiser's long-lived token; empty where no bids are asked for.
    pub ads_refresh_token: Secret,
    /// The advertiser's profile in the market; empty where no bids are asked for.
    pub ads_profile_id: String,
    /// Limits per scope, see [`amazon::SCOPES`].
    pub limits: Limits,
}

impl AmazonConfig {
    /// Makes a configuration with the published limits.
    pub fn new(client_id: Secret, client_secret: Secret, refresh_token: Secret) -> AmazonConfig {
        AmazonConfig {
            base_url: None,
            token_url: default_url(amazon::TOKEN_URL),
            client_id,
            client_secret,
            refresh_token,
            page_size: amazon::PAGE_SIZE_MAX,
            pages: 1,
            report_poll_delay: Duration::from_secs(60),
            asins: Asins::default(),
            ads_base_url: None,
            ads_refresh_token: Secret::new(""),
            ads_profile_id: String::new(),
            limits: amazon::limits(),
        }
    }

    /// Returns how long to leave a report alone that has been in the making for so long: a quarter of that time, so that one
    /// that takes long costs few looks, but not less than the shortest time and not more than thirty times as long.
    pub fn look_again_after(&self, age: Duration) -> Duration {
        (age / 4).clamp(self.report_poll_delay, self.report_poll_delay * 30)
    }
}

/// How Etsy is asked.
#[derive(Clone, Debug)]
pub struct EtsyConfig {
    /// Address of the API.
    pub base_url: Url,
    /// The application's key; empty counts as missing.
    pub keystring: Secret,
    /// The application's secret; empty counts as missing.
    pub shared_secret: Secret,
    /// Listings per page, 1 to 100.
    pub page_size: u32,
    /// Pages per keyword.
    pub pages: u32,
    /// Listings of the first page whose shops and reviews are asked for.
    pub details: u32,
    /// Limits per scope, see [`etsy::SCOPES`].
    pub limits: Limits,
}

impl EtsyConfig {
    /// Makes a configuration with cautious limits; the true ones are granted per application.
    pub fn new(keystring: Secret, shared_secret: Secret) -> EtsyConfig {
        EtsyConfig {
            base_url: default_url(etsy::BASE_URL),
            keystring,
            shared_secret,
            page_size: 48,
            pages: 1,
            details: 3,
            limits: etsy::limits(),
        }
    }
}

/// How eBay is asked.
#[derive(Clone, Debug)]
pub struct EbayConfig {
    /// Address of the API, which also issues the tokens.
    pub base_url: Url,
    /// Identifier of the application; empty counts as missing.
    pub client_id: Secret,
    /// Secret of the application; empty counts as missing.
    pub client_secret: Secret,
    /// Items per page, 1 to 200.
    pub page_size: u32,
    /// Pages per keyword.
    pub pages: u32,
    /// Items of the first page whose details are asked for.
    pub details: u32,
    /// The long-lived token of the user whose campaigns are read; empty where no bids are asked for.
    pub user_refresh_token: Secret,
    /// The campaign whose ad group bids are suggested for; empty where no bids are asked for.
    pub campaign_id: String,
    /// The ad group; empty where no bids are asked for.
    pub ad_group_id: String,
    /// Limits per scope, see [`ebay::SCOPES`].
    pub limits: Limits,
}

impl EbayConfig {
    /// Makes a configuration with the published daily limits and a cautious rate.
    pub fn new(client_id: Secret, client_secret: Secret) -> EbayConfig {
        EbayConfig {
            base_url: default_url(ebay::BASE_URL),
            client_id,
            client_secret,
            page_size: 50,
            pages: 1,
            details: ebay::ITEMS_MAX,
            user_refresh_token: Secret::new(""),
            campaign_id: String::new(),
            ad_group_id: String::new(),
            limits: ebay::limits(),
        }
    }
}

fn default_url(address: &'static str) -> Url {
    Url::parse(address).expect("the addresses in this crate are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_stand() {
        let secret = || Secret::new("s");
        assert_eq!(AmazonConfig::new(secret(), secret(), secret()).token_url.as_str(), amazon::TOKEN_URL);
        assert_eq!(EtsyConfig::new(secret(), secret()).base_url.host_str(), Some("openapi.etsy.com"));
        assert_eq!(EbayConfig::new(secret(), secret()).base_url.host_str(), Some("api.ebay.com"));
        assert!(!format!("{:?}", EbayConfig::new(Secret::new("hidden"), secret())).contains("hidden"));
    }
}
