//! The three kinds of limit, counted exactly: token bucket, sliding window and fixed window.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Datelike, NaiveTime, TimeZone};
use chrono_tz::America::Los_Angeles;
use serde::{Deserialize, Serialize};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * NANOS_PER_SECOND;
/// A token is counted in parts so small that a nanosecond's refill is a whole number of them.
const TOKEN: i128 = 1_000_000_000_000_000_000;
/// Fixed windows that are remembered; an older one would begin anew if the clock went back to it.
const FIXED_WINDOWS_MAX: usize = 1_000;

/// One limit on the requests of a scope.
///
/// Windows of an hour or more and Pacific days pass in the world's clock, the others and buckets in real time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LimitWindow {
    /// Lets `burst` requests through at once and then `per_second`.
    TokenBucket {
        /// Requests that are added to the allowance every second.
        per_second: f64,
        /// The largest allowance, which is also the first one.
        burst: f64,
    },
    /// Accepts at most `limit` requests in every stretch of `window_s` seconds, wherever it begins.
    Sliding {
        /// Requests that are accepted in any window.
        limit: u64,
        /// Length of the window in seconds.
        window_s: f64,
    },
    /// Accepts at most `limit` requests in each of the periods that follow one another.
    Fixed {
        /// Requests that are accepted in each period.
        limit: u64,
        /// The periods.
        period: Period,
    },
}

/// How time is cut into fixed windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight in Los Angeles; 23 or 25 hours when summer time begins or ends.
    PacificDay,
    /// So many seconds, aligned to the Unix epoch.
    EveryS(u64),
}

impl LimitWindow {
    /// The number that [`crate::WindowStatistics::largest_accepted`] never exceeds.
    pub fn allowed(&self) -> f64 {
        match *self {
            LimitWindow::TokenBucket { burst, .. } => burst,
            LimitWindow::Sliding { limit, .. } | LimitWindow::Fixed { limit, .. } => limit as f64,
        }
    }

    /// Whether all numbers have a meaning.
    pub(crate) fn is_sound(&self) -> bool {
        const SECONDS_MAX: f64 = 1e9;
        match *self {
            LimitWindow::TokenBucket { per_second, burst } => {
                (0.0..=1e9).contains(&per_second) && (0.0..=1e12).contains(&burst)
            }
            LimitWindow::Sliding { window_s, .. } => (1e-6..=SECONDS_MAX).contains(&window_s),
            LimitWindow::Fixed { period: Period::EveryS(seconds), .. } => seconds > 0 && seconds as f64 <= SECONDS_MAX,
            LimitWindow::Fixed { period: Period::PacificDay, .. } => true,
        }
    }

    /// Multiplies what is allowed; at least one request always is.
    pub(crate) fn times(self, factor: f64) -> Self {
        let whole = |limit: u64| (limit as f64 * factor).max(1.0) as u64;
        match self {
            LimitWindow::TokenBucket { per_second, burst } => {
                LimitWindow::TokenBucket { per_second: per_second * factor, burst: (burst * factor).max(1.0) }
            }
            LimitWindow::Sliding { limit, window_s } => LimitWindow::Sliding { limit: whole(limit), window_s },
            LimitWindow::Fixed { limit, period } => LimitWindow::Fixed { limit: whole(limit), period },
        }
    }

    /// The length in nanoseconds: of a bucket a second, of a Pacific day what it mostly has.
    pub(crate) fn length_ns(&self) -> i64 {
        match *self {
            LimitWindow::TokenBucket { .. } => NANOS_PER_SECOND,
            LimitWindow::Sliding { window_s, .. } => (window_s * NANOS_PER_SECOND as f64) as i64,
            LimitWindow::Fixed { period: Period::EveryS(seconds), .. } => seconds as i64 * NANOS_PER_SECOND,
            LimitWindow::Fixed { period: Period::PacificDay, .. } => 24 * HOUR_NS,
        }
    }

    /// Whether the window is so long that it belongs to the world's calendar.
    pub(crate) fn is_long(&self) -> bool {
        self.length_ns() >= HOUR_NS
    }
}

/// A moment on both clocks, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Never goes back.
    pub(crate) real_ns: i64,
    pub(crate) world_ns: i64,
}

/// A limit and what has been taken from it.
pub(crate) struct Counter {
    pub(crate) window: LimitWindow,
    fill: Fill,
    /// The most that was ever taken from one window since the statistics began.
    largest: f64,
    /// Of a bucket: the requests beyond the refill, for the statistics only.
    excess: i128,
}

