//! `digitallz crawl forecast`: how often the quotas let every keyword be refreshed, what is overdue today, and when the
//! freshness target breaks.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_collector::estimate::{self, Demand, Load};
use digitallz_collector::{Context, OutlookError};
use digitallz_common::marketplace::{Marketplace, Site};
use serde::Serialize;
use serde_json::json;

use super::plan_file::Figure;
use crate::cli::{Cli, ForecastArgs};
use crate::exit::Ending;
use crate::output::{self, counted, range, span};
use crate::session::Session;

/// Growth is measured over this time.
const GROWTH_OVER_DAYS: i32 = 28;

/// The bars of the picture, each a quarter of the target wide; the last holds all that is older.
const BARS: usize = 12;

/// What can be said of one site.
#[derive(Debug, Serialize)]
struct SiteForecast {
    site: String,
    /// Active keywords.
    keyword_count: i64,
    /// Requests of one refresh of all keywords, per operation.
    requests: Vec<Figure>,
    /// The quota that decides.
    binding_quota: Option<String>,
    /// Requests a day that the quota allows in the long run.
    per_day: Option<f64>,
    /// Requests a day that the target takes, of all sites that share the quota.
    needed_per_day: Option<f64>,
    /// How often every keyword can be refreshed, in seconds.
    cadence_s: Option<u64>,
    /// Keywords older than the target; one that was never collected is as old as it is known.
    overdue_keyword_count: i64,
    /// Requests it takes to make up for them, at most.
    debt_requests: u32,
    /// Keywords that were never collected.
    never_collected_count: i64,
    /// Keywords by age: each bar a quarter of the target, the last all that is older.
    ages: Vec<i64>,
    /// New keywords a day, over the last four weeks.
    growth_per_day: f64,
    /// When the target breaks or broke; nothing when it holds at the present growth.
    breaks_at: Option<DateTime<Utc>>,
    /// What that means, in a sentence.
    verdict: String,
}

/// The ages of a site's keywords.
struct Ages {
    keyword_count: i64,
    overdue: i64,
    never: i64,
    new: i64,
    oldest: Option<DateTime<Utc>>,
    bars: Vec<i64>,
}

/// Prints the forecast.
pub async fn run(cli: &Cli, args: &ForecastArgs) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let forecast = async {
        let ctx = super::context(&session)?;
        forecast(&ctx, args.marketplace, args.target.max(Duration::from_secs(60)), session.clock.now()).await
    };
    let forecast = forecast.await;
    session.close().await?;
    let sites = forecast?;
    if cli.json {
        output::print_json(&json!({ "forecast": { "target_s": args.target.as_secs(), "sites": sites } }))?;
        return Ok(Ending::Done);
    }
    if sites.is_empty() {
        eprintln!("there are no active keywords; add some with `digitallz keywords import`");
        return Ok(Ending::Done);
    }
    print(&sites, args.target)?;
    Ok(Ending::Done)
}

