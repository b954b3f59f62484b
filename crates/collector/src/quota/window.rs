//! One window of a limit and what is spent of it: pure arithmetic, no clock, no database.
//!
//! A marketplace counts a request at a moment that nobody here knows: somewhere between its sending and its answer. So a
//! request counts as *open* from the grant of its permit, undiminished, and begins to age only once it is over. Whatever
//! moment the marketplace chose, its own count is then never higher than the one kept here:
//!
//! - Bucket: debt grows by one when a request is over and drains at the rate; a permit is granted when debt + open + 1 fits
//!   into the burst. Work that is added later is drained later, so debt + open bounds the marketplace's fill at any moment.
//! - Sliding: a request leaves the marketplace's window a period after it was counted, hence at the latest a period after it
//!   was over, which is when it leaves the window here.
//! - Fixed: a request counts in every period that the time from its sending to its end touches.
//!
//! Clocks differ a little: rates are kept a thousandth slower, periods a thousandth longer, and around a renewal a request
//! counts on both sides.

use chrono::{DateTime, Days, NaiveTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

use crate::limits::{Renewal, Window};

/// Microseconds since 1970.
pub type Micros = i64;

/// Share by which clocks may run apart.
const DRIFT: f64 = 0.001;

/// Parts into which a sliding window is cut for counting, finer for short ones, of which each part matters more; a request
/// counts until its part has left the window.
const SLICES_OF_SHORT: i64 = 1_000;
const SLICES_OF_LONG: i64 = 250;

/// Windows up to this length are short.
const SHORT_US: Micros = 10_000_000;

/// Windows from this length on follow the clock of the world, shorter ones and buckets the real one.
const HOUR_US: Micros = 3_600_000_000;

/// How far a renewal may be off between us and the marketplace.
const RENEWAL_GUARD_US: Micros = 2_000_000;

/// The two clocks: of the database, and of the world, which are the same outside of time-lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Real time.
    pub real: Micros,
    /// Time of the world.
    pub world: Micros,
}

impl Now {
    /// Outside of time-lapse both are the same.
    pub fn same(micros: Micros) -> Now {
        Now { real: micros, world: micros }
    }

    /// Returns an earlier moment, given in real time, on both clocks.
    pub fn back_at(self, real: Micros) -> Now {
        Now { real, world: self.world - (self.real - real) }
    }
}

/// A window with what is spent of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// What the contract or the operator says.
    pub configured: Window,
    /// What is in force: lowered or raised by answers of the marketplace.
    pub in_force: Window,
    /// Share of the rate that is used, 0 to 1: less than 1 while the marketplace has trouble.
    pub pace: f64,
    spent: Spent,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "counted_as", rename_all = "snake_case")]
enum Spent {
    Debt {
        debt: f64,
        at: Micros,
    },
    Slices {
        /// Number of the slice since 1970 and the requests in it, oldest first.
        slices: Vec<(i64, u32)>,
    },
    Period {
        /// Beginning of the period.
        start: Micros,
        used: u32,
        /// Requests of the period before, for those that may still be counted there.
        used_before: u32,
        /// Requests so near to the end that the next period may count them.
        used_after: u32,
    },
}

/// When a window admits one more request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// From this many microseconds from now on.
    After(Micros),
    /// Not before an open request is over.
    WhenOthersEnd,
}

impl Tally {
    /// Begins to count a window.
    pub fn new(configured: Window) -> Tally {
        let spent = match configured {
            Window::Bucket { .. } => Spent::Debt { debt: 0.0, at: 0 },
            Window::Sliding { .. } => Spent::Slices { slices: Vec::new() },
            Window::Fixed { .. } => Spent::Period { start: 0, used: 0, used_before: 0, used_after: 0 },
        };
        Tally { configured, in_force: configured, pace: 1.0, spent }
    }

