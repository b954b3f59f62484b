-- What listings gained between two samples of a keyword is an observation of the later one, computed when either of them is read.
-- So a series is read from one table, and outlives the listings that it follows from.
create function core.renew_listing_differences(given_ids bigint[], known_at timestamptz)
returns table (new_count bigint, gone_count bigint)
language plpgsql as $$
declare
    touched_ids bigint[];
    wanted core.keyword_observations[];
begin
    -- Of two workers with two samples of a keyword, the second waits here and then sees what the first has read.
    perform from core.keywords
    where keyword_id in (select keyword_id from raw.payloads where raw_payload_id = any(given_ids))
    order by keyword_id
    for no key update;

    with touched as (
        -- A sample that comes late changes the differences of those after it.
        select distinct later.raw_payload_id, later.keyword_id, later.resource, later.fetched_at, later.crawl_run_id
        from raw.payloads given
        join raw.payloads later
            on later.keyword_id = given.keyword_id and later.resource = given.resource
           and later.fetched_at between given.fetched_at and given.fetched_at + interval '35 days'
        where given.raw_payload_id = any(given_ids)
    ), payloads as (
        select distinct earlier.raw_payload_id, earlier.keyword_id, earlier.resource, earlier.fetched_at
        from touched
        join raw.payloads earlier
            on earlier.keyword_id = touched.keyword_id and earlier.resource = touched.resource
           and earlier.fetched_at between touched.fetched_at - interval '35 days' and touched.fetched_at
    ), samples as (
        select payloads.keyword_id, payloads.resource, payloads.fetched_at, samples.*,
               -- Of several that tell the same moment differently, the greatest, whichever was read first.
               max(samples.view_count) over moment as views_then,
               max(samples.favorite_count) over moment as favorites_then,
               max(samples.sold_count) over moment as sales_then
        from payloads
        -- The moment, which both rows have, names the one partition to look into.
        join core.listing_observations samples
            on samples.raw_payload_id = payloads.raw_payload_id and samples.observed_at = payloads.fetched_at
           and samples.superseded_at is null
        where num_nonnulls(samples.view_count, samples.favorite_count, samples.sold_count) > 0
        window moment as (partition by payloads.keyword_id, payloads.resource, samples.listing_id, samples.observed_at)
    ), pairs as (
        select keyword_id, resource, fetched_at, raw_payload_id, observed_at,
               extract(epoch from observed_at - last_value(observed_at) over earlier) / (7 * 86400) as weeks,
               view_count - last_value(views_then) over earlier as views,
               favorite_count - last_value(favorites_then) over earlier as favorites,
               sold_count - last_value(sales_then) over earlier as sales
        from samples
        -- The latest sample that is about a day older or more.
        window earlier as (
            partition by keyword_id, resource, listing_id order by observed_at
            range between interval '35 days' preceding and interval '20 hours' preceding)
    ), gains as (
        select pairs.keyword_id, resource, fetched_at, pairs.raw_payload_id, crawl_run_id, observed_at, metric, unit,
               -- Exact until the end, so that it does not depend on the order of the listings.
               avg(gained / weeks)::double precision as value
        from pairs
        join touched using (raw_payload_id, keyword_id, resource, fetched_at)
        cross join lateral (values
            ('listing_views_per_week', 'views per listing and week', views),
            ('listing_favorites_per_week', 'favourites per listing and week', favorites),
            ('listing_sales_per_week', 'sales per listing and week', sales)) metrics (metric, unit, gained)
        -- A favourite can be taken back; a view or a sale that is, was counted anew.
        where gained is not null and (gained >= 0 or metric = 'listing_favorites_per_week')
        group by pairs.keyword_id, resource, fetched_at, pairs.raw_payload_id, crawl_run_id, observed_at, metric, unit
    )
    select (select array_agg(raw_payload_id order by raw_payload_id) from touched),
           (select array_agg(row(null, keyword_id, metric, value, unit, 'observed', null, resource, observed_at, day, day, 'instant',
                                 fetched_at, known_at, null, raw_payload_id, crawl_run_id)::core.keyword_observations)
            from gains
            cross join lateral (select (observed_at at time zone 'utc')::date as day) days)
    into touched_ids, wanted;

    update core.keyword_observations stored
    set superseded_at = greatest(known_at, stored.ingested_at)
    from raw.payloads
    where stored.raw_payload_id = any(touched_ids)
      and payloads.raw_payload_id = stored.raw_payload_id and stored.observed_at = payloads.fetched_at
      and stored.metric in ('listing_views_per_week', 'listing_favorites_per_week', 'listing_sales_per_week')
      and stored.superseded_at is null
      and not exists (
          select from unnest(wanted) said
          where said.raw_payload_id = stored.raw_payload_id and said.metric = stored.metric and said.value = stored.value)
      -- What followed from listings that are purged by now stays.
      and not exists (
          select from raw.payloads purged
          join raw.payload_readings readings using (raw_payload_id)
          where purged.keyword_id = payloads.keyword_id and purged.resource = payloads.resource
            and purged.fetched_at between payloads.fetched_at - interval '35 days' and payloads.fetched_at
            and readings.listing_count > 0
            and not exists (
                select from core.listing_observations listings
                where listings.raw_payload_id = purged.raw_payload_id and listings.observed_at = purged.fetched_at));
    get diagnostics gone_count = row_count;

    insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at,
        period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
    select keyword_id, metric, value, unit, value_status, resource, observed_at, period_start_date, period_end_date,
           period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id
    from unnest(wanted)
    -- What is stored already, and what stays of purged listings, is not said anew.
    on conflict (raw_payload_id, keyword_id, metric, period_start_date, observed_at) where superseded_at is null do nothing;
    get diagnostics new_count = row_count;
    return next;
end
$$;
comment on function core.renew_listing_differences is 'Computes anew what listings gained up to some samples and to those after them; returns how many differences are new and how many no longer hold.';

select core.renew_listing_differences(array_agg(raw_payload_id), now())
from raw.payloads
where keyword_id is not null and resource in ('listing_search', 'listing_batch', 'item_details');
