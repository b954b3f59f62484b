//! The account of one scope: its windows together, a pause a marketplace asked for, the slow-down in trouble, and the line
//! of those who wait. Pure arithmetic; the ledger keeps it in Postgres.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::{Admission, Micros, Now, Tally};
use crate::limits::Window;

/// The pace after trouble is this share of the one before.
const SLOW_DOWN: f64 = 0.5;

/// The pace never sinks below this share of the limit.
const PACE_MIN: f64 = 0.05;

/// Trouble slows down once per this time, however many requests meet it.
const TROUBLE_EVERY_US: Micros = 2_000_000;

/// From standstill to full pace without trouble it takes this long.
const RECOVERY_US: f64 = 120e6;

/// Those who wait are told to come back in steps of this share of the time a request takes, so that none of it is left idle.
const TICKET_STEP: f64 = 0.75;

/// What is spent of one scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The windows, all of which must admit a request.
    pub windows: Vec<Tally>,
    /// Nothing is sent before this moment of real time, because the marketplace said so.
    #[serde(default)]
    pub paused_until: Micros,
    /// When the pace changed last.
    #[serde(default)]
    paced_at: Micros,
    /// The moment of real time at which the last of those who wait was told to come back.
    #[serde(default)]
    last_ticket: Micros,
}

/// What a marketplace says about a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statement {
    /// So many requests per second; about the bucket.
    Rate(f64),
    /// So many requests per window, and how many of them are left; about the sliding window of this length.
    Sliding {
        /// Length of the window.
        period: Duration,
        /// Requests per window.
        requests: u32,
        /// Requests left, where it says so.
        remaining: Option<u32>,
    },
    /// So many requests until the next renewal, and how many of them are left; about the fixed window.
    Fixed {
        /// Requests per period.
        requests: u32,
        /// Requests left.
        remaining: u32,
    },
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// After so many microseconds.
    In(Micros),
    /// When an open request is over; nobody knows when that is.
    WhenOthersEnd,
}

impl Account {
    /// Opens an account with nothing spent.
    pub fn new(windows: &[Window]) -> Account {
        let windows = windows.iter().copied().map(Tally::new).collect();
        Account { windows, paused_until: 0, paced_at: 0, last_ticket: 0 }
    }

    /// Takes over limits that were configured anew. What is spent of windows of the same kind stays spent.
    pub fn configure(&mut self, windows: &[Window]) {
        let configured: Vec<Window> = self.windows.iter().map(|tally| tally.configured).collect();
        if configured == windows {
            return;
        }
        let mut earlier = std::mem::take(&mut self.windows);
        for window in windows {
            let place = earlier.iter().position(|tally| is_same_kind(&tally.configured, window));
            let mut tally = place.map_or_else(|| Tally::new(*window), |place| earlier.remove(place));
            tally.configured = *window;
            tally.in_force = *window;
            self.windows.push(tally);
        }
    }

    /// Tells when one more request may be sent besides `open` ones.
    pub fn turn(&mut self, now: Now, open: u32) -> Turn {
        let mut latest = (self.paused_until - now.real).max(0);
        for tally in &mut self.windows {
            match tally.admission(now, open) {
                Admission::After(wait) => latest = latest.max(wait),
                Admission::WhenOthersEnd => return Turn::WhenOthersEnd,
            }
        }
        Turn::In(latest)
    }

    /// Counts a request that was sent at the earliest at `sent` and was over by `over`.
    pub fn count(&mut self, sent: Now, over: Now, now: Now) {
        for tally in &mut self.windows {
            tally.count(sent, over, now);
        }
    }

    /// Takes over what an answer says: lower limits at once, higher ones than the contract's unless an operator set it.
    pub fn learn(&mut self, statements: &[Statement], is_set_by_operator: bool, open: u32, now: Now) {
        for statement in statements {
            for tally in &mut self.windows {
                let bounded = |stated: u32, configured: u32| {
                    if is_set_by_operator { stated.min(configured) } else { stated }.max(1)
                };
                let mut used_there = None;
                let in_force = match (*statement, tally.configured) {
                    (Statement::Rate(rate), Window::Bucket { per_second, burst }) if rate.is_finite() && rate > 0.0 => {
                        let rate = if is_set_by_operator { rate.min(per_second) } else { rate };
                        Window::bucket(rate.clamp(1e-6, 1e4), burst)
                    }
                    (
                        Statement::Sliding { period: stated_period, requests: stated, remaining },
                        Window::Sliding { requests, period },
                    ) if stated_period == period => {
                        used_there = remaining.map(|remaining| stated.saturating_sub(remaining));
                        Window::sliding(bounded(stated, requests), period)
                    }
                    (Statement::Fixed { requests: stated, remaining }, Window::Fixed { requests, renewal }) => {
                        used_there = Some(stated.saturating_sub(remaining));
                        Window::Fixed { requests: bounded(stated, requests), renewal }
                    }
                    _ => continue,
                };
                if in_force != tally.in_force {
                    tally.change(in_force, now);
                }
                if let Some(used_there) = used_there {
                    tally.know_used(used_there, open, now);
                }
            }
        }
    }

