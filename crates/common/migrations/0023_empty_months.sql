create function core.drop_empty_months(before_at timestamptz) returns integer
language plpgsql as $$
declare
    month record;
    parent record;
    is_empty boolean;
    dropped integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('core.make_partitions'));
    -- Nobody is kept waiting for the sake of tidiness: where something is in use, the month stays for the next time.
    set local lock_timeout = '1s';
    for month in
        select right(relname, 7) as name
        from pg_class
        where relnamespace = 'partitions'::regnamespace and relkind = 'r' and relname like 'payload\_chunks\_____\___'
          and (to_date(right(relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= before_at
        order by 1
    loop
        begin
            for parent in
                select partrelid::regclass as name, relname
                from pg_partitioned_table join pg_class on pg_class.oid = partrelid
                where relnamespace in ('core'::regnamespace, 'raw'::regnamespace)
                order by relname
            loop
                execute format('lock table partitions.%I in access exclusive mode', parent.relname || '_' || month.name);
                execute format('select not exists (select from partitions.%I)', parent.relname || '_' || month.name)
                into is_empty;
                exit when not is_empty;
            end loop;
            -- A month goes as a whole, or not at all: the tables of a month are made together too.
            if is_empty then
                for parent in
                    select partrelid::regclass as name, relname
                    from pg_partitioned_table join pg_class on pg_class.oid = partrelid
                    where relnamespace in ('core'::regnamespace, 'raw'::regnamespace)
                loop
                    execute format('alter table %s detach partition partitions.%I', parent.name, parent.relname || '_' || month.name);
                    execute format('drop table partitions.%I', parent.relname || '_' || month.name);
                end loop;
                dropped := dropped + 1;
            end if;
        exception when lock_not_available then
            null;
        end;
    end loop;
    return dropped;
end
$$;
comment on function core.drop_empty_months is 'Drops the partitions of every month that ended before a moment and in which no table has a row; returns how many months.';
