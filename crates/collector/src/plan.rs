//! Plans a crawl run: which keywords it covers, one fetch per keyword and resource, and one per resource that is about the
//! whole market.
//!
//! A run that an operator made covers what was chosen. One that a schedule made covers what the quotas allow until the
//! schedule is due again, chosen by [`crate::selection`]; the rest is deferred and comes the sooner next time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::jobs::{FetchPage, Job, PlanCrawl};
use digitallz_common::marketplace::{Marketplace, Resource, Site, Subject};
use digitallz_common::queue::{self, Attempt};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use tracing::{info, warn};
use uuid::Uuid;

use crate::Context;
use crate::cost::Expected;
use crate::estimate::{self, Demand, HORIZON, Load};
use crate::marketplaces::OutlookError;
use crate::selection::{self, Candidate};

/// Ages of keywords are measured in this; as all of a run are, it does not change their order.
const FRESHNESS_TARGET: TimeDelta = TimeDelta::days(1);

/// Enqueues the fetches of a crawl run.
pub async fn run(ctx: &Context, attempt: &Attempt, job: PlanCrawl) -> Result<(), Failure> {
    let crawl_run_id = job.crawl_run_id;
    let mut tx = ctx.db.begin().await?;
    let Some(run) = lock_run(&mut tx, crawl_run_id).await? else {
        return Err(Failure::GiveUp { cause: format!("there is no crawl run {crawl_run_id}") });
    };
    if run.planned_at.is_some() {
        attempt.complete(&mut tx).await?;
        tx.commit().await?;
        return Ok(());
    }
    let marketplace: Marketplace = run.marketplace.parse().map_err(Failure::give_up)?;
    crate::terms::check(&mut tx, marketplace).await?;
    let site = Site::new(marketplace, &run.market).map_err(Failure::give_up)?;
    let resources = resources_of(ctx, marketplace, run.resources.as_deref())?;
    let tags = run.keyword_tags.as_deref();
    let mut keyword_ids = keywords_of_run(&mut tx, &site, run.keyword_selection.as_deref(), tags).await?;
    let selected = run.keyword_selection.as_ref().map_or(keyword_ids.len(), Vec::len);
    if selected > keyword_ids.len() {
        warn!(crawl_run.id = %crawl_run_id, selected, found = keyword_ids.len(),
            "crawl run {crawl_run_id} selects keywords that are not of {site}");
    }
    let known = keyword_ids.len();
    if run.trigger == "schedule" {
        keyword_ids = affordable(ctx, &mut tx, &run, &site, &resources, keyword_ids).await?;
    }
    let deferred = known - keyword_ids.len();

    let fetches = plan(crawl_run_id, &site, &resources, &keyword_ids, run.scheduled_for);
    let fetch_count = fetches.len();
    let jobs: Vec<Job> = fetches.into_iter().map(Job::FetchPage).collect();
    queue::enqueue_all(&mut tx, &jobs, run.priority).await?;
    let requests = estimate::requests(&ctx.config, marketplace, &resources, keyword_ids.len());
    let planned = Planned { keyword_count: keyword_ids.len(), deferred, requests: planned_requests(&requests) };
    mark_planned(&mut tx, crawl_run_id, &planned, ctx.clock.now()).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    let keyword_count = planned.keyword_count;
    info!(crawl_run.id = %crawl_run_id, marketplace = marketplace.name(), keyword_count, fetch_count, deferred,
        "planned crawl run {crawl_run_id}: {keyword_count} keywords, {fetch_count} fetches");
    if deferred > 0 {
        warn!(crawl_run.id = %crawl_run_id, marketplace = marketplace.name(), deferred,
            "the quota of {site} suffices for {keyword_count} of {known} keywords; {deferred} are left for the next run");
    }
    Ok(())
}

/// Writes requests per operation as a crawl run keeps them: an object of numbers, the most that may be sent.
pub fn planned_requests(requests: &[Expected]) -> Value {
    let entries = requests.iter().map(|expected| (expected.operation.to_owned(), Value::from(expected.most)));
    Value::Object(entries.collect::<Map<String, Value>>())
}

/// Returns the kinds of data a run asks for: its own, or those of the settings.
fn resources_of(ctx: &Context, marketplace: Marketplace, names: Option<&[String]>) -> Result<Vec<Resource>, Failure> {
    let Some(names) = names else { return Ok(ctx.marketplaces.resources(marketplace).to_vec()) };
    let resources = names.iter().map(|name| name.parse::<Resource>().map_err(Failure::give_up));
    let resources = resources.collect::<Result<Vec<_>, _>>()?;
    match resources.iter().find(|resource| resource.marketplace() != Some(marketplace)) {
        Some(stranger) => Err(Failure::GiveUp { cause: format!("{marketplace} does not offer {stranger}") }),
        None => Ok(resources),
    }
}