    /// Lets nobody ask for a while, because the marketplace said so.
    pub fn pause(&mut self, delay: Duration, now: Now) {
        self.paused_until = self.paused_until.max(now.real.saturating_add(delay.as_micros() as Micros));
    }

    /// Slows down after trouble of the marketplace's.
    pub fn slow_down(&mut self, now: Now) {
        if now.real - self.paced_at < TROUBLE_EVERY_US {
            return;
        }
        let pace = (self.pace() * SLOW_DOWN).max(PACE_MIN);
        self.set_pace(pace, now);
    }

    /// Speeds up again while answers are good.
    pub fn speed_up(&mut self, now: Now) {
        let pace = self.pace();
        let quiet = (now.real - self.paced_at) as f64;
        // A step at a time keeps the account from changing with every request.
        if pace < 1.0 && quiet >= RECOVERY_US / 20.0 {
            self.set_pace((pace + quiet / RECOVERY_US).min(1.0), now);
        }
    }

    /// Returns when the last of so many requests could be sent if nobody else asked, in microseconds from now.
    pub fn time_for(&self, requests: u32, open: u32, now: Now) -> Micros {
        let (mut account, mut at) = (self.clone(), now);
        // What is open is over soon; here, at once.
        for _ in 0..open {
            account.count(at, at, at);
        }
        for _ in 0..requests {
            let Turn::In(wait) = account.turn(at, 0) else { break };
            at = Now { real: at.real + wait, world: at.world + wait };
            account.count(at, at, at);
        }
        at.real - now.real
    }

    /// Returns the share of the rates that is in use, 1 without trouble.
    pub fn pace(&self) -> f64 {
        self.windows.iter().map(|tally| tally.pace).fold(1.0, f64::min)
    }

    /// Tells one who was turned away when to come back: after those who were told before, a little early rather than late.
    pub fn ticket(&mut self, wait: Micros, open: u32, now: Now) -> Micros {
        let step = (1e6 / self.binding_rate(open, now) * TICKET_STEP) as Micros;
        let earliest = now.real + wait;
        let ticket = if self.last_ticket < earliest { earliest } else { self.last_ticket + step };
        self.last_ticket = ticket;
        ticket - now.real
    }

    /// Returns how many requests per second are possible while no window of an hour or more is used up.
    pub fn per_second(&self) -> f64 {
        const HOUR: Duration = Duration::from_secs(3_600);
        let rates = self.windows.iter().map(|tally| match tally.in_force {
            Window::Fixed { .. } => f64::INFINITY,
            Window::Sliding { period, .. } if period >= HOUR => f64::INFINITY,
            window => window.per_second() * tally.pace,
        });
        rates.fold(1e3, f64::min)
    }

    /// Returns the rate of the windows that admit nobody now.
    fn binding_rate(&mut self, open: u32, now: Now) -> f64 {
        let full = self.per_second();
        let mut rate = full;
        for tally in &mut self.windows {
            let is_binding = tally.admission(now, open) != Admission::After(0);
            if is_binding && matches!(tally.in_force, Window::Sliding { .. }) {
                rate = rate.min(tally.in_force.per_second() * tally.pace);
            }
        }
        rate.max(1e-6)
    }

    fn set_pace(&mut self, pace: f64, now: Now) {
        for tally in &mut self.windows {
            tally.set_pace(pace, now);
        }
        self.paced_at = now.real;
    }
}

fn is_same_kind(a: &Window, b: &Window) -> bool {
    match (a, b) {
        (Window::Bucket { .. }, Window::Bucket { .. }) => true,
        (Window::Sliding { period: a, .. }, Window::Sliding { period: b, .. }) => a == b,
        (Window::Fixed { renewal: a, .. }, Window::Fixed { renewal: b, .. }) => a == b,
        _ => false,
    }
}
