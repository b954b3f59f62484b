//! The way to a permit within one process: governor paces the questions to the ledger, one job at a time stands at its
//! door, and who would wait too long is sent away with a time to come back.

use std::num::NonZeroU32;
use std::sync::{Mutex as SyncMutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rand::Rng;
use sqlx::PgPool;
use tokio::sync::{Mutex, OnceCell};

use super::ledger::{self, Answer, End, LedgerError, Lesson, Permit, Purpose, SEND_WITHIN, Scope};
use crate::limits::Window;

/// Longest time for which a job waits for its turn instead of being put off.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Shortest time between two questions of a job that stands at the door.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Who is put off comes back so much before the time, and waits for the rest.
const EARLY: Duration = Duration::from_secs(2);

/// Longest time after which a job that was put off looks again.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Permits that a process may ask for at once after a rest.
const BURST: NonZeroU32 = NonZeroU32::new(32).expect("32 is not zero");

/// The limits that one operation must keep.
#[derive(Clone, Debug)]
pub struct ScopeLimit {
    /// Name of the scope.
    pub scope: String,
    /// Its windows.
    pub windows: Vec<Window>,
    /// Whether an operator set them.
    pub is_set_by_operator: bool,
}

/// How long a request must still wait.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", match is_paused {
    true => format!("the marketplace asked for a pause of {scope}"),
    false => format!("the quota of {scope} is used up for now"),
})]
pub struct Wait {
    /// The scope that is used up.
    pub scope: String,
    /// How long until it is worth trying again.
    pub delay: Duration,
    /// Whether the marketplace asked for a pause.
    pub is_paused: bool,
}

