select raw_payload_id as "raw_payload_id!", quarantined.extent as "extent!", quarantined.json_pointer as "json_pointer!",
       payloads.marketplace, payloads.market, payloads.resource, payloads.crawl_run_id,
       quarantined.reason as "reason!", quarantined.quarantined_at as "quarantined_at!",
       quarantined.discarded_at, quarantined.discarded_by, quarantined.discard_reason
from (
    select raw_payload_id, 'payload' as extent, '' as json_pointer, reason, read_at as quarantined_at,
           discarded_at, discarded_by, discard_reason
    from raw.payload_readings
    where outcome = 'quarantined'
    union all
    select raw_payload_id, extent, json_pointer, reason, quarantined_at, discarded_at, discarded_by, discard_reason
    from raw.quarantined_rows
) quarantined
join raw.payloads payloads using (raw_payload_id)
where ($1::text is null or payloads.marketplace = $1)
  and ($2::text is null or payloads.resource = $2)
  and ($3::text is null or strpos(lower(quarantined.reason), lower($3)) > 0)
  and ($4::timestamptz is null or quarantined.quarantined_at >= $4)
  and ($5::uuid is null or payloads.crawl_run_id = $5)
  and ($6::bigint[] is null or raw_payload_id = any($6))
  and (quarantined.discarded_at is not null) = $7
order by quarantined.quarantined_at desc, raw_payload_id desc, quarantined.json_pointer
limit $8
