//! What is left of each quota, and how long so many requests would take: for plans, forecasts and lists.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use sqlx::PgPool;
use std::time::Duration;

use super::account::Account;
use super::ledger::LedgerError;
use super::pacer::ScopeLimit;
use super::window::Now;
use crate::limits::Window;

/// The state of one scope.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Fingerprint of the credential, with its region where regions count by themselves.
    pub credential: String,
    /// The scope.
    pub scope: String,
    /// Every window of it.
    pub windows: Vec<WindowOutlook>,
    /// Share of the rates that is in use, 1 without trouble.
    pub pace: f64,
    /// How long the marketplace asked everybody to wait.
    pub paused_for: Duration,
    /// Requests under way.
    pub open: u32,
    account: Account,
    now: Now,
}

/// The state of one window.
#[derive(Clone, Debug)]
pub struct WindowOutlook {
    /// What the contract or the operator says.
    pub configured: Window,
    /// What is in force, as answers of the marketplace say.
    pub in_force: Window,
    /// Requests that fit now.
    pub left: u32,
    /// When nothing of it is spent any more if nobody asks.
    pub all_free_in: Duration,
}

impl Outlook {
    /// Returns how long it takes to send so many requests if nobody else asks.
    pub fn time_for(&self, requests: u32) -> Duration {
        Duration::from_micros(self.account.time_for(requests, self.open, self.now).max(0) as u64)
    }

    /// Returns how many requests can be sent within a time if nobody else asks.
    pub fn requests_within(&self, time: Duration) -> u32 {
        const MOST: u32 = 1 << 22;
        let (mut fits, mut too_many) = (0, 1);
        while too_many < MOST && self.time_for(too_many) <= time {
            (fits, too_many) = (too_many, too_many * 2);
        }
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if self.time_for(middle) <= time { fits = middle } else { too_many = middle }
        }
        fits
    }

    /// Returns how many requests a day can be sent in the long run.
    pub fn per_day(&self) -> f64 {
        const DAY_S: f64 = 86_400.0;
        self.windows.iter().map(|window| window.in_force.per_second() * DAY_S).fold(f64::INFINITY, f64::min)
    }
}

/// Reads the state of a scope; one that nobody has used yet is as it is configured.
pub async fn of_scope(
    pool: &PgPool,
    marketplace: Marketplace,
    credential: &str,
    limit: &ScopeLimit,
    world: Option<DateTime<Utc>>,
) -> Result<Outlook, LedgerError> {
    let row = sqlx::query!(
        r#"select clock_timestamp() as "now!", quotas.account as "account?",
                  (select count(*) from ops.quota_permits permits
                   where permits.state = 'open' and permits.quota_ids && array[quotas.quota_id]) as "open!"
           from (select) one_row
           left join ops.quotas quotas
               on quotas.marketplace = $1 and quotas.credential = $2 and quotas.scope = $3"#,
        marketplace.name(),
        credential,
        limit.scope,
    )
    .fetch_one(pool)
    .await?;
    let mut account: Account =
        row.account.map(serde_json::from_value).transpose()?.unwrap_or_else(|| Account::new(&[]));
    account.configure(&limit.windows);
    let now = Now { real: row.now.timestamp_micros(), world: world.unwrap_or(row.now).timestamp_micros() };
    let open = u32::try_from(row.open).unwrap_or(u32::MAX);
    let mut windows = Vec::with_capacity(account.windows.len());
    for tally in &mut account.windows {
        let (left, all_free_in) = tally.left(now, open);
        let all_free_in = Duration::from_micros(all_free_in.max(0) as u64);
        windows.push(WindowOutlook { configured: tally.configured, in_force: tally.in_force, left, all_free_in });
    }
    Ok(Outlook {
        marketplace,
        credential: credential.to_owned(),
        scope: limit.scope.clone(),
        windows,
        pace: account.pace(),
        paused_for: Duration::from_micros((account.paused_until - now.real).max(0) as u64),
        open,
        account,
        now,
    })
}
