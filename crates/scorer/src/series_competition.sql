-- Of several samples in a week: the one ingested first. A week's score is then the same at every later as-of,
-- and equal to the one that was written when the week was scored. Of runs that are held back nothing is learnt.
select distinct on (keyword_id, week_start_date, metric)
       keyword_id as "keyword_id!",
       week_start_date as "week_start_date!",
       metric,
       value as "value!",
       resource,
       observed_at,
       raw_payload_id
from (
    select wanted.keyword_id, observations.metric, observations.value, observations.resource, observations.observed_at,
           observations.ingested_at, observations.raw_payload_id,
           -- Weeks begin on Sunday, in UTC.
           (observed_at at time zone 'utc')::date
               - extract(dow from observed_at at time zone 'utc')::integer as week_start_date
    from core.said_of($1) wanted
    join core.keyword_observations observations on observations.keyword_id = wanted.said_keyword_id
    where observations.metric = any($2)
      and observations.period_kind = 'instant'
      and observations.value is not null
      and observations.ingested_at <= $3
      and (observations.superseded_at is null or observations.superseded_at > $3)
      and not exists (
          select from raw.payloads
          join core.publications held on held.crawl_run_id = payloads.crawl_run_id and held.state = 'held'
          where payloads.raw_payload_id = observations.raw_payload_id)
) samples
order by keyword_id, week_start_date, metric, ingested_at, observed_at, raw_payload_id
