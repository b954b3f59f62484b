//! The rate limits of the marketplaces: which scope has which windows, and proof that they were kept.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::real_now;
use crate::config::Marketplace;
use crate::windows::{Counter, LimitWindow, Moment, Period};

/// The scopes with the windows the marketplaces publish; without windows everything is accepted.
const SCOPES: [(&str, &[LimitWindow]); 16] = [
    ("amazon.lwaToken", &[]),
    ("amazon.searchCatalogItems", &[bucket(2.0, 2.0)]),
    ("amazon.createReport", &[bucket(0.0167, 15.0)]),
    ("amazon.getReport", &[bucket(2.0, 15.0)]),
    ("amazon.getReportDocument", &[bucket(0.0167, 15.0)]),
    ("amazon.downloadDocument", &[]),
    ("amazon.getCompetitiveSummary", &[bucket(0.033, 1.0)]),
    // Amazon Ads publishes no number.
    ("amazon.getKeywordRecommendations", &[]),
    (
        "etsy.any",
        &[LimitWindow::Sliding { limit: 5, window_s: 1.0 }, LimitWindow::Sliding { limit: 5_000, window_s: 86_400.0 }],
    ),
    ("ebay.oauthToken", &[pacific_day(1_000)]),
    ("ebay.browse", &[pacific_day(5_000)]),
    ("ebay.browse.items", &[pacific_day(5_000)]),
    ("ebay.taxonomy", &[pacific_day(5_000)]),
    ("ebay.analytics", &[pacific_day(5_000)]),
    ("ebay.insights", &[pacific_day(5_000)]),
    ("ebay.marketing", &[pacific_day(5_000)]),
];

const fn bucket(per_second: f64, burst: f64) -> LimitWindow {
    LimitWindow::TokenBucket { per_second, burst }
}

const fn pacific_day(limit: u64) -> LimitWindow {
    LimitWindow::Fixed { limit, period: Period::PacificDay }
}

/// Names the scope whose limits an operation takes from.
pub(crate) fn scope(marketplace: Marketplace, operation: &str) -> String {
    match (marketplace, operation) {
        (Marketplace::Amazon, _) => format!("amazon.{operation}"),
        (Marketplace::Etsy, _) => "etsy.any".to_owned(),
        (Marketplace::Ebay, "oauthToken") => "ebay.oauthToken".to_owned(),
        (Marketplace::Ebay, "itemSummarySearch") => "ebay.browse".to_owned(),
        (Marketplace::Ebay, "getItems") => "ebay.browse.items".to_owned(),
        (Marketplace::Ebay, "getDefaultCategoryTreeId" | "getCategorySuggestions") => "ebay.taxonomy".to_owned(),
        (Marketplace::Ebay, "getRateLimits") => "ebay.analytics".to_owned(),
        (Marketplace::Ebay, "itemSalesSearch") => "ebay.insights".to_owned(),
        (Marketplace::Ebay, _) => "ebay.marketing".to_owned(),
    }
}

/// Why limits were not put in force; then the old ones all stay.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// No operation takes from such a scope.
    #[error("no limit scope is named {0}")]
    UnknownScope(String),
    /// A rate, burst or length is negative, too large or zero where it must not be.
    #[error("a window of {scope} has a number without a meaning: {window:?}")]
    Unsound {
        /// The scope the window was meant for.
        scope: String,
        /// The window that was refused.
        window: LimitWindow,
    },
}

/// What one scope has accepted and refused since the statistics began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitStatistics {
    /// Requests that all windows let through.
    pub accepted: u64,
    /// Requests over a limit.
    pub refused: u64,
    /// When the first request was accepted, in seconds since the sandbox started.
    pub first_accepted_s: Option<f64>,
    /// When the last request was accepted, in seconds since the sandbox started.
    pub last_accepted_s: Option<f64>,
    /// The windows in force; changing one begins its statistics anew.
    pub windows: Vec<WindowStatistics>,
}

/// How far one window was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowStatistics {
    /// The window in force.
    #[serde(flatten)]
    pub window: LimitWindow,
    /// The most requests accepted in any single window.
    ///
    /// Of a bucket: the most accepted in any stretch of time beyond what was refilled during it.
    pub largest_accepted: f64,
}

