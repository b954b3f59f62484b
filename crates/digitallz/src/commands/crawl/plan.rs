//! `digitallz crawl plan`: what a crawl would ask, cost and take, before anything is asked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use digitallz_collector::estimate::{self, Demand, Load};
use digitallz_collector::{Context, OutlookError};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use serde_json::json;

use super::plan_file::{Basis, Figure, Plan, PlannedRun, QuotaFigure, RETRY_ALLOWANCE_PERCENT, VERSION};
use super::selectors::{SelectedKeyword, Selectors, SiteSelection};
use super::weeks;
use crate::cli::{Cli, PlanArgs};
use crate::exit::{Ending, UserError};
use crate::output::{self, counted, range, span};
use crate::session::Session;

/// Makes a plan, prints it, and writes it down.
pub async fn run(cli: &Cli, args: &PlanArgs) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let made = async {
        let ctx = super::context(&session)?;
        let now = session.clock.now();
        let selectors = Selectors::read(args, now)?;
        make(&ctx, selectors, args.budget, now, now).await
    };
    let made = made.await;
    session.close().await?;
    let plan = made?;
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&plan)?;
        std::fs::write(out, text + "\n").map_err(|error| {
            UserError::new(format!("failed to write {}: {error}", out.display()), "choose a path that you may write")
        })?;
    }
    if cli.json {
        output::print_json(&json!({ "plan": plan }))?;
    } else {
        print(&plan)?;
    }
    if let Some(out) = &args.out {
        eprintln!("wrote {}; next: `digitallz crawl apply {}`", out.display(), out.display());
    }
    Ok(Ending::Done)
}