/// Returns the keywords for which the quotas suffice until the run's schedule is due again.
async fn affordable(
    ctx: &Context,
    connection: &mut PgConnection,
    run: &CrawlRun,
    site: &Site,
    resources: &[Resource],
    keyword_ids: Vec<i64>,
) -> Result<Vec<i64>, Failure> {
    let now = ctx.clock.now();
    let peers = peers(connection, site, run.schedule_name.as_deref(), now).await?;
    let horizon = peers.next_due_at.and_then(|due| (due - now).to_std().ok()).unwrap_or(HORIZON);
    let own = keyword_ids.len() as f64;
    let share = own / (own + peers.keyword_count as f64).max(1.0);
    let count = |n| estimate::requests(&ctx.config, site.marketplace, resources, n);
    let demand = Demand { site: site.clone(), requests: count(keyword_ids.len()) };
    let loads = match estimate::loads(ctx, &[demand]).await {
        Ok(loads) => loads,
        // Every fetch will end with the names of the missing settings.
        Err(OutlookError::Credentials(_)) => return Ok(keyword_ids),
        Err(OutlookError::Ledger(problem)) => return Err(Failure::retry(problem)),
    };
    let fits = |n: usize| {
        let requests = count(n);
        run.request_budget.is_none_or(|budget| i64::from(estimate::most(&requests)) <= i64::from(budget))
            && loads.iter().all(|load| fits_share(load, site, &requests, share, horizon))
    };
    if fits(keyword_ids.len()) {
        return Ok(keyword_ids);
    }
    let (mut room, mut too_many) = (0, keyword_ids.len());
    while too_many - room > 1 {
        let middle = room + (too_many - room) / 2;
        if fits(middle) { room = middle } else { too_many = middle }
    }
    let main_resource = estimate::main_resource(site.marketplace, resources);
    let candidates = candidates(connection, &keyword_ids, main_resource).await?;
    Ok(selection::choose(&candidates, room, FRESHNESS_TARGET, now))
}

/// Tells whether requests fit into a share of a quota within a time, and into what the runs under way leave of it.
fn fits_share(load: &Load, site: &Site, requests: &[Expected], share: f64, horizon: Duration) -> bool {
    let own = load.requests_of(site, requests);
    let with_peers = (f64::from(own) / share.clamp(1e-6, 1.0)).ceil() as u32;
    load.fits_within(own, horizon)
        && load.could_ever_fit(with_peers, horizon)
        && load.outlook.time_for(with_peers) <= horizon
}

/// Lists the first fetches of a run; their successors follow from the answers.
fn plan(
    crawl_run_id: Uuid,
    site: &Site,
    resources: &[Resource],
    keyword_ids: &[i64],
    scheduled_for: DateTime<Utc>,
) -> Vec<FetchPage> {
    let fetch = |resource: Resource, keyword_id| FetchPage {
        crawl_run_id,
        site: site.clone(),
        resource,
        keyword_id,
        keyword_ids: Vec::new(),
        then: resources.iter().copied().filter(|next| next.follows() == Some(resource)).collect(),
        page_number: 1,
        cursor: None,
        scheduled_for,
    };
    let mut fetches = Vec::new();
    for resource in resources.iter().copied().filter(|resource| resource.follows().is_none()) {
        match resource.subject() {
            // What is about the whole market is of no use to a run without keywords.
            Subject::Market if keyword_ids.is_empty() => {}
            Subject::Market => fetches.push(fetch(resource, None)),
            Subject::Keyword => fetches.extend(keyword_ids.iter().map(|keyword_id| fetch(resource, Some(*keyword_id)))),
            Subject::KeywordBatch { keywords_max } => {
                for (page_number, batch) in (1..).zip(keyword_ids.chunks(keywords_max)) {
                    fetches.push(FetchPage { keyword_ids: batch.to_vec(), page_number, ..fetch(resource, None) });
                }
            }
        }
    }
    fetches
}

struct CrawlRun {
    trigger: String,
    schedule_name: Option<String>,
    marketplace: String,
    market: String,
    keyword_selection: Option<Vec<i64>>,
    keyword_tags: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    request_budget: Option<i32>,
    scheduled_for: DateTime<Utc>,
    priority: i32,
    planned_at: Option<DateTime<Utc>>,
}

async fn lock_run(connection: &mut PgConnection, crawl_run_id: Uuid) -> Result<Option<CrawlRun>, sqlx::Error> {
    sqlx::query_as!(
        CrawlRun,
        "select trigger, schedule_name, marketplace, market, keyword_selection, keyword_tags, resources, request_budget,
                scheduled_for, priority, planned_at
         from ops.crawl_runs where crawl_run_id = $1 for update",
        crawl_run_id
    )
    .fetch_optional(connection)
    .await
}

/// Returns the chosen keywords of the market; when none are chosen, the active ones, of the tags if there are any.
///
/// For a keyword that was merged since it was chosen stands the one that it is.
async fn keywords_of_run(
    connection: &mut PgConnection,
    site: &Site,
    selection: Option<&[i64]>,
    tags: Option<&[String]>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "select keyword_id from core.keywords
         where marketplace = $1 and market = $2
           and case when $3::bigint[] is null then is_active and ($4::text[] is null or tags && $4)
                    else keyword_id in (select coalesce(chosen.merged_into_keyword_id, chosen.keyword_id)
                                        from core.keywords chosen where chosen.keyword_id = any($3)) end
         order by keyword_id",
        site.marketplace.name(),
        site.market,
        selection,
        tags,
    )
    .fetch_all(connection)
    .await
}

