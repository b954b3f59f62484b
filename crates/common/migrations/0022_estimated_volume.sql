-- Where no marketplace tells a number of searches, the user's own truth says what a rank is worth: an estimate with its method and
-- its error, and never a count.
create or replace view analytics.keyword_data_v1 as
select keywords.keyword_text as keyword,
       keywords.marketplace as platform,
       coalesce(volume.value, estimate.value) as search_volume,
       competition.score as competition,
       bid.value::numeric as cpc,
       trend.weeks as trend_data,
       greatest(latest.observed_at, trend.last_observed_at) as last_updated,
       keywords.market,
       keywords.keyword_id,
       case when volume.value is null and estimate.value is not null then 'estimated'
            else coalesce(volume.value_status, 'unavailable') end as search_volume_status,
       case
           when volume.value is not null then volume.resource
           when estimate.value is not null then estimate.source
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
       case when volume.value is not null then volume.period_start_date else estimate.week_start_date end as search_volume_start_date,
       case when volume.value is not null then volume.period_end_date else estimate.week_start_date + 6 end as search_volume_end_date,
       freshness.published_at,
       coalesce(freshness.is_stale, true) as is_stale,
       freshness.stale_reason,
       case when volume.value is null then estimate.lo_80 end as search_volume_lo_80,
       case when volume.value is null then estimate.hi_80 end as search_volume_hi_80,
       case when volume.value is null then estimate.median_percentage_error end as search_volume_error
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
-- What the user's own truth says a rank is worth; nothing outside of what that truth covers.
left join lateral (
    select weeks.week_start_date, calibrations.median_percentage_error,
           exp(calibrations.intercept + calibrations.slope * ln(weeks.value)) as value,
           exp(calibrations.intercept + calibrations.slope * ln(weeks.value)) * calibrations.factor_lo_80 as lo_80,
           exp(calibrations.intercept + calibrations.slope * ln(weeks.value)) * calibrations.factor_hi_80 as hi_80,
           format('%s by calibration %s: %s', calibrations.proxy_metric, calibrations.version, calibrations.method) as source
    from (
        select distinct on (truth_metric) *
        from ml.volume_calibrations
        where volume_calibrations.marketplace = keywords.marketplace and volume_calibrations.market = keywords.market
          and truth_metric = 'search_query_volume' and period_kind = 'week' and fitted_at <= core.as_of()
        order by truth_metric, version desc
    ) calibrations
    join lateral (
        select demand.week_start_date, demand.value
        from core.weekly_demand demand
        join raw.payloads payloads using (raw_payload_id)
        join core.publications shown
            on shown.crawl_run_id = payloads.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
        where demand.keyword_id = keywords.keyword_id and demand.metric = calibrations.proxy_metric
        order by demand.week_start_date desc, demand.ingested_at desc
        limit 1
    ) weeks on weeks.value between calibrations.proxy_min and calibrations.proxy_max
) estimate on true
left join analytics.source_freshness_v1 freshness
    on freshness.marketplace = keywords.marketplace and freshness.market = keywords.market;
comment on column analytics.keyword_data_v1.search_volume is 'Number of searches in the week from search_volume_start_date: true where search_volume_status is observed, estimated where it says so.';
comment on column analytics.keyword_data_v1.search_volume_source is 'Resource of the marketplace; of an estimate, what it follows from and how; or why there is none.';
comment on column analytics.keyword_data_v1.search_volume_lo_80 is 'Lower end of the 80 % interval of an estimate; null for a true number.';
comment on column analytics.keyword_data_v1.search_volume_hi_80 is 'Upper end of the 80 % interval of an estimate; null for a true number.';
comment on column analytics.keyword_data_v1.search_volume_error is 'Median of |estimate - truth| / truth that the method showed on keywords it had not seen; null for a true number.';
