-- Triggers people made; those PostgreSQL makes for foreign keys are left out.
-- https://www.postgresql.org/docs/current/catalog-pg-trigger.html
select
    t.oid,
    t.tgrelid as relation,
    t.tgname as name,
    t.tgfoid as function,
    t.tgenabled::text as enabled,
    pg_get_triggerdef(t.oid) as definition
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
where not t.tgisinternal and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_class'::regclass)
order by t.oid
