//! What a crawl run will ask, operation by operation, and what that does to the quotas its requests count against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use digitallz_common::jobs::FetchPage;
use digitallz_common::marketplace::{Marketplace, Resource, Site, Subject};
use uuid::Uuid;

use crate::Context;
use crate::config::CollectorConfig;
use crate::cost::{Expected, requests_per_question};
use crate::limits::Window;
use crate::marketplaces::adapter::Question;
use crate::marketplaces::{Marketplaces, OutlookError};
use crate::quota::outlook::Outlook;

/// From this length on a window is a budget that can be used up; shorter ones only set the pace.
const BUDGET_WINDOW_MIN: Duration = Duration::from_secs(3_600);

/// How far ahead is looked where a quota has no renewal.
pub const HORIZON: Duration = Duration::from_secs(86_400);

/// Requests of one site.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The site.
    pub site: Site,
    /// Requests per operation.
    pub requests: Vec<Expected>,
}

/// A quota with what would be spent of it.
#[derive(Clone, Debug)]
pub struct Load {
    /// The quota as it stands.
    pub outlook: Outlook,
    /// The operations of the demands that count against it.
    pub operations: BTreeSet<(Site, &'static str)>,
    /// Requests of the demands, if the answers leave nothing further to ask for.
    pub fewest: u32,
    /// Requests of the demands, if they leave all that may be asked for.
    pub most: u32,
    /// Requests that crawl runs under way may still send.
    pub committed: u32,
}

/// What is left of the window of an hour or more that is used up first.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Requests left, without those that runs under way may still send.
    pub left: u32,
    /// Requests of the whole window.
    pub of: u32,
    /// The window as it is written in settings.
    pub window: Window,
    /// When the whole of it is granted anew.
    pub renews_in: Duration,
}

impl Load {
    /// Returns how many of a site's requests count against this quota, at most.
    pub fn requests_of(&self, site: &Site, requests: &[Expected]) -> u32 {
        let counted = requests.iter().filter(|expected| self.operations.contains(&(site.clone(), expected.operation)));
        counted.fold(0, |sum, expected| sum.saturating_add(expected.most))
    }

    /// Returns what is left of the tightest budget; nothing when the quota only sets a pace.
    pub fn budget(&self) -> Option<Budget> {
        let windows = self.outlook.windows.iter().filter_map(|window| {
            let of = budget_of(&window.in_force)?;
            let left = window.left.saturating_sub(self.committed);
            Some(Budget { left, of, window: window.in_force, renews_in: window.all_free_in })
        });
        windows.min_by_key(|budget| budget.left)
    }

    /// Tells whether so many requests can be sent without spending more than is left: of the budget until it is renewed,
    /// or, where there is only a pace, within a day.
    pub fn admits(&self, requests: u32) -> bool {
        match self.budget() {
            Some(budget) => requests <= budget.left,
            None => self.fits_within(requests, HORIZON),
        }
    }

    /// Tells whether so many requests can be sent within a time, after those of the runs under way.
    pub fn fits_within(&self, requests: u32, time: Duration) -> bool {
        let all = requests.saturating_add(self.committed);
        requests == 0 || (self.could_ever_fit(all, time) && self.outlook.time_for(all) <= time)
    }

    /// Tells whether so many requests are not more than the windows allow within a time even with nothing spent; without
    /// playing it through, which takes as long as there are requests.
    pub fn could_ever_fit(&self, requests: u32, time: Duration) -> bool {
        let most =
            self.outlook.windows.iter().map(|window| most_within(&window.in_force, time)).fold(f64::MAX, f64::min);
        f64::from(requests) <= most
    }

    /// Returns how long so many requests take, after those of the runs under way, if nobody else asks.
    pub fn time_for(&self, requests: u32) -> Duration {
        if requests == 0 { Duration::ZERO } else { self.outlook.time_for(requests.saturating_add(self.committed)) }
    }

    /// Tells whether the demands exceed what is left.
    pub fn is_overspent(&self) -> bool {
        !self.admits(self.most)
    }
}

/// Returns the requests that a window grants as a budget; nothing when it is short or a bucket.
pub fn budget_of(window: &Window) -> Option<u32> {
    match *window {
        Window::Bucket { .. } => None,
        Window::Sliding { requests, period } => (period >= BUDGET_WINDOW_MIN).then_some(requests),
        Window::Fixed { requests, renewal: crate::limits::Renewal::Midnight(_) } => Some(requests),
        Window::Fixed { requests, renewal: crate::limits::Renewal::Every(period) } => {
            (period >= BUDGET_WINDOW_MIN).then_some(requests)
        }
    }
}

