//! `digitallz import`: files of the user's own, stored and processed like any answer.

use std::io::Read;
use std::path::Path;

use digitallz_common::marketplace::Site;
use digitallz_common::spool::{Spool, SpoolWriter};
use digitallz_processor::imports::{self, ExamineError, HeaderReport, ImportRequest, Imported, Kept, Kind, Wishes};
use serde::Serialize;
use serde_json::json;

use super::publication_notice::{self, PublicationNotice};
use crate::cli::{Cli, ImportArgs, ImportKind, Role};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::roles;
use crate::session::Session;

/// Largest file that is brought in.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// How often the command looks whether its file was read.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);

/// Keywords and rows that are named in the report for people; the other one names more.
const NAMED: usize = 10;
const NAMED_IN_JSON: usize = 1_000;

/// What an import did, or would do.
#[derive(Debug, Serialize)]
struct ImportReport {
    file: String,
    content_sha256: String,
    kind: Kind,
    #[serde(flatten)]
    site: Site,
    is_dry_run: bool,
    /// False when the same file was stored before.
    is_new: bool,
    raw_payload_id: Option<i64>,
    headers: Vec<HeaderReport>,
    row_count: i32,
    observation_count: i32,
    quarantined_row_count: i32,
    quarantined_rows: Vec<RowAside>,
    untracked_row_count: i32,
    tracked_keyword_count: usize,
    untracked_keyword_count: usize,
    /// True when there were more than are counted.
    has_more_untracked_keywords: bool,
    untracked_keywords: Vec<String>,
    added_keyword_count: usize,
    /// Whether the views show its values; nothing in a dry run.
    publication: Option<PublicationNotice>,
}

/// A row that broke the contract.
#[derive(Debug, Serialize)]
struct RowAside {
    place: String,
    reason: String,
}

/// Brings a file in, waits until it was read, and says how it was understood.
pub async fn run(cli: &Cli, args: &ImportArgs) -> anyhow::Result<Ending> {
    let site = Site::new(args.marketplace, &args.market)
        .map_err(|error| UserError::usage(error.to_string(), "give another --market"))?;
    let body = spool(&args.file)?;
    let session = Session::open_for_work(cli).await?;
    let result = import(&session, args, &site, &body).await;
    session.close().await?;
    let report = result?;
    show(cli, &report)?;
    let is_hidden = report.publication.as_ref().is_some_and(|publication| !publication.is_visible);
    Ok(if report.quarantined_row_count > 0 || is_hidden { Ending::PartlyDone } else { Ending::Done })
}

async fn import(session: &Session, args: &ImportArgs, site: &Site, body: &Spool) -> anyhow::Result<ImportReport> {
    let request = request(args, body)?;
    let now = session.clock.now();
    let imported = match imports::examine(&session.db, site, body, kind(args.kind), &request, now).await {
        Ok(imported) => imported,
        Err(error @ ExamineError::File { .. }) => {
            let next = "correct the file or say more of it, see `digitallz import --help`; nothing was stored";
            return Err(UserError::new(error.to_string(), next).into());
        }
        Err(error) => return Err(error.into()),
    };
    if args.add_keywords && imported.keywords.is_cut {
        let text = format!("{} holds too many keywords to follow all of them", request.file_name);
        return Err(UserError::new(text, "import those that matter with `digitallz keywords import` first").into());
    }
    let mut report = report(site, &request, imported.clone(), args.dry_run);
    if args.dry_run {
        return Ok(report);
    }
    demo_mark::note_users_data(&session.db).await?;
    let wishes = Wishes { adds_keywords: args.add_keywords, may_train: !args.no_training };
    let kept = imports::keep(&session.db, &session.body_stores, site, body, &request, &imported, wishes, now).await?;
    wait_until_read(session, kept).await?;
    take_over(session, kept, &mut report).await?;
    report.publication = publication_notice::of_payloads(&session.db, &[kept.raw_payload_id]).await?.pop();
    Ok(report)
}

/// Copies the file once, so that what is looked at, stored and hashed is the same.
fn spool(path: &Path) -> anyhow::Result<Spool> {
    let unreadable = |error: std::io::Error| {
        UserError::new(
            format!("failed to read {}: {error}", path.display()),
            "check the path and the space for temporary files",
        )
    };
    let mut file = std::fs::File::open(path).map_err(unreadable)?.take(FILE_BYTES_MAX + 1);
    let mut writer = SpoolWriter::create(None).map_err(unreadable)?;
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let length = file.read(&mut buffer).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        writer.write(&buffer[..length]).map_err(unreadable)?;
    }
    if file.limit() == 0 {
        return Err(
            UserError::new(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display()), "split it").into()
        );
    }
    Ok(writer.finish())
}

fn request(args: &ImportArgs, body: &Spool) -> Result<ImportRequest, UserError> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(UserError::usage(format!("--to {to} lies before --from {from}"), "swap --from and --to"));
    }
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    Ok(ImportRequest {
        encoding: args.text.encoding,
        decimal_mark: args.text.decimal,
        date_order: args.text.date_order,
        region: args.region.clone(),
        days: args.from.zip(args.to),
        ..ImportRequest::new(&name, body.content_sha256())
    })
}

fn kind(kind: ImportKind) -> Option<Kind> {
    match kind {
        ImportKind::Auto => None,
        ImportKind::SearchTerms => Some(Kind::SearchTerms),
        ImportKind::SearchQuery => Some(Kind::SearchQuery),
        ImportKind::Interest => Some(Kind::Interest),
        ImportKind::KeywordPlan => Some(Kind::KeywordPlan),
        ImportKind::Series => Some(Kind::Series),
    }
}

