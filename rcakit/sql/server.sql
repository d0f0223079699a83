-- The server, the role and its own search_path, before rcakit empties it: one row.
-- Every name is qualified, as this is the only query that runs under the role's own search_path.
-- https://www.postgresql.org/docs/current/functions-info.html
select
    pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version_num,
    pg_catalog.current_database() as database,
    current_user as role,
    coalesce((select r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user), false) as superuser,
    pg_catalog.current_setting('search_path') as search_path,
    array(
        select s.name from pg_catalog.unnest(pg_catalog.current_schemas(false)) with ordinality s (name, place)
        where s.name <> 'pg_catalog' and s.name !~ '^pg_'
        order by s.place
    ) as schemas_in_path,
    pg_catalog.current_setting('server_encoding') as encoding,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    pg_catalog.txid_current_snapshot()::pg_catalog.text as snapshot,
    pg_catalog.now() as taken_at
