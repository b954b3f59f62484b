-- Predictions about some keywords whose eight weeks ended between two days, with what was counted of each last.
select predictions.entry_prediction_id as "entry_prediction_id!",
       predictions.entry_model_id as "entry_model_id!",
       said.keyword_id as "keyword_id!",
       predictions.cohort_start_date as "cohort_start_date!",
       predictions.predicted_value as "predicted_value!",
       predictions.lo_80 as "lo_80!", predictions.hi_80 as "hi_80!",
       predictions.lo_95 as "lo_95!", predictions.hi_95 as "hi_95!",
       predictions.persistence_value,
       coalesce(known.revision, 0) as "revision!",
       known.newcomer_count as "newcomer_count?",
       known.success_count as "success_count?"
-- What was predicted of a keyword that turned out to be this one was predicted of this one.
from core.said_of($1) said
join ml.entry_predictions predictions on predictions.keyword_id = said.said_keyword_id
left join lateral (
    select revision, newcomer_count, success_count from ml.entry_outcomes outcomes
    where outcomes.entry_prediction_id = predictions.entry_prediction_id
    order by revision desc
    limit 1
) known on true
where predictions.predicted_value is not null
  and predictions.outcome_date between $2 and $3
