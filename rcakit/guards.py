"""Each guard's condition, asked of the investigated database without changing it, and the name that was meant.

Asked twice: as the role, with the role's own search path, `information_schema` hiding what it may not use
(https://www.postgresql.org/docs/current/information-schema.html); and with `information_schema.tables`, `columns`,
`views`, `schemata`, `sequences`, `table_constraints` (`twins/*.sql`) and constant `to_regclass` replaced by the
same questions to `pg_catalog`, which hides nothing. Other `information_schema` views have no such twin here: the second answer is None for them.
A condition that `harmless` objects to is not run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from rcakit import nearest
from rcakit.errors import SqlError
from rcakit.evidence import Recorder
from rcakit.facts import Catalog, Guard, Unread, Verdict
from rcakit.names import parse as parse_name
from rcakit.names import quote
from rcakit.parsing import harmless
from rcakit.parsing.pgparse import Node, parse, replace, shorten, spans, strings, tokens, walk
from rcakit.parsing.sqlfold import Unknown, fold, sql_literal

TWINS = frozenset({"tables", "columns", "views", "schemata", "sequences", "table_constraints"})
"""The `information_schema` views that have a twin without privilege filters in `twins/`."""
_PATH = "select set_config('search_path', %s, true)"


@cache
def twin(name: str) -> str:
    """The text of `twins/<name>.sql`."""
    return (files("rcakit") / "twins" / f"{name}.sql").read_text("utf-8")


def evaluate(guards: Iterable[Guard], recorder: Recorder, catalog: Catalog) -> tuple[Verdict, ...]:
    """One verdict a guard, in order. Both answers None, nothing unread: for an exception handler, which has no condition,
    for a function that nobody called, whose arguments nobody knows, and for a DROP .. IF EXISTS that cannot be asked.

    Leaves the session's search_path empty, as it found it.
    """
    wanted = list(guards)
    asked = _Asked(recorder, catalog)
    if any(_question(guard) for guard in wanted):
        asked.prepare()
    try:
        return tuple(_verdict(guard, asked) for guard in wanted)
    finally:
        if asked.ready:
            recorder.rows("empty the search path", _PATH, [""])


def _question(guard: Guard) -> str:
    return guard.condition if guard.sql is None else guard.sql


def _verdict(guard: Guard, asked: _Asked) -> Verdict:
    question = _question(guard)
    if guard.kind == "exception" or guard.function or (not question and _innocent(guard)):
        return Verdict(guard, None, None)
    answer = asked.ask(question) if question else _Answer(unread="there is no SQL for this condition")
    unread = None
    if answer.unread:
        text = f"{guard.migration}: condition not evaluated, {answer.unread}: {shorten(guard.condition)}"
        unread = Unread("observed", text, guard.where, blocking=not _innocent(guard))
    near = None
    if answer.as_catalog is False and not guard.negated:
        near = nearest.nearest(guard.relations, asked.catalog)
    return Verdict(guard, answer.as_role, answer.as_catalog, near, answer.evidence, unread)


def _innocent(guard: Guard) -> bool:
    """No verdict rests on its answer: an idempotent create, a DROP .. IF EXISTS, a function nobody called, mere rows."""
    drops = guard.kind == "clause" and all(effect.kind == "drop" for effect in guard.effects)
    rows = bool(guard.guarded) and not guard.effects and all(_only_rows(text) for text in guard.guarded)
    return guard.negated or bool(guard.function) or drops or rows


def _only_rows(sql: str) -> bool:
    """The text changes rows and nothing else, as far as it tells."""
    try:
        return {each.kind for each in parse(sql)} <= _ROWS
    except SqlError:
        return False


_ROWS = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "ConstraintsSetStmt"})


@dataclass(frozen=True)
class _Answer:
    as_role: bool | None = None
    as_catalog: bool | None = None
    evidence: tuple[str, ...] = ()
    unread: str = ""


@dataclass
class _Asked:
    """The questions of one call, each put once."""

    recorder: Recorder
    catalog: Catalog
    ready: bool = False
    hijackers: dict[str, str] = field(default_factory=dict)
    answers: dict[str, _Answer] = field(default_factory=dict)

    @property
    def path(self) -> list[str]:
        return [schema for schema in self.catalog.server.schemas_in_path if schema != "pg_catalog"]

    def prepare(self) -> None:
        found = self.recorder.rows("what shadows built-ins", twin("hijackers"), {"path": self.path})
        self.hijackers = {name: schema for schema, name in found}
        own = ", ".join(quote(schema) for schema in self.path)
        self.recorder.rows("the role's own search path", _PATH, [own])
        self.ready = True

    def ask(self, question: str) -> _Answer:
        if question not in self.answers:
            reason = harmless.objection(question, self.hijackers) or self._shadowed(question)
            self.answers[question] = _Answer(unread=reason) if reason else self._run(question)
        return self.answers[question]

    def _shadowed(self, question: str) -> str:
        """A path that names pg_catalog itself may let another schema's relation win."""
        if "pg_catalog" not in self.catalog.server.search_path:
            return ""
        for name in _unqualified(question):
            for schema in self.path:
                if (schema, name) in self.catalog.by_name:
                    return f"{schema} has a relation called {name}, and search_path names pg_catalog itself"
        return ""

    def _run(self, question: str) -> _Answer:
        as_role, first, problem = self._put(f"as the role: {shorten(question, 60)}", question)
        twin, complete = _without_privileges(question, self.path)
        if twin == question:
            return _Answer(as_role, as_role if complete else None, first, problem)
        as_catalog, second, other = self._put(f"as the catalog has it: {shorten(question, 60)}", twin)
        return _Answer(as_role, as_catalog if complete else None, first + second, problem or other)

    def _put(self, name: str, question: str) -> tuple[bool | None, tuple[str, ...], str]:
        rows = self.recorder.attempt(name, f"SELECT (\n{question}\n)::boolean")
        evidence = (self.recorder.last_id,)
        if isinstance(rows, Unread):
            return None, evidence, f"PostgreSQL answered with an error ({self.recorder.evidence[-1].error})"
        return rows[0][0] is True, evidence, ""


