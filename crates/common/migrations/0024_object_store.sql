-- Bodies may lie in an object store instead of in Postgres; each says where it lies, so both places may be in use at a time.
alter table raw.payloads add column body_location text check (body_location !~ '[?#@]');
comment on column raw.payloads.body_location is 'Address of the body in an object store, without secrets; null where it lies in raw.payload_chunks or was purged.';
comment on column raw.payloads.chunk_count is 'Pieces of the body in raw.payload_chunks; null where it lies in an object store or was purged.';
alter table raw.payloads
    drop constraint a_body_is_in_chunks_or_purged,
    add constraint a_body_is_in_chunks_or_at_a_location_or_purged
        check (num_nonnulls(chunk_count, body_location, purged_at) = 1);
create unique index payloads_by_body_location on raw.payloads (body_location) where body_location is not null;

create table raw.loose_bodies (
    body_location text        primary key check (body_location !~ '[?#@]'),
    upload_id     text,
    loose_since   timestamptz not null default now(),
    condemned_at  timestamptz check (condemned_at >= loose_since)
);
comment on table raw.loose_bodies is 'Objects that no payload names: bodies on their way into an object store, left behind on it, or to be deleted from it.';
comment on column raw.loose_bodies.body_location is 'Address of the object, without secrets.';
comment on column raw.loose_bodies.upload_id is 'The store''s name for the upload while it has parts and no end, so that these can be deleted.';
comment on column raw.loose_bodies.loose_since is 'When it was begun, last went on, or lost its payload.';
comment on column raw.loose_bodies.condemned_at is 'When it was decided that it goes; from then on no payload may name it.';
