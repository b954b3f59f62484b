create table ops.audit_events (
    audit_event_id bigint      generated always as identity primary key,
    happened_at    timestamptz not null,
    actor          text        not null,
    action         text        not null,
    subject        text        not null,
    detail         jsonb       not null default '{}'
);
comment on table ops.audit_events is 'What people decided, only ever added: acknowledged terms, policies, pauses, applied plans.';
comment on column ops.audit_events.audit_event_id is 'Identifier.';
comment on column ops.audit_events.happened_at is 'When.';
comment on column ops.audit_events.actor is 'Who: a person as named on the command line, or the part of the program that acted by itself.';
comment on column ops.audit_events.action is 'What was done, a verb phrase.';
comment on column ops.audit_events.subject is 'To what.';
comment on column ops.audit_events.detail is 'Particulars, without secrets.';

create function ops.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only ever added to', tg_table_name;
end
$$;
comment on function ops.refuse_change() is 'Keeps a table from being rewritten.';
create trigger audit_events_are_kept before update or delete on ops.audit_events
    for each statement execute function ops.refuse_change();

create table ops.source_policies (
    marketplace            text        primary key check (marketplace in ('amazon', 'etsy', 'ebay')),
    terms_version          text,
    acknowledged_by        text,
    acknowledged_at        timestamptz,
    listing_retention      interval    check (listing_retention > interval '0'),
    raw_retention          interval    check (raw_retention > interval '0'),
    aggregate_retention    interval    check (aggregate_retention > interval '0'),
    may_train              boolean     not null,
    updated_at             timestamptz not null,
    check ((terms_version is null) = (acknowledged_at is null) and (terms_version is null) = (acknowledged_by is null))
);
comment on table ops.source_policies is 'What the terms of use of each marketplace allow here. Nothing is collected before its terms are acknowledged.';
comment on column ops.source_policies.marketplace is 'The marketplace.';
comment on column ops.source_policies.terms_version is 'Version of the terms that was acknowledged; null before.';
comment on column ops.source_policies.acknowledged_by is 'Who acknowledged them.';
comment on column ops.source_policies.acknowledged_at is 'When.';
comment on column ops.source_policies.listing_retention is 'How long content of listings is kept, raw answers about listings included; null for ever.';
comment on column ops.source_policies.raw_retention is 'How long other raw answers are kept; null for ever.';
comment on column ops.source_policies.aggregate_retention is 'How long observations of keywords, which are derived, are kept; null for ever.';
comment on column ops.source_policies.may_train is 'True when models may be trained on its data.';
comment on column ops.source_policies.updated_at is 'When the policy changed last.';
insert into ops.source_policies (marketplace, listing_retention, raw_retention, aggregate_retention, may_train, updated_at) values
    ('amazon', null, null, null, true, now()),
    ('etsy', interval '6 hours', interval '24 hours', null, false, now()),
    ('ebay', interval '6 hours', interval '24 hours', null, false, now());

create table ops.source_pauses (
    source_pause_id bigint      generated always as identity primary key,
    marketplace     text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market          text,
    operation       text,
    paused_by       text        not null,
    reason          text        not null,
    paused_at       timestamptz not null,
    paused_until    timestamptz,
    resumed_by      text,
    resumed_at      timestamptz,
    check ((resumed_by is null) = (resumed_at is null))
);
comment on table ops.source_pauses is 'Pauses of a marketplace, of one market or one operation of it, by an operator or by the circuit breaker.';
comment on column ops.source_pauses.source_pause_id is 'Identifier.';
comment on column ops.source_pauses.marketplace is 'The marketplace.';
comment on column ops.source_pauses.market is 'The country site; null for all.';
comment on column ops.source_pauses.operation is 'The operation; null for all.';
comment on column ops.source_pauses.paused_by is 'Who paused it: an operator as named on the command line, or breaker.';
comment on column ops.source_pauses.reason is 'Why.';
comment on column ops.source_pauses.paused_at is 'When.';
comment on column ops.source_pauses.paused_until is 'When it ends by itself; null when it waits for an operator.';
comment on column ops.source_pauses.resumed_by is 'Who ended it; null while it lasts or when its time ran out.';
comment on column ops.source_pauses.resumed_at is 'When it was ended.';
create index source_pauses_open on ops.source_pauses (marketplace) where resumed_at is null;

create table ops.source_health (
    marketplace          text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market               text        not null,
    operation            text        not null,
    breaker_state        text        not null default 'closed' check (breaker_state in ('closed', 'open', 'half_open')),
    consecutive_failures integer     not null default 0,
    opened_count         integer     not null default 0,
    opened_at            timestamptz,
    probe_at             timestamptz,
    last_success_at      timestamptz,
    last_failure_at      timestamptz,
    last_failure_cause   text,
    canary_checked_at    timestamptz,
    canary_is_healthy    boolean,
    primary key (marketplace, market, operation)
);
comment on table ops.source_health is 'How each operation of each market fares, shared by all collectors: the circuit breaker and the last canary.';
comment on column ops.source_health.marketplace is 'The marketplace.';
comment on column ops.source_health.market is 'The country site.';
comment on column ops.source_health.operation is 'The marketplace''s name of the operation.';
comment on column ops.source_health.breaker_state is 'closed (asked as usual), open (not asked until probe_at), half_open (one request is trying).';
comment on column ops.source_health.consecutive_failures is 'Failures of the source since its last good answer.';
comment on column ops.source_health.opened_count is 'How often the breaker opened since the last good answer; each time it stays open longer.';
comment on column ops.source_health.opened_at is 'When the breaker opened; null while closed.';
comment on column ops.source_health.probe_at is 'When one request may try again; while one is trying, when another may.';
comment on column ops.source_health.last_success_at is 'Last good answer.';
comment on column ops.source_health.last_failure_at is 'Last failure of the source.';
comment on column ops.source_health.last_failure_cause is 'What it was, without secrets.';
comment on column ops.source_health.canary_checked_at is 'When a keyword of known shape was asked for last.';
comment on column ops.source_health.canary_is_healthy is 'Whether it had its shape.';
