insert into core.listings as known (marketplace, market, marketplace_listing_id, title, seller, brand, listing_url,
    listed_at, first_seen_at, last_seen_at)
select $1, $2, rows.marketplace_listing_id, rows.title, rows.seller, rows.brand, rows.listing_url, rows.listed_at,
       $3, $3
from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
     as rows (marketplace_listing_id, title, seller, brand, listing_url, listed_at)
-- Two workers that meet at the same listings lock them in the same order, so they wait and do not deadlock.
order by rows.marketplace_listing_id collate "C"
on conflict (marketplace, market, marketplace_listing_id) do update
set -- Payloads may be read in any order: a later sample renews what is known, an earlier one only fills gaps.
    title = case when excluded.last_seen_at > known.last_seen_at then coalesce(excluded.title, known.title)
                 else coalesce(known.title, excluded.title) end,
    seller = case when excluded.last_seen_at > known.last_seen_at then coalesce(excluded.seller, known.seller)
                  else coalesce(known.seller, excluded.seller) end,
    brand = case when excluded.last_seen_at > known.last_seen_at then coalesce(excluded.brand, known.brand)
                 else coalesce(known.brand, excluded.brand) end,
    listing_url = case when excluded.last_seen_at > known.last_seen_at
                       then coalesce(excluded.listing_url, known.listing_url)
                       else coalesce(known.listing_url, excluded.listing_url) end,
    listed_at = case when excluded.last_seen_at > known.last_seen_at
                     then coalesce(excluded.listed_at, known.listed_at)
                     else coalesce(known.listed_at, excluded.listed_at) end,
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
-- Every row is updated, so every row is returned.
returning listing_id, marketplace_listing_id
