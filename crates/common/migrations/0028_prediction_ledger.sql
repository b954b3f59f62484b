-- A prediction is never changed. When the week it is about is over and observed, an outcome is added: what came, and how
-- wrong the prediction was.
alter table ml.predictions
    add column error_scale double precision check (error_scale > 0);
comment on column ml.predictions.error_scale is 'Mean absolute weekly change of the history that was known, on the scale of the models: the unit of scaled errors. Null when the model abstained, and where it was not kept yet.';
create index predictions_by_target on ml.predictions (keyword_id, target_kind, target_date) where not is_abstained;
create index predictions_by_model on ml.predictions (model_version_id, target_date) where not is_abstained;
create trigger predictions_are_kept before update or delete or truncate on ml.predictions
    for each statement execute function ops.refuse_change();

create table ml.prediction_outcomes (
    prediction_id      bigint           not null references ml.predictions,
    revision           integer          not null check (revision > 0),
    actual_value       double precision not null,
    error              double precision not null,
    scaled_error       double precision check (scaled_error >= 0),
    is_inside_80       boolean,
    is_inside_95       boolean,
    naive_error        double precision,
    naive_scaled_error double precision check (naive_scaled_error >= 0),
    source_payload_ids bigint[]         not null,
    scored_at          timestamptz      not null,
    primary key (prediction_id, revision)
);
comment on table ml.prediction_outcomes is 'What came of predictions, only ever added. A prediction whose week has no value has no outcome; one whose actual value was corrected has another, and the highest revision counts.';
comment on column ml.prediction_outcomes.prediction_id is 'The prediction.';
comment on column ml.prediction_outcomes.revision is 'Counts from 1 per prediction; a corrected actual value makes another.';
comment on column ml.prediction_outcomes.actual_value is 'What came, read as the series are from which models learn.';
comment on column ml.prediction_outcomes.error is 'The actual value less the prediction, in the unit of the metric.';
comment on column ml.prediction_outcomes.scaled_error is 'Distance of both on the scale of the models, in mean absolute weekly changes, as in the backtest; null where the prediction kept no error_scale.';
comment on column ml.prediction_outcomes.is_inside_80 is 'Whether the actual value lies in the 80 % interval; null where the prediction had none.';
comment on column ml.prediction_outcomes.is_inside_95 is 'Whether the actual value lies in the 95 % interval; null where the prediction had none.';
comment on column ml.prediction_outcomes.naive_error is 'The actual value less what seasonal naive said.';
comment on column ml.prediction_outcomes.naive_scaled_error is 'Scaled error of what seasonal naive said.';
comment on column ml.prediction_outcomes.source_payload_ids is 'Payloads whose observations of the keyword, metric and week are the actual value.';
comment on column ml.prediction_outcomes.scored_at is 'When it was computed.';
create trigger prediction_outcomes_are_kept before update or delete or truncate on ml.prediction_outcomes
    for each statement execute function ops.refuse_change();

create function ml.history_class(observation_count integer) returns text language sql immutable
return case when observation_count < 8 then 'under_8_weeks'
            when observation_count < 52 then '8_to_51_weeks'
            when observation_count < 104 then '52_to_103_weeks'
            else '104_weeks_or_more' end;
comment on function ml.history_class is 'Class of a history by its observed weeks: accuracy is told by it.';

create view analytics.prediction_accuracy_v1 as
select predictions.prediction_id, predictions.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market as locale, predictions.target_kind, predictions.target_metric, predictions.unit,
       predictions.target_date, predictions.horizon_days, predictions.as_of_date, predictions.predicted_at,
       models.version as model_version, models.algorithm, predictions.trend_class, predictions.competition_level,
       ml.history_class(predictions.observation_count) as history_class,
       predictions.predicted_value, predictions.baseline_value, outcomes.actual_value, outcomes.error,
       abs(outcomes.error) as absolute_error, outcomes.scaled_error, outcomes.is_inside_80, outcomes.is_inside_95,
       outcomes.naive_error, outcomes.naive_scaled_error, outcomes.source_payload_ids, outcomes.revision,
       outcomes.scored_at
