-- Columns of tables, views and foreign tables, dropped ones left out. Types are numbers here: see types.sql.
-- A generated column has an expression (defaults.sql), but no default.
-- https://www.postgresql.org/docs/current/catalog-pg-attribute.html
select
    a.attrelid as relation,
    a.attnum::int4 as attnum,
    a.attname as name,
    a.atttypid as type_oid,
    a.atttypmod as typmod,
    a.attnotnull as not_null,
    a.atthasdef and a.attgenerated = '' as has_default,
    a.attidentity::text as identity,
    a.attgenerated::text as generated
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
  and a.attnum > 0 and not a.attisdropped
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_class'::regclass)
order by a.attrelid, a.attnum
