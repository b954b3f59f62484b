//! The ledger in Postgres: accounts and permits, shared by every collector process on every machine.
//!
//! Whoever grants or settles a permit holds the rows of its accounts, so that grants of one account follow one another, and
//! reads the open permits after it holds them. The clock is that of the database. A permit whose holder died is counted as
//! spent once it has expired: its request may have been sent.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

use super::account::{Account, Statement, Turn};
use super::holder::LOCK_CLASS;
use super::window::{Micros, Now};
use crate::limits::Window;

/// A permit is granted this long before its moment at the most, so that a lowered limit holds at once.
pub const AHEAD: Duration = Duration::from_millis(250);

/// How soon to look again when an open request must end first.
const LOOK_AGAIN_US: Micros = 10_000;

/// How long a request of a holder that died may still be on its way.
const GRACE_S: f64 = 1.0;

/// A request is sent at the latest this long after its moment; later its permit is void.
pub const SEND_WITHIN: Duration = Duration::from_secs(5);

/// Added to the time a request may take before its permit expires.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// A scope of a credential with the limits it must keep.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its row.
    pub quota_id: i64,
    /// Its name.
    pub name: String,
    /// Whether an operator set its limits.
    pub is_set_by_operator: bool,
}

/// What a permit is for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Its name of the operation.
    pub operation: &'a str,
    /// The crawl run it is spent for, if for one.
    pub crawl_run_id: Option<Uuid>,
    /// The job it is spent for, if for one.
    pub job_id: Option<Uuid>,
    /// Longest time the request may take.
    pub timeout: Duration,
    /// The process that asks, see [`super::holder::Holder`].
    pub holder: i32,
}

/// Permission to send one request.
#[derive(Clone, Debug)]
pub struct Permit {
    /// Its row.
    pub permit_id: i64,
    /// How long to wait before sending.
    pub wait: Duration,
}

/// What the ledger said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Go.
    Granted {
        /// The permit.
        permit: Permit,
        /// Requests per second that are possible at present, for pacing within the process.
        per_second: f64,
    },
    /// Not now.
    Denied {
        /// When it is worth asking again.
        wait: Duration,
        /// When to come back for somebody who does not stand and wait.
        ticket: Duration,
        /// The scope that is used up.
        scope: String,
        /// Whether the marketplace asked for a pause.
        is_paused: bool,
    },
    /// Never: the crawl run has spent what it was granted.
    OverBudget {
        /// Requests that it sent or is sending.
        spent: i64,
        /// Requests that it was granted.
        budget: i32,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was answered with this status, or may have been received without an answer.
    Spent(Option<u16>),
    /// It was certainly not sent.
    Returned,
}

/// What is learnt from an answer about the narrowest scope of a permit.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// What it says about limits.
    pub statements: Vec<Statement>,
    /// How long nobody may ask.
    pub pause: Option<Duration>,
    /// Whether the marketplace is in trouble (429, 503, time-outs), which slows everybody down.
    pub is_trouble: bool,
}

/// Opens the account of a scope where there is none, brings its limits to what is configured, and returns its row.
pub async fn open(
    pool: &PgPool,
    marketplace: Marketplace,
    credential: &str,
    scope: &str,
    windows: &[Window],
) -> Result<i64, LedgerError> {
    let fresh = serde_json::to_value(Account::new(windows))?;
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "insert into ops.quotas (marketplace, credential, scope, account, updated_at)
         values ($1, $2, $3, $4, clock_timestamp())
         on conflict (marketplace, credential, scope) do nothing",
        marketplace.name(),
        credential,
        scope,
        fresh,
    )
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query!(
        "select quota_id, account from ops.quotas where marketplace = $1 and credential = $2 and scope = $3 for update",
        marketplace.name(),
        credential,
        scope,
    )
    .fetch_one(&mut *tx)
    .await?;
    let before: Account = serde_json::from_value(row.account)?;
    let mut account = before.clone();
    account.configure(windows);
    if account != before {
        store(&mut tx, row.quota_id, &account).await?;
    }
    tx.commit().await?;
    Ok(row.quota_id)
}

