//! `digitallz reprocess`: stored answers, read again.

use digitallz_common::audit;
use digitallz_processor::reprocess::{self, Changes, Selection, TableChanges};
use serde_json::{Value, json};

use crate::age;
use crate::cli::{Cli, ReprocessArgs};
use crate::exit::{Ending, UserError};
use crate::output::{self, number, text, thousands};
use crate::progress::Progress;
use crate::session::Session;

/// Reads answers again and reports what that changes, or would change.
pub async fn run(cli: &Cli, args: &ReprocessArgs) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = reprocess(cli, &session, args).await;
    session.close().await?;
    result
}

async fn reprocess(cli: &Cli, session: &Session, args: &ReprocessArgs) -> anyhow::Result<Ending> {
    let selection = selection(session, args)?;
    let (raw_payload_ids, purged_payload_count) = reprocess::select(&session.db, &selection).await?;
    let ctx = digitallz_processor::Context::new(session.db.clone(), session.clock.clone(), session.body_stores.clone());
    let total = raw_payload_ids.len() as u64;
    let mut progress = Progress::start("answers", total);
    let ran = reprocess::run(&ctx, &raw_payload_ids, args.dry_run, |done| progress.set(done as u64, total, "")).await;
    progress.finish();
    let changes = Changes { purged_payload_count, ..ran? };
    if !args.dry_run && changes.changed_payload_count > 0 {
        note(session, args, &changes).await?;
    }
    report(cli, args, &changes)?;
    Ok(Ending::Done)
}

fn selection(session: &Session, args: &ReprocessArgs) -> anyhow::Result<Selection> {
    let is_narrowed = !args.payload.is_empty()
        || args.marketplace.is_some()
        || args.resource.is_some()
        || args.since.is_some()
        || args.version.is_some();
    if !is_narrowed && !args.all {
        return Err(UserError::usage(
            "nothing says which answers to read again",
            "give --payload, --marketplace, --resource, --since or --version, or --all",
        )
        .into());
    }
    let now = session.clock.now();
    Ok(Selection {
        raw_payload_ids: (!args.payload.is_empty()).then(|| args.payload.clone()),
        marketplace: args.marketplace,
        resource: args.resource,
        since: args.since.as_deref().map(|text| age::moment(text, now)).transpose()?,
        reader_version_max: args.version,
    })
}

/// Keeps who changed what is stored, and how much of it.
async fn note(session: &Session, args: &ReprocessArgs, changes: &Changes) -> anyhow::Result<()> {
    let detail = json!({
        "payload_count": changes.payload_count,
        "changed_payload_count": changes.changed_payload_count,
        "tables": changes.tables,
    });
    let mut connection = session.db.acquire().await?;
    audit::record(&mut connection, session.clock.now(), &args.actor.by, "reprocess", "payloads", detail).await?;
    Ok(())
}

fn report(cli: &Cli, args: &ReprocessArgs, changes: &Changes) -> anyhow::Result<()> {
    if cli.json {
        return output::print_json(&json!({ "changes": changes, "meta": { "is_dry_run": args.dry_run } }));
    }
    output::list(
        false,
        "tables",
        &changes.tables,
        &[
            text("TABLE", |row: &TableChanges| row.table.clone()),
            number("SAME", |row: &TableChanges| thousands(row.same_count)),
            number("CHANGED", |row: &TableChanges| thousands(row.changed_count)),
            number("NEW", |row: &TableChanges| thousands(row.new_count)),
            number("GONE", |row: &TableChanges| thousands(row.gone_count)),
        ],
    )?;
    for example in &changes.examples {
        output::print(&format!(
            "{}: {} -> {}",
            example.table,
            shown(example.stored.as_ref()),
            shown(example.reread.as_ref())
        ))?;
    }
    let verb = if args.dry_run { "would change" } else { "changed" };
    eprintln!(
        "read {} answers again: {} {verb}; {} are purged and stay as they are",
        thousands(changes.payload_count),
        thousands(changes.changed_payload_count),
        thousands(changes.purged_payload_count)
    );
    Ok(())
}

fn shown(row: Option<&Value>) -> String {
    row.map_or_else(|| "nothing".to_owned(), Value::to_string)
}
