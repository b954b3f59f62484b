create table ops.schedules (
    schedule_name   text        primary key,
    action          text        not null check (action in ('crawl', 'train', 'score')),
    cron_expression text        not null,
    time_zone       text        not null,
    marketplace     text        check (marketplace in ('amazon', 'etsy', 'ebay')),
    market          text,
    is_paused       boolean     not null default false,
    next_due_at     timestamptz not null,
    last_fired_at   timestamptz,
    created_at      timestamptz not null,
    check (action <> 'crawl' or (marketplace is not null and market is not null))
);
comment on table ops.schedules is 'Cron entries. A due entry becomes one crawl run, or one training or scoring job, exactly once however many schedulers look.';
comment on column ops.schedules.schedule_name is 'Name chosen by the operator.';
comment on column ops.schedules.action is 'What a due entry starts: a crawl of a market, a training, a scoring.';
comment on column ops.schedules.cron_expression is 'Seconds, minutes, hours, day of month, month, day of week.';
comment on column ops.schedules.time_zone is 'IANA time zone in which the expression is read.';
comment on column ops.schedules.marketplace is 'Marketplace to crawl, null when the action concerns all.';
comment on column ops.schedules.market is 'Country site to crawl, null when the action concerns all.';
comment on column ops.schedules.is_paused is 'True when due entries are skipped.';
comment on column ops.schedules.next_due_at is 'The next moment at which the entry fires.';
comment on column ops.schedules.last_fired_at is 'The due moment that fired last.';
comment on column ops.schedules.created_at is 'When the entry was made.';
create index schedules_due on ops.schedules (next_due_at) where not is_paused;

create table ops.crawl_runs (
    crawl_run_id      uuid        primary key,
    trigger           text        not null check (trigger in ('schedule', 'manual', 'recording')),
    schedule_name     text        references ops.schedules,
    scheduled_for     timestamptz not null,
    marketplace       text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market            text        not null,
    keyword_selection bigint[],
    priority          integer     not null default 0,
    created_at        timestamptz not null,
    planned_at        timestamptz,
    keyword_count     integer,
    unique (schedule_name, scheduled_for, marketplace, market)
);
comment on table ops.crawl_runs is 'One planned pass over a set of keywords in one market.';
comment on column ops.crawl_runs.crawl_run_id is 'Identifier, ordered by time of creation.';
comment on column ops.crawl_runs.trigger is 'What started it: a schedule, an operator, or recorded answers that were brought in.';
comment on column ops.crawl_runs.schedule_name is 'The schedule that started it, if one did.';
comment on column ops.crawl_runs.scheduled_for is 'The moment for which the run collects; the due time of the schedule, or the start.';
comment on column ops.crawl_runs.marketplace is 'Marketplace that is asked.';
comment on column ops.crawl_runs.market is 'Country site that is asked.';
comment on column ops.crawl_runs.keyword_selection is 'The keywords an operator chose; null means all active keywords of the market.';
comment on column ops.crawl_runs.priority is 'Jobs of a higher number run first.';
comment on column ops.crawl_runs.created_at is 'When the run was made.';
comment on column ops.crawl_runs.planned_at is 'When its fetch jobs were enqueued; null before.';
comment on column ops.crawl_runs.keyword_count is 'Keywords it covers, known once planned.';

