insert into core.listings as known (marketplace, market, marketplace_listing_id, title, title_seen_at, seller, seller_seen_at,
    brand, brand_seen_at, listing_url, listing_url_seen_at, listed_at, listed_at_seen_at, first_seen_at, last_seen_at)
select marketplace, market, marketplace_listing_id, title, title_seen_at, seller, seller_seen_at, brand, brand_seen_at,
       listing_url, listing_url_seen_at, listed_at, listed_at_seen_at, first_seen_at, last_seen_at
from staged_listings
-- Two workers that meet at the same listings lock them in the same order, so they wait and do not deadlock.
order by marketplace, market, marketplace_listing_id collate "C"
on conflict (marketplace, market, marketplace_listing_id) do update
set title = case when core.is_told_later(excluded.title, excluded.title_seen_at, known.title, known.title_seen_at)
                 then excluded.title else known.title end,
    title_seen_at = greatest(known.title_seen_at, excluded.title_seen_at),
    seller = case when core.is_told_later(excluded.seller, excluded.seller_seen_at, known.seller, known.seller_seen_at)
                  then excluded.seller else known.seller end,
    seller_seen_at = greatest(known.seller_seen_at, excluded.seller_seen_at),
    brand = case when core.is_told_later(excluded.brand, excluded.brand_seen_at, known.brand, known.brand_seen_at)
                 then excluded.brand else known.brand end,
    brand_seen_at = greatest(known.brand_seen_at, excluded.brand_seen_at),
    listing_url = case when core.is_told_later(excluded.listing_url, excluded.listing_url_seen_at,
                                               known.listing_url, known.listing_url_seen_at)
                       then excluded.listing_url else known.listing_url end,
    listing_url_seen_at = greatest(known.listing_url_seen_at, excluded.listing_url_seen_at),
    -- The moments are written alike here, so that the text of the later one is the greater.
    listed_at = case when core.is_told_later((excluded.listed_at at time zone 'utc')::text, excluded.listed_at_seen_at,
                                             (known.listed_at at time zone 'utc')::text, known.listed_at_seen_at)
                     then excluded.listed_at else known.listed_at end,
    listed_at_seen_at = greatest(known.listed_at_seen_at, excluded.listed_at_seen_at),
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
-- Every row is updated, so every row is returned.
returning listing_id, marketplace, market, marketplace_listing_id
