-- Sums of one crawl run ($1), or of all runs when it is null. Each part reads one table, so that no join multiplies rows.
-- What was pruned of a run is counted in ops.pruned_counts.
with
    pruned as (
        select coalesce(sum(amount) filter (where counted = 'jobs'), 0)::bigint as job_count,
               coalesce(sum(amount) filter (where counted = 'jobs' and state = 'done'), 0)::bigint as done_job_count,
               coalesce(sum(amount) filter (where counted = 'jobs' and state = 'discarded'), 0)::bigint
                   as discarded_job_count,
               coalesce(sum(amount) filter (where counted = 'requests'), 0)::bigint as request_count
        from ops.pruned_counts
        where $1::uuid is null or crawl_run_id = $1
    ),
    jobs as (
        select count(*) as job_count,
               count(*) filter (where state = 'done') as done_job_count,
               count(*) filter (where state = 'dead') as dead_job_count,
               count(*) filter (where state = 'discarded') as discarded_job_count,
               count(*) filter (where state in ('ready', 'running')) as open_job_count
        from ops.jobs
        where crawl_run_id is not null and ($1::uuid is null or crawl_run_id = $1)
    ),
    letters as (
        select count(*) as dead_letter_count
        from ops.dead_letters join ops.jobs using (job_id)
        where resolution is null and crawl_run_id is not null and ($1::uuid is null or crawl_run_id = $1)
    ),
    attempts as (
        select coalesce(sum(request_count), 0)::bigint as request_count
        from ops.job_attempts join ops.jobs using (job_id)
        where crawl_run_id is not null and ($1::uuid is null or crawl_run_id = $1)
    ),
    payloads as (
        select count(*) as payload_count,
               count(*) filter (where outcome = 'processed') as processed_payload_count,
               count(*) filter (where outcome = 'quarantined') as quarantined_payload_count,
               count(*) filter (where outcome is null) as unread_payload_count
        from raw.payloads left join raw.payload_readings using (raw_payload_id)
        where $1::uuid is null or crawl_run_id = $1
    ),
    quarantined as (
        select count(*) as quarantined_row_count
        from raw.quarantined_rows join raw.payloads using (raw_payload_id)
        where extent = 'row' and ($1::uuid is null or crawl_run_id = $1)
    ),
    observations as (
        select count(*) as observation_count,
               -- The foreign key forbids the first kind; the second would be a value read from an answer nobody trusts.
               count(*) filter (where payloads.raw_payload_id is null or readings.outcome is distinct from 'processed')
                   as observation_without_payload_count
        from core.keyword_observations
        left join raw.payloads using (raw_payload_id)
        left join raw.payload_readings readings using (raw_payload_id)
        where superseded_at is null and ($1::uuid is null or keyword_observations.crawl_run_id = $1)
    ),
    entries as (
        select count(*) as serp_entry_count
        from core.serp_entries join raw.payloads using (raw_payload_id)
        where superseded_at is null and ($1::uuid is null or crawl_run_id = $1)
    )
select (select count(*) from ops.crawl_runs where $1::uuid is null or crawl_run_id = $1) as "run_count!",
       jobs.job_count + pruned.job_count as "job_count!",
       jobs.done_job_count + pruned.done_job_count as "done_job_count!", dead_job_count as "dead_job_count!",
       jobs.discarded_job_count + pruned.discarded_job_count as "discarded_job_count!",
       pruned.job_count as "pruned_job_count!", open_job_count as "open_job_count!",
       dead_letter_count as "dead_letter_count!",
       attempts.request_count + pruned.request_count as "request_count!",
       payload_count as "payload_count!", processed_payload_count as "processed_payload_count!",
       quarantined_payload_count as "quarantined_payload_count!", unread_payload_count as "unread_payload_count!",
       quarantined_row_count as "quarantined_row_count!", observation_count as "observation_count!",
       observation_without_payload_count as "observation_without_payload_count!",
       serp_entry_count as "serp_entry_count!"
from pruned, jobs, letters, attempts, payloads, quarantined, observations, entries
