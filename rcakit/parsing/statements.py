"""The single statements of a PL/pgSQL body: what each does, and what is known after it."""

from __future__ import annotations

from collections.abc import Callable

from rcakit.errors import SqlError
from rcakit.parsing import clauses
from rcakit.parsing import effects as plain
from rcakit.parsing.pgparse import Node, Statement, parse, shorten, tag, tokens, walk
from rcakit.parsing.scope import ERROR, Reading, Scope, Work
from rcakit.parsing.sqlfold import Unknown, fold_text, substitute


def _assign(fields: Node, scope: Scope, reading: Reading) -> Work:
    text = fields["expr"]["PLpgSQL_expr"]["query"]
    words = tokens(text)
    name = scope.datums[fields["varno"]] if fields.get("varno", 0) < len(scope.datums) else ""
    scope.values.pop(name, None)
    raw = text.encode()
    if name and len(words) > 2 and raw[words[1].start : words[1].end] in (b":=", b"="):
        scope.know(name, substitute(raw[words[2].start :].decode(), scope.values))
    return Work()


def _into(fields: Node, scope: Scope, query: str) -> None:
    """`SELECT .. INTO x` makes x stand for the query."""
    kind, target = tag(fields.get("target"))
    scope.forget({"fields": target.get("fields"), "dno": target.get("dno")})
    columns = target.get("fields", []) if kind == "PLpgSQL_row" else []
    if len(columns) == 1:
        scope.values[scope.datums[columns[0]["varno"]]] = f"({query})"


def _sql(fields: Node, scope: Scope, reading: Reading) -> Work:
    query = scope.text(fields["sqlstmt"], statement=True)
    if not fields.get("into"):
        return _plain(query, scope, reading, fields)
    if not _selects(query):  # INSERT .. RETURNING .. INTO: no condition can ask that again
        scope.forget(fields)
        return _plain(query, scope, reading, fields)
    _into(fields, scope, query)
    scope.values["found"] = f"EXISTS ({query})"
    return Work()


def _selects(query: str) -> bool:
    """A query that can be part of an expression: it changes nothing, not even in a WITH."""
    found = _parsed(query)
    changing = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
    kinds = [kind for each in found for kind, _ in walk(each.node)]
    return len(found) == 1 and found[0].kind == "SelectStmt" and not set(kinds).intersection(changing)


def _plain(text: str, scope: Scope, reading: Reading, fields: Node) -> Work:
    """A statement that is plain SQL, written out or put together for EXECUTE."""
    work = Work()
    try:
        statements = parse(text)
    except SqlError as error:
        reading.tell(
            f"a statement is not analysed: {error.what}", scope.line(fields), blocking=not scope.function
        )
        statements = []
        work.direct = [text]
    for statement in statements:
        made = plain.of_statement(statement)
        work.direct.append(statement.text)
        work.effects += made
        if statement.kind in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "SelectStmt"):
            scope.values.pop("found", None)
        clause = clauses.of_statement(statement)
        if clause is not None:
            reading.add_clause(clause, statement.text, made, scope.line(fields), scope)
    work.whole, work.all_effects = list(work.direct), list(work.effects)
    return work


def _perform(fields: Node, scope: Scope, reading: Reading) -> Work:
    query = scope.text(fields["expr"], statement=True)
    scope.values["found"] = f"EXISTS ({query})"
    reads = not any(kind == "FuncCall" for kind, _ in walk([each.node for each in _parsed(query)]))
    text = [] if reads else [f"PERFORM{query.removeprefix('SELECT')}"]
    return Work(direct=text, whole=list(text))


def _parsed(query: str) -> list[Statement]:
    try:
        return parse(query)
    except SqlError:
        return []


def _execute(fields: Node, scope: Scope, reading: Reading) -> Work:
    text = scope.text(fields["query"])
    try:
        value = fold_text(text)
        query = value if isinstance(value, str) else ""
    except Unknown:
        query = ""
    if fields.get("into") and (not query or _selects(query)):
        _into(fields, scope, query)
        if not query:
            scope.forget({"fields": fields["target"]})
        return Work()
    scope.forget(fields)
    if query:
        return _plain(query, scope, reading, fields)
    reading.tell(
        f"EXECUTE of a text that is only known at run time: {shorten(text)}",
        scope.line(fields),
        blocking=not scope.function,
    )
    return Work([f"EXECUTE {text}"], [f"EXECUTE {text}"])


def _raise(fields: Node, scope: Scope, reading: Reading) -> Work:
    level = int(fields.get("elog_level", ERROR))
    return Work(level=level, leaves=level >= ERROR)


def _leave(fields: Node, scope: Scope, reading: Reading) -> Work:
    return Work(leaves=True)


def _assert(fields: Node, scope: Scope, reading: Reading) -> Work:
    return Work(level=ERROR)


def _call(fields: Node, scope: Scope, reading: Reading) -> Work:
    text = scope.text(fields["expr"], statement=True)
    return Work([text], [text])


def _forget(fields: Node, scope: Scope, reading: Reading) -> Work:
    scope.forget(fields)
    return Work()


WALKERS: dict[str, Callable[[Node, Scope, Reading], Work]] = {
    "PLpgSQL_stmt_assign": _assign,
    "PLpgSQL_stmt_execsql": _sql,
    "PLpgSQL_stmt_dynexecute": _execute,
    "PLpgSQL_stmt_perform": _perform,
    "PLpgSQL_stmt_call": _call,
    "PLpgSQL_stmt_raise": _raise,
    "PLpgSQL_stmt_assert": _assert,
    "PLpgSQL_stmt_return": _leave,
    "PLpgSQL_stmt_return_next": lambda fields, scope, reading: Work(),
    "PLpgSQL_stmt_return_query": lambda fields, scope, reading: Work(),
    "PLpgSQL_stmt_exit": _leave,
    "PLpgSQL_stmt_getdiag": _forget,
    "PLpgSQL_stmt_fetch": _forget,
}
