//! What a sandbox is told when it starts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::windows::LimitWindow;

/// One of the marketplaces the sandbox pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marketplace {
    /// Amazon: Catalog Items, Reports, Product Pricing, Amazon Ads and the token service.
    Amazon,
    /// Etsy: Open API v3 listings, shops and reviews.
    Etsy,
    /// eBay: Browse, Taxonomy, Analytics, Marketplace Insights, Marketing and the token service.
    Ebay,
}

impl Marketplace {
    /// All marketplaces, in the order of [`SandboxConfig::ports`].
    pub const ALL: [Marketplace; 3] = [Marketplace::Amazon, Marketplace::Etsy, Marketplace::Ebay];

    /// The name as it stands in request counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Marketplace::Amazon => "amazon",
            Marketplace::Etsy => "etsy",
            Marketplace::Ebay => "ebay",
        }
    }
}

/// How a sandbox behaves.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Chooses the world; the same seed gives the same answers at the same moment.
    pub seed: u64,
    /// The moment the world stands at; `None` lets it follow the real clock.
    pub now: Option<DateTime<Utc>>,
    /// Multiplies every published limit.
    pub limit_factor: f64,
    /// Puts these windows in place of the published ones, by scope such as `amazon.searchCatalogItems` or `etsy.any`.
    pub limits: BTreeMap<String, Vec<LimitWindow>>,
    /// How long an Amazon access token lives in real time; an eBay token lives twice as long.
    pub token_lifetime: Duration,
    /// Real time that passes before every answer.
    pub latency: Duration,
    /// Lets eBay grant the scope of Marketplace Insights, which few applications have.
    pub insights_granted: bool,
    /// Makes the search terms document of a report at least so many unpacked bytes long.
    pub report_document_bytes: Option<u64>,
    /// New listings that try to come up among the results of a keyword each week, fewer on Amazon; at most 7.5.
    pub entrants_per_week: f64,
    /// Ports of Amazon, Etsy and eBay on 127.0.0.1; 0 takes a free one.
    pub ports: [u16; 3],
    /// Keeps the latest requests with their answers for [`crate::Sandbox::requests`].
    pub keep_requests: bool,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            now: None,
            limit_factor: 1.0,
            limits: BTreeMap::new(),
            token_lifetime: Duration::from_secs(3600),
            latency: Duration::ZERO,
            insights_granted: false,
            report_document_bytes: None,
            entrants_per_week: 0.0,
            ports: [0; 3],
            keep_requests: false,
        }
    }
}

/// The only credentials the sandbox accepts; they open nothing else.
pub(crate) mod credentials {
    pub(crate) const AMAZON_CLIENT_ID: &str = "amzn1.application-oa2-client.sandbox";
    pub(crate) const AMAZON_CLIENT_SECRET: &str = "amzn1.oa2-cs.v1.sandbox";
    pub(crate) const AMAZON_REFRESH_TOKEN: &str = "Atzr|sandbox";
    pub(crate) const AMAZON_ADS_REFRESH_TOKEN: &str = "Atzr|sandbox-ads";
    pub(crate) const AMAZON_ADS_PROFILE_ID: &str = "1234567890";
    pub(crate) const ETSY_KEYSTRING: &str = "sandboxkeystring";
    pub(crate) const ETSY_SHARED_SECRET: &str = "sandboxshared";
    pub(crate) const EBAY_CLIENT_ID: &str = "Sandbox-Digitall-PRD-0";
    pub(crate) const EBAY_CLIENT_SECRET: &str = "PRD-sandbox";
    pub(crate) const EBAY_USER_REFRESH_TOKEN: &str = "v^1.1#sandbox-user";
    pub(crate) const EBAY_CAMPAIGN_ID: &str = "10001";
    pub(crate) const EBAY_AD_GROUP_ID: &str = "20001";
}
