//! `digitallz doctor`: looks for what is missing or wrong, and says what to do about it.

use chrono::TimeDelta;
use digitallz_collector::Context;
use digitallz_collector::grants::{self, Grant, Standing};
use digitallz_common::failure;
use digitallz_common::keyword::NORMALIZATION_VERSION;
use digitallz_common::marketplace::Resource;
use digitallz_common::queue;
use digitallz_common::raw_payload::stores;
use digitallz_processor::{drift, purge};
use serde::Serialize;
use sqlx::PgPool;

use crate::cli::Cli;
use crate::commands::sources;
use crate::commands::sources::status::{self, Source};
use crate::exit::Ending;
use crate::output;
use crate::session::Session;

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    subject: &'static str,
    is_well: bool,
    finding: String,
    next_step: Option<String>,
}

fn well(subject: &'static str, finding: impl Into<String>) -> Finding {
    Finding { subject, is_well: true, finding: finding.into(), next_step: None }
}

fn wrong(subject: &'static str, finding: impl Into<String>, next_step: impl Into<String>) -> Finding {
    Finding { subject, is_well: false, finding: finding.into(), next_step: Some(next_step.into()) }
}

/// Looks at everything; ends as partly done when something is not well. Offline no marketplace is asked.
pub async fn run(cli: &Cli, is_offline: bool) -> anyhow::Result<Ending> {
    // That a session opens means: settings readable, database reachable and migrated.
    let session = Session::open(cli).await?;
    let looked = look(&session, is_offline).await;
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
            output::text("NEXT STEP", |row: &Finding| row.next_step.clone().unwrap_or_default()),
        ],
    )?;
    Ok(if findings.iter().all(|finding| finding.is_well) { Ending::Done } else { Ending::PartlyDone })
}

async fn look(session: &Session, is_offline: bool) -> anyhow::Result<Vec<Finding>> {
    let db = &session.db;
    let mut findings = vec![well("database", database_version(db).await?)];
    let ctx = Context::new(
        db.clone(),
        session.clock.clone(),
        session.body_stores.clone(),
        &session.environment.collector()?,
    )?;
    for source in status::all(session).await? {
        findings.extend(look_at_source(&source));
        // Before its terms are acknowledged a marketplace is asked nothing, not even this.
        if !is_offline && source.missing_settings.is_empty() && source.terms == "acknowledged" {
            findings.extend(look_at_grants(&ctx, &source).await?);
        }
    }
    findings.extend(look_at_purge(session).await?);
    findings.extend(look_at_body_stores(session, is_offline).await?);
    let counts = sqlx::query!(
        r#"select (select count(*) from core.keywords where is_active) as "keyword_count!",
                  (select count(*) from core.keywords
                   where normalization_version < $1 and merged_into_keyword_id is null) as "older_reading_count!",
                  (select count(*) from ops.dead_letters where resolution is null) as "dead_letter_count!",
                  (select count(*) from ops.jobs where state = 'ready' and run_at < now() - interval '5 minutes') as "late_job_count!",
                  (select count(*) from raw.payload_readings where outcome = 'quarantined' and discarded_at is null) as "quarantined_count!",
                  (select count(*) from ml.model_versions where state = 'champion') as "champion_count!""#,
        NORMALIZATION_VERSION,
    )
    .fetch_one(db)
    .await?;
    findings.push(match counts.keyword_count {
        0 => wrong("keywords", "none are followed", "add some with `digitallz keywords import FILE`"),
        count => well("keywords", format!("{count} are followed")),
    });
    if counts.older_reading_count > 0 {
        findings.push(wrong(
            "keywords",
            format!("{} are of an older reading, so answers may miss them", counts.older_reading_count),
            "see `digitallz keywords reread --dry-run`, then run it without",
        ));
    }
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
        0 => well("quarantine", "every payload could be read, or was discarded"),
        count => wrong(
            "quarantine",
            format!("{count} payloads could not be read"),
            "see `digitallz quarantine list`, mend the cause, then `digitallz quarantine replay`",
        ),
    });
    findings.push(look_at_drift(session).await?);
    findings.push(match counts.champion_count {
        0 => wrong(
            "models",
            "none is trained yet",
            "the scorer trains by DIGITALLZ_TRAIN_CRON once 12 weeks are observed",
        ),
        count => well("models", format!("{count} predict")),
    });
    findings.extend(look_at_demotions(session).await?);
    findings.extend(look_at_model_drift(session).await?);
    Ok(findings)
}

