//! Access tokens: kept until shortly before they end, fetched by one job at a time.

use std::time::Duration;

use digitallz_common::secret::Secret;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// A token is replaced this long before its end, or at half its life if that is shorter.
const EARLY: Duration = Duration::from_secs(60);

/// A token as it was issued.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// How long it lives.
    pub lifetime: Duration,
}

/// The access token of one marketplace.
#[derive(Debug, Default)]
pub struct TokenCache(Mutex<Option<HeldToken>>);

#[derive(Debug)]
struct HeldToken {
    token: Secret,
    refresh_at: Instant,
}

/// The only access to the token; whoever finds none fetches it while the others wait.
pub struct TokenSlot<'a>(MutexGuard<'a, Option<HeldToken>>);

impl TokenCache {
    /// Waits until no other job is fetching a token.
    pub async fn open(&self) -> TokenSlot<'_> {
        TokenSlot(self.0.lock().await)
    }

    /// Drops a token that was refused, unless another has taken its place already.
    pub async fn forget(&self, refused: &Secret) {
        let mut held = self.0.lock().await;
        if held.as_ref().is_some_and(|held| held.token == *refused) {
            *held = None;
        }
    }
}

impl TokenSlot<'_> {
    /// Returns the token, if it is still good for a while.
    pub fn current(&self) -> Option<Secret> {
        self.0.as_ref().filter(|held| Instant::now() < held.refresh_at).map(|held| held.token.clone())
    }

    /// Keeps a fresh token.
    pub fn keep(&mut self, issued: IssuedToken) -> Secret {
        let early = EARLY.min(issued.lifetime / 2);
        *self.0 = Some(HeldToken { token: issued.token.clone(), refresh_at: Instant::now() + issued.lifetime - early });
        issued.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(token: &str, seconds: u64) -> IssuedToken {
        IssuedToken { token: Secret::new(token), lifetime: Duration::from_secs(seconds) }
    }

    #[tokio::test]
    async fn a_token_is_replaced_before_its_end() {
        let cache = TokenCache::default();
        assert_eq!(cache.open().await.current(), None);
        cache.open().await.keep(issued("long", 3_600));
        assert_eq!(cache.open().await.current(), Some(Secret::new("long")));
        cache.open().await.keep(issued("over", 0));
        assert_eq!(cache.open().await.current(), None);
    }

    #[tokio::test]
    async fn a_refused_token_takes_no_newer_one_with_it() {
        let cache = TokenCache::default();
        cache.open().await.keep(issued("new", 3_600));
        cache.forget(&Secret::new("old")).await;
        assert!(cache.open().await.current().is_some());
        cache.forget(&Secret::new("new")).await;
        assert!(cache.open().await.current().is_none());
    }
}
