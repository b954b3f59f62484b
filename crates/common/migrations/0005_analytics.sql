-- The weekly demand series of each marketplace, as raw as it comes: one row per payload that speaks of a week.
-- Who reads it takes, of several rows for one keyword and week, the one ingested last before the moment of interest.
create view core.weekly_demand as
-- Amazon says how the search term ranked among all in the week.
select keyword_id, period_start_date as week_start_date, metric, unit, value, value_status, status_reason,
       resource, observed_at, ingested_at, raw_payload_id
from core.keyword_observations
where metric = 'search_frequency_rank' and period_kind = 'week'
union all
-- eBay says how many bids the auctions on the page have drawn.
select keyword_id, (observed_at at time zone 'utc')::date - extract(dow from observed_at at time zone 'utc')::integer, metric, unit, value,
       value_status, status_reason, resource, observed_at, ingested_at, raw_payload_id
from core.keyword_observations
where metric = 'auction_bids'
union all
-- Etsy says how often each listing was viewed since it began: demand is what was gained between two samples,
-- the mean over the listings present in both, brought to seven days.
select keyword_id,
       (observed_at at time zone 'utc')::date - extract(dow from observed_at at time zone 'utc')::integer,
       'listing_views_per_week', 'views per listing and week',
       avg(gained * 7.0 / days)::double precision, 'observed', null,
       'listing_batch', observed_at, max(ingested_at), raw_payload_id
from (
    select payloads.keyword_id, samples.observed_at, samples.raw_payload_id,
           -- A difference is known when the later known of its two samples is.
           greatest(samples.ingested_at, lag(samples.ingested_at) over series) as ingested_at,
           samples.view_count - lag(samples.view_count) over series as gained,
           extract(epoch from samples.observed_at - lag(samples.observed_at) over series) / 86400 as days
    from core.listing_observations samples
    join raw.payloads payloads using (raw_payload_id)
    where payloads.resource = 'listing_batch' and samples.view_count is not null
    window series as (partition by payloads.keyword_id, samples.listing_id order by samples.observed_at)
) differences
where gained >= 0 and days >= 1
group by keyword_id, observed_at, raw_payload_id;

comment on view core.weekly_demand is 'Demand of a keyword week by week: the metric that its marketplace offers, true or a stated proxy.';
comment on column core.weekly_demand.keyword_id is 'The keyword.';
comment on column core.weekly_demand.week_start_date is 'The Sunday on which the week begins.';
comment on column core.weekly_demand.metric is 'search_frequency_rank (Amazon), listing_views_per_week (Etsy), auction_bids (eBay).';
comment on column core.weekly_demand.unit is 'Unit of the value.';
comment on column core.weekly_demand.value is 'The value, null when the status says there is none.';
comment on column core.weekly_demand.value_status is 'As in keyword_observations.';
comment on column core.weekly_demand.status_reason is 'Why there is no value.';
comment on column core.weekly_demand.resource is 'Resource that said so.';
comment on column core.weekly_demand.observed_at is 'When it was true in the world.';
comment on column core.weekly_demand.ingested_at is 'When it became known to this system.';
comment on column core.weekly_demand.raw_payload_id is 'The payload it was read from; for a difference, the later one.';

create view analytics.keyword_observations_v1 as
select observations.keyword_observation_id, observations.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market, observations.metric, observations.value, observations.unit, observations.value_status,
       observations.status_reason, observations.resource as source, observations.observed_at,
       observations.period_start_date, observations.period_end_date, observations.period_kind,
       observations.fetched_at, observations.ingested_at, observations.raw_payload_id,
       encode(payloads.content_sha256, 'hex') as payload_sha256, payloads.crawl_run_id
from core.keyword_observations observations
join core.keywords using (keyword_id)
join raw.payloads payloads using (raw_payload_id);
comment on view analytics.keyword_observations_v1 is 'Every observation with its period, its status and the hash of the answer it was read from.';

