-- Files that users bring: a run of their own kind, periods of their own, and their word on whether models may learn.
alter table ops.crawl_runs
    drop constraint crawl_runs_trigger_check,
    add constraint crawl_runs_trigger_check
        check (trigger in ('schedule', 'manual', 'recording', 'plan', 'backfill', 'import'));
comment on column ops.crawl_runs.trigger is 'What started it: a schedule, an operator, a plan, a backfill, recorded answers that were brought in, or a file of the user''s.';
comment on column analytics.collection_runs_v1.trigger is 'schedule, manual, plan, backfill, recording or import.';

alter table raw.payloads add column may_train boolean not null default true;
comment on column raw.payloads.may_train is 'False when the user who brought the file said that nothing may learn from it; what marketplaces answered follows ops.source_policies besides.';
comment on table raw.payloads is 'The body of an answer or of a user''s file, verbatim, with the request that brought it. Never changed, but for the purge that takes the body of an answer away.';

alter table core.keyword_observations
    drop constraint keyword_observations_period_kind_check,
    add constraint keyword_observations_period_kind_check
        check (period_kind in ('instant', 'day', 'week', 'month', 'quarter', 'trailing_90_days', 'span')),
    add constraint a_day_is_one_day check (period_kind <> 'day' or period_end_date = period_start_date),
    add constraint a_month_is_a_month_of_the_calendar check (period_kind <> 'month'
        or (extract(day from period_start_date) = 1
            and period_end_date = (period_start_date + interval '1 month - 1 day')::date)),
    add constraint a_quarter_is_a_quarter_of_the_calendar check (period_kind <> 'quarter'
        or (extract(day from period_start_date) = 1 and extract(month from period_start_date) in (1, 4, 7, 10)
            and period_end_date = (period_start_date + interval '3 months - 1 day')::date));
comment on column core.keyword_observations.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month, quarter, trailing_90_days or span (any other stretch of days).';
comment on column analytics.keyword_observations_v1.period_kind is 'instant (a sample), day, week (Sunday to Saturday), month, quarter, trailing_90_days or span (any other stretch of days).';

create table ml.volume_calibrations (
    volume_calibration_id  bigint           generated always as identity primary key,
    marketplace            text             not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market                 text             not null,
    truth_metric           text             not null,
    proxy_metric           text             not null,
    period_kind            text             not null check (period_kind in ('week', 'month')),
    version                integer          not null check (version >= 1),
    method                 text             not null,
    intercept              double precision not null,
    slope                  double precision not null,
    factor_lo_80           double precision not null check (factor_lo_80 > 0),
    factor_hi_80           double precision not null check (factor_hi_80 >= factor_lo_80),
    proxy_min              double precision not null check (proxy_min > 0),
    proxy_max              double precision not null check (proxy_max >= proxy_min),
    pair_count             integer          not null check (pair_count > 0),
    keyword_count          integer          not null check (keyword_count > 0),
    median_percentage_error double precision not null check (median_percentage_error >= 0),
    mean_log_error         double precision not null check (mean_log_error >= 0),
    coverage_80            double precision not null check (coverage_80 between 0 and 1),
    as_of                  timestamptz      not null,
    fitted_at              timestamptz      not null,
    data_fingerprint       bytea            not null check (octet_length(data_fingerprint) = 32),
    unique (marketplace, market, truth_metric, period_kind, version)
);
comment on table ml.volume_calibrations is 'How a number of searches follows from a rank or another proxy, learnt from the user''s own truth; the highest version is in force. Only ever added.';
comment on column ml.volume_calibrations.volume_calibration_id is 'Identifier.';
comment on column ml.volume_calibrations.marketplace is 'Marketplace whose proxy it reads.';
comment on column ml.volume_calibrations.market is 'Country site.';
comment on column ml.volume_calibrations.truth_metric is 'What it estimates: search_query_volume or monthly_searches.';
comment on column ml.volume_calibrations.proxy_metric is 'What it estimates from, for example search_frequency_rank.';
comment on column ml.volume_calibrations.period_kind is 'week or month: what an estimate is about. The proxy of a month is its own, or the geometric mean of its weeks.';
comment on column ml.volume_calibrations.version is 'Counts from 1 per marketplace, market, truth and period; other pairs make another version.';
comment on column ml.volume_calibrations.method is 'How it was fitted and how its error was measured.';
comment on column ml.volume_calibrations.intercept is 'The estimate is exp(intercept + slope * ln(proxy)).';
comment on column ml.volume_calibrations.slope is 'See intercept.';
comment on column ml.volume_calibrations.factor_lo_80 is 'The estimate times this is the lower end of its 80 % interval.';
comment on column ml.volume_calibrations.factor_hi_80 is 'The estimate times this is the upper end of its 80 % interval.';
comment on column ml.volume_calibrations.proxy_min is 'Lowest proxy it was fitted on; below it nothing is known.';
comment on column ml.volume_calibrations.proxy_max is 'Highest proxy it was fitted on; beyond it nothing is known.';
comment on column ml.volume_calibrations.pair_count is 'Pairs of truth and proxy it was fitted on.';
comment on column ml.volume_calibrations.keyword_count is 'Keywords these pairs are about.';
comment on column ml.volume_calibrations.median_percentage_error is 'Median of |estimate - truth| / truth on keywords it had not seen; 0.2 is 20 %.';
comment on column ml.volume_calibrations.mean_log_error is 'Mean of |ln(estimate) - ln(truth)| on keywords it had not seen.';
comment on column ml.volume_calibrations.coverage_80 is 'Share of the truth of unseen keywords that lay within the 80 % interval.';
comment on column ml.volume_calibrations.as_of is 'Nothing known later was used.';
comment on column ml.volume_calibrations.fitted_at is 'When it was fitted.';
comment on column ml.volume_calibrations.data_fingerprint is 'SHA-256 of the pairs it was fitted on.';
