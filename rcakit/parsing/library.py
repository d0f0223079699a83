"""libpg_query itself, without what postgast builds around it.

`import postgast` makes a class for each kind of node and brings protobuf along, more than any other import of a check. Its trees
are read as JSON here (`pgparse.py`), so all that is left of protobuf are the words of a text, a flat list of numbers.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_MORE = 0x80
_WORD = 0x12
"""The tag of ScanResult's second field, a word; its own fields follow it: 1 start, 2 end, 4 token."""


def _native() -> Any:
    """The module `postgast.native`, which needs nothing but the C library beside it."""
    package = find_spec("postgast")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'postgast'", name="postgast")
    spec = spec_from_file_location("postgast_native", Path(package.origin).with_name("native.py"))
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("No module named 'postgast.native'", name="postgast.native")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lib: Any = _native().lib
"""The functions of libpg_query, declared: https://github.com/pganalyze/libpg_query/blob/18-latest/pg_query.h"""


def words(scanned: bytes) -> Iterator[tuple[int, int, int]]:
    """(token number, start, end) of each word of a ScanResult, in order; start and end in bytes."""
    word: list[int] | None = None
    at = 0
    while at < len(scanned):
        tag, value = scanned[at], scanned[at + 1]
        at += 2
        shift = 7
        while scanned[at - 1] & _MORE:
            value = value & ~(1 << shift) | scanned[at] << shift
            at, shift = at + 1, shift + 7
        if tag == _WORD:
            if word is not None:
                yield word[4], word[1], word[2]
            word = [0] * 8
        elif word is not None:
            word[tag >> 3] = value
    if word is not None:
        yield word[4], word[1], word[2]
