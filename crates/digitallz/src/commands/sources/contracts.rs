//! Contracts: what becomes of answers that differ from those seen before.

use digitallz_common::marketplace::Resource;
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::source_contract::{self, ListedContract, Mode, SourceContract};
use digitallz_processor::drift;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::named;
use crate::cli::{Cli, ContractArgs};
use crate::demo_mark;
use crate::exit::UserError;
use crate::output;
use crate::session::Session;

/// A contract that was set, or would be.
#[derive(Serialize)]
struct Set {
    resource: Resource,
    unknown_fields: Mode,
    types: Mode,
    known_field_count: Option<usize>,
    outcome: &'static str,
}

/// Shows the contracts of a marketplace, or sets those of one resource or all.
pub async fn run(cli: &Cli, session: &Session, args: &ContractArgs) -> anyhow::Result<()> {
    let (marketplace, now) = (args.marketplace, session.clock.now());
    if let Some(resource) = args.resource.filter(|resource| resource.marketplace() != Some(marketplace)) {
        let offered: Vec<&str> = marketplace.resources().map(Resource::name).collect();
        let message = format!("{marketplace} offers no {resource}");
        return Err(UserError::usage(message, format!("choose one of: {}", offered.join(", "))).into());
    }
    if args.unknown_fields.is_none() && args.types.is_none() {
        let mut contracts = source_contract::list(&mut *session.db.acquire().await?, marketplace).await?;
        contracts.retain(|one| args.resource.is_none_or(|resource| resource.name() == one.resource));
        output::list(cli.json, "contracts", &contracts, &columns())?;
        eprintln!("note: a resource without a contract evolves");
        return Ok(());
    }
    let by = named(&args.actor.by)?;
    if !args.dry_run {
        demo_mark::note_users_data(&session.db).await?;
    }
    let mut connection = session.db.acquire().await?;
    // What is known is what was seen until now.
    drift::update(&mut connection, now).await?;
    let mut all_wanted = Vec::new();
    for resource in marketplace.resources().filter(|one| args.resource.is_none_or(|chosen| chosen == *one)) {
        let (contract, is_known) = wanted(&mut connection, &session.body_stores, args, resource).await?;
        all_wanted.push((resource, contract, is_known));
    }
    drop(connection);
    let mut tx = session.db.begin().await?;
    let mut rows = Vec::new();
    for (resource, contract, is_known) in all_wanted {
        if is_known && !args.dry_run {
            source_contract::set(&mut tx, marketplace, resource, &contract, by, now).await?;
        }
        rows.push(Set {
            resource,
            unknown_fields: contract.unknown_fields,
            types: contract.types,
            known_field_count: contract.known_fields.as_ref().map(|known| known.len()),
            outcome: match (is_known, args.dry_run) {
                (false, _) => "left alone: no answer of it was read yet, so nothing is known",
                (true, true) => "would be set",
                (true, false) => "set",
            },
        });
    }
    tx.commit().await?;
    if rows.iter().all(|row| row.outcome.starts_with("left alone")) {
        let what = args.resource.map_or(marketplace.to_string(), |resource| resource.to_string());
        let message = format!("no answer of {what} was read yet, so nothing is known of its fields");
        return Err(UserError::new(message, "collect some answers first, under a contract that evolves").into());
    }
    if cli.json {
        return output::print_json(&json!({ "contracts": rows, "meta": { "count": rows.len() } }));
    }
    output::list(
        false,
        "contracts",
        &rows,
        &[
            output::text("RESOURCE", |row: &Set| row.resource.to_string()),
            output::text("UNKNOWN FIELDS", |row: &Set| row.unknown_fields.to_string()),
            output::text("TYPES", |row: &Set| row.types.to_string()),
            output::number("KNOWN FIELDS", |row: &Set| shown(row.known_field_count.map(|count| count as i64))),
            output::text("OUTCOME", |row: &Set| row.outcome.to_owned()),
        ],
    )
}

/// Returns the contract a resource would have, and whether enough is known for it.
async fn wanted(
    connection: &mut PgConnection,
    body_stores: &BodyStores,
    args: &ContractArgs,
    resource: Resource,
) -> anyhow::Result<(SourceContract, bool)> {
    let before = source_contract::get(connection, args.marketplace, resource).await?;
    let mut contract = SourceContract {
        unknown_fields: args.unknown_fields.unwrap_or(before.unknown_fields),
        types: args.types.unwrap_or(before.types),
        known_fields: None,
    };
    if !contract.unknown_fields.refuses() && !contract.types.refuses() {
        return Ok((contract, true));
    }
    let known = drift::known_fields(connection, body_stores, resource).await?;
    let is_known = !known.is_empty();
    contract.known_fields = Some(known);
    Ok((contract, is_known))
}

/// Returns how contracts in force are shown.
pub fn columns() -> [output::Column<ListedContract>; 6] {
    [
        output::text("RESOURCE", |row: &ListedContract| row.resource.clone()),
        output::text("UNKNOWN FIELDS", |row: &ListedContract| row.unknown_fields.clone()),
        output::text("TYPES", |row: &ListedContract| row.types.clone()),
        output::number("KNOWN FIELDS", |row: &ListedContract| shown(row.known_field_count)),
        output::text("BY", |row: &ListedContract| row.set_by.clone()),
        output::text("SINCE", |row: &ListedContract| row.set_at.format("%Y-%m-%d %H:%M").to_string()),
    ]
}

fn shown(count: Option<i64>) -> String {
    count.map_or("-".to_owned(), output::thousands)
}