from ml.prediction_outcomes outcomes
join ml.predictions using (prediction_id)
join core.keywords on keywords.keyword_id = predictions.keyword_id
join ml.model_versions models using (model_version_id)
where outcomes.scored_at <= core.as_of()
  and not exists (
      select from ml.prediction_outcomes later
      where later.prediction_id = outcomes.prediction_id and later.revision > outcomes.revision
        and later.scored_at <= core.as_of());
comment on view analytics.prediction_accuracy_v1 is 'Each prediction whose actual value is known: what came, how wrong the prediction was, and how wrong seasonal naive.';
comment on column analytics.prediction_accuracy_v1.prediction_id is 'Identifier, as in keyword_predictions_v1.';
comment on column analytics.prediction_accuracy_v1.keyword_id is 'The keyword.';
comment on column analytics.prediction_accuracy_v1.keyword_text is 'Its normalised text.';
comment on column analytics.prediction_accuracy_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.prediction_accuracy_v1.locale is 'Country site.';
comment on column analytics.prediction_accuracy_v1.target_kind is 'demand or competition.';
comment on column analytics.prediction_accuracy_v1.target_metric is 'The metric that was predicted.';
comment on column analytics.prediction_accuracy_v1.unit is 'Unit of the values and of error, absolute_error and naive_error.';
comment on column analytics.prediction_accuracy_v1.target_date is 'First day of the week that was predicted.';
comment on column analytics.prediction_accuracy_v1.horizon_days is 'How far after the last observed week that was.';
comment on column analytics.prediction_accuracy_v1.as_of_date is 'Nothing known after this day was used.';
comment on column analytics.prediction_accuracy_v1.predicted_at is 'When it was predicted.';
comment on column analytics.prediction_accuracy_v1.model_version is 'Version of the model.';
comment on column analytics.prediction_accuracy_v1.algorithm is 'What was fitted.';
comment on column analytics.prediction_accuracy_v1.trend_class is 'Direction of demand that was predicted.';
comment on column analytics.prediction_accuracy_v1.competition_level is 'Level of competition that was predicted.';
comment on column analytics.prediction_accuracy_v1.history_class is 'By the observed weeks the prediction stood on: under_8_weeks, 8_to_51_weeks, 52_to_103_weeks or 104_weeks_or_more.';
comment on column analytics.prediction_accuracy_v1.predicted_value is 'The prediction.';
comment on column analytics.prediction_accuracy_v1.baseline_value is 'What seasonal naive said.';
comment on column analytics.prediction_accuracy_v1.actual_value is 'What came.';
comment on column analytics.prediction_accuracy_v1.error is 'The actual value less the prediction.';
comment on column analytics.prediction_accuracy_v1.absolute_error is 'The same without its sign.';
comment on column analytics.prediction_accuracy_v1.scaled_error is 'Error in mean absolute weekly changes of the history that was known, on the scale of the models; as in the backtest.';
comment on column analytics.prediction_accuracy_v1.is_inside_80 is 'Whether the actual value lies in the 80 % interval; null where there was none.';
comment on column analytics.prediction_accuracy_v1.is_inside_95 is 'Whether the actual value lies in the 95 % interval; null where there was none.';
comment on column analytics.prediction_accuracy_v1.naive_error is 'The actual value less what seasonal naive said.';
comment on column analytics.prediction_accuracy_v1.naive_scaled_error is 'Scaled error of what seasonal naive said.';
comment on column analytics.prediction_accuracy_v1.source_payload_ids is 'Payloads from which the actual value was read.';
comment on column analytics.prediction_accuracy_v1.revision is 'Above 1 where the actual value was corrected.';
comment on column analytics.prediction_accuracy_v1.scored_at is 'When prediction and actual value were compared.';

create view analytics.prediction_accuracy_summary_v1 as
select marketplace, target_kind, target_metric, horizon_days, history_class,
       count(*) as prediction_count,
       count(distinct keyword_id) as keyword_count,
       min(target_date) as first_target_date,
       max(target_date) as last_target_date,
       avg(scaled_error) as mean_scaled_error,
       avg(naive_scaled_error) as naive_mean_scaled_error,
       avg(scaled_error) / nullif(avg(naive_scaled_error), 0) as error_ratio,
       avg(is_inside_80::integer)::double precision as coverage_80,
       avg(is_inside_95::integer)::double precision as coverage_95
