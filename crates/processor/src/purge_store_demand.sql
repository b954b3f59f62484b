-- Stores the demand of some keywords ($1) that a view derives from listings, as the observations it stands for.
insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, status_reason, resource, observed_at,
    period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id)
select demand.keyword_id, demand.metric, demand.value, demand.unit, demand.value_status, demand.status_reason,
       demand.resource, demand.observed_at, days.day, days.day, 'instant', payloads.fetched_at, demand.ingested_at,
       demand.raw_payload_id
from core.weekly_demand demand
join raw.payloads payloads using (raw_payload_id)
cross join lateral (select (demand.observed_at at time zone 'utc')::date as day) days
where demand.keyword_id = any($1::bigint[])
  -- What the view takes from observations needs no storing.
  and not exists (
      select from core.keyword_observations stored
      where stored.raw_payload_id = demand.raw_payload_id and stored.keyword_id = demand.keyword_id
        and stored.metric = demand.metric)
on conflict do nothing