create table ops.jobs (
    job_id        uuid        primary key,
    job_name      text        not null,
    queue_name    text        not null,
    job_key       text        not null unique,
    message       jsonb       not null,
    crawl_run_id  uuid        references ops.crawl_runs,
    priority      integer     not null default 0,
    state         text        not null check (state in ('ready', 'running', 'done', 'dead', 'discarded')),
    delivery      integer     not null default 1,
    attempts      integer     not null default 0,
    max_attempts  integer     not null check (max_attempts > 0),
    snoozes       integer     not null default 0,
    run_at        timestamptz not null,
    enqueued_at   timestamptz not null,
    finished_at   timestamptz,
    check ((finished_at is not null) = (state in ('done', 'dead', 'discarded')))
);
comment on table ops.jobs is 'Every unit of work, from enqueueing to its end. The queue library carries its identifier; what happened to it is decided and recorded here.';
comment on column ops.jobs.job_id is 'Identifier, ordered by time of creation.';
comment on column ops.jobs.job_name is 'Kind of job, a verb phrase.';
comment on column ops.jobs.queue_name is 'Queue that carries it.';
comment on column ops.jobs.job_key is 'Natural key: enqueueing the same work twice is enqueueing it once.';
comment on column ops.jobs.message is 'Identifiers and due times the job needs, never data that a table holds.';
comment on column ops.jobs.crawl_run_id is 'The crawl run it belongs to, if it does.';
comment on column ops.jobs.priority is 'Jobs of a higher number run first.';
comment on column ops.jobs.state is 'ready (waiting or due), running, done, dead (given up, see dead_letters), discarded (by an operator).';
comment on column ops.jobs.delivery is 'Counts how often the job was handed to the queue; a message of an older delivery is ignored.';
comment on column ops.jobs.attempts is 'Tries so far that count; a snooze does not.';
comment on column ops.jobs.max_attempts is 'Tries after which it is given up.';
comment on column ops.jobs.snoozes is 'Times it was put off because it was told to wait.';
comment on column ops.jobs.run_at is 'Not to be run before this moment.';
comment on column ops.jobs.enqueued_at is 'When it was enqueued.';
comment on column ops.jobs.finished_at is 'When it reached a final state.';
create index jobs_by_run on ops.jobs (crawl_run_id, job_name, state);
create index jobs_open on ops.jobs (state, run_at) where state in ('ready', 'running');

create table ops.job_attempts (
    job_id        uuid        not null references ops.jobs on delete cascade,
    try_number    integer     not null,
    worker_name   text        not null,
    started_at    timestamptz not null,
    finished_at   timestamptz,
    outcome       text        not null check (outcome in ('running', 'done', 'retry', 'snooze', 'dead', 'lost')),
    cause         text,
    request_count integer     not null default 0,
    primary key (job_id, try_number),
    check (outcome in ('running', 'done', 'lost') or cause is not null)
);
comment on table ops.job_attempts is 'Every try at a job, with its outcome.';
comment on column ops.job_attempts.job_id is 'The job.';
comment on column ops.job_attempts.try_number is 'Numbers all tries of the job from 1, snoozed ones included.';
comment on column ops.job_attempts.worker_name is 'Process that tried.';
comment on column ops.job_attempts.started_at is 'When the try began.';
comment on column ops.job_attempts.finished_at is 'When it ended; null while it runs and when its worker died.';
comment on column ops.job_attempts.outcome is 'running, done, retry (counted), snooze (not counted), dead (given up), lost (the worker died).';
comment on column ops.job_attempts.cause is 'Why it did not succeed, without secrets.';
comment on column ops.job_attempts.request_count is 'Requests sent to a marketplace during the try, tokens included.';

create table ops.dead_letters (
    dead_letter_id bigint      generated always as identity primary key,
    job_id         uuid        not null references ops.jobs on delete cascade,
    cause          text        not null,
    dead_at        timestamptz not null,
    resolution     text        check (resolution in ('retried', 'discarded')),
    resolved_at    timestamptz,
    check ((resolution is null) = (resolved_at is null))
);
comment on table ops.dead_letters is 'Jobs that were given up, each with its cause, until an operator retries or discards them.';
comment on column ops.dead_letters.dead_letter_id is 'Identifier.';
comment on column ops.dead_letters.job_id is 'The job that was given up.';
comment on column ops.dead_letters.cause is 'Why, without secrets.';
comment on column ops.dead_letters.dead_at is 'When it was given up.';
comment on column ops.dead_letters.resolution is 'What an operator decided; null while open.';
comment on column ops.dead_letters.resolved_at is 'When the operator decided.';
create unique index dead_letters_open on ops.dead_letters (job_id) where resolution is null;