from analytics.prediction_accuracy_v1
group by marketplace, target_kind, target_metric, horizon_days, history_class;
comment on view analytics.prediction_accuracy_summary_v1 is 'How well predictions came true, by marketplace, target, horizon and class of history, of all models that predicted.';
comment on column analytics.prediction_accuracy_summary_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.prediction_accuracy_summary_v1.target_kind is 'demand or competition.';
comment on column analytics.prediction_accuracy_summary_v1.target_metric is 'The metric that was predicted.';
comment on column analytics.prediction_accuracy_summary_v1.horizon_days is 'How far after the last observed week the predicted week was.';
comment on column analytics.prediction_accuracy_summary_v1.history_class is 'By the observed weeks the predictions stood on.';
comment on column analytics.prediction_accuracy_summary_v1.prediction_count is 'Predictions whose actual value is known.';
comment on column analytics.prediction_accuracy_summary_v1.keyword_count is 'Keywords they are about.';
comment on column analytics.prediction_accuracy_summary_v1.first_target_date is 'First day of the earliest week that was predicted.';
comment on column analytics.prediction_accuracy_summary_v1.last_target_date is 'First day of the latest week that was predicted.';
comment on column analytics.prediction_accuracy_summary_v1.mean_scaled_error is 'Mean of scaled_error.';
comment on column analytics.prediction_accuracy_summary_v1.naive_mean_scaled_error is 'The same of seasonal naive, for the same predictions.';
comment on column analytics.prediction_accuracy_summary_v1.error_ratio is 'The first divided by the second; below 1 is better than seasonal naive.';
comment on column analytics.prediction_accuracy_summary_v1.coverage_80 is 'Share of actual values inside the 80 % interval.';
comment on column analytics.prediction_accuracy_summary_v1.coverage_95 is 'Share of actual values inside the 95 % interval.';

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
           over (partition by predictions.keyword_id, predictions.target_kind) as is_latest,
       ml.history_class(predictions.observation_count) as history_class
from ml.predictions predictions
join core.keywords using (keyword_id)
left join ml.model_versions models using (model_version_id);
comment on column analytics.keyword_predictions_v1.history_class is 'By the observed weeks the prediction stands on; with marketplace, target_kind and horizon_days it leads to prediction_accuracy_summary_v1.';

-- Which version predicts, why, and what each was made from.
alter table ml.model_versions
    drop constraint model_versions_state_check,
    add constraint model_versions_state_check check (state in ('candidate', 'champion', 'retired', 'demoted')),
    add column parent_model_version_id bigint references ml.model_versions,
    add column training_first_date date,
    add column training_last_date date,
    add column training_licence jsonb,
    add column decision jsonb,
    add column promoted_at timestamptz;
update ml.model_versions set promoted_at = trained_at where state in ('champion', 'retired');
comment on column ml.model_versions.state is 'candidate, champion (the one that predicts), retired (a better one took its place) or demoted (it fell behind, was damaged or was rolled back).';
comment on column ml.model_versions.parent_model_version_id is 'The champion that it was held against when it was trained; null for the first.';
comment on column ml.model_versions.training_first_date is 'First day of the first week it was fitted on; null where it was not kept yet.';
comment on column ml.model_versions.training_last_date is 'First day of the last week it was fitted on; null where it was not kept yet.';
comment on column ml.model_versions.training_licence is 'What allowed its data to train it: the policy of the marketplace, the acknowledged terms, and the resources it learnt from.';
comment on column ml.model_versions.decision is 'Whether it was to be champion after its training, why, and by which comparisons.';
comment on column ml.model_versions.promoted_at is 'When it became champion last; null for what never was.';
comment on table ops.audit_events is 'What was decided, by people or by the program, only ever added: acknowledged terms, policies, pauses, applied plans, which model predicts.';