/// Why there is no permit.
#[derive(Debug, thiserror::Error)]
pub enum NoPermit {
    /// Not now.
    #[error(transparent)]
    Wait(#[from] Wait),
    /// Never.
    #[error("over budget: the crawl run has spent {spent} of its {budget} requests")]
    OverBudget {
        /// Requests that it sent or is sending.
        spent: i64,
        /// Requests that it was granted.
        budget: i32,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A permit in hand: its request may be sent now.
#[derive(Debug)]
pub struct Held {
    permit: Permit,
    send_by: Instant,
}

/// The way to permits of one set of scopes of one credential.
pub struct Pacer {
    marketplace: digitallz_common::marketplace::Marketplace,
    credential: String,
    limits: Vec<ScopeLimit>,
    scopes: OnceCell<Vec<Scope>>,
    door: Mutex<()>,
    own_pace: SyncMutex<OwnPace>,
}

/// The pace of this process: never faster than all processes together may be.
struct OwnPace {
    per_second: f64,
    limiter: DefaultDirectRateLimiter,
}

impl Pacer {
    /// Makes the way to permits that count against all of the limits, the widest first.
    pub fn new(
        marketplace: digitallz_common::marketplace::Marketplace,
        credential: String,
        limits: Vec<ScopeLimit>,
    ) -> Pacer {
        let own_pace = SyncMutex::new(OwnPace::new(1e3));
        Pacer { marketplace, credential, limits, scopes: OnceCell::new(), door: Mutex::new(()), own_pace }
    }

    /// Waits for a permit and for its moment. `is_urgent` asks again at the earliest time instead of queueing up.
    pub async fn acquire(
        &self,
        pool: &PgPool,
        purpose: Purpose<'_>,
        world: Option<DateTime<Utc>>,
        is_urgent: bool,
    ) -> Result<Held, NoPermit> {
        let scopes = self.scopes(pool).await?;
        let give_up_at = tokio::time::Instant::now() + PATIENCE;
        let door = tokio::time::timeout_at(give_up_at, self.door.lock()).await;
        let is_first = door.is_ok();
        loop {
            if is_first {
                self.own_turn(give_up_at).await;
            }
            let asked_at = Instant::now();
            let (wait, ticket, scope, is_paused) = match ledger::acquire(pool, scopes, purpose, world).await? {
                Answer::Granted { permit, per_second } => {
                    drop(door);
                    self.keep_pace(per_second);
                    let send_by = asked_at + permit.wait + SEND_WITHIN;
                    let held = Held { permit, send_by };
                    tokio::time::sleep(held.permit.wait).await;
                    return Ok(held);
                }
                Answer::Denied { wait, ticket, scope, is_paused } => (wait, ticket, scope, is_paused),
                Answer::OverBudget { spent, budget } => return Err(NoPermit::OverBudget { spent, budget }),
            };
            if !is_first || tokio::time::Instant::now() + wait > give_up_at {
                let back = if is_urgent { wait } else { ticket };
                return Err(Wait { scope, delay: back_in(back), is_paused }.into());
            }
            // A permit is granted a little ahead of its moment: asking then hides the time that asking takes.
            tokio::time::sleep(wait.saturating_sub(ledger::AHEAD).max(LOOK_AGAIN)).await;
        }
    }

    /// Ends a permit and takes over what was learnt.
    pub async fn settle(
        &self,
        pool: &PgPool,
        held: &Held,
        end: End,
        lesson: &Lesson,
        world: Option<DateTime<Utc>>,
    ) -> Result<(), LedgerError> {
        ledger::settle(pool, self.scopes(pool).await?, &held.permit, end, lesson, world).await
    }

    /// Opens the accounts, once per process, and returns them.
    pub async fn scopes(&self, pool: &PgPool) -> Result<&[Scope], LedgerError> {
        let open = async {
            let mut scopes = Vec::with_capacity(self.limits.len());
            for limit in &self.limits {
                let quota_id =
                    ledger::open(pool, self.marketplace, &self.credential, &limit.scope, &limit.windows).await?;
                let name = limit.scope.clone();
                scopes.push(Scope { quota_id, name, is_set_by_operator: limit.is_set_by_operator });
            }
            Ok::<Vec<Scope>, LedgerError>(scopes)
        };
        Ok(self.scopes.get_or_try_init(|| open).await?)
    }

    /// Waits until this process may ask the ledger again.
    async fn own_turn(&self, give_up_at: tokio::time::Instant) {
        loop {
            let not_before = {
                let own_pace = self.own_pace.lock().unwrap_or_else(PoisonError::into_inner);
                match own_pace.limiter.check() {
                    Ok(()) => return,
                    Err(too_early) => too_early.wait_time_from(governor::clock::Clock::now(own_pace.limiter.clock())),
                }
            };
            if tokio::time::Instant::now() + not_before > give_up_at {
                return;
            }
            tokio::time::sleep(not_before).await;
        }
    }

    fn keep_pace(&self, per_second: f64) {
        let mut own_pace = self.own_pace.lock().unwrap_or_else(PoisonError::into_inner);
        if (own_pace.per_second / per_second - 1.0).abs() > 0.01 {
            *own_pace = OwnPace::new(per_second);
        }
    }
}

impl Held {
    /// Tells whether the request may still be sent.
    pub fn is_valid(&self) -> bool {
        Instant::now() < self.send_by
    }
}

impl OwnPace {
    fn new(per_second: f64) -> OwnPace {
        let period = Duration::from_secs_f64(1.0 / per_second.clamp(1e-6, 1e4));
        let quota = Quota::with_period(period).expect("a period is longer than nothing").allow_burst(BURST);
        OwnPace { per_second, limiter: RateLimiter::direct(quota) }
    }
}

/// Returns when a job comes back: a little before its time, and not all at the same moment.
fn back_in(delay: Duration) -> Duration {
    const SPREAD_MS: u64 = 500;
    let spread = Duration::from_millis(rand::rng().random_range(0..=SPREAD_MS));
    delay.min(WAIT_MAX).saturating_sub(EARLY).max(Duration::from_millis(100)) + spread
}
