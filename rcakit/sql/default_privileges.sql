-- What objects made in a schema from now on will be granted, one row a maker, schema, kind and grantee.
-- https://www.postgresql.org/docs/current/catalog-pg-default-acl.html
select
    pg_get_userbyid(d.defaclrole)::text as maker,
    n.nspname as schema,
    case d.defaclobjtype when 'r' then 'TABLES' when 'S' then 'SEQUENCES' end as kind,
    case x.grantee when 0 then 'public' else pg_get_userbyid(x.grantee)::text end as grantee,
    x.grantee = 0 as everyone,
    array_agg(x.privilege_type::text order by x.privilege_type) as privileges
from pg_default_acl d
join pg_namespace n on n.oid = d.defaclnamespace
cross join lateral aclexplode(d.defaclacl) x
where d.defaclobjtype in ('r', 'S')
group by d.defaclrole, n.nspname, d.defaclobjtype, x.grantee
order by 1, 2, 3, 4
