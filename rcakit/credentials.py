"""Does a text hold a password? Asked of parameters before they are kept, and of foreign messages before they are shown."""

from __future__ import annotations

import re

_PAIR = re.compile(
    r"""(?ix) (?:^|[\s?&;,{"'(_-]|pg) (?:password|passwd|passphrase|pwd|secret|token|api[_-]?key) ["']? \s* [=:] \s* \S"""
)
_URL = re.compile(r"://[^\s/@]*:[^\s@]+@")
"""User and password before a host; a password may hold a slash that was not percent-encoded."""


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
