-- $1 to $3 say what was predicted; the arrays hold one element per keyword and week with an actual value.
select actuals.keyword_id as "keyword_id!",
       actuals.target_date as "target_date!",
       actuals.actual_value as "actual_value!",
       actuals.is_beyond as "is_beyond!",
       predictions.prediction_id,
       coalesce(known.revision, 0) + 1 as "revision!",
       predictions.predicted_value as "predicted_value!",
       predictions.baseline_value, predictions.lo_80, predictions.hi_80, predictions.lo_95, predictions.hi_95,
       predictions.error_scale
from unnest($4::bigint[], $5::date[], $6::double precision[], $7::boolean[])
    as actuals (keyword_id, target_date, actual_value, is_beyond)
-- What was predicted of a keyword that turned out to be this one was predicted of this one.
cross join core.said_of(array[actuals.keyword_id]) said
join ml.predictions
    on predictions.keyword_id = said.said_keyword_id and predictions.target_date = actuals.target_date
left join lateral (
    select revision, actual_value, is_beyond from ml.prediction_outcomes outcomes
    where outcomes.prediction_id = predictions.prediction_id
    order by revision desc
    limit 1
) known on true
where not predictions.is_abstained
  and predictions.target_kind = $1
  and predictions.target_metric = $2
  -- A score by another formula is another quantity.
  and predictions.score_version is not distinct from $3
  and (known.actual_value is distinct from actuals.actual_value or known.is_beyond is distinct from actuals.is_beyond)
