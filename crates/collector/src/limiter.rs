//! The limiter: per operation a bucket of requests, a daily budget, and pauses that a marketplace asked for.
//!
//! It counts within one process. Rates are kept in real time; a day is the last 24 hours of the world's clock.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::limits::{Limit, Limits};

/// Longest time for which a job waits for its turn instead of being put off.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest time after which a job that was put off looks again.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

const HOUR_S: i64 = 3_600;
const HOURS_PER_DAY: i64 = 24;

/// How long a request must still wait.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the limit of {operation} is reached: {reason}")]
pub struct Wait {
    /// The operation, or `any`.
    pub operation: String,
    /// Which limit it is.
    pub reason: &'static str,
    /// How long until it is worth trying again.
    pub delay: Duration,
}

/// What an answer says about limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StatedLimit {
    /// Requests per second.
    pub per_second: Option<f64>,
    /// Requests per day.
    pub per_day: Option<u32>,
}

/// The limits of one marketplace at work.
pub struct Limiter<C: Clock = DefaultClock> {
    clock: C,
    buckets: BTreeMap<String, Bucket<C>>,
}

impl Limiter {
    /// Makes a limiter with full buckets.
    pub fn new(limits: &Limits) -> Limiter {
        Limiter::with_clock(limits, DefaultClock::default())
    }

    /// Waits for a turn, or tells how long the job should be put off.
    pub async fn acquire(&self, operation: &str, now: DateTime<Utc>) -> Result<(), Wait> {
        const SHORTEST_SLEEP: Duration = Duration::from_millis(5);
        let mut patience = PATIENCE;
        loop {
            let Err(wait) = self.check(operation, now) else { return Ok(()) };
            let sleep = wait.delay.max(SHORTEST_SLEEP);
            if sleep > patience {
                return Err(wait);
            }
            patience -= sleep;
            tokio::time::sleep(sleep).await;
        }
    }
}

impl<C: Clock + Clone> Limiter<C> {
    fn with_clock(limits: &Limits, clock: C) -> Limiter<C> {
        let buckets = limits.iter().map(|(operation, limit)| (operation.to_owned(), Bucket::new(*limit, &clock)));
        Limiter { buckets: buckets.collect(), clock }
    }

    /// Takes a request out of the buckets it counts against, or tells how long to wait.
    fn check(&self, operation: &str, now: DateTime<Utc>) -> Result<(), Wait> {
        for (name, bucket) in self.buckets_of(operation) {
            bucket.check(&self.clock, now).map_err(|(reason, delay)| Wait {
                operation: name.to_owned(),
                reason,
                delay: delay.min(WAIT_MAX),
            })?;
        }
        Ok(())
    }

    /// Takes over what an answer says: limits sink to it, and rise no higher than configured.
    pub fn learn(&self, operation: &str, stated: StatedLimit) {
        if let Some(bucket) = self.narrowest(operation) {
            bucket.learn(&self.clock, stated);
        }
    }

    /// Lets nobody ask for a while.
    pub fn pause(&self, operation: &str, delay: Duration) {
        if let Some(bucket) = self.narrowest(operation) {
            let until = self.clock.now() + delay.into();
            let mut state = bucket.state();
            state.paused_until = state.paused_until.max(Some(until));
        }
    }

    /// Returns the mean time between two requests in the long run.
    pub fn period(&self, operation: &str) -> Duration {
        let periods = self.buckets_of(operation).map(|(_, bucket)| period(bucket.state().per_second));
        periods.max().unwrap_or_default()
    }

    fn buckets_of(&self, operation: &str) -> impl Iterator<Item = (&str, &Bucket<C>)> {
        let names = [Limits::ANY, operation];
        names
            .into_iter()
            .filter_map(|name| self.buckets.get_key_value(name))
            .map(|(name, bucket)| (name.as_str(), bucket))
    }