async fn forecast(
    ctx: &Context,
    only: Option<Marketplace>,
    target: Duration,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<SiteForecast>> {
    let mut forecasts = Vec::new();
    for marketplace in Marketplace::ALL.into_iter().filter(|marketplace| only.is_none_or(|only| only == *marketplace)) {
        let ages = ages(ctx, marketplace, target, now).await?;
        let resources = ctx.marketplaces.resources(marketplace).to_vec();
        let requests =
            |count: i64| estimate::requests(&ctx.config, marketplace, &resources, usize::try_from(count).unwrap_or(0));
        let demands: Vec<Demand> = ages
            .iter()
            .map(|(site, ages)| Demand { site: site.clone(), requests: requests(ages.keyword_count) })
            .collect();
        let loads = match estimate::loads(ctx, &demands).await {
            Ok(loads) => loads,
            Err(OutlookError::Credentials(_)) => Vec::new(),
            Err(OutlookError::Ledger(problem)) => return Err(problem.into()),
        };
        for (site, ages) in ages {
            let binding = binding(&loads, &site);
            let debt_requests = estimate::most(&requests(ages.overdue));
            let figures = requests(ages.keyword_count).iter().map(Figure::from).collect();
            let pace = binding.map(|load| Pace::new(load, target));
            forecasts.push(site_forecast(&site, ages, figures, debt_requests, binding, pace, target, now));
        }
    }
    Ok(forecasts)
}

/// What a quota sustains.
#[derive(Clone, Copy)]
struct Pace {
    per_day: f64,
    needed_per_day: f64,
    cadence_s: f64,
}

impl Pace {
    fn new(load: &Load, target: Duration) -> Pace {
        const DAY_S: f64 = 86_400.0;
        let per_day = load.outlook.per_day().max(1e-9);
        let per_refresh = f64::from(load.most);
        Pace {
            per_day,
            needed_per_day: per_refresh * DAY_S / target.as_secs_f64(),
            cadence_s: per_refresh / per_day * DAY_S,
        }
    }
}

/// Returns the quota that a site's refresh uses up first.
fn binding<'a>(loads: &'a [Load], site: &Site) -> Option<&'a Load> {
    let used = |load: &Load| f64::from(load.most) / load.outlook.per_day().max(1e-9);
    let own = loads.iter().filter(|load| load.operations.iter().any(|(other, _)| other == site));
    own.max_by(|a, b| used(a).total_cmp(&used(b)))
}

#[expect(clippy::too_many_arguments, reason = "all that is known of a site meets here once")]
fn site_forecast(
    site: &Site,
    ages: Ages,
    requests: Vec<Figure>,
    debt_requests: u32,
    binding: Option<&Load>,
    pace: Option<Pace>,
    target: Duration,
    now: DateTime<Utc>,
) -> SiteForecast {
    let growth_per_day = ages.new as f64 / f64::from(GROWTH_OVER_DAYS);
    let (breaks_at, verdict) = verdict(&ages, pace, growth_per_day, debt_requests, target, now);
    SiteForecast {
        site: site.to_string(),
        keyword_count: ages.keyword_count,
        requests,
        binding_quota: binding.map(|load| format!("{} {}", load.outlook.marketplace, load.outlook.scope)),
        per_day: pace.map(|pace| pace.per_day.round()),
        needed_per_day: pace.map(|pace| pace.needed_per_day.round()),
        cadence_s: pace.map(|pace| pace.cadence_s.ceil() as u64),
        overdue_keyword_count: ages.overdue,
        debt_requests,
        never_collected_count: ages.never,
        ages: ages.bars,
        growth_per_day: (growth_per_day * 100.0).round() / 100.0,
        breaks_at,
        verdict,
    }
}

/// Says when the target breaks or broke, and why.
fn verdict(
    ages: &Ages,
    pace: Option<Pace>,
    growth_per_day: f64,
    debt_requests: u32,
    target: Duration,
    now: DateTime<Utc>,
) -> (Option<DateTime<Utc>>, String) {
    const DAY_S: f64 = 86_400.0;
    let Some(pace) = pace else { return (None, "no quota limits it, or credentials are missing".to_owned()) };
    let target_time = TimeDelta::from_std(target).unwrap_or(TimeDelta::MAX);
    let day = |moment: DateTime<Utc>| moment.format("%Y-%m-%d %H:%M").to_string();
    // The first keyword to become older than the target marks the moment.
    let first_overdue = ages.oldest.and_then(|oldest| oldest.checked_add_signed(target_time));
    if pace.needed_per_day > pace.per_day {
        let at = first_overdue.unwrap_or(now);
        let verb = if at <= now { "broke" } else { "breaks" };
        let words = format!(
            "{verb} on {}: the target takes {:.0} requests a day, the quota gives {:.0}",
            day(at),
            pace.needed_per_day,
            pace.per_day
        );
        return (Some(at), words);
    }
    if ages.overdue > 0 {
        let spare = pace.per_day - pace.needed_per_day;
        let at = first_overdue.filter(|at| *at <= now).unwrap_or(now);
        let recovery = if spare > 0.0 {
            format!(
                "made up for in {} with what the quota has to spare",
                span((f64::from(debt_requests) / spare * DAY_S).ceil() as u64)
            )
        } else {
            "the quota has nothing to spare to make up for it".to_owned()
        };
        return (
            Some(at),
            format!("broken since {} for {}; {recovery}", day(at), counted(ages.overdue as usize, "keyword")),
        );
    }
    if growth_per_day <= 0.0 {
        return (None, "holds; no keywords were added lately".to_owned());
    }
    let room = ages.keyword_count as f64 * (pace.per_day / pace.needed_per_day.max(1e-9));
    let days = (room - ages.keyword_count as f64) / growth_per_day;
    match TimeDelta::try_seconds((days * DAY_S) as i64).filter(|_| days < 36_500.0) {
        Some(time) => {
            let at = now + time;
            (
                Some(at),
                format!(
                    "breaks on {} at {growth_per_day:.1} new keywords a day: there is room for {}",
                    day(at),
                    output::thousands(room as i64)
                ),
            )
        }
        None => (None, format!("holds: there is room for {} keywords", output::thousands(room as i64))),
    }
}

