//! What a sandbox is told when it starts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One of the marketplaces the sandbox pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marketplace {
    /// Amazon: Catalog Items, Reports and the token service.
    Amazon,
    /// Etsy: Open API v3 listings.
    Etsy,
    /// eBay: Browse and the token service.
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
    /// How long an Amazon access token lives in real time; an eBay token lives twice as long.
    pub token_lifetime: Duration,
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
            token_lifetime: Duration::from_secs(3600),
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
    pub(crate) const ETSY_KEYSTRING: &str = "sandboxkeystring";
    pub(crate) const ETSY_SHARED_SECRET: &str = "sandboxshared";
    pub(crate) const EBAY_CLIENT_ID: &str = "Sandbox-Digitall-PRD-0";
    pub(crate) const EBAY_CLIENT_SECRET: &str = "PRD-sandbox";
}
