-- Every list of predictions asks how earlier ones came true; to add up all outcomes each time took seconds per million.
create table ml.accuracy_summaries (
    summarised_at           timestamptz not null,
    marketplace             text        not null,
    target_kind             text        not null check (target_kind in ('demand', 'competition', 'entry')),
    target_metric           text        not null,
    horizon_days            integer     not null,
    history_class           text        not null,
    prediction_count        bigint      not null check (prediction_count > 0),
    keyword_count           bigint      not null check (keyword_count > 0),
    first_target_date       date        not null,
    last_target_date        date        not null,
    mean_scaled_error       double precision,
    naive_mean_scaled_error double precision,
    coverage_80             double precision,
    coverage_95             double precision,
    primary key (summarised_at, marketplace, target_kind, target_metric, horizon_days, history_class)
);
comment on table ml.accuracy_summaries is 'How well all predictions had come true at every look at them; analytics.prediction_accuracy_summary_v1 shows the latest.';
comment on column ml.accuracy_summaries.summarised_at is 'The look.';
comment on column ml.accuracy_summaries.marketplace is 'amazon, etsy or ebay.';
comment on column ml.accuracy_summaries.target_kind is 'demand, competition or entry.';
comment on column ml.accuracy_summaries.target_metric is 'The metric that was predicted.';
comment on column ml.accuracy_summaries.horizon_days is 'How far after the last observed week the predicted week was; of entry, until the newcomers were counted.';
comment on column ml.accuracy_summaries.history_class is 'By the observed weeks the predictions stood on; all of entry are in one.';
comment on column ml.accuracy_summaries.prediction_count is 'Predictions whose actual value was known.';
comment on column ml.accuracy_summaries.keyword_count is 'Keywords they were about.';
comment on column ml.accuracy_summaries.first_target_date is 'First day of the earliest week that was predicted.';
comment on column ml.accuracy_summaries.last_target_date is 'First day of the latest week that was predicted.';
comment on column ml.accuracy_summaries.mean_scaled_error is 'Mean of scaled_error; of entry, of the absolute error of difficulty.';
comment on column ml.accuracy_summaries.naive_mean_scaled_error is 'The same of seasonal naive, for the same predictions; of entry, of persistence.';
comment on column ml.accuracy_summaries.coverage_80 is 'Share of actual values inside the 80 % interval.';
comment on column ml.accuracy_summaries.coverage_95 is 'Share of actual values inside the 95 % interval.';

-- As the ledger does it from now on.
insert into ml.accuracy_summaries
select (select max(scored_at) from ml.prediction_outcomes), marketplace, target_kind, target_metric, horizon_days,
       history_class, prediction_count, keyword_count, first_target_date, last_target_date, mean_scaled_error,
       naive_mean_scaled_error, coverage_80, coverage_95
from analytics.prediction_accuracy_summary_v1;

create or replace view analytics.prediction_accuracy_summary_v1 as
select marketplace, target_kind, target_metric, horizon_days, history_class, prediction_count, keyword_count,
       first_target_date, last_target_date, mean_scaled_error, naive_mean_scaled_error,
       mean_scaled_error / nullif(naive_mean_scaled_error, 0) as error_ratio, coverage_80, coverage_95, summarised_at
from ml.accuracy_summaries
where summarised_at = (
    select max(latest.summarised_at) from ml.accuracy_summaries latest where latest.summarised_at <= core.as_of());
comment on view analytics.prediction_accuracy_summary_v1 is 'How well predictions came true, by marketplace, target, horizon and class of history, of all models that predicted, as of the latest look at them.';
comment on column analytics.prediction_accuracy_summary_v1.target_kind is 'demand, competition or entry.';
comment on column analytics.prediction_accuracy_summary_v1.horizon_days is 'How far after the last observed week the predicted week was; of entry, until the newcomers were counted.';
comment on column analytics.prediction_accuracy_summary_v1.history_class is 'By the observed weeks the predictions stood on; all of entry are in one.';
comment on column analytics.prediction_accuracy_summary_v1.mean_scaled_error is 'Mean of scaled_error; of entry, of the absolute error of difficulty.';
comment on column analytics.prediction_accuracy_summary_v1.naive_mean_scaled_error is 'The same of seasonal naive, for the same predictions; of entry, of persistence.';
comment on column analytics.prediction_accuracy_summary_v1.error_ratio is 'The first divided by the second; below 1 is better than naive.';
comment on column analytics.prediction_accuracy_summary_v1.summarised_at is 'The look at all outcomes known by then.';
