-- Of several rows for one keyword and week: the one ingested last before the moment of interest, as of which the view looks.
-- Of runs that are held back nothing is learnt.
select distinct on (wanted.keyword_id, demand.week_start_date)
       wanted.keyword_id as "keyword_id!",
       demand.week_start_date as "week_start_date!",
       demand.value,
       demand.value_status = 'below_threshold' as "is_beyond!",
       -- Of a search term that is not in the week's list: where that ended. Few weeks are such, and only these are looked up.
       case when demand.value_status = 'below_threshold' then (
           select ends.value
           from core.keyword_observations ends
           where ends.keyword_id = demand.keyword_id and ends.metric = 'search_term_list_end'
             and ends.observed_at = demand.observed_at and ends.raw_payload_id = demand.raw_payload_id
             and ends.ingested_at <= core.as_of()
             and (ends.superseded_at is null or ends.superseded_at > core.as_of())
           limit 1
       ) end as "list_end?",
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
