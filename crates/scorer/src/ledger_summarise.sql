-- How well all predictions have come true by now.
insert into ml.accuracy_summaries
select $1::timestamptz, marketplace, target_kind, target_metric, horizon_days, history_class,
       count(*), count(distinct keyword_id), min(target_date), max(target_date), avg(scaled_error),
       avg(naive_scaled_error), avg(is_inside_80::integer)::double precision, avg(is_inside_95::integer)::double precision
from analytics.prediction_accuracy_v1
group by marketplace, target_kind, target_metric, horizon_days, history_class
union all
select $1::timestamptz, marketplace, 'entry', 'entry_difficulty', 56, 'all',
       count(*), count(distinct keyword_id), min(cohort_start_date), max(cohort_start_date),
       avg(absolute_error) filter (where persistence_error is not null), avg(abs(persistence_error)), avg(is_inside_80::integer)::double precision,
       avg(is_inside_95::integer)::double precision
from analytics.entry_accuracy_v1
group by marketplace
on conflict do nothing
