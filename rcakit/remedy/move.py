"""Option A: the tables go where they were meant to be, with everything that carries their old name."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from rcakit.case import Case
from rcakit.remedy import migration, patch, statements
from rcakit.remedy.parts import File, Repair
from rcakit.remedy.survey import Survey

TRADE_OFFS = (
    "Names, models and database say the same afterwards; this is what was meant.",
    "All tables are locked ACCESS EXCLUSIVE for the moment of the move; no row is rewritten, so it lasts milliseconds "
    "whatever their size.",
    "Old code fails from the moment of the move and new code before it: deploy both together, or take Option C.",
)


def repair(case: Case, found: Survey) -> Repair:
    """Raises Refused where the migration's place or the model's text is not certain."""
    return with_files(case, build(case, found))


def build(case: Case, found: Survey, *, bridge: bool = False) -> Repair:
    """The repair without its files."""
    written = migration.written(found, case.declared, bridge=bridge)
    changed = patch.edited(case.project, found.moves)
    changed |= {each.file.path: each.file.text for each in written}
    left = [body for body in found.bodies if not body.after]
    return Repair(
        option="A",
        title=f"Move {migration.count(len(found.moves), 'table')} to {_places(found)}",
        statements=statements.forward(found),
        reverse=statements.backward(found),
        dependants=tuple(_dependants(case, found, changed)),
        trade_offs=(*TRADE_OFFS, _who(found)),
        residue=(*(f"{body.signature} names a table in its text: {body.why}" for body in left), *found.jobs),
        changed=changed,
        migrations=tuple(each.label for each in written),
        moves=found.moves,
        renames=found.renames,
        bodies=found.bodies,
    )


def with_files(case: Case, result: Repair, more: tuple[File, ...] = ()) -> Repair:
    """The same with everything a reviewer reads: new files whole, changed ones as a patch, the SQL, and a page about it."""
    new = {path: text for path, text in result.changed.items() if not (case.project / path).exists()}
    old = {path: text for path, text in result.changed.items() if path not in new}
    files = [File(f"project/{path}", text) for path, text in new.items()]
    if old:
        files.append(File("models.patch", patch.diff(case.project, old)))
    if result.statements:
        files += [File("repair.sql", result.sql), File("reverse.sql", result.reverse_sql)]
    files += more
    return replace(result, files=(*files, File("README.md", readme(result, tuple(files)))))


def readme(result: Repair, files: tuple[File, ...]) -> str:
    """What a reviewer reads first."""
    parts = [
        f"# Option {result.option}: {result.title}",
        "",
        "Nothing of this was applied to the investigated database.",
        "",
    ]
    parts += ["## Files", "", *(f"- `{each.path}`" for each in files), ""]
    if result.migrations:
        parts += [
            "## How to apply", "",
            "1. Copy the files below `project/` into the project, and apply the model patch: "
            f"`git apply {shlex.quote('models.patch')}`.",
            f"2. Rehearse on a copy: `rcakit repair --option {result.option} --out DIR --rehearse`.",
            "3. `manage.py migrate`, together with the deployment of the new code.", "",
            "`repair.sql` and `reverse.sql` are the same as plain SQL, for review and for hands; take the migration or "
            "the script, not both.", "",
        ]  # fmt: skip
    for title, lines in (
        ("Trade-offs", result.trade_offs),
        ("What hangs on these tables", result.dependants),
        ("What stays behind", result.residue or ("Nothing that is known.",)),
    ):
        parts += [f"## {title}", "", *(f"- {line}" for line in lines), ""]
    return "\n".join(parts)


def _places(found: Survey) -> str:
    return ", ".join(sorted({f"schema {move.schema}" for move in found.moves}))


def _who(found: Survey) -> str:
    return (
        f"To be run by a superuser, or by a member of {', '.join(found.owners)} (owner of the tables) with CREATE on "
        f"{_places(found)}."
    )


def _dependants(case: Case, found: Survey, changed: dict[str, str]) -> Iterator[str]:
    rewritten = {body.signature: body for body in found.bodies}
    seen: set[tuple[str, str, str]] = set()
    for row in case.dependants:
        key = (row.kind, row.dependant, row.bound)
        if key in seen:
            continue
        seen.add(key)
        what = f"{row.kind} {row.dependant}"
        body = rewritten.get(row.dependant)
        if row.bound == "oid":
            yield f"{what}: bound by OID, goes on working"
        elif body is not None and body.after:
            yield f"{what}: names the table in its text, rewritten"
        else:
            yield f"{what}: names the table in its text, not rewritten ({body.why if body else 'not read'})"
    yield from found.jobs
    for hit in patch.mentions(case.project, found.moves, changed):
        yield f"{hit}: to be looked at by hand"
