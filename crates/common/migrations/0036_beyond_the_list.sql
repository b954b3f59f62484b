-- A search term that falls off the marketplace's list is not one of which nothing came.

alter table ml.prediction_outcomes add column is_beyond boolean not null default false;
comment on column ml.prediction_outcomes.is_beyond is 'True where the search term was beyond the end of the week''s list: actual_value is that end, and the errors are the least they can be.';

create or replace view analytics.prediction_accuracy_v1 as
select predictions.prediction_id, predictions.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market as locale, predictions.target_kind, predictions.target_metric, predictions.unit,
       predictions.target_date, predictions.horizon_days, predictions.as_of_date, predictions.predicted_at,
       models.version as model_version, models.algorithm, predictions.trend_class, predictions.competition_level,
       ml.history_class(predictions.observation_count) as history_class,
       predictions.predicted_value, predictions.baseline_value, outcomes.actual_value, outcomes.error,
       abs(outcomes.error) as absolute_error, outcomes.scaled_error, outcomes.is_inside_80, outcomes.is_inside_95,
       outcomes.naive_error, outcomes.naive_scaled_error, outcomes.source_payload_ids, outcomes.revision,
       outcomes.scored_at, outcomes.is_beyond
from ml.prediction_outcomes outcomes
join ml.predictions using (prediction_id)
join core.keywords on keywords.keyword_id = predictions.keyword_id
join ml.model_versions models using (model_version_id)
where outcomes.scored_at <= core.as_of()
  and not exists (
      select from ml.prediction_outcomes later
      where later.prediction_id = outcomes.prediction_id and later.revision > outcomes.revision
        and later.scored_at <= core.as_of());
comment on column analytics.prediction_accuracy_v1.is_beyond is 'True where the search term was beyond the end of the week''s list: actual_value is that end, the errors are the least they can be, and an interval that reaches beyond it held.';