    /// Tells when one more request fits, besides `open` ones of which it is not known whether they were counted.
    pub fn admission(&mut self, now: Now, open: u32) -> Admission {
        let at = self.time(now);
        self.forget_old(at);
        let pace = self.pace;
        match (&self.in_force, &self.spent) {
            (Window::Bucket { per_second, burst }, Spent::Debt { debt, .. }) => {
                let free = f64::from(*burst) - f64::from(open) - 1.0;
                if free < 0.0 {
                    return Admission::WhenOthersEnd;
                }
                // Rounding must never let a request through that does not quite fit.
                let excess = debt - free;
                if excess <= 0.0 { Admission::After(0) } else { wait(excess / drained_per_us(*per_second, pace)) }
            }
            (Window::Sliding { requests, period }, Spent::Slices { slices }) => {
                let requests = paced(*requests, pace);
                if open >= requests {
                    return Admission::WhenOthersEnd;
                }
                let mut counted: u32 = slices.iter().map(|(_, count)| count).sum();
                let mut leaves_at = at;
                for (slice, count) in slices {
                    if counted + open < requests {
                        break;
                    }
                    counted -= count;
                    leaves_at = leaving(*slice, period.as_micros() as Micros);
                }
                Admission::After((leaves_at - at).max(0))
            }
            (Window::Fixed { requests, renewal }, Spent::Period { start, used, used_before, used_after }) => {
                let guard = guard(*renewal);
                if used + open < *requests && (at >= start + guard || used_before + open < *requests) {
                    return Admission::After(0);
                }
                if used + open < *requests {
                    return Admission::After(start + guard - at);
                }
                // Those that are open may be counted in the next period as well.
                if open > 0 && (*used < *requests || used_after + open >= *requests) {
                    return Admission::WhenOthersEnd;
                }
                let mut free_at = next_renewal(*renewal, *start);
                if used_after >= requests {
                    free_at = next_renewal(*renewal, free_at);
                }
                Admission::After(free_at + guard - at)
            }
            _ => Admission::After(0),
        }
    }

    /// Counts a request that was sent at the earliest at `sent` and was over by `over`.
    pub fn count(&mut self, sent: Now, over: Now, now: Now) {
        let (sent, over, at) = (self.time(sent), self.time(over), self.time(now));
        self.forget_old(at);
        let in_force = self.in_force;
        match (&in_force, &mut self.spent) {
            // Not a part of it may count as drained already: what was there before has been drained meanwhile.
            (Window::Bucket { .. }, Spent::Debt { debt, .. }) => *debt += 1.0,
            (Window::Sliding { period, .. }, Spent::Slices { slices }) => {
                let current = over.div_euclid(slice_length(period.as_micros() as Micros));
                match slices.last_mut() {
                    Some((slice, count)) if *slice >= current => *count += 1,
                    _ => slices.push((current, 1)),
                }
            }
            (Window::Fixed { renewal, .. }, Spent::Period { start, used, used_before, used_after }) => {
                *used += 1;
                if sent < *start + guard(*renewal) {
                    *used_before += 1;
                }
                if over >= next_renewal(*renewal, *start) - guard(*renewal) {
                    *used_after += 1;
                }
            }
            _ => {}
        }
    }

    /// Takes over another limit of the same kind; what is spent stays spent.
    pub fn change(&mut self, in_force: Window, now: Now) {
        let at = self.time(now);
        self.forget_old(at);
        if let (Window::Sliding { period: old, .. }, Window::Sliding { period: new, .. }) = (self.in_force, in_force)
            && old != new
            && let Spent::Slices { slices } = &mut self.spent
        {
            // The slices of another length: what was counted is counted as if it were just over.
            let counted = slices.iter().map(|(_, count)| count).sum();
            *slices = vec![(at.div_euclid(slice_length(new.as_micros() as Micros)), counted)];
        }
        self.in_force = in_force;
    }

    /// Takes over how much the marketplace says is used, where that is more than is known here: others share the credential.
    pub fn know_used(&mut self, used_there: u32, open: u32, now: Now) {
        let at = self.time(now);
        self.forget_old(at);
        let in_force = self.in_force;
        match (&in_force, &mut self.spent) {
            (Window::Sliding { period, .. }, Spent::Slices { slices }) => {
                let counted: u32 = slices.iter().map(|(_, count)| count).sum();
                let foreign = used_there.saturating_sub(counted + open);
                if foreign > 0 {
                    slices.push((at.div_euclid(slice_length(period.as_micros() as Micros)), foreign));
                }
            }
            (Window::Fixed { .. }, Spent::Period { used, .. }) => {
                *used = (*used).max(used_there.saturating_sub(open));
            }
            _ => {}
        }
    }

    /// Slows the window down, or lets it go at its own pace again.
    pub fn set_pace(&mut self, pace: f64, now: Now) {
        let at = self.time(now);
        self.forget_old(at);
        self.pace = pace.clamp(0.01, 1.0);
    }

    /// Returns how many requests fit now, and when all are free again, in microseconds from now.
    pub fn left(&mut self, now: Now, open: u32) -> (u32, Micros) {
        let at = self.time(now);
        self.forget_old(at);
        match (&self.in_force, &self.spent) {
            (Window::Bucket { per_second, burst }, Spent::Debt { debt, .. }) => {
                let left = (f64::from(*burst) - debt - f64::from(open)).max(0.0);
                (left as u32, (debt / drained_per_us(*per_second, 1.0)) as Micros)
            }
            (Window::Sliding { requests, period }, Spent::Slices { slices }) => {
                let counted: u32 = slices.iter().map(|(_, count)| count).sum();
                let all_free = slices.last().map_or(at, |(slice, _)| leaving(*slice, period.as_micros() as Micros));
                (requests.saturating_sub(counted + open), (all_free - at).max(0))
            }
            (Window::Fixed { requests, renewal }, Spent::Period { start, used, .. }) => {
                (requests.saturating_sub(used + open), next_renewal(*renewal, *start) - at)
            }
            _ => (0, 0),
        }
    }