/// Makes a plan. Ages are counted from `as_of`; quotas, settings and keywords are those of `now`.
pub async fn make(
    ctx: &Context,
    selectors: Selectors,
    request_budget: Option<u32>,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> anyhow::Result<Plan> {
    let selections = selectors.resolve(ctx, as_of).await?;
    let mut notes = notes_on_terms(ctx, &selections).await?;
    let mut runs = Vec::new();
    match &selectors.missing {
        None => {
            for selection in selections {
                let SiteSelection { site, resources, keywords } = selection;
                runs.push(planned_run(ctx, site, resources, None, keywords));
            }
        }
        Some(missing) => {
            for selection in &selections {
                let site = &selection.site;
                let (past, present): (Vec<Resource>, Vec<Resource>) =
                    selection.resources.iter().partition(|resource| weeks::tells_of_the_past(**resource));
                if !present.is_empty() {
                    let names: Vec<&str> = present.iter().map(|resource| resource.name()).collect();
                    notes.push(format!(
                        "{site}: {} cannot be collected for the past; what they say holds for the moment of asking",
                        names.join(", ")
                    ));
                }
                if past.is_empty() {
                    continue;
                }
                let lack = weeks::find(&ctx.db, selection, missing, now).await?;
                if lack.under_way > 0 {
                    notes.push(format!("{site}: a backfill of {} further weeks is under way", lack.under_way));
                }
                for week in lack.weeks {
                    let week_start = Some(week.week_start);
                    runs.push(planned_run(ctx, site.clone(), vec![week.resource], week_start, week.keywords));
                }
            }
            let cap = missing.cap.map_or(runs.len(), |cap| cap as usize);
            if runs.len() > cap {
                notes.push(format!("{} further weeks are missing; plan again once these are done", runs.len() - cap));
                runs.truncate(cap);
            }
        }
    }
    let loads = loads(ctx, &runs).await?;
    for (run, room) in rooms(ctx, &loads, &runs, request_budget).into_iter().enumerate() {
        runs[run].affordable_keyword_count = room;
    }
    grant_allowances(&mut runs, request_budget);
    let basis =
        Basis { program: env!("CARGO_PKG_VERSION").to_owned(), depth: depth(ctx, &runs), limits: limits(&loads) };
    let mut plan = Plan {
        version: VERSION,
        fingerprint: String::new(),
        created_at: as_of,
        selectors,
        runs,
        quotas: loads.iter().map(quota_figure).collect(),
        request_budget,
        retry_allowance_percent: RETRY_ALLOWANCE_PERCENT,
        basis,
        notes,
    };
    plan.fingerprint = plan.fingerprint_of();
    Ok(plan)
}

/// Returns the quotas that runs would spend from.
pub async fn loads(ctx: &Context, runs: &[PlannedRun]) -> anyhow::Result<Vec<Load>> {
    let demands = runs.iter().map(|run| Demand {
        site: run.site.clone(),
        requests: estimate::requests(&ctx.config, run.site.marketplace, &run.resources, run.keywords.len()),
    });
    match estimate::loads(ctx, &demands.collect::<Vec<_>>()).await {
        Ok(loads) => Ok(loads),
        Err(OutlookError::Credentials(missing)) => {
            Err(UserError::new(missing.to_string(), "set them, or choose another --marketplace").into())
        }
        Err(OutlookError::Ledger(problem)) => Err(problem.into()),
    }
}

/// Returns for how many keywords of each run the quotas and the budget suffice, run after run; a week is all or nothing.
pub fn rooms(ctx: &Context, loads: &[Load], runs: &[PlannedRun], request_budget: Option<u32>) -> Vec<usize> {
    let mut used = vec![0u32; loads.len()];
    let mut spent = 0u32;
    let mut rooms = Vec::with_capacity(runs.len());
    for run in runs {
        let requests = |n| estimate::requests(&ctx.config, run.site.marketplace, &run.resources, n);
        let admits = |n| {
            let requests = requests(n);
            request_budget.is_none_or(|budget| spent.saturating_add(estimate::most(&requests)) <= budget)
                && loads.iter().zip(&used).all(|(load, used)| {
                    let own = load.requests_of(&run.site, &requests);
                    own == 0 || load.admits(used.saturating_add(own))
                })
        };
        let (mut room, mut too_many) = (0, run.keywords.len());
        if admits(too_many) {
            room = too_many;
        } else if run.week.is_none() {
            while too_many - room > 1 {
                let middle = room + (too_many - room) / 2;
                if admits(middle) { room = middle } else { too_many = middle }
            }
        }
        let requests = requests(room);
        spent = spent.saturating_add(estimate::most(&requests));
        for (load, used) in loads.iter().zip(&mut used) {
            *used = used.saturating_add(load.requests_of(&run.site, &requests));
        }
        rooms.push(room);
    }
    rooms
}

/// Makes a run of a plan; its allowance is granted when all runs are known.
pub fn planned_run(
    ctx: &Context,
    site: Site,
    resources: Vec<Resource>,
    week: Option<chrono::NaiveDate>,
    keywords: Vec<SelectedKeyword>,
) -> PlannedRun {
    let requests = estimate::requests(&ctx.config, site.marketplace, &resources, keywords.len());
    let request_budget = estimate::most(&requests);
    let requests = requests.iter().map(Figure::from).collect();
    PlannedRun { site, resources, week, keywords, requests, request_budget, affordable_keyword_count: 0 }
}

/// Grants every run an allowance for repetitions, as far as the budget of the plan has room for it.
pub fn grant_allowances(runs: &mut [PlannedRun], request_budget: Option<u32>) {
    let planned = runs.iter().fold(0u32, |sum, run| sum.saturating_add(run.totals().1));
    let mut room = request_budget.map_or(u32::MAX, |budget| budget.saturating_sub(planned));
    for run in runs {
        let (_, most) = run.totals();
        let allowance = (u64::from(most) * u64::from(RETRY_ALLOWANCE_PERCENT)).div_ceil(100);
        let allowance = u32::try_from(allowance).unwrap_or(u32::MAX).min(room);
        room -= allowance;
        run.request_budget = most.saturating_add(allowance);
    }
}

/// Says for which marketplaces nothing may be collected yet.
async fn notes_on_terms(ctx: &Context, selections: &[SiteSelection]) -> Result<Vec<String>, sqlx::Error> {
    let mut notes = Vec::new();
    for marketplace in Marketplace::ALL {
        let is_asked = selections.iter().any(|selection| selection.site.marketplace == marketplace);
        if is_asked && let Some(refusal) = super::terms_refusal(&ctx.db, marketplace).await? {
            notes.push(format!("{refusal}; `crawl apply` will refuse"));
        }
    }
    Ok(notes)
}

/// Describes what one question of each resource costs, so that a change of depth is seen.
fn depth(ctx: &Context, runs: &[PlannedRun]) -> BTreeMap<String, String> {
    let mut depth = BTreeMap::new();
    for run in runs {
        let (marketplace, resources) = (run.site.marketplace, &run.resources);
        for resource in resources.iter().filter(|resource| resource.follows().is_none()) {
            let with_following: Vec<Resource> = resources
                .iter()
                .copied()
                .filter(|other| other == resource || other.follows() == Some(*resource))
                .collect();
            let requests = estimate::requests(&ctx.config, marketplace, &with_following, 1);
            let words: Vec<String> = requests
                .iter()
                .map(|expected| format!("{} {}", expected.operation, range(expected.fewest, expected.most)))
                .collect();
            depth.insert(format!("{marketplace} {resource}"), words.join(", "));
        }
    }
    depth
}

fn limits(loads: &[Load]) -> BTreeMap<String, String> {
    let windows = |load: &Load| {
        let windows: Vec<String> = load.outlook.windows.iter().map(|window| window.in_force.to_string()).collect();
        windows.join("+")
    };
    let name =
        |load: &Load| format!("{} {} of {}", load.outlook.marketplace, load.outlook.scope, load.outlook.credential);
    loads.iter().map(|load| (name(load), windows(load))).collect()
}

fn quota_figure(load: &Load) -> QuotaFigure {
    let budget = load.budget();
    let per_day = load.outlook.per_day();
    let whole = budget.as_ref().map_or(per_day, |budget| f64::from(budget.of)).max(1.0);
    let pace = load
        .outlook
        .windows
        .iter()
        .map(|window| window.in_force)
        .min_by(|a, b| a.per_second().total_cmp(&b.per_second()));
    let window = budget.as_ref().map(|budget| budget.window).or(pace);
    QuotaFigure {
        quota: format!("{} {}", load.outlook.marketplace, load.outlook.scope),
        operations: load.operations.iter().map(|(site, operation)| format!("{site} {operation}")).collect(),
        fewest: load.fewest,
        most: load.most,
        committed: load.committed,
        left: budget.as_ref().map(|budget| budget.left),
        of: budget.as_ref().map(|budget| budget.of),
        window: window.map(|window| window.to_string()).unwrap_or_default(),
        renews_in_s: budget.as_ref().map(|budget| budget.renews_in.as_secs()),
        // Two places, so that reading the number gives the number that was written.
        cost_percent: (f64::from(load.most) / whole * 10_000.0).round() / 100.0,
        time_fewest_s: load.time_for(load.fewest).as_secs_f64().ceil() as u64,
        time_most_s: load.time_for(load.most).as_secs_f64().ceil() as u64,
        is_overspent: load.is_overspent(),
    }
}

struct Row<'a> {
    run: &'a PlannedRun,
    figure: &'a Figure,
    quota: Option<&'a QuotaFigure>,
}

