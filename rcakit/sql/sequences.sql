-- Sequences and the column each one feeds: deptype a is serial or OWNED BY, i is GENERATED AS IDENTITY.
-- https://www.postgresql.org/docs/current/catalog-pg-sequence.html
select
    s.seqrelid as relation,
    coalesce(d.refobjid, 0::oid) as owner_relation,
    coalesce(d.refobjsubid, 0) as owner_attnum,
    coalesce(d.deptype = 'i', false) as identity,
    format_type(s.seqtypid, null) as type,
    s.seqstart as start,
    s.seqincrement as increment
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_depend d
    on d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.objsubid = 0
    and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
where c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select e.objid from pg_depend e
      where e.refclassid = 'pg_extension'::regclass and e.deptype = 'e' and e.classid = 'pg_class'::regclass)
order by s.seqrelid
