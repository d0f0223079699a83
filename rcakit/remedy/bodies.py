"""Function bodies that name a moved table: rewritten where that is certain, and where not, the reason.

PostgreSQL does not look into a body when a table is renamed; the function fails at its next call.
https://www.postgresql.org/docs/current/sql-createfunction.html
"""

from __future__ import annotations

from collections.abc import Sequence

from rcakit.errors import SqlError
from rcakit.names import Name, parse, quote
from rcakit.parsing import pgparse
from rcakit.parsing.pgparse import Token
from rcakit.remedy.parts import Body, Move

_DOT = 46


def rewritten(signature: str, definition: str, source: str, language: str, moves: Sequence[Move]) -> Body:
    """The definition with every mention replaced, or the reason why it is left alone.

    Certain is: the language is sql or plpgsql, each mention is a quoted identifier of its own (alone, or behind the
    schema the table was in), nothing in a string or a comment is left, and PostgreSQL's parser takes the result.
    """

    def left(why: str) -> Body:
        return Body(signature, definition, old_source=source, why=why)

    if language not in ("sql", "plpgsql"):
        return left(f"its language is {language}, which is not read")
    if not source or definition.count(source) != 1:
        return left("its body does not stand in its definition as it is")
    try:
        new = _replaced(source, moves)
        if new == source:
            return left("it names the table in a string or a comment only")
        if any(move.old.name in new for move in moves):
            return left("it also names the table in a string or a comment")
        after = definition.replace(source, new)
        (statement,) = pgparse.parse(after)
        if language == "plpgsql":
            pgparse.body(statement)
        else:
            pgparse.parse(new)
    except (SqlError, ValueError):
        return left("with the new name it could not be parsed")
    return Body(signature, definition, after, source, new)


def _replaced(source: str, moves: Sequence[Move]) -> str:
    raw, words = source.encode(), pgparse.tokens(source)
    targets = {move.old.name: move for move in moves}
    edits = []
    for number, word in enumerate(words):
        move = targets.get(_identifier(raw, word))
        if move is not None:
            edits.append((_start(raw, words, number, move), word.end, _name(move)))
    return pgparse.replace(source, edits)


def _name(move: Move) -> str:
    return f"{quote(str(move.new.schema))}.{quote(move.new.name)}"


def _identifier(raw: bytes, word: Token) -> str:
    """The name a quoted identifier stands for; "" for any other word."""
    text = raw[word.start : word.end].decode()
    return parse(text)[0] if text.startswith('"') and text.endswith('"') and len(text) > 2 else ""


def _start(raw: bytes, words: Sequence[Token], number: int, move: Move) -> int:
    """Where the mention begins: at the schema before it, when there is one. Raises ValueError for another one."""
    word = words[number]
    if number == 0 or raw[words[number - 1].start : words[number - 1].end] != b".":
        return word.start
    before = words[number - 2]
    schema = raw[before.start : before.end].decode()
    if Name(None, parse(schema)[0]) != Name(None, str(move.old.schema)):
        raise ValueError(schema)
    return before.start