/// All limits of one sandbox.
pub(crate) struct Limits {
    scopes: BTreeMap<String, Scope>,
    started: Instant,
    started_at_ns: i64,
}

/// What the limits say to a request.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The window without room, of several the shortest; `None` accepts the request.
    pub(crate) refused_by: Option<LimitWindow>,
    pub(crate) standings: Vec<Standing>,
}

/// How much a window has left after the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) window: LimitWindow,
    pub(crate) left: u64,
    /// When a fixed window ends.
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

#[derive(Default)]
struct Scope {
    counters: Vec<Counter>,
    accepted: u64,
    refused: u64,
    first_accepted_ns: Option<i64>,
    last_accepted_ns: Option<i64>,
}

impl Limits {
    pub(crate) fn new(factor: f64, world_now: DateTime<Utc>) -> Self {
        let started_at_ns = nanos(real_now());
        let mut limits = Self { scopes: BTreeMap::new(), started: Instant::now(), started_at_ns };
        let now = limits.moment(world_now);
        for (name, windows) in SCOPES {
            let counters = windows.iter().map(|window| Counter::new(window.times(factor), now)).collect();
            limits.scopes.insert(name.to_owned(), Scope { counters, ..Scope::default() });
        }
        limits
    }

    /// Reads the real clock beside the world's; call it while nobody else can take.
    pub(crate) fn moment(&self, world_now: DateTime<Utc>) -> Moment {
        let real_ns = self.started_at_ns + self.started.elapsed().as_nanos() as i64;
        Moment { real_ns, world_ns: nanos(world_now) }
    }

    /// Asks for one request: either every window of the scope counts it or none. Regions are counted apart; the empty one is
    /// that of the scope's own name, and another one is shown as `scope@region` from its first request on.
    pub(crate) fn take(&mut self, scope: &str, region: &str, now: Moment) -> Verdict {
        let name = if region.is_empty() { scope.to_owned() } else { format!("{scope}@{region}") };
        if !self.scopes.contains_key(&name)
            && let Some(own) = self.scopes.get(scope)
        {
            let counters = own.counters.iter().map(|counter| Counter::new(counter.window, now)).collect();
            self.scopes.insert(name.clone(), Scope { counters, ..Scope::default() });
        }
        let Some(scope) = self.scopes.get_mut(&name) else {
            return Verdict { refused_by: None, standings: Vec::new() };
        };
        let full = scope.counters.iter_mut().filter_map(|counter| (counter.left(now) == 0).then_some(counter.window));
        let refused_by = full.min_by_key(LimitWindow::length_ns);
        if refused_by.is_some() {
            scope.refused += 1;
        } else {
            scope.accepted += 1;
            scope.first_accepted_ns.get_or_insert(now.real_ns);
            scope.last_accepted_ns = Some(now.real_ns);
            scope.counters.iter_mut().for_each(|counter| counter.count(now));
        }
        Verdict { refused_by, standings: scope.standings(now) }
    }

    /// Reads what a scope has left.
    pub(crate) fn standings(&mut self, scope: &str, now: Moment) -> Vec<Standing> {
        self.scopes.get_mut(scope).map(|scope| scope.standings(now)).unwrap_or_default()
    }

    /// Puts other windows in force for some scopes, or none of them if one is wrong.
    pub(crate) fn set(&mut self, limits: &BTreeMap<String, Vec<LimitWindow>>, now: Moment) -> Result<(), LimitError> {
        for (scope, windows) in limits {
            if !self.scopes.contains_key(scope) {
                return Err(LimitError::UnknownScope(scope.clone()));
            }
            if let Some(window) = windows.iter().find(|window| !window.is_sound()) {
                return Err(LimitError::Unsound { scope: scope.clone(), window: *window });
            }
        }
        for (scope, windows) in limits {
            let regional = format!("{scope}@");
            let same = self.scopes.iter_mut().filter(|(name, _)| *name == scope || name.starts_with(&regional));
            same.for_each(|(_, scope)| scope.put_in_force(windows, now));
        }
        Ok(())
    }

