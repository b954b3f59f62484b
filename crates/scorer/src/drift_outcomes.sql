-- Errors by keyword of what a champion predicted since it was promoted, and how much lay inside its intervals, over its latest
-- weeks that have outcomes.
with scored as (
    select predictions.keyword_id, predictions.target_date, outcomes.scaled_error, outcomes.naive_scaled_error,
           outcomes.is_inside_80, outcomes.is_inside_95
    from ml.predictions
    join ml.model_versions models using (model_version_id)
    join ml.prediction_outcomes outcomes using (prediction_id)
    where predictions.model_version_id = $1
      and not predictions.is_abstained
      -- What it predicted before it was taken back says nothing about what it predicts now.
      and predictions.predicted_at >= coalesce(models.promoted_at, models.trained_at)
      and outcomes.scaled_error is not null
      and outcomes.naive_scaled_error is not null
      and not exists (
          select from ml.prediction_outcomes later
          where later.prediction_id = outcomes.prediction_id and later.revision > outcomes.revision)
), weeks as (
    select distinct target_date from scored order by target_date desc limit $2
)
select keyword_id,
       avg(scaled_error) as "error!",
       avg(naive_scaled_error) as "naive_error!",
       avg(is_inside_80::integer)::double precision as inside_80,
       avg(is_inside_95::integer)::double precision as inside_95,
       (select count(*) from weeks) as "week_count!"
from scored
join weeks using (target_date)
group by keyword_id
