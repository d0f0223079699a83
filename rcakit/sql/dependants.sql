-- What hangs on the relations named by OID: bound by OID (survives a rename), or by name in a function's text.
-- `set rcakit.oids = '{16384,16385}'` first; without it there is no row.
-- A mention in a text is a plain search for the name, so it may be of a namesake.
-- https://www.postgresql.org/docs/current/catalog-pg-depend.html
with target as (
    select c.oid, c.relname
    from pg_class c
    where c.oid = any (nullif(current_setting('rcakit.oids', true), '')::oid[])
), held as (
    select t.oid as relation, d.classid, d.objid, d.objsubid, d.refobjsubid, d.deptype
    from target t
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
), owned as (
    select h.relation, h.objid as sequence
    from held h join pg_class s on s.oid = h.objid and s.relkind = 'S'
    where h.classid = 'pg_class'::regclass and h.deptype in ('a', 'i')
)
select distinct relation, kind, dependant, bound from (
    select h.relation,
        case when r.rulename <> '_RETURN' then 'rule' when v.relkind = 'm' then 'materialized view' else 'view' end as kind,
        case when r.rulename = '_RETURN' then r.ev_class::regclass::text
            else format('%I on %s', r.rulename, r.ev_class::regclass) end as dependant,
        'oid' as bound
    from held h
    join pg_rewrite r on r.oid = h.objid
    join pg_class v on v.oid = r.ev_class
    where h.classid = 'pg_rewrite'::regclass and (v.oid <> h.relation or r.rulename <> '_RETURN')
    union all
    select t.oid, 'trigger', format('%I on %s', g.tgname, g.tgrelid::regclass), 'oid'
    from target t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
    union all
    select t.oid, 'foreign key', format('%I on %s', k.conname, k.conrelid::regclass), 'oid'
    from target t join pg_constraint k on k.confrelid = t.oid and k.contype = 'f' and k.conrelid <> t.oid
    union all
    select h.relation, 'policy', format('%I on %s', p.polname, p.polrelid::regclass), 'oid'
    from held h join pg_policy p on p.oid = h.objid
    where h.classid = 'pg_policy'::regclass
    union all
    select o.relation, 'sequence', o.sequence::regclass::text, 'oid'
    from owned o
    union all
    select o.relation, 'default', format('%s.%I', a.attrelid::regclass, a.attname), 'oid'
    from (select relation, sequence as object from owned union all select oid, oid from target) o
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = o.object
        and d.classid = 'pg_attrdef'::regclass
    join pg_attrdef e on e.oid = d.objid
    join pg_attribute a on a.attrelid = e.adrelid and a.attnum = e.adnum
    where e.adrelid <> o.relation
    union all
    select h.relation, 'function', h.objid::regprocedure::text, 'oid'
    from held h
    where h.classid = 'pg_proc'::regclass
    union all
    select t.oid, 'function', p.oid::regprocedure::text, 'text'
    from target t
    join pg_proc p on p.prosrc <> '' and
        (position(t.relname in p.prosrc) > 0 or position(t.relname in lower(p.prosrc)) > 0
         or position(quote_ident(t.relname) in p.prosrc) > 0)
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
) found
order by relation, kind, dependant, bound