/// Prints a plan as a table with its totals.
fn print(plan: &Plan) -> anyhow::Result<()> {
    if plan.runs.is_empty() {
        for note in &plan.notes {
            eprintln!("note: {note}");
        }
        let what = if plan.selectors.missing.is_some() { "week is missing" } else { "keyword is selected" };
        eprintln!("no {what}: there is nothing to do");
        return Ok(());
    }
    let mut rows = Vec::new();
    for run in plan.runs.iter().filter(|run| run.week.is_none()) {
        for figure in &run.requests {
            rows.push(Row { run, figure, quota: quota_of(plan, run, figure) });
        }
    }
    if !rows.is_empty() {
        output::print(&output::table(
            &rows,
            &[
                output::text("SITE", |row: &Row<'_>| row.run.site.to_string()),
                output::number("KEYWORDS", |row: &Row<'_>| row.run.keywords.len().to_string()),
                output::text("OPERATION", |row: &Row<'_>| row.figure.operation.clone()),
                output::number("REQUESTS", |row: &Row<'_>| range(row.figure.fewest, row.figure.most)),
                output::text("COUNTS AGAINST", |row: &Row<'_>| {
                    row.quota.map_or("no limit".to_owned(), |quota| quota.quota.clone())
                }),
            ],
        ))?;
    }
    let weeks: Vec<&PlannedRun> = plan.runs.iter().filter(|run| run.week.is_some()).collect();
    if !weeks.is_empty() {
        output::print(&output::table(
            &weeks,
            &[
                output::text("SITE", |run: &&PlannedRun| run.site.to_string()),
                output::text("WEEK", |run: &&PlannedRun| run.week.map(|week| week.to_string()).unwrap_or_default()),
                output::text("RESOURCE", |run: &&PlannedRun| run.resources[0].to_string()),
                output::number("KEYWORDS", |run: &&PlannedRun| run.keywords.len().to_string()),
                output::number("REQUESTS", |run: &&PlannedRun| {
                    let (fewest, most) = run.totals();
                    range(fewest, most)
                }),
            ],
        ))?;
    }
    output::print("")?;
    output::print(&output::table(
        &plan.quotas,
        &[
            output::text("QUOTA", |quota: &QuotaFigure| quota.quota.clone()),
            output::text("WINDOW", |quota: &QuotaFigure| quota.window.clone()),
            output::number("LEFT", |quota: &QuotaFigure| match (quota.left, quota.of) {
                (Some(left), Some(of)) => {
                    format!("{} of {}", output::thousands(left.into()), output::thousands(of.into()))
                }
                _ => "pace only".to_owned(),
            }),
            output::number("RENEWED IN", |quota: &QuotaFigure| {
                quota.renews_in_s.filter(|time_s| *time_s > 0).map_or("-".to_owned(), span)
            }),
            output::number("UNDER WAY", |quota: &QuotaFigure| quota.committed.to_string()),
            output::number("REQUESTS", |quota: &QuotaFigure| range(quota.fewest, quota.most)),
            output::number("COST", |quota: &QuotaFigure| format!("{} %", quota.cost_percent)),
            output::number("DONE IN", |quota: &QuotaFigure| match (quota.time_fewest_s, quota.time_most_s) {
                (fewest, most) if fewest == most => span(most),
                (fewest, most) => format!("{} to {}", span(fewest), span(most)),
            }),
            output::text("FITS", |quota: &QuotaFigure| if quota.is_overspent { "no" } else { "yes" }.to_owned()),
        ],
    ))?;
    print_totals(plan)
}

fn print_totals(plan: &Plan) -> anyhow::Result<()> {
    let (fewest, most) = plan.totals();
    let keyword_count: usize = plan.runs.iter().map(|run| run.keywords.len()).sum();
    let allowed = plan.runs.iter().fold(0u32, |sum, run| sum.saturating_add(run.request_budget));
    let time_s = plan.quotas.iter().map(|quota| quota.time_most_s).max().unwrap_or(0);
    let what = if plan.selectors.missing.is_some() { "keyword week" } else { "keyword" };
    output::print(&format!(
        "\n{}, {}, {} requests; done in {} if nobody else asks",
        counted(plan.runs.len(), "crawl run"),
        counted(keyword_count, what),
        range(fewest, most),
        span(time_s)
    ))?;
    output::print(&format!(
        "the runs may spend {allowed}: the most planned and up to {} % for repetitions",
        plan.retry_allowance_percent
    ))?;
    output::print("cost: the marketplaces charge nothing for a request, so what it costs is the share of the quota")?;
    if let Some(budget) = plan.request_budget {
        let verdict = if most > budget { "does not suffice" } else { "suffices" };
        output::print(&format!("budget: {}, which {verdict}", counted(budget as usize, "request")))?;
    }
    for run in plan.runs.iter().filter(|run| run.affordable_keyword_count < run.keywords.len()) {
        let (fits, of) = (run.affordable_keyword_count, run.keywords.len());
        output::print(&format!("does not fit: {} of {} of {}", of - fits, counted(of, "keyword"), run.name()))?;
    }
    for note in &plan.notes {
        output::print(&format!("note: {note}"))?;
    }
    Ok(())
}

fn quota_of<'a>(plan: &'a Plan, run: &PlannedRun, figure: &Figure) -> Option<&'a QuotaFigure> {
    let name = format!("{} {}", run.site, figure.operation);
    plan.quotas.iter().find(|quota| quota.operations.contains(&name))
}
