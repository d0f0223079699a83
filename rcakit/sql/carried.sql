-- Everything with a name of its own that belongs to the relations named by OID, or refers to them:
-- constraints (foreign keys of other tables too), indexes without a constraint, sequences, triggers, policies, statistics.
-- `set rcakit.oids = '{16384,16385}'` first; without it there is no row.
-- An index behind a constraint is renamed with it, and is left out. NOT NULL constraints have names since PostgreSQL 18.
-- https://www.postgresql.org/docs/current/sql-altertable.html
with target as (
    select unnest(nullif(current_setting('rcakit.oids', true), '')::oid[]) as oid
)
select found.kind, found.relation, n.nspname as schema, c.relname as relation_name, found.name, found.own_schema
from (
    select 'constraint' as kind, k.conrelid as relation, k.conname as name, '' as own_schema
    from pg_constraint k
    where k.conrelid in (select oid from target) or (k.contype = 'f' and k.confrelid in (select oid from target))
    union
    select 'index', x.indrelid, i.relname, s.nspname
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_namespace s on s.oid = i.relnamespace
    where x.indrelid in (select oid from target)
      and not exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x'))
    union
    select 'sequence', d.refobjid, q.relname, s.nspname
    from pg_depend d
    join pg_class q on q.oid = d.objid and q.relkind = 'S'
    join pg_namespace s on s.oid = q.relnamespace
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid in (select oid from target) and d.deptype in ('a', 'i')
    union
    select 'trigger', g.tgrelid, g.tgname, '' from pg_trigger g
    where g.tgrelid in (select oid from target) and not g.tgisinternal and g.tgparentid = 0
    union
    select 'policy', p.polrelid, p.polname, '' from pg_policy p where p.polrelid in (select oid from target)
    union
    select 'statistics', e.stxrelid, e.stxname, s.nspname
    from pg_statistic_ext e join pg_namespace s on s.oid = e.stxnamespace
    where e.stxrelid in (select oid from target)
) found
join pg_class c on c.oid = found.relation
join pg_namespace n on n.oid = c.relnamespace
order by schema, relation_name, kind, name
