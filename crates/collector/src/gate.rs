//! Whether a source may be asked at all: pauses by operators, and the circuit breaker.
//!
//! A source is one operation of one market. After so many failures in a row, of all collectors together, its breaker opens
//! and nobody asks; when its time is over one request is let through as a probe; a good answer closes it again, a bad one
//! opens it for twice as long.

use std::time::Duration;

use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Site;
use rand::Rng;
use sqlx::PgPool;
use tracing::{info, warn};

use crate::config::BreakerConfig;

/// How long jobs of a source that waits for an operator are put off before they look again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How soon jobs look again while a probe is under way.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);

/// How long a probe may take before another is let through.
const PROBE_S: f64 = 60.0;

/// Longest time for which a breaker stays open.
const OPEN_S_MAX: f64 = 3_600.0;

/// One operation of one market.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The market.
    pub site: &'a Site,
    /// The marketplace's name of the operation.
    pub operation: &'a str,
}

/// What is known of a source that may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Whether a good answer is worth noting down.
    is_worth_noting: bool,
}

/// Lets a request pass, or tells what becomes of its job.
pub async fn check(pool: &PgPool, source: Source<'_>) -> Result<Standing, Failure> {
    let Source { site, operation } = source;
    let row = sqlx::query!(
        r#"select pauses.reason as "pause_reason?", pauses.paused_by as "paused_by?",
                  extract(epoch from pauses.paused_until - now())::float8 as "pause_s?",
                  health.breaker_state as "breaker_state?", health.consecutive_failures as "failures?",
                  health.last_failure_cause as "failure_cause?",
                  extract(epoch from health.probe_at - now())::float8 as "probe_s?",
                  health.last_success_at > now() - interval '1 minute' as "is_fresh?"
           from (select) one_row
           left join lateral (
               select reason, paused_by, paused_until from ops.source_pauses
               where marketplace = $1 and (market is null or market = $2) and (operation is null or operation = $3)
                 and resumed_at is null and (paused_until is null or paused_until > now())
               order by paused_until desc nulls first
               limit 1
           ) pauses on true
           left join ops.source_health health
               on health.marketplace = $1 and health.market = $2 and health.operation = $3"#,
        site.marketplace.name(),
        site.market,
        operation,
    )
    .fetch_one(pool)
    .await?;

    if let Some(reason) = row.pause_reason {
        let by = row.paused_by.unwrap_or_default();
        let delay = row.pause_s.map_or(LOOK_AGAIN, seconds).min(LOOK_AGAIN * 60);
        return Err(Failure::Snooze {
            cause: format!("{site} {operation} is paused by {by}: {reason}"),
            delay: spread(delay),
        });
    }
    let state = row.breaker_state.as_deref().unwrap_or("closed");
    if state != "closed" {
        let is_probe = row.probe_s.is_none_or(|wait| wait <= 0.0) && claim_probe(pool, source).await?;
        if !is_probe {
            // A probe under way is most often over soon.
            let longest = if state == "half_open" { PROBE_PATIENCE } else { LOOK_AGAIN * 60 };
            let delay = row.probe_s.map_or(LOOK_AGAIN, seconds).clamp(Duration::from_secs(1), longest);
            let cause = row.failure_cause.unwrap_or_default();
            return Err(Failure::Snooze {
                cause: format!("{site} {operation} is paused by the circuit breaker: {cause}"),
                delay: spread(delay),
            });
        }
        info!(marketplace = site.marketplace.name(), operation, "probing {site} {operation}");
    }
    let is_clean = state == "closed" && row.failures == Some(0) && row.is_fresh == Some(true);
    Ok(Standing { is_worth_noting: !is_clean })
}

/// Notes a good answer of the source: its failures are forgotten and its breaker closes.
pub async fn note_success(pool: &PgPool, source: Source<'_>, standing: Standing) -> Result<(), sqlx::Error> {
    if !standing.is_worth_noting {
        return Ok(());
    }
    let Source { site, operation } = source;
    sqlx::query!(
        "insert into ops.source_health (marketplace, market, operation, last_success_at) values ($1, $2, $3, now())
         on conflict (marketplace, market, operation) do update
         set breaker_state = 'closed', consecutive_failures = 0, opened_count = 0, opened_at = null, probe_at = null,
             last_success_at = now()",
        site.marketplace.name(),
        site.market,
        operation,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes a failure of the source, and opens its breaker when it is one too many.
pub async fn note_failure(
    pool: &PgPool,
    source: Source<'_>,
    config: &BreakerConfig,
    cause: &str,
) -> Result<(), sqlx::Error> {
    let Source { site, operation } = source;
    let mut tx = pool.begin().await?;
    let row = sqlx::query!(
        "insert into ops.source_health as health (marketplace, market, operation, consecutive_failures, last_failure_at,
             last_failure_cause)
         values ($1, $2, $3, 1, now(), $4)
         on conflict (marketplace, market, operation) do update
         set consecutive_failures = health.consecutive_failures + 1, last_failure_at = now(), last_failure_cause = $4
         returning consecutive_failures, breaker_state, opened_count",
        site.marketplace.name(),
        site.market,
        operation,
        cause,
    )
    .fetch_one(&mut *tx)
    .await?;
    let is_one_too_many = row.breaker_state == "closed" && row.consecutive_failures >= config.failures.max(1) as i32;
    if is_one_too_many || row.breaker_state == "half_open" {
        let open_s = (config.open_for.as_secs_f64() * 2f64.powi(row.opened_count.clamp(0, 16))).min(OPEN_S_MAX);
        sqlx::query!(
            "update ops.source_health
             set breaker_state = 'open', opened_at = now(), opened_count = opened_count + 1,
                 probe_at = now() + make_interval(secs => $4)
             where marketplace = $1 and market = $2 and operation = $3",
            site.marketplace.name(),
            site.market,
            operation,
            open_s,
        )
        .execute(&mut *tx)
        .await?;
        warn!(
            marketplace = site.marketplace.name(),
            operation,
            cause,
            failures = row.consecutive_failures,
            open_s,
            "paused {site} {operation} for {open_s:.0} s after {} failures in a row: {cause}",
            row.consecutive_failures
        );
    }
    tx.commit().await
}

/// Takes the right to send the one request that tries whether a source is back.
async fn claim_probe(pool: &PgPool, source: Source<'_>) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query!(
        "update ops.source_health set breaker_state = 'half_open', probe_at = now() + make_interval(secs => $4)
         where marketplace = $1 and market = $2 and operation = $3 and breaker_state <> 'closed' and probe_at <= now()",
        source.site.marketplace.name(),
        source.site.market,
        source.operation,
        PROBE_S,
    )
    .execute(pool)
    .await?;
    Ok(claimed.rows_affected() > 0)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

/// Puts jobs off a little unevenly, so that not all come back at once.
fn spread(delay: Duration) -> Duration {
    delay + Duration::from_secs_f64(rand::rng().random_range(0.0..=(delay.as_secs_f64() * 0.1).clamp(0.1, 30.0)))
}
