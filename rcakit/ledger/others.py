"""Catalog objects that are no facts of an account, but whose coming and going is a change all the same.

An enum's new value, an extension, a policy, a role: a migration that brings one has done something.
https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rcakit.ledger.diff import Change

_MADE = "t.oid >= 16384"


class Other(NamedTuple):
    """kind in words, the name as PostgreSQL prints it, and a text that differs when the object does."""

    kind: str
    name: str
    print: str


def _described(catalog: str, kind: str, text: str, where: str = _MADE) -> str:
    return (
        f"select t.oid::text, '{kind}', pg_describe_object('{catalog}'::regclass, t.oid, 0), {text}"  # noqa: S608
        f" from {catalog} t where {where}"
    )


OTHERS: Mapping[str, str] = {
    "pg_extension": "select t.oid::text, 'extension', quote_ident(t.extname),"
    " t.extversion || ' ' || t.extnamespace from pg_extension t where t.oid >= 16384",
    "pg_enum": "select t.oid::text, 'enum value', quote_literal(t.enumlabel) || ' of ' || format_type(t.enumtypid, null),"
    " t.enumsortorder::text from pg_enum t",
    "pg_type": "select t.oid::text, case t.typtype when 'd' then 'domain' else 'type' end, format_type(t.oid, null),"
    " concat_ws(' ', t.typowner, t.typnotnull, t.typdefault, t.typbasetype) from pg_type t"
    " where t.oid >= 16384 and (t.typtype in ('d', 'e', 'r') or t.typtype = 'c'"
    " and (select c.relkind from pg_class c where c.oid = t.typrelid) = 'c')",
    "pg_class": "select t.oid::text, 'settings', t.oid::regclass::text,"
    " concat_ws(' ', t.reloptions, t.relreplident, t.relforcerowsecurity, t.reltablespace) from pg_class t"
    " where t.oid >= 16384 and (t.reloptions is not null or t.relforcerowsecurity or t.reltablespace <> 0"
    " or t.relreplident not in ('d', 'n'))",
    "pg_policy": _described("pg_policy", "policy", "md5(t::text)"),
    "pg_rewrite": _described(
        "pg_rewrite", "rule", "md5(t::text)", "t.oid >= 16384 and t.rulename <> '_RETURN'"
    ),
    "pg_collation": _described("pg_collation", "collation", "md5(t::text)"),
    "pg_statistic_ext": _described("pg_statistic_ext", "statistics", "md5(t::text)"),
    "pg_publication": _described("pg_publication", "publication", "md5(t::text)"),
    "pg_foreign_server": _described("pg_foreign_server", "foreign server", "md5(t::text)"),
    "pg_foreign_data_wrapper": _described("pg_foreign_data_wrapper", "foreign-data wrapper", "md5(t::text)"),
    "pg_event_trigger": _described("pg_event_trigger", "event trigger", "md5(t::text)"),
    "pg_cast": _described("pg_cast", "cast", "md5(t::text)"),
    "pg_operator": _described("pg_operator", "operator", "md5(t::text)"),
    "pg_ts_config": _described("pg_ts_config", "text search configuration", "md5(t::text)"),
    "pg_ts_dict": _described("pg_ts_dict", "text search dictionary", "md5(t::text)"),
    "pg_language": _described("pg_language", "language", "md5(t::text)"),
    "pg_default_acl": _described("pg_default_acl", "default privileges", "md5(t::text)"),
    "pg_authid": "select t.oid::text, 'role', t.rolname::text,"
    " concat_ws(' ', t.rolsuper, t.rolcreaterole, t.rolcreatedb, t.rolcanlogin) from pg_roles t where t.oid >= 16384",
    "pg_auth_members": "select t.roleid || ' ' || t.member, 'membership',"
    " pg_get_userbyid(t.member) || ' in ' || pg_get_userbyid(t.roleid), '' from pg_auth_members t where t.roleid >= 16384",
    "pg_db_role_setting": "select t.setdatabase || ' ' || t.setrole, 'setting', concat_ws(' ',"
    " (select datname from pg_database d where d.oid = t.setdatabase), (select rolname from pg_roles r where r.oid = t.setrole)),"
    " t.setconfig::text from pg_db_role_setting t",
    "pg_description": "select concat_ws(' ', t.classoid, t.objoid, t.objsubid), 'comment',"
    " pg_describe_object(t.classoid, t.objoid, t.objsubid), t.description from pg_description t where t.objoid >= 16384"
    " and (t.objsubid <> 0 or t.classoid not in ('pg_class'::regclass, 'pg_namespace'::regclass))",
}
"""Catalog -> query for (key, kind, name, print) of what people made in it."""


def others_changed(before: Mapping[str, Other], after: Mapping[str, Other]) -> Iterator[Change]:
    for key in {**before, **after}:
        was, now = before.get(key), after.get(key)
        if was is None and now is not None:
            yield Change("created", now.kind, "", now.name)
        elif now is None and was is not None:
            yield Change("dropped", was.kind, was.name, "")
        elif was is not None and now is not None and was != now:
            kind = "renamed" if was.name != now.name else "altered"
            yield Change(kind, now.kind, was.name, now.name)  # type: ignore[arg-type]
