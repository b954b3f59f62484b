-- What came of predictions of entry: they are held against the count of the newcomers they meant.

create trigger entry_predictions_are_kept before update or delete or truncate on ml.entry_predictions
    for each statement execute function ops.refuse_change();

create table ml.entry_outcomes (
    entry_prediction_id bigint           not null references ml.entry_predictions,
    revision            integer          not null check (revision > 0),
    newcomer_count      integer          not null check (newcomer_count > 0),
    success_count       integer          not null check (success_count between 0 and newcomer_count),
    actual_value        double precision not null check (actual_value between 0 and 1),
    actual_level        text             not null check (actual_level in ('low', 'medium', 'high')),
    error               double precision not null,
    persistence_error   double precision,
    is_inside_80        boolean          not null,
    is_inside_95        boolean          not null,
    source_payload_ids  bigint[]         not null,
    scored_at           timestamptz      not null,
    primary key (entry_prediction_id, revision)
);
comment on table ml.entry_outcomes is 'What came of predictions of entry, only ever added. Fewer than five newcomers, or too few looks at the results, leave no outcome; what was corrected has another, and the highest revision counts.';
comment on column ml.entry_outcomes.entry_prediction_id is 'The prediction.';
comment on column ml.entry_outcomes.revision is 'Counts from 1 per prediction; pages that become known later may make another.';
comment on column ml.entry_outcomes.newcomer_count is 'Listings that were new among the results in the four weeks.';
comment on column ml.entry_outcomes.success_count is 'Those of them that stood at the top by the end of the eighth week.';
comment on column ml.entry_outcomes.actual_value is 'Difficulty: 1 less entry success, drawn towards what the model believed of the marketplace, as its examples are.';
comment on column ml.entry_outcomes.actual_level is 'low, medium or high by the cuts of the model.';
comment on column ml.entry_outcomes.error is 'The actual difficulty less the predicted one.';
comment on column ml.entry_outcomes.persistence_error is 'The actual difficulty less that of the newcomers before; null where there were none.';
comment on column ml.entry_outcomes.is_inside_80 is 'Whether the actual difficulty lies in the 80 % interval.';
comment on column ml.entry_outcomes.is_inside_95 is 'Whether the actual difficulty lies in the 95 % interval.';
comment on column ml.entry_outcomes.source_payload_ids is 'The pages by which newcomers were told and counted: of the eight weeks, and of the four before.';
comment on column ml.entry_outcomes.scored_at is 'When it was counted.';
create trigger entry_outcomes_are_kept before update or delete or truncate on ml.entry_outcomes
    for each statement execute function ops.refuse_change();
comment on column ml.entry_models.is_serving is 'True when its error on weeks kept aside was lower than that of persistence, until what came shows the contrary or it cannot be read; the latest such version predicts.';

create view analytics.entry_accuracy_v1 as
select predictions.entry_prediction_id, predictions.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market, predictions.as_of_date, predictions.cohort_start_date, predictions.outcome_date,
       models.version as model_version, predictions.predicted_value, predictions.level as predicted_level,
       case outcomes.actual_level when 'low' then predictions.low_probability
                                  when 'medium' then predictions.medium_probability
                                  else predictions.high_probability end as actual_level_probability,
       outcomes.newcomer_count, outcomes.success_count, outcomes.actual_value, outcomes.actual_level, outcomes.error,
       abs(outcomes.error) as absolute_error, outcomes.persistence_error, outcomes.is_inside_80, outcomes.is_inside_95,
       outcomes.source_payload_ids, outcomes.revision, outcomes.scored_at
from ml.entry_outcomes outcomes
join ml.entry_predictions predictions using (entry_prediction_id)
join ml.entry_models models using (entry_model_id)
join core.keywords on keywords.keyword_id = predictions.keyword_id
where outcomes.scored_at <= core.as_of()
  and not exists (
      select from ml.entry_outcomes later
      where later.entry_prediction_id = outcomes.entry_prediction_id and later.revision > outcomes.revision
        and later.scored_at <= core.as_of());
comment on view analytics.entry_accuracy_v1 is 'Each prediction of entry whose newcomers were counted: how hard it was for them, and how wrong the prediction and persistence were.';
comment on column analytics.entry_accuracy_v1.entry_prediction_id is 'Identifier, as in entry_predictions_v1.';
comment on column analytics.entry_accuracy_v1.keyword_id is 'The keyword.';
comment on column analytics.entry_accuracy_v1.keyword_text is 'Normalised search term.';
comment on column analytics.entry_accuracy_v1.marketplace is 'amazon, etsy or ebay.';
comment on column analytics.entry_accuracy_v1.market is 'Country site.';
comment on column analytics.entry_accuracy_v1.as_of_date is 'Nothing known after this day was used.';
comment on column analytics.entry_accuracy_v1.cohort_start_date is 'First day of the four weeks whose newcomers were meant.';
comment on column analytics.entry_accuracy_v1.outcome_date is 'Last day of the eight weeks until which it was counted who came up.';
comment on column analytics.entry_accuracy_v1.model_version is 'Version of the model, per marketplace.';
comment on column analytics.entry_accuracy_v1.predicted_value is 'Difficulty that was predicted.';
comment on column analytics.entry_accuracy_v1.predicted_level is 'The level that was the most probable one.';
comment on column analytics.entry_accuracy_v1.actual_level_probability is 'Probability that was given to the level that came.';
comment on column analytics.entry_accuracy_v1.newcomer_count is 'Newcomers of the four weeks.';
comment on column analytics.entry_accuracy_v1.success_count is 'Those of them that came up.';
comment on column analytics.entry_accuracy_v1.actual_value is 'Difficulty that was counted.';
comment on column analytics.entry_accuracy_v1.actual_level is 'Its level.';
comment on column analytics.entry_accuracy_v1.error is 'The actual difficulty less the predicted one.';
comment on column analytics.entry_accuracy_v1.absolute_error is 'The same without its sign.';
comment on column analytics.entry_accuracy_v1.persistence_error is 'The actual difficulty less that of the newcomers before; null where there were none.';
comment on column analytics.entry_accuracy_v1.is_inside_80 is 'Whether the actual difficulty lies in the 80 % interval.';
comment on column analytics.entry_accuracy_v1.is_inside_95 is 'Whether the actual difficulty lies in the 95 % interval.';
comment on column analytics.entry_accuracy_v1.source_payload_ids is 'The pages by which newcomers were told and counted.';
comment on column analytics.entry_accuracy_v1.revision is 'Above 1 where it was counted again.';
comment on column analytics.entry_accuracy_v1.scored_at is 'When it was counted.';
