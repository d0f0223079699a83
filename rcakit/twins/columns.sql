-- information_schema.columns without its privilege filter: the columns that conditions compare with
select pg_catalog.current_database() as table_catalog, n.nspname as table_schema, c.relname as table_name,
       a.attname as column_name, a.attnum::integer as ordinal_position,
       case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end as column_default,
       case when a.attnotnull or (t.typtype = 'd' and t.typnotnull) then 'NO' else 'YES' end as is_nullable,
       case when b.typelem <> 0 and b.typlen = -1 then 'ARRAY'
            when b.typnamespace = 'pg_catalog'::pg_catalog.regnamespace then pg_catalog.format_type(b.oid, null)
            else 'USER-DEFINED' end as data_type,
       information_schema._pg_char_max_length(b.oid, case when t.typtype = 'd' then t.typtypmod else a.atttypmod end)
           as character_maximum_length,
       (select tn.nspname from pg_catalog.pg_namespace tn where tn.oid = b.typnamespace) as udt_schema,
       b.typname as udt_name,
       case when a.attidentity in ('a', 'd') then 'YES' else 'NO' end as is_identity
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'v', 'f', 'p')
  and not pg_catalog.pg_is_other_temp_schema(n.oid)
