//! `digitallz sources`: the terms of the marketplaces, what is kept of them and learnt from them, the contracts of their
//! answers and how these drift, pauses and health.

mod contracts;
mod drift;
mod pauses;
pub mod status;
mod times;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_policy::{self, Rules};
use digitallz_common::terms::{self, Terms};
use digitallz_processor::purge::{self, PurgeCounts};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use crate::cli::{Cli, PolicyArgs, SourcesCommand};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

/// Lists, shows or changes how marketplaces are used.
pub async fn run(cli: &Cli, command: &SourcesCommand) -> anyhow::Result<Ending> {
    // The terms are part of the program: reading them needs no database.
    if let SourcesCommand::Terms { marketplace } = command {
        return print_terms(cli, *marketplace);
    }
    let session = Session::open(cli).await?;
    let result = act(cli, &session, command).await;
    session.close().await?;
    result.map(|()| Ending::Done)
}

async fn act(cli: &Cli, session: &Session, command: &SourcesCommand) -> anyhow::Result<()> {
    match command {
        SourcesCommand::List => status::list(cli, session).await,
        SourcesCommand::Show { marketplace } => status::show(cli, session, *marketplace).await,
        SourcesCommand::Terms { marketplace } => print_terms(cli, *marketplace).map(drop),
        SourcesCommand::Acknowledge { marketplace, terms, by } => {
            acknowledge(cli, session, *marketplace, terms, by).await
        }
        SourcesCommand::Policy(args) => set_policy(cli, session, args).await,
        SourcesCommand::Pause(args) => pauses::pause(cli, session, args).await,
        SourcesCommand::Resume { marketplace, market, operation, by, dry_run } => {
            let scope = pauses::Scope::new(*marketplace, market.as_deref(), operation.as_deref())?;
            pauses::resume(cli, session, &scope, by, *dry_run).await
        }
        SourcesCommand::Contract(args) => contracts::run(cli, session, args).await,
        SourcesCommand::Drift { marketplace, since } => drift::list(cli, session, *marketplace, since).await,
        SourcesCommand::Purge { dry_run } => purge_now(cli, session, *dry_run).await,
    }
}

/// Refuses to go on when nothing may be collected from a marketplace.
pub async fn require_terms(db: &PgPool, marketplace: Marketplace) -> anyhow::Result<()> {
    let mut connection = db.acquire().await?;
    let Some(refusal) = source_policy::get(&mut connection, marketplace).await?.refusal() else { return Ok(()) };
    Err(UserError::blocked(refusal, next_step(marketplace)).into())
}

/// Says how the terms of a marketplace are acknowledged.
pub fn next_step(marketplace: Marketplace) -> String {
    let version = terms::known(marketplace).version;
    format!(
        "read `digitallz sources terms {marketplace}`, then `digitallz sources acknowledge {marketplace} --terms {version} --by NAME`"
    )
}

#[derive(Serialize)]
struct TermsRow {
    marketplace: Marketplace,
    version: &'static str,
    title: &'static str,
    url: &'static str,
    points: &'static [&'static str],
}

impl From<&'static Terms> for TermsRow {
    fn from(terms: &'static Terms) -> TermsRow {
        TermsRow {
            marketplace: terms.marketplace,
            version: terms.version,
            title: terms.title,
            url: terms.url,
            points: terms.points,
        }
    }
}

fn print_terms(cli: &Cli, marketplace: Option<Marketplace>) -> anyhow::Result<Ending> {
    let chosen = Marketplace::ALL.into_iter().filter(|one| marketplace.is_none_or(|chosen| chosen == *one));
    let rows: Vec<TermsRow> = chosen.map(|marketplace| terms::known(marketplace).into()).collect();
    if cli.json {
        return output::list(true, "terms", &rows, &[]).map(|()| Ending::Done);
    }
    for row in &rows {
        let points: Vec<String> = row.points.iter().map(|point| format!("  - {point}")).collect();
        let heading = format!("{}: {}, version {}\n  {}", row.marketplace, row.title, row.version, row.url);
        output::print(&format!("{heading}\n{}\n", points.join("\n")))?;
    }
    eprintln!("note: this is a reading for orientation; the text behind each address is what you acknowledge");
    Ok(Ending::Done)
}

async fn acknowledge(
    cli: &Cli,
    session: &Session,
    marketplace: Marketplace,
    version: &str,
    by: &str,
) -> anyhow::Result<()> {
    let known = terms::known(marketplace);
    if version != known.version {
        return Err(UserError::new(
            format!("the terms of {marketplace} to acknowledge are version {}, not '{version}'", known.version),
            next_step(marketplace),
        )
        .into());
    }
    let by = named(by)?;
    demo_mark::note_users_data(&session.db).await?;
    let now = session.clock.now();
    let mut tx = session.db.begin().await?;
    source_policy::acknowledge(&mut tx, marketplace, by, now).await?;
    tx.commit().await?;
    if cli.json {
        let acknowledgement =
            json!({ "marketplace": marketplace, "terms_version": known.version, "by": by, "at": now });
        return output::print_json(&json!({ "acknowledgement": acknowledgement }));
    }
    output::print(&format!("{marketplace}: version {version} of the terms acknowledged by {by}"))
}

