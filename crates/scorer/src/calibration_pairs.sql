-- Pairs of a true number of searches and the proxy ($2) of the same keyword and time, of marketplace $1, as known at $3.
-- $4 files of users, which are their own; what marketplaces answered is left out where their policy lets no model learn.
with
    usable as (
        select payloads.raw_payload_id
        from raw.payloads
        join ops.source_policies policies using (marketplace)
        where payloads.marketplace = $1 and payloads.may_train
          and (payloads.resource = any($4::text[]) or policies.may_train)
    ),
    -- Of several rows for one keyword and time: the one ingested last.
    truth as (
        select distinct on (keyword_id, metric, period_kind, period_start_date)
               keyword_id, metric, period_kind, period_start_date, value, value_status
        from core.keyword_observations join usable using (raw_payload_id)
        where metric in ('search_query_volume', 'monthly_searches') and period_kind in ('week', 'month')
          and ingested_at <= $3 and (superseded_at is null or superseded_at > $3)
        order by keyword_id, metric, period_kind, period_start_date, ingested_at desc, raw_payload_id desc
    ),
    weeks as (
        select distinct on (keyword_id, week_start_date) keyword_id, week_start_date, value
        from core.weekly_demand join usable using (raw_payload_id)
        where metric = $2
        order by keyword_id, week_start_date, ingested_at desc, raw_payload_id desc
    ),
    own_months as (
        select distinct on (keyword_id, period_start_date) keyword_id, period_start_date, value
        from core.keyword_observations join usable using (raw_payload_id)
        where metric = $2 and period_kind = 'month' and ingested_at <= $3
          and (superseded_at is null or superseded_at > $3)
        order by keyword_id, period_start_date, ingested_at desc, raw_payload_id desc
    ),
    -- A month without a proxy of its own has that of the weeks that begin in it, if all of them are known.
    months_of_weeks as (
        select keyword_id, date_trunc('month', week_start_date)::date as month_start_date, exp(avg(ln(value))) as value
        from weeks
        where value > 0
        group by keyword_id, month_start_date
        having count(*) >= 4
    ),
    proxies as (
        select keyword_id, 'week' as period_kind, week_start_date as period_start_date, value from weeks
        union all
        select keyword_id, 'month', period_start_date, value from own_months
        union all
        select keyword_id, 'month', month_start_date, value from months_of_weeks
        where not exists (
            select from own_months
            where own_months.keyword_id = months_of_weeks.keyword_id and period_start_date = month_start_date)
    )
select keywords.market, truth.metric as truth_metric, truth.period_kind, keyword_id, truth.period_start_date,
       truth.value as "truth!", proxies.value as "proxy!"
from truth
join proxies using (keyword_id, period_kind, period_start_date)
join core.keywords using (keyword_id)
where truth.value_status = 'observed' and truth.value > 0 and proxies.value > 0
order by market, truth_metric, truth.period_kind, keyword_id, period_start_date
