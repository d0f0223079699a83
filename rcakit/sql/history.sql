-- Every relation called django_migrations, in any schema, and whether the session's role may read it.
-- https://docs.djangoproject.com/en/stable/topics/migrations/#how-it-works
select
    c.oid,
    n.nspname as schema,
    coalesce(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT'), false) as readable,
    array(
        select a.attname from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by a.attnum
    ) as columns
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relname = 'django_migrations' and c.relkind in ('r', 'v', 'm', 'p', 'f') and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by n.nspname
