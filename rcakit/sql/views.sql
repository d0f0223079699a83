-- The query of each view and materialized view, as a digest of its stored tree, where objects are numbers.
-- (`select pg_get_viewdef(oid)` shows one as text, but waits for the view's lock.)
-- https://www.postgresql.org/docs/current/catalog-pg-rewrite.html
select r.ev_class as relation, md5(r.ev_action::text) as digest
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('v', 'm') and r.ev_type = '1' and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_class'::regclass)
order by r.ev_class
