//! Plans a crawl run: one fetch per keyword and resource, and one per resource that is about the whole market.

use chrono::{DateTime, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::jobs::{FetchPage, Job, PlanCrawl};
use digitallz_common::marketplace::{Marketplace, Site};
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
    let site = Site::new(marketplace, &run.market).map_err(Failure::give_up)?;
    let keyword_ids = keywords_of_run(&mut tx, &site, run.keyword_selection.as_deref()).await?;
    let selected = run.keyword_selection.as_ref().map_or(keyword_ids.len(), Vec::len);
    if selected > keyword_ids.len() {
        warn!(crawl_run.id = %crawl_run_id, selected, found = keyword_ids.len(),
            "crawl run {crawl_run_id} selects keywords that are not of {site}");
    }

    let fetches = plan(crawl_run_id, &site, &keyword_ids, run.scheduled_for);
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
fn plan(crawl_run_id: Uuid, site: &Site, keyword_ids: &[i64], scheduled_for: DateTime<Utc>) -> Vec<FetchPage> {
    let resources = site.marketplace.planned_resources();
    let fetch = |resource, keyword_id| FetchPage {
        crawl_run_id,
        site: site.clone(),
        resource,
        keyword_id,
        page_number: 1,
        cursor: None,
        scheduled_for,
    };
    let mut fetches = Vec::new();
    // A report about the whole market is of no use to a run without keywords.
    if !keyword_ids.is_empty() {
        let per_market = resources.iter().filter(|resource| !resource.is_per_keyword());
        fetches.extend(per_market.map(|resource| fetch(*resource, None)));
    }
    for keyword_id in keyword_ids {
        let per_keyword = resources.iter().filter(|resource| resource.is_per_keyword());
        fetches.extend(per_keyword.map(|resource| fetch(*resource, Some(*keyword_id))));
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
    use digitallz_common::marketplace::Resource;

    use super::*;

    fn planned(marketplace: Marketplace, keyword_ids: &[i64]) -> Vec<(Resource, Option<i64>)> {
        let site = Site::new(marketplace, "US").unwrap();
        let scheduled_for = "2025-06-11T05:00:00Z".parse().unwrap();
        let fetches = plan(Uuid::nil(), &site, keyword_ids, scheduled_for);
        fetches.into_iter().map(|fetch| (fetch.resource, fetch.keyword_id)).collect()
    }

    #[test]
    fn the_report_is_fetched_once_and_the_rest_per_keyword() {
        assert_eq!(
            planned(Marketplace::Amazon, &[4, 5]),
            [
                (Resource::SearchTermsReport, None),
                (Resource::CatalogSearch, Some(4)),
                (Resource::CatalogSearch, Some(5)),
            ]
        );
        assert_eq!(planned(Marketplace::Etsy, &[4]), [(Resource::ListingSearch, Some(4))]);
    }

    #[test]
    fn a_run_without_keywords_fetches_nothing() {
        assert_eq!(planned(Marketplace::Amazon, &[]), []);
    }
}
