//! Which keywords a plan is about: the selectors as they were given, and the keywords they mean at a moment.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use digitallz_collector::{Context, estimate};
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::age;
use crate::cli::PlanArgs;
use crate::commands::keywords;
use crate::exit::UserError;

/// What selects keywords, as a plan keeps it. Everything that is given applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selectors {
    /// Only this marketplace.
    pub marketplace: Option<Marketplace>,
    /// Only this market.
    pub market: Option<String>,
    /// Only these keywords; all when there is none.
    pub keywords: Vec<NamedKeyword>,
    /// Only keywords with one of these tags.
    pub tags: Vec<String>,
    /// Only keywords without a good observation within so many seconds before the plan was made.
    pub stale_seconds: Option<u64>,
    /// Only keywords whose last question since then was given up.
    pub failed_since: Option<DateTime<Utc>>,
    /// Only keywords of which a question of this crawl run was given up.
    pub failed_of_run: Option<Uuid>,
    /// Only weeks without data.
    pub missing: Option<Missing>,
    /// Kinds of data to ask for; those of the settings when there is none.
    pub resources: Vec<Resource>,
}

/// A keyword that was named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedKeyword {
    /// Where it is followed; nothing means wherever it is known.
    pub site: Option<Site>,
    /// The text as it was written.
    pub original_text: String,
}

/// The weeks of a backfill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// First day.
    pub from: NaiveDate,
    /// Last day.
    pub to: NaiveDate,
    /// At most so many crawl runs.
    pub cap: Option<u32>,
}

/// The keywords of one site.
#[derive(Clone, Debug)]
pub struct SiteSelection {
    /// The site.
    pub site: Site,
    /// Kinds of data to ask for.
    pub resources: Vec<Resource>,
    /// Its keywords, known ones by their identifiers first.
    pub keywords: Vec<SelectedKeyword>,
}

/// A keyword of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectedKeyword {
    /// Its identifier; nothing for one that becomes known when the plan is applied.
    pub keyword_id: Option<i64>,
    /// Its normalised text.
    pub keyword_text: String,
    /// The text as it was written, for one that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_text: Option<String>,
}

impl Selectors {
    /// Reads the selectors of a command line; files are read, and what makes no sense is refused.
    pub fn read(args: &PlanArgs, now: DateTime<Utc>) -> anyhow::Result<Selectors> {
        let mut named = Vec::new();
        for text in &args.keyword {
            parse(text)?;
            let site = args.marketplace.map(|marketplace| site(marketplace, args.market.as_deref())).transpose()?;
            named.push(NamedKeyword { site, original_text: text.clone() });
        }
        if let Some(file) = &args.file {
            let entries = keywords::read_file(file, args.marketplace, args.market.as_deref().unwrap_or("US"))?;
            let named_by_file = entries
                .into_iter()
                .map(|entry| NamedKeyword { site: Some(entry.site), original_text: entry.original_text });
            named.extend(named_by_file);
        }
        let missing = match (args.missing, args.from, args.to) {
            (true, Some(from), Some(to)) if from > to => {
                return Err(UserError::usage(
                    format!("the backfill ends on {to} before it begins on {from}"),
                    "swap --from and --to",
                )
                .into());
            }
            (true, Some(from), Some(to)) => Some(Missing { from, to, cap: args.cap }),
            _ => None,
        };
        if let Some(stranger) = args
            .resources
            .iter()
            .find(|resource| resource.follows().is_some_and(|parent| !args.resources.contains(&parent)))
        {
            let parent = stranger.follows().map(Resource::name).unwrap_or_default();
            return Err(UserError::usage(
                format!("{stranger} is asked for about what {parent} found"),
                format!("write --resources {parent},{stranger}"),
            )
            .into());
        }
        Ok(Selectors {
            marketplace: args.marketplace,
            market: args.market.as_ref().map(|market| market.to_uppercase()),
            keywords: named,
            tags: args.tag.iter().map(|tag| tag.to_lowercase()).collect(),
            stale_seconds: args.stale.map(|stale| stale.as_secs()),
            failed_since: args.failed_since.as_deref().map(|text| age::moment(text, now)).transpose()?,
            failed_of_run: args.run,
            missing,
            resources: args.resources.clone(),
        })
    }

    /// Returns the keywords they mean, site by site. `as_of` is the moment from which ages are counted.
    pub async fn resolve(&self, ctx: &Context, as_of: DateTime<Utc>) -> anyhow::Result<Vec<SiteSelection>> {
        let failed = match (self.failed_since, self.failed_of_run) {
            (None, None) => None,
            (since, run) => Some(failed_keywords(&ctx.db, since, run).await?),
        };
        let stale_before = self.stale_seconds.map(|seconds| as_of - TimeDelta::seconds(seconds.min(1 << 40) as i64));
        let rows = self.known_keywords(ctx, failed.as_deref(), stale_before).await?;
        let mut sites: BTreeMap<Site, Vec<SelectedKeyword>> = BTreeMap::new();
        for row in &rows {
            let (Ok(marketplace), keyword_id) = (row.marketplace.parse::<Marketplace>(), Some(row.keyword_id)) else {
                continue;
            };
            let site = Site::new(marketplace, &row.market)?;
            let is_named = self.keywords.iter().any(|named| named.means(&site, &row.keyword_text));
            if (self.keywords.is_empty() && row.is_active) || is_named {
                let keyword_text = row.keyword_text.clone();
                sites.entry(site).or_default().push(SelectedKeyword { keyword_id, keyword_text, original_text: None });
            }
        }
        let may_be_new = failed.is_none() && self.tags.is_empty();
        for named in &self.keywords {
            let keyword = parse(&named.original_text)?;
            let Some(site) = &named.site else { continue };
            let is_wanted = self.marketplace.is_none_or(|marketplace| marketplace == site.marketplace)
                && self.market.as_ref().is_none_or(|market| *market == site.market);
            if !may_be_new || !is_wanted || is_known(&ctx.db, site, &keyword).await? {
                continue;
            }
            let keywords = sites.entry(site.clone()).or_default();
            if !keywords.iter().any(|other| other.keyword_text == keyword.as_str()) {
                keywords.push(SelectedKeyword {
                    keyword_id: None,
                    keyword_text: keyword.as_str().to_owned(),
                    original_text: Some(named.original_text.clone()),
                });
            }
        }
        let mut selections = Vec::with_capacity(sites.len());
        for (site, keywords) in sites {
            let resources = self.resources_of(ctx, site.marketplace);
            if !resources.is_empty() {
                selections.push(SiteSelection { site, resources, keywords });
            }
        }
        Ok(selections)
    }