enum Fill {
    Bucket { tokens: i128, filled_at_ns: i64 },
    Sliding(VecDeque<i64>),
    Fixed(BTreeMap<i64, u64>),
}

impl Counter {
    pub(crate) fn new(window: LimitWindow, now: Moment) -> Self {
        let fill = match window {
            LimitWindow::TokenBucket { burst, .. } => {
                Fill::Bucket { tokens: in_parts(burst), filled_at_ns: now.real_ns }
            }
            LimitWindow::Sliding { .. } => Fill::Sliding(VecDeque::new()),
            LimitWindow::Fixed { .. } => Fill::Fixed(BTreeMap::new()),
        };
        Self { window, fill, largest: 0.0, excess: 0 }
    }

    /// Whether another limit is of the same kind and length, so that what was taken from this one counts there.
    pub(crate) fn is_succeeded_by(&self, window: LimitWindow) -> bool {
        match (self.window, window) {
            (LimitWindow::TokenBucket { .. }, LimitWindow::TokenBucket { .. }) => true,
            (LimitWindow::Sliding { window_s: old, .. }, LimitWindow::Sliding { window_s: new, .. }) => old == new,
            (LimitWindow::Fixed { period: old, .. }, LimitWindow::Fixed { period: new, .. }) => old == new,
            _ => false,
        }
    }

    /// Goes on with other numbers; a bucket keeps its fill as far as it holds it.
    pub(crate) fn continued_with(mut self, window: LimitWindow, now: Moment) -> Self {
        if window == self.window {
            return self;
        }
        self.bring_up_to(now);
        self.window = window;
        if let (LimitWindow::TokenBucket { burst, .. }, Fill::Bucket { tokens, .. }) = (window, &mut self.fill) {
            *tokens = (*tokens).min(in_parts(burst));
        }
        self.forget_statistics();
        self
    }

    /// How many requests would be accepted now.
    pub(crate) fn left(&mut self, now: Moment) -> u64 {
        let current = self.bring_up_to(now);
        match (&self.fill, self.window) {
            (Fill::Bucket { tokens, .. }, _) => (tokens / TOKEN) as u64,
            (Fill::Sliding(accepted), LimitWindow::Sliding { limit, .. }) => {
                limit.saturating_sub(accepted.len() as u64)
            }
            (Fill::Fixed(counts), LimitWindow::Fixed { limit, .. }) => {
                limit.saturating_sub(counts.get(&current).copied().unwrap_or(0))
            }
            _ => 0,
        }
    }

    /// Counts an accepted request.
    pub(crate) fn count(&mut self, now: Moment) {
        let current = self.bring_up_to(now);
        let taken = match &mut self.fill {
            Fill::Bucket { tokens, .. } => {
                *tokens -= TOKEN;
                self.excess += TOKEN;
                self.excess as f64 / TOKEN as f64
            }
            Fill::Sliding(accepted) => {
                accepted.push_back(current);
                accepted.len() as f64
            }
            Fill::Fixed(counts) => {
                let count = counts.entry(current).or_default();
                *count += 1;
                let count = *count;
                if counts.len() > FIXED_WINDOWS_MAX {
                    counts.pop_first();
                }
                count as f64
            }
        };
        self.largest = self.largest.max(taken);
    }

    /// When the current window ends, in nanoseconds since the Unix epoch; only fixed windows have an end.
    pub(crate) fn ends_at_ns(&self, now: Moment) -> Option<i64> {
        match self.window {
            LimitWindow::Fixed { period: Period::PacificDay, .. } => Some(next_pacific_midnight_ns(now.world_ns)),
            LimitWindow::Fixed { .. } => {
                let length = self.window.length_ns();
                Some((self.clock(now).div_euclid(length) + 1) * length)
            }
            _ => None,
        }
    }

    pub(crate) fn largest(&self) -> f64 {
        self.largest
    }

    pub(crate) fn forget_statistics(&mut self) {
        self.largest = 0.0;
        self.excess = 0;
    }

    fn clock(&self, now: Moment) -> i64 {
        let is_bucket = matches!(self.window, LimitWindow::TokenBucket { .. });
        if self.window.is_long() && !is_bucket { now.world_ns } else { now.real_ns }
    }

