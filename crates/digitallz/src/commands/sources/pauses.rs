//! Pauses of a marketplace, of one market or one operation of it: begun by an operator, ended by one.

use chrono::{DateTime, Utc};
use digitallz_collector::config::{Limits, amazon, ebay, etsy};
use digitallz_common::audit;
use digitallz_common::marketplace::{Marketplace, Site};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{named, times};
use crate::cli::{Cli, PauseArgs};
use crate::demo_mark;
use crate::exit::UserError;
use crate::output;
use crate::session::Session;

/// What a pause is about.
#[derive(Clone, Debug, Serialize)]
pub struct Scope {
    marketplace: Marketplace,
    market: Option<String>,
    operation: Option<String>,
}

impl Scope {
    /// Makes a scope of a market and an operation that the marketplace has.
    pub fn new(marketplace: Marketplace, market: Option<&str>, operation: Option<&str>) -> Result<Scope, UserError> {
        let market = match market {
            None => None,
            Some(market) => Some(
                Site::new(marketplace, market)
                    .map_err(|error| UserError::new(error.to_string(), "choose one of the markets named"))?
                    .market,
            ),
        };
        let known = operations(marketplace);
        if let Some(operation) = operation.filter(|operation| !known.contains(operation)) {
            return Err(UserError::new(
                format!("unknown operation '{operation}' of {marketplace}, expected one of: {}", known.join(", ")),
                "choose one of the operations named",
            ));
        }
        Ok(Scope { marketplace, market, operation: operation.map(str::to_owned) })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.marketplace)?;
        for part in [&self.market, &self.operation].into_iter().flatten() {
            write!(formatter, " {part}")?;
        }
        Ok(())
    }
}

/// Returns the operations of a marketplace.
fn operations(marketplace: Marketplace) -> Vec<&'static str> {
    let all: &[&'static str] = match marketplace {
        Marketplace::Amazon => &amazon::OPERATIONS,
        Marketplace::Etsy => &etsy::OPERATIONS,
        Marketplace::Ebay => &ebay::OPERATIONS,
    };
    all.iter().copied().filter(|operation| *operation != Limits::ANY).collect()
}

/// Pauses a source.
pub async fn pause(cli: &Cli, session: &Session, args: &PauseArgs) -> anyhow::Result<()> {
    let scope = Scope::new(args.marketplace, args.market.as_deref(), args.operation.as_deref())?;
    let by = named(&args.by)?;
    let now = session.clock.now();
    let until = match (&args.until, &args.for_time) {
        (Some(until), _) => Some(*until),
        (None, Some(text)) => now.checked_add_signed(times::parse(text)?),
        (None, None) => None,
    };
    if until.is_some_and(|until| until <= now) {
        return Err(
            UserError::new("--until lies in the past", "give a later time, or none to wait for a resume").into()
        );
    }
    if !args.dry_run {
        demo_mark::note_users_data(&session.db).await?;
        let mut tx = session.db.begin().await?;
        insert(&mut tx, &scope, by, &args.reason, now, until).await?;
        let detail = json!({ "scope": scope, "reason": args.reason, "until": until });
        audit::record(&mut tx, now, by, "pause_source", scope.marketplace.name(), detail).await?;
        tx.commit().await?;
    }
    if cli.json {
        let pause = json!({ "scope": scope, "paused_by": by, "reason": args.reason, "paused_at": now,
                            "paused_until": until, "is_dry_run": args.dry_run });
        return output::print_json(&json!({ "pause": pause }));
    }
    let verb = if args.dry_run { "would be paused" } else { "paused" };
    let end =
        until.map_or("until it is resumed".to_owned(), |until| format!("until {}", until.format("%Y-%m-%d %H:%M UTC")));
    output::print(&format!("{scope} {verb} {end}: {}", args.reason))
}

/// A pause that was ended, or would be.
#[derive(Serialize)]
struct Ended {
    source_pause_id: i64,
    market: Option<String>,
    operation: Option<String>,
    paused_by: String,
    reason: String,
}

/// Ends the pauses of a scope, and lets an open circuit breaker try one request.
pub async fn resume(cli: &Cli, session: &Session, scope: &Scope, by: &str, is_dry_run: bool) -> anyhow::Result<()> {
    let by = named(by)?;
    let now = session.clock.now();
    if !is_dry_run {
        demo_mark::note_users_data(&session.db).await?;
    }
    let mut tx = session.db.begin().await?;
    let ended = end_pauses(&mut tx, scope, by, now).await?;
    let breaker_count = half_open(&mut tx, scope, now).await?;
    if is_dry_run {
        tx.rollback().await?;
    } else {
        if !ended.is_empty() || breaker_count > 0 {
            let detail = json!({ "scope": scope, "pauses": ended, "breaker_count": breaker_count });
            audit::record(&mut tx, now, by, "resume_source", scope.marketplace.name(), detail).await?;
        }
        tx.commit().await?;
    }
    if cli.json {
        let resume =
            json!({ "scope": scope, "pauses": ended, "breaker_count": breaker_count, "is_dry_run": is_dry_run });
        return output::print_json(&json!({ "resume": resume }));
    }
    if ended.is_empty() && breaker_count == 0 {
        eprintln!("nothing of {scope} is paused");
    }
    let verb = if is_dry_run { "would end" } else { "ended" };
    for pause in &ended {
        output::print(&format!("{verb}: pause {} by {}: {}", pause.source_pause_id, pause.paused_by, pause.reason))?;
    }
    if breaker_count > 0 {
        output::print(&format!("{verb}: {breaker_count} open circuit breakers; the next request of each decides"))?;
    }
    Ok(())
}

async fn insert(
    connection: &mut PgConnection,
    scope: &Scope,
    by: &str,
    reason: &str,
    now: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ops.source_pauses (marketplace, market, operation, paused_by, reason, paused_at, paused_until)
         values ($1, $2, $3, $4, $5, $6, $7)",
        scope.marketplace.name(),
        scope.market,
        scope.operation,
        by,
        reason,
        now,
        until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the pauses in force that lie within a scope.
async fn end_pauses(
    connection: &mut PgConnection,
    scope: &Scope,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Ended>, sqlx::Error> {
    sqlx::query_as!(
        Ended,
        "update ops.source_pauses set resumed_by = $4, resumed_at = $5
         where marketplace = $1 and resumed_at is null and (paused_until is null or paused_until > $5)
           and ($2::text is null or market = $2) and ($3::text is null or operation = $3)
         returning source_pause_id, market, operation, paused_by, reason",
        scope.marketplace.name(),
        scope.market,
        scope.operation,
        by,
        now,
    )
    .fetch_all(connection)
    .await
}

/// Lets every open breaker within a scope try a request at once, and returns how many there are.
async fn half_open(connection: &mut PgConnection, scope: &Scope, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let changed = sqlx::query!(
        "update ops.source_health set breaker_state = 'half_open', probe_at = $4
         where marketplace = $1 and breaker_state = 'open'
           and ($2::text is null or market = $2) and ($3::text is null or operation = $3)",
        scope.marketplace.name(),
        scope.market,
        scope.operation,
        now,
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected())
}
