-- Several definitions of the competition score side by side, one of which is current; and entry: which part of the
-- newcomers among the results of a keyword comes up, predicted before and counted after.

alter table ml.score_definitions add column is_current boolean not null default false;
comment on column ml.score_definitions.is_current is 'True for the version that analytics.keyword_data_v1 shows; at most one is.';
create unique index score_definitions_current on ml.score_definitions (is_current) where is_current;
update ml.score_definitions set is_current = true where score_version = 'competition_v1';

-- The sum of the values of an object.
create function ml.sum_of(numbers jsonb) returns double precision
language sql immutable strict
return (select coalesce(sum(value::double precision), 0) from jsonb_each_text(numbers));
comment on function ml.sum_of is 'The sum of the values of an object of numbers.';

alter table ml.competition_scores
    add column components jsonb,
    add constraint contributions_add_up_to_the_score check (abs(ml.sum_of(contributions) - score) <= 1e-9);
comment on column ml.competition_scores.components is 'Each component between 0 and 1, before its weight; null for scores of before it was stored.';
comment on column ml.competition_scores.source_payload_ids is 'Payloads the components were read from; not those of the pages by which newcomers and turnover were counted.';
comment on column ml.competition_scores.level is 'low, medium or high by the cuts of the definition; a third and two thirds unless it says otherwise.';

create table ml.entry_models (
    entry_model_id      bigint      generated always as identity primary key,
    marketplace         text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    version             integer     not null,
    is_serving          boolean     not null,
    feature_set_version text        not null,
    as_of               timestamptz not null,
    trained_at          timestamptz not null,
    example_count       integer     not null check (example_count > 0),
    data_fingerprint    bytea       not null,
    artifact            bytea       not null,
    artifact_sha256     bytea       not null,
    metrics             jsonb       not null,
    code_version        text        not null,
    unique (marketplace, version)
);
comment on table ml.entry_models is 'Models that say how hard it will be for newcomers to come up among the results of a keyword.';
comment on column ml.entry_models.entry_model_id is 'Identifier.';
comment on column ml.entry_models.marketplace is 'Marketplace whose keywords it predicts.';
comment on column ml.entry_models.version is 'Counts from 1 per marketplace.';
comment on column ml.entry_models.is_serving is 'True when its error on weeks kept aside was lower than that of persistence; the latest such version predicts.';
comment on column ml.entry_models.feature_set_version is 'The ordered, versioned list of inputs.';
comment on column ml.entry_models.as_of is 'Nothing known later was used.';
comment on column ml.entry_models.trained_at is 'When it was trained.';
comment on column ml.entry_models.example_count is 'Keywords and weeks it was fitted on.';
comment on column ml.entry_models.data_fingerprint is 'SHA-256 of what it was fitted on.';
comment on column ml.entry_models.artifact is 'The fitted model, JSON.';
comment on column ml.entry_models.artifact_sha256 is 'SHA-256 of the artifact.';
comment on column ml.entry_models.metrics is 'Errors on weeks kept aside, beside persistence; coverage of the 80 % interval; share of levels that were right.';
comment on column ml.entry_models.code_version is 'Version of the program that trained it.';

