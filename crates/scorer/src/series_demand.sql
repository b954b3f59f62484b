-- Of several rows for one keyword and week: the one ingested last before the moment of interest, as of which the view looks.
-- Of runs that are held back nothing is learnt.
select distinct on (wanted.keyword_id, demand.week_start_date)
       wanted.keyword_id as "keyword_id!",
       demand.week_start_date as "week_start_date!",
       demand.value,
       demand.value_status = 'below_threshold' as "is_beyond!",
       demand.resource as "resource!",
       demand.raw_payload_id as "raw_payload_id!"
from core.said_of($1) wanted
join core.weekly_demand demand on demand.keyword_id = wanted.said_keyword_id
-- A user may keep models from learning of a file.
join raw.payloads on payloads.raw_payload_id = demand.raw_payload_id and payloads.may_train
where demand.metric = $2
  and not exists (
      select from core.publications held where held.crawl_run_id = payloads.crawl_run_id and held.state = 'held')
order by wanted.keyword_id, demand.week_start_date, demand.ingested_at desc, demand.raw_payload_id desc
