//! `digitallz crawl`: a crawl run at once, ahead of the scheduled ones; plans, their application, and forecasts.

mod apply;
mod forecast;
mod plan;
mod plan_file;
mod selectors;
mod weeks;

use std::path::Path;

use chrono::{DateTime, Utc};
use digitallz_collector::Context;
use digitallz_common::jobs::{Job, PlanCrawl};
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::{Marketplace, Site, Subject};
use digitallz_common::queue;
use digitallz_common::source_policy;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::publication_notice;
use crate::cli::{Cli, CrawlCommand, Role};
use crate::commands::keywords::{self, Entry};
use crate::commands::runs::{self, Sums};
use crate::commands::sources;
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::progress::Progress;
use crate::roles;
use crate::session::Session;

/// How often a waiting command looks at its run.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

#[derive(Serialize)]
struct Crawl {
    crawl_run_id: Option<Uuid>,
    site: String,
    keyword_count: usize,
    planned_question_count: usize,
    is_dry_run: bool,
}

/// Makes a crawl run and, when asked to, waits for its end.
pub async fn run(cli: &Cli, command: &CrawlCommand) -> anyhow::Result<Ending> {
    let (marketplace, market, keyword, file, wait, dry_run) = match command {
        CrawlCommand::Now { marketplace, market, keyword, file, wait, dry_run } => {
            (marketplace, market, keyword, file, wait, dry_run)
        }
        CrawlCommand::Plan(args) => return plan::run(cli, args).await,
        CrawlCommand::Apply(args) => return apply::run(cli, args).await,
        CrawlCommand::Forecast(args) => return forecast::run(cli, args).await,
    };
    let site = Site::new(*marketplace, market)
        .map_err(|error| UserError::new(error.to_string(), "choose one of the markets named"))?;
    let chosen = chosen_keywords(&site, keyword, file.as_deref())?;
    let session = if *wait { Session::open_for_work(cli).await? } else { Session::open(cli).await? };
    let ending = match start_and_wait(cli, &session, &site, &chosen, *wait, *dry_run).await {
        Ok(ending) => ending,
        Err(error) => {
            session.close().await?;
            return Err(error);
        }
    };
    session.close().await?;
    Ok(ending)
}

/// Makes a crawl run over the chosen keywords, or over all active ones of the site when none is chosen.
pub async fn start(db: &PgPool, site: &Site, chosen: &[Entry], now: DateTime<Utc>) -> anyhow::Result<Uuid> {
    let mut tx = db.begin().await?;
    let mut selection = Vec::with_capacity(chosen.len());
    for entry in chosen {
        selection.push(keywords::ensure(&mut tx, entry, now).await?);
    }
    let run = NewRun {
        trigger: "manual",
        scheduled_for: now,
        site,
        keyword_selection: (!selection.is_empty()).then_some(selection),
        resources: None,
        request_budget: None,
        planned_requests: None,
        plan_key: None,
        priority: queue::OPERATOR_PRIORITY,
    };
    let crawl_run_id = make_run(&mut tx, &run, now).await?;
    tx.commit().await?;
    Ok(crawl_run_id)
}

/// A crawl run that an operator makes.
struct NewRun<'a> {
    trigger: &'static str,
    scheduled_for: DateTime<Utc>,
    site: &'a Site,
    keyword_selection: Option<Vec<i64>>,
    resources: Option<Vec<String>>,
    request_budget: Option<i32>,
    planned_requests: Option<Value>,
    plan_key: Option<String>,
    priority: i32,
}