/// Looks for models that were demoted of late.
async fn look_at_demotions(session: &Session) -> anyhow::Result<Vec<Finding>> {
    const DAYS: i64 = 7;
    let demotions = sqlx::query!(
        r#"select subject, detail ->> 'version_before' as "version!", detail ->> 'reason' as "reason!",
                  action = 'demote_entry_model' as "is_of_entry!"
           from ops.audit_events
           where action in ('demote_model', 'demote_entry_model') and happened_at > $1
           order by audit_event_id"#,
        session.clock.now() - TimeDelta::days(DAYS),
    )
    .fetch_all(&session.db)
    .await?;
    let finding = |subject: &str, version: &str, reason: &str, is_of_entry: bool| {
        let next = match is_of_entry {
            true => "see `digitallz predictions entry`".to_owned(),
            false => format!("see `digitallz models show {subject} {version}`"),
        };
        wrong("models", format!("version {version} of {subject} was demoted: {reason}"), next)
    };
    Ok(demotions.iter().map(|row| finding(&row.subject, &row.version, &row.reason, row.is_of_entry)).collect())
}

/// Looks for models that see something else than they learnt from, or do not keep what they promised, at the latest look.
async fn look_at_model_drift(session: &Session) -> anyhow::Result<Vec<Finding>> {
    let drifts = sqlx::query!(
        r#"select marketplace as "marketplace!", model_name as "model_name!", model_version as "model_version!",
                  string_agg(format('%s is %s (%s +- %s)', measure, round(value::numeric, 2),
                                    round(expected_value::numeric, 2), round(tolerance::numeric, 2)),
                             ', ' order by measure) as "measures!"
           from analytics.model_drift_v1
           where state = 'champion' and is_latest and is_drifted
           group by marketplace, model_name, model_version
           order by marketplace, model_name"#
    )
    .fetch_all(&session.db)
    .await?;
    let finding = |marketplace: &str, model_name: &str, version: i32, measures: &str| {
        wrong(
            "models",
            format!("version {version} of {marketplace} {model_name} has drifted: {measures}"),
            format!("train anew: `digitallz models train --marketplace {marketplace} --model {model_name}`"),
        )
    };
    Ok(drifts.iter().map(|row| finding(&row.marketplace, &row.model_name, row.model_version, &row.measures)).collect())
}

/// Looks at credentials, terms, policy, pauses and breakers of one source.
fn look_at_source(source: &Source) -> Vec<Finding> {
    let (marketplace, subject) = (source.marketplace, source.marketplace.name());
    let mut findings = Vec::new();
    findings.push(if source.missing_settings.is_empty() {
        well(subject, "credentials are set")
    } else {
        let finding = format!("its jobs will be given up: {} not set", source.missing_settings.join(", "));
        wrong(subject, finding, "set them in the environment or the file of --env-file")
    });
    let terms = format!("terms: {}", status::terms_in_words(source));
    findings.push(match source.terms {
        "acknowledged" => well(subject, terms),
        _ => wrong(subject, format!("{terms}; nothing is collected"), sources::next_step(marketplace)),
    });
    findings.push(well(
        subject,
        format!(
            "{}; listings are kept {}, other answers {}, aggregates {}",
            if source.may_train { "may train models" } else { "may not train models" },
            source.listing_retention,
            source.raw_retention,
            source.aggregate_retention,
        ),
    ));
    if !source.contracts.is_empty() {
        let modes = source.contracts.iter();
        let modes = modes.map(|one| format!("{} {}/{}", one.resource, one.unknown_fields, one.types));
        let finding = format!("contracts (unknown fields/types): {}", modes.collect::<Vec<_>>().join(", "));
        findings.push(well(subject, finding));
    }
    if !source.pauses.is_empty() {
        let finding = format!("paused: {}", status::pauses_in_words(source));
        findings.push(wrong(subject, finding, format!("`digitallz sources resume {marketplace}` when it may go on")));
    }
    if !source.breakers.is_empty() {
        let finding = format!("circuit breakers: {}", status::breakers_in_words(source));
        findings.push(wrong(subject, finding, format!("see `digitallz sources show {marketplace}` for the causes")));
    }
    findings
}

/// Asks a marketplace what its credentials are granted beyond public data.
async fn look_at_grants(ctx: &Context, source: &Source) -> anyhow::Result<Vec<Finding>> {
    let wanted = ctx.marketplaces.resources(source.marketplace);
    let grants = grants::probe(ctx, source.marketplace).await?;
    Ok(grants.iter().map(|grant| finding_of(source, grant, wanted)).collect())
}

/// Tells of a grant; it is missed only where runs ask for what it opens.
fn finding_of(source: &Source, Grant { resource, standing }: &Grant, wanted: &[Resource]) -> Finding {
    let subject = source.marketplace.name();
    let finding = match standing {
        Standing::Granted => return well(subject, format!("{resource} is granted")),
        Standing::Refused(cause) => format!("{resource} is not granted: {cause}"),
        Standing::NotSet => format!("{resource} takes credentials of its own, which are not set"),
        Standing::Unknown(cause) => format!("it is not known whether {resource} is granted: {cause}"),
    };
    if !wanted.contains(resource) {
        return well(subject, finding);
    }
    let setting = format!("DIGITALLZ_{}_RESOURCES", subject.to_uppercase());
    wrong(subject, finding, format!("get it, or take {resource} out of {setting}"))
}

