-- Privileges that were granted or revoked by hand, one row an object and grantee.
-- An object nobody touched has no row here: its owner holds everything, and the type's defaults apply.
-- https://www.postgresql.org/docs/current/ddl-priv.html
with wanted as (
    select n.oid, n.nspacl from pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
), brought as (
    select d.classid, d.objid from pg_depend d
    where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
), listed as (
    select 'schema' as object_kind, 'pg_namespace'::regclass as catalog, w.oid as object, w.nspacl as acl
    from wanted w where w.nspacl is not null
    union all
    select 'relation', 'pg_class'::regclass, c.oid, c.relacl
    from pg_class c join wanted w on w.oid = c.relnamespace
    where c.relacl is not null and c.relpersistence <> 't' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'function', 'pg_proc'::regclass, p.oid, p.proacl
    from pg_proc p join wanted w on w.oid = p.pronamespace
    where p.proacl is not null
)
select
    l.object_kind,
    l.object,
    case g.grantee when 0 then 'PUBLIC' else pg_get_userbyid(g.grantee)::text end as grantee,
    array_agg(distinct g.privilege_type order by g.privilege_type) as privileges
from listed l
cross join lateral aclexplode(l.acl) g
where not exists (select from brought b where b.classid = l.catalog and b.objid = l.object)
group by l.object_kind, l.object, g.grantee
order by l.object, g.grantee
