insert into core.listing_observations (raw_payload_id, listing_id, observed_at, price_amount, price_currency,
    view_count, favorite_count, sales_rank, bid_count, seller_feedback_score, is_promoted, sold_count,
    available_count, watch_count, review_count, recent_review_count, review_average, ingested_at)
select $1, rows.listing_id, $2, rows.price_amount, rows.price_currency,
       rows.view_count, rows.favorite_count, rows.sales_rank, rows.bid_count, rows.seller_feedback_score,
       rows.is_promoted, rows.sold_count, rows.available_count, rows.watch_count, rows.review_count,
       rows.recent_review_count, rows.review_average, $3
from unnest($4::bigint[], $5::numeric[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
            $11::bigint[], $12::boolean[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
            $18::double precision[])
     as rows (listing_id, price_amount, price_currency, view_count, favorite_count, sales_rank, bid_count,
              seller_feedback_score, is_promoted, sold_count, available_count, watch_count, review_count,
              recent_review_count, review_average)
on conflict (raw_payload_id, listing_id) do nothing
