//! The backfill: for which weeks of the past keywords lack data, where a marketplace still tells of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use digitallz_common::marketplace::{Resource, Site};
use digitallz_common::week;
use sqlx::PgPool;

use super::selectors::{Missing, SelectedKeyword, SiteSelection};

/// Hour of the Sunday after a week for which its report is asked.
const ASKED_AT: NaiveTime = NaiveTime::from_hms_opt(12, 0, 0).expect("a time of day");

/// What a date range lacks of a site.
#[derive(Debug, Default)]
pub struct Lack {
    /// Weeks with the keywords that lack them, the latest first.
    pub weeks: Vec<MissingWeek>,
    /// Weeks for which a backfill is under way.
    pub under_way: usize,
}

/// A week for which keywords have no data.
#[derive(Debug)]
pub struct MissingWeek {
    /// The resource that tells of it.
    pub resource: Resource,
    /// Its Sunday.
    pub week_start: NaiveDate,
    /// The keywords.
    pub keywords: Vec<SelectedKeyword>,
}

/// Tells whether a marketplace still tells of the past by a resource: reports do, samples of the present do not.
pub fn tells_of_the_past(resource: Resource) -> bool {
    matches!(resource, Resource::SearchTermsReport | Resource::SearchQueryReport)
}

/// Returns the moment for which a run must collect so that a report of it is about a week.
pub fn scheduled_for(week_start: NaiveDate) -> DateTime<Utc> {
    (week_start + Days::new(7)).and_time(ASKED_AT).and_utc()
}

/// Returns the weeks that touch a date range and were over by a moment.
pub fn weeks_of(from: NaiveDate, to: NaiveDate, now: DateTime<Utc>) -> Vec<NaiveDate> {
    let last = week::last_full_week_start(now).min(week::week_start(to));
    let mut weeks = Vec::new();
    let mut week = week::week_start(from);
    while week <= last {
        weeks.push(week);
        week = week + Days::new(7);
    }
    weeks
}

/// Finds the weeks for which keywords of a site have no answer, not even that there is none.
pub async fn find(
    db: &PgPool,
    selection: &SiteSelection,
    missing: &Missing,
    now: DateTime<Utc>,
) -> Result<Lack, sqlx::Error> {
    let mut lack = Lack::default();
    let weeks = weeks_of(missing.from, missing.to, now);
    let (Some(first), Some(last)) = (weeks.first(), weeks.last()) else { return Ok(lack) };
    let known: Vec<i64> = selection.keywords.iter().filter_map(|keyword| keyword.keyword_id).collect();
    for resource in selection.resources.iter().copied().filter(|resource| tells_of_the_past(*resource)) {
        let answered = answered(db, resource, &known, *first, *last).await?;
        let under_way = under_way(db, &selection.site, resource).await?;
        for week_start in weeks.iter().rev() {
            let has_data = |keyword: &SelectedKeyword| {
                let weeks = keyword.keyword_id.and_then(|keyword_id| answered.get(&keyword_id));
                weeks.is_some_and(|weeks| weeks.contains(week_start))
            };
            let keywords: Vec<_> = selection.keywords.iter().filter(|keyword| !has_data(keyword)).cloned().collect();
            if keywords.is_empty() {
                continue;
            }
            if under_way.contains(&scheduled_for(*week_start)) {
                lack.under_way += 1;
                continue;
            }
            lack.weeks.push(MissingWeek { resource, week_start: *week_start, keywords });
        }
    }
    Ok(lack)
}

/// Returns the weeks of which each keyword knows something, if only that the marketplace tells nothing.
async fn answered(
    db: &PgPool,
    resource: Resource,
    keyword_ids: &[i64],
    first: NaiveDate,
    last: NaiveDate,
) -> Result<BTreeMap<i64, Vec<NaiveDate>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select keyword_id, array_agg(distinct period_start_date) as "weeks!"
           from core.keyword_observations
           where keyword_id = any($1) and resource = $2 and period_kind = 'week' and period_start_date between $3 and $4
             and value_status not in ('failed', 'blocked', 'quarantined', 'pending', 'invalid')
             and superseded_at is null
           group by keyword_id"#,
        keyword_ids,
        resource.name(),
        first,
        last,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.keyword_id, row.weeks)).collect())
}

/// Returns the moments for which backfills of a resource that are not done collect.
async fn under_way(db: &PgPool, site: &Site, resource: Resource) -> Result<Vec<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "select scheduled_for from ops.crawl_runs runs
         where trigger = 'backfill' and marketplace = $1 and market = $2 and $3 = any(resources) and cancelled_at is null
           and exists (select from ops.jobs where jobs.crawl_run_id = runs.crawl_run_id and state in ('ready', 'running'))",
        site.marketplace.name(),
        site.market,
        resource.name(),
    )
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_that_touch_the_range_and_are_over_are_asked_for() {
        let now: DateTime<Utc> = "2026-03-11T06:00:00Z".parse().unwrap();
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let weeks = weeks_of(date("2026-02-18"), date("2026-03-31"), now);
        assert_eq!(weeks, [date("2026-02-15"), date("2026-02-22"), date("2026-03-01")]);
        assert!(weeks_of(date("2026-03-09"), date("2026-03-31"), now).is_empty());
        for week_start in weeks {
            assert_eq!(week::last_full_week_start(scheduled_for(week_start)), week_start);
        }
    }
}