    /// Lets the time pass that has gone by; returns the moment or the number of the fixed window.
    fn bring_up_to(&mut self, now: Moment) -> i64 {
        let moment = self.clock(now);
        let length = self.window.length_ns();
        match (&mut self.fill, self.window) {
            (Fill::Bucket { tokens, filled_at_ns }, LimitWindow::TokenBucket { per_second, burst }) => {
                let refill = i128::from((moment - *filled_at_ns).max(0)) * per_nanosecond(per_second);
                *tokens = (*tokens + refill).min(in_parts(burst));
                self.excess = (self.excess - refill).max(0);
                *filled_at_ns = moment.max(*filled_at_ns);
                moment
            }
            (Fill::Sliding(accepted), _) => {
                // The real clock may be corrected by a little: then the last moment goes on.
                // The world's clock may be set back by much: then the window begins anew.
                let moment = match accepted.back() {
                    Some(last) if *last - moment >= length => {
                        accepted.clear();
                        moment
                    }
                    Some(last) => moment.max(*last),
                    None => moment,
                };
                while accepted.front().is_some_and(|first| moment - first >= length) {
                    accepted.pop_front();
                }
                moment
            }
            (_, LimitWindow::Fixed { period: Period::PacificDay, .. }) => pacific_day(moment),
            _ => moment.div_euclid(length),
        }
    }
}

fn in_parts(tokens: f64) -> i128 {
    // Millionths are exact enough for a burst and keep the product within the range of whole numbers.
    i128::from((tokens * 1e6).round() as i64) * (TOKEN / 1_000_000)
}

fn per_nanosecond(per_second: f64) -> i128 {
    (per_second * (TOKEN / i128::from(NANOS_PER_SECOND)) as f64).round() as i128
}

fn pacific_day(world_ns: i64) -> i64 {
    let moment = DateTime::from_timestamp_nanos(world_ns).with_timezone(&Los_Angeles);
    i64::from(moment.date_naive().num_days_from_ce())
}

