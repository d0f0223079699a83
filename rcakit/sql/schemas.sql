-- Schemas, without PostgreSQL's own and those an extension brought.
-- `set rcakit.schemas = '{adm,public}'` first to see only these.
-- https://www.postgresql.org/docs/current/catalog-pg-namespace.html
select
    n.oid,
    n.nspname as name,
    pg_get_userbyid(n.nspowner) as owner,
    has_schema_privilege(n.oid, 'USAGE') as usable,
    obj_description(n.oid, 'pg_namespace') as comment
from pg_namespace n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and n.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_namespace'::regclass)
order by n.oid
