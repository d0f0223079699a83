"""Does a text hold a password? Asked of parameters before they are kept, and of foreign messages before they are shown.

What looks like one is withheld. What is one, because the environment says so, or a file that libpq reads, is blanked
wherever somebody else's words come in: from the project's code, and from the cells of a notebook.
Password file: https://www.postgresql.org/docs/current/libpq-pgpass.html
Service file: https://www.postgresql.org/docs/current/libpq-pgservice.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

_PAIR = re.compile(
    r"""(?ix) (?:^|[\s?&;,{"'(_-]|pg) (?:password|passwd|passphrase|pwd|secret|token|api[_-]?key) ["']? \s* [=:] \s* \S"""
)
_URL = re.compile(r"://[^\s/@]*:[^\s@]+@")
"""User and password before a host; a password may hold a slash that was not percent-encoded."""


_SECRET_NAME = re.compile(r"(?i)passw|passphrase|pwd|secret|token|api_?key|credential")
_NAMED = re.compile(
    r"""(?ix) (?<![a-z]) ((?:ssl)?password|passfile|servicefile) \s* = \s* (?: '((?:[^'\\]|\\.)*)' | ((?:[^\s'\\]|\\.)+) )"""
)
_ENTRY = re.compile(r"(?:(?:[^\\:]|\\.)*:){4}((?:[^\\:]|\\.)+)", re.DOTALL)
"""host:port:database:user:password, a colon or a backslash in one of them escaped by a backslash."""
_ESCAPED = r"(?:[^0-9A-Za-z]|%[0-9A-Fa-f]{2}|&#?\w{1,6};|\\[ux][0-9A-Fa-f]{2,4}){1,60}?"
"""What stands for the other characters of a password, however it was quoted: as SQL, JSON, HTML, in a URL."""
BLANK = "***"

T = TypeVar("T")


def looks_secret(text: str) -> bool:
    """Whether a text carries a password: a URL with one, or `password=..` and its like.

    >>> looks_secret("postgresql://app:pw@db/shop"), looks_secret("postgresql://app@db/shop")
    (True, False)
    """
    return bool(_PAIR.search(text) or _URL.search(text))


def withheld(text: str) -> str:
    """A foreign message, cut after its first word (the kind of error) when it looks as if it held a password.

    >>> withheld("ValueError: invalid dsn: postgresql://app:pw@db/shop")
    'ValueError: (not shown: it may hold a password)'
    """
    if not looks_secret(text):
        return text
    kind, colon, _ = text.partition(":")
    kept = f"{kind}: " if colon and kind.isidentifier() and not looks_secret(kind) else ""
    return f"{kept}(not shown: it may hold a password)"


def known(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The passwords in these variables: whole values where the name says so, and those within connection strings.

    With them those in the password and service files that libpq finds by these variables, for whatever database: they
    are read once a process. A short or simple word is no secret to look for: blanking it would only spoil what is shown.

    >>> known({"DSN": "host=db password='it''s'", "URL": "postgres://app:s3cret%2Fpw@db/shop", "DB_PASSWORD": "shop"})
    ('s3cret/pw',)
    """
    return _known(tuple(environ.items()))


@lru_cache(maxsize=16)
def _known(variables: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    environ = dict(variables)
    found = {secret for name, value in variables for secret in _secrets(name, value)}
    found.update(_in_files(environ))
    return tuple(sorted((secret for secret in found if _strong(secret)), key=len, reverse=True))


def _secrets(name: str, value: str) -> Iterator[str]:
    if _SECRET_NAME.search(name) and name not in ("PWD", "OLDPWD") and not value.startswith(("/", "~")):
        yield value
    yield from (text for keyword, text in _named(value) if keyword.endswith("password"))


def _named(value: str) -> Iterator[tuple[str, str]]:
    """Keywords of a connection string that bring passwords, or files with some, and their values."""
    if "://" in value:
        yield from _of_url(value)
    else:
        for keyword, quoted, plain in _NAMED.findall(value):
            yield keyword.lower(), _unescaped(quoted or plain)


def _of_url(value: str) -> Iterator[tuple[str, str]]:
    try:
        parts = urlsplit(value)
        yield "password", unquote(parts.password or "")
        yield from parse_qsl(parts.query)
    except ValueError:  # no URL after all
        return


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


# ------------------------------------------------------------------ the files that libpq reads


def _in_files(environ: Mapping[str, str]) -> Iterator[str]:
    """A file that is not there, or may not be read, holds nothing that could be told."""
    named = [pair for value in environ.values() for pair in _named(value)]
    for path in _paths(environ, "PGSERVICEFILE", ".pg_service.conf", named, "servicefile"):
        for line in _lines(path):
            keyword, _, value = (part.strip() for part in line.partition("="))
            named.append((keyword, value))
            if keyword.endswith("password"):
                yield value
    for path in _paths(environ, "PGPASSFILE", ".pgpass", named, "passfile"):
        for line in _lines(path):
            if entry := _ENTRY.match(line):
                yield _unescaped(entry[1])


def _paths(
    environ: Mapping[str, str], variable: str, usual: str, named: list[tuple[str, str]], keyword: str
) -> Iterator[Path]:
    """Where libpq may look: the variable, the home directory, the system's own, and what connection strings name."""
    yield Path(environ.get(variable) or Path(environ.get("HOME") or os.path.expanduser("~"), usual))
    if "PGSYSCONFDIR" in environ:
        yield Path(environ["PGSYSCONFDIR"], usual.lstrip("."))
    yield from (Path(value) for key, value in named if key == keyword)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").split("\n")  # read_text makes one of \r\n
    except (OSError, ValueError):
        return []


def _strong(secret: str) -> bool:
    return len(re.sub(r"[^0-9A-Za-z]", "", secret)) >= 6 and not re.fullmatch(r"[a-z]+|[A-Z]+|[0-9]+", secret)


def blanked(value: T, environ: Mapping[str, str] | None = None) -> T:
    """The same text, or the same lists and dicts of texts, with the passwords of the environment blanked.

    They are found however they are quoted. `environ` None: this process's own.

    >>> blanked({"said": ["no entry for it\\'s-a-S3cret!"]}, {"PGPASSWORD": "it's-a-S3cret!"})
    {'said': ['no entry for ***']}
    """
    return blanking(environ)(value)


def blanking(environ: Mapping[str, str] | None = None) -> Callable[[T], T]:
    """`blanked` for many values, which looks at the environment once."""
    secrets = _secret_texts(known(os.environ if environ is None else environ))
    return (lambda value: value) if secrets is None else partial(_without, secrets)


class _SecretTexts(NamedTuple):
    """How passwords are found: only where one of the words is, the slower pattern is asked."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]


@lru_cache(maxsize=16)
def _secret_texts(secrets: tuple[str, ...]) -> _SecretTexts | None:
    if not secrets:
        return None
    words = {max(re.findall(r"[0-9A-Za-z]+", secret), key=len) for secret in secrets}
    return _SecretTexts(tuple(words), re.compile("|".join(map(_spellings, secrets))))


def _spellings(secret: str) -> str:
    """Its letters and digits as they are, and between them whatever stands for the rest."""
    words = re.findall(r"[0-9A-Za-z]+|[^0-9A-Za-z]+", secret)
    start, end = (re.escape(words[at]) if not words[at].isalnum() else "" for at in (0, -1))
    inner = [word if word.isascii() and word.isalnum() else _ESCAPED for word in words]
    if start:
        inner[0] = f"(?:{start})?"
    if end:
        inner[-1] = f"(?:{end})?"
    return "".join(inner)


def _without(secrets: _SecretTexts, value: Any) -> Any:
    if isinstance(value, str):
        return secrets.pattern.sub(BLANK, value) if any(word in value for word in secrets.words) else value
    if isinstance(value, dict):
        return type(value)({_without(secrets, key): _without(secrets, each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return [_without(secrets, each) for each in value]
    return value