/// The schedules beside which a run must live.
struct Peers {
    /// When the run's own schedule is due next.
    next_due_at: Option<DateTime<Utc>>,
    /// Keywords of the other markets of the marketplace whose schedules are due before that.
    keyword_count: i64,
}

async fn peers(
    connection: &mut PgConnection,
    site: &Site,
    schedule_name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Peers, sqlx::Error> {
    let row = sqlx::query!(
        r#"select own.next_due_at as "next_due_at?",
                  (select count(distinct keywords.keyword_id)
                   from ops.schedules others
                   join core.keywords on keywords.marketplace = others.marketplace and keywords.market = others.market
                     and keywords.is_active and (others.keyword_tags is null or keywords.tags && others.keyword_tags)
                   where others.action = 'crawl' and not others.is_paused and others.marketplace = $2
                     and others.market <> $3
                     and others.next_due_at <= coalesce(own.next_due_at, $4::timestamptz + interval '1 day')) as "keyword_count!"
           from (select) one_row
           left join ops.schedules own on own.schedule_name = $1 and own.next_due_at > $4"#,
        schedule_name,
        site.marketplace.name(),
        site.market,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(Peers { next_due_at: row.next_due_at, keyword_count: row.keyword_count })
}

/// Loads what the choice among keywords is made by: ages from the main resource, and how much its result counts move.
async fn candidates(
    connection: &mut PgConnection,
    keyword_ids: &[i64],
    main_resource: Resource,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select keywords.keyword_id, keywords.created_at, keywords.weight, latest.observed_at as "observed_at?",
                  coalesce(series.values, '{}') as "values!"
           from core.keywords
           left join lateral (
               select observed_at from core.keyword_observations seen
               where seen.keyword_id = keywords.keyword_id and seen.resource = $2 and seen.value is not null
                 and seen.superseded_at is null
               order by observed_at desc limit 1
           ) latest on true
           left join lateral (
               select array_agg(value order by observed_at desc) as values
               from (select value, observed_at from core.keyword_observations seen
                     where seen.keyword_id = keywords.keyword_id and seen.metric = 'result_count' and seen.resource = $2
                       and seen.value is not null and seen.superseded_at is null
                     order by period_start_date desc, observed_at desc limit $3) as lately
           ) series on true
           where keywords.keyword_id = any($1)
           order by keywords.keyword_id"#,
        keyword_ids,
        main_resource.name(),
        selection::VALUES_MAX as i64,
    )
    .fetch_all(connection)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        keyword_id: row.keyword_id,
        created_at: row.created_at,
        observed_at: row.observed_at,
        values: row.values,
        weight: row.weight,
    });
    Ok(candidates.collect())
}

/// What is noted of a run once it is planned.
struct Planned {
    keyword_count: usize,
    deferred: usize,
    requests: Value,
}

async fn mark_planned(
    connection: &mut PgConnection,
    crawl_run_id: Uuid,
    planned: &Planned,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.crawl_runs
         set planned_at = $2, keyword_count = $3, deferred_keyword_count = $4, planned_requests = $5
         where crawl_run_id = $1",
        crawl_run_id,
        now,
        i32::try_from(planned.keyword_count).unwrap_or(i32::MAX),
        i32::try_from(planned.deferred).unwrap_or(i32::MAX),
        planned.requests,
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(resources: &[Resource], keyword_ids: &[i64]) -> Vec<FetchPage> {
        let site = Site::new(resources[0].marketplace().unwrap(), "US").unwrap();
        plan(Uuid::nil(), &site, resources, keyword_ids, "2025-06-11T05:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_report_is_fetched_once_and_the_rest_per_keyword() {
        let fetches = planned(Marketplace::Amazon.default_resources(), &[4, 5]);
        let asked: Vec<_> = fetches.iter().map(|fetch| (fetch.resource, fetch.keyword_id)).collect();
        assert_eq!(
            asked,
            [
                (Resource::CatalogSearch, Some(4)),
                (Resource::CatalogSearch, Some(5)),
                (Resource::SearchTermsReport, None),
            ]
        );
    }

    #[test]
    fn what_follows_from_an_answer_is_named_and_not_planned() {
        let fetches = planned(Marketplace::Etsy.default_resources(), &[4]);
        assert_eq!(fetches.len(), 1);
        assert_eq!(
            (fetches[0].resource, &fetches[0].then[..]),
            (Resource::ListingSearch, &[Resource::ListingBatch][..])
        );
    }

    #[test]
    fn keywords_share_requests_where_they_can() {
        let keyword_ids: Vec<i64> = (1..=250).collect();
        let fetches = planned(&[Resource::KeywordBids], &keyword_ids);
        let sizes: Vec<usize> = fetches.iter().map(|fetch| fetch.keyword_ids.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        assert_eq!(fetches[2].page_number, 3);
    }

    #[test]
    fn a_run_without_keywords_fetches_nothing() {
        assert!(planned(Marketplace::Amazon.default_resources(), &[]).is_empty());
    }
}