    /// Returns the bucket of the operation itself, else that of all operations.
    fn narrowest(&self, operation: &str) -> Option<&Bucket<C>> {
        self.buckets.get(operation).or_else(|| self.buckets.get(Limits::ANY))
    }
}

struct Bucket<C: Clock> {
    configured: Limit,
    state: Mutex<BucketState<C>>,
}

struct BucketState<C: Clock> {
    per_second: f64,
    requests: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    paused_until: Option<C::Instant>,
    day: Option<DayBudget>,
}

impl<C: Clock + Clone> Bucket<C> {
    fn new(limit: Limit, clock: &C) -> Bucket<C> {
        let state = BucketState {
            per_second: limit.per_second,
            requests: RateLimiter::direct_with_clock(quota(limit.per_second, limit.burst), clock.clone()),
            paused_until: None,
            day: limit.per_day.map(|per_day| DayBudget { per_day, requests_by_hour: BTreeMap::new() }),
        };
        Bucket { configured: limit, state: Mutex::new(state) }
    }

    fn check(&self, clock: &C, now: DateTime<Utc>) -> Result<(), (&'static str, Duration)> {
        let mut state = self.state();
        if let Some(until) = state.paused_until {
            let at = clock.now();
            if until > at {
                return Err(("the marketplace asked for a pause", until.duration_since(at).into()));
            }
            state.paused_until = None;
        }
        if let Some(delay) = state.day.as_mut().and_then(|day| day.wait(now)) {
            return Err(("requests per day", delay));
        }
        if let Err(too_early) = state.requests.check() {
            return Err(("requests per second", too_early.wait_time_from(clock.now())));
        }
        if let Some(day) = &mut state.day {
            day.count(now);
        }
        Ok(())
    }

    fn learn(&self, clock: &C, stated: StatedLimit) {
        let mut state = self.state();
        if let (Some(day), Some(configured), Some(stated)) = (&mut state.day, self.configured.per_day, stated.per_day) {
            day.per_day = stated.clamp(1, configured);
        }
        let Some(stated) = stated.per_second.filter(|rate| rate.is_finite() && *rate > 0.0) else { return };
        let per_second = stated.clamp(1e-6, self.configured.per_second.max(1e-6));
        if (per_second / state.per_second - 1.0).abs() < 0.01 {
            return;
        }
        state.per_second = per_second;
        state.requests = RateLimiter::direct_with_clock(quota(per_second, self.configured.burst), clock.clone());
        // The new bucket begins empty: a full one would give away a second burst.
        let _ = state.requests.check_n(non_zero(self.configured.burst));
    }

    fn state(&self) -> MutexGuard<'_, BucketState<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts requests of the last 24 hours. An hour counts until its last minute is a day old, so the budget is never exceeded.
struct DayBudget {
    per_day: u32,
    requests_by_hour: BTreeMap<i64, u32>,
}

impl DayBudget {
    fn wait(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let hour = hour_of(now);
        self.requests_by_hour.retain(|counted, _| counted + HOURS_PER_DAY >= hour);
        let used: u32 = self.requests_by_hour.values().sum();
        if used < self.per_day {
            return None;
        }
        let oldest = self.requests_by_hour.keys().next().copied().unwrap_or(hour);
        let free_at_s = (oldest + HOURS_PER_DAY + 1) * HOUR_S;
        Some(Duration::from_secs(u64::try_from(free_at_s - now.timestamp()).unwrap_or(0).max(1)))
    }