create view analytics.serp_entries_v1 as
select entries.keyword_id, keywords.keyword_text, keywords.marketplace, keywords.market, entries.observed_at,
       entries.position, entries.entry_kind, listings.marketplace_listing_id, listings.title, listings.seller,
       observations.price_amount, observations.price_currency, observations.favorite_count, observations.sales_rank,
       observations.bid_count, entries.raw_payload_id
from core.serp_entries entries
join core.keywords using (keyword_id)
join core.listings using (listing_id)
left join core.listing_observations observations using (raw_payload_id, listing_id);
comment on view analytics.serp_entries_v1 is 'Search results pages, position by position.';

create view analytics.collection_runs_v1 as
select runs.crawl_run_id, runs.trigger, runs.schedule_name, runs.scheduled_for, runs.marketplace, runs.market,
       runs.keyword_count, jobs.job_count, jobs.done_count, jobs.dead_count, jobs.discarded_count, jobs.open_count,
       jobs.request_count, payloads.payload_count, payloads.processed_count, payloads.quarantined_count,
       payloads.unread_count, payloads.observation_count, payloads.serp_entry_count, payloads.quarantined_row_count,
       jobs.first_started_at, jobs.last_finished_at
from ops.crawl_runs runs
cross join lateral (
    select count(*) as job_count,
           count(*) filter (where state = 'done') as done_count,
           count(*) filter (where state = 'dead') as dead_count,
           count(*) filter (where state = 'discarded') as discarded_count,
           count(*) filter (where state in ('ready', 'running')) as open_count,
           coalesce(sum(attempts.request_count), 0)::bigint as request_count,
           min(attempts.first_started_at) as first_started_at,
           max(jobs.finished_at) as last_finished_at
    from ops.jobs jobs
    left join lateral (
        select sum(tries.request_count) as request_count, min(tries.started_at) as first_started_at
        from ops.job_attempts tries where tries.job_id = jobs.job_id
    ) attempts on true
    where jobs.crawl_run_id = runs.crawl_run_id
) jobs
cross join lateral (
    select count(*) as payload_count,
           count(*) filter (where readings.outcome = 'processed') as processed_count,
           count(*) filter (where readings.outcome = 'quarantined') as quarantined_count,
           count(*) filter (where readings.outcome is null) as unread_count,
           coalesce(sum(readings.observation_count), 0)::bigint as observation_count,
           coalesce(sum(readings.serp_entry_count), 0)::bigint as serp_entry_count,
           coalesce(sum(readings.quarantined_row_count), 0)::bigint as quarantined_row_count
    from raw.payloads payloads
    left join raw.payload_readings readings using (raw_payload_id)
    where payloads.crawl_run_id = runs.crawl_run_id
) payloads;
comment on view analytics.collection_runs_v1 is 'Every crawl run with the sums of its jobs, requests and answers.';

create view analytics.keyword_predictions_v1 as
select predictions.prediction_id, predictions.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market as locale, predictions.target_kind, predictions.target_metric, predictions.target_date,
       predictions.horizon_days, predictions.current_value, predictions.predicted_value, predictions.lo_80,
       predictions.hi_80, predictions.lo_95, predictions.hi_95, predictions.unit, predictions.baseline_value,
       predictions.trend_class, predictions.competition_level, predictions.is_abstained, predictions.abstain_reason,
       predictions.as_of_date, predictions.predicted_at, predictions.run_id, models.model_name,
       models.version as model_version, predictions.feature_set_version, predictions.score_version,
       predictions.observation_count, predictions.first_observed_date, predictions.last_observed_date,
       predictions.source_list, predictions.data_quality_score,
       predictions.predicted_at = max(predictions.predicted_at)
           over (partition by predictions.keyword_id, predictions.target_kind) as is_latest
from ml.predictions predictions
join core.keywords using (keyword_id)
join ml.model_versions models using (model_version_id);
comment on view analytics.keyword_predictions_v1 is 'Predictions of demand and competition with interval, baseline and origin; is_latest marks the newest scoring of a keyword and target.';