/// Grants a permit that counts against all the scopes, or tells when to ask again.
///
/// `world` is the time of the world where that is not the database's.
pub async fn acquire(
    pool: &PgPool,
    scopes: &[Scope],
    purpose: Purpose<'_>,
    world: Option<DateTime<Utc>>,
) -> Result<Answer, LedgerError> {
    let quota_ids = quota_ids(scopes);
    let mut tx = pool.begin().await?;
    if let Some(refusal) = over_budget(&mut tx, purpose.crawl_run_id).await? {
        return Ok(refusal);
    }
    let mut held = hold(&mut tx, &quota_ids, world).await?;
    let mut turn = Turns::of(&mut held);
    if turn.is_refused() && held.accounts.iter().any(|(.., open)| *open > 0) {
        // Perhaps the places are held by the dead.
        tx.rollback().await?;
        expire(pool, world).await?;
        tx = pool.begin().await?;
        if let Some(refusal) = over_budget(&mut tx, purpose.crawl_run_id).await? {
            return Ok(refusal);
        }
        held = hold(&mut tx, &quota_ids, world).await?;
        turn = Turns::of(&mut held);
    }
    let (now, wait) = (held.now, turn.wait);
    if turn.is_refused() {
        let (quota_id, account, open) = &mut held.accounts[turn.binding];
        let ticket = account.ticket(wait, *open, now);
        let is_paused = account.paused_until > now.real;
        store(&mut tx, *quota_id, account).await?;
        tx.commit().await?;
        let scope = scopes.iter().find(|scope| scope.quota_id == *quota_id);
        return Ok(Answer::Denied {
            wait: micros(wait),
            ticket: micros(ticket),
            scope: scope.map(|scope| scope.name.clone()).unwrap_or_default(),
            is_paused,
        });
    }
    let lifetime = micros(wait) + SEND_WITHIN + purpose.timeout + EXPIRY_MARGIN;
    let permit_id = sqlx::query_scalar!(
        "insert into ops.quota_permits (marketplace, operation, quota_ids, crawl_run_id, job_id, holder, state,
             granted_at, send_at, expires_at)
         values ($1, $2, $3, $4, $5, $9, 'open', $6, $6::timestamptz + make_interval(secs => $7),
             $6::timestamptz + make_interval(secs => $8))
         returning permit_id",
        purpose.marketplace.name(),
        purpose.operation,
        &quota_ids,
        purpose.crawl_run_id,
        purpose.job_id,
        moment(now.real),
        micros(wait).as_secs_f64(),
        lifetime.as_secs_f64(),
        purpose.holder,
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    let per_second = held.accounts.iter().map(|(_, account, _)| account.per_second()).fold(1e3, f64::min);
    Ok(Answer::Granted { permit: Permit { permit_id, wait: micros(wait) }, per_second })
}