/// Writes a crawl run and enqueues its planning.
async fn make_run(connection: &mut PgConnection, run: &NewRun<'_>, now: DateTime<Utc>) -> anyhow::Result<Uuid> {
    let crawl_run_id = Uuid::now_v7();
    sqlx::query!(
        "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, keyword_selection,
             resources, request_budget, planned_requests, plan_key, priority, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        crawl_run_id,
        run.trigger,
        run.scheduled_for,
        run.site.marketplace.name(),
        run.site.market,
        run.keyword_selection.as_deref(),
        run.resources.as_deref(),
        run.request_budget,
        run.planned_requests,
        run.plan_key,
        run.priority,
        now,
    )
    .execute(&mut *connection)
    .await?;
    queue::enqueue(connection, &Job::PlanCrawl(PlanCrawl { crawl_run_id }), run.priority).await?;
    Ok(crawl_run_id)
}

/// Makes what plans are made with: the marketplaces of the settings over the session's database.
fn context(session: &Session) -> anyhow::Result<Context> {
    Ok(Context::new(
        session.db.clone(),
        session.clock.clone(),
        session.body_stores.clone(),
        &session.environment.collector()?,
    )?)
}

/// Says why nothing may be collected from a marketplace; nothing when its terms are acknowledged.
async fn terms_refusal(db: &PgPool, marketplace: Marketplace) -> Result<Option<String>, sqlx::Error> {
    let mut connection = db.acquire().await?;
    Ok(source_policy::get(&mut connection, marketplace).await?.refusal())
}

async fn note_missing_workers(session: &Session) -> anyhow::Result<()> {
    if queue::live_worker_count(&session.db).await? == 0 {
        eprintln!("note: no worker is running; start one with `digitallz run`");
    }
    Ok(())
}

async fn start_and_wait(
    cli: &Cli,
    session: &Session,
    site: &Site,
    chosen: &[Entry],
    wait: bool,
    is_dry_run: bool,
) -> anyhow::Result<Ending> {
    let keyword_count = if chosen.is_empty() { active_keyword_count(&session.db, site).await? } else { chosen.len() };
    if keyword_count == 0 {
        return Err(UserError::new(
            format!("there is no keyword to ask {site} for"),
            "name one with --keyword, a file with --file, or add some with `digitallz keywords import`",
        )
        .into());
    }
    let crawl_run_id = if is_dry_run {
        None
    } else {
        demo_mark::note_users_data(&session.db).await?;
        sources::require_terms(&session.db, site.marketplace).await?;
        Some(start(&session.db, site, chosen, session.clock.now()).await?)
    };
    let crawl = Crawl {
        crawl_run_id,
        site: site.to_string(),
        keyword_count,
        planned_question_count: planned_question_count(site.marketplace, keyword_count),
        is_dry_run,
    };
    let Some(crawl_run_id) = crawl_run_id.filter(|_| wait) else {
        if cli.json {
            output::print_json(&json!({ "crawl": crawl }))?;
        } else {
            output::item(false, "crawl", &crawl)?;
        }
        if crawl_run_id.is_some() {
            note_missing_workers(session).await?;
        }
        return Ok(Ending::Done);
    };
    eprintln!("crawl run {crawl_run_id}: {keyword_count} keywords on {site}");
    wait_for(cli, session, &[crawl_run_id]).await
}

