-- Default expressions, and the expressions of generated columns.
-- The digest is of the stored tree, where objects are numbers: it tells a new default from a renamed sequence.
-- A plain default names no column: deparsed without its table, whose lock a running migration may hold.
-- https://www.postgresql.org/docs/current/catalog-pg-attrdef.html
select
    d.adrelid as relation,
    d.adnum::int4 as attnum,
    coalesce(pg_get_expr(d.adbin, case a.attgenerated when '' then 0 else d.adrelid end), '') as expression,
    md5(d.adbin::text) as digest
from pg_attrdef d
join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
join pg_class c on c.oid = d.adrelid
join pg_namespace n on n.oid = c.relnamespace
where c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select e.objid from pg_depend e
      where e.refclassid = 'pg_extension'::regclass and e.deptype = 'e' and e.classid = 'pg_class'::regclass)
order by d.adrelid, d.adnum