    /// Picks the clock that the window follows.
    fn time(&self, now: Now) -> Micros {
        let follows_world = match self.configured {
            Window::Bucket { .. } => false,
            Window::Sliding { period, .. } => period.as_micros() as Micros >= HOUR_US,
            Window::Fixed { renewal: Renewal::Midnight(_), .. } => true,
            Window::Fixed { renewal: Renewal::Every(period), .. } => period.as_micros() as Micros >= HOUR_US,
        };
        if follows_world { now.world } else { now.real }
    }

    /// Drains, drops and renews what time has settled. A clock that went back settles nothing.
    fn forget_old(&mut self, now: Micros) {
        let (in_force, pace) = (self.in_force, self.pace);
        match (&in_force, &mut self.spent) {
            (Window::Bucket { per_second, .. }, Spent::Debt { debt, at }) => {
                let passed = (now - *at).max(0);
                *debt = (*debt - passed as f64 * drained_per_us(*per_second, pace)).max(0.0);
                *at = now.max(*at);
            }
            (Window::Sliding { period, .. }, Spent::Slices { slices }) => {
                slices.retain(|(slice, _)| leaving(*slice, period.as_micros() as Micros) > now);
            }
            (Window::Fixed { renewal, .. }, Spent::Period { start, used, used_before, used_after }) => {
                let current = last_renewal(*renewal, now);
                if current > *start {
                    let is_next = current == next_renewal(*renewal, *start);
                    *used_before = if is_next { *used } else { 0 };
                    *used = if is_next { *used_after } else { 0 };
                    *used_after = 0;
                    *start = current;
                }
            }
            _ => {}
        }
    }
}

fn drained_per_us(per_second: f64, pace: f64) -> f64 {
    per_second * pace * (1.0 - DRIFT) / 1e6
}

fn wait(micros: f64) -> Admission {
    const LONGEST_US: f64 = 366.0 * 86_400e6;
    Admission::After(micros.min(LONGEST_US).ceil() as Micros + 1)
}

fn paced(requests: u32, pace: f64) -> u32 {
    ((f64::from(requests) * pace) as u32).max(1)
}

fn slice_length(period: Micros) -> Micros {
    (period / if period <= SHORT_US { SLICES_OF_SHORT } else { SLICES_OF_LONG }).max(1)
}

/// Returns when the requests of a slice are certainly out of the marketplace's window.
fn leaving(slice: i64, period: Micros) -> Micros {
    (slice + 1) * slice_length(period) + period + (period as f64 * DRIFT) as Micros + 1
}

fn guard(renewal: Renewal) -> Micros {
    match renewal {
        Renewal::Midnight(_) => RENEWAL_GUARD_US,
        Renewal::Every(period) => RENEWAL_GUARD_US.min(period.as_micros() as Micros / 200),
    }
}

/// Returns the beginning of the period that holds a moment.
fn last_renewal(renewal: Renewal, at: Micros) -> Micros {
    match renewal {
        Renewal::Every(period) => {
            let period = period.as_micros() as Micros;
            at.div_euclid(period) * period
        }
        Renewal::Midnight(zone) => {
            let moment: DateTime<Utc> = DateTime::from_timestamp_micros(at).unwrap_or_default();
            midnight(zone, moment.with_timezone(&zone).date_naive())
        }
    }
}

/// Returns the end of the period that begins at `start`.
fn next_renewal(renewal: Renewal, start: Micros) -> Micros {
    match renewal {
        Renewal::Every(period) => start + period.as_micros() as Micros,
        Renewal::Midnight(zone) => {
            let moment: DateTime<Utc> = DateTime::from_timestamp_micros(start).unwrap_or_default();
            midnight(zone, moment.with_timezone(&zone).date_naive() + Days::new(1))
        }
    }
}

/// Returns the first moment of a day; where midnight is skipped by a change of the clock, the moment after the gap.
fn midnight(zone: chrono_tz::Tz, date: chrono::NaiveDate) -> Micros {
    let mut wall = date.and_time(NaiveTime::MIN);
    loop {
        if let Some(moment) = zone.from_local_datetime(&wall).earliest() {
            return moment.timestamp_micros();
        }
        wall += chrono::TimeDelta::minutes(15);
    }
}