    fn resources_of(&self, ctx: &Context, marketplace: Marketplace) -> Vec<Resource> {
        if self.resources.is_empty() {
            return ctx.marketplaces.resources(marketplace).to_vec();
        }
        self.resources.iter().copied().filter(|resource| resource.marketplace() == Some(marketplace)).collect()
    }

    async fn known_keywords(
        &self,
        ctx: &Context,
        failed: Option<&[i64]>,
        stale_before: Option<DateTime<Utc>>,
    ) -> Result<Vec<KnownKeyword>, sqlx::Error> {
        let mains = Marketplace::ALL.map(|marketplace| {
            let resources = self.resources_of(ctx, marketplace);
            (marketplace.name().to_owned(), estimate::main_resource(marketplace, &resources).name().to_owned())
        });
        let (marketplaces, resources): (Vec<String>, Vec<String>) = mains.into_iter().unzip();
        let tags = (!self.tags.is_empty()).then_some(&self.tags[..]);
        sqlx::query_as!(
            KnownKeyword,
            "select keywords.keyword_id, keywords.marketplace, keywords.market, keywords.keyword_text, keywords.is_active
             from core.keywords
             join unnest($1::text[], $2::text[]) as main (marketplace, resource)
                 on main.marketplace = keywords.marketplace
             where ($3::text is null or keywords.marketplace = $3) and ($4::text is null or keywords.market = $4)
               and ($5::text[] is null or keywords.tags && $5)
               and ($6::bigint[] is null or keywords.keyword_id = any($6))
               and ($7::timestamptz is null or not exists (
                   select from core.keyword_observations seen
                   where seen.keyword_id = keywords.keyword_id and seen.resource = main.resource
                     and seen.value is not null and seen.superseded_at is null and seen.observed_at > $7))
             order by keywords.keyword_id",
            &marketplaces,
            &resources,
            self.marketplace.map(Marketplace::name),
            self.market,
            tags,
            failed,
            stale_before,
        )
        .fetch_all(&ctx.db)
        .await
    }
}

struct KnownKeyword {
    keyword_id: i64,
    marketplace: String,
    market: String,
    keyword_text: String,
    is_active: bool,
}

impl NamedKeyword {
    /// Tells whether it names a keyword of a site.
    fn means(&self, site: &Site, keyword_text: &str) -> bool {
        self.site.as_ref().is_none_or(|own| own == site)
            && Keyword::parse(&self.original_text).is_ok_and(|keyword| keyword.as_str() == keyword_text)
    }
}

/// Reads the text of a keyword.
pub fn parse(text: &str) -> Result<Keyword, UserError> {
    Keyword::parse(text).map_err(|error| UserError::usage(format!("keyword '{text}': {error}"), "give another keyword"))
}

fn site(marketplace: Marketplace, market: Option<&str>) -> Result<Site, UserError> {
    Site::new(marketplace, market.unwrap_or("US"))
        .map_err(|error| UserError::usage(error.to_string(), "choose one of the markets named"))
}

async fn is_known(db: &PgPool, site: &Site, keyword: &Keyword) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from core.keywords where marketplace = $1 and market = $2 and keyword_text = $3)
               as "is_known!""#,
        site.marketplace.name(),
        site.market,
        keyword.as_str(),
    )
    .fetch_one(db)
    .await
}

/// Returns the keywords of which a question was given up: of a run, or the last one of its kind since a moment.
///
/// A question about many keywords counts for each; one about a whole market for none.
async fn failed_keywords(
    db: &PgPool,
    since: Option<DateTime<Utc>>,
    crawl_run_id: Option<Uuid>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"with ended as (
               select distinct on (asked.keyword_id, jobs.message ->> 'resource') asked.keyword_id, jobs.state
               from ops.jobs
               cross join lateral (
                   select (jobs.message ->> 'keyword_id')::bigint as keyword_id
                   union all
                   select value::bigint from jsonb_array_elements_text(coalesce(jobs.message -> 'keyword_ids', '[]'))
               ) as asked
               where jobs.job_name = 'fetch_page' and jobs.state in ('done', 'dead') and asked.keyword_id is not null
                 and ($1::timestamptz is null or jobs.finished_at >= $1)
                 and ($2::uuid is null or jobs.crawl_run_id = $2)
               order by asked.keyword_id, jobs.message ->> 'resource',
                        case when $2::uuid is null then null else jobs.state end, jobs.finished_at desc
           )
           select distinct keyword_id as "keyword_id!" from ended where state = 'dead' order by 1"#,
        since,
        crawl_run_id,
    )
    .fetch_all(db)
    .await
}