create table ml.entry_predictions (
    entry_prediction_id bigint      generated always as identity primary key,
    keyword_id          bigint      not null references core.keywords,
    entry_model_id      bigint      not null references ml.entry_models,
    as_of_date          date        not null,
    cohort_start_date   date        not null,
    outcome_date        date        not null check (outcome_date > cohort_start_date),
    predicted_value     double precision check (predicted_value between 0 and 1),
    lo_80               double precision,
    hi_80               double precision,
    lo_95               double precision,
    hi_95               double precision,
    low_probability     double precision check (low_probability between 0 and 1),
    medium_probability  double precision check (medium_probability between 0 and 1),
    high_probability    double precision check (high_probability between 0 and 1),
    level               text        check (level in ('low', 'medium', 'high')),
    persistence_value   double precision,
    newcomer_count      integer     not null check (newcomer_count >= 0),
    abstain_reason      text,
    run_id              uuid        not null,
    predicted_at        timestamptz not null,
    unique (keyword_id, as_of_date, entry_model_id),
    check ((predicted_value is null) = (abstain_reason is not null)),
    check ((predicted_value is null) = (level is null)),
    check (abs(low_probability + medium_probability + high_probability - 1) <= 1e-9),
    check (lo_95 <= lo_80 and lo_80 <= predicted_value and predicted_value <= hi_80 and hi_80 <= hi_95)
);
comment on table ml.entry_predictions is 'Predictions of entry, only ever added: how hard it will be for the newcomers of the next four weeks to come up.';
comment on column ml.entry_predictions.entry_prediction_id is 'Identifier.';
comment on column ml.entry_predictions.keyword_id is 'The keyword.';
comment on column ml.entry_predictions.entry_model_id is 'The model that predicted.';
comment on column ml.entry_predictions.as_of_date is 'Nothing known after this day was used.';
comment on column ml.entry_predictions.cohort_start_date is 'First day of the four weeks whose newcomers are meant.';
comment on column ml.entry_predictions.outcome_date is 'Last day of the eight weeks until which it is counted who came up.';
comment on column ml.entry_predictions.predicted_value is 'Difficulty: 1 less the part of the newcomers that is expected to come up; null when the model abstained.';
comment on column ml.entry_predictions.lo_80 is 'Lower end of the 80 % interval of the difficulty that will be counted.';
comment on column ml.entry_predictions.hi_80 is 'Upper end of the 80 % interval.';
comment on column ml.entry_predictions.lo_95 is 'Lower end of the 95 % interval.';
comment on column ml.entry_predictions.hi_95 is 'Upper end of the 95 % interval.';
comment on column ml.entry_predictions.low_probability is 'Calibrated probability that the difficulty will be among the lowest third of the examples.';
comment on column ml.entry_predictions.medium_probability is 'Calibrated probability of the middle third.';
comment on column ml.entry_predictions.high_probability is 'Calibrated probability of the highest third.';
comment on column ml.entry_predictions.level is 'The most probable of the three.';
comment on column ml.entry_predictions.persistence_value is 'The difficulty of the last newcomers whose outcome is known; null where there were none.';
comment on column ml.entry_predictions.newcomer_count is 'How many these were.';
comment on column ml.entry_predictions.abstain_reason is 'Why the model abstained.';
comment on column ml.entry_predictions.run_id is 'The scoring job.';
comment on column ml.entry_predictions.predicted_at is 'When it was predicted.';

create view analytics.score_definitions_v1 as
select score_version, is_current, description, definition from ml.score_definitions;
comment on view analytics.score_definitions_v1 is 'Every published definition of the competition score.';
comment on column analytics.score_definitions_v1.score_version is 'Name of the version.';
comment on column analytics.score_definitions_v1.is_current is 'True for the version that keyword_data_v1 shows.';
comment on column analytics.score_definitions_v1.description is 'What the score means.';
comment on column analytics.score_definitions_v1.definition is 'Components with weight, source metric and the two bounds between which each grows from 0 to 1.';

create view analytics.competition_components_v1 as
select keywords.keyword_id, keywords.keyword_text, keywords.marketplace, keywords.market, scores.week_start_date,
       scores.score_version, definitions.is_current, scores.score, scores.level,
       (scores.components ->> 'entry')::double precision as entry,
       (scores.contributions ->> 'entry')::double precision as entry_contribution,
       (scores.components ->> 'supply')::double precision as supply,
       (scores.contributions ->> 'supply')::double precision as supply_contribution,
       (scores.components ->> 'incumbents')::double precision as incumbents,
       (scores.contributions ->> 'incumbents')::double precision as incumbents_contribution,
       (scores.components ->> 'concentration')::double precision as concentration,
       (scores.contributions ->> 'concentration')::double precision as concentration_contribution,
       (scores.components ->> 'stability')::double precision as stability,
       (scores.contributions ->> 'stability')::double precision as stability_contribution,
       (scores.components ->> 'relevance')::double precision as relevance,
       (scores.contributions ->> 'relevance')::double precision as relevance_contribution,
       (scores.components ->> 'promoted')::double precision as promoted,
       (scores.contributions ->> 'promoted')::double precision as promoted_contribution,
       scores.observed_at, scores.scored_at
from ml.competition_scores scores
join ml.score_definitions definitions using (score_version)
join core.keywords using (keyword_id)
where scores.scored_at <= core.as_of();
comment on view analytics.competition_components_v1 is 'The competition score of every keyword, week and version, with each component and what it adds; what they add sums to the score.';
comment on column analytics.competition_components_v1.keyword_id is 'The keyword.';
comment on column analytics.competition_components_v1.keyword_text is 'Normalised search term.';
comment on column analytics.competition_components_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.competition_components_v1.market is 'Country site.';
comment on column analytics.competition_components_v1.week_start_date is 'The Sunday on which the week begins.';
comment on column analytics.competition_components_v1.score_version is 'Definition by which it was computed.';
comment on column analytics.competition_components_v1.is_current is 'True for the version that keyword_data_v1 shows.';
comment on column analytics.competition_components_v1.score is '0 (easy) to 1 (hard); the sum of the contributions.';
comment on column analytics.competition_components_v1.level is 'low, medium or high by the cuts of the definition.';
comment on column analytics.competition_components_v1.entry is 'Component, 0 to 1: how few of the newcomers of the last eight weeks came up; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.entry_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.supply is 'Component, 0 to 1: how many listings match; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.supply_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.incumbents is 'Component, 0 to 1: how strong those on the page are; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.incumbents_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.concentration is 'Component, 0 to 1: how few sellers hold the page; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.concentration_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.stability is 'Component, 0 to 1: how little the page changed within four weeks; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.stability_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.relevance is 'Component, 0 to 1: how many titles hold the keyword; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.relevance_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.promoted is 'Component, 0 to 1: how many positions were paid for; null where the version or the marketplace has none, or for scores of before it was stored.';
comment on column analytics.competition_components_v1.promoted_contribution is 'What it adds to the score.';
comment on column analytics.competition_components_v1.observed_at is 'Moment of the search results page that was scored.';
comment on column analytics.competition_components_v1.scored_at is 'When it was computed.';

