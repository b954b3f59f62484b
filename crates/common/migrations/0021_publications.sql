-- What a crawl run brought is shown at once, after it was checked, or not at all.
create table core.publications (
    crawl_run_id uuid        primary key references ops.crawl_runs,
    marketplace  text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market       text        not null,
    state        text        not null check (state in ('published', 'held')),
    checks       jsonb       not null,
    reason       text,
    decided_at   timestamptz not null,
    decided_by   text        not null,
    evaluated_at timestamptz not null,
    constraint what_is_held_has_a_reason check (state = 'published' or reason is not null)
);
comment on table core.publications is 'Which crawl runs the views of analytics show, and why.';
comment on column core.publications.crawl_run_id is 'The crawl run.';
comment on column core.publications.marketplace is 'amazon, etsy or ebay.';
comment on column core.publications.market is 'Country site.';
comment on column core.publications.state is 'published: the views show what it brought; held: they show what was there before.';
comment on column core.publications.checks is 'Every check with its value, its bound and whether it was passed.';
comment on column core.publications.reason is 'Why it is held, or was published in spite of a check.';
comment on column core.publications.decided_at is 'When that was decided, by the clock of the world; as of then it is shown.';
comment on column core.publications.decided_by is 'digitallz, or the operator who decided otherwise.';
comment on column core.publications.evaluated_at is 'When it was checked last, by the clock of the database.';
create index publications_by_site on core.publications (marketplace, market, decided_at desc);

-- What was visible so far stays visible.
insert into core.publications (crawl_run_id, marketplace, market, state, checks, decided_at, decided_by, evaluated_at)
select crawl_run_id, marketplace, market, 'published', '[]', coalesce(planned_at, created_at), 'digitallz', now()
from ops.crawl_runs
where planned_at is not null;

create view analytics.source_freshness_v1 as
select sites.marketplace, sites.market, shown.crawl_run_id, shown.decided_at as published_at, shown.scheduled_for,
       held.crawl_run_id as held_crawl_run_id,
       shown.crawl_run_id is null or held.crawl_run_id is not null as is_stale,
       case when held.crawl_run_id is not null then held.reason
            when shown.crawl_run_id is null then 'nothing was published yet' end as stale_reason
from (select distinct marketplace, market from core.keywords) sites
left join lateral (
    select publications.crawl_run_id, publications.decided_at, runs.scheduled_for
    from core.publications
    join ops.crawl_runs runs using (crawl_run_id)
    where publications.marketplace = sites.marketplace and publications.market = sites.market
      and publications.state = 'published' and publications.decided_at <= core.as_of()
    order by runs.scheduled_for desc, publications.decided_at desc
    limit 1
) shown on true
-- A run that is held makes the source stale until a later one is published.
left join lateral (
    select publications.crawl_run_id, publications.reason
    from core.publications
    join ops.crawl_runs runs using (crawl_run_id)
    where publications.marketplace = sites.marketplace and publications.market = sites.market
      and publications.state = 'held' and publications.decided_at <= core.as_of()
      and (shown.scheduled_for is null or runs.scheduled_for > shown.scheduled_for)
    order by runs.scheduled_for desc
    limit 1
) held on true;
comment on view analytics.source_freshness_v1 is 'Each market of a marketplace: what is shown of it, since when, and whether something newer is held back.';
comment on column analytics.source_freshness_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.source_freshness_v1.market is 'Country site.';
comment on column analytics.source_freshness_v1.crawl_run_id is 'The latest crawl run that is shown.';
comment on column analytics.source_freshness_v1.published_at is 'When it was published.';
comment on column analytics.source_freshness_v1.scheduled_for is 'The moment for which it collected.';
comment on column analytics.source_freshness_v1.held_crawl_run_id is 'A later run that is held back.';
comment on column analytics.source_freshness_v1.is_stale is 'True while a later run is held back, or nothing was ever published.';
comment on column analytics.source_freshness_v1.stale_reason is 'Why.';

create or replace view analytics.keyword_observations_v1 as
select observations.keyword_observation_id, observations.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market, observations.metric, observations.value, observations.unit, observations.value_status,
       observations.status_reason, observations.resource as source, observations.observed_at,
       observations.period_start_date, observations.period_end_date, observations.period_kind,
       observations.fetched_at, observations.ingested_at, observations.raw_payload_id,
       encode(payloads.content_sha256, 'hex') as payload_sha256, payloads.crawl_run_id
from core.keyword_observations observations
join core.keywords using (keyword_id)
join raw.payloads payloads using (raw_payload_id)
join core.publications shown
    on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
where observations.ingested_at <= core.as_of()
  and (observations.superseded_at is null or observations.superseded_at > core.as_of());

create or replace view analytics.serp_entries_v1 as
select entries.keyword_id, keywords.keyword_text, keywords.marketplace, keywords.market, entries.observed_at,
       entries.position, entries.entry_kind, listings.marketplace_listing_id, listings.title, listings.seller,
       observations.price_amount, observations.price_currency, observations.favorite_count, observations.sales_rank,
       observations.bid_count, entries.raw_payload_id
