-- One look at the observations of a keyword answers for all columns, and finds all it needs in the index made for it.
create view analytics.keyword_data_v1 as
select keywords.keyword_text as keyword,
       keywords.marketplace as platform,
       coalesce(said.volume, estimate.value) as search_volume,
       competition.score as competition,
       said.bid::numeric as cpc,
       said.weeks as trend_data,
       greatest(latest.observed_at, said.last_observed_at) as last_updated,
       keywords.market,
       keywords.keyword_id,
       case when said.volume is null and estimate.value is not null then 'estimated'
            else coalesce(said.volume_status, 'unavailable') end as search_volume_status,
       case
           when said.volume is not null then said.volume_resource
           when estimate.value is not null then estimate.source
           when said.volume_reason is not null then said.volume_reason
           when keywords.marketplace = 'amazon' then 'the search terms report gives a rank, not a count'
           else 'the marketplace gives no number of searches'
       end as search_volume_source,
       case when competition.score is null then 'pending' else 'estimated' end as competition_status,
       competition.score_version as competition_source,
       coalesce(said.bid_status, 'unavailable') as cpc_status,
       case
           when said.bid is not null then said.bid_resource
           when said.bid_reason is not null then said.bid_reason
           when keywords.marketplace = 'etsy' then 'the marketplace suggests no bids'
           else 'no source of bids is connected'
       end as cpc_source,
       case when said.has_weeks then 'observed' when said.weeks is null then 'pending' else 'unavailable' end as trend_data_status,
       said.week_resources as trend_data_source,
       said.bid_unit as cpc_currency,
       said.bid_observed_at as cpc_observed_at,
       case when said.volume is not null then said.volume_start_date else estimate.week_start_date end as search_volume_start_date,
       case when said.volume is not null then said.volume_end_date else estimate.week_start_date + 6 end as search_volume_end_date,
       shown.decided_at as published_at,
       shown.crawl_run_id is null or held.crawl_run_id is not null as is_stale,
       case when held.crawl_run_id is not null then held.reason
            when shown.crawl_run_id is null then 'nothing was published yet' end as stale_reason,
       case when said.volume is null then estimate.lo_80 end as search_volume_lo_80,
       case when said.volume is null then estimate.hi_80 end as search_volume_hi_80,
       case when said.volume is null then estimate.median_percentage_error end as search_volume_error,
       case
           when said.volume is not null then 'a count goes before every estimate; of several, the latest period, and of one period what became known last'
           when estimate.value is not null then 'no count is known, and the rank lies within what the calibration covers'
           else 'nothing tells or allows to estimate it'
       end as search_volume_choice,
       said.volume_sources as search_volume_candidates,
       case
           when said.bid is not null then 'the latest suggested bid, and of one moment what became known last'
           else 'nothing suggests a bid'
       end as cpc_choice,
       said.bid_sources as cpc_candidates
