"""What the commands of a script do, as far as a pipeline is concerned: tests, migrations, dumps, catalog queries, calls.

A script is split into words by the shell's own rules and never run. A line that cannot be split is looked at as bare words.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Act = Literal["tests", "migrates", "restores", "catalog", "make", "tox", "nox", "calls"]

_CATALOG = ("information_schema", "pg_catalog", "pg_class", "pg_tables", "to_regclass", "pg_namespace")
_MANAGE = ("manage.py", "django-admin")
_KNOWN = ("migrate", "test")
"""Commands of `manage.py` that have an act of their own."""
_QUIET = ("echo", "pip", "pip3", "apt-get", "apt", "#")
_RUNNERS = frozenset({"pytest", "py.test"})
_BREAKS = frozenset({"&&", "||", ";", "|", "&", "(", ")", "{", "}", "then", "do", "else", "!"})


@dataclass(frozen=True, slots=True)
class Command:
    """A thing that a script does: `target` is what `make`, `tox` or `nox` is asked for; `forgiven`: its failure is.

    A command of `manage.py`, or of rcakit, is told too, by its name: act "calls", target "verify_placement" or "rcakit check".
    """

    act: Act
    line: int
    target: str = ""
    forgiven: bool = False
    skipped: str = ""
    """The setting around it that keeps it from running, or from failing: "if: false"."""


def starts_postgresql(script: str) -> bool:
    """It starts a PostgreSQL server, of a container or of the machine itself."""
    return "postgres" in script and any(
        word in script for word in ("docker run", "service", "systemctl", "compose")
    )


def commands(script: str, line: int = 1) -> Iterator[Command]:
    """What a script does, in order; `line` is that of its first line."""
    pending, start = "", line
    for number, text in enumerate(script.split("\n"), line):
        start = start if pending else number
        if text.rstrip().endswith("\\"):
            pending += text.rstrip()[:-1] + " "
            continue
        yield from _of_line(pending + text, start)
        pending = ""
    if pending:
        yield from _of_line(pending, start)


def _of_line(text: str, line: int) -> Iterator[Command]:
    words = _words(text)
    forgiven = words[-2:] in (["||", "true"], ["||", ":"])
    if not text.lstrip().startswith("#") and any(name in text for name in _CATALOG):
        yield Command("catalog", line, forgiven=forgiven)
    for simple in _simple(words):
        act, target = _act(simple)
        if act is not None:
            yield Command(act, line, target, forgiven)
        if (called := _called(simple)) and called not in _KNOWN:
            yield Command("calls", line, called, forgiven)


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return text.split()


def _simple(words: Iterable[str]) -> Iterator[list[str]]:
    """The simple commands of a line."""
    found: list[str] = []
    for word in words:
        if word in _BREAKS:
            yield found
            found = []
        else:
            found.append(word)
    yield found


def _act(words: list[str]) -> tuple[Act | None, str]:
    names = [word.rpartition("/")[2] for word in words]
    if not names or names[0] in _QUIET:
        return None, ""
    if any(name in _MANAGE for name in names):
        if "migrate" in names and not {"--check", "--plan"} & set(names):
            return "migrates", ""
        return ("tests", "") if "test" in names else (None, "")
    if _RUNNERS & set(names):
        return "tests", ""
    if names[0] == "pg_restore" or (
        names[0] == "psql" and ("<" in names or "-f" in names or "--file" in names)
    ):
        return "restores", ""
    if names[0] in ("make", "tox", "nox"):
        return _runner(names)
    if "tox" in names[:4] or "nox" in names[:4]:  # python -m tox, uv run nox
        return _runner(names[min(names.index(each) for each in ("tox", "nox") if each in names) :])
    return None, ""


def _called(words: list[str]) -> str:
    """The command that `manage.py` or rcakit is asked for; "" for anything else."""
    names = [word.rpartition("/")[2] for word in words]
    if not names or names[0] in _QUIET:
        return ""
    for place, name in enumerate(names[:4]):
        if name in _MANAGE or name == "rcakit":
            asked = next((each for each in names[place + 1 :] if not each.startswith("-")), "")
            return f"rcakit {asked}" if asked and name == "rcakit" else asked
    return ""


def _runner(names: list[str]) -> tuple[Act, str]:
    act: Act = "make" if names[0] == "make" else "tox" if names[0] == "tox" else "nox"
    if act == "make":
        return act, next((name for name in names[1:] if not name.startswith("-") and "=" not in name), "")
    return act, next((value for flag, value in pairwise(names) if flag in ("-e", "-s", "--session")), "")
