"""How values of the kit show themselves as the last expression of a notebook's cell.

Registered with IPython when a case is opened in a notebook, so that the facts need to know nothing of HTML.
https://ipython.readthedocs.io/en/stable/config/integrating.html
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rcakit.case import Case
from rcakit.facts import Catalog, Declared, Recorded, Rows

if TYPE_CHECKING:
    import pandas as pd


def install() -> None:
    """Register the formatters with the running IPython; without one, nothing happens."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    formatter = shell.display_formatter.formatters["text/html"]
    for kind, render in _FORMATS.items():
        formatter.for_type(kind, _ours(render))
    for module in ("pandas", "pandas.core.frame"):  # its name since pandas 3, and before
        formatter.for_type_by_name(module, "DataFrame", _ours(_frame))


def _ours(render: Callable[[Any], str]) -> Callable[[Any], tuple[str, dict[str, bool]]]:
    """Markup and the metadata that marks it as made here, so that a report shows it as it is."""
    return lambda value: (render(value), {"rcakit": True})


def _case(case: Case) -> str:
    from rcakit.report import sections

    return str(sections.title(case))


def _rows(rows: Rows[Any]) -> str:
    from rcakit.report import tables

    if not rows:
        return "<p>None.</p>"
    return str(tables.plain(rows, tables.Style(f"{type(rows[0]).__name__}s")))


def _frame(frame: pd.DataFrame) -> str:
    """A frame as the report shows it; that of a query says which evidence it is."""
    from rcakit.report import tables

    asked = frame.attrs.get("evidence")
    return str(tables.plain(frame, tables.Style(f"Answer to {asked.id}" if asked else "Frame", head=False)))


def _account(account: Catalog | Declared | Recorded) -> str:
    """How many facts of each kind an account holds: the facts themselves are its attributes."""
    from rcakit.report import tables

    counts = [(name, len(value)) for name, value in vars_of(account) if isinstance(value, tuple)]
    return str(tables.table(["facts", "number"], counts, tables.Style(type(account).__name__)))


def vars_of(value: Any) -> list[tuple[str, Any]]:
    """The fields of a dataclass with their values, in order."""
    return [(name, getattr(value, name)) for name in value.__dataclass_fields__]


_FORMATS: dict[Any, Callable[[Any], str]] = {
    Case: _case,
    Rows: _rows,
    Catalog: _account,
    Declared: _account,
    Recorded: _account,
}
