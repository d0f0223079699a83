-- Functions and operators in the schemas of search_path that take nothing but built-in types: by a better match of
-- argument types PostgreSQL may prefer one of them to the built-in of the same name.
-- https://www.postgresql.org/docs/current/typeconv-func.html
select n.nspname::text as schema, p.proname::text as name
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = any (%(path)s) and 16384 > all (p.proargtypes::oid[])
union
select n.nspname::text, o.oprname::text
from pg_catalog.pg_operator o
join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where n.nspname = any (%(path)s) and o.oprleft < 16384 and o.oprright < 16384
order by 1, 2
