"""What goes with a table when it moves: names to change, and roles that must be able to follow.

`ALTER TABLE .. SET SCHEMA` takes indexes, constraints and owned sequences along, but leaves them the names they were
given after the table. https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

from rcakit.names import Name, quote

CARRIED = """
SELECT 'constraint', c.conname, NULL FROM pg_catalog.pg_constraint c WHERE c.conrelid = %(table)s AND c.contype <> 't'
UNION
SELECT 'index', i.relname, s.nspname FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_namespace s ON s.oid = i.relnamespace
WHERE x.indrelid = %(table)s AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION
SELECT 'sequence', q.relname, s.nspname FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_catalog.pg_namespace s ON s.oid = q.relnamespace
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid = %(table)s AND d.deptype IN ('a', 'i')
UNION
SELECT 'trigger', t.tgname, NULL FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = %(table)s AND NOT t.tgisinternal
UNION
SELECT 'policy', p.polname, NULL FROM pg_catalog.pg_policy p WHERE p.polrelid = %(table)s
UNION
SELECT 'statistics', e.stxname, s.nspname FROM pg_catalog.pg_statistic_ext e
JOIN pg_catalog.pg_namespace s ON s.oid = e.stxnamespace WHERE e.stxrelid = %(table)s
ORDER BY 1, 2
"""

SHUT_OUT = """
SELECT CASE g.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(g.grantee) END
FROM (
    SELECT x.grantee FROM pg_catalog.pg_class c CROSS JOIN LATERAL
        pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) x WHERE c.oid = %(table)s
    UNION
    SELECT x.grantee FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) x
    WHERE a.attrelid = %(table)s
) g, pg_catalog.pg_namespace o, pg_catalog.pg_namespace n
WHERE o.nspname = %(old)s AND n.nspname = %(new)s AND CASE g.grantee
    WHEN 0 THEN pg_catalog.has_schema_privilege('public'::name, o.oid, 'USAGE')
        AND NOT pg_catalog.has_schema_privilege('public'::name, n.oid, 'USAGE')
    ELSE pg_catalog.has_schema_privilege(g.grantee, o.oid, 'USAGE')
        AND NOT pg_catalog.has_schema_privilege(g.grantee, n.oid, 'USAGE')
    END
ORDER BY 1
"""


class Place(NamedTuple):
    """A relation's name with its schema, and the table that is there: its OID, or None."""

    name: Name
    oid: int | None


class Rename(NamedTuple):
    """Something that belongs to the table; `schema` is where an object with a place of its own lies, else None."""

    kind: str
    schema: str | None
    old: str
    new: str

    def sql(self, table: Name) -> str:
        if self.kind == "constraint":
            return f"ALTER TABLE {table.sql} RENAME CONSTRAINT {quote(self.old)} TO {quote(self.new)}"
        on = f" ON {table.sql}" if self.schema is None else ""
        return f"ALTER {self.kind.upper()} {Name(self.schema, self.old).sql}{on} RENAME TO {quote(self.new)}"


def carried(cursor: Any, table: Place) -> list[tuple[str, str, str | None]]:
    """Kind, name and schema of everything that has a name of its own and belongs to the table."""
    cursor.execute(CARRIED, {"table": table.oid})
    return [(kind, name, schema) for kind, name, schema in cursor.fetchall()]


def after_the_table(name: str, old: str, new: str) -> str:
    """A name that was made from the table's old one, made from the new one; any other as it is.

    >>> after_the_table("adm.venues_pkey", "adm.venues", "venues")
    'venues_pkey'

    A long name holds the table's cut to a part; of a literal "adm.venues" the beginning alone is then enough.
    """
    if name == old or name.startswith(old + "_"):
        return new + name[len(old) :]
    prefix = old[: -len(new)] if old.endswith("." + new) else ""
    return name[len(prefix) :] if prefix and name.startswith(prefix) else name


def renames(cursor: Any, table: Place, new: str, explicit: Container[str]) -> list[Rename]:
    """What must be called differently; a name that a model's Meta gives is its own and stays."""
    named = [(kind, schema, name) for kind, name, schema in carried(cursor, table) if name not in explicit]
    planned = [
        Rename(kind, schema, name, after_the_table(name, table.name.name, new))
        for kind, schema, name in named
    ]
    return [each for each in planned if each.new != each.old]


def shut_out(cursor: Any, table: Place, schema: str) -> list[str]:
    """Roles, ready for SQL, that can use the table where it is and could not enter another schema."""
    cursor.execute(SHUT_OUT, {"table": table.oid, "old": table.name.schema, "new": schema})
    return ["PUBLIC" if role is None else quote(role) for (role,) in cursor.fetchall()]
