-- What the same payload told before is replaced; what a later one told stays. What is no longer told stays as well.
update core.listings known
set title = case when known.title_seen_at = staged.title_seen_at then staged.title else known.title end,
    seller = case when known.seller_seen_at = staged.seller_seen_at then staged.seller else known.seller end,
    brand = case when known.brand_seen_at = staged.brand_seen_at then staged.brand else known.brand end,
    listing_url = case when known.listing_url_seen_at = staged.listing_url_seen_at then staged.listing_url
                       else known.listing_url end,
    listed_at = case when known.listed_at_seen_at = staged.listed_at_seen_at then staged.listed_at else known.listed_at end
from staged_listings staged
where known.marketplace = staged.marketplace and known.market = staged.market
  and known.marketplace_listing_id = staged.marketplace_listing_id
  and (known.title_seen_at = staged.title_seen_at and known.title <> staged.title
       or known.seller_seen_at = staged.seller_seen_at and known.seller <> staged.seller
       or known.brand_seen_at = staged.brand_seen_at and known.brand <> staged.brand
       or known.listing_url_seen_at = staged.listing_url_seen_at and known.listing_url <> staged.listing_url
       or known.listed_at_seen_at = staged.listed_at_seen_at and known.listed_at <> staged.listed_at)