from core.keywords
left join lateral (
    with seen as materialized (
        select observations.keyword_observation_id, observations.metric, observations.value, observations.unit,
               observations.value_status, observations.status_reason, observations.resource, observations.observed_at,
               observations.period_start_date, observations.period_end_date, observations.period_kind,
               observations.ingested_at, observations.raw_payload_id
        from core.keyword_observations observations
        join core.publications shown
            on shown.crawl_run_id = observations.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
        -- What was said of a keyword that turned out to be this one was said of this one.
        where observations.keyword_id = any (array(
                  select keywords.keyword_id
                  union all
                  select merged.keyword_id from core.keywords merged where merged.merged_into_keyword_id = keywords.keyword_id))
          and observations.metric in ('search_frequency_rank', 'listing_views_per_week', 'auction_bids',
              'search_query_volume', 'monthly_searches', 'monthly_searches_average',
              'cpc_suggested', 'top_of_page_bid_low', 'top_of_page_bid_high')
          and observations.ingested_at <= core.as_of()
          and (observations.superseded_at is null or observations.superseded_at > core.as_of())
    ), weeks as (
        -- As core.weekly_demand; of several that speak of one week: the one that became known last.
        select distinct on (week_start_date) *
        from (
            select seen.*, period_start_date - extract(dow from period_start_date)::integer as week_start_date
            from seen
            where metric in ('search_frequency_rank', 'listing_views_per_week', 'auction_bids')
              and (metric <> 'search_frequency_rank' or period_kind = 'week')
        ) demand
        order by week_start_date, ingested_at desc, raw_payload_id desc
    ), trend as (
        select jsonb_agg(jsonb_build_object('week_start_date', week_start_date, 'metric', metric, 'value', value,
                                            'unit', unit, 'value_status', value_status) order by week_start_date) as weeks,
               string_agg(distinct resource, ',') as week_resources,
               bool_or(value is not null) as has_weeks,
               max(observed_at) as last_observed_at
        from weeks
    ), latest as (
        -- The latest value that each source gives of each metric; where there never was one, the latest reason.
        select distinct on (metric, resource) *
        from seen
        where metric not in ('search_frequency_rank', 'listing_views_per_week', 'auction_bids')
        order by metric, resource, (value is null), observed_at desc, ingested_at desc, keyword_observation_id desc
    ), volume as (
        select * from latest
        where metric = 'search_query_volume'
        order by (value is null), observed_at desc, ingested_at desc, keyword_observation_id desc
        limit 1
    ), bid as (
        select * from latest
        where metric = 'cpc_suggested'
        order by (value is null), observed_at desc, ingested_at desc, keyword_observation_id desc
        limit 1
    ), sources as (
        select jsonb_agg(source order by metric, resource) filter (where not is_bid) as volume_sources,
               jsonb_agg(source order by metric, resource) filter (where is_bid) as bid_sources
        from (
            select metric, resource, metric in ('cpc_suggested', 'top_of_page_bid_low', 'top_of_page_bid_high') as is_bid,
                   jsonb_build_object('metric', metric, 'source', resource, 'value', value, 'unit', unit,
                                      'value_status', value_status, 'status_reason', status_reason,
                                      'period_start_date', period_start_date, 'period_end_date', period_end_date,
                                      'is_chosen', value is not null and keyword_observation_id in (
                                          select keyword_observation_id from volume
                                          union all select keyword_observation_id from bid)) as source
            from latest
        ) latest
    )
    select trend.*, sources.*,
           volume.value as volume, volume.value_status as volume_status, volume.status_reason as volume_reason,
           volume.resource as volume_resource, volume.period_start_date as volume_start_date,
           volume.period_end_date as volume_end_date,
           bid.value as bid, bid.value_status as bid_status, bid.status_reason as bid_reason, bid.resource as bid_resource,
           case when bid.value is not null then bid.unit end as bid_unit,
           case when bid.value is not null then bid.observed_at end as bid_observed_at,
           last_week.week_start_date as last_week_start_date, last_week.metric as last_week_metric,
           last_week.value as last_week_value
    from trend
    cross join sources
    left join volume on true
    left join bid on true
    left join (select * from weeks order by week_start_date desc limit 1) last_week on true
) said on true
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
-- What the user's own truth says the proxy of the latest week is worth; nothing outside of what that truth covers.
left join lateral (
    select said.last_week_start_date as week_start_date, calibrations.median_percentage_error,
           exp(calibrations.intercept + calibrations.slope * ln(said.last_week_value)) as value,
           exp(calibrations.intercept + calibrations.slope * ln(said.last_week_value)) * calibrations.factor_lo_80 as lo_80,
           exp(calibrations.intercept + calibrations.slope * ln(said.last_week_value)) * calibrations.factor_hi_80 as hi_80,
           format('%s by calibration %s: %s', calibrations.proxy_metric, calibrations.version, calibrations.method) as source
    from (
        select distinct on (truth_metric) *
        from ml.volume_calibrations
        where volume_calibrations.marketplace = keywords.marketplace and volume_calibrations.market = keywords.market
          and truth_metric = 'search_query_volume' and period_kind = 'week' and fitted_at <= core.as_of()
        order by truth_metric, version desc
    ) calibrations
    where calibrations.proxy_metric = said.last_week_metric
      and said.last_week_value between calibrations.proxy_min and calibrations.proxy_max
      and said.last_week_value > 0
) estimate on true
-- As analytics.source_freshness_v1, which looks at every keyword to know the markets.
left join lateral (
    select publications.crawl_run_id, publications.decided_at, runs.scheduled_for
    from core.publications
    join ops.crawl_runs runs using (crawl_run_id)
    where publications.marketplace = keywords.marketplace and publications.market = keywords.market
      and publications.state = 'published' and publications.decided_at <= core.as_of()
    order by runs.scheduled_for desc, publications.decided_at desc
    limit 1
) shown on true
left join lateral (
    select publications.crawl_run_id, publications.reason
    from core.publications
    join ops.crawl_runs runs using (crawl_run_id)
    where publications.marketplace = keywords.marketplace and publications.market = keywords.market
      and publications.state = 'held' and publications.decided_at <= core.as_of()
      and (shown.scheduled_for is null or runs.scheduled_for > shown.scheduled_for)
    order by runs.scheduled_for desc
    limit 1
) held on true
where keywords.merged_into_keyword_id is null;