/// Returns the name of a person, which the audit trail needs.
fn named(by: &str) -> anyhow::Result<&str> {
    let by = by.trim();
    if by.is_empty() {
        return Err(UserError::new("--by is empty", "give the name of who decides").into());
    }
    Ok(by)
}

/// Rules as they are shown.
#[derive(Clone, Debug, Serialize)]
struct ShownRules {
    marketplace: Marketplace,
    listing_retention: String,
    raw_retention: String,
    aggregate_retention: String,
    may_train: bool,
    is_dry_run: bool,
}

async fn set_policy(cli: &Cli, session: &Session, args: &PolicyArgs) -> anyhow::Result<()> {
    let by = named(&args.by)?;
    if !args.dry_run {
        demo_mark::note_users_data(&session.db).await?;
    }
    let marketplace = args.marketplace;
    let mut tx = session.db.begin().await?;
    let mut rules = source_policy::get(&mut tx, marketplace).await?.rules;
    for (given, rule) in [
        (&args.listing_retention, &mut rules.listing_retention),
        (&args.raw_retention, &mut rules.raw_retention),
        (&args.aggregate_retention, &mut rules.aggregate_retention),
    ] {
        if let Some(text) = given {
            *rule = times::parse_retention(text)?;
        }
    }
    rules.may_train = args.may_train.unwrap_or(rules.may_train);
    warn_beyond_terms(marketplace, &rules);
    if args.dry_run {
        tx.rollback().await?;
    } else {
        source_policy::set_rules(&mut tx, marketplace, rules, by, session.clock.now()).await?;
        tx.commit().await?;
    }
    let shown = ShownRules {
        marketplace,
        listing_retention: times::retention(rules.listing_retention),
        raw_retention: times::retention(rules.raw_retention),
        aggregate_retention: times::retention(rules.aggregate_retention),
        may_train: rules.may_train,
        is_dry_run: args.dry_run,
    };
    output::item(cli.json, "policy", &shown)
}

/// Reminds of the terms when rules go beyond what they allow to everybody.
fn warn_beyond_terms(marketplace: Marketplace, rules: &Rules) {
    let usual = Rules::default_of(marketplace);
    let is_longer = |chosen: Option<chrono::TimeDelta>, usual: Option<chrono::TimeDelta>| match (chosen, usual) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(chosen), Some(usual)) => chosen > usual,
    };
    if rules.may_train && !usual.may_train {
        eprintln!(
            "note: {marketplace} must consent before its data trains a model; see `digitallz sources terms {marketplace}`"
        );
    }
    if is_longer(rules.listing_retention, usual.listing_retention)
        || is_longer(rules.raw_retention, usual.raw_retention)
    {
        eprintln!("note: this keeps content of {marketplace} for longer than its terms allow without an agreement");
    }
}

async fn purge_now(cli: &Cli, session: &Session, is_dry_run: bool) -> anyhow::Result<()> {
    let now: DateTime<Utc> = session.clock.now();
    let counts = if is_dry_run {
        purge::due(&mut *session.db.acquire().await?, now).await?
    } else {
        purge::purge(&session.db, now, now).await?
    };
    if !is_dry_run {
        let swept = session.body_stores.sweep(&session.db).await?;
        if let Some(problem) = swept.problems.into_iter().next() {
            return Err(
                anyhow::Error::new(problem).context("what is due is purged, but some bodies could not be deleted")
            );
        }
    }
    if cli.json {
        return output::print_json(&json!({ "purged": counts, "is_dry_run": is_dry_run, "as_of": now }));
    }
    let number = |of: fn(&PurgeCounts) -> i64| move |row: &PurgeCounts| output::thousands(of(row));
    output::list(
        false,
        "purged",
        &counts,
        &[
            output::text("SOURCE", |row: &PurgeCounts| row.marketplace.to_string()),
            output::number("ANSWERS", number(|row| row.raw_payload_count)),
            output::number("UNREAD", number(|row| row.unread_payload_count)),
            output::number("QUARANTINED ROWS", number(|row| row.quarantined_row_count)),
            output::number("LISTING OBSERVATIONS", number(|row| row.listing_observation_count)),
            output::number("SERP ENTRIES", number(|row| row.serp_entry_count)),
            output::number("LISTINGS", number(|row| row.listing_count)),
            output::number("SELLERS", number(|row| row.seller_observation_count)),
            output::number("CATEGORIES", number(|row| row.keyword_category_count)),
            output::number("KEYWORD OBSERVATIONS", number(|row| row.keyword_observation_count)),
        ],
    )?;
    eprintln!("{}", if is_dry_run { "dry run: nothing was deleted" } else { "deleted" });
    Ok(())
}