    fn count(&mut self, now: DateTime<Utc>) {
        *self.requests_by_hour.entry(hour_of(now)).or_default() += 1;
    }
}

fn hour_of(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(HOUR_S)
}

fn quota(per_second: f64, burst: u32) -> Quota {
    let quota = Quota::with_period(period(per_second)).expect("a period is longer than nothing");
    quota.allow_burst(non_zero(burst))
}

fn period(per_second: f64) -> Duration {
    Duration::from_secs_f64(1.0 / per_second.max(1e-6)).max(Duration::from_nanos(1))
}

fn non_zero(burst: u32) -> NonZeroU32 {
    NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    const OPERATION: &str = "search";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn limiter(text: &str) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limiter::with_clock(&Limits::parse(text).unwrap(), clock.clone()), clock)
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_burst_and_rate_allow(
            per_second in 0.05f64..20.0,
            burst in 1u32..10,
            steps in prop::collection::vec((0u64..3_000, prop::option::of(0.01f64..40.0)), 1..200),
        ) {
            let (limiter, clock) = limiter(&format!("{OPERATION}={per_second}:{burst}"));
            let (mut time_ms, mut granted) = (0u64, Vec::new());
            for (step_ms, stated) in steps {
                clock.advance(Duration::from_millis(step_ms));
                time_ms += step_ms;
                if stated.is_some() {
                    limiter.learn(OPERATION, StatedLimit { per_second: stated, per_day: None });
                }
                while limiter.check(OPERATION, at(0)).is_ok() {
                    granted.push(time_ms);
                }
            }
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first) {
                    let allowed = f64::from(burst) + per_second * (to - from) as f64 / 1_000.0;
                    prop_assert!((last - first + 1) as f64 <= allowed + 1e-3);
                }
            }
        }

        #[test]
        fn no_day_ever_holds_more_than_its_budget(steps in prop::collection::vec(0i64..20_000, 1..200)) {
            let (limiter, _) = limiter(&format!("{OPERATION}=1000:1000:7"));
            let (mut second, mut granted) = (0i64, Vec::new());
            for step in steps {
                second += step;
                if limiter.check(OPERATION, at(second)).is_ok() {
                    granted.push(second);
                }
            }
            for from in &granted {
                prop_assert!(granted.iter().filter(|to| (*from..from + 86_400).contains(*to)).count() <= 7);
            }
        }
    }

    #[test]
    fn a_stated_limit_lowers_and_never_raises_beyond_the_configured_one() {
        let (limiter, _) = limiter("search=2:2");
        limiter.learn(OPERATION, StatedLimit { per_second: Some(0.5), per_day: None });
        assert_eq!(limiter.period(OPERATION), Duration::from_secs(2));
        limiter.learn(OPERATION, StatedLimit { per_second: Some(50.0), per_day: None });
        assert_eq!(limiter.period(OPERATION), Duration::from_millis(500));
        limiter.learn(OPERATION, StatedLimit { per_second: Some(f64::NAN), per_day: None });
        assert_eq!(limiter.period(OPERATION), Duration::from_millis(500));
    }

    #[test]
    fn a_shared_limit_counts_every_operation() {
        let (limiter, _) = limiter("any=1:2");
        assert!(limiter.check("search", at(0)).is_ok());
        assert!(limiter.check("batch", at(0)).is_ok());
        let wait = limiter.check("search", at(0)).unwrap_err();
        assert_eq!((wait.operation.as_str(), wait.delay), ("any", Duration::from_secs(1)));
    }

    #[test]
    fn a_pause_holds_everybody_up() {
        let (limiter, clock) = limiter("search=10:10");
        limiter.pause(OPERATION, Duration::from_secs(30));
        assert_eq!(limiter.check(OPERATION, at(0)).unwrap_err().delay, Duration::from_secs(30));
        clock.advance(Duration::from_secs(30));
        assert!(limiter.check(OPERATION, at(0)).is_ok());
        assert!(limiter.check("unlimited", at(0)).is_ok());
    }

    #[tokio::test]
    async fn a_short_wait_is_waited_and_a_long_one_is_reported() {
        let limiter = Limiter::new(&Limits::parse("fast=20:1,slow=0.01:1").unwrap());
        for _ in 0..3 {
            limiter.acquire("fast", at(0)).await.unwrap();
        }
        limiter.acquire("slow", at(0)).await.unwrap();
        assert!(limiter.acquire("slow", at(0)).await.unwrap_err().delay > Duration::from_secs(60));
    }
}
