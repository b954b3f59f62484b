//! `digitallz publications`: which crawl runs the views show, and why.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_processor::publish::{self, Check};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::cli::{Cli, PublicationDecision, PublicationsCommand};
use crate::exit::{Ending, UserError};
use crate::output::{self, number, text};
use crate::session::Session;

/// Does what the command says.
pub async fn run(cli: &Cli, command: &PublicationsCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = match command {
        PublicationsCommand::List { held, marketplace, limit } => {
            list(cli, &session.db, *held, *marketplace, *limit).await
        }
        PublicationsCommand::Show { run } => show(cli, &session.db, *run).await,
        PublicationsCommand::Publish(decision) => decide(&session, decision, true).await,
        PublicationsCommand::Hold(decision) => decide(&session, decision, false).await,
    };
    session.close().await?;
    result.map(|()| Ending::Done)
}

/// A crawl run that was decided on.
#[derive(Debug, Serialize)]
struct Publication {
    crawl_run_id: Uuid,
    marketplace: String,
    market: String,
    scheduled_for: DateTime<Utc>,
    state: String,
    reason: Option<String>,
    decided_at: DateTime<Utc>,
    decided_by: String,
    checks: Value,
}

async fn list(
    cli: &Cli,
    db: &PgPool,
    only_held: bool,
    marketplace: Option<Marketplace>,
    limit: u32,
) -> anyhow::Result<()> {
    let rows = sqlx::query_as!(
        Publication,
        "select crawl_run_id, publications.marketplace, publications.market, scheduled_for, state, reason, decided_at,
                decided_by, checks
         from core.publications join ops.crawl_runs using (crawl_run_id)
         where (not $1 or state = 'held') and ($2::text is null or publications.marketplace = $2)
         order by decided_at desc, crawl_run_id desc
         limit $3",
        only_held,
        marketplace.map(Marketplace::name),
        i64::from(limit),
    )
    .fetch_all(db)
    .await?;
    output::list(
        cli.json,
        "publications",
        &rows,
        &[
            text("RUN", |row: &Publication| row.crawl_run_id.to_string()),
            text("SOURCE", |row: &Publication| format!("{} {}", row.marketplace, row.market)),
            text("FOR", |row: &Publication| row.scheduled_for.format("%Y-%m-%d %H:%M").to_string()),
            text("STATE", |row: &Publication| row.state.clone()),
            text("BY", |row: &Publication| row.decided_by.clone()),
            text("REASON", |row: &Publication| row.reason.clone().unwrap_or_default()),
        ],
    )
}

async fn show(cli: &Cli, db: &PgPool, crawl_run_id: Uuid) -> anyhow::Result<()> {
    let row = sqlx::query_as!(
        Publication,
        "select crawl_run_id, publications.marketplace, publications.market, scheduled_for, state, reason, decided_at,
                decided_by, checks
         from core.publications join ops.crawl_runs using (crawl_run_id)
         where crawl_run_id = $1",
        crawl_run_id,
    )
    .fetch_optional(db)
    .await?
    .ok_or_else(|| undecided(crawl_run_id))?;
    if cli.json {
        return output::print_json(&json!({ "publication": row }));
    }
    let by = row.reason.map_or(String::new(), |reason| format!(": {reason}"));
    output::print(&format!("{} by {} at {}{by}", row.state, row.decided_by, row.decided_at.format("%Y-%m-%d %H:%M")))?;
    let checks: Vec<Check> = serde_json::from_value(row.checks)?;
    output::list(
        false,
        "checks",
        &checks,
        &[
            text("CHECK", |row: &Check| row.check.clone()),
            number("FOUND", |row: &Check| row.value.map_or("-".to_owned(), |value| format!("{value:.3}"))),
            number("BOUND", |row: &Check| format!("{:.3}", row.bound)),
            text("", |row: &Check| if row.is_passed { "passed" } else { "not passed" }.to_owned()),
        ],
    )
}

async fn decide(session: &Session, decision: &PublicationDecision, is_published: bool) -> anyhow::Result<()> {
    let mut tx = session.db.begin().await?;
    let by = &decision.actor.by;
    let is_known =
        publish::decide(&mut tx, decision.run, is_published, by, &decision.reason, session.clock.now()).await?;
    tx.commit().await?;
    if !is_known {
        return Err(undecided(decision.run).into());
    }
    eprintln!("crawl run {} is {}", decision.run, if is_published { "published" } else { "held back" });
    Ok(())
}

fn undecided(crawl_run_id: Uuid) -> UserError {
    UserError::new(
        format!("crawl run {crawl_run_id} was neither published nor held back"),
        "see `digitallz runs list` for the runs there are; one that has open jobs is not decided on yet",
    )
}
