//! `digitallz quarantine`: what could not be read, and what to do with it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use digitallz_common::audit;
use digitallz_processor::quarantine::{self, QuarantineFilter, Quarantined, Replayed};
use serde::Serialize;
use serde_json::json;

use crate::age;
use crate::ask;
use crate::cli::{Cli, QuarantineCommand, QuarantineFilterArgs, QuarantineSelection};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

/// Payloads that an audit event names; of more it tells the number.
const NAMED_MAX: usize = 100;

/// Lists, shows, reads again or discards what is quarantined.
pub async fn run(cli: &Cli, command: &QuarantineCommand) -> anyhow::Result<Ending> {
    if let QuarantineCommand::Replay { selection } | QuarantineCommand::Discard { selection, .. } = command
        && selection.filter.is_empty()
        && !selection.all
    {
        let next =
            "name payloads by their identifiers, choose them by filters such as --resource or --reason, or use --all";
        return Err(UserError::usage("nothing is chosen", next).into());
    }
    let session = Session::open(cli).await?;
    let result = match command {
        QuarantineCommand::List { filter, discarded, limit } => list(cli, &session, filter, *discarded, *limit).await,
        QuarantineCommand::Show { payload } => show(cli, &session, *payload).await,
        QuarantineCommand::Replay { selection } => replay(cli, &session, selection).await,
        QuarantineCommand::Discard { selection, why } => discard(cli, &session, selection, why).await,
    };
    session.close().await?;
    result
}

async fn list(
    cli: &Cli,
    session: &Session,
    filter: &QuarantineFilterArgs,
    is_discarded: bool,
    limit: u32,
) -> anyhow::Result<Ending> {
    let filter = QuarantineFilter { is_discarded, ..filter_of(filter, session.clock.now())? };
    let rows = quarantine::select(&mut *session.db.acquire().await?, &filter, i64::from(limit)).await?;
    output::list(cli.json, "quarantined", &rows, &columns())?;
    if rows.len() == limit as usize {
        eprintln!("there may be more; see --limit");
    }
    Ok(Ending::Done)
}

/// One part of a payload that is quarantined, with the row itself.
#[derive(Serialize)]
struct Part {
    extent: String,
    json_pointer: String,
    reason: String,
    row_text: String,
    quarantined_at: DateTime<Utc>,
    discarded_by: Option<String>,
    discard_reason: Option<String>,
}

async fn show(cli: &Cli, session: &Session, raw_payload_id: i64) -> anyhow::Result<Ending> {
    let payload = sqlx::query!(
        "select marketplace, market, resource, crawl_run_id, request_url, status_code, content_type, body_size_bytes,
                encode(content_sha256, 'hex') as content_sha256, fetched_at, purged_at, outcome as \"outcome?\",
                reason, reader_version as \"reader_version?\", row_count as \"row_count?\", read_at as \"read_at?\",
                discarded_at, discarded_by, discard_reason
         from raw.payloads left join raw.payload_readings using (raw_payload_id) where raw_payload_id = $1",
        raw_payload_id
    )
    .fetch_optional(&session.db)
    .await?;
    let Some(payload) = payload else {
        let next = "`digitallz quarantine list` shows the payloads that are quarantined";
        return Err(UserError::new(format!("there is no payload {raw_payload_id}"), next).into());
    };
    let parts = sqlx::query_as!(
        Part,
        "select extent, json_pointer, reason, row_text, quarantined_at, discarded_by, discard_reason
         from raw.quarantined_rows where raw_payload_id = $1 order by quarantined_row_id",
        raw_payload_id
    )
    .fetch_all(&session.db)
    .await?;
    let shown = json!({
        "raw_payload_id": raw_payload_id, "marketplace": payload.marketplace, "market": payload.market,
        "resource": payload.resource, "crawl_run_id": payload.crawl_run_id, "request_url": payload.request_url,
        "status_code": payload.status_code, "content_type": payload.content_type,
        "body_size_bytes": payload.body_size_bytes, "content_sha256": payload.content_sha256,
        "fetched_at": payload.fetched_at, "purged_at": payload.purged_at, "outcome": payload.outcome,
        "reason": payload.reason, "reader_version": payload.reader_version, "row_count": payload.row_count,
        "read_at": payload.read_at, "discarded_at": payload.discarded_at, "discarded_by": payload.discarded_by,
        "discard_reason": payload.discard_reason,
    });
    if cli.json {
        output::print_json(&json!({ "payload": shown, "parts": parts }))?;
        return Ok(Ending::Done);
    }
    output::item(false, "payload", &shown)?;
    for part in &parts {
        let discarded = match (&part.discarded_by, &part.discard_reason) {
            (Some(by), Some(why)) => format!(" (discarded by {by}: {why})"),
            _ => String::new(),
        };
        output::print(&format!("\n{} {}: {}{discarded}", part.extent, part.json_pointer, part.reason))?;
        if !part.row_text.is_empty() {
            output::print(&part.row_text)?;
        }
    }
    Ok(Ending::Done)
}