create view analytics.keyword_data_v1 as
with demand as (
    select distinct on (keyword_id, week_start_date) *
    from core.weekly_demand
    order by keyword_id, week_start_date, ingested_at desc
), trend as (
    select keyword_id,
           jsonb_agg(jsonb_build_object('week_start_date', week_start_date, 'metric', metric, 'value', value,
                                        'unit', unit, 'value_status', value_status) order by week_start_date) as weeks,
           string_agg(distinct resource, ',') as source,
           bool_or(value is not null) as has_value,
           max(observed_at) as last_observed_at
    from demand
    group by keyword_id
), competition as (
    select distinct on (keyword_id) keyword_id, score, score_version, scored_at, observed_at
    from ml.competition_scores
    order by keyword_id, week_start_date desc, scored_at desc
), latest as (
    select keyword_id, max(observed_at) as observed_at
    from core.keyword_observations
    group by keyword_id
)
select keywords.keyword_text as keyword,
       keywords.marketplace as platform,
       null::double precision as search_volume,
       competition.score as competition,
       null::numeric as cpc,
       trend.weeks as trend_data,
       greatest(latest.observed_at, trend.last_observed_at) as last_updated,
       keywords.market,
       keywords.keyword_id,
       'unavailable'::text as search_volume_status,
       case keywords.marketplace
           when 'amazon' then 'the search terms report gives a rank, not a count'
           else 'the marketplace gives no number of searches'
       end as search_volume_source,
       case when competition.score is null then 'pending' else 'estimated' end as competition_status,
       competition.score_version as competition_source,
       'unavailable'::text as cpc_status,
       'no source of bids is connected'::text as cpc_source,
       case when trend.has_value then 'observed' when trend.weeks is null then 'pending' else 'unavailable' end as trend_data_status,
       trend.source as trend_data_source
from core.keywords
left join trend using (keyword_id)
left join competition using (keyword_id)
left join latest using (keyword_id);
comment on view analytics.keyword_data_v1 is 'One row per keyword and market: the latest of everything, with the status and source of each value.';

comment on column analytics.keyword_observations_v1.keyword_observation_id is 'Identifier.';
comment on column analytics.keyword_observations_v1.keyword_id is 'The keyword.';
comment on column analytics.keyword_observations_v1.keyword_text is 'Its normalised text.';
comment on column analytics.keyword_observations_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.keyword_observations_v1.market is 'Country site.';
comment on column analytics.keyword_observations_v1.metric is 'What was measured.';
comment on column analytics.keyword_observations_v1.value is 'The value; null exactly when value_status says there is none.';
comment on column analytics.keyword_observations_v1.unit is 'Unit of the value.';
comment on column analytics.keyword_observations_v1.value_status is 'observed, estimated and imputed carry a value; every other status carries none.';
comment on column analytics.keyword_observations_v1.status_reason is 'Why there is no value.';
comment on column analytics.keyword_observations_v1.source is 'Resource of the marketplace that said so.';
comment on column analytics.keyword_observations_v1.observed_at is 'When it was true in the world.';
comment on column analytics.keyword_observations_v1.period_start_date is 'First day of the period it is about.';
comment on column analytics.keyword_observations_v1.period_end_date is 'Last day of the period it is about.';
comment on column analytics.keyword_observations_v1.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month or quarter.';
comment on column analytics.keyword_observations_v1.fetched_at is 'When the answer arrived.';
comment on column analytics.keyword_observations_v1.ingested_at is 'When it became known to this system.';
comment on column analytics.keyword_observations_v1.raw_payload_id is 'The answer it was read from.';
comment on column analytics.keyword_observations_v1.payload_sha256 is 'SHA-256 of that answer, hexadecimal.';
comment on column analytics.keyword_observations_v1.crawl_run_id is 'The crawl run that asked.';

