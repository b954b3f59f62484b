//! How the marketplaces stand: terms, policy, pauses, breakers, canaries, quotas.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_contract::{self, ListedContract};
use digitallz_common::source_policy::{self, Standing};
use digitallz_common::terms;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use super::{contracts, times};
use crate::cli::Cli;
use crate::output;
use crate::session::Session;

/// How one marketplace stands.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Settings of its credentials that are not given.
    pub missing_settings: Vec<&'static str>,
    /// Version of the terms that is to be acknowledged.
    pub known_terms_version: &'static str,
    /// Whether that version is acknowledged: acknowledged, changed (an older one is), never.
    pub terms: &'static str,
    /// The version that was acknowledged last.
    pub acknowledged_version: Option<String>,
    /// By whom.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Whether models may be trained on its data.
    pub may_train: bool,
    /// How long content of listings is kept.
    pub listing_retention: String,
    /// How long other answers are kept.
    pub raw_retention: String,
    /// How long observations of keywords are kept.
    pub aggregate_retention: String,
    /// Contracts that somebody set.
    pub contracts: Vec<ListedContract>,
    /// Pauses in force.
    pub pauses: Vec<Pause>,
    /// Circuit breakers that are not closed.
    pub breakers: Vec<Breaker>,
    /// Quotas in the ledger.
    pub quota_count: i64,
    /// When one of them changed last.
    pub quota_used_at: Option<DateTime<Utc>>,
    /// Requests that may be on their way.
    pub open_permit_count: i64,
}

/// A pause of a source.
#[derive(Clone, Debug, Serialize)]
pub struct Pause {
    source_pause_id: i64,
    market: Option<String>,
    operation: Option<String>,
    paused_by: String,
    reason: String,
    paused_at: DateTime<Utc>,
    paused_until: Option<DateTime<Utc>>,
    resumed_by: Option<String>,
    resumed_at: Option<DateTime<Utc>>,
}