from core.serp_entries entries
join core.keywords on keywords.keyword_id = entries.keyword_id
join core.listings using (listing_id)
join raw.payloads payloads on payloads.raw_payload_id = entries.raw_payload_id
join core.publications shown
    on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
left join core.listing_observations observations
    on observations.raw_payload_id = entries.raw_payload_id and observations.listing_id = entries.listing_id
   and observations.observed_at = entries.observed_at
   and observations.ingested_at <= core.as_of()
   and (observations.superseded_at is null or observations.superseded_at > core.as_of())
where entries.ingested_at <= core.as_of() and (entries.superseded_at is null or entries.superseded_at > core.as_of());

create or replace view analytics.keyword_data_v1 as
select keywords.keyword_text as keyword,
       keywords.marketplace as platform,
       volume.value as search_volume,
       competition.score as competition,
       bid.value::numeric as cpc,
       trend.weeks as trend_data,
       greatest(latest.observed_at, trend.last_observed_at) as last_updated,
       keywords.market,
       keywords.keyword_id,
       coalesce(volume.value_status, 'unavailable') as search_volume_status,
       case
           when volume.value is not null then volume.resource
           when volume.status_reason is not null then volume.status_reason
           when keywords.marketplace = 'amazon' then 'the search terms report gives a rank, not a count'
           else 'the marketplace gives no number of searches'
       end as search_volume_source,
       case when competition.score is null then 'pending' else 'estimated' end as competition_status,
       competition.score_version as competition_source,
       coalesce(bid.value_status, 'unavailable') as cpc_status,
       case
           when bid.value is not null then bid.resource
           when bid.status_reason is not null then bid.status_reason
           when keywords.marketplace = 'etsy' then 'the marketplace suggests no bids'
           else 'no source of bids is connected'
       end as cpc_source,
       case when trend.has_value then 'observed' when trend.weeks is null then 'pending' else 'unavailable' end as trend_data_status,
       trend.source as trend_data_source,
       case when bid.value is not null then bid.unit end as cpc_currency,
       case when bid.value is not null then bid.observed_at end as cpc_observed_at,
       case when volume.value is not null then volume.period_start_date end as search_volume_start_date,
       case when volume.value is not null then volume.period_end_date end as search_volume_end_date,
       freshness.published_at,
       coalesce(freshness.is_stale, true) as is_stale,
       freshness.stale_reason
from core.keywords
left join lateral (
    select jsonb_agg(jsonb_build_object('week_start_date', week_start_date, 'metric', metric, 'value', value,
                                        'unit', unit, 'value_status', value_status) order by week_start_date) as weeks,
           string_agg(distinct resource, ',') as source,
           bool_or(value is not null) as has_value,
           max(observed_at) as last_observed_at
    from (
        -- Of several that speak of one week: the one that became known last.
        select distinct on (week_start_date) demand.*
        from core.weekly_demand demand
        join raw.payloads payloads using (raw_payload_id)
        join core.publications shown
            on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
        where demand.keyword_id = keywords.keyword_id
        order by week_start_date, demand.ingested_at desc, raw_payload_id desc
    ) demand
) trend on true
left join lateral (
    select score, score_version
    from ml.competition_scores scores
    where scores.keyword_id = keywords.keyword_id and scores.scored_at <= core.as_of()
    order by week_start_date desc, scored_at desc
    limit 1
) competition on true
left join lateral (
    select payloads.fetched_at as observed_at
    from raw.payloads payloads
    join raw.payload_readings readings using (raw_payload_id)
    join core.publications shown
        on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
    where payloads.keyword_id = keywords.keyword_id and payloads.ingested_at <= core.as_of()
      and readings.outcome = 'processed'
    order by payloads.fetched_at desc
    limit 1
) latest on true
-- The latest value of each; where there never was one, the latest reason.
left join lateral (
    select observations.* from core.keyword_observations observations
    join raw.payloads payloads using (raw_payload_id)
    join core.publications shown
        on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
    where observations.keyword_id = keywords.keyword_id and observations.metric = 'search_query_volume'
      and observations.ingested_at <= core.as_of()
      and (observations.superseded_at is null or observations.superseded_at > core.as_of())
    order by (value is null), observed_at desc, observations.ingested_at desc, keyword_observation_id desc
    limit 1
) volume on true
left join lateral (
    select observations.* from core.keyword_observations observations
    join raw.payloads payloads using (raw_payload_id)
    join core.publications shown
        on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
    where observations.keyword_id = keywords.keyword_id and observations.metric = 'cpc_suggested'
      and observations.ingested_at <= core.as_of()
      and (observations.superseded_at is null or observations.superseded_at > core.as_of())
    order by (value is null), observed_at desc, observations.ingested_at desc, keyword_observation_id desc
    limit 1
) bid on true
left join analytics.source_freshness_v1 freshness
    on freshness.marketplace = keywords.marketplace and freshness.market = keywords.market;

comment on column analytics.keyword_data_v1.published_at is 'When the latest crawl run of the market was published.';
comment on column analytics.keyword_data_v1.is_stale is 'True while a later crawl run of the market is held back, or nothing was ever published.';
comment on column analytics.keyword_data_v1.stale_reason is 'Why.';
