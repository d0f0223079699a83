"""SQL and PL/pgSQL -> the conditions that decide what a migration really does, and what it would leave behind.

A body is walked the way it would run, without running it: variables keep the expression they were given, so
`SELECT count(*) INTO n ..; IF n = 0 THEN RETURN` is read as a guard on everything that follows, loops over constant
arrays are unrolled, and `EXECUTE format('.. %I', t)` is the statement it will be. Nested conditions are joined with
AND. What stands in a function is read with the arguments of the calls in the same text; a function nobody calls there
is marked (`Guard.function`), and trigger functions are left alone, since no migration runs them by itself.
https://www.postgresql.org/docs/current/plpgsql-control-structures.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from rcakit.errors import SqlError
from rcakit.facts import Effect, Guard, Unread, Where
from rcakit.parsing import clauses
from rcakit.parsing import effects as plain
from rcakit.parsing.blocks import read_body
from rcakit.parsing.pgparse import Statement, body, language, parse, source, strings, tag, walk
from rcakit.parsing.scope import Meta, Reading
from rcakit.parsing.sqlfold import Unknown, fold, sql_literal

_NEVER_RUN = frozenset({"trigger", "event_trigger"})
Found = tuple[tuple[Guard, ...], tuple[Unread, ...]]


def guards(
    sql: str, *, migration: str, operation: int = 0, statement: int = 0, where: Where | None = None
) -> Found:
    """Every guard of one SQL text, in the order of its lines, and what could not be analysed. Never raises.

    `statement` is the position of the text in its RunSQL.
    """
    reading = Reading(Meta(migration, operation, statement, where))
    try:
        statements = parse(sql)
        calls = list(_calls(statements))
        for each in statements:
            _read(each, calls, reading)
    except SqlError as error:
        reading.unread.append(reading.meta.unread(f"SQL not analysed: {_one_line(error)}"))
    except RecursionError:
        reading.unread.append(reading.meta.unread("SQL not analysed: it is nested too deeply"))
    return tuple(sorted(reading.guards, key=lambda guard: guard.line or 0)), tuple(reading.unread)


def effects(sql: str) -> tuple[Effect, ...]:
    """What a text would leave behind if every condition in it were true, DO bodies included.

    Raises SqlError when the text cannot be parsed. A body that cannot be analysed has no effects here; `guards` of
    the same text says so.
    """
    found: list[Effect] = []
    statements = parse(sql)
    calls = list(_calls(statements))
    for each in statements:
        reading = Reading(Meta(""))
        try:
            _read(each, calls, reading)
        except (SqlError, RecursionError):
            continue
        found.extend(reading.effects)
    return tuple(found)


def made_plainly(sql: str) -> Iterator[tuple[str, str]]:
    """("schema" or "role", its name) of those that a text makes without asking whether they are there.

    None for a text that cannot be parsed: `guards` says so.
    """
    found, _ = guards(sql, migration="")
    asked = {effect.result for guard in found if guard.negated for effect in guard.effects}
    with suppress(SqlError):
        for effect in effects(sql):
            made = (effect.kind, effect.object) == ("create", "schema")
            if made and effect.result is not None and effect.result not in asked:
                yield "schema", effect.result.name
        yield from (("role", each.node["role"]) for each in parse(sql) if each.kind == "CreateRoleStmt")


def _read(statement: Statement, calls: list[tuple[str, list[str | None]]], reading: Reading) -> None:
    if statement.kind == "DoStmt":
        _read_do(statement, reading)
        return
    made = plain.of_statement(statement)
    reading.effects.extend(made)
    clause = clauses.of_statement(statement)
    if clause is not None:
        reading.add_clause(clause, statement.text, made, statement.line)
    if statement.kind == "CreateFunctionStmt":
        _read_function(statement, calls, reading)


def _read_do(statement: Statement, reading: Reading) -> None:
    if language(statement) != "plpgsql":
        reading.tell(f"a DO block in the language {language(statement)} is not analysed", statement.line)
        return
    try:
        read_body(body(statement), statement, reading)
    except SqlError as error:
        reading.tell(_one_line(error), statement.line)


def _read_function(statement: Statement, calls: list[tuple[str, list[str | None]]], reading: Reading) -> None:
    if language(statement) != "plpgsql" or source(statement) is None or _returns(statement) in _NEVER_RUN:
        return
    name = strings(statement.node["funcname"])[-1]
    mine = [arguments for called, arguments in calls if called == name]
    try:
        tree = body(statement)
    except SqlError as error:
        reading.tell(_one_line(error), statement.line, blocking=bool(mine))
        return
    if not mine:
        read_body(tree, statement, Reading(reading.meta, reading.guards), function=name)
    for arguments in mine:
        read_body(tree, statement, reading, scope=_bound(statement, arguments))


def _returns(statement: Statement) -> str:
    return (strings(statement.node.get("returnType", {}).get("names")) or ("",))[-1]


def _bound(statement: Statement, arguments: list[str | None]) -> dict[str, str]:
    """The parameters of a function that get a constant from one call."""
    names = [
        item["FunctionParameter"].get("name", "")
        for item in statement.node.get("parameters", ())
        if item["FunctionParameter"].get("mode")
        in ("FUNC_PARAM_IN", "FUNC_PARAM_DEFAULT", "FUNC_PARAM_INOUT")
    ]
    return {name: value for name, value in zip(names, arguments, strict=False) if name and value is not None}


def _calls(statements: list[Statement]) -> Iterator[tuple[str, list[str | None]]]:
    """(bare name, constant arguments or None) of every function the text itself calls, outside function bodies."""
    for statement in statements:
        if statement.kind in ("SelectStmt", "CallStmt"):
            yield from _calls_in(statement)
        elif statement.kind == "DoStmt" and language(statement) == "plpgsql":
            try:
                tree = body(statement)
            except SqlError:
                continue
            for text in _statements_in(tree):
                yield from _calls_in(*parse(text))


def _statements_in(tree: dict[str, object]) -> Iterator[str]:
    """The PERFORM and CALL statements of a body."""
    for kind, fields in walk(tree):
        if kind in ("PLpgSQL_stmt_perform", "PLpgSQL_stmt_call"):
            yield fields["expr"]["PLpgSQL_expr"]["query"]


def _calls_in(*statements: Statement) -> Iterator[tuple[str, list[str | None]]]:
    for statement in statements:
        called = (
            [{"FuncCall": statement.node["funccall"]}] if statement.kind == "CallStmt" else [statement.node]
        )
        for kind, fields in walk(called):
            if kind == "FuncCall":
                yield strings(fields["funcname"])[-1], [_constant(each) for each in fields.get("args", ())]


def _constant(node: object) -> str | None:
    try:
        return None if tag(node)[0] == "NamedArgExpr" else sql_literal(fold(node))
    except Unknown:
        return None


def _one_line(error: SqlError) -> str:
    return " ".join(str(error).split())
