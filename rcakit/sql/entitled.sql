-- Roles that may use the schema of the relations named by OID and hold some privilege on them, on their columns or on
-- the sequences they own; the owners too. `set rcakit.oids = '{16384,16385}'` first; without it there is no row.
-- https://www.postgresql.org/docs/current/ddl-priv.html
with target as (
    select c.oid, c.relowner, c.relacl, c.relnamespace, c.relkind
    from pg_class c where c.oid = any (nullif(current_setting('rcakit.oids', true), '')::oid[])
), object as (
    select oid, relowner, relacl, relnamespace from target
    union all
    select s.oid, s.relowner, s.relacl, s.relnamespace
    from target t
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
        and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    join pg_class s on s.oid = d.objid and s.relkind = 'S'
), holder as (
    select o.relnamespace, o.relowner as role from object o
    union
    select o.relnamespace, x.grantee from object o, aclexplode(o.relacl) x
    union
    select t.relnamespace, x.grantee
    from target t join pg_attribute a on a.attrelid = t.oid and not a.attisdropped, aclexplode(a.attacl) x
)
select distinct n.nspname as schema,
    case h.role when 0 then 'public' else pg_get_userbyid(h.role)::text end as role,
    h.role = 0 as everyone
from holder h join pg_namespace n on n.oid = h.relnamespace
where has_schema_privilege(case h.role when 0 then 'public'::name else pg_get_userbyid(h.role) end, h.relnamespace, 'USAGE')
order by 1, 2
