-- What was estimated before this rule came from the marketplaces' own suggestions.
update core.keyword_observations
set status_reason = 'suggested by the marketplace'
where value_status in ('estimated', 'imputed') and status_reason is null;

alter table core.keyword_observations
    drop constraint an_absence_has_a_reason,
    -- What was observed speaks for itself; everything else says why, or by what method.
    add constraint all_but_the_observed_has_a_reason
        check ((value_status = 'observed') = (status_reason is null)),
    add constraint a_reason_says_something check (status_reason <> ''),
    add constraint a_value_has_a_unit check (unit <> ''),
    add constraint a_share_lies_between_zero_and_one check (unit <> 'share' or value is null or value between 0 and 1),
    add constraint a_rank_begins_with_one check (unit <> 'rank' or value is null or value >= 1),
    add constraint an_instant_lies_on_its_day
        check (period_kind <> 'instant' or period_start_date = (observed_at at time zone 'utc')::date),
    add constraint a_trailing_period_ends_with_its_day
        check (period_kind <> 'trailing_90_days' or period_end_date = (observed_at at time zone 'utc')::date),
    add constraint a_day_is_one_day check (period_kind <> 'day' or period_end_date = period_start_date),
    add constraint a_week_starts_on_sunday check (period_kind <> 'week' or extract(dow from period_start_date) = 0),
    add constraint a_month_is_a_whole_month
        check (period_kind <> 'month' or (extract(day from period_start_date) = 1
            and period_end_date = (period_start_date + interval '1 month' - interval '1 day')::date)),
    add constraint a_quarter_is_a_whole_quarter
        check (period_kind <> 'quarter' or (extract(day from period_start_date) = 1
            and extract(month from period_start_date) in (1, 4, 7, 10)
            and period_end_date = (period_start_date + interval '3 months' - interval '1 day')::date));
comment on column core.keyword_observations.status_reason is 'Why there is no value; of an estimated or imputed value, the method; null exactly for what was observed.';
comment on column analytics.keyword_observations_v1.status_reason is 'Why there is no value; of an estimated or imputed value, the method; null exactly for what was observed.';
