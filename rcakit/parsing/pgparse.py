"""PostgreSQL's own parser behind one door: SQL text -> statements, PL/pgSQL bodies -> trees, nothing else.

Trees are the JSON of libpg_query (https://github.com/pganalyze/libpg_query): a node is `{"Kind": {field: ..}}`.
The protobuf form of the same library gives up at a nesting of 100, so it is used for nothing but flat token lists.
What would end the process (a function without an AS string, a chain of a hundred thousand operators) or would be
read wrongly in silence (a NUL, a body in another language) is refused here, before the C library sees it.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple, NoReturn

from rcakit.errors import SqlError
from rcakit.parsing.library import lib, words

Node = dict[str, Any]
"""A parse tree node, tagged `{"SelectStmt": {..}}`, or its bare fields."""

MAX_CHAIN = 2_000
"""Words that may follow each other without a comma or semicolon: the C library recurses on such chains.

1,500 nested sub-selects (3,000 words) end a process in a thread with a stack of 512 KB, macOS' default.
"""
MAX_DEPTH = 900
"""Braces and brackets within one another that a tree may hold. Python 3.11 reads up to its recursion limit, later ones until
a small stack is used up, which ends the process; here every one stops at the same place."""
_LPAREN, _RPAREN, _COMMA, _SEMICOLON = 40, 41, 44, 59
_COMMENTS = (275, 276)
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
"""The strings of a JSON document."""
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_OTHERS = bytes(set(range(256)) - _STEPS.keys())
_BRANCHES = frozenset((dict, list))


class Token(NamedTuple):
    """start and end are byte offsets into the UTF-8 text; code is libpg_query's token number."""

    code: int
    start: int
    end: int


class Statement(NamedTuple):
    """One statement: `kind` "DoStmt" and its fields, source text, byte offset and line (from 1) of its first word."""

    kind: str
    node: Node
    text: str
    location: int
    line: int


def parse(sql: str) -> list[Statement]:
    """The statements of a text, in order; none for an empty one.

    Raises SqlError with line, column and the offending line.
    """
    raw = _checked(sql)
    result = lib.pg_query_parse(raw)
    try:
        if result.error:
            _refuse(sql, result.error.contents)
        tree = _decode(result.parse_tree)
    finally:
        lib.pg_query_free_parse_result(result)
    return [_statement(raw, item) for item in tree["stmts"]]


def expression(text: str) -> Node:
    """The tree of one SQL expression (PL/pgSQL's sense: `count(*) > 0 FROM pg_class` is one).

    Returns the fields of the SelectStmt that PL/pgSQL would run. Raises SqlError for anything else.
    """
    statements = parse(f"SELECT {text}\n")
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        raise SqlError(f"not one SQL expression: {shorten(text)}", hint="the condition could not be read")
    return statements[0].node


def body(statement: Statement) -> Node:
    """The PL/pgSQL tree (fields of PLpgSQL_function: datums, action) of a DO block or a plpgsql function.

    Raises SqlError when the parser cannot read it, and for statements that `language` says are not PL/pgSQL.
    """
    if language(statement) != "plpgsql" or source(statement) is None:
        raise SqlError(f"not a PL/pgSQL body: {shorten(statement.text)}")
    _checked(source(statement) or "")
    result = lib.pg_query_parse_plpgsql(_checked(statement.text))
    try:
        if result.error:
            _refuse_body(statement, result.error.contents)
        functions = _decode(result.plpgsql_funcs)
    finally:
        lib.pg_query_free_plpgsql_parse_result(result)
    if len(functions) != 1 or "action" not in functions[0]["PLpgSQL_function"]:
        raise SqlError(f"the PL/pgSQL parser gave no body: {shorten(statement.text)}")
    function: Node = functions[0]["PLpgSQL_function"]
    return function


def options(statement: Statement) -> dict[str, Node]:
    """The `name -> DefElem` options of a DO, CREATE FUNCTION or CREATE PROCEDURE."""
    items = statement.node.get("args" if statement.kind == "DoStmt" else "options", ())
    return {item["DefElem"]["defname"]: item["DefElem"] for item in items}


