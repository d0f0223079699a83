"""The walk through one PL/pgSQL body: blocks, branches and loops, and which statements run under which conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rcakit.facts import Else, Guard
from rcakit.names import Name
from rcakit.parsing import loops, presence, statements
from rcakit.parsing.pgparse import Node, Statement, body_line, tag
from rcakit.parsing.scope import ERROR, LOUD, Reading, Scope, Work
from rcakit.parsing.sqlfold import Unknown, fold_text, sql_literal

MAX_TURNS = 200
"""A loop over a longer constant array is read as one turn whose variable is not known."""


def read_body(
    tree: Node,
    statement: Statement,
    reading: Reading,
    *,
    scope: dict[str, str] | None = None,
    function: str = "",
) -> None:
    """Collect the guards, effects and unreadable parts of one body."""
    names = tuple(_datum_name(each) for each in tree.get("datums", ()))
    start = Scope(body_line(statement), names, function, values=dict(scope or {}))
    for datum in tree.get("datums", ()):
        kind, fields = tag(datum)
        if kind == "PLpgSQL_var" and "default_val" in fields and names.count(fields["refname"]) == 1:
            start.know(fields["refname"], start.text(fields["default_val"]))
    work = _run([tree["action"]], start, reading)
    reading.effects.extend(work.all_effects)


def _datum_name(datum: object) -> str:
    return str(tag(datum)[1].get("refname", ""))


# ------------------------------------------------------------------ running statements


def _run(statements: Sequence[Node], scope: Scope, reading: Reading) -> Work:
    """Walk statements in order; what follows a conditional exit is guarded by its opposite."""
    work = Work()
    for position, node in enumerate(statements):
        kind, fields = tag(node)
        leaving = _leaving(kind, fields, scope, reading, work)
        if leaving is not None:
            condition, how, line = leaving
            rest = _run(statements[position + 1 :], scope.given(condition), reading)
            _guard(reading, scope, "return", condition, rest, how, line)
            work.hold(rest)
            return work
        walker = _WALKERS.get(kind)
        if walker is not None:
            work.add(walker(fields, scope, reading))
        if work.leaves:
            break
    return work


def _leaving(
    kind: str, fields: Node, scope: Scope, reading: Reading, work: Work
) -> tuple[str, Else, int] | None:
    """(what must hold for the rest to run, what happens else, line) when this statement may end the block."""
    if kind == "PLpgSQL_stmt_exit" and "cond" in fields:
        return f"({scope.condition(fields['cond'])}) IS NOT TRUE", "none", scope.line(fields)
    if kind != "PLpgSQL_stmt_if":
        return None
    branches = _branches(fields, scope)
    done, last = _branch_works(branches, fields, scope, reading)
    for each in (*done, last):
        work.hold(each)
    quiet = [(cond, each) for (cond, _, _), each in zip(branches, done, strict=True) if each.leaves]
    scope.forget([fields])
    stops = [(cond, each) for cond, each in quiet if each.level < ERROR]
    if last.leaves and "else_body" in fields and last.level < ERROR:
        return _either(branches), last.says, scope.line(fields)
    if stops:
        return (
            " AND ".join(f"({cond}) IS NOT TRUE" for cond, _ in stops),
            stops[0][1].says,
            scope.line(fields),
        )
    return None


def _either(branches: list[tuple[str, list[Node], int]]) -> str:
    conditions = [condition for condition, _, _ in branches]
    return conditions[0] if len(conditions) == 1 else " OR ".join(f"({each})" for each in conditions)


def _branches(fields: Node, scope: Scope) -> list[tuple[str, list[Node], int]]:
    """(condition, statements, line) of IF and every ELSIF; later ones say that the earlier ones did not hold."""
    own = scope.condition(fields["cond"])
    found = [(own, fields.get("then_body", []), scope.line(fields))]
    before = f"({own}) IS NOT TRUE"
    for item in fields.get("elsif_list", ()):
        each = item["PLpgSQL_if_elsif"]
        own = scope.condition(each["cond"])
        found.append((f"{before} AND ({own})", each.get("stmts", []), scope.line(each)))
        before += f" AND ({own}) IS NOT TRUE"
    return found


def _branch_works(
    branches: list[tuple[str, list[Node], int]], fields: Node, scope: Scope, reading: Reading
) -> tuple[list[Work], Work]:
    """Walk the branches of an IF and its ELSE, and report a guard for each that does something."""
    done = [_run(body, scope.given(condition), reading) for condition, body, _ in branches]
    opposite = f"({_either(branches)}) IS NOT TRUE"
    last = _run(fields.get("else_body", []), scope.given(opposite), reading)
    for number, (condition, _, line) in enumerate(branches):
        later = any(each.whole for each in done[number + 1 :])
        how: Else = "statements" if later and last.says != "raise" else last.says
        _guard(reading, scope, "if", condition, done[number], how, line)
    _guard(
        reading,
        scope,
        "if",
        opposite,
        last,
        max((each.says for each in done), key=LOUD.index),
        scope.line(fields),
    )
    return done, last


def _guard(
    reading: Reading,
    scope: Scope,
    kind: str,
    condition: str,
    work: Work,
    how: Else,
    line: int,
    named: tuple[Name, ...] = (),
) -> None:
    """Report a guard unless it guards nothing of its own: nested guards speak for themselves."""
    if work.direct:
        relations, negated = (named, False) if named else presence.asked(condition)
        done = tuple(work.direct), tuple(work.effects)
        reading.add(Guard("", kind, condition, *done, how, relations, negated, line=line), scope)


# ------------------------------------------------------------------ statements


def _block(fields: Node, scope: Scope, reading: Reading) -> Work:
    work = _run(fields.get("body", []), scope, reading)
    handlers = fields.get("exceptions", {}).get("PLpgSQL_exception_block", {}).get("exc_list", [])
    swallowed: list[str] = []
    loudest: list[Else] = []
    for item in handlers:
        handler = item["PLpgSQL_exception"]
        action = _run(handler.get("action", []), replace(scope, values=dict(scope.values)), reading)
        work.hold(action)
        scope.forget(handler)
        if action.level < ERROR:
            loudest.append(action.says)
            swallowed += [each["PLpgSQL_condition"]["condname"] for each in handler["conditions"]]
    if swallowed and work.whole:
        _swallow(fields, scope, reading, work, swallowed, min(loudest, key=LOUD.index))
    if handlers:
        work.leaves = work.leaves and not swallowed
    return work


def _swallow(fields: Node, scope: Scope, reading: Reading, work: Work, names: list[str], how: Else) -> None:
    """A handler that eats errors; of duplicates alone it is another way to write IF NOT EXISTS."""
    creates = all(each.startswith("duplicate_") or each in _DUPLICATE for each in names)
    done = tuple(work.whole), tuple(work.all_effects)
    guard = Guard(
        "", "exception", "", *done, how, (), creates, line=scope.line(fields), swallows=tuple(names)
    )
    reading.add(guard, scope)


_DUPLICATE = frozenset({"42P04", "42P06", "42P07", "42701", "42710", "42723"})


def _case(fields: Node, scope: Scope, reading: Reading) -> Work:
    """CASE is an IF chain whose missing ELSE raises CASE_NOT_FOUND."""
    if "t_expr" in fields:
        subject = scope.text(fields["t_expr"])
        scope.values[scope.datums[fields["t_varno"]]] = subject if subject[:1] in "'(" else f"({subject})"
    first, *others = [item["PLpgSQL_case_when"] for item in fields["case_when_list"]]
    no_match: list[Node] = [{"PLpgSQL_stmt_raise": {"elog_level": ERROR}}]
    chain = {
        "lineno": first.get("lineno", 1),
        "cond": first["expr"],
        "then_body": first.get("stmts", []),
        "elsif_list": [
            {"PLpgSQL_if_elsif": {**each, "cond": each["expr"], "stmts": each.get("stmts", [])}}
            for each in others
        ],
        "else_body": fields.get("else_stmts", []) if fields.get("have_else") else no_match,
    }
    return _run([{"PLpgSQL_stmt_if": chain}], scope, reading)


# ------------------------------------------------------------------ loops


def _over_query(fields: Node, scope: Scope, reading: Reading) -> Work:
    query = scope.text(fields["query"], statement=True)
    found = f"EXISTS ({query})"
    rows = loops.rows(query, *loops.variable(fields["var"], scope.datums))
    if not rows:
        return _conditional_loop(found, fields, scope, reading, found=found)
    work = Work()
    for row in rows:
        scope.forget(fields)
        inside = scope.given(row.condition)
        inside.values.update(row.values)
        inner = _run(fields.get("body", []), inside, reading)
        _guard(reading, scope, "loop", row.condition, inner, "none", scope.line(fields), (row.relation,))
        work.hold(inner)
    scope.forget(fields)
    scope.values["found"] = found
    return work


def _over_dynamic(fields: Node, scope: Scope, reading: Reading) -> Work:
    try:
        query = str(fold_text(scope.text(fields["query"])))
    except Unknown:
        query = f"EXECUTE {scope.text(fields['query'])}"
    return _conditional_loop(f"EXISTS ({query})", fields, scope, reading, found=None)


def _while(fields: Node, scope: Scope, reading: Reading) -> Work:
    scope.forget(fields)
    return _conditional_loop(scope.condition(fields["cond"]), fields, scope, reading, found=None)


def _conditional_loop(
    condition: str, fields: Node, scope: Scope, reading: Reading, *, found: str | None
) -> Work:
    scope.forget(fields)
    inner = _run(fields.get("body", []), scope.given(condition), reading)
    scope.forget(fields)
    if found:
        scope.values["found"] = found
    _guard(reading, scope, "loop", condition, inner, "none", scope.line(fields))
    work = Work()
    work.hold(inner)
    return work


def _counting(fields: Node, scope: Scope, reading: Reading) -> Work:
    """FOR i IN 1..n: runs for certain, as far as anyone can tell."""
    return _turns(fields, scope, reading, None, [])


def _over_array(fields: Node, scope: Scope, reading: Reading) -> Work:
    name = scope.datums[fields["varno"]] if fields.get("varno", 0) < len(scope.datums) else ""
    try:
        value = fold_text(scope.text(fields["expr"]))
    except Unknown:
        value = None
    most = min(MAX_TURNS, reading.turns)
    items = list(value) if isinstance(value, tuple) and len(value) <= most else []
    return _turns(fields, scope, reading, name, [sql_literal(each) for each in items])


def _turns(fields: Node, scope: Scope, reading: Reading, name: str | None, items: list[str]) -> Work:
    """The body once for each constant item, or once with the loop variable unknown."""
    work = Work()
    reading.turns -= len(items)
    for item in items or (None,):
        scope.forget(fields)
        if name and item is not None:
            scope.values[name] = item
        turn = _run(fields.get("body", []), replace(scope, values=dict(scope.values)), reading)
        turn.leaves = False
        work.add(turn)
    scope.forget(fields)
    return work


_WALKERS: dict[str, Callable[[Node, Scope, Reading], Work]] = {
    **statements.WALKERS,
    "PLpgSQL_stmt_block": _block,
    "PLpgSQL_stmt_case": _case,
    "PLpgSQL_stmt_fors": _over_query,
    "PLpgSQL_stmt_dynfors": _over_dynamic,
    "PLpgSQL_stmt_forc": _counting,
    "PLpgSQL_stmt_fori": _counting,
    "PLpgSQL_stmt_foreach_a": _over_array,
    "PLpgSQL_stmt_while": _while,
    "PLpgSQL_stmt_loop": _counting,
}
