-- information_schema.sequences without its privilege filter, and without the sequences of identity columns, as there
select pg_catalog.current_database() as sequence_catalog, n.nspname as sequence_schema, c.relname as sequence_name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'S' and not pg_catalog.pg_is_other_temp_schema(n.oid)
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'i')