/// Loads how old the keywords of every site of a marketplace are, by its main resource.
async fn ages(
    ctx: &Context,
    marketplace: Marketplace,
    target: Duration,
    now: DateTime<Utc>,
) -> anyhow::Result<BTreeMap<Site, Ages>> {
    let main_resource = estimate::main_resource(marketplace, ctx.marketplaces.resources(marketplace));
    let bar_s = target.as_secs_f64() / 4.0;
    let rows = sqlx::query!(
        r#"select keywords.market, keywords.created_at, latest.observed_at as "observed_at?",
                  keywords.created_at > $3::timestamptz - make_interval(days => $4) as "is_new!"
           from core.keywords
           left join lateral (
               select observed_at from core.keyword_observations seen
               where seen.keyword_id = keywords.keyword_id and seen.resource = $2 and seen.value is not null
                 and seen.superseded_at is null
               order by observed_at desc limit 1
           ) latest on true
           where keywords.marketplace = $1 and keywords.is_active
           order by keywords.market"#,
        marketplace.name(),
        main_resource.name(),
        now,
        GROWTH_OVER_DAYS,
    )
    .fetch_all(&ctx.db)
    .await?;
    let mut sites: BTreeMap<Site, Ages> = BTreeMap::new();
    for row in rows {
        let ages = sites.entry(Site::new(marketplace, &row.market)?).or_insert_with(|| Ages {
            keyword_count: 0,
            overdue: 0,
            never: 0,
            new: 0,
            oldest: None,
            bars: vec![0; BARS],
        });
        ages.keyword_count += 1;
        ages.new += i64::from(row.is_new);
        // A keyword that was never collected is as old as it is known.
        let since = row.observed_at.unwrap_or(row.created_at);
        let age_s = (now - since).as_seconds_f64().max(0.0);
        ages.never += i64::from(row.observed_at.is_none());
        ages.overdue += i64::from(age_s > target.as_secs_f64());
        ages.oldest = Some(ages.oldest.map_or(since, |oldest| oldest.min(since)));
        ages.bars[((age_s / bar_s) as usize).min(BARS - 1)] += 1;
    }
    Ok(sites)
}

