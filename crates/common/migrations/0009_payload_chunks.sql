alter table raw.payloads
    alter column body drop not null,
    add column purged_at timestamptz,
    add column chunk_count integer check (chunk_count > 0),
    add constraint a_body_is_here_in_chunks_or_purged
        check (num_nonnulls(body, chunk_count, purged_at) = 1);
comment on column raw.payloads.body is 'The body, encoded as body_encoding says; null when it is stored in chunks or was purged.';
comment on column raw.payloads.purged_at is 'When the body was deleted because its time was over; what is derived from it and its hash stay.';
comment on column raw.payloads.chunk_count is 'Number of chunks that hold the body, where it is too large for one row.';

create table raw.payload_chunks (
    raw_payload_id bigint  not null references raw.payloads on delete cascade,
    chunk_number   integer not null check (chunk_number >= 1),
    bytes          bytea   not null,
    primary key (raw_payload_id, chunk_number)
);
comment on table raw.payload_chunks is 'Bodies too large for one row, in pieces, as they came.';
comment on column raw.payload_chunks.raw_payload_id is 'The payload.';
comment on column raw.payload_chunks.chunk_number is 'Position of the piece, from 1.';
comment on column raw.payload_chunks.bytes is 'The piece.';
alter table raw.payload_chunks alter column bytes set storage external;
