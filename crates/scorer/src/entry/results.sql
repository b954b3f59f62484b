-- Where each listing stood among the unpaid results of each keyword, week by week, as far as it was known at the
-- moment. Of runs that are held back nothing is learnt.
select keyword_id as "keyword_id!",
       listing_id as "listing_id!",
       min(listed_week) as listed_week,
       array_agg(week order by week) as "weeks!",
       array_agg(position order by week) as "positions!"
from (
    select wanted.keyword_id, entries.listing_id,
           -- Weeks begin on Sunday, in UTC, and are counted from the first Sunday of 1970.
           ((entries.observed_at at time zone 'utc')::date - date '1970-01-04') / 7 as week,
           min(entries.position) as position,
           min(((listings.listed_at at time zone 'utc')::date - date '1970-01-04') / 7) as listed_week
    from core.said_of($1) wanted
    join core.serp_entries entries on entries.keyword_id = wanted.said_keyword_id
    join core.listings using (listing_id)
    where entries.entry_kind = 'organic'
      and entries.ingested_at <= $2
      and (entries.superseded_at is null or entries.superseded_at > $2)
      and not exists (
          select from raw.payloads
          join core.publications held on held.crawl_run_id = payloads.crawl_run_id and held.state = 'held'
          where payloads.raw_payload_id = entries.raw_payload_id)
    group by wanted.keyword_id, entries.listing_id, week
) seen
group by keyword_id, listing_id
order by keyword_id, listing_id
