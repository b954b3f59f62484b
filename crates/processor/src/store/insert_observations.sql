insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, status_reason, resource,
    observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id)
select rows.keyword_id, rows.metric, rows.value, rows.unit, rows.value_status, rows.status_reason, $11,
       rows.observed_at, rows.period_start_date, rows.period_end_date, rows.period_kind, $12, $13, $14
from unnest($1::bigint[], $2::text[], $3::double precision[], $4::text[], $5::text[], $6::text[],
            $7::timestamptz[], $8::date[], $9::date[], $10::text[])
     as rows (keyword_id, metric, value, unit, value_status, status_reason,
              observed_at, period_start_date, period_end_date, period_kind)
on conflict (raw_payload_id, keyword_id, metric, period_start_date) do nothing