comment on view analytics.keyword_data_v1 is 'One row per keyword and market: the latest of everything, with the status and source of each value.';
comment on column analytics.keyword_data_v1.keyword is 'Normalised search term.';
comment on column analytics.keyword_data_v1.platform is 'amazon, etsy or ebay.';
comment on column analytics.keyword_data_v1.search_volume is 'Number of searches in the week from search_volume_start_date: true where search_volume_status is observed, estimated where it says so.';
comment on column analytics.keyword_data_v1.competition is 'Competition score of the latest scored week, 0 (easy) to 1 (hard).';
comment on column analytics.keyword_data_v1.cpc is 'Latest suggested bid for a click under exact match; not a price that was paid.';
comment on column analytics.keyword_data_v1.trend_data is 'Weekly demand, an array of week_start_date, metric, value, unit, value_status.';
comment on column analytics.keyword_data_v1.last_updated is 'When the latest of the values was true.';
comment on column analytics.keyword_data_v1.market is 'Country site.';
comment on column analytics.keyword_data_v1.keyword_id is 'Identifier.';
comment on column analytics.keyword_data_v1.search_volume_status is 'As value_status of observations.';
comment on column analytics.keyword_data_v1.search_volume_source is 'Resource of the marketplace; of an estimate, what it follows from and how; or why there is none.';
comment on column analytics.keyword_data_v1.competition_status is 'estimated: computed by a published formula; pending: not scored yet.';
comment on column analytics.keyword_data_v1.competition_source is 'Version of the formula.';
comment on column analytics.keyword_data_v1.cpc_status is 'As value_status of observations.';
comment on column analytics.keyword_data_v1.cpc_source is 'Resource of the marketplace, or why there is none.';
comment on column analytics.keyword_data_v1.trend_data_status is 'As value_status of observations.';
comment on column analytics.keyword_data_v1.trend_data_source is 'Resource of the marketplace.';
comment on column analytics.keyword_data_v1.cpc_currency is 'ISO 4217 code of cpc.';
comment on column analytics.keyword_data_v1.cpc_observed_at is 'When cpc was true.';
comment on column analytics.keyword_data_v1.search_volume_start_date is 'First day of the week that search_volume is about.';
comment on column analytics.keyword_data_v1.search_volume_end_date is 'Last day of that week.';
comment on column analytics.keyword_data_v1.published_at is 'When the latest crawl run of the market was published.';
comment on column analytics.keyword_data_v1.is_stale is 'True while a later crawl run of the market is held back, or nothing was ever published.';
comment on column analytics.keyword_data_v1.stale_reason is 'Why.';
comment on column analytics.keyword_data_v1.search_volume_lo_80 is 'Lower end of the 80 % interval of an estimate; null for a true number.';
comment on column analytics.keyword_data_v1.search_volume_hi_80 is 'Upper end of the 80 % interval of an estimate; null for a true number.';
comment on column analytics.keyword_data_v1.search_volume_error is 'Median of |estimate - truth| / truth that the method showed on keywords it had not seen; null for a true number.';
comment on column analytics.keyword_data_v1.search_volume_choice is 'By which rule search_volume was chosen.';
comment on column analytics.keyword_data_v1.search_volume_candidates is 'The latest that each source tells of searches, an array of metric, source, value, unit, value_status, status_reason, period_start_date, period_end_date, is_chosen.';
comment on column analytics.keyword_data_v1.cpc_choice is 'By which rule cpc was chosen.';
comment on column analytics.keyword_data_v1.cpc_candidates is 'The latest that each source tells of bids, as search_volume_candidates.';
