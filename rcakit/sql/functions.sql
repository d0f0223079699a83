-- Functions (f), procedures (p), aggregates (a) and window functions (w) with their source text.
-- A function with an SQL-standard body has no source text: its whole definition stands there instead.
-- https://www.postgresql.org/docs/current/catalog-pg-proc.html
select
    p.oid,
    n.nspname as schema,
    p.proname as name,
    pg_get_function_identity_arguments(p.oid) as arguments,
    p.prokind::text as kind,
    l.lanname as language,
    pg_get_userbyid(p.proowner) as owner,
    case
        when p.prosrc = '' and p.prokind <> 'a' then coalesce(pg_get_functiondef(p.oid), '')
        else p.prosrc
    end as source
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and p.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_proc'::regclass)
order by p.oid