/// Waits until nothing of the runs is open, doing the work itself when nobody else does.
async fn wait_for(cli: &Cli, session: &Session, crawl_run_ids: &[Uuid]) -> anyhow::Result<Ending> {
    let mut own_workers = None;
    let mut progress = Progress::start("jobs", 1);
    let all = loop {
        let mut all = Vec::with_capacity(crawl_run_ids.len());
        for crawl_run_id in crawl_run_ids {
            all.push(RunSums {
                crawl_run_id: *crawl_run_id,
                sums: runs::sums(&session.db, Some(*crawl_run_id)).await?,
            });
        }
        let add = |count: fn(&Sums) -> i64| all.iter().map(|run| count(&run.sums)).sum::<i64>();
        let (jobs, open) = (add(|sums| sums.job_count), add(|sums| sums.open_job_count));
        let dead = add(|sums| sums.dead_job_count);
        progress.set((jobs - open) as u64, jobs as u64, &format!("{dead} dead"));
        if open == 0 {
            break all;
        }
        if own_workers.is_none() && queue::live_worker_count(&session.db).await? == 0 {
            let needed = [Role::Collector, Role::Processor];
            own_workers = Some(roles::start(&session.db, &session.clock, &session.environment, &needed)?);
        }
        tokio::time::sleep(LOOK).await;
    };
    progress.finish();
    if let Some(own_workers) = own_workers {
        own_workers.stop().await;
    }
    match &all[..] {
        [run] => output::item(cli.json, "run", &run.sums)?,
        runs => output::list(
            cli.json,
            "runs",
            runs,
            &[
                output::text("RUN", |run: &RunSums| run.crawl_run_id.to_string()),
                output::number("JOBS", |run: &RunSums| run.sums.job_count.to_string()),
                output::number("DONE", |run: &RunSums| run.sums.done_job_count.to_string()),
                output::number("DEAD", |run: &RunSums| run.sums.dead_job_count.to_string()),
                output::number("REQUESTS", |run: &RunSums| run.sums.request_count.to_string()),
                output::number("PAYLOADS", |run: &RunSums| run.sums.payload_count.to_string()),
                output::number("OBSERVATIONS", |run: &RunSums| run.sums.observation_count.to_string()),
            ],
        )?,
    }
    let publications = publication_notice::of_runs(&session.db, crawl_run_ids).await?;
    for line in publication_notice::lines(&publications) {
        eprintln!("{line}");
    }
    let is_held = publications.iter().any(|publication| publication.state == "held");
    if all.iter().all(|run| run.sums.dead_job_count == 0) {
        return Ok(if is_held { Ending::PartlyDone } else { Ending::Done });
    }
    for run in all.iter().filter(|run| run.sums.dead_job_count > 0) {
        for cause in runs::dead_letter_causes(&session.db, run.crawl_run_id).await? {
            eprintln!("dead letter: {cause}");
        }
        let crawl_run_id = run.crawl_run_id;
        eprintln!("  next: `digitallz jobs list --state dead --run {crawl_run_id}`, then `digitallz jobs retry`");
    }
    Ok(if all.iter().all(|run| run.sums.payload_count == 0) { Ending::Failed } else { Ending::PartlyDone })
}

/// A run with its sums.
#[derive(Serialize)]
struct RunSums {
    crawl_run_id: Uuid,
    #[serde(flatten)]
    sums: Sums,
}

fn chosen_keywords(site: &Site, texts: &[String], file: Option<&Path>) -> anyhow::Result<Vec<Entry>> {
    let mut chosen = Vec::new();
    for text in texts {
        let keyword = Keyword::parse(text)
            .map_err(|error| UserError::new(format!("--keyword '{text}': {error}"), "give another keyword"))?;
        chosen.push(Entry::new(site.clone(), keyword, text.clone()));
    }
    if let Some(file) = file {
        let entries = keywords::read_file(file, Some(site.marketplace), &site.market)?;
        chosen.extend(entries.into_iter().filter(|entry| entry.site == *site));
    }
    Ok(chosen)
}

/// Questions that are certain when a run is planned; pages and steps that follow from answers come on top.
fn planned_question_count(marketplace: Marketplace, keyword_count: usize) -> usize {
    let planned = marketplace.default_resources().iter().filter(|resource| resource.follows().is_none());
    let questions = planned.map(|resource| match resource.subject() {
        Subject::Keyword => keyword_count,
        Subject::KeywordBatch { keywords_max } => keyword_count.div_ceil(keywords_max),
        Subject::Market => 1,
    });
    questions.sum()
}

async fn active_keyword_count(db: &PgPool, site: &Site) -> anyhow::Result<usize> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from core.keywords where marketplace = $1 and market = $2 and is_active"#,
        site.marketplace.name(),
        site.market
    )
    .fetch_one(db)
    .await?;
    Ok(usize::try_from(count)?)
}
