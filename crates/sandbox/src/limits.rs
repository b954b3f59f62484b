//! The rate limits of the marketplaces, counted in real time.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::Los_Angeles;

/// Amazon's usage plans: operation, requests per second, burst.
const AMAZON_PLANS: [(&str, f64, f64); 4] = [
    ("searchCatalogItems", 2.0, 2.0),
    ("createReport", 0.0167, 15.0),
    ("getReport", 2.0, 15.0),
    ("getReportDocument", 0.0167, 15.0),
];
const ETSY_PER_SECOND: f64 = 5.0;
const ETSY_PER_DAY: f64 = 5_000.0;
/// eBay's daily limits: operation, requests.
const EBAY_PER_DAY: [(&str, f64); 2] = [("itemSummarySearch", 5_000.0), ("oauthToken", 1_000.0)];

/// All limits of one sandbox.
pub(crate) struct Limits {
    amazon: HashMap<&'static str, TokenBucket>,
    etsy_second: SlidingWindow,
    etsy_day: SlidingWindow,
    ebay: HashMap<&'static str, PacificDay>,
}

/// What Etsy says about its limits in every answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EtsyAllowance {
    pub(crate) per_second: u64,
    pub(crate) per_second_left: u64,
    pub(crate) per_day: u64,
    pub(crate) per_day_left: u64,
}

/// Which of Etsy's limits refused a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EtsyRefusal {
    PerSecond,
    PerDay,
}

impl Limits {
    pub(crate) fn new(factor: f64, now: Instant) -> Self {
        let whole = |limit: f64| (limit * factor).max(1.0) as u64;
        let bucket = |(operation, rate, burst)| (operation, TokenBucket::new(rate * factor, burst * factor, now));
        let counter =
            |(operation, limit)| (operation, PacificDay { limit: whole(limit), day: NaiveDate::MIN, used: 0 });
        Self {
            amazon: AMAZON_PLANS.into_iter().map(bucket).collect(),
            etsy_second: SlidingWindow::new(whole(ETSY_PER_SECOND), Duration::from_millis(100), 10, now),
            etsy_day: SlidingWindow::new(whole(ETSY_PER_DAY), Duration::from_secs(3_600), 24, now),
            ebay: EBAY_PER_DAY.into_iter().map(counter).collect(),
        }
    }

    /// The requests per second an Amazon operation allows, as its header states them.
    pub(crate) fn amazon_rate(&self, operation: &str) -> Option<String> {
        let rate = self.amazon.get(operation)?.rate;
        Some(if rate < 1.0 { format!("{rate:.4}") } else { format!("{rate:.1}") })
    }

    /// Asks for one Amazon request; operations without a plan are free.
    pub(crate) fn take_amazon(&mut self, operation: &str, now: Instant) -> bool {
        self.amazon.get_mut(operation).is_none_or(|bucket| bucket.take(now))
    }

    /// Asks for one Etsy request; the second is checked before the day.
    pub(crate) fn take_etsy(&mut self, now: Instant) -> (EtsyAllowance, Option<EtsyRefusal>) {
        let refusal = if self.etsy_second.left(now) == 0 {
            Some(EtsyRefusal::PerSecond)
        } else if self.etsy_day.left(now) == 0 {
            Some(EtsyRefusal::PerDay)
        } else {
            self.etsy_second.count(now);
            self.etsy_day.count(now);
            None
        };
        let allowance = EtsyAllowance {
            per_second: self.etsy_second.limit,
            per_second_left: self.etsy_second.left(now),
            per_day: self.etsy_day.limit,
            per_day_left: self.etsy_day.left(now),
        };
        (allowance, refusal)
    }

    /// Asks for one eBay request; the count begins anew at midnight in California.
    pub(crate) fn take_ebay(&mut self, operation: &str, now: DateTime<Utc>) -> bool {
        self.ebay.get_mut(operation).is_none_or(|day| day.take(now))
    }
}

/// Lets `burst` requests through at once and then `rate` per second.
struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    fn new(rate: f64, burst: f64, now: Instant) -> Self {
        let burst = burst.max(1.0);
        Self { rate, burst, tokens: burst, filled_at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + waited * self.rate).min(self.burst);
        self.filled_at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// Counts requests in slices of time and forgets the slices that have gone by.
struct SlidingWindow {
    limit: u64,
    slice: Duration,
    slices: u64,
    started_at: Instant,
    counts: VecDeque<(u64, u64)>,
}

impl SlidingWindow {
    fn new(limit: u64, slice: Duration, slices: u64, now: Instant) -> Self {
        Self { limit, slice, slices, started_at: now, counts: VecDeque::new() }
    }

    fn left(&mut self, now: Instant) -> u64 {
        let current = self.current(now);
        while self.counts.front().is_some_and(|(slice, _)| slice + self.slices <= current) {
            self.counts.pop_front();
        }
        self.limit.saturating_sub(self.counts.iter().map(|(_, count)| count).sum())
    }

    fn count(&mut self, now: Instant) {
        let current = self.current(now);
        match self.counts.back_mut() {
            Some((slice, count)) if *slice == current => *count += 1,
            _ => self.counts.push_back((current, 1)),
        }
    }

    fn current(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.started_at).as_millis() / self.slice.as_millis()) as u64
    }
}

/// Counts the requests of one day in California.
struct PacificDay {
    limit: u64,
    day: NaiveDate,
    used: u64,
}

impl PacificDay {
    fn take(&mut self, now: DateTime<Utc>) -> bool {
        let today = now.with_timezone(&Los_Angeles).date_naive();
        if today != self.day {
            self.day = today;
            self.used = 0;
        }
        if self.used >= self.limit {
            return false;
        }
        self.used += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_refills_its_bucket_at_the_published_rate() {
        let start = Instant::now();
        let mut limits = Limits::new(1.0, start);
        let mut take = |millis| limits.take_amazon("searchCatalogItems", start + Duration::from_millis(millis));
        assert!(take(0) && take(0) && !take(0));
        assert!(!take(400) && take(600) && !take(700));
        let mut reports = Limits::new(1.0, start);
        assert_eq!((0..20).filter(|_| reports.take_amazon("createReport", start)).count(), 15);
        assert!(reports.take_amazon("createReport", start + Duration::from_secs(60)));
    }

    #[test]
    fn etsy_refuses_by_the_second_first_and_by_the_day_then() {
        let start = Instant::now();
        let mut limits = Limits::new(1.0, start);
        let mut refusals = Vec::new();
        for step in 0..5_200u64 {
            let at = start + Duration::from_secs(step / 5 * 2);
            refusals.push(limits.take_etsy(at).1);
        }
        assert!(refusals[..5_000].iter().all(Option::is_none));
        assert!(refusals[5_000..].iter().all(|refusal| *refusal == Some(EtsyRefusal::PerDay)));
        let mut limits = Limits::new(1.0, start);
        let sixth = (0..6).map(|_| limits.take_etsy(start).1).last().unwrap();
        assert_eq!(sixth, Some(EtsyRefusal::PerSecond));
    }

    #[test]
    fn ebay_begins_anew_at_midnight_in_california() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let mut limits = Limits::new(0.0004, Instant::now());
        let mut take = |text| limits.take_ebay("itemSummarySearch", at(text));
        assert!(take("2025-07-01T05:00:00Z") && take("2025-07-01T05:00:01Z"));
        assert!(!take("2025-07-01T06:59:59Z"));
        assert!(take("2025-07-01T07:00:00Z"));
    }
}
