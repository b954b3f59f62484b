//! `digitallz crawl apply`: what a plan says is done as it stands there, or not at all.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_collector::Context;
use digitallz_collector::estimate::Load;
use digitallz_common::audit;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::plan::{grant_allowances, loads, make, planned_run, rooms};
use super::plan_file::{Plan, PlannedRun, VERSION};
use super::selectors::{Missing, Selectors};
use super::{NewRun, make_run, weeks};
use crate::cli::{ApplyArgs, Cli};
use crate::commands::keywords::{self, Entry};
use crate::commands::sources;
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output::{self, counted, range, span};
use crate::session::Session;

/// A plan that is older says too little about the world.
const AGE_MAX: TimeDelta = TimeDelta::hours(24);

/// Priority of the runs of a plan: ahead of scheduled ones, which have 0.
const PLAN_PRIORITY: i32 = queue::OPERATOR_PRIORITY;

/// Priority of a backfill: ahead of scheduled runs too, behind what an operator wants now.
const BACKFILL_PRIORITY: i32 = 5;

/// What came of a plan.
#[derive(Debug, Serialize)]
struct Applied {
    fingerprint: String,
    run_count: usize,
    request_budget: i64,
    left_out_keyword_count: usize,
    was_applied_before: bool,
    crawl_run_ids: Vec<Uuid>,
}

/// Applies a plan and, when asked to, waits for the end of its runs.
pub async fn run(cli: &Cli, args: &ApplyArgs) -> anyhow::Result<Ending> {
    let plan = read(&args.plan)?;
    let session = if args.wait { Session::open_for_work(cli).await? } else { Session::open(cli).await? };
    let ending = apply_and_wait(cli, args, &session, &plan).await;
    session.close().await?;
    ending
}

async fn apply_and_wait(cli: &Cli, args: &ApplyArgs, session: &Session, plan: &Plan) -> anyhow::Result<Ending> {
    let ctx = super::context(session)?;
    let applied = apply(&ctx, plan, &args.by, args.allow_partial, session.clock.now()).await?;
    let is_partial = applied.left_out_keyword_count > 0;
    if applied.was_applied_before {
        eprintln!("the plan was applied before; nothing is made again");
    }
    if args.wait {
        eprintln!("waiting for {}", counted(applied.crawl_run_ids.len(), "crawl run"));
        let ending = super::wait_for(cli, session, &applied.crawl_run_ids).await?;
        return Ok(if is_partial && ending == Ending::Done { Ending::PartlyDone } else { ending });
    }
    if cli.json {
        output::print_json(&json!({ "applied": applied }))?;
    } else {
        for crawl_run_id in &applied.crawl_run_ids {
            output::print(&crawl_run_id.to_string())?;
        }
        if is_partial {
            let left_out = counted(applied.left_out_keyword_count, "keyword");
            eprintln!("left out {left_out}: the quotas do not suffice for more");
        }
        if !applied.was_applied_before {
            eprintln!(
                "made {}, which may spend {} requests; `digitallz runs show RUN` tells how far they are",
                counted(applied.run_count, "crawl run"),
                applied.request_budget
            );
        }
    }
    super::note_missing_workers(session).await?;
    Ok(if is_partial { Ending::PartlyDone } else { Ending::Done })
}

