"""Identifiers: the only place that parses, quotes and compares them.

Lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
Django's side (`quote_name`, `strip_quotes`, `truncate_name`):
https://docs.djangoproject.com/en/stable/ref/models/options/#db-table

The gate imports this module inside a project's own interpreter: it needs the standard library of Python 3.8 alone.
"""

from __future__ import annotations

import hashlib
import string
from functools import lru_cache
from typing import Literal, NamedTuple

MAX_BYTES = 63
"""NAMEDATALEN - 1 of an unmodified PostgreSQL: longer names are cut, with no more than a NOTICE."""

_SPACE = " \t\n\r\f\v"
_START = frozenset(string.ascii_letters + "_")
_CONT = _START | frozenset(string.digits + "$")
_SAFE = frozenset(string.ascii_lowercase + string.digits + "_")

_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean
    both case cast char character check coalesce collate collation column concurrently constraint create
    cross current_catalog current_date current_role current_schema current_time current_timestamp
    current_user dec decimal default deferrable desc distinct do else end except exists extract false
    fetch float for foreign freeze from full grant greatest group grouping having ilike in initially
    inner inout int integer intersect interval into is isnull join json json_array json_arrayagg
    json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
    lateral leading least left like limit localtime localtimestamp merge_action national natural nchar
    none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay
    placing position precision primary real references returning right row select session_user setof
    similar smallint some substring symmetric system_user table tablesample then time timestamp to
    trailing treat trim true union unique user using values varchar variadic verbose when where window
    with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
"""
_KEYWORDS = frozenset(_WORDS.split())
"""What PostgreSQL 18 does not read as a name without quotes everywhere; older versions have fewer.
https://www.postgresql.org/docs/current/sql-keywords-appendix.html"""

Kind = Literal["plain", "literal-dot", "qualified", "half-qualified", "quoted", "invalid"]


class Name(NamedTuple):
    """A relation as PostgreSQL knows it; `schema` None means "wherever search_path leads"."""

    schema: str | None
    name: str

    @property
    def sql(self) -> str:
        """Every part quoted: safe to put into a statement."""
        return ".".join(quote(part) for part in self if part is not None)

    def __str__(self) -> str:
        return ".".join(display(part) for part in self if part is not None)


def quote(identifier: str) -> str:
    """Quote one identifier so that PostgreSQL reads back exactly this text.

    Raises ValueError for the two texts no PostgreSQL identifier can be: empty, or with a NUL.
    """
    if not identifier or "\0" in identifier:
        raise ValueError(f"not a possible PostgreSQL identifier: {identifier!r}")
    return '"' + identifier.replace('"', '""') + '"'


def display(identifier: str) -> str:
    """The identifier as people write it: bare where that is unambiguous, else quoted, as by `quote_ident`."""
    bare = identifier and identifier[0] not in string.digits and _SAFE.issuperset(identifier)
    return identifier if bare and identifier not in _KEYWORDS else '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant, correct whatever `standard_conforming_strings` says."""
    if "\0" in text:
        raise ValueError("a PostgreSQL string cannot hold a NUL")
    body = text.replace("'", "''")
    return " E'" + body.replace("\\", "\\\\") + "'" if "\\" in text else f"'{body}'"


def clip(identifier: str) -> str:
    """What is left of an identifier after PostgreSQL cut it to 63 bytes, whole characters only."""
    return identifier.encode()[:MAX_BYTES].decode(errors="ignore")


def parse(text: str) -> tuple[str, ...]:
    """Split a possibly qualified, possibly quoted identifier into the parts PostgreSQL would see.

    Unquoted parts are folded to lower case, quoted ones kept; each is cut to 63 bytes. Whether an unquoted
    part is a keyword depends on the place, and is not looked at.
    Raises ValueError when PostgreSQL would not read the text as one name.
    """
    return tuple(clip(part) for part in _split(text))


def _split(text: str) -> tuple[str, ...]:
    """The parts of a name before the 63-byte cut."""
    parts: list[str] = []
    rest = text.strip(_SPACE)
    while True:
        part, rest = _take_quoted(rest) if rest.startswith('"') else _take_bare(rest)
        parts.append(part)
        rest = rest.lstrip(_SPACE)
        if not rest:
            return tuple(parts)
        if not rest.startswith("."):
            raise ValueError(f"not one SQL name: {text!r}")
        rest = rest[1:].lstrip(_SPACE)


def search_path(text: str) -> tuple[str, ...]:
    """The schemas a `search_path` setting lists, in order, `$user` as it stands.

    The rules are looser than for SQL: `my-schema` needs no quotes here. Raises ValueError when PostgreSQL
    would refuse the setting. https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATH
    """
    parts: list[str] = []
    rest = text.strip(_SPACE)
    while rest or parts:
        part, rest = _take_quoted(rest) if rest.startswith('"') else _take_word(rest)
        parts.append(clip(part))
        rest = rest.lstrip(_SPACE)
        if not rest:
            break
        if not rest.startswith(","):
            raise ValueError(f"not a search_path: {text!r}")
        rest = rest[1:].lstrip(_SPACE)
    return tuple(parts)