create view analytics.entry_predictions_v1 as
select predictions.entry_prediction_id, keywords.keyword_id, keywords.keyword_text, keywords.marketplace, keywords.market,
       predictions.as_of_date, predictions.cohort_start_date, predictions.outcome_date, predictions.predicted_value,
       predictions.lo_80, predictions.hi_80, predictions.lo_95, predictions.hi_95, predictions.low_probability,
       predictions.medium_probability, predictions.high_probability, predictions.level, predictions.persistence_value,
       predictions.newcomer_count, predictions.abstain_reason, models.version as model_version,
       models.feature_set_version, predictions.predicted_at,
       predictions.as_of_date = max(predictions.as_of_date) over (partition by predictions.keyword_id) as is_latest
from ml.entry_predictions predictions
join ml.entry_models models using (entry_model_id)
join core.keywords using (keyword_id)
where predictions.predicted_at <= core.as_of();
comment on view analytics.entry_predictions_v1 is 'How hard it will be for the newcomers of the next four weeks to come up among the results of a keyword, with the probability of each level.';
comment on column analytics.entry_predictions_v1.entry_prediction_id is 'Identifier.';
comment on column analytics.entry_predictions_v1.keyword_id is 'The keyword.';
comment on column analytics.entry_predictions_v1.keyword_text is 'Normalised search term.';
comment on column analytics.entry_predictions_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.entry_predictions_v1.market is 'Country site.';
comment on column analytics.entry_predictions_v1.as_of_date is 'Nothing known after this day was used.';
comment on column analytics.entry_predictions_v1.cohort_start_date is 'First day of the four weeks whose newcomers are meant.';
comment on column analytics.entry_predictions_v1.outcome_date is 'Last day of the eight weeks until which it is counted who came up.';
comment on column analytics.entry_predictions_v1.predicted_value is 'Difficulty, 0 (every newcomer comes up) to 1 (none does); null when the model abstained.';
comment on column analytics.entry_predictions_v1.lo_80 is 'Lower end of the 80 % interval.';
comment on column analytics.entry_predictions_v1.hi_80 is 'Upper end of the 80 % interval.';
comment on column analytics.entry_predictions_v1.lo_95 is 'Lower end of the 95 % interval.';
comment on column analytics.entry_predictions_v1.hi_95 is 'Upper end of the 95 % interval.';
comment on column analytics.entry_predictions_v1.low_probability is 'Calibrated probability that the difficulty will be among the lowest third of the examples.';
comment on column analytics.entry_predictions_v1.medium_probability is 'Calibrated probability of the middle third.';
comment on column analytics.entry_predictions_v1.high_probability is 'Calibrated probability of the highest third.';
comment on column analytics.entry_predictions_v1.level is 'The most probable of the three.';
comment on column analytics.entry_predictions_v1.persistence_value is 'The difficulty of the last newcomers whose outcome is known; null where there were none.';
comment on column analytics.entry_predictions_v1.newcomer_count is 'How many these were.';
comment on column analytics.entry_predictions_v1.abstain_reason is 'Why the model abstained.';
comment on column analytics.entry_predictions_v1.model_version is 'Version of the model, per marketplace.';
comment on column analytics.entry_predictions_v1.feature_set_version is 'Inputs it used.';
comment on column analytics.entry_predictions_v1.predicted_at is 'When it was predicted.';
comment on column analytics.entry_predictions_v1.is_latest is 'True for the newest scoring of a keyword.';

-- As before, but the score is that of the current definition.
create or replace view analytics.keyword_data_v1 as
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
    join ml.score_definitions definitions using (score_version)
    where definitions.is_current
      and scores.keyword_id = keywords.keyword_id and scores.scored_at <= core.as_of()
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
