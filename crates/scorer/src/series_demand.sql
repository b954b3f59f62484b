-- Of several rows for one keyword and week: the one ingested last before the moment of interest, as of which the view looks.
select distinct on (demand.keyword_id, demand.week_start_date)
       demand.keyword_id as "keyword_id!",
       demand.week_start_date as "week_start_date!",
       demand.value,
       demand.resource as "resource!"
from core.weekly_demand demand
join core.keywords using (keyword_id)
-- A user may keep models from learning of a file.
join raw.payloads on payloads.raw_payload_id = demand.raw_payload_id and payloads.may_train
where keywords.marketplace = $1
  and keywords.is_active
  and demand.metric = $2
order by demand.keyword_id, demand.week_start_date, demand.ingested_at desc, demand.raw_payload_id desc
