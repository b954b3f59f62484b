//! `digitallz doctor`: looks for what is missing or wrong, and says what to do about it.

use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue;
use serde::Serialize;
use sqlx::PgPool;

use crate::cli::Cli;
use crate::exit::Ending;
use crate::output;
use crate::session::Session;

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    subject: &'static str,
    is_well: bool,
    finding: String,
    next_step: Option<&'static str>,
}

fn well(subject: &'static str, finding: impl Into<String>) -> Finding {
    Finding { subject, is_well: true, finding: finding.into(), next_step: None }
}

fn wrong(subject: &'static str, finding: impl Into<String>, next_step: &'static str) -> Finding {
    Finding { subject, is_well: false, finding: finding.into(), next_step: Some(next_step) }
}

/// Looks at everything; ends as partly done when something is not well.
pub async fn run(cli: &Cli) -> anyhow::Result<Ending> {
    // That a session opens means: settings readable, database reachable and migrated.
    let session = Session::open(cli).await?;
    let looked = look(&session).await;
    session.close().await?;
    let findings = looked?;
    output::list(
        cli.json,
        "findings",
        &findings,
        &[
            output::text("", |row: &Finding| if row.is_well { "ok" } else { "!!" }.to_owned()),
            output::text("SUBJECT", |row: &Finding| row.subject.to_owned()),
            output::text("FINDING", |row: &Finding| row.finding.clone()),
            output::text("NEXT STEP", |row: &Finding| row.next_step.unwrap_or_default().to_owned()),
        ],
    )?;
    Ok(if findings.iter().all(|finding| finding.is_well) { Ending::Done } else { Ending::PartlyDone })
}

async fn look(session: &Session) -> anyhow::Result<Vec<Finding>> {
    let db = &session.db;
    let mut findings = vec![well("database", database_version(db).await?)];
    for marketplace in Marketplace::ALL {
        let missing = session.environment.missing_credentials(marketplace);
        findings.push(if missing.is_empty() {
            well(marketplace.name(), "credentials are set")
        } else {
            let finding = format!("its jobs will be given up: {} not set", missing.join(", "));
            wrong(marketplace.name(), finding, "set them in the environment or the file of --env-file")
        });
    }
    let counts = sqlx::query!(
        r#"select (select count(*) from core.keywords where is_active) as "keyword_count!",
                  (select count(*) from ops.dead_letters where resolution is null) as "dead_letter_count!",
                  (select count(*) from ops.jobs where state = 'ready' and run_at < now() - interval '5 minutes') as "late_job_count!",
                  (select count(*) from raw.payload_readings where outcome = 'quarantined') as "quarantined_count!",
                  (select count(*) from ml.model_versions where state = 'champion') as "champion_count!""#
    )
    .fetch_one(db)
    .await?;
    findings.push(match counts.keyword_count {
        0 => wrong("keywords", "none are followed", "add some with `digitallz keywords import FILE`"),
        count => well("keywords", format!("{count} are followed")),
    });
    findings.push(match queue::live_worker_count(db).await? {
        0 => wrong("workers", "none is running", "start `digitallz run`"),
        count => well("workers", format!("{count} are running")),
    });
    findings.push(match counts.late_job_count {
        0 => well("queue", "no job waits longer than 5 minutes"),
        count => wrong("queue", format!("{count} jobs wait longer than 5 minutes"), "start `digitallz run`"),
    });
    findings.push(match counts.dead_letter_count {
        0 => well("dead letters", "none are open"),
        count => wrong("dead letters", format!("{count} are open"), "see `digitallz jobs list --state dead`"),
    });
    findings.push(match counts.quarantined_count {
        0 => well("quarantine", "every payload could be read"),
        count => wrong(
            "quarantine",
            format!("{count} payloads could not be read"),
            "see raw.payload_readings for the reasons",
        ),
    });
    findings.push(match counts.champion_count {
        0 => wrong(
            "models",
            "none is trained yet",
            "the scorer trains by DIGITALLZ_TRAIN_CRON once 12 weeks are observed",
        ),
        count => well("models", format!("{count} predict")),
    });
    Ok(findings)
}

async fn database_version(db: &PgPool) -> Result<String, sqlx::Error> {
    let version =
        sqlx::query_scalar!(r#"select current_setting('server_version') as "version!""#).fetch_one(db).await?;
    Ok(format!("PostgreSQL {version}, schema up to date"))
}
