-- Errors by keyword of what an entry model predicted, over its latest cohorts that were counted.
with scored as (
    select predictions.keyword_id, predictions.cohort_start_date, outcomes.error, outcomes.persistence_error
    from ml.entry_predictions predictions
    join ml.entry_outcomes outcomes using (entry_prediction_id)
    where predictions.entry_model_id = $1
      and outcomes.persistence_error is not null
      and not exists (
          select from ml.entry_outcomes later
          where later.entry_prediction_id = outcomes.entry_prediction_id and later.revision > outcomes.revision)
), cohorts as (
    select distinct cohort_start_date from scored order by cohort_start_date desc limit $2
)
select keyword_id,
       avg(abs(error)) as "error!",
       avg(abs(persistence_error)) as "persistence_error!",
       (select count(*) from cohorts) as "cohort_count!"
from scored
join cohorts using (cohort_start_date)
group by keyword_id
