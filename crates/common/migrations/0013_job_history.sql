-- A payload keeps naming the job that asked for it, so such jobs stay; only their tries are pruned.
create table ops.pruned_counts (
    crawl_run_id uuid   not null references ops.crawl_runs on delete cascade,
    counted      text   not null check (counted in ('jobs', 'requests', 'permits')),
    operation    text   not null default '',
    state        text   not null default '',
    amount       bigint not null check (amount >= 0),
    primary key (crawl_run_id, counted, operation, state)
);
comment on table ops.pruned_counts is 'What was pruned of a crawl run, so that its sums stay right: sums are what is here plus what is counted here.';
comment on column ops.pruned_counts.crawl_run_id is 'The crawl run.';
comment on column ops.pruned_counts.counted is 'jobs (rows of ops.jobs), requests (sum of ops.job_attempts.request_count) or permits (rows of ops.quota_permits).';
comment on column ops.pruned_counts.operation is 'The marketplace''s name of the operation, for permits; else empty.';
comment on column ops.pruned_counts.state is 'The state the jobs or permits were in; empty for requests.';
comment on column ops.pruned_counts.amount is 'How many.';

create index jobs_ended on ops.jobs (finished_at) where state in ('done', 'discarded');
create index jobs_by_state on ops.jobs (state, job_id desc);
create index payloads_by_job on raw.payloads (job_id) where job_id is not null;
create index quota_permits_settled on ops.quota_permits (settled_at) where settled_at is not null;
