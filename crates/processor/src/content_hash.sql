with payload_keys as (
    select raw_payload_id, request_key from raw.payloads
), keyword_keys as (
    select keyword_id, concat_ws(' ', marketplace, market, keyword_text) as keyword_key from core.keywords
), listing_keys as (
    select listing_id, concat_ws(' ', marketplace, market, marketplace_listing_id) as listing_key from core.listings
), contents as (
    -- A row as JSON has whatever columns its table has, those of later versions too.
    select 'core.keyword_observations' as table_name, to_jsonb(content) as row_content, raw_payload_id, keyword_id,
           null::bigint as listing_id
    from core.keyword_observations content
    union all
    select 'core.listing_observations', to_jsonb(content), raw_payload_id, null, listing_id
    from core.listing_observations content
    union all
    select 'core.serp_entries', to_jsonb(content), raw_payload_id, keyword_id, listing_id
    from core.serp_entries content
    union all
    select 'core.seller_observations', to_jsonb(content), raw_payload_id, null, null
    from core.seller_observations content
    union all
    select 'core.keyword_categories', to_jsonb(content), raw_payload_id, keyword_id, null
    from core.keyword_categories content
    union all
    select 'core.listings', to_jsonb(content), null, null, listing_id
    from core.listings content
    union all
    select 'raw.quarantined_rows', to_jsonb(content), raw_payload_id, null, null
    from raw.quarantined_rows content
    union all
    select 'raw.payload_readings', to_jsonb(content), raw_payload_id, null, null
    from raw.payload_readings content
), hashes as (
    select table_name,
           md5(concat_ws(E'\n', request_key, keyword_key, listing_key,
                         row_content - array['keyword_observation_id', 'quarantined_row_id', 'raw_payload_id', 'keyword_id',
                                             'listing_id', 'crawl_run_id', 'ingested_at', 'read_at', 'quarantined_at', 'reader_version'])) as row_hash
    from contents
    left join payload_keys using (raw_payload_id)
    left join keyword_keys using (keyword_id)
    left join listing_keys using (listing_id)
    -- What a later reading replaced is history.
    where row_content ->> 'superseded_at' is null
), sums as (
    -- Sums do not depend on the order of the rows, and need no memory for them.
    select table_name, count(*) as row_count,
           sum(('x' || left(row_hash, 16))::bit(64)::bigint::numeric) as first_half,
           sum(('x' || right(row_hash, 16))::bit(64)::bigint::numeric) as second_half
    from hashes
    group by table_name
)
select table_name as "table_name!", row_count as "row_count!",
       md5(concat_ws(' ', row_count, first_half, second_half)) as "content_hash!"
from sums
order by table_name