/// Makes the runs of a plan in one transaction, or says why not.
async fn apply(
    ctx: &Context,
    plan: &Plan,
    by: &str,
    is_partial_allowed: bool,
    now: DateTime<Utc>,
) -> anyhow::Result<Applied> {
    let mut tx = ctx.db.begin().await?;
    one_at_a_time(&mut tx).await?;
    let before = runs_of(&mut tx, plan).await?;
    if !before.is_empty() {
        return Ok(Applied {
            fingerprint: plan.fingerprint.clone(),
            run_count: 0,
            request_budget: 0,
            left_out_keyword_count: 0,
            was_applied_before: true,
            crawl_run_ids: before,
        });
    }
    let age = now - plan.created_at;
    if age > AGE_MAX {
        let age = span(age.num_seconds().unsigned_abs());
        return Err(refused(&[format!("the plan is {age} old, at most 24 h are allowed")]).into());
    }
    let selectors = Selectors {
        missing: plan.selectors.missing.clone().map(|missing| Missing { cap: None, ..missing }),
        ..plan.selectors.clone()
    };
    let fresh = make(ctx, selectors, plan.request_budget, plan.created_at, now).await?;
    let drift = plan.drift(&fresh);
    if !drift.is_empty() {
        return Err(refused(&drift).into());
    }
    for marketplace in Marketplace::ALL {
        let is_asked = plan.runs.iter().any(|run| run.site.marketplace == marketplace);
        if is_asked {
            sources::require_terms(&ctx.db, marketplace).await?;
        }
    }
    // Weeks that have data meanwhile are passed over; all else is as it was planned.
    let wanted: Vec<String> = plan.runs.iter().map(PlannedRun::name).collect();
    let mut runs: Vec<PlannedRun> = fresh.runs.into_iter().filter(|run| wanted.contains(&run.name())).collect();
    let loads = loads(ctx, &runs).await?;
    let mut left_out = 0;
    if let Some(excess) = excess(&loads, &runs, plan.request_budget) {
        if !is_partial_allowed {
            return Err(UserError::over_budget(
                format!("over budget: {}", excess.join("; ")),
                "wait for the renewal, plan fewer keywords, or let it do as much as is left with --allow-partial",
            )
            .into());
        }
        let rooms = rooms(ctx, &loads, &runs, plan.request_budget);
        left_out = cut(ctx, &mut runs, &rooms);
        if runs.is_empty() {
            return Err(UserError::over_budget(
                format!("over budget: nothing of the plan fits: {}", excess.join("; ")),
                "wait for the renewal",
            )
            .into());
        }
    }
    grant_allowances(&mut runs, plan.request_budget);
    demo_mark::note_users_data(&ctx.db).await?;
    let crawl_run_ids = write(&mut tx, plan, &runs, by, left_out, now).await?;
    tx.commit().await?;
    Ok(Applied {
        fingerprint: plan.fingerprint.clone(),
        run_count: crawl_run_ids.len(),
        request_budget: runs.iter().map(|run| i64::from(run.request_budget)).sum(),
        left_out_keyword_count: left_out,
        was_applied_before: false,
        crawl_run_ids,
    })
}

fn read(path: &Path) -> anyhow::Result<Plan> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| UserError::new(format!("failed to read {}: {error}", path.display()), "check the path"))?;
    let again = "make a plan with `digitallz crawl plan --out FILE`";
    let plan: Plan = serde_json::from_str(&text)
        .map_err(|error| UserError::new(format!("{} is no plan: {error}", path.display()), again))?;
    if plan.version != VERSION {
        let message = format!("{} is a plan of version {}, not {VERSION}", path.display(), plan.version);
        return Err(UserError::new(message, again).into());
    }
    if plan.fingerprint_of() != plan.fingerprint {
        let message = format!("{} does not match its fingerprint: it was changed after it was made", path.display());
        return Err(UserError::new(message, again).into());
    }
    if plan.runs.is_empty() {
        return Err(UserError::new(format!("{} plans nothing", path.display()), again).into());
    }
    Ok(plan)
}

fn refused(reasons: &[String]) -> UserError {
    UserError::new(
        format!("the world is not the one the plan was made for: {}", reasons.join("; ")),
        "make a new plan with `digitallz crawl plan` and look at it",
    )
}

