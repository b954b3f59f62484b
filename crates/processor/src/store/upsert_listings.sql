insert into core.listings as known (marketplace, market, marketplace_listing_id, title, seller, brand, listing_url,
    listed_at, title_seen_at, seller_seen_at, brand_seen_at, listing_url_seen_at, listed_at_seen_at, first_seen_at, last_seen_at)
select $1, $2, rows.marketplace_listing_id, rows.title, rows.seller, rows.brand, rows.listing_url, rows.listed_at,
       case when rows.title is not null then $3::timestamptz end, case when rows.seller is not null then $3::timestamptz end,
       case when rows.brand is not null then $3::timestamptz end, case when rows.listing_url is not null then $3::timestamptz end,
       case when rows.listed_at is not null then $3::timestamptz end, $3, $3
from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
     as rows (marketplace_listing_id, title, seller, brand, listing_url, listed_at)
-- Two workers that meet at the same listings lock them in the same order, so they wait and do not deadlock.
order by rows.marketplace_listing_id collate "C"
on conflict (marketplace, market, marketplace_listing_id) do update
set -- Payloads may be read in any order: each field is that of the latest sample that tells it, of two at the same moment the
    -- greater one.
    title = case when known.title is null
            or (excluded.title_seen_at, excluded.title collate "C") > (known.title_seen_at, known.title collate "C")
        then coalesce(excluded.title, known.title) else known.title end,
    seller = case when known.seller is null
            or (excluded.seller_seen_at, excluded.seller collate "C") > (known.seller_seen_at, known.seller collate "C")
        then coalesce(excluded.seller, known.seller) else known.seller end,
    brand = case when known.brand is null
            or (excluded.brand_seen_at, excluded.brand collate "C") > (known.brand_seen_at, known.brand collate "C")
        then coalesce(excluded.brand, known.brand) else known.brand end,
    listing_url = case when known.listing_url is null
            or (excluded.listing_url_seen_at, excluded.listing_url collate "C") > (known.listing_url_seen_at, known.listing_url collate "C")
        then coalesce(excluded.listing_url, known.listing_url) else known.listing_url end,
    listed_at = case when known.listed_at is null
            or (excluded.listed_at_seen_at, excluded.listed_at) > (known.listed_at_seen_at, known.listed_at)
        then coalesce(excluded.listed_at, known.listed_at) else known.listed_at end,
    title_seen_at = case when known.title is null then coalesce(excluded.title_seen_at, known.title_seen_at)
        else greatest(known.title_seen_at, excluded.title_seen_at) end,
    seller_seen_at = case when known.seller is null then coalesce(excluded.seller_seen_at, known.seller_seen_at)
        else greatest(known.seller_seen_at, excluded.seller_seen_at) end,
    brand_seen_at = case when known.brand is null then coalesce(excluded.brand_seen_at, known.brand_seen_at)
        else greatest(known.brand_seen_at, excluded.brand_seen_at) end,
    listing_url_seen_at = case when known.listing_url is null then coalesce(excluded.listing_url_seen_at, known.listing_url_seen_at)
        else greatest(known.listing_url_seen_at, excluded.listing_url_seen_at) end,
    listed_at_seen_at = case when known.listed_at is null then coalesce(excluded.listed_at_seen_at, known.listed_at_seen_at)
        else greatest(known.listed_at_seen_at, excluded.listed_at_seen_at) end,
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
-- Every row is updated, so every row is returned.
returning listing_id, marketplace_listing_id
