//! The marketplaces: one folder each, all of the same four files.
//!
//! | marketplace | folder | per keyword | per hundred keywords | per market |
//! | --- | --- | --- | --- | --- |
//! | Amazon | [`amazon`] | catalog search, then prices | bids | search terms report, search query report |
//! | Etsy | [`etsy`] | listing search, then the listings with their views, shops, reviews | | |
//! | eBay | [`ebay`] | item search with refinements, then items; categories; sales | bids | |

pub mod adapter;
pub mod amazon;
pub mod disposition;
pub mod ebay;
pub mod etsy;
mod oauth;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::secret::Secret;

use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::config::{BreakerConfig, CollectorConfig};
use crate::http::{Http, HttpError};
use crate::limits::Limits;
use crate::quota::holder::Holder;
use crate::quota::ledger::{self, LedgerError};
use crate::quota::outlook::{self, Outlook};
use crate::quota::{Pacer, ScopeLimit};
use crate::token::Tokens;
use adapter::Adapter;

/// The marketplaces of one process, with their connections, limits and tokens.
pub struct Marketplaces {
    http: Http,
    resources: BTreeMap<Marketplace, Vec<Resource>>,
    breaker: BreakerConfig,
    canary: Option<String>,
    holder: Holder,
    amazon: Result<Channel, MissingSettings>,
    etsy: Result<Channel, MissingSettings>,
    ebay: Result<Channel, MissingSettings>,
}