def _take_word(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] not in _SPACE + ",":
        end += 1
    if end == 0:
        raise ValueError(f"an empty name in a search_path: {text!r}")
    return _fold(text[:end]), text[end:]


def _take_quoted(text: str) -> tuple[str, str]:
    at = 1
    while (at := text.find('"', at)) != -1:
        if text[at : at + 2] != '""':
            part = text[1:at].replace('""', '"')
            if not part or "\0" in part:
                raise ValueError(f"not a possible identifier: {text!r}")
            return part, text[at + 1 :]
        at += 2
    raise ValueError(f"unterminated quoted identifier: {text!r}")


def _take_bare(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and (text[end] in _CONT or ord(text[end]) >= 0x80):
        end += 1
    if end == 0 or not (text[0] in _START or ord(text[0]) >= 0x80):
        raise ValueError(f"not an SQL name: {text!r}")
    return _fold(text[:end]), text[end:]


def _fold(bare: str) -> str:
    """Unquoted text in lower case; letters beyond ASCII stay, as PostgreSQL leaves them in UTF8."""
    return "".join(c.lower() if c in string.ascii_uppercase else c for c in bare)


class Spelling(NamedTuple):
    """One `db_table` value: what Django emits, what PostgreSQL makes of it, what was meant.

    kind
        `plain` course_templates · `literal-dot` adm.course_templates (one identifier with a dot) ·
        `qualified` "adm"."course_templates" · `half-qualified` adm"."course_templates (works, as
        Django adds the outer quotes) · `quoted` "CourseTemplates" · `invalid` no SQL name at all.
    emitted
        the text Django puts after CREATE TABLE.
    relation
        where PostgreSQL looks; None when `invalid`.
    meant
        the relation the author most probably had in mind.
    truncated
        PostgreSQL cuts the name to 63 bytes.
    """

    db_table: str
    kind: Kind
    emitted: str
    relation: Name | None
    meant: Name
    truncated: bool


@lru_cache(maxsize=100_000)
def spelling(db_table: str) -> Spelling:
    """Read one `db_table` the way Django and then PostgreSQL do. Never raises."""
    emitted = django_quote(db_table)
    try:
        whole, parts = _split(emitted), parse(emitted)
    except ValueError:
        whole, parts = (), ()
    if len(parts) not in (1, 2):
        return Spelling(db_table, "invalid", emitted, None, Name(None, db_table), False)
    relation = Name(None, parts[0]) if len(parts) == 1 else Name(*parts)
    kind: Kind
    if relation.schema is not None:
        kind = "qualified" if db_table.startswith('"') else "half-qualified"
    elif _dotted(relation.name):
        kind = "literal-dot"
    else:
        kind = "quoted" if db_table.startswith('"') else "plain"
    meant = Name(*relation.name.split(".", 1)) if kind == "literal-dot" else relation
    return Spelling(db_table, kind, emitted, relation, meant, parts != whole)


def _dotted(name: str) -> bool:
    schema, dot, table = name.partition(".")
    return bool(dot and schema and table)


def django_quote(db_table: str) -> str:
    """Django's `quote_name` for PostgreSQL: outer quotes unless they are there; inner ones stay as they are."""
    if db_table.startswith('"') and db_table.endswith('"'):
        return db_table
    return f'"{db_table}"'


def django_m2m_table(db_table: str, field: str) -> str:
    """The `db_table` Django derives for an automatic many-to-many table.

    The outer quotes of the model's name are stripped first, which turns `"s"."t"` into the
    half-qualified `s"."t_field`; the part after the last `"."` is cut to 63 characters with a
    four-digit MD5 tail.
    """
    stripped = db_table[1:-1] if db_table[:1] == db_table[-1:] == '"' else db_table
    derived = f"{stripped}_{field}"
    halves = derived.split('"."')
    namespace, name = (halves[0], halves[1]) if len(halves) == 2 else ("", derived)
    namespace, name = namespace.strip('"'), name.strip('"')
    if len(name) <= MAX_BYTES:
        return derived
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:4]
    head = f'{namespace}"."' if namespace else ""
    return f"{head}{name[: MAX_BYTES - 4]}{digest}"


def visible(text: str) -> str:
    r"""Foreign text with every character seen: controls, direction overrides and odd spaces are written out.

    Terminals obey escape sequences and readers trust the order of letters; neither may come from a database.

    >>> print(visible("venues\u202e\n"))
    venues\u202e\n
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
