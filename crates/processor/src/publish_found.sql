-- What crawl run $1, of marketplace $2 and market $3, brought, and what is usual: the median over the last $4 published
-- runs of the same market, if there are at least $5.
with
    questions as (
        select count(*) as question_count, count(*) filter (where state = 'done') as answered_count
        from ops.jobs
        where crawl_run_id = $1 and job_name = 'fetch_page' and state in ('done', 'dead')
    ),
    answers as (
        select count(*) as payload_count,
               count(*) filter (where readings.outcome = 'quarantined' and readings.reason like 'blocked%') as blocked_count,
               count(*) filter (where readings.outcome = 'quarantined') as quarantined_payload_count,
               coalesce(sum(readings.row_count), 0)::bigint as row_count,
               coalesce(sum(readings.quarantined_row_count), 0)::bigint as quarantined_row_count,
               sum(readings.observation_count + readings.listing_count + readings.serp_entry_count)::float8
                   / nullif(count(distinct payloads.job_id), 0) as kept_per_answer
        from raw.payloads
        join raw.payload_readings readings using (raw_payload_id)
        where crawl_run_id = $1
          -- An answer that could not be used is made up for by a later one to the same question.
          and (readings.outcome = 'processed' or not exists (
              select from raw.payloads later join raw.payload_readings using (raw_payload_id)
              where later.job_id = payloads.job_id and payload_readings.outcome = 'processed'))
    ),
    canaries as (
        -- What a canary said before the run began tells nothing of it.
        select count(*) as sick_canary_count
        from ops.source_health
        where marketplace = $2 and market = $3 and not canary_is_healthy
          and canary_checked_at >= (select min(tries.started_at)
                                    from ops.job_attempts tries join ops.jobs using (job_id) where crawl_run_id = $1)
    ),
    earlier as (
        select publications.crawl_run_id
        from core.publications
        join ops.crawl_runs using (crawl_run_id)
        where publications.marketplace = $2 and publications.market = $3 and publications.state = 'published'
          and publications.crawl_run_id <> $1 and crawl_runs.trigger = (select trigger from ops.crawl_runs where crawl_run_id = $1)
        order by crawl_runs.scheduled_for desc
        limit $4
    ),
    usual as (
        select case when count(*) >= $5 then percentile_cont(0.5) within group (order by kept_per_answer) end
                   as usual_kept_per_answer
        from (
            select sum(readings.observation_count + readings.listing_count + readings.serp_entry_count)::float8
                       / nullif(count(distinct payloads.job_id), 0) as kept_per_answer
            from earlier
            join raw.payloads using (crawl_run_id)
            join raw.payload_readings readings using (raw_payload_id)
            group by crawl_run_id
        ) runs
        where kept_per_answer is not null
    )
select question_count as "question_count!", answered_count as "answered_count!", payload_count as "payload_count!",
       blocked_count as "blocked_count!", quarantined_payload_count as "quarantined_payload_count!",
       row_count as "row_count!", quarantined_row_count as "quarantined_row_count!",
       sick_canary_count as "sick_canary_count!", kept_per_answer, usual_kept_per_answer
from questions, answers, canaries, usual
