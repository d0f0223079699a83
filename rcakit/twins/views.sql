-- information_schema.views without its privilege filter
select pg_catalog.current_database() as table_catalog, n.nspname as table_schema, c.relname as table_name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v'