/// Why the state of a quota cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum OutlookError {
    /// The marketplace cannot be asked at all.
    #[error(transparent)]
    Credentials(#[from] MissingSettings),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What the configuration of a marketplace holds.
struct Opened {
    /// Settings that are missing.
    missing: Vec<&'static str>,
    adapter: Arc<dyn Adapter>,
    limits: Limits,
    /// What the marketplace knows the application by.
    identity: Secret,
    /// What it proves itself with.
    secret: Secret,
}

/// A marketplace that cannot be asked because it has no credentials.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{marketplace} has no credentials: set {}", .settings.join(", "))]
pub struct MissingSettings {
    marketplace: Marketplace,
    settings: Vec<&'static str>,
}

/// A part of a marketplace and the scopes that are counted together.
type PacerKey = (&'static str, &'static [&'static str]);

/// All that is needed to ask one marketplace.
pub(crate) struct Channel {
    pub(crate) marketplace: Marketplace,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) tokens: Tokens,
    /// When this process asked for the limits last; locked while it asks.
    pub(crate) limits_asked_at: tokio::sync::Mutex<Option<Instant>>,
    /// Whether a refusal makes it worth asking again.
    pub(crate) limits_are_doubted: AtomicBool,
    limits: Limits,
    credential: String,
    pacers: Mutex<BTreeMap<PacerKey, Arc<Pacer>>>,
}

impl Channel {
    /// Returns the way to permits for an operation within a part of the marketplace.
    pub(crate) fn pacer(&self, operation: &'static str, partition: &'static str) -> Arc<Pacer> {
        let scopes = self.adapter.scopes(operation);
        let mut pacers = self.pacers.lock().unwrap_or_else(PoisonError::into_inner);
        let pacer = pacers.entry((partition, scopes)).or_insert_with(|| {
            let limits = scopes.iter().map(|scope| self.scope_limit(scope)).filter(|limit| !limit.windows.is_empty());
            Arc::new(Pacer::new(self.marketplace, self.account_of(partition), limits.collect()))
        });
        Arc::clone(pacer)
    }

    /// Returns the limit of a scope as it is configured.
    pub(crate) fn scope_limit(&self, scope: &str) -> ScopeLimit {
        ScopeLimit {
            scope: scope.to_owned(),
            windows: self.limits.windows(scope).to_vec(),
            is_set_by_operator: self.limits.is_set_by_operator(scope),
        }
    }

    /// Opens the account of a scope and returns its row.
    pub(crate) async fn open_account(
        &self,
        pool: &PgPool,
        partition: &str,
        limit: &ScopeLimit,
    ) -> Result<i64, LedgerError> {
        ledger::open(pool, self.marketplace, &self.account_of(partition), &limit.scope, &limit.windows).await
    }

    /// Returns what is limited: the credential, where regions count by themselves with the region.
    fn account_of(&self, partition: &str) -> String {
        if partition.is_empty() { self.credential.clone() } else { format!("{}-{partition}", self.credential) }
    }
}

impl Marketplaces {
    /// Makes the marketplaces that have credentials; the others answer with what is missing.
    pub fn new(config: &CollectorConfig) -> Result<Marketplaces, HttpError> {
        Ok(Marketplaces {
            http: Http::new(&config.http)?,
            resources: config.resources.clone(),
            breaker: config.breaker,
            canary: config.canary.clone(),
            holder: Holder::default(),
            amazon: channel(Marketplace::Amazon, config.amazon.as_ref(), |config| Opened {
                missing: amazon::missing_settings(config),
                adapter: Arc::new(amazon::Amazon::new(config.clone())),
                limits: config.limits.clone(),
                identity: config.client_id.clone(),
                secret: config.client_secret.clone(),
            }),
            etsy: channel(Marketplace::Etsy, config.etsy.as_ref(), |config| Opened {
                missing: etsy::missing_settings(config),
                adapter: Arc::new(etsy::Etsy::new(config.clone())),
                limits: config.limits.clone(),
                identity: config.keystring.clone(),
                secret: config.shared_secret.clone(),
            }),
            ebay: channel(Marketplace::Ebay, config.ebay.as_ref(), |config| Opened {
                missing: ebay::missing_settings(config),
                adapter: Arc::new(ebay::Ebay::new(config.clone())),
                limits: config.limits.clone(),
                identity: config.client_id.clone(),
                secret: config.client_secret.clone(),
            }),
        })
    }

    /// Tells whether a marketplace can be asked, and names the missing settings if not.
    pub fn check(&self, marketplace: Marketplace) -> Result<(), MissingSettings> {
        self.channel(marketplace).map(|_| ())
    }

    pub(crate) fn channel(&self, marketplace: Marketplace) -> Result<&Channel, MissingSettings> {
        let channel = match marketplace {
            Marketplace::Amazon => &self.amazon,
            Marketplace::Etsy => &self.etsy,
            Marketplace::Ebay => &self.ebay,
        };
        channel.as_ref().map_err(MissingSettings::clone)
    }

    /// Returns the kinds of data that a crawl run asks a marketplace for unless it names others.
    pub fn resources(&self, marketplace: Marketplace) -> &[Resource] {
        self.resources.get(&marketplace).map_or(marketplace.default_resources(), Vec::as_slice)
    }

    /// Returns the state of every quota of a marketplace against which an operation of a part of it counts.
    pub async fn outlooks(
        &self,
        pool: &PgPool,
        marketplace: Marketplace,
        operation: &'static str,
        partition: &str,
        world: Option<DateTime<Utc>>,
    ) -> Result<Vec<Outlook>, OutlookError> {
        let channel = self.channel(marketplace)?;
        let mut outlooks = Vec::new();
        for scope in channel.adapter.scopes(operation) {
            let limit = channel.scope_limit(scope);
            if !limit.windows.is_empty() {
                let credential = channel.account_of(partition);
                outlooks.push(outlook::of_scope(pool, marketplace, &credential, &limit, world).await?);
            }
        }
        Ok(outlooks)
    }

    /// Returns this process as a holder of permits.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    pub(crate) fn breaker(&self) -> &BreakerConfig {
        &self.breaker
    }

    pub(crate) fn canary(&self) -> Option<&str> {
        self.canary.as_deref()
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }
}

fn channel<Config>(
    marketplace: Marketplace,
    config: Option<&Config>,
    open: impl Fn(&Config) -> Opened,
) -> Result<Channel, MissingSettings> {
    let Some(config) = config else {
        return Err(MissingSettings { marketplace, settings: credential_settings(marketplace).to_vec() });
    };
    let Opened { missing: settings, adapter, limits, identity, secret } = open(config);
    if !settings.is_empty() {
        return Err(MissingSettings { marketplace, settings });
    }
    let credential = fingerprint(marketplace, &identity);
    Ok(Channel {
        marketplace,
        adapter,
        tokens: Tokens::new(marketplace, credential.clone(), &secret),
        limits_asked_at: tokio::sync::Mutex::default(),
        limits_are_doubted: AtomicBool::default(),
        limits,
        credential,
        pacers: Mutex::default(),
    })
}

/// Names a credential without telling it: the beginning of a SHA-256.
fn fingerprint(marketplace: Marketplace, identity: &Secret) -> String {
    let digest = Sha256::digest(format!("{marketplace} {}", identity.expose().trim()));
    hex::encode(&digest[..6])
}

/// Returns the settings that hold a marketplace's credentials.
pub(crate) fn credential_settings(marketplace: Marketplace) -> &'static [&'static str] {
    match marketplace {
        Marketplace::Amazon => &amazon::SETTINGS,
        Marketplace::Etsy => &etsy::SETTINGS,
        Marketplace::Ebay => &ebay::SETTINGS,
    }
}

/// Returns the settings whose values are empty.
fn empty_settings(pairs: &[(&'static str, &str)]) -> Vec<&'static str> {
    let empty = pairs.iter().filter(|(_, value)| value.trim().is_empty());
    empty.map(|(setting, _)| *setting).collect()
}

#[cfg(test)]
mod tests {
    use digitallz_common::secret::Secret;

    use super::*;
    use crate::config::EbayConfig;

    #[test]
    fn missing_credentials_are_named() {
        let half = EbayConfig::new(Secret::new("id"), Secret::new(" "));
        let config = CollectorConfig { ebay: Some(half), ..CollectorConfig::default() };
        let marketplaces = Marketplaces::new(&config).unwrap();
        let cause = |marketplace| marketplaces.check(marketplace).unwrap_err().to_string();
        assert_eq!(cause(Marketplace::Ebay), "ebay has no credentials: set DIGITALLZ_EBAY_CLIENT_SECRET");
        assert_eq!(
            cause(Marketplace::Etsy),
            "etsy has no credentials: set DIGITALLZ_ETSY_KEYSTRING, DIGITALLZ_ETSY_SHARED_SECRET"
        );
    }
}