/// Tells whether a crawl run has spent its budget. A run that has one is locked until the transaction ends, so that two
/// permits never share its last request.
async fn over_budget(connection: &mut PgConnection, crawl_run_id: Option<Uuid>) -> Result<Option<Answer>, LedgerError> {
    let Some(crawl_run_id) = crawl_run_id else { return Ok(None) };
    let budget = sqlx::query_scalar!(
        r#"select request_budget as "budget!" from ops.crawl_runs
           where crawl_run_id = $1 and request_budget is not null
           for no key update"#,
        crawl_run_id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(budget) = budget else { return Ok(None) };
    let spent = sqlx::query_scalar!(
        r#"select count(*) as "spent!" from ops.quota_permits where crawl_run_id = $1 and state <> 'returned'"#,
        crawl_run_id,
    )
    .fetch_one(connection)
    .await?;
    Ok((spent >= i64::from(budget)).then_some(Answer::OverBudget { spent, budget }))
}

/// When all accounts admit a request.
struct Turns {
    /// The longest of their waits.
    wait: Micros,
    /// The account that makes it so.
    binding: usize,
    /// Whether one waits for open requests to end.
    waits_for_others: bool,
}

impl Turns {
    fn of(held: &mut Held) -> Turns {
        let mut turns = Turns { wait: 0, binding: 0, waits_for_others: false };
        for (index, (_, account, open)) in held.accounts.iter_mut().enumerate() {
            match account.turn(held.now, *open) {
                Turn::In(wait) if wait > turns.wait => (turns.wait, turns.binding) = (wait, index),
                Turn::In(_) => {}
                Turn::WhenOthersEnd => (turns.waits_for_others, turns.binding) = (true, index),
            }
        }
        if turns.waits_for_others {
            turns.wait = turns.wait.max(LOOK_AGAIN_US);
        }
        turns
    }

    fn is_refused(&self) -> bool {
        self.waits_for_others || micros(self.wait) > AHEAD
    }
}

/// Ends a permit and takes over what the answer taught about its narrowest scope, which is the last of `scopes`.
pub async fn settle(
    pool: &PgPool,
    scopes: &[Scope],
    permit: &Permit,
    end: End,
    lesson: &Lesson,
    world: Option<DateTime<Utc>>,
) -> Result<(), LedgerError> {
    let mut tx = pool.begin().await?;
    // The request was over before this, however long the accounts are waited for.
    let over = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&mut *tx).await?;
    let mut held = hold(&mut tx, &quota_ids(scopes), world).await?;
    let (state, status_code) = match end {
        End::Spent(status) => ("spent", status.map(|status| status as i16)),
        End::Returned => ("returned", None),
    };
    let sent = close(&mut tx, permit.permit_id, state, status_code, held.now).await?;
    let narrowest = scopes.last().map(|scope| (scope.quota_id, scope.is_set_by_operator));
    let now = held.now;
    for (quota_id, account, open) in &mut held.accounts {
        let before = account.clone();
        if let Some(sent) = sent {
            *open = open.saturating_sub(1);
            if end != End::Returned {
                account.count(now.back_at(sent), now.back_at(over.timestamp_micros()), now);
            }
        }
        if let Some((_, is_set_by_operator)) = narrowest.filter(|(narrowest, _)| narrowest == quota_id) {
            account.learn(&lesson.statements, is_set_by_operator, *open, now);
            if let Some(delay) = lesson.pause {
                account.pause(delay, now);
            }
            match (lesson.is_trouble, end) {
                (true, _) => account.slow_down(now),
                (false, End::Spent(Some(_))) => account.speed_up(now),
                (false, _) => {}
            }
        }
        if *account != before {
            store(&mut tx, *quota_id, account).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Takes over what a marketplace says about a scope outside of any answer to a permit of it.
pub async fn learn(
    pool: &PgPool,
    scope: &Scope,
    statements: &[Statement],
    world: Option<DateTime<Utc>>,
) -> Result<(), LedgerError> {
    let mut tx = pool.begin().await?;
    let mut held = hold(&mut tx, &[scope.quota_id], world).await?;
    let now = held.now;
    if let Some((quota_id, account, open)) = held.accounts.first_mut() {
        account.learn(statements, scope.is_set_by_operator, *open, now);
        store(&mut tx, *quota_id, account).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Counts expired permits as spent, and ends those of dead holders. Returns how many expired.
///
/// A request whose moment has not come was certainly not sent by a holder that is dead now: its permit is returned. One whose
/// moment has come may still be on its way: its permit lives on for a second.
pub async fn expire(pool: &PgPool, world: Option<DateTime<Utc>>) -> Result<usize, LedgerError> {
    sqlx::query!(
        "with dead as (
             select permit_id from ops.quota_permits
             where state = 'open' and not exists (
                 select from pg_locks
                 where locktype = 'advisory' and classid = $2::integer::bigint::oid
                   and objid::bigint = holder::bigint & 4294967295
                   and database = (select oid from pg_database where datname = current_database()))
         ),
         moment as (select clock_timestamp() as now)
         update ops.quota_permits permits
         set state = case when send_at > moment.now then 'returned' else state end,
             settled_at = case when send_at > moment.now then moment.now end,
             expires_at = least(expires_at, moment.now + make_interval(secs => $1))
         from dead, moment
         where permits.permit_id = dead.permit_id and permits.state = 'open'
           and (send_at > moment.now or expires_at > moment.now + make_interval(secs => $1))",
        GRACE_S,
        LOCK_CLASS,
    )
    .execute(pool)
    .await?;
    let expired = sqlx::query!(
        "select permit_id, quota_ids from ops.quota_permits
         where state = 'open' and expires_at <= clock_timestamp() order by permit_id limit 1000"
    )
    .fetch_all(pool)
    .await?;
    let mut count = 0;
    for permit in expired {
        let mut tx = pool.begin().await?;
        let mut held = hold(&mut tx, &permit.quota_ids, world).await?;
        let now = held.now;
        if let Some(sent) = close(&mut tx, permit.permit_id, "expired", None, now).await? {
            count += 1;
            for (quota_id, account, _) in &mut held.accounts {
                account.count(now.back_at(sent), now, now);
                store(&mut tx, *quota_id, account).await?;
            }
        }
        tx.commit().await?;
    }
    Ok(count)
}

/// What became of the ledger's own work.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed.
    #[error("the quota ledger's database failed")]
    Database(#[from] sqlx::Error),
    /// An account cannot be read or written.
    #[error("an account of the quota ledger is malformed")]
    Account(#[from] serde_json::Error),
}

/// Accounts under lock, in the order of their rows, with the number of open permits of each.
struct Held {
    now: Now,
    accounts: Vec<(i64, Account, u32)>,
}

/// Locks accounts and reads, once they are locked, the clock and the open permits.
async fn hold(
    connection: &mut PgConnection,
    quota_ids: &[i64],
    world: Option<DateTime<Utc>>,
) -> Result<Held, LedgerError> {
    let rows = sqlx::query!(
        "select quota_id, account from ops.quotas where quota_id = any($1) order by quota_id for update",
        quota_ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut accounts = Vec::with_capacity(rows.len());
    for row in rows {
        accounts.push((row.quota_id, serde_json::from_value(row.account)?, 0));
    }
    // A statement of its own: what it sees was committed before the accounts were locked, or by whoever held them before.
    let open = sqlx::query!(
        r#"select clock_timestamp() as "now!", permits.quota_ids as "quota_ids?"
           from (select) one_row
           left join ops.quota_permits permits on permits.state = 'open' and permits.quota_ids && $1"#,
        quota_ids
    )
    .fetch_all(connection)
    .await?;
    let real = open.first().map(|row| row.now).ok_or(sqlx::Error::RowNotFound)?;
    let world = world.unwrap_or(real);
    let now = Now { real: real.timestamp_micros(), world: world.timestamp_micros() };
    for permit in &open {
        for (quota_id, _, open) in &mut accounts {
            *open += u32::from(permit.quota_ids.as_ref().is_some_and(|ids| ids.contains(quota_id)));
        }
    }
    Ok(Held { now, accounts })
}

/// Ends an open permit and returns its moment of sending; nothing when it was ended before.
async fn close(
    connection: &mut PgConnection,
    permit_id: i64,
    state: &str,
    status_code: Option<i16>,
    now: Now,
) -> Result<Option<Micros>, sqlx::Error> {
    let sent = sqlx::query_scalar!(
        "update ops.quota_permits set state = $2, status_code = $3, settled_at = $4
         where permit_id = $1 and state = 'open'
         returning send_at",
        permit_id,
        state,
        status_code,
        moment(now.real),
    )
    .fetch_optional(connection)
    .await?;
    Ok(sent.map(|sent| sent.timestamp_micros()))
}

async fn store(connection: &mut PgConnection, quota_id: i64, account: &Account) -> Result<(), LedgerError> {
    let account = serde_json::to_value(account)?;
    sqlx::query!(
        "update ops.quotas set account = $2, updated_at = clock_timestamp() where quota_id = $1",
        quota_id,
        account
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn quota_ids(scopes: &[Scope]) -> Vec<i64> {
    scopes.iter().map(|scope| scope.quota_id).collect()
}

fn micros(micros: Micros) -> Duration {
    Duration::from_micros(micros.max(0) as u64)
}

fn moment(micros: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
