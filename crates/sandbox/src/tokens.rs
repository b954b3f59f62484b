//! Access tokens that expire in real time and open only what they were granted for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::noise::hash;

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    /// Amazon's Selling Partner API.
    SellingPartner,
    /// The Amazon Ads API.
    Ads,
    /// eBay's public data.
    Application,
    /// eBay's public data with Marketplace Insights.
    Insights,
    /// The data of one eBay user.
    User,
}

impl Grant {
    const ALL: [Grant; 5] = [Grant::SellingPartner, Grant::Ads, Grant::Application, Grant::Insights, Grant::User];

    fn as_str(self) -> &'static str {
        match self {
            Grant::SellingPartner => "amazon",
            Grant::Ads => "amazon_ads",
            Grant::Application => "ebay",
            Grant::Insights => "ebay_insights",
            Grant::User => "ebay_user",
        }
    }
}

/// The tokens one token service has given out.
pub(crate) struct Tokens {
    prefix: &'static str,
    lifetime: Duration,
    minted: Mutex<Minted>,
}

#[derive(Default)]
struct Minted {
    count: u64,
    counts: BTreeMap<Grant, u64>,
    valid: HashMap<String, (Grant, Instant)>,
}

impl Tokens {
    pub(crate) fn new(prefix: &'static str, lifetime: Duration) -> Self {
        Self { prefix, lifetime, minted: Mutex::default() }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Gives out a new token; expired ones are forgotten.
    pub(crate) fn mint(&self, seed: u64, grant: Grant) -> String {
        let mut minted = self.minted.lock().expect("no holder panics");
        let now = Instant::now();
        minted.valid.retain(|_, (_, expires_at)| *expires_at > now);
        minted.count += 1;
        *minted.counts.entry(grant).or_default() += 1;
        let token = format!("{}{:016x}{}", self.prefix, hash(seed, minted.count), minted.count);
        minted.valid.insert(token.clone(), (grant, now + self.lifetime));
        token
    }

    /// What a token opens, if it was given out and has not expired.
    pub(crate) fn grant(&self, token: &str) -> Option<Grant> {
        let minted = self.minted.lock().expect("no holder panics");
        minted.valid.get(token).filter(|(_, expires_at)| *expires_at > Instant::now()).map(|(grant, _)| *grant)
    }

    /// Ends the life of every token.
    pub(crate) fn expire(&self) {
        self.minted.lock().expect("no holder panics").valid.clear();
    }

    /// Adds the number of tokens ever given out, by what they open.
    pub(crate) fn add_counts(&self, counts: &mut BTreeMap<String, u64>) {
        let minted = self.minted.lock().expect("no holder panics");
        for grant in Grant::ALL {
            if let Some(count) = minted.counts.get(&grant) {
                counts.insert(grant.as_str().to_owned(), *count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_by_grant_and_expire_on_request() {
        let tokens = Tokens::new("Atza|", Duration::from_secs(60));
        let (selling, ads) = (tokens.mint(1, Grant::SellingPartner), tokens.mint(1, Grant::Ads));
        assert_eq!(tokens.grant(&selling), Some(Grant::SellingPartner));
        assert_eq!(tokens.grant(&ads), Some(Grant::Ads));
        tokens.expire();
        assert_eq!(tokens.grant(&ads), None);
        let mut counts = BTreeMap::new();
        tokens.add_counts(&mut counts);
        assert_eq!(counts, BTreeMap::from([("amazon".to_owned(), 1), ("amazon_ads".to_owned(), 1)]));
    }
}
