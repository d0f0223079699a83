"""The new migration of Option A: one file an application, self-contained, nothing of this kit in it.

Django's side: https://docs.djangoproject.com/en/stable/ref/migration-operations/#separatedatabaseandstate
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template

from rcakit.errors import Refused
from rcakit.facts import Declared, Migration
from rcakit.names import Name, visible
from rcakit.remedy.parts import Body, File, Move
from rcakit.remedy.statements import LOCK_TIMEOUT
from rcakit.remedy.survey import Survey


@dataclass(frozen=True, slots=True)
class Written:
    """A new migration and its label."""

    file: File
    label: str


def written(found: Survey, declared: Declared, *, bridge: bool = False) -> tuple[Written, ...]:
    """One migration for each application that has a table to move, each behind the one before it.

    What several applications share is done by one of them, and so taken back by one: a schema is opened by the first
    that moves into it, a function rewritten by the last whose table it names. Raises Refused where its place is not certain.
    """
    apps = list(dict.fromkeys(move.model.app for move in found.moves))
    result: list[Written] = []
    for number, app in enumerate(apps):
        behind = [(apps[number - 1], result[-1].file)] if result else []
        after = [(each, PurePosixPath(file.path).stem) for each, file in behind]
        result.append(_written(app, _share(app, apps, found), declared, bridge, after))
    return tuple(result)


def _share(app: str, apps: Sequence[str], found: Survey) -> Survey:
    """What the migration of one application does; all moves stay in it."""
    first = {move.schema: move.model.app for move in reversed(found.moves)}

    def last(body: Body) -> str:
        naming = {move.model.app for move in found.moves if move.old.name in body.old_source}
        return max(naming or {apps[-1]}, key=apps.index)

    return replace(
        found,
        shut=tuple(each for each in found.shut if first[each.schema] == app),
        defaults=tuple(each for each in found.defaults if first[each.schema] == app),
        bodies=tuple(each for each in found.bodies if last(each) == app),
    )


def removal(found: Survey, declared: Declared, behind: Sequence[str]) -> tuple[Written, ...]:
    """The later migrations that remove the views under the old names, each behind the one that made them."""
    return tuple(_removal(label, found, declared) for label in behind)


def _removal(label: str, found: Survey, declared: Declared) -> Written:
    app, _, last = label.partition(".")
    moves = [move for move in found.moves if move.model.app == app]
    name = f"{int(last[:4]) + 1:04}_remove_old_names"
    rows = [(str(move.old.schema), move.old.name, move.schema, move.new.name) for move in moves]
    text = Template((files("rcakit.remedy") / "remove.py.txt").read_text("utf-8")).substitute(
        app=app, timeout=LOCK_TIMEOUT, moves=_list(rows), dependencies=_list([(app, last)], indent=4)
    )
    return Written(File(str(folder_of(app, declared) / f"{name}.py"), text), f"{app}.{name}")


def folder_of(app: str, declared: Declared) -> PurePosixPath:
    """Where an application's migrations are. Raises Refused when that is outside the project."""
    leaf = leaf_of(app, declared)
    if leaf.where is None or not leaf.first_party:
        raise Refused(
            f"the migrations of {app} lie outside the project, and a new one there would be lost",
            hint="repair the application where it is made, or give it migrations of your own (MIGRATION_MODULES)",
        )
    return PurePosixPath(leaf.where.path).parent


def new_name(app: str, declared: Declared, words: str) -> str:
    """The next number, and what it is about; short enough for the history table."""
    return f"{_next(app, declared)}_{words}"[:96]


def _written(
    app: str, found: Survey, declared: Declared, bridge: bool, after: Sequence[tuple[str, str]]
) -> Written:
    moves = [move for move in found.moves if move.model.app == app]
    schemas = "_".join(_word(schema) for schema in sorted({move.schema for move in moves}))
    name = new_name(app, declared, f"move_tables_to_{schemas}")
    path = folder_of(app, declared) / f"{name}.py"
    return Written(File(str(path), _text(app, found, declared, bridge, after)), f"{app}.{name}")


def leaf_of(app: str, declared: Declared) -> Migration:
    """The last migration of an application. Raises Refused when there is none, or more than one."""
    own = [each for each in declared.migrations if each.app == app]
    passed = {name for each in own for depends, name in each.dependencies if depends == app}
    replaced = {name for each in own for depends, name in each.replaces if depends == app}
    leaves = [each for each in own if each.name not in passed and each.name not in replaced]
    if len(leaves) != 1:
        names = ", ".join(each.name for each in leaves) or "none"
        raise Refused(
            f"{app} has not one last migration but {len(leaves)} ({names})",
            hint="merge them first: manage.py makemigrations --merge",
        )
    return leaves[0]


