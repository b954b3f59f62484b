-- A series of two years was read from twenty-five months, a page of the index in each, and pages that nobody asked for
-- lately come from the disk one after the other. Quarters are nine. Pages and listings are asked for by moment; they keep
-- their months.

create function core.make_partitions_of(month timestamp) returns integer
language plpgsql as $$
declare
    parent record;
    first_at timestamp;
    name text;
    made integer := 0;
begin
    for parent in
        select tables.oid::regclass as name, tables.relname, tables.relname = 'keyword_observations' as is_by_quarter
        from pg_partitioned_table partitioned
        join pg_class tables on tables.oid = partitioned.partrelid
        where tables.relnamespace in ('core'::regnamespace, 'raw'::regnamespace)
        -- The table that core.make_partitions looks for comes last.
        order by tables.relname = 'payload_chunks', tables.relname
    loop
        first_at := date_trunc(case when parent.is_by_quarter then 'quarter' else 'month' end, month);
        name := parent.relname || to_char(first_at, case when parent.is_by_quarter then '_YYYY"_q"Q' else '_YYYY_MM' end);
        continue when to_regclass(format('partitions.%I', name)) is not null;
        -- To attach a table that is ready locks nobody out of its parent.
        execute format('create table partitions.%I (like %s including all)', name, parent.name);
        execute format('alter table %s attach partition partitions.%I for values from (%L) to (%L)', parent.name, name,
                       first_at at time zone 'UTC',
                       (first_at + case when parent.is_by_quarter then interval '3 months' else '1 month' end) at time zone 'UTC');
        made := made + 1;
    end loop;
    return made;
end
$$;
comment on function core.make_partitions_of is 'Makes the partitions of one month, and the quarter that it lies in, that are not there; returns how many.';

create or replace function core.make_partitions(first_at timestamptz, last_at timestamptz) returns integer
language plpgsql as $$
declare
    month timestamp;
    made integer := 0;
begin
    for month in
        select generate_series(date_trunc('month', first_at at time zone 'UTC'), last_at at time zone 'UTC', '1 month')
    loop
        continue when to_regclass(format('partitions.payload_chunks_%s', to_char(month, 'YYYY_MM'))) is not null;
        -- Two workers that need the same month wait for one another, and the second finds it made.
        perform pg_advisory_xact_lock(hashtext('core.make_partitions'));
        made := made + core.make_partitions_of(month);
    end loop;
    return made;
end
$$;
comment on function core.make_partitions is 'Makes the partitions of all months between two moments, and of their quarters, that are not there; returns how many.';

create schema before_quarters;
do $$
declare
    month record;
begin
    for month in
        select relname, to_timestamp(right(relname, 7), 'YYYY_MM')::timestamp as first_at
        from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = 'core.keyword_observations'::regclass
        order by relname
    loop
        execute format('alter table core.keyword_observations detach partition partitions.%I', month.relname);
        execute format('alter table partitions.%I set schema before_quarters', month.relname);
        perform core.make_partitions_of(month.first_at);
        execute format('insert into core.keyword_observations select * from before_quarters.%I', month.relname);
        execute format('drop table before_quarters.%I', month.relname);
    end loop;
end
$$;
drop schema before_quarters;

drop function core.drop_empty_months;
create function core.drop_empty_partitions(before_at timestamptz) returns integer
language plpgsql as $$
declare
    month record;
    quarter record;
    part record;
    is_empty boolean;
    dropped integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('core.make_partitions'));
    -- Nobody is kept waiting for the sake of tidiness: where something is in use, it stays for the next time.
    set local lock_timeout = '1s';
    for month in
        select right(relname, 7) as name
        from pg_class
        where relnamespace = 'partitions'::regnamespace and relkind = 'r' and relname like 'payload\_chunks\_____\___'
          and (to_date(right(relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= before_at
        order by 1
    loop
        begin
            for part in
                select relname from pg_class
                where relnamespace = 'partitions'::regnamespace and relkind = 'r' and right(relname, 7) = month.name
                order by relname
            loop
                is_empty := core.is_empty_partition(part.relname);
                exit when not is_empty;
            end loop;
            -- A month goes as a whole, or not at all: the tables of a month are made together too.
            if is_empty then
                perform core.drop_partition(relname) from pg_class
                where relnamespace = 'partitions'::regnamespace and relkind = 'r' and right(relname, 7) = month.name;
                dropped := dropped + 1;
            end if;
        exception when lock_not_available then
            null;
        end;
    end loop;
    -- A quarter goes after its months: while one is there, a row may come that needs both.
    for quarter in
        select quarters.relname
        from pg_class quarters,
             lateral (select make_timestamp(left(right(quarters.relname, 7), 4)::integer,
                                            right(quarters.relname, 1)::integer * 3 - 2, 1, 0, 0, 0) as first_at) starts
        where quarters.relnamespace = 'partitions'::regnamespace and quarters.relkind = 'r'
          and quarters.relname like 'keyword\_observations\_____\_q_'
          and (first_at + interval '3 months') at time zone 'UTC' <= before_at
          and not exists (
              select from generate_series(first_at, first_at + interval '2 months', '1 month') months (month_at)
              where to_regclass('partitions.payload_chunks_' || to_char(month_at, 'YYYY_MM')) is not null)
        order by 1
    loop
        begin
            if core.is_empty_partition(quarter.relname) then
                perform core.drop_partition(quarter.relname);
                dropped := dropped + 1;
            end if;
        exception when lock_not_available then
            null;
        end;
    end loop;
    return dropped;
end
$$;
comment on function core.drop_empty_partitions is 'Drops the partitions of every month that ended before a moment and in which no table has a row, and then of quarters; returns how many months and quarters.';

create function core.is_empty_partition(name text) returns boolean
language plpgsql as $$
declare
    is_empty boolean;
begin
    execute format('lock table partitions.%I in access exclusive mode', name);
    execute format('select not exists (select from partitions.%I)', name) into is_empty;
    return is_empty;
end
$$;
comment on function core.is_empty_partition is 'Tells whether a partition has no row, and keeps everybody out of it until the transaction ends.';

create function core.drop_partition(name text) returns void
language plpgsql as $$
begin
    execute format('alter table %s detach partition partitions.%I',
                   (select inhparent::regclass from pg_inherits where inhrelid = format('partitions.%I', name)::regclass), name);
    execute format('drop table partitions.%I', name);
end
$$;
comment on function core.drop_partition is 'Drops a partition with its rows.';

comment on column core.keyword_observations.observed_at is 'When it was true in the world; the quarter of it is the partition.';

create or replace view analytics.keyword_observations_v1 as
select observations.keyword_observation_id, observations.keyword_id, keywords.keyword_text, keywords.marketplace,
       keywords.market, observations.metric, observations.value, observations.unit, observations.value_status,
       observations.status_reason, observations.resource as source, observations.observed_at,
       observations.period_start_date, observations.period_end_date, observations.period_kind,
       observations.fetched_at, observations.ingested_at, observations.raw_payload_id,
       -- As a join it would keep a question that does not ask for it from being answered by the index alone.
       (select encode(payloads.content_sha256, 'hex') from raw.payloads
        where payloads.raw_payload_id = observations.raw_payload_id) as payload_sha256,
       observations.crawl_run_id
from core.keyword_observations observations
join core.keywords using (keyword_id)
join core.publications shown
    on shown.crawl_run_id = observations.crawl_run_id and shown.state = 'published' and shown.decided_at <= core.as_of()
where observations.ingested_at <= core.as_of()
  and (observations.superseded_at is null or observations.superseded_at > core.as_of());
