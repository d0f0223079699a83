-- Tables (r), partitioned tables (p), views (v), materialized views (m), foreign tables (f), sequences (S).
-- `readable` is the condition under which information_schema shows the relation to the session's role.
-- `set rcakit.schemas = '{adm,public}'` first to see only the relations of these schemas.
-- https://www.postgresql.org/docs/current/catalog-pg-class.html
select
    c.oid,
    n.nspname as schema,
    c.relname as name,
    c.relkind::text as kind,
    pg_get_userbyid(c.relowner) as owner,
    c.relpersistence::text as persistence,
    coalesce(i.inhparent, 0::oid) as parent,
    c.relrowsecurity as row_security,
    coalesce(
        pg_has_role(c.relowner, 'USAGE')
        or case c.relkind
            when 'S' then has_sequence_privilege(c.oid, 'SELECT, UPDATE, USAGE')
            else has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                or has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        end,
        false
    ) as readable,
    c.reltuples::int8 as rows_estimate,
    c.relpages::int8 * current_setting('block_size')::int8 as bytes_estimate,
    o.description as comment
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_inherits i on i.inhrelid = c.oid and i.inhseqno = 1
left join pg_description o on o.objoid = c.oid and o.classoid = 'pg_class'::regclass and o.objsubid = 0
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_class'::regclass)
order by c.oid
