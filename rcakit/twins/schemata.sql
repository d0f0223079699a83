-- information_schema.schemata without its privilege filter
select pg_catalog.current_database() as catalog_name, n.nspname as schema_name,
       pg_catalog.pg_get_userbyid(n.nspowner) as schema_owner
from pg_catalog.pg_namespace n