comment on column analytics.serp_entries_v1.keyword_id is 'The keyword searched for.';
comment on column analytics.serp_entries_v1.keyword_text is 'Its normalised text.';
comment on column analytics.serp_entries_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.serp_entries_v1.market is 'Country site.';
comment on column analytics.serp_entries_v1.observed_at is 'When the page was shown.';
comment on column analytics.serp_entries_v1.position is 'Position over all pages of the result, from 1.';
comment on column analytics.serp_entries_v1.entry_kind is 'organic or sponsored.';
comment on column analytics.serp_entries_v1.marketplace_listing_id is 'ASIN, listing id or item id.';
comment on column analytics.serp_entries_v1.title is 'Title as last seen.';
comment on column analytics.serp_entries_v1.seller is 'Shop or seller, where the marketplace names it.';
comment on column analytics.serp_entries_v1.price_amount is 'Price, exact decimal; for an auction the current bid.';
comment on column analytics.serp_entries_v1.price_currency is 'ISO 4217 code.';
comment on column analytics.serp_entries_v1.favorite_count is 'Favourites at the moment.';
comment on column analytics.serp_entries_v1.sales_rank is 'Best sales rank at the moment.';
comment on column analytics.serp_entries_v1.bid_count is 'Bids at the moment, on an auction.';
comment on column analytics.serp_entries_v1.raw_payload_id is 'The answer that is the page.';

comment on column analytics.collection_runs_v1.crawl_run_id is 'The run.';
comment on column analytics.collection_runs_v1.trigger is 'schedule, manual or recording.';
comment on column analytics.collection_runs_v1.schedule_name is 'The schedule that started it.';
comment on column analytics.collection_runs_v1.scheduled_for is 'The moment for which it collects.';
comment on column analytics.collection_runs_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.collection_runs_v1.market is 'Country site.';
comment on column analytics.collection_runs_v1.keyword_count is 'Keywords it covers, known once planned.';
comment on column analytics.collection_runs_v1.job_count is 'Its jobs.';
comment on column analytics.collection_runs_v1.done_count is 'Jobs that were done.';
comment on column analytics.collection_runs_v1.dead_count is 'Jobs that were given up.';
comment on column analytics.collection_runs_v1.discarded_count is 'Jobs that an operator ended.';
comment on column analytics.collection_runs_v1.open_count is 'Jobs that wait or run.';
comment on column analytics.collection_runs_v1.request_count is 'Requests sent, tokens included.';
comment on column analytics.collection_runs_v1.payload_count is 'Answers stored.';
comment on column analytics.collection_runs_v1.processed_count is 'Answers read.';
comment on column analytics.collection_runs_v1.quarantined_count is 'Answers set aside whole.';
comment on column analytics.collection_runs_v1.unread_count is 'Answers not read yet.';
comment on column analytics.collection_runs_v1.observation_count is 'Keyword observations read.';
comment on column analytics.collection_runs_v1.serp_entry_count is 'SERP entries read.';
comment on column analytics.collection_runs_v1.quarantined_row_count is 'Rows set aside while the rest of their answer was kept.';
comment on column analytics.collection_runs_v1.first_started_at is 'When the first job began.';
comment on column analytics.collection_runs_v1.last_finished_at is 'When the last ended job ended.';

