"""nbformat, for whoever imports this first, without what its validation would build and never use.

It imports jsonschema, which imports every checker of formats that is installed; that of international identifiers builds
a grammar's parser then (1.3 seconds of processor time, with JupyterLab it is always there), that of durations brings a
library of dates. No schema of a notebook names a format.
https://github.com/python-jsonschema/jsonschema/blob/main/jsonschema/_format.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_CHECKERS = ("rfc3987_syntax", "isoduration")


@contextmanager
def _absent(*modules: str) -> Iterator[None]:
    """Let modules that are not imported yet be missing; None is Python's own mark for that.

    https://docs.python.org/3/reference/import.html#the-module-cache
    """
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _absent(*_CHECKERS):
    import nbformat as nbformat