/// Looks for answers that are no longer what they were. That a field is new is no trouble; the other changes may be.
async fn look_at_drift(session: &Session) -> anyhow::Result<Finding> {
    const DAYS: i64 = 7;
    let now = session.clock.now();
    let mut connection = session.db.acquire().await?;
    drift::update(&mut connection, now).await?;
    let changes = drift::changes(&mut connection, None, (now - TimeDelta::days(DAYS)).date_naive()).await?;
    let new_count = changes.iter().filter(|change| change.change_kind == "appeared").count();
    let other_count = changes.len() - new_count;
    let finding = format!(
        "in {DAYS} days {} appeared, {} vanished or changed",
        output::counted(new_count, "field"),
        output::counted(other_count, "field"),
    );
    Ok(match other_count {
        0 => well("schema drift", finding),
        _ => wrong("schema drift", finding, "see `digitallz sources drift --since 7d`"),
    })
}

/// Looks for what is past its time, and for long enough that a purge should have come by.
async fn look_at_purge(session: &Session) -> anyhow::Result<Vec<Finding>> {
    const GRACE: TimeDelta = TimeDelta::hours(2);
    let as_of = session.clock.now() - GRACE;
    let overdue = purge::due(&mut *session.db.acquire().await?, as_of).await?;
    let late = overdue.iter().filter(|counts| counts.total() > 0);
    let findings: Vec<Finding> = late
        .map(|counts| {
            let finding = format!(
                "{} answers and {} rows of {} are past their time for more than {} hours",
                counts.raw_payload_count,
                counts.total() - counts.raw_payload_count,
                counts.marketplace,
                GRACE.num_hours(),
            );
            wrong("purge", finding, "run `digitallz sources purge`, and the scheduler and processor all the time")
        })
        .collect();
    if findings.is_empty() {
        return Ok(vec![well("purge", "nothing is past its time")]);
    }
    Ok(findings)
}

/// Looks whether bodies can be written, read and deleted where they are to lie, and whether those elsewhere can be read.
async fn look_at_body_stores(session: &Session, is_offline: bool) -> anyhow::Result<Vec<Finding>> {
    const SUBJECT: &str = "raw store";
    const GRACE: TimeDelta = TimeDelta::hours(2);
    let (db, body_stores) = (&session.db, &session.body_stores);
    let mut findings = Vec::new();
    match body_stores.current() {
        None => findings.push(well(SUBJECT, "bodies go into Postgres")),
        Some(address) if is_offline && !address.is_directory() => {
            findings.push(well(SUBJECT, format!("bodies go into {address}, which is not asked offline")));
        }
        Some(address) => findings.push(match body_stores.probe(db).await {
            Ok(()) => well(SUBJECT, format!("bodies go into {address}: an object was written, read and deleted")),
            Err(problem) => wrong(
                SUBJECT,
                failure::chain(&problem),
                "correct DIGITALLZ_RAW_STORE or the store's AWS_*, AZURE_* or GOOGLE_* variables; until then jobs are tried again",
            ),
        }),
    }
    for store in stores::in_use(db).await? {
        let address = body_stores.addresses().find(|address| address.to_string() == store.address);
        let finding = match address {
            Some(address) if is_offline && !address.is_directory() => continue,
            Some(_) => match body_stores.touch(&store.example).await {
                Ok(()) => {
                    well(SUBJECT, format!("{} bodies lie in {} and can be read", store.body_count, store.address))
                }
                Err(problem) => wrong(SUBJECT, failure::chain(&problem), "see that the store answers and is complete"),
            },
            None => {
                let finding = format!("{} bodies lie in {}, which is not set", store.body_count, store.address);
                wrong(SUBJECT, finding, "name it in DIGITALLZ_RAW_STORE_EARLIER")
            }
        };
        findings.push(finding);
    }
    let waiting = stores::waiting(db).await?;
    if waiting.since.is_some_and(|since| since < session.clock.now() - GRACE) {
        let finding = format!("{} bodies should have been deleted from object stores", waiting.object_count);
        findings.push(wrong(SUBJECT, finding, "run `digitallz sources purge`, which says what is in the way"));
    }
    Ok(findings)
}

async fn database_version(db: &PgPool) -> Result<String, sqlx::Error> {
    let version =
        sqlx::query_scalar!(r#"select current_setting('server_version') as "version!""#).fetch_one(db).await?;
    Ok(format!("PostgreSQL {version}, schema up to date"))
}