fn next_pacific_midnight_ns(world_ns: i64) -> i64 {
    let today = DateTime::from_timestamp_nanos(world_ns).with_timezone(&Los_Angeles).date_naive();
    let midnight = today.succ_opt().unwrap_or(today).and_time(NaiveTime::MIN);
    // Los Angeles changes its clocks at two in the morning, so midnight is there exactly once.
    let midnight = Los_Angeles.from_local_datetime(&midnight).earliest();
    midnight.and_then(|midnight| midnight.timestamp_nanos_opt()).unwrap_or(world_ns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START_NS: i64 = 1_763_000_000 * NANOS_PER_SECOND;

    fn at(ns: i64) -> Moment {
        Moment { real_ns: ns, world_ns: ns }
    }

    /// Plays requests at these distances from one another and returns which are accepted at which moment.
    fn play(window: LimitWindow, gaps_ns: &[i64]) -> Vec<(i64, bool)> {
        let mut counter = Counter::new(window, at(START_NS));
        let mut moment = START_NS;
        let mut played = Vec::new();
        for gap in gaps_ns {
            moment += gap;
            let accepted = counter.left(at(moment)) > 0;
            if accepted {
                counter.count(at(moment));
            }
            played.push((moment, accepted));
        }
        assert!(counter.largest() <= window.allowed());
        played
    }

    /// Decides every request anew from all that were accepted before.
    fn agrees(played: &[(i64, bool)], may_accept: impl Fn(i64, &[i64]) -> bool) -> Result<(), TestCaseError> {
        let mut accepted = Vec::new();
        for (moment, was_accepted) in played {
            prop_assert_eq!(may_accept(*moment, &accepted), *was_accepted);
            if *was_accepted {
                accepted.push(*moment);
            }
        }
        Ok(())
    }

    fn gaps() -> impl Strategy<Value = Vec<i64>> {
        let gap = prop_oneof![
            Just(0),
            Just(NANOS_PER_SECOND / 2),
            Just(NANOS_PER_SECOND),
            0..NANOS_PER_SECOND / 5,
            0..3 * NANOS_PER_SECOND
        ];
        proptest::collection::vec(gap, 1..200)
    }

    proptest! {
        #[test]
        fn a_bucket_accepts_what_fits_every_stretch_of_time(rate in 1u32..60, burst in 1u32..8, gaps in gaps()) {
            let window = LimitWindow::TokenBucket { per_second: f64::from(rate) / 10.0, burst: f64::from(burst) };
            let tenths_per_ns = i128::from(rate);
            let ten_tokens = i128::from(NANOS_PER_SECOND) * 10;
            agrees(&play(window, &gaps), |moment, accepted| {
                (0..=accepted.len()).all(|first| {
                    let since = accepted.get(first).copied().unwrap_or(moment);
                    let count = (accepted.len() - first + 1) as i128;
                    count * ten_tokens <= i128::from(burst) * ten_tokens + i128::from(moment - since) * tenths_per_ns
                })
            })?;
        }

        #[test]
        fn no_window_however_placed_holds_more_than_the_limit(limit in 0u64..8, tenths in 1u32..40, gaps in gaps()) {
            let window = LimitWindow::Sliding { limit, window_s: f64::from(tenths) / 10.0 };
            let length = window.length_ns();
            agrees(&play(window, &gaps), |moment, accepted| {
                accepted.iter().filter(|earlier| moment - **earlier < length).count() < limit as usize
            })?;
        }

        #[test]
        fn no_period_holds_more_than_the_limit(limit in 0u64..8, seconds in 1u64..5, gaps in gaps()) {
            let window = LimitWindow::Fixed { limit, period: Period::EveryS(seconds) };
            let number = |moment: i64| moment / NANOS_PER_SECOND / seconds as i64;
            agrees(&play(window, &gaps), |moment, accepted| {
                accepted.iter().filter(|earlier| number(**earlier) == number(moment)).count() < limit as usize
            })?;
        }

        #[test]
        fn a_pacific_day_holds_no_more_than_the_limit(limit in 1u64..6, hours in proptest::collection::vec(0i64..9, 1..200)) {
            let window = LimitWindow::Fixed { limit, period: Period::PacificDay };
            let gaps: Vec<i64> = hours.into_iter().map(|hours| hours * HOUR_NS).collect();
            let day = |ns: i64| DateTime::from_timestamp_nanos(ns).with_timezone(&Los_Angeles).date_naive();
            agrees(&play(window, &gaps), |moment, accepted| {
                accepted.iter().filter(|earlier| day(**earlier) == day(moment)).count() < limit as usize
            })?;
        }
    }

    #[test]
    fn a_pacific_day_has_25_hours_when_summer_time_ends() {
        let ns = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_nanos_opt().unwrap();
        let window = LimitWindow::Fixed { limit: 1, period: Period::PacificDay };
        let mut counter = Counter::new(window, at(0));
        counter.count(at(ns("2025-11-02T07:00:00Z")));
        assert_eq!(counter.ends_at_ns(at(ns("2025-11-02T07:00:00Z"))), Some(ns("2025-11-03T08:00:00Z")));
        assert_eq!(counter.left(at(ns("2025-11-03T07:59:59Z"))), 0);
        assert_eq!(counter.left(at(ns("2025-11-03T08:00:00Z"))), 1);
        assert_eq!(counter.ends_at_ns(at(ns("2026-03-08T08:00:00Z"))), Some(ns("2026-03-09T07:00:00Z")));
    }

    #[test]
    fn long_windows_pass_in_the_world_and_short_ones_outside() {
        let left = |window, real_s: i64, world_s: i64| {
            let mut counter = Counter::new(window, at(START_NS));
            counter.count(at(START_NS));
            counter.left(Moment {
                real_ns: START_NS + real_s * NANOS_PER_SECOND,
                world_ns: START_NS + world_s * NANOS_PER_SECOND,
            })
        };
        let day = LimitWindow::Sliding { limit: 1, window_s: 86_400.0 };
        assert_eq!((left(day, 86_400, 0), left(day, 0, 86_400)), (0, 1));
        let second = LimitWindow::Sliding { limit: 1, window_s: 1.0 };
        assert_eq!((left(second, 1, 0), left(second, 0, 86_400)), (1, 0));
    }

    #[test]
    fn a_world_clock_set_back_begins_a_sliding_window_anew() {
        let day = LimitWindow::Sliding { limit: 1, window_s: 86_400.0 };
        let mut counter = Counter::new(day, at(START_NS));
        counter.count(at(START_NS));
        assert_eq!(counter.left(at(START_NS - 1)), 0);
        assert_eq!(counter.left(at(START_NS - 24 * HOUR_NS)), 1);
    }

    #[test]
    fn a_window_is_read_from_json() {
        let read = |text| serde_json::from_str::<LimitWindow>(text);
        let window = read(r#"{"kind":"fixed","limit":5000,"period":"pacific_day"}"#).unwrap();
        assert_eq!(window, LimitWindow::Fixed { limit: 5_000, period: Period::PacificDay });
        let window = read(r#"{"kind":"fixed","limit":5,"period":{"every_s":60}}"#).unwrap();
        assert_eq!(window, LimitWindow::Fixed { limit: 5, period: Period::EveryS(60) });
        let window = read(r#"{"kind":"token_bucket","per_second":0.5,"burst":2}"#).unwrap();
        assert_eq!(window, LimitWindow::TokenBucket { per_second: 0.5, burst: 2.0 });
        assert!(read(r#"{"kind":"sliding","limit":5,"window_s":1,"per":"key"}"#).is_err());
    }
}