def language(statement: Statement) -> str:
    """ "plpgsql", "sql", ..: of a DO or a function; "" when it names none, which only an SQL body may do."""
    named = options(statement).get("language")
    if named is not None:
        return str(named["arg"]["String"]["sval"]).lower()
    return "plpgsql" if statement.kind == "DoStmt" else ""


def source(statement: Statement) -> str | None:
    """The body between the quotes; None when there is no AS string (RETURN .., BEGIN ATOMIC, a C symbol)."""
    quoted = options(statement).get("as", {}).get("arg", {})
    items = quoted["List"]["items"] if "List" in quoted else [quoted] if "String" in quoted else []
    return str(items[0]["String"].get("sval", "")) if len(items) == 1 else None


def body_line(statement: Statement) -> int:
    """The line (from 1) in the text handed to `parse` that line 1 of the body lies on."""
    at = options(statement)["as"].get("location", 0) - statement.location
    before = statement.text.encode()[: max(at, 0)]
    keyword_lines = _lines_to_quote(statement.text.encode()[max(at, 0) :])
    return statement.line + before.count(b"\n") + keyword_lines


def _lines_to_quote(raw: bytes) -> int:
    """Newlines between the place PostgreSQL notes for the body (its AS keyword) and the quote that opens it."""
    for token in tokens(raw.decode()):
        if raw[token.start : token.start + 1] in (b"$", b"'") or raw[token.start : token.start + 2] in (
            b"E'",
            b"e'",
            b"U&",
        ):
            return raw[: token.start].count(b"\n")
    return 0


def tokens(text: str) -> list[Token]:
    """Every token of a text that parses, comments left out."""
    result = lib.pg_query_scan(text.encode())
    try:
        if result.error:
            message = result.error.contents.message.decode(errors="replace")
            raise SqlError(f"PostgreSQL cannot split this into words: {message}")
        scanned = ctypes.string_at(result.pbuf.data, result.pbuf.len)
    finally:
        lib.pg_query_free_scan_result(result)
    return [Token(*word) for word in words(scanned) if word[0] not in _COMMENTS]


def walk(*roots: object) -> Iterator[tuple[str, Node]]:
    """Every tagged node at or below the roots, parents first, as (kind, fields). Never recurses."""
    todo = list(reversed(roots))
    while todo:
        node = todo.pop()
        if type(node) is list:
            todo.extend(reversed(node))
        elif type(node) is dict:
            for key, value in node.items():
                if type(value) is dict and key[:1].isupper():
                    yield key, value
            todo.extend([each for each in reversed(node.values()) if type(each) in _BRANCHES])


def tag(node: object) -> tuple[str, Node]:
    """(kind, fields) of a tagged node; ("", {}) for anything else."""
    if isinstance(node, dict) and len(node) == 1:
        kind, fields = next(iter(node.items()))
        if kind[:1].isupper() and isinstance(fields, dict):
            return kind, fields
    return "", {}


def strings(items: object) -> tuple[str, ...]:
    """The texts of a list of String nodes: the parts of a name."""
    found = (tag(item) for item in items) if isinstance(items, list) else iter(())
    return tuple(str(fields.get("sval", "")) for kind, fields in found if kind == "String")


