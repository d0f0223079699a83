-- Primary keys (p), unique (u), foreign keys (f), checks (c) and exclusion constraints (x) of tables.
-- NOT NULL, which PostgreSQL 18 keeps here too, is a property of the column. The extra rows PostgreSQL makes
-- for the partitions behind a referenced partitioned table are left out.
-- https://www.postgresql.org/docs/current/catalog-pg-constraint.html
select
    k.oid,
    k.conrelid as relation,
    k.conname as name,
    k.contype::text as kind,
    coalesce(k.conkey, '{}'::int2[]) as columns,
    k.confrelid as foreign_relation,
    coalesce(k.confkey, '{}'::int2[]) as foreign_columns,
    k.convalidated as validated,
    k.condeferrable as deferrable,
    k.condeferred as deferred,
    trim(k.confdeltype::text) as on_delete,
    trim(k.confupdtype::text) as on_update,
    k.conindid as index_oid,
    case when k.contype in ('c', 'x') then pg_get_constraintdef(k.oid) end as definition
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
where k.contype in ('p', 'u', 'f', 'c', 'x') and c.relpersistence <> 't'
  and (k.conparentid = 0 or not exists (
      select from pg_constraint p where p.oid = k.conparentid and p.conrelid = k.conrelid))
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_class'::regclass)
order by k.oid
