//! The marketplaces: one folder each, all of the same four files.
//!
//! | marketplace | folder | per keyword | per market |
//! | --- | --- | --- | --- |
//! | Amazon | [`amazon`] | catalog search | search terms report |
//! | Etsy | [`etsy`] | listing search, then the listings with their views | |
//! | eBay | [`ebay`] | item search with refinements | |

pub mod adapter;
pub mod amazon;
pub mod ebay;
pub mod etsy;
mod oauth;

use std::collections::BTreeMap;
use std::sync::Arc;

use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::secret::Secret;

use crate::config::CollectorConfig;
use crate::http::{Http, HttpError};
use crate::limiter::Limiter;
use crate::limits::Limits;
use crate::token::TokenCache;
use adapter::Adapter;

/// The marketplaces of one process, with their connections, limits and tokens.
pub struct Marketplaces {
    http: Http,
    resources: BTreeMap<Marketplace, Vec<Resource>>,
    amazon: Result<Channel, MissingSettings>,
    etsy: Result<Channel, MissingSettings>,
    ebay: Result<Channel, MissingSettings>,
}

/// A marketplace that cannot be asked because it has no credentials.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{marketplace} has no credentials: set {}", .settings.join(", "))]
pub struct MissingSettings {
    marketplace: Marketplace,
    settings: Vec<&'static str>,
}

/// All that is needed to ask one marketplace.
pub(crate) struct Channel {
    pub(crate) marketplace: Marketplace,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) limiter: Limiter,
    pub(crate) tokens: TokenCache,
}

impl Marketplaces {
    /// Makes the marketplaces that have credentials; the others answer with what is missing.
    pub fn new(config: &CollectorConfig) -> Result<Marketplaces, HttpError> {
        Ok(Marketplaces {
            http: Http::new(&config.http)?,
            resources: config.resources.clone(),
            amazon: channel(Marketplace::Amazon, config.amazon.as_ref(), |config| {
                (amazon::missing_settings(config), Arc::new(amazon::Amazon::new(config.clone())), &config.limits)
            }),
            etsy: channel(Marketplace::Etsy, config.etsy.as_ref(), |config| {
                (etsy::missing_settings(config), Arc::new(etsy::Etsy::new(config.clone())), &config.limits)
            }),
            ebay: channel(Marketplace::Ebay, config.ebay.as_ref(), |config| {
                (ebay::missing_settings(config), Arc::new(ebay::Ebay::new(config.clone())), &config.limits)
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

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }
}

fn channel<Config>(
    marketplace: Marketplace,
    config: Option<&Config>,
    open: impl Fn(&Config) -> (Vec<&'static str>, Arc<dyn Adapter>, &Limits),
) -> Result<Channel, MissingSettings> {
    let Some(config) = config else {
        return Err(MissingSettings { marketplace, settings: credential_settings(marketplace).to_vec() });
    };
    let (settings, adapter, limits) = open(config);
    if !settings.is_empty() {
        return Err(MissingSettings { marketplace, settings });
    }
    Ok(Channel {
        marketplace,
        adapter,
        limiter: Limiter::new(limits),
        tokens: TokenCache::default(),
    })
}

/// Returns the settings that hold a marketplace's credentials.
pub(crate) fn credential_settings(marketplace: Marketplace) -> &'static [&'static str] {
    match marketplace {
        Marketplace::Amazon => &amazon::SETTINGS,
        Marketplace::Etsy => &etsy::SETTINGS,
        Marketplace::Ebay => &ebay::SETTINGS,
    }
}

/// Returns the settings whose secrets are empty.
fn empty_settings(pairs: &[(&'static str, &Secret)]) -> Vec<&'static str> {
    let empty = pairs.iter().filter(|(_, secret)| secret.expose().trim().is_empty());
    empty.map(|(setting, _)| *setting).collect()
}

#[cfg(test)]
mod tests {
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
