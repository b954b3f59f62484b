//! Access tokens that expire in real time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::noise::hash;

/// The tokens one token service has given out.
pub(crate) struct Tokens {
    prefix: &'static str,
    lifetime: Duration,
    minted: Mutex<Minted>,
}

#[derive(Default)]
struct Minted {
    count: u64,
    expiries: HashMap<String, Instant>,
}

impl Tokens {
    pub(crate) fn new(prefix: &'static str, lifetime: Duration) -> Self {
        Self { prefix, lifetime, minted: Mutex::default() }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Gives out a new token; expired ones are forgotten.
    pub(crate) fn mint(&self, seed: u64) -> String {
        let mut minted = self.minted.lock().expect("no holder panics");
        let now = Instant::now();
        minted.expiries.retain(|_, expires_at| *expires_at > now);
        minted.count += 1;
        let token = format!("{}{:016x}{}", self.prefix, hash(seed, minted.count), minted.count);
        minted.expiries.insert(token.clone(), now + self.lifetime);
        token
    }

    /// Whether a token was given out and has not expired.
    pub(crate) fn is_valid(&self, token: &str) -> bool {
        let minted = self.minted.lock().expect("no holder panics");
        minted.expiries.get(token).is_some_and(|expires_at| *expires_at > Instant::now())
    }
}
