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
       encode(payloads.content_sha256, 'hex') as payload_sha256, observations.crawl_run_id
from core.keyword_observations observations
join core.keywords using (keyword_id)
join core.publications shown
    on shown.crawl_run_id = observations.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
-- Every observation has a payload; who does not ask for its hash does not wait for it.
left join raw.payloads payloads using (raw_payload_id)
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
