-- The name of every type a column has, once a (type, modifier) pair, as format_type prints it.
-- With an empty search_path a type outside pg_catalog carries its schema.
-- https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
select used.atttypid as type_oid, used.atttypmod as typmod, format_type(used.atttypid, used.atttypmod) as name
from (
    select distinct a.atttypid, a.atttypmod
    from pg_attribute a
    where a.attnum > 0 and not a.attisdropped and a.attrelid >= 16384
) used