def _unqualified(question: str) -> list[str]:
    return [
        fields["relname"]
        for kind, fields in _nodes(question)
        if kind == "RangeVar" and "schemaname" not in fields
    ]


def _nodes(question: str) -> list[tuple[str, Node]]:
    return list(walk([each.node for each in parse(_select(question))]))


def _select(question: str) -> str:
    return f"SELECT {question}\n"


# ------------------------------------------------------------------ the same question to pg_catalog


def _without_privileges(question: str, path: list[str]) -> tuple[str, bool]:
    """(the question put to pg_catalog, whether nothing in it still hides by privilege)."""
    text = _select(question)
    edits: list[tuple[int, int, str]] = []
    complete = True
    for kind, fields in _nodes(question):
        if kind == "RangeVar" and fields.get("schemaname") == "information_schema":
            complete = complete and fields["relname"] in TWINS
            if fields["relname"] in TWINS:
                bare = f"(\n{twin(fields['relname'])})"
                start, end = spans(text, {fields["location"]: 3})[fields["location"]]
                edits.append(
                    (start, end, bare if "alias" in fields else f"{bare} AS {quote(fields['relname'])}")
                )
        elif kind == "FuncCall" and strings(fields["funcname"])[-1] == "to_regclass":
            edits.extend(_look_up(text, fields, path))
    if not edits:
        return question, complete
    return replace(text, edits)[len("SELECT ") : -1], complete


def _look_up(text: str, fields: Node, path: list[str]) -> list[tuple[int, int, str]]:
    """to_regclass of a constant, without the USAGE check on the schema."""
    try:
        parts = parse_name(str(fold(fields["args"][0])))
    except (Unknown, ValueError):
        return []
    if len(parts) not in (1, 2):
        return []
    schemas = sql_literal(tuple(["pg_catalog", *path] if len(parts) == 1 else [parts[0]]))
    look_up = _REGCLASS.format(name=sql_literal(parts[-1]), schemas=schemas)
    return [(*_call_span(text, fields["location"]), look_up)]


def _call_span(text: str, start: int) -> tuple[int, int]:
    """From the function's name to the parenthesis that closes its arguments."""
    depth = 0
    raw = text.encode()
    for word in tokens(text):
        if word.start < start:
            continue
        mark = raw[word.start : word.end]
        depth += (mark == b"(") - (mark == b")")
        if mark == b")" and depth == 0:
            return start, word.end
    raise AssertionError("a call that parsed has a closing parenthesis")


_REGCLASS = (
    "(SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relname = {name} AND n.nspname = ANY ({schemas})"
    " ORDER BY pg_catalog.array_position({schemas}, n.nspname::text) LIMIT 1)"
)