    pub(crate) fn statistics(&self) -> BTreeMap<String, LimitStatistics> {
        let seconds = |ns: i64| (ns - self.started_at_ns) as f64 / 1e9;
        let statistics = |scope: &Scope| LimitStatistics {
            accepted: scope.accepted,
            refused: scope.refused,
            first_accepted_s: scope.first_accepted_ns.map(seconds),
            last_accepted_s: scope.last_accepted_ns.map(seconds),
            windows: scope
                .counters
                .iter()
                .map(|counter| WindowStatistics { window: counter.window, largest_accepted: counter.largest() })
                .collect(),
        };
        self.scopes.iter().map(|(name, scope)| (name.clone(), statistics(scope))).collect()
    }

    /// Begins the statistics anew; what was taken from the limits stays taken.
    pub(crate) fn forget_statistics(&mut self) {
        for scope in self.scopes.values_mut() {
            scope.counters.iter_mut().for_each(Counter::forget_statistics);
            *scope = Scope { counters: std::mem::take(&mut scope.counters), ..Scope::default() };
        }
    }
}

impl Scope {
    fn standings(&mut self, now: Moment) -> Vec<Standing> {
        let standing = |counter: &mut Counter| Standing {
            window: counter.window,
            left: counter.left(now),
            ends_at: counter.ends_at_ns(now).map(DateTime::from_timestamp_nanos),
        };
        self.counters.iter_mut().map(standing).collect()
    }

    fn put_in_force(&mut self, windows: &[LimitWindow], now: Moment) {
        let mut old = std::mem::take(&mut self.counters);
        for window in windows {
            let counter = match old.iter().position(|counter| counter.is_succeeded_by(*window)) {
                Some(index) => old.remove(index).continued_with(*window, now),
                None => Counter::new(*window, now),
            };
            self.counters.push(counter);
        }
    }
}