def _next(app: str, declared: Declared) -> str:
    numbers = [each.name[:4] for each in declared.migrations if each.app == app]
    return f"{max((int(number) for number in numbers if number.isdecimal()), default=0) + 1:04}"


def _word(schema: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in schema)


def _text(app: str, found: Survey, declared: Declared, bridge: bool, after: Sequence[tuple[str, str]]) -> str:
    moves = [move for move in found.moves if move.model.app == app]
    template = Template((files("rcakit.remedy") / "move.py.txt").read_text("utf-8"))
    tables = [(str(move.old.schema), move.old.name, move.schema, move.new.name) for move in moves]
    own = {name for move in moves for name in (move.old, move.new)}
    referring = {each.table for each in found.renames} - own
    elsewhere = [name for move in found.moves if move not in moves for name in (move.old, move.new)]
    roles = [(each.schema, None if each.everyone else each.role) for each in found.shut]
    defaults = [
        (row.maker, row.schema, row.kind, None if row.everyone else row.grantee, ", ".join(row.privileges))
        for row in found.defaults
    ]
    functions = [
        (body.signature, body.old_source, body.new_source, body.before, body.after)
        for body in found.bodies
        if body.after
    ]
    return template.substitute(
        title=f"Move {count(len(moves), 'table')} of {app} to the {plain(_schemas(moves))}.",
        story=textwrap.fill(
            "Their names held a literal dot, so they were made in "
            f"{plain(', '.join(sorted({str(move.old.schema) for move in moves})))}. This moves them with everything that "
            "carries the old name, and lets in whoever had access before.",
            width=110,
        ),
        timeout=LOCK_TIMEOUT,
        moves=_list(tables),
        elsewhere=_list([(str(name.schema), name.name) for name in elsewhere]),
        renames=_dict(sorted({each.old: each.new for each in found.renames}.items())),
        granted=_list(roles),
        defaults=_list(defaults),
        functions=_list(functions),
        bridge=bridge,
        dependencies=_list([*_dependencies(app, referring, declared), *after], indent=4),
        state=_state(moves),
    )


def _dependencies(app: str, referring: Iterable[Name], declared: Declared) -> list[tuple[str, str]]:
    """The own leaf, and those of the applications that refer here: their constraints exist then in every database."""
    apps = {
        model.app
        for model in declared.models
        for name in referring
        if model.db_table.replace('"', "") in (f"{name.schema}.{name.name}", name.name)
    }
    others = sorted(each for each in apps - {app} if any(one.app == each for one in declared.migrations))
    return [(each, leaf_of(each, declared).name) for each in (app, *others)]


def _state(moves: Iterable[Move]) -> str:
    """An automatic table has no model in the state: it follows the one it belongs to."""
    pad = " " * 16
    lines = [
        f"{pad}migrations.AlterModelTable({_quoted(move.model.name.lower())}, {_quoted(move.db_table)}),"
        for move in moves
        if not move.model.auto_created
    ]
    return "\n".join(["[", *lines, " " * 12 + "]"])


def plain(text: str) -> str:
    """A name that may stand in a docstring or a comment: what could end either is written out."""
    return visible(text).replace("\\", "/").replace('"', "'")


def _schemas(moves: Iterable[Move]) -> str:
    names = sorted({move.schema for move in moves})
    return f"schema {names[0]}" if len(names) == 1 else "schemas " + ", ".join(names)


def count(number: int, noun: str) -> str:
    """ "1 table", "7 tables"."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _quoted(text: str) -> str:
    """As a formatter would write it."""
    plain = repr(text)
    return f'"{text}"' if plain[1:-1] == text and '"' not in text else plain


def _item(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        inner = ", ".join(_item(each) for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _list(rows: Sequence[object], indent: int = 0) -> str:
    pad = " " * indent
    return "[\n" + "".join(f"{pad}    {_item(row)},\n" for row in rows) + f"{pad}]" if rows else "[]"


def _dict(rows: Sequence[tuple[str, str]]) -> str:
    return (
        "{\n" + "".join(f"    {_quoted(old)}: {_quoted(new)},\n" for old, new in rows) + "}" if rows else "{}"
    )
