select namespaces.nspname::text as "schema_name!",
       coalesce(obj_description(namespaces.oid, 'pg_namespace'), '') as "schema_comment!",
       relations.relname::text as "relation_name!",
       relations.relkind in ('v', 'm') as "is_view!",
       coalesce(obj_description(relations.oid, 'pg_class'), '') as "relation_comment!",
       columns.attname::text as "column_name!",
       format_type(columns.atttypid, columns.atttypmod) as "type_name!",
       columns.attnotnull as "is_not_null!",
       coalesce(col_description(relations.oid, columns.attnum), '') as "column_comment!"
from pg_class relations
join pg_namespace namespaces on namespaces.oid = relations.relnamespace
join pg_attribute columns on columns.attrelid = relations.oid
where namespaces.nspname in ('raw', 'core', 'ops', 'ml', 'analytics')
  -- A partition has the columns of its table.
  and relations.relkind in ('r', 'p', 'v', 'm') and not relations.relispartition
  and columns.attnum > 0 and not columns.attisdropped
order by array_position(array['analytics', 'core', 'raw', 'ml', 'ops'], namespaces.nspname::text),
         relations.relname collate "C", columns.attnum
