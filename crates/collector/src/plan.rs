//! Plans a crawl run: one fetch per keyword and resource, and one per resource that is about the whole market.

use chrono::{DateTime, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::jobs::{FetchPage, Job, PlanCrawl};
use digitallz_common::marketplace::{Marketplace, Resource, Site, Subject};
use digitallz_common::queue::{self, Attempt};
use sqlx::PgConnection;
use tracing::{info, warn};
use uuid::Uuid;

use crate::Context;

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
    let keyword_ids = keywords_of_run(&mut tx, &site, run.keyword_selection.as_deref()).await?;
    let selected = run.keyword_selection.as_ref().map_or(keyword_ids.len(), Vec::len);
    if selected > keyword_ids.len() {
        warn!(crawl_run.id = %crawl_run_id, selected, found = keyword_ids.len(),
            "crawl run {crawl_run_id} selects keywords that are not of {site}");
    }

    let resources = ctx.marketplaces.resources(marketplace);
    let fetches = plan(crawl_run_id, &site, resources, &keyword_ids, run.scheduled_for);
    let fetch_count = fetches.len();
    for fetch in fetches {
        queue::enqueue(&mut tx, &Job::FetchPage(fetch), run.priority).await?;
    }
    let keyword_count = i32::try_from(keyword_ids.len()).unwrap_or(i32::MAX);
    mark_planned(&mut tx, crawl_run_id, keyword_count, ctx.clock.now()).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    info!(crawl_run.id = %crawl_run_id, marketplace = marketplace.name(), keyword_count, fetch_count,
        "planned crawl run {crawl_run_id}: {keyword_count} keywords, {fetch_count} fetches");
    Ok(())
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
    marketplace: String,
    market: String,
    keyword_selection: Option<Vec<i64>>,
    scheduled_for: DateTime<Utc>,
    priority: i32,
    planned_at: Option<DateTime<Utc>>,
}

async fn lock_run(connection: &mut PgConnection, crawl_run_id: Uuid) -> Result<Option<CrawlRun>, sqlx::Error> {
    sqlx::query_as!(
        CrawlRun,
        "select marketplace, market, keyword_selection, scheduled_for, priority, planned_at
         from ops.crawl_runs where crawl_run_id = $1 for update",
        crawl_run_id
    )
    .fetch_optional(connection)
    .await
}

/// Returns the chosen keywords of the market, or all active ones when none are chosen.
async fn keywords_of_run(
    connection: &mut PgConnection,
    site: &Site,
    selection: Option<&[i64]>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "select keyword_id from core.keywords
         where marketplace = $1 and market = $2
           and case when $3::bigint[] is null then is_active else keyword_id = any($3) end
         order by keyword_id",
        site.marketplace.name(),
        site.market,
        selection,
    )
    .fetch_all(connection)
    .await
}

async fn mark_planned(
    connection: &mut PgConnection,
    crawl_run_id: Uuid,
    keyword_count: i32,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.crawl_runs set planned_at = $2, keyword_count = $3 where crawl_run_id = $1",
        crawl_run_id,
        now,
        keyword_count,
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(resources: &[Resource], keyword_ids: &[i64]) -> Vec<FetchPage> {
        let site = Site::new(resources[0].marketplace(), "US").unwrap();
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