fn nanos(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_nanos_opt().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn at(seconds: f64) -> Moment {
        let ns = 1_763_000_000 * SECOND_NS + (seconds * 1e9) as i64;
        Moment { real_ns: ns, world_ns: ns }
    }

    /// Limits that began at `at(0.0)`.
    fn limits(factor: f64) -> Limits {
        let mut limits = Limits::new(factor, DateTime::from_timestamp_nanos(at(0.0).world_ns));
        limits.started_at_ns = at(0.0).real_ns;
        for scope in limits.scopes.values_mut() {
            let windows: Vec<_> = scope.counters.drain(..).map(|counter| counter.window).collect();
            scope.put_in_force(&windows, at(0.0));
        }
        limits
    }

    fn only(scope: &str, windows: &[LimitWindow]) -> BTreeMap<String, Vec<LimitWindow>> {
        BTreeMap::from([(scope.to_owned(), windows.to_vec())])
    }

    #[test]
    fn amazon_refills_its_bucket_at_the_published_rate() {
        let mut limits = limits(1.0);
        let mut take = |scope, seconds| limits.take(scope, "", at(seconds)).refused_by.is_none();
        assert!(take("amazon.searchCatalogItems", 0.0) && take("amazon.searchCatalogItems", 0.0));
        assert!(!take("amazon.searchCatalogItems", 0.4) && take("amazon.searchCatalogItems", 0.6));
        assert!(!take("amazon.searchCatalogItems", 0.7));
        assert_eq!((0..20).filter(|_| take("amazon.createReport", 0.0)).count(), 15);
        assert!(take("amazon.createReport", 60.0) && take("amazon.lwaToken", 60.0));
    }

    #[test]
    fn etsy_refuses_by_the_second_first_and_by_the_day_then() {
        let mut limits = limits(1.0);
        for step in 0..5_000 {
            assert!(limits.take("etsy.any", "", at(f64::from(step / 5) * 2.0)).refused_by.is_none());
        }
        let refused_by = |limits: &mut Limits, seconds| limits.take("etsy.any", "", at(seconds)).refused_by.unwrap();
        assert!(!refused_by(&mut limits, 1_998.5).is_long());
        assert!(refused_by(&mut limits, 2_000.0).is_long() && refused_by(&mut limits, 86_399.0).is_long());
        assert!(limits.take("etsy.any", "", at(86_400.0)).refused_by.is_none());
        let statistics = &limits.statistics()["etsy.any"];
        assert_eq!((statistics.accepted, statistics.refused), (5_001, 3));
        assert_eq!((statistics.first_accepted_s, statistics.last_accepted_s), (Some(0.0), Some(86_400.0)));
        let largest: Vec<f64> = statistics.windows.iter().map(|window| window.largest_accepted).collect();
        assert_eq!(largest, [5.0, 5_000.0]);
    }

    #[test]
    fn a_refused_request_is_counted_in_no_window() {
        let mut limits = limits(1.0);
        for _ in 0..9 {
            limits.take("etsy.any", "", at(0.0));
        }
        let left: Vec<u64> = limits.standings("etsy.any", at(0.0)).iter().map(|standing| standing.left).collect();
        assert_eq!(left, [0, 4_995]);
    }

    #[test]
    fn limits_change_at_once_and_what_was_taken_stays_taken() {
        let mut limits = limits(1.0);
        let tight = only("etsy.any", &[LimitWindow::Sliding { limit: 2, window_s: 1.0 }]);
        limits.take("etsy.any", "", at(0.0));
        limits.set(&tight, at(0.1)).unwrap();
        assert!(limits.take("etsy.any", "", at(0.2)).refused_by.is_none());
        assert!(limits.take("etsy.any", "", at(0.3)).refused_by.is_some());

        let slower = only("amazon.getReport", &[bucket(1.0, 4.0)]);
        limits.set(&slower, at(0.0)).unwrap();
        let accepted = (0..9).filter(|_| limits.take("amazon.getReport", "", at(0.0)).refused_by.is_none()).count();
        assert_eq!(accepted, 4);
        let wider = only("amazon.getReport", &[bucket(1.0, 40.0)]);
        limits.set(&wider, at(0.0)).unwrap();
        assert!(limits.take("amazon.getReport", "", at(0.0)).refused_by.is_some());
    }

    #[test]
    fn regions_are_counted_apart_and_limited_alike() {
        let mut limits = limits(1.0);
        let mut take = |region: &str| limits.take("amazon.searchCatalogItems", region, at(0.0)).refused_by.is_none();
        assert!(take("") && take("") && take("eu") && take("eu"));
        assert!(!take("") && !take("eu"));
        limits.set(&only("amazon.searchCatalogItems", &[bucket(1.0, 3.0)]), at(0.0)).unwrap();
        let accepted = |region| limits.statistics()[region].accepted;
        assert_eq!((accepted("amazon.searchCatalogItems"), accepted("amazon.searchCatalogItems@eu")), (2, 2));
        assert!(limits.take("amazon.searchCatalogItems", "fe", at(0.0)).refused_by.is_none());
    }

    #[test]
    fn wrong_limits_change_nothing() {
        let mut limits = limits(1.0);
        let before = limits.statistics();
        let mut wrong = only("etsy.any", &[]);
        wrong.insert("etsy.some".to_owned(), Vec::new());
        assert!(matches!(limits.set(&wrong, at(0.0)), Err(LimitError::UnknownScope(_))));
        let endless = only("etsy.any", &[LimitWindow::Sliding { limit: 1, window_s: f64::NAN }]);
        assert!(matches!(limits.set(&endless, at(0.0)), Err(LimitError::Unsound { .. })));
        assert_eq!(limits.statistics(), before);
    }

    #[test]
    fn statistics_begin_anew_and_the_fill_stays() {
        let mut limits = limits(0.0004);
        assert!(limits.take("ebay.browse", "", at(0.0)).refused_by.is_none());
        limits.forget_statistics();
        assert_eq!(limits.statistics()["ebay.browse"].accepted, 0);
        assert!(limits.take("ebay.browse", "", at(0.0)).refused_by.is_none());
        assert!(limits.take("ebay.browse", "", at(0.0)).refused_by.is_some());
    }
}