/// A payload that was read again, or would be.
#[derive(Serialize)]
struct ReplayRow {
    raw_payload_id: i64,
    #[serde(flatten)]
    replayed: Replayed,
}

impl ReplayRow {
    /// Tells whether anything of it stays quarantined.
    fn is_whole(&self) -> bool {
        matches!(self.replayed, Replayed::Read { quarantined_row_count: 0, .. })
    }

    fn in_words(&self) -> String {
        match &self.replayed {
            Replayed::Read { row_count, quarantined_row_count: 0 } => format!("read: {row_count} rows"),
            Replayed::Read { row_count, quarantined_row_count } => {
                format!("read: {row_count} rows, of which {quarantined_row_count} stay quarantined")
            }
            Replayed::Quarantined { reason } => format!("stays quarantined: {reason}"),
            Replayed::LeftAlone { reason } => format!("left alone: {reason}"),
        }
    }
}

async fn replay(cli: &Cli, session: &Session, selection: &QuarantineSelection) -> anyhow::Result<Ending> {
    let now = session.clock.now();
    let chosen = choose(session, selection).await?;
    let raw_payload_ids: BTreeSet<i64> = chosen.iter().map(|one| one.raw_payload_id).collect();
    confirm(selection, raw_payload_ids.len(), "payloads would be read again")?;
    let mut rows = Vec::with_capacity(raw_payload_ids.len());
    for raw_payload_id in raw_payload_ids {
        let replayed = quarantine::replay(&session.db, &session.body_stores, raw_payload_id, selection.dry_run, now)
            .await
            .with_context(|| format!("failed to read payload {raw_payload_id} again"))?;
        rows.push(ReplayRow { raw_payload_id, replayed });
    }
    let whole_count = rows.iter().filter(|row| row.is_whole()).count();
    if !selection.dry_run && !rows.is_empty() {
        let named: Vec<i64> = rows.iter().take(NAMED_MAX).map(|row| row.raw_payload_id).collect();
        let detail = json!({ "raw_payload_ids": named, "payload_count": rows.len(), "read_whole_count": whole_count });
        let mut connection = session.db.acquire().await?;
        audit::record(&mut connection, now, &selection.actor.by, "replay_quarantine", "quarantine", detail).await?;
    }
    output::list(
        cli.json,
        "payloads",
        &rows,
        &[
            output::number("PAYLOAD", |row: &ReplayRow| row.raw_payload_id.to_string()),
            output::text("OUTCOME", ReplayRow::in_words),
        ],
    )?;
    let verb = if selection.dry_run { "could be read whole" } else { "read whole" };
    eprintln!("{whole_count} of {} payloads {verb}", rows.len());
    Ok(if whole_count < rows.len() { Ending::PartlyDone } else { Ending::Done })
}

