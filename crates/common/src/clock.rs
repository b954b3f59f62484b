//! The clock of the world: the real one, or one that is moved by hand for time-lapse.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Tells the time to the edge, which hands it on as an argument.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The clock of the machine.
    System,
    /// A clock that stands still until it is set; microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Makes a clock that stands at `now`.
    pub fn manual(now: DateTime<Utc>) -> Clock {
        Clock::Manual(Arc::new(AtomicI64::new(now.timestamp_micros())))
    }

    /// Returns the time.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
            Clock::System => Utc::now(),
            Clock::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).expect("set from a valid time")
            }
        }
    }

    /// Moves a manual clock; the system clock is left alone.
    pub fn set(&self, now: DateTime<Utc>) {
        if let Clock::Manual(micros) = self {
            micros.store(now.timestamp_micros(), Ordering::SeqCst);
        }
    }
}
