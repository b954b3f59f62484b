alter table ops.schedules
    add column keyword_tags       text[],
    add column resources          text[],
    add column request_budget     integer  check (request_budget > 0),
    add column priority           integer  not null default 0,
    add column jitter             interval not null default interval '0' check (jitter >= interval '0'),
    add column overlap_policy     text     not null default 'buffer_one' check (overlap_policy in ('skip', 'buffer_one', 'allow')),
    add column missed_run_policy  text     not null default 'one' check (missed_run_policy in ('one', 'all', 'none')),
    add column catch_up_window    interval not null default interval '1 day' check (catch_up_window >= interval '0'),
    add column missed_run_count   bigint   not null default 0,
    add column buffered_due_at    timestamptz,
    add column pause_reason       text,
    add column origin             text     not null default 'settings' check (origin in ('settings', 'file', 'command')),
    drop constraint schedules_action_check,
    add constraint schedules_action_check check (action in ('crawl', 'train', 'score', 'purge'));
comment on column ops.schedules.keyword_tags is 'Keywords with one of these tags are crawled; null means all active ones.';
comment on column ops.schedules.resources is 'Kinds of data to ask for; null means those of the settings.';
comment on column ops.schedules.request_budget is 'Most requests one run may spend; null for no bound of its own.';
comment on column ops.schedules.priority is 'Jobs of a higher number run first.';
comment on column ops.schedules.jitter is 'A run starts at a moment chosen within this time after it is due.';
comment on column ops.schedules.overlap_policy is 'What happens when the run before is not done: skip, buffer one until it is, or allow both.';
comment on column ops.schedules.missed_run_policy is 'Which of the moments missed while no scheduler ran are made up for: the last one, all, or none.';
comment on column ops.schedules.catch_up_window is 'A missed moment that is older is passed over.';
comment on column ops.schedules.missed_run_count is 'Moments that were passed over or skipped, ever.';
comment on column ops.schedules.buffered_due_at is 'Due moment of the run that waits for the one before it to end.';
comment on column ops.schedules.pause_reason is 'Why it is paused; null while it is not.';
comment on column ops.schedules.origin is 'settings (made by the program), file (schedules.toml) or command.';

alter table core.keywords
    add column tags  text[]           not null default '{}',
    add column weight double precision not null default 1 check (weight > 0 and weight < 1e6);
comment on column core.keywords.tags is 'Names of the sets it belongs to.';
comment on column core.keywords.weight is 'How much it matters beside others when quota is short; 1 is usual.';
create index keywords_by_tag on core.keywords using gin (tags);

alter table ops.crawl_runs
    add column keyword_tags           text[],
    add column resources              text[],
    add column request_budget         integer check (request_budget > 0),
    add column planned_requests       jsonb,
    add column deferred_keyword_count integer,
    add column cancelled_at           timestamptz,
    add column cancelled_by           text,
    drop constraint crawl_runs_trigger_check,
    add constraint crawl_runs_trigger_check check (trigger in ('schedule', 'manual', 'recording', 'plan', 'backfill'));
comment on column ops.crawl_runs.keyword_tags is 'Keywords with one of these tags are covered; null means all active ones unless a selection is given.';
comment on column ops.crawl_runs.resources is 'Kinds of data that are asked for; null means those of the settings.';
comment on column ops.crawl_runs.request_budget is 'Most requests it may spend; null for no bound of its own.';
comment on column ops.crawl_runs.planned_requests is 'Requests per operation that were planned: an object of numbers; null before it is planned.';
comment on column ops.crawl_runs.deferred_keyword_count is 'Keywords left for a later run because the quota does not suffice for all.';
comment on column ops.crawl_runs.cancelled_at is 'When an operator cancelled it; its waiting jobs were discarded then.';
comment on column ops.crawl_runs.cancelled_by is 'Who cancelled it.';