def shorten(text: str, width: int = 80) -> str:
    """A text on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


# ------------------------------------------------------------------ the gate


def _checked(sql: str) -> bytes:
    """The bytes of a text the C library can be trusted with."""
    if "\0" in sql:
        raise SqlError("the SQL holds a NUL character", hint="PostgreSQL would stop reading there: remove it")
    try:
        raw = sql.encode()
    except UnicodeEncodeError:
        raise SqlError(
            "the SQL holds half of a surrogate pair", hint="it is not valid Unicode text"
        ) from None
    if len(raw) > MAX_CHAIN and _longest_chain(sql) > MAX_CHAIN:
        raise SqlError(
            f"the SQL holds a chain of more than {MAX_CHAIN} words without a comma or semicolon",
            hint="split the statement: parsing it would exhaust the stack",
        )
    return raw


def _longest_chain(sql: str) -> int:
    """The deepest tree the text can become: words in a row, summed over the open parentheses."""
    runs, current, longest = [0], 0, 0
    for code, _, _ in tokens(sql):
        if code == _LPAREN:
            runs.append(0)
        elif code == _RPAREN and len(runs) > 1:
            current -= runs.pop()
        elif code in (_COMMA, _SEMICOLON):
            current -= runs[-1]
            runs[-1] = 0
        runs[-1] += 1
        current += 1
        longest = max(longest, current)
    return longest


def _decode(document: bytes) -> Any:
    if document.count(b"{") + document.count(b"[") > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise _too_deep()
    try:
        return json.loads(document)
    except RecursionError:  # asked from far down a stack of Python's own
        raise _too_deep() from None
    except json.JSONDecodeError:
        raise SqlError("the PL/pgSQL parser cannot describe this body", hint="read it by eye") from None


def _depth(document: bytes) -> int:
    """How many braces and brackets are open at once, at most; those in strings are text."""
    brackets = _STRINGS.sub(b"", document).translate(None, _OTHERS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _too_deep() -> SqlError:
    return SqlError(
        "the SQL is nested too deeply to be analysed", hint="split the statement into simpler ones"
    )


# ------------------------------------------------------------------ places


def line_at(raw: bytes, offset: int) -> int:
    """The line (from 1) of a byte offset."""
    return raw.count(b"\n", 0, offset) + 1


def _statement(raw: bytes, item: Node) -> Statement:
    start = item.get("stmt_location", 0)
    length = item.get("stmt_len", 0)
    stop = start + length if length else len(raw)
    start += _leading(raw[start:stop])
    ((kind, node),) = item["stmt"].items()
    return Statement(kind, node, raw[start:stop].decode().rstrip(), start, line_at(raw, start))


def _leading(raw: bytes) -> int:
    """Bytes of white space and comments before the first word."""
    blank = len(raw) - len(raw.lstrip())
    if raw[blank : blank + 2] not in (b"--", b"/*"):
        return blank
    return next((token.start for token in tokens(raw.decode())), blank)


def _refuse(sql: str, error: Any) -> NoReturn:
    message = error.message.decode(errors="replace")
    if not error.cursorpos:
        raise SqlError(f"PostgreSQL does not read this SQL: {message}")
    before = sql[: error.cursorpos - 1]
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    excerpt = shorten(sql[before.rfind("\n") + 1 :].partition("\n")[0])
    raise SqlError(f"line {line}, column {column}: {message}", hint=f"in: {excerpt}")


def _refuse_body(statement: Statement, error: Any) -> NoReturn:
    message = error.message.decode(errors="replace")
    context = error.context.decode(errors="replace") if error.context else ""
    near = context.rpartition(" near line ")[2]
    first = body_line(statement)
    exact = near.isdecimal() and int(near) > 1  # for syntax errors the parser has forgotten where it was
    line = f"line {first + int(near) - 1}" if exact else f"line {first} or later"
    raise SqlError(f"{line}: PL/pgSQL body not analysed: {message}", hint=f"in: {shorten(statement.text)}")


def spans(text: str, starts: dict[int, int]) -> dict[int, tuple[int, int]]:
    """For tokens at the byte offsets `starts` (offset -> how many tokens): offset -> (start, end) in bytes."""
    words = tokens(text)
    index = {word.start: number for number, word in enumerate(words)}
    return {
        start: (start, words[min(index[start] + count, len(words)) - 1].end)
        for start, count in starts.items()
        if start in index
    }


def replace(text: str, edits: list[tuple[int, int, str]]) -> str:
    """The text with each (start, end, new) byte range replaced; ranges must not overlap."""
    raw = text.encode()
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        pieces += [raw[at:start], new.encode()]
        at = end
    return b"".join([*pieces, raw[at:]]).decode()