comment on column analytics.keyword_predictions_v1.prediction_id is 'Identifier.';
comment on column analytics.keyword_predictions_v1.keyword_id is 'The keyword.';
comment on column analytics.keyword_predictions_v1.keyword_text is 'Its normalised text.';
comment on column analytics.keyword_predictions_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.keyword_predictions_v1.locale is 'Country site.';
comment on column analytics.keyword_predictions_v1.target_kind is 'demand or competition.';
comment on column analytics.keyword_predictions_v1.target_metric is 'The metric that is predicted.';
comment on column analytics.keyword_predictions_v1.target_date is 'First day of the week that is predicted.';
comment on column analytics.keyword_predictions_v1.horizon_days is 'How far after the last observed week that is.';
comment on column analytics.keyword_predictions_v1.current_value is 'The last observed value.';
comment on column analytics.keyword_predictions_v1.predicted_value is 'The prediction; null when the model abstained.';
comment on column analytics.keyword_predictions_v1.lo_80 is 'Lower end of the 80 % interval.';
comment on column analytics.keyword_predictions_v1.hi_80 is 'Upper end of the 80 % interval.';
comment on column analytics.keyword_predictions_v1.lo_95 is 'Lower end of the 95 % interval.';
comment on column analytics.keyword_predictions_v1.hi_95 is 'Upper end of the 95 % interval.';
comment on column analytics.keyword_predictions_v1.unit is 'Unit of the values.';
comment on column analytics.keyword_predictions_v1.baseline_value is 'What seasonal naive says.';
comment on column analytics.keyword_predictions_v1.trend_class is 'rising, stable, falling or unknown; for demand.';
comment on column analytics.keyword_predictions_v1.competition_level is 'low, medium or high; for competition.';
comment on column analytics.keyword_predictions_v1.is_abstained is 'True when the history cannot carry a prediction.';
comment on column analytics.keyword_predictions_v1.abstain_reason is 'Why not.';
comment on column analytics.keyword_predictions_v1.as_of_date is 'Nothing known after this day was used.';
comment on column analytics.keyword_predictions_v1.predicted_at is 'When it was predicted.';
comment on column analytics.keyword_predictions_v1.run_id is 'The scoring job.';
comment on column analytics.keyword_predictions_v1.model_name is 'demand or competition.';
comment on column analytics.keyword_predictions_v1.model_version is 'Version of the model.';
comment on column analytics.keyword_predictions_v1.feature_set_version is 'Inputs the model used.';
comment on column analytics.keyword_predictions_v1.score_version is 'Definition of the competition score, where that is predicted.';
comment on column analytics.keyword_predictions_v1.observation_count is 'Observed weeks the prediction stands on.';
comment on column analytics.keyword_predictions_v1.first_observed_date is 'First of them.';
comment on column analytics.keyword_predictions_v1.last_observed_date is 'Last of them.';
comment on column analytics.keyword_predictions_v1.source_list is 'Resources the observations came from.';
comment on column analytics.keyword_predictions_v1.data_quality_score is 'Share of the weeks that have an observation, 0 to 1.';
comment on column analytics.keyword_predictions_v1.is_latest is 'True for the newest scoring of the keyword and target.';

comment on column analytics.keyword_data_v1.keyword is 'Normalised search term.';
comment on column analytics.keyword_data_v1.platform is 'amazon, etsy or ebay.';
comment on column analytics.keyword_data_v1.search_volume is 'Number of searches, where a marketplace gives one; never an estimate.';
comment on column analytics.keyword_data_v1.competition is 'Competition score of the latest scored week, 0 (easy) to 1 (hard).';
comment on column analytics.keyword_data_v1.cpc is 'Cost per click, where a source of bids is connected.';
comment on column analytics.keyword_data_v1.trend_data is 'Weekly demand, an array of week_start_date, metric, value, unit, value_status.';
comment on column analytics.keyword_data_v1.last_updated is 'When the latest of the values was true.';
comment on column analytics.keyword_data_v1.market is 'Country site.';
comment on column analytics.keyword_data_v1.keyword_id is 'Identifier.';
comment on column analytics.keyword_data_v1.search_volume_status is 'As value_status of observations.';
comment on column analytics.keyword_data_v1.search_volume_source is 'Source, or why there is none.';
comment on column analytics.keyword_data_v1.competition_status is 'estimated: computed by a published formula; pending: not scored yet.';
comment on column analytics.keyword_data_v1.competition_source is 'Version of the formula.';
comment on column analytics.keyword_data_v1.cpc_status is 'As value_status of observations.';
comment on column analytics.keyword_data_v1.cpc_source is 'Source, or why there is none.';
comment on column analytics.keyword_data_v1.trend_data_status is 'As value_status of observations.';
comment on column analytics.keyword_data_v1.trend_data_source is 'Resource of the marketplace.';