/// Returns a bound on the requests that a window admits within a time.
fn most_within(window: &Window, time: Duration) -> f64 {
    let time_s = time.as_secs_f64();
    match *window {
        Window::Bucket { per_second, burst } => per_second * time_s + f64::from(burst),
        Window::Sliding { requests, period } => f64::from(requests) * ((time_s / period.as_secs_f64()).floor() + 1.0),
        // A day may have 23 hours.
        Window::Fixed { requests, .. } => window.per_second() * 25.0 / 23.0 * time_s + f64::from(requests) * 2.0,
    }
}

/// Adds up what the questions of a run over so many keywords send, per operation in alphabetical order.
pub fn requests(
    config: &CollectorConfig,
    marketplace: Marketplace,
    resources: &[Resource],
    keyword_count: usize,
) -> Vec<Expected> {
    let mut config = config.clone();
    config.resources.insert(marketplace, resources.to_vec());
    let mut sums: BTreeMap<&'static str, (u32, u32)> = BTreeMap::new();
    for resource in resources {
        let questions = questions(*resource, keyword_count);
        if questions == 0 {
            continue;
        }
        for expected in requests_per_question(marketplace, *resource, &config) {
            let (fewest, most) = sums.entry(expected.operation).or_default();
            *fewest = fewest.saturating_add(expected.fewest.saturating_mul(questions));
            *most = most.saturating_add(expected.most.saturating_mul(questions));
        }
    }
    sums.into_iter().map(|(operation, (fewest, most))| Expected { operation, fewest, most }).collect()
}

/// Returns the sum of the most requests.
pub fn most(requests: &[Expected]) -> u32 {
    requests.iter().fold(0, |sum, expected| sum.saturating_add(expected.most))
}

/// Returns the resource whose observations tell how fresh a keyword is: the first that is asked for keyword by keyword.
pub fn main_resource(marketplace: Marketplace, resources: &[Resource]) -> Resource {
    let planned = || resources.iter().copied().filter(|resource| resource.follows().is_none());
    let per_keyword = planned().find(|resource| resource.subject() == Subject::Keyword);
    per_keyword.or_else(|| planned().next()).unwrap_or(marketplace.default_resources()[0])
}

/// Adds up demands by the quotas they count against. Demands of several sites that share a quota share its load.
pub async fn loads(ctx: &Context, demands: &[Demand]) -> Result<Vec<Load>, OutlookError> {
    let mut loads = BTreeMap::new();
    for demand in demands {
        for expected in &demand.requests {
            for load in loads_of(ctx, &mut loads, &demand.site, expected.operation).await? {
                load.operations.insert((demand.site.clone(), expected.operation));
                load.fewest = load.fewest.saturating_add(expected.fewest);
                load.most = load.most.saturating_add(expected.most);
            }
        }
    }
    let marketplaces: BTreeSet<Marketplace> = demands.iter().map(|demand| demand.site.marketplace).collect();
    for marketplace in marketplaces {
        for (site, operation, requests) in committed(ctx, marketplace).await? {
            for load in loads_of(ctx, &mut loads, &site, operation).await? {
                load.committed = load.committed.saturating_add(requests);
            }
        }
    }
    Ok(loads.into_values().filter(|load| !load.operations.is_empty()).collect())
}

type Loads = BTreeMap<(Marketplace, String, String), Load>;

/// Returns the loads of the quotas an operation counts against, opened where there are none yet.
async fn loads_of<'a>(
    ctx: &Context,
    loads: &'a mut Loads,
    site: &Site,
    operation: &'static str,
) -> Result<Vec<&'a mut Load>, OutlookError> {
    let partition = ctx.marketplaces.partition(site);
    let outlooks = ctx.marketplaces.outlooks(&ctx.db, site.marketplace, operation, partition, ctx.world()).await?;
    let mut keys = BTreeSet::new();
    for outlook in outlooks {
        let key = (outlook.marketplace, outlook.credential.clone(), outlook.scope.clone());
        keys.insert(key.clone());
        let fresh = Load { outlook, operations: BTreeSet::new(), fewest: 0, most: 0, committed: 0 };
        loads.entry(key).or_insert(fresh);
    }
    Ok(loads.iter_mut().filter(|(key, _)| keys.contains(key)).map(|(_, load)| load).collect())
}

