-- Indexes, those of constraints and invalid ones too; INCLUDE columns are left out, 0 stands for an expression.
-- The definition is there for expression and partial indexes alone: pg_get_indexdef is slow.
-- https://www.postgresql.org/docs/current/catalog-pg-index.html
select
    x.indexrelid as oid,
    x.indrelid as relation,
    i.relname as name,
    x.indisunique as unique,
    x.indisprimary as primary,
    x.indisvalid as valid,
    (x.indkey::int2[])[0:x.indnkeyatts - 1] as columns,
    case when x.indexprs is not null or x.indpred is not null then pg_get_indexdef(x.indexrelid) end as definition
from pg_index x
join pg_class i on i.oid = x.indexrelid
join pg_class c on c.oid = x.indrelid
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and coalesce(n.nspname = any (nullif(current_setting('rcakit.schemas', true), '')::name[]), true)
  and c.oid not in (
      select d.objid from pg_depend d
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.classid = 'pg_class'::regclass)
order by x.indexrelid
