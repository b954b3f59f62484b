//! The two clocks: the world's, which can be set, and the real one, which measures limits and lifetimes.

use std::sync::RwLock;
use std::time::SystemTime;

use chrono::{DateTime, NaiveDate, Utc};

/// Day 0 of the world, a Sunday; demand begins here.
pub(crate) const EPOCH: NaiveDate = match NaiveDate::from_ymd_opt(2020, 1, 5) {
    Some(date) => date,
    None => panic!("2020-01-05 is a date"),
};

/// Number of weeks in the world: 2020-01-05 to 2032-01-03.
pub(crate) const WEEKS: usize = 626;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The world's clock: it stands still once it has been set.
pub(crate) struct Clock(RwLock<Option<DateTime<Utc>>>);

impl Clock {
    pub(crate) fn new(now: Option<DateTime<Utc>>) -> Self {
        Self(RwLock::new(now))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.0.read().expect("no holder panics").unwrap_or_else(real_now)
    }

    pub(crate) fn set(&self, now: DateTime<Utc>) {
        *self.0.write().expect("no holder panics") = Some(now);
    }
}

/// The moment outside the world.
#[expect(clippy::disallowed_methods, reason = "the sandbox is an edge: limits and links live in real time")]
pub(crate) fn real_now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}

/// Turns a moment into days since the world's day 0.
pub(crate) fn day_of(moment: DateTime<Utc>) -> f64 {
    (moment.timestamp() - epoch_timestamp()) as f64 / SECONDS_PER_DAY
}

/// Turns days since the world's day 0 into epoch seconds.
pub(crate) fn timestamp_of(day: f64) -> i64 {
    epoch_timestamp() + (day * SECONDS_PER_DAY) as i64
}

/// Counts the weeks from the world's first week to the one that holds `date`; negative before it.
pub(crate) fn week_of(date: NaiveDate) -> i64 {
    (date - EPOCH).num_days().div_euclid(7)
}

fn epoch_timestamp() -> i64 {
    EPOCH.and_time(chrono::NaiveTime::MIN).and_utc().timestamp()
}
