//! `digitallz ingest --har`: recorded answers, processed like any other.

use digitallz_collector::recording;
use serde_json::json;

use super::publication_notice::{self, PublicationNotice};
use crate::cli::{Cli, IngestArgs, Role};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::roles;
use crate::session::Session;

/// How often the command looks whether its answers were read.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);

/// Brings recordings in, waits until they were processed, and reports every entry.
pub async fn run(cli: &Cli, args: &IngestArgs) -> anyhow::Result<Ending> {
    let session = Session::open_for_work(cli).await?;
    let result = ingest(cli, &session, args).await;
    session.close().await?;
    result
}

async fn ingest(cli: &Cli, session: &Session, args: &IngestArgs) -> anyhow::Result<Ending> {
    demo_mark::note_users_data(&session.db).await?;
    let mut reports = Vec::new();
    let mut failed_file_count = 0;
    for path in &args.har {
        match recording::ingest_har(&session.db, &session.body_stores, path, session.clock.now()).await {
            Ok(report) => reports.push(report),
            Err(error) => {
                failed_file_count += 1;
                eprintln!("error: {}", digitallz_common::failure::chain(&error));
            }
        }
    }
    wait_until_processed(session).await?;
    if failed_file_count == args.har.len() {
        return Err(UserError::new(
            "no recording could be read",
            "give HAR 1.2 files, as browsers and proxies save them",
        )
        .into());
    }
    let payloads: Vec<i64> =
        reports.iter().flat_map(|report| &report.entries).filter_map(|entry| entry.raw_payload_id).collect();
    let publications = publication_notice::of_payloads(&session.db, &payloads).await?;
    report(cli, &reports, &publications)?;
    let is_hidden = publications.iter().any(|publication| !publication.is_visible);
    Ok(if failed_file_count > 0 || is_hidden { Ending::PartlyDone } else { Ending::Done })
}

/// Reads the stored answers here and now, whether or not another process would.
async fn wait_until_processed(session: &Session) -> anyhow::Result<()> {
    let workers = roles::start(&session.db, &session.clock, &session.environment, &[Role::Processor])?;
    while open_recording_jobs(session).await? > 0 {
        tokio::time::sleep(LOOK).await;
    }
    workers.stop().await;
    Ok(())
}

async fn open_recording_jobs(session: &Session) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from ops.jobs join ops.crawl_runs using (crawl_run_id)
           where crawl_runs.trigger = 'recording' and jobs.state in ('ready', 'running')"#
    )
    .fetch_one(&session.db)
    .await
}

fn report(cli: &Cli, reports: &[recording::HarReport], publications: &[PublicationNotice]) -> anyhow::Result<()> {
    if cli.json {
        let meta = json!({ "count": reports.len() });
        return output::print_json(&json!({ "recordings": reports, "publications": publications, "meta": meta }));
    }
    for report in reports {
        output::print(&report.to_string())?;
    }
    for line in publication_notice::lines(publications) {
        output::print(&line)?;
    }
    Ok(())
}
