"""The statements of a Groovy script, as far as their braces and quotes tell them apart; nothing of it is run.

Enough of the language for a Jenkinsfile: words, texts, signs, comments, and what stands between braces.
https://groovy-lang.org/syntax.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

DEEPEST = 100
"""Braces within braces that are followed."""
_AFTER_OPERATOR = frozenset("(,=~[:{!&|?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": "\\\n"}


class GroovyError(ValueError):
    """A quote, comment or brace that is never closed, or braces too deep; `line` is where it begins."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Token:
    """A word (dots included), the value of a text, or one sign."""

    kind: Literal["word", "text", "sign"]
    value: str
    line: int


@dataclass(slots=True)
class Statement:
    """The tokens before a brace or the end of a statement, and what is between the braces (None: there are none)."""

    head: list[Token]
    body: list[Statement] | None = field(default=None)

    @property
    def name(self) -> str:
        """Its first word, "" when it does not begin with one."""
        return self.head[0].value if self.head and self.head[0].kind == "word" else ""

    @property
    def line(self) -> int:
        return self.head[0].line if self.head else 0

    @property
    def texts(self) -> list[Token]:
        return [each for each in self.head if each.kind == "text"]


def statements(script: str) -> list[Statement]:
    """The statements of a script, those in braces below the one that has them. Raises GroovyError."""
    found: list[Statement] = []
    blocks = [_Block(found, 0)]
    before = ""
    for token in _tokens(script):
        block = blocks[-1]
        sign = token.value if token.kind == "sign" else ""
        if block.parens == 0 and block.head and _ends(block.head[-1], token):
            block.flush()
        if sign == "{":
            blocks.append(_Block(block.flush([]), token.line))
            if len(blocks) > DEEPEST:
                raise GroovyError("braces are too deep in each other", token.line)
        elif sign == "}":
            blocks.pop().flush()
            if not blocks:
                raise GroovyError("a brace is closed that was not opened", token.line)
        else:
            block.add(token, sign, before)
        before = sign
    if len(blocks) > 1:
        raise GroovyError("a brace is never closed", blocks[-1].line)
    blocks[0].flush()
    return found


@dataclass(slots=True)
class _Block:
    """Statements between braces, and the tokens of the one that is being read."""

    done: list[Statement]
    line: int
    head: list[Token] = field(default_factory=list)
    parens: int = 0

    def add(self, token: Token, sign: str, before: str) -> None:
        """Take one more token; what stood before `->` are the parameters of a closure."""
        if sign == ">" and before == "-" and self.parens == 0:
            self.head = []
        elif sign != ";":
            self.parens = max(0, self.parens + (sign in ("(", "[")) - (sign in (")", "]")))
            self.head.append(token)

    def flush(self, body: list[Statement] | None = None) -> list[Statement]:
        """End the statement; returns its body."""
        if self.head or body is not None:
            self.done.append(Statement(self.head, body))
        self.head = []
        return body if body is not None else []


def _ends(last: Token, token: Token) -> bool:
    """The statement that ends in `last` does not go on with `token`."""
    if token.kind == "sign" and token.value == ";":
        return True
    goes_on = token.value == "{" or token.value.startswith(".")
    waits = last.kind == "sign" and last.value in (",", "+", "=", ":", "&", "|", "?", "-")
    return token.line > _last_line(last) and not goes_on and not waits


def _last_line(token: Token) -> int:
    return token.line + (token.value.count("\n") if token.kind == "text" else 0)


def named(head: Sequence[Token], name: str) -> Token | None:
    """The value of a named argument `name: value`; None without it."""
    for one, colon, value in zip(head, head[1:], head[2:], strict=False):
        if one.value == name and one.kind == "word" and colon.value == ":":
            return value
    return None


def positional(head: Sequence[Token]) -> Token | None:
    """The first text that no name stands before; None without one."""
    before = ["", *(each.value if each.kind == "sign" else "" for each in head)]
    return next(
        (each for sign, each in zip(before, head, strict=False) if each.kind == "text" and sign != ":"), None
    )


# ------------------------------------------------------------------ tokens


def _tokens(script: str) -> Iterator[Token]:
    script = script.replace("\r\n", "\n")
    place, line, last = 0, 1, "("
    while place < len(script):
        char = script[place]
        if char.isspace():
            place, line = place + 1, line + (char == "\n")
            continue
        if end := _comment(script, place, line):
            line += script.count("\n", place, end)
            place = end
            continue
        end, value = _text(script, place, line, last)
        if end:
            yield Token("text", value, line)
            line, place, last = line + script.count("\n", place, end), end, "text"
            continue
        end = _word(script, place)
        yield Token("word", script[place:end], line) if end > place else Token("sign", char, line)
        place, last = max(end, place + 1), char


def _comment(script: str, place: int, line: int) -> int:
    """Where the comment that begins here ends; 0 when there is none."""
    if script.startswith("//", place) or (place == 0 and script.startswith("#!")):
        end = script.find("\n", place)
        return end if end >= 0 else len(script)
    if script.startswith("/*", place):
        end = script.find("*/", place + 2)
        if end < 0:
            raise GroovyError("a comment is never closed", line)
        return end + 2
    return 0


def _word(script: str, place: int) -> int:
    end = place
    while end < len(script) and (script[end].isalnum() or script[end] in "_$.@"):
        end += 1
    return end


def _text(script: str, place: int, line: int, last: str) -> tuple[int, str]:
    """Where the text that begins here ends, and its value; (0, "") when none begins."""
    quotes = next((each for each in ("'''", '"""', "'", '"') if script.startswith(each, place)), "")
    if not quotes and script[place] == "/" and last in _AFTER_OPERATOR:
        stop = script.find("\n", place)
        if "/" in script[place + 1 : stop if stop >= 0 else len(script)]:
            quotes = "/"
    if not quotes:
        return 0, ""
    parts: list[str] = []
    at = place + len(quotes)
    while at < len(script) and not script.startswith(quotes, at):
        if script[at] == "\n" and len(quotes) == 1:
            break
        if script[at] == "\\" and at + 1 < len(script):
            parts.append(_ESCAPES.get(script[at + 1], script[at + 1]))
            at += 2
        elif '"' in quotes and script.startswith("${", at):
            end = _placeholder(script, at)
            parts.append(script[at:end])
            at = end
        else:
            parts.append(script[at])
            at += 1
    if not script.startswith(quotes, at):
        raise GroovyError("a text is never closed", line)
    return at + len(quotes), "".join(parts)


def _placeholder(script: str, place: int) -> int:
    """The end of `${...}`, in which there may be quotes and braces."""
    depth = 0
    for at in range(place + 1, len(script)):
        depth += (script[at] == "{") - (script[at] == "}")
        if depth == 0:
            return at + 1
    return len(script)