/// A circuit breaker.
#[derive(Clone, Debug, Serialize)]
pub struct Breaker {
    /// The country site.
    pub market: String,
    /// The operation.
    pub operation: String,
    /// open or half_open.
    pub breaker_state: String,
    /// When a request may try.
    pub probe_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct Health {
    market: String,
    operation: String,
    breaker_state: String,
    consecutive_failures: i32,
    opened_count: i32,
    opened_at: Option<DateTime<Utc>>,
    probe_at: Option<DateTime<Utc>>,
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
    last_failure_cause: Option<String>,
    canary_checked_at: Option<DateTime<Utc>>,
    canary_is_healthy: Option<bool>,
}

#[derive(Serialize)]
struct Permit {
    permit_id: i64,
    operation: String,
    granted_at: DateTime<Utc>,
    send_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Prints every marketplace on a line.
pub async fn list(cli: &Cli, session: &Session) -> anyhow::Result<()> {
    let sources = all(session).await?;
    output::list(
        cli.json,
        "sources",
        &sources,
        &[
            output::text("SOURCE", |row: &Source| row.marketplace.to_string()),
            output::text("CREDENTIALS", |row: &Source| {
                if row.missing_settings.is_empty() { "set".to_owned() } else { "missing".to_owned() }
            }),
            output::text("TERMS", terms_in_words),
            output::text("TRAINS", |row: &Source| if row.may_train { "yes" } else { "no" }.to_owned()),
            output::text("LISTINGS KEPT", |row: &Source| row.listing_retention.clone()),
            output::text("ANSWERS KEPT", |row: &Source| row.raw_retention.clone()),
            output::text("AGGREGATES KEPT", |row: &Source| row.aggregate_retention.clone()),
            output::number("PAUSES", |row: &Source| row.pauses.len().to_string()),
            output::text("BREAKERS", breakers_in_words),
            output::number("QUOTAS", |row: &Source| row.quota_count.to_string()),
            output::text("LAST USE", |row: &Source| moment(row.quota_used_at)),
        ],
    )
}

/// Prints everything about one marketplace.
pub async fn show(cli: &Cli, session: &Session, marketplace: Marketplace) -> anyhow::Result<()> {
    let source = load(session, marketplace).await?;
    let health = health(&session.db, marketplace).await?;
    let pauses = pauses(&session.db, marketplace).await?;
    let permits = open_permits(&session.db, marketplace).await?;
    if cli.json {
        let source = json!({ "source": source, "health": health, "pause_history": pauses, "open_permits": permits });
        return output::print_json(&source);
    }
    let credentials = match source.missing_settings.is_empty() {
        true => "set".to_owned(),
        false => format!("missing: {}", source.missing_settings.join(", ")),
    };
    for (label, text) in [
        ("source", marketplace.to_string()),
        ("credentials", credentials),
        ("terms", terms_in_words(&source)),
        ("may train", if source.may_train { "yes" } else { "no" }.to_owned()),
        ("listings kept", source.listing_retention.clone()),
        ("other answers kept", source.raw_retention.clone()),
        ("aggregates kept", source.aggregate_retention.clone()),
        ("quotas", format!("{}, last use {}", source.quota_count, moment(source.quota_used_at))),
    ] {
        output::print(&format!("{label:18}  {text}"))?;
    }
    section("Health", &health, &health_columns())?;
    section("Contracts", &source.contracts, &contracts::columns())?;
    section("Pauses", &pauses, &pause_columns())?;
    section("Open permits", &permits, &permit_columns())
}

/// Returns how every marketplace stands.
pub async fn all(session: &Session) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::with_capacity(Marketplace::ALL.len());
    for marketplace in Marketplace::ALL {
        sources.push(load(session, marketplace).await?);
    }
    Ok(sources)
}

/// Says in a few words where a marketplace stands with its terms.
pub fn terms_in_words(source: &Source) -> String {
    let version = source.acknowledged_version.as_deref().unwrap_or_default();
    let (by, at) = (source.acknowledged_by.as_deref().unwrap_or_default(), source.acknowledged_at);
    let on = at.map_or_else(String::new, |at| at.date_naive().to_string());
    match source.terms {
        "acknowledged" => format!("{version} acknowledged by {by} on {on}"),
        "changed" => format!("changed: {} is not acknowledged, only {version}", source.known_terms_version),
        _ => format!("{} is not acknowledged", source.known_terms_version),
    }
}

/// Names the breakers that are not closed.
pub fn breakers_in_words(source: &Source) -> String {
    if source.breakers.is_empty() {
        return "closed".to_owned();
    }
    let named = source.breakers.iter();
    named.map(|one| format!("{} {} {}", one.market, one.operation, one.breaker_state)).collect::<Vec<_>>().join(", ")
}

/// Says what is paused, by whom and why.
pub fn pauses_in_words(source: &Source) -> String {
    let named = source.pauses.iter().map(|pause| {
        let scope: Vec<&str> = [&pause.market, &pause.operation].into_iter().flatten().map(String::as_str).collect();
        let scope = if scope.is_empty() { "all".to_owned() } else { scope.join(" ") };
        format!("{scope} by {}: {}", pause.paused_by, pause.reason)
    });
    named.collect::<Vec<_>>().join("; ")
}

async fn load(session: &Session, marketplace: Marketplace) -> anyhow::Result<Source> {
    let mut connection = session.db.acquire().await?;
    let policy = source_policy::get(&mut connection, marketplace).await?;
    let quotas = sqlx::query!(
        r#"select count(*) as "quota_count!", max(updated_at) as used_at,
                  (select count(*) from ops.quota_permits where marketplace = $1 and state = 'open') as "open_permit_count!"
           from ops.quotas where marketplace = $1"#,
        marketplace.name()
    )
    .fetch_one(&mut *connection)
    .await?;
    let now = session.clock.now();
    let pauses = pauses(&session.db, marketplace).await?;
    let in_force = |pause: &Pause| pause.resumed_at.is_none() && pause.paused_until.is_none_or(|until| until > now);
    let breakers = sqlx::query_as!(
        Breaker,
        "select market, operation, breaker_state, probe_at from ops.source_health
         where marketplace = $1 and breaker_state <> 'closed' order by market, operation",
        marketplace.name()
    )
    .fetch_all(&mut *connection)
    .await?;
    let terms = match policy.standing() {
        Standing::Acknowledged => "acknowledged",
        Standing::Changed => "changed",
        Standing::Never => "never",
    };
    let acknowledged = policy.acknowledged;
    Ok(Source {
        marketplace,
        missing_settings: session.environment.missing_credentials(marketplace),
        known_terms_version: terms::known(marketplace).version,
        terms,
        acknowledged_version: acknowledged.as_ref().map(|one| one.terms_version.clone()),
        acknowledged_by: acknowledged.as_ref().map(|one| one.acknowledged_by.clone()),
        acknowledged_at: acknowledged.as_ref().map(|one| one.acknowledged_at),
        may_train: policy.rules.may_train,
        listing_retention: times::retention(policy.rules.listing_retention),
        raw_retention: times::retention(policy.rules.raw_retention),
        aggregate_retention: times::retention(policy.rules.aggregate_retention),
        contracts: source_contract::list(&mut connection, marketplace).await?,
        pauses: pauses.into_iter().filter(in_force).collect(),
        breakers,
        quota_count: quotas.quota_count,
        quota_used_at: quotas.used_at,
        open_permit_count: quotas.open_permit_count,
    })
}

async fn health(db: &PgPool, marketplace: Marketplace) -> Result<Vec<Health>, sqlx::Error> {
    sqlx::query_as!(
        Health,
        "select market, operation, breaker_state, consecutive_failures, opened_count, opened_at, probe_at,
                last_success_at, last_failure_at, last_failure_cause, canary_checked_at, canary_is_healthy
         from ops.source_health where marketplace = $1 order by market, operation",
        marketplace.name()
    )
    .fetch_all(db)
    .await
}

/// Returns the pauses of a marketplace, the newest first, at most a hundred.
async fn pauses(db: &PgPool, marketplace: Marketplace) -> Result<Vec<Pause>, sqlx::Error> {
    sqlx::query_as!(
        Pause,
        "select source_pause_id, market, operation, paused_by, reason, paused_at, paused_until, resumed_by, resumed_at
         from ops.source_pauses where marketplace = $1
         order by resumed_at is not null, source_pause_id desc limit 100",
        marketplace.name()
    )
    .fetch_all(db)
    .await
}

async fn open_permits(db: &PgPool, marketplace: Marketplace) -> Result<Vec<Permit>, sqlx::Error> {
    sqlx::query_as!(
        Permit,
        "select permit_id, operation, granted_at, send_at, expires_at from ops.quota_permits
         where marketplace = $1 and state = 'open' order by permit_id limit 100",
        marketplace.name()
    )
    .fetch_all(db)
    .await
}

fn section<Row: Serialize>(heading: &str, rows: &[Row], columns: &[output::Column<Row>]) -> anyhow::Result<()> {
    if rows.is_empty() {
        return output::print(&format!("\n{heading}: none"));
    }
    output::print(&format!("\n{heading}\n{}", output::table(rows, columns)))
}

fn health_columns() -> [output::Column<Health>; 9] {
    [
        output::text("MARKET", |row: &Health| row.market.clone()),
        output::text("OPERATION", |row: &Health| row.operation.clone()),
        output::text("BREAKER", |row: &Health| row.breaker_state.clone()),
        output::number("FAILURES", |row: &Health| row.consecutive_failures.to_string()),
        output::text("PROBE", |row: &Health| moment(row.probe_at)),
        output::text("LAST SUCCESS", |row: &Health| moment(row.last_success_at)),
        output::text("LAST FAILURE", |row: &Health| moment(row.last_failure_at)),
        output::text("CAUSE", |row: &Health| row.last_failure_cause.clone().unwrap_or_default()),
        output::text("CANARY", |row: &Health| match row.canary_is_healthy {
            None => "-".to_owned(),
            Some(is_healthy) => {
                format!("{} {}", if is_healthy { "well" } else { "not well" }, moment(row.canary_checked_at))
            }
        }),
    ]
}

fn pause_columns() -> [output::Column<Pause>; 7] {
    let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "all".to_owned());
    [
        output::text("MARKET", move |row: &Pause| part(&row.market)),
        output::text("OPERATION", move |row: &Pause| part(&row.operation)),
        output::text("BY", |row: &Pause| row.paused_by.clone()),
        output::text("SINCE", |row: &Pause| moment(Some(row.paused_at))),
        output::text("UNTIL", |row: &Pause| moment(row.paused_until)),
        output::text("RESUMED", |row: &Pause| match &row.resumed_by {
            None => "-".to_owned(),
            Some(by) => format!("{} by {by}", moment(row.resumed_at)),
        }),
        output::text("REASON", |row: &Pause| row.reason.clone()),
    ]
}

fn permit_columns() -> [output::Column<Permit>; 4] {
    [
        output::number("PERMIT", |row: &Permit| row.permit_id.to_string()),
        output::text("OPERATION", |row: &Permit| row.operation.clone()),
        output::text("GRANTED", |row: &Permit| moment(Some(row.granted_at))),
        output::text("EXPIRES", |row: &Permit| moment(Some(row.expires_at))),
    ]
}

fn moment(at: Option<DateTime<Utc>>) -> String {
    at.map_or("-".to_owned(), |at| at.format("%Y-%m-%d %H:%M").to_string())
}