async fn discard(cli: &Cli, session: &Session, selection: &QuarantineSelection, why: &str) -> anyhow::Result<Ending> {
    let now = session.clock.now();
    let why = why.trim();
    if why.is_empty() {
        return Err(UserError::usage("--why is empty", "say why it is not worth reading").into());
    }
    let chosen = choose(session, selection).await?;
    confirm(selection, chosen.len(), "payloads and rows would be discarded")?;
    if !selection.dry_run && !chosen.is_empty() {
        let by = selection.actor.by.as_str();
        let mut tx = session.db.begin().await?;
        let discarded_count = quarantine::discard(&mut tx, &chosen, by, why, now).await?;
        let raw_payload_ids: BTreeSet<i64> = chosen.iter().map(|one| one.raw_payload_id).collect();
        let named: Vec<i64> = raw_payload_ids.iter().copied().take(NAMED_MAX).collect();
        let detail = json!({ "reason": why, "raw_payload_ids": named, "payload_count": raw_payload_ids.len(),
                             "discarded_count": discarded_count });
        audit::record(&mut tx, now, by, "discard_quarantined", "quarantine", detail).await?;
        tx.commit().await?;
    }
    output::list(cli.json, "quarantined", &chosen, &columns())?;
    eprintln!("{} {}", chosen.len(), if selection.dry_run { "would be discarded" } else { "discarded" });
    Ok(Ending::Done)
}

/// Finds what is chosen and open; a payload that was named and has nothing quarantined is an error.
async fn choose(session: &Session, selection: &QuarantineSelection) -> anyhow::Result<Vec<Quarantined>> {
    if !selection.dry_run {
        demo_mark::note_users_data(&session.db).await?;
    }
    let filter = filter_of(&selection.filter, session.clock.now())?;
    let limit = selection.limit.map_or(i64::MAX, i64::from);
    let chosen = quarantine::select(&mut *session.db.acquire().await?, &filter, limit).await?;
    let found: BTreeSet<i64> = chosen.iter().map(|one| one.raw_payload_id).collect();
    let missing: Vec<String> = match selection.limit {
        Some(_) => Vec::new(),
        None => selection.filter.payloads.iter().filter(|id| !found.contains(id)).map(i64::to_string).collect(),
    };
    if !missing.is_empty() {
        let message = format!("nothing that is chosen is quarantined and open in payload {}", missing.join(", "));
        return Err(UserError::new(message, "`digitallz quarantine list` shows what is").into());
    }
    Ok(chosen)
}

fn confirm(selection: &QuarantineSelection, count: usize, what: &str) -> anyhow::Result<()> {
    if count > ask::UNASKED_MAX && !selection.yes && !selection.dry_run {
        ask::before(&format!("{count} {what}"))?;
    }
    Ok(())
}

fn filter_of(given: &QuarantineFilterArgs, now: DateTime<Utc>) -> Result<QuarantineFilter, UserError> {
    Ok(QuarantineFilter {
        marketplace: given.marketplace,
        resource: given.resource,
        reason: given.reason.clone(),
        since: given.since.as_deref().map(|text| age::moment(text, now)).transpose()?,
        crawl_run_id: given.run,
        raw_payload_ids: (!given.payloads.is_empty()).then(|| given.payloads.clone()),
        is_discarded: false,
    })
}

fn columns() -> [output::Column<Quarantined>; 6] {
    [
        output::number("PAYLOAD", |row: &Quarantined| row.raw_payload_id.to_string()),
        output::text("WHAT", |row: &Quarantined| match row.extent.as_str() {
            "payload" => "all of it".to_owned(),
            extent => format!("{extent} {}", row.json_pointer),
        }),
        output::text("SOURCE", |row: &Quarantined| format!("{} {}", row.marketplace, row.market)),
        output::text("RESOURCE", |row: &Quarantined| row.resource.clone()),
        output::text("SINCE", |row: &Quarantined| row.quarantined_at.format("%Y-%m-%d %H:%M").to_string()),
        output::text("REASON", |row: &Quarantined| row.reason.clone()),
    ]
}
