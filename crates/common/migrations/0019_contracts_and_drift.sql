create table ops.source_contracts (
    marketplace    text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    resource       text        not null,
    unknown_fields text        not null check (unknown_fields in ('evolve', 'freeze', 'discard_row', 'discard_value')),
    types          text        not null check (types in ('evolve', 'freeze', 'discard_row', 'discard_value')),
    known_fields   jsonb,
    set_by         text        not null,
    set_at         timestamptz not null,
    primary key (marketplace, resource),
    constraint what_is_refused_as_unknown_needs_what_is_known check (
        known_fields is not null or not (unknown_fields in ('freeze', 'discard_row') or types in ('freeze', 'discard_row')))
);
comment on table ops.source_contracts is 'What becomes of answers that differ from those seen before, by resource. Where no row is, the contract evolves: everything new is accepted and reported as drift.';
comment on column ops.source_contracts.marketplace is 'amazon, etsy or ebay.';
comment on column ops.source_contracts.resource is 'Kind of data.';
comment on column ops.source_contracts.unknown_fields is 'A field that is not known: evolve (accepted), freeze (the payload is quarantined), discard_row (its row is quarantined), discard_value (it is ignored).';
comment on column ops.source_contracts.types is 'A field whose type changed: evolve (accepted where nobody reads it, else its row is quarantined), freeze (the payload is quarantined), discard_row (its row is quarantined), discard_value (it counts as absent).';
comment on column ops.source_contracts.known_fields is 'The fields that are known, and the JSON types each may have, as they were seen when the contract was set; null where neither mode asks for them.';
comment on column ops.source_contracts.set_by is 'Who set it.';
comment on column ops.source_contracts.set_at is 'When.';

create table raw.payload_shapes (
    raw_payload_id bigint primary key references raw.payloads on delete cascade,
    shape          jsonb
);
comment on table raw.payload_shapes is 'Which fields a payload has, of which types, in how many of its sampled rows: made once, when it is first read.';
comment on column raw.payload_shapes.raw_payload_id is 'The payload.';
comment on column raw.payload_shapes.shape is 'The shape; null once it is part of raw.daily_shapes.';
create index payload_shapes_open on raw.payload_shapes (raw_payload_id) where shape is not null;

create table raw.daily_shapes (
    marketplace   text   not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market        text   not null,
    resource      text   not null,
    observed_on   date   not null,
    payload_count bigint not null check (payload_count > 0),
    shape         jsonb  not null,
    primary key (marketplace, market, resource, observed_on)
);
comment on table raw.daily_shapes is 'The shapes of all payloads of a source and day, added up.';
comment on column raw.daily_shapes.marketplace is 'amazon, etsy or ebay.';
comment on column raw.daily_shapes.market is 'Country site.';
comment on column raw.daily_shapes.resource is 'Kind of data.';
comment on column raw.daily_shapes.observed_on is 'Day on which the answers arrived, UTC.';
comment on column raw.daily_shapes.payload_count is 'Payloads that are part of it.';
comment on column raw.daily_shapes.shape is 'Around the rows and in the rows: how many were looked at, and for each path how many of them have it with each JSON type.';

create table ops.schema_changes (
    schema_change_id bigint      generated always as identity primary key,
    marketplace      text        not null check (marketplace in ('amazon', 'etsy', 'ebay')),
    market           text        not null,
    resource         text        not null,
    observed_on      date        not null,
    change_kind      text        not null check (change_kind in ('appeared', 'vanished', 'type_changed', 'nulls_moved')),
    path             text        not null,
    state_before     text        not null,
    state_after      text        not null,
    detected_at      timestamptz not null,
    unique (marketplace, market, resource, observed_on, change_kind, path)
);
comment on table ops.schema_changes is 'Events: how the answers of a source differ from those of the days before.';
comment on column ops.schema_changes.schema_change_id is 'Identifier.';
comment on column ops.schema_changes.marketplace is 'amazon, etsy or ebay.';
comment on column ops.schema_changes.market is 'Country site.';
comment on column ops.schema_changes.resource is 'Kind of data.';
comment on column ops.schema_changes.observed_on is 'Day of the answers that differ, UTC.';
comment on column ops.schema_changes.change_kind is 'appeared, vanished, type_changed or nulls_moved.';
comment on column ops.schema_changes.path is 'The field: names separated by slashes, * for every element of a list and for names that are data.';
comment on column ops.schema_changes.state_before is 'How it was on the days before.';
comment on column ops.schema_changes.state_after is 'How it is on the day.';
comment on column ops.schema_changes.detected_at is 'When it was found.';
create index schema_changes_by_day on ops.schema_changes (observed_on);

alter table raw.quarantined_rows
    add column extent text not null default 'row' check (extent in ('row', 'value')),
    add column discarded_at timestamptz,
    add column discarded_by text,
    add column discard_reason text,
    add constraint a_discard_says_who_and_why check (num_nulls(discarded_at, discarded_by, discard_reason) in (0, 3));
comment on table raw.quarantined_rows is 'Rows of a payload that broke the contract, while the rest of it was kept; single values too, where the contract discards values.';
comment on column raw.quarantined_rows.extent is 'row, or value where only one value was set aside and the rest of its row was kept.';
comment on column raw.quarantined_rows.discarded_at is 'When a person decided that it is not worth reading; null while open.';
comment on column raw.quarantined_rows.discarded_by is 'Who decided.';
comment on column raw.quarantined_rows.discard_reason is 'Why.';

alter table raw.payload_readings
    add column discarded_at timestamptz,
    add column discarded_by text,
    add column discard_reason text,
    add constraint a_discard_says_who_and_why check (num_nulls(discarded_at, discarded_by, discard_reason) in (0, 3)),
    add constraint only_what_is_quarantined_is_discarded check (discarded_at is null or outcome = 'quarantined');
comment on column raw.payload_readings.discarded_at is 'When a person decided that a quarantined payload is not worth reading; null while open.';
comment on column raw.payload_readings.discarded_by is 'Who decided.';
comment on column raw.payload_readings.discard_reason is 'Why.';
create index payload_readings_quarantined on raw.payload_readings (raw_payload_id) where outcome = 'quarantined';
