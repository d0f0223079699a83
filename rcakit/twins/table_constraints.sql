-- information_schema.table_constraints without its privilege filter, and without the NOT NULLs it calls CHECK
select pg_catalog.current_database() as constraint_catalog, k.nspname as constraint_schema,
       c.conname as constraint_name, pg_catalog.current_database() as table_catalog, n.nspname as table_schema,
       r.relname as table_name,
       case c.contype when 'c' then 'CHECK' when 'f' then 'FOREIGN KEY' when 'p' then 'PRIMARY KEY'
                      else 'UNIQUE' end as constraint_type
from pg_catalog.pg_constraint c
join pg_catalog.pg_namespace k on k.oid = c.connamespace
join pg_catalog.pg_class r on r.oid = c.conrelid
join pg_catalog.pg_namespace n on n.oid = r.relnamespace
where c.contype in ('c', 'f', 'p', 'u')