fn report(site: &Site, request: &ImportRequest, imported: Imported, is_dry_run: bool) -> ImportReport {
    let (reading, keywords) = (imported.reading, imported.keywords);
    let aside = reading.quarantined.iter().take(NAMED_IN_JSON);
    ImportReport {
        file: request.file_name.clone(),
        content_sha256: request.content_sha256.clone(),
        kind: imported.kind,
        site: site.clone(),
        is_dry_run,
        is_new: true,
        raw_payload_id: None,
        headers: imported.headers,
        row_count: reading.row_count,
        observation_count: i32::try_from(reading.observations.len()).unwrap_or(i32::MAX),
        quarantined_row_count: reading.quarantined_row_count(),
        quarantined_rows: aside
            .map(|row| RowAside { place: row.json_pointer.clone(), reason: row.reason.clone() })
            .collect(),
        untracked_row_count: reading.untracked_row_count,
        tracked_keyword_count: keywords.tracked_count,
        untracked_keyword_count: keywords.untracked.len(),
        has_more_untracked_keywords: keywords.is_cut,
        untracked_keywords: keywords.untracked.into_keys().take(NAMED_IN_JSON).collect(),
        added_keyword_count: 0,
        publication: None,
    }
}

/// Reads the stored file here and now, whether or not another process would.
async fn wait_until_read(session: &Session, kept: Kept) -> anyhow::Result<()> {
    let workers = roles::start(&session.db, &session.clock, &session.environment, &[Role::Processor])?;
    while is_open(session, kept).await? {
        tokio::time::sleep(LOOK).await;
    }
    workers.stop().await;
    Ok(())
}

async fn is_open(session: &Session, kept: Kept) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from ops.jobs where job_key = $1 and state in ('ready', 'running')) as "is_open!""#,
        format!("process_payload:{}", kept.raw_payload_id)
    )
    .fetch_one(&session.db)
    .await
}

/// Takes over what the processor made of the file, which may know more keywords than the look before.
async fn take_over(session: &Session, kept: Kept, report: &mut ImportReport) -> anyhow::Result<()> {
    report.is_new = kept.is_new;
    report.raw_payload_id = Some(kept.raw_payload_id);
    report.added_keyword_count = kept.added_keyword_count;
    let reading = sqlx::query!(
        "select outcome, reason, row_count, observation_count, quarantined_row_count, untracked_row_count
         from raw.payload_readings where raw_payload_id = $1",
        kept.raw_payload_id
    )
    .fetch_optional(&session.db)
    .await?;
    match reading {
        Some(reading) if reading.outcome == "processed" => {
            report.row_count = reading.row_count;
            report.observation_count = reading.observation_count;
            report.quarantined_row_count = reading.quarantined_row_count;
            report.untracked_row_count = reading.untracked_row_count;
            Ok(())
        }
        Some(reading) => {
            let text =
                format!("raw payload {} is quarantined: {}", kept.raw_payload_id, reading.reason.unwrap_or_default());
            Err(UserError::new(text, "correct the file and import it again").into())
        }
        None => {
            let text = format!("raw payload {} is stored and was not read", kept.raw_payload_id);
            Err(UserError::new(text, "look at `digitallz jobs list --state dead`").into())
        }
    }
}

fn show(cli: &Cli, report: &ImportReport) -> anyhow::Result<()> {
    if cli.json {
        return output::print_json(&json!({ "import": report }));
    }
    let mut lines = Vec::new();
    let verb = match (report.is_dry_run, report.is_new) {
        (true, _) => "would be stored".to_owned(),
        (false, true) => format!("stored as raw payload {}", report.raw_payload_id.unwrap_or_default()),
        (false, false) => {
            format!(
                "stored already, as raw payload {}; nothing was read again",
                report.raw_payload_id.unwrap_or_default()
            )
        }
    };
    lines.push(format!("{}: {} of {}, {verb}", report.file, report.kind.name(), report.site));
    for header in &report.headers {
        let part = if header.part.is_empty() { String::new() } else { format!("{}: ", header.part) };
        let sample = header.sample.as_ref().map(|sample| format!(", read as '{sample}'")).unwrap_or_default();
        lines.push(format!("{part}header in line {} ({}{sample})", header.header_line, header.form));
        for column in &header.recognised {
            lines.push(format!("  {} -> {}", column.column, column.read_as));
        }
        for (what, columns) in
            [("not kept", &header.not_kept), ("unknown", &header.unknown), ("missing", &header.missing)]
        {
            if !columns.is_empty() {
                lines.push(format!("  {what}: {}", columns.join(", ")));
            }
        }
    }
    let count = |count: i32| output::thousands(i64::from(count));
    lines.push(format!(
        "{} rows: {} values of {} followed, {} rows set aside, {} rows about others",
        count(report.row_count),
        count(report.observation_count),
        output::counted(report.tracked_keyword_count + report.added_keyword_count, "keyword"),
        count(report.quarantined_row_count),
        count(report.untracked_row_count),
    ));
    for row in report.quarantined_rows.iter().take(NAMED) {
        lines.push(format!("  set aside {}: {}", row.place, row.reason));
    }
    if report.added_keyword_count > 0 {
        lines.push(format!("{} added", output::counted(report.added_keyword_count, "keyword")));
    } else if report.untracked_keyword_count > 0 {
        let more = if report.has_more_untracked_keywords { "more than " } else { "" };
        let named: Vec<&str> = report.untracked_keywords.iter().take(NAMED).map(String::as_str).collect();
        let rest = if report.untracked_keyword_count > NAMED { ", ..." } else { "" };
        lines.push(format!(
            "{more}{} not followed: {}{rest}; --add-keywords follows them",
            output::counted(report.untracked_keyword_count, "keyword"),
            named.join(", ")
        ));
    }
    lines.extend(publication_notice::lines(report.publication.as_slice()));
    output::print(&lines.join("\n"))
}
