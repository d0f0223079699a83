-- information_schema.tables without its privilege filter
select pg_catalog.current_database() as table_catalog, n.nspname as table_schema, c.relname as table_name,
       case when n.oid = pg_catalog.pg_my_temp_schema() then 'LOCAL TEMPORARY'
            when c.relkind in ('r', 'p') then 'BASE TABLE'
            when c.relkind = 'v' then 'VIEW'
            else 'FOREIGN' end as table_type
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'f', 'p') and not pg_catalog.pg_is_other_temp_schema(n.oid)
