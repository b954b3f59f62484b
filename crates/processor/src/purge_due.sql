-- What a purge would take of marketplace $1, by the bounds of its policy; a bound that is null is never reached.
-- $2 resources about listings; $3 and $4 bounds of read answers about listings and of others; $5 and $6 of unread ones;
-- $7 bound of observations of keywords; $8 files of users, which are never purged.
with
    payloads as (
        select payloads.raw_payload_id, readings.raw_payload_id is null as is_unread
        from raw.payloads payloads
        left join raw.payload_readings readings using (raw_payload_id)
        where payloads.marketplace = $1 and payloads.purged_at is null
          and payloads.resource <> all($8::text[])
          and payloads.fetched_at <= greatest($3::timestamptz, $4::timestamptz)
          and payloads.fetched_at <= case when payloads.resource = any($2::text[]) then $3::timestamptz else $4::timestamptz end
          and (readings.raw_payload_id is not null
               or payloads.fetched_at <= case when payloads.resource = any($2) then $5::timestamptz else $6::timestamptz end)
    )
select (select count(*) from payloads) as "raw_payload_count!",
       (select count(*) from payloads where is_unread) as "unread_payload_count!",
       (select count(*) from raw.quarantined_rows join payloads using (raw_payload_id)
        where row_text <> '') as "quarantined_row_count!",
       (select count(*) from core.listing_observations rows join raw.payloads using (raw_payload_id)
        where payloads.marketplace = $1 and rows.observed_at <= $3) as "listing_observation_count!",
       (select count(*) from core.serp_entries rows join raw.payloads using (raw_payload_id)
        where payloads.marketplace = $1 and rows.observed_at <= $3) as "serp_entry_count!",
       (select count(*) from core.listings
        where marketplace = $1 and last_seen_at <= $3
          and num_nonnulls(title, seller, brand, listing_url, listed_at) > 0) as "listing_count!",
       (select count(*) from core.seller_observations
        where marketplace = $1 and observed_at <= $4) as "seller_observation_count!",
       (select count(*) from core.keyword_categories join core.keywords using (keyword_id)
        where keywords.marketplace = $1 and observed_at <= $4) as "keyword_category_count!",
       (select count(*) from core.keyword_observations observations join core.keywords using (keyword_id)
        where keywords.marketplace = $1 and observations.fetched_at <= $7::timestamptz
           and observations.resource <> all($8)) as "keyword_observation_count!"