fn print(sites: &[SiteForecast], target: Duration) -> anyhow::Result<()> {
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), |value| output::thousands(value as i64));
    output::print(&output::table(
        sites,
        &[
            output::text("SITE", |site: &SiteForecast| site.site.clone()),
            output::number("KEYWORDS", |site: &SiteForecast| output::thousands(site.keyword_count)),
            output::text("QUOTA", |site: &SiteForecast| site.binding_quota.clone().unwrap_or("-".to_owned())),
            output::number("A DAY", move |site: &SiteForecast| optional(site.per_day)),
            output::number("TARGET TAKES", move |site: &SiteForecast| optional(site.needed_per_day)),
            output::number("EACH KEYWORD EVERY", |site: &SiteForecast| site.cadence_s.map_or("-".to_owned(), span)),
            output::number("OVERDUE", |site: &SiteForecast| output::thousands(site.overdue_keyword_count)),
            output::number("NEVER SEEN", |site: &SiteForecast| output::thousands(site.never_collected_count)),
            output::number("DEBT", |site: &SiteForecast| {
                format!("{} requests", output::thousands(site.debt_requests.into()))
            }),
            output::text("AGES", |site: &SiteForecast| picture(&site.ages)),
        ],
    ))?;
    let quarter = span(target.as_secs() / 4);
    output::print(&format!(
        "\nages: one bar for every {quarter} of age, the last for all from {} on; the target is {}",
        span(target.as_secs() / 4 * (BARS as u64 - 1)),
        span(target.as_secs())
    ))?;
    for site in sites {
        let refresh: Vec<String> = site
            .requests
            .iter()
            .map(|figure| format!("{} {}", range(figure.fewest, figure.most), figure.operation))
            .collect();
        output::print(&format!("{}: one refresh of all takes {}", site.site, refresh.join(", ")))?;
        output::print(&format!("{}: {}", site.site, site.verdict))?;
    }
    Ok(())
}

/// Draws counts as bars; nothing where there is none.
fn picture(counts: &[i64]) -> String {
    let values: Vec<Option<f64>> = counts.iter().map(|count| (*count > 0).then_some(*count as f64)).collect();
    // A zero among the values, so that a bar's height is its count and not its place between the lowest and the highest.
    let with_zero: Vec<Option<f64>> = std::iter::once(Some(0.0)).chain(values).collect();
    output::sparkline(&with_zero).chars().skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> DateTime<Utc> {
        "2026-03-11T06:00:00Z".parse().unwrap()
    }

    fn ages(keyword_count: i64, overdue: i64, oldest_h: i64) -> Ages {
        let oldest = Some(now() - TimeDelta::hours(oldest_h));
        Ages { keyword_count, overdue, never: 0, new: 28, oldest, bars: Vec::new() }
    }

    fn pace(per_day: f64, needed_per_day: f64) -> Option<Pace> {
        Some(Pace { per_day, needed_per_day, cadence_s: needed_per_day / per_day * 86_400.0 })
    }

    #[test]
    fn a_quota_that_is_too_small_breaks_the_target_when_the_first_keyword_becomes_too_old() {
        let (at, words) = verdict(&ages(100, 0, 20), pace(50.0, 100.0), 1.0, 0, DAY, now());
        assert_eq!(at.unwrap().to_string(), "2026-03-11 10:00:00 UTC");
        assert!(words.starts_with("breaks on 2026-03-11 10:00"), "{words}");
        let (at, words) = verdict(&ages(100, 9, 30), pace(50.0, 100.0), 1.0, 9, DAY, now());
        assert!(at.unwrap() < now() && words.starts_with("broke on"), "{words}");
    }

    #[test]
    fn growth_breaks_a_target_that_holds() {
        let (at, words) = verdict(&ages(100, 0, 20), pace(150.0, 100.0), 5.0, 0, DAY, now());
        assert_eq!(at.unwrap() - now(), TimeDelta::days(10), "{words}");
        let (at, _) = verdict(&ages(100, 0, 20), pace(150.0, 100.0), 0.0, 0, DAY, now());
        assert_eq!(at, None);
    }

    #[test]
    fn a_debt_is_made_up_for_with_what_the_quota_has_to_spare() {
        let (at, words) = verdict(&ages(100, 10, 30), pace(120.0, 100.0), 1.0, 10, DAY, now());
        assert!(at.is_some() && words.contains("made up for in 12 h"), "{words}");
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        assert_eq!(picture(&[8, 0, 4, 1]), "█ ▅▂");
    }
}