/// Returns what the crawl runs under way of a marketplace were planned to send and have not sent yet.
async fn committed(ctx: &Context, marketplace: Marketplace) -> Result<Vec<(Site, &'static str, u32)>, OutlookError> {
    let rows = sqlx::query!(
        r#"select runs.market, planned.key as "operation!",
                  greatest(planned.value::bigint - (select count(*) from ops.quota_permits permits
                      where permits.crawl_run_id = runs.crawl_run_id and permits.operation = planned.key
                        and permits.state <> 'returned'), 0) as "requests!"
           from ops.crawl_runs runs
           cross join lateral jsonb_each_text(runs.planned_requests) planned
           where runs.marketplace = $1 and runs.planned_requests is not null and runs.cancelled_at is null
             and exists (select from ops.jobs where jobs.crawl_run_id = runs.crawl_run_id
                           and jobs.job_name in ('plan_crawl', 'fetch_page') and jobs.state in ('ready', 'running'))"#,
        marketplace.name(),
    )
    .fetch_all(&ctx.db)
    .await
    .map_err(crate::quota::ledger::LedgerError::from)?;
    let known = known_operations(&ctx.config, marketplace);
    let mut committed = Vec::with_capacity(rows.len());
    for row in rows {
        let operation = known.iter().copied().find(|operation| *operation == row.operation);
        if let (Some(operation), Ok(site)) = (operation, Site::new(marketplace, &row.market)) {
            committed.push((site, operation, u32::try_from(row.requests).unwrap_or(u32::MAX)));
        }
    }
    Ok(committed)
}

fn known_operations(config: &CollectorConfig, marketplace: Marketplace) -> BTreeSet<&'static str> {
    let all: Vec<Resource> = marketplace.resources().collect();
    requests(config, marketplace, &all, 1).into_iter().map(|expected| expected.operation).collect()
}

fn questions(resource: Resource, keyword_count: usize) -> u32 {
    let questions = match resource.subject() {
        _ if keyword_count == 0 => 0,
        Subject::Market => 1,
        Subject::Keyword => keyword_count,
        Subject::KeywordBatch { keywords_max } => keyword_count.div_ceil(keywords_max),
    };
    u32::try_from(questions).unwrap_or(u32::MAX)
}

impl Marketplaces {
    /// Returns the part of a marketplace whose limits hold for a site, as its requests name it.
    fn partition(&self, site: &Site) -> &'static str {
        let job = FetchPage {
            crawl_run_id: Uuid::nil(),
            site: site.clone(),
            resource: site.marketplace.default_resources()[0],
            keyword_id: Some(0),
            keyword_ids: Vec::new(),
            then: Vec::new(),
            page_number: 1,
            cursor: None,
            scheduled_for: chrono::DateTime::UNIX_EPOCH,
        };
        let keyword_text = Some("lamp".to_owned());
        let question = Question { job, keyword_text, keyword_texts: Vec::new(), cursor: None };
        let request = self.channel(site.marketplace).ok().map(|channel| channel.adapter.request(&question));
        request.and_then(Result::ok).map_or("", |request| request.partition)
    }
}

#[cfg(test)]
mod tests {
    use digitallz_common::secret::Secret;

    use super::*;
    use crate::config::{AmazonConfig, EtsyConfig};

    fn config() -> CollectorConfig {
        let secret = || Secret::new("s");
        CollectorConfig {
            amazon: Some(AmazonConfig::new(secret(), secret(), secret())),
            etsy: Some(EtsyConfig { pages: 2, ..EtsyConfig::new(secret(), secret()) }),
            ..CollectorConfig::default()
        }
    }

    fn sums(marketplace: Marketplace, resources: &[Resource], keyword_count: usize) -> Vec<(&'static str, u32, u32)> {
        let requests = requests(&config(), marketplace, resources, keyword_count);
        requests.iter().map(|expected| (expected.operation, expected.fewest, expected.most)).collect()
    }

    #[test]
    fn questions_are_counted_by_what_they_are_about() {
        let amazon = Marketplace::Amazon;
        let sums_of_ten = sums(amazon, &[Resource::CatalogSearch, Resource::SearchTermsReport], 10);
        assert!(sums_of_ten.contains(&("searchCatalogItems", 10, 10)), "{sums_of_ten:?}");
        assert!(sums_of_ten.contains(&("createReport", 1, 1)), "{sums_of_ten:?}");
        assert!(sums(amazon, &[Resource::SearchTermsReport], 0).is_empty());
        assert_eq!(questions(Resource::KeywordBids, 250), 3);
    }

    #[test]
    fn what_follows_counts_only_with_what_it_follows_from() {
        let etsy = Marketplace::Etsy;
        let both = sums(etsy, &[Resource::ListingSearch, Resource::ListingBatch], 3);
        assert_eq!(both, [("findAllListingsActive", 3, 6), ("getListingsByListingIds", 0, 6)]);
        assert_eq!(sums(etsy, &[Resource::ListingSearch], 3), [("findAllListingsActive", 3, 6)]);
        assert!(sums(etsy, &[Resource::ListingBatch], 3).is_empty());
    }

    #[test]
    fn freshness_is_told_by_what_is_asked_keyword_by_keyword() {
        let amazon = Marketplace::Amazon;
        let main = main_resource(amazon, &[Resource::SearchTermsReport, Resource::CatalogSearch]);
        assert_eq!(main, Resource::CatalogSearch);
        assert_eq!(main_resource(amazon, &[Resource::SearchTermsReport]), Resource::SearchTermsReport);
    }
}
