-- A keyword whose source may not train a model has no model that could have predicted it.
alter table ml.predictions
    alter column model_version_id drop not null,
    add constraint a_prediction_has_a_model check (model_version_id is not null or is_abstained);
create unique index predictions_without_model
    on ml.predictions (keyword_id, target_kind, as_of_date, horizon_days, run_id) where model_version_id is null;
comment on column ml.predictions.model_version_id is 'The model that predicted; null when the terms of the source allow none.';

create or replace view analytics.keyword_predictions_v1 as
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
left join ml.model_versions models using (model_version_id);
comment on column analytics.keyword_predictions_v1.model_name is 'demand or competition; null when the terms of the source allow no model.';
comment on column analytics.keyword_predictions_v1.model_version is 'Version of the model; null when the terms of the source allow none.';

-- Listings go before the keywords' demand that was derived from them: what a purge would take from the view is stored as
-- an observation first, and the view says the same afterwards.
create or replace view core.weekly_demand as
-- Amazon says how the search term ranked among all in the week.
select keyword_id, period_start_date as week_start_date, metric, unit, value, value_status, status_reason,
       resource, observed_at, ingested_at, raw_payload_id
from core.keyword_observations
where metric = 'search_frequency_rank' and period_kind = 'week'
union all
-- eBay says how many bids the auctions on the page have drawn. Etsy's differences stand here once their listings are purged.
select keyword_id, (observed_at at time zone 'utc')::date - extract(dow from observed_at at time zone 'utc')::integer, metric, unit, value,
       value_status, status_reason, resource, observed_at, ingested_at, raw_payload_id
from core.keyword_observations
where metric in ('auction_bids', 'listing_views_per_week')
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
  and not exists (
      select from core.keyword_observations stored
      where stored.raw_payload_id = differences.raw_payload_id and stored.keyword_id = differences.keyword_id
        and stored.metric = 'listing_views_per_week')
group by keyword_id, observed_at, raw_payload_id;

create index payloads_with_body on raw.payloads (marketplace, fetched_at) where purged_at is null;
comment on column raw.quarantined_rows.row_text is 'The row as it stands in the payload, cut at 4,000 characters; empty once the payload is purged.';
comment on table raw.payloads is 'The body of an answer, verbatim, with the request that brought it. Never changed, but for the purge that takes the body away.';
comment on table core.listings is 'Offer pages of the marketplaces, as last seen; what was said of one is purged when it was not seen for as long as its marketplace allows.';