/// Says, with numbers, where the plan would spend more than there is.
fn excess(loads: &[Load], runs: &[PlannedRun], request_budget: Option<u32>) -> Option<Vec<String>> {
    let mut excess = Vec::new();
    let most = runs.iter().fold(0u32, |sum, run| sum.saturating_add(run.totals().1));
    if let Some(budget) = request_budget.filter(|budget| most > *budget) {
        excess.push(format!("the plan takes up to {most} requests, its budget is {budget}"));
    }
    for load in loads.iter().filter(|load| load.is_overspent()) {
        let quota = format!("{} {}", load.outlook.marketplace, load.outlook.scope);
        let requests = range(load.fewest, load.most);
        excess.push(match load.budget() {
            Some(budget) => format!(
                "{quota} takes {requests} requests, {} of {} are left until it is renewed in {}, besides {} of runs under way",
                budget.left,
                budget.of,
                span(budget.renews_in.as_secs()),
                load.committed
            ),
            None => format!("{quota} takes {requests} requests, more than its pace allows within a day"),
        });
    }
    (!excess.is_empty()).then_some(excess)
}

/// Cuts runs down to the keywords for which there is room and returns how many keywords were left out.
fn cut(ctx: &Context, runs: &mut Vec<PlannedRun>, rooms: &[usize]) -> usize {
    let mut left_out = 0;
    for (run, room) in runs.iter_mut().zip(rooms) {
        left_out += run.keywords.len() - room;
        run.keywords.truncate(*room);
        let (site, resources, keywords) = (run.site.clone(), run.resources.clone(), std::mem::take(&mut run.keywords));
        *run = planned_run(ctx, site, resources, run.week, keywords);
    }
    runs.retain(|run| !run.keywords.is_empty());
    left_out
}

/// Lets nobody else apply a plan until this transaction ends, so that two do not spend the same quota.
async fn one_at_a_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const LOCK: i64 = 0x6469_6769_706c_616e;
    sqlx::query!("select 1 as one from pg_advisory_xact_lock($1)", LOCK).fetch_one(connection).await?;
    Ok(())
}

async fn runs_of(connection: &mut PgConnection, plan: &Plan) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select crawl_run_id from ops.crawl_runs where plan_key = any($1) order by crawl_run_id",
        &plan.run_keys()
    )
    .fetch_all(connection)
    .await
}

async fn write(
    connection: &mut PgConnection,
    plan: &Plan,
    runs: &[PlannedRun],
    by: &str,
    left_out: usize,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Uuid>> {
    let mut crawl_run_ids = Vec::with_capacity(runs.len());
    for run in runs {
        let mut keyword_ids = Vec::with_capacity(run.keywords.len());
        for keyword in &run.keywords {
            keyword_ids.push(match keyword.keyword_id {
                Some(keyword_id) => keyword_id,
                None => {
                    let text = keyword.original_text.as_ref().unwrap_or(&keyword.keyword_text);
                    let entry = Entry::new(run.site.clone(), super::selectors::parse(text)?, text.clone());
                    keywords::ensure(connection, &entry, now).await?
                }
            });
        }
        let requests = run.requests.iter().map(|figure| (figure.operation.clone(), Value::from(figure.most)));
        let new = NewRun {
            trigger: if run.week.is_some() { "backfill" } else { "plan" },
            scheduled_for: run.week.map_or(now, weeks::scheduled_for),
            site: &run.site,
            keyword_selection: Some(keyword_ids),
            resources: Some(run.resources.iter().map(|resource| resource.name().to_owned()).collect()),
            request_budget: Some(i32::try_from(run.request_budget.max(1)).unwrap_or(i32::MAX)),
            planned_requests: Some(Value::Object(requests.collect())),
            plan_key: Some(format!("{}:{}", plan.fingerprint, run.name())),
            priority: if run.week.is_some() { BACKFILL_PRIORITY } else { PLAN_PRIORITY },
        };
        crawl_run_ids.push(make_run(connection, &new, now).await?);
    }
    let requests: u64 = runs.iter().map(|run| u64::from(run.totals().1)).sum();
    let detail = json!({
        "crawl_run_ids": crawl_run_ids,
        "requests_most": requests,
        "request_budget": plan.request_budget,
        "left_out_keyword_count": left_out,
    });
    audit::record(connection, now, by, "apply plan", &plan.fingerprint, detail).await?;
    Ok(crawl_run_ids)
}
