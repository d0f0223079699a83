"""How values of the kit show themselves as the last expression of a notebook's cell.

Registered with IPython when a case is opened in a notebook, so that the facts need to know nothing of HTML.
https://ipython.readthedocs.io/en/stable/config/integrating.html
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit.case import Case
from rcakit.facts import Catalog, Declared, Finding, Guard, Intent, Recorded, Relation, Rows, Unread
from rcakit.names import Spelling, visible

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
    plain = shell.display_formatter.formatters["text/plain"]
    for module in ("pandas", "pandas.core.frame"):  # its name since pandas 3, and before
        formatter.for_type_by_name(module, "DataFrame", _ours(_frame))
        plain.for_type_by_name(module, "DataFrame", _in_terminal)
    if hasattr(shell, "kernel") and "RCAKIT_RUN_DIR" not in os.environ:
        _dress()


def _dress() -> None:
    """Send JupyterLab the rules by which our markup is shown there.

    A run needs none: a report has its own, and a kept notebook is not trusted with any.
    """
    from IPython.display import HTML, display

    css = (Path(__file__).parent / "report" / "template" / "lab.css").read_text(encoding="utf-8")
    display(HTML(f"<style>{css}</style>"))  # type: ignore[no-untyped-call]


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
    columns = {name: _column(name) for name, _ in vars_of(rows[0])}
    return str(tables.records(rows, tables.Style(f"{type(rows[0]).__name__}s"), columns))


def _column(name: str) -> Callable[[Any], object]:
    return lambda row: _brief(getattr(row, name))


def _brief(value: Any) -> object:
    """A fact inside another by its name alone: the whole of it is a step further."""
    for kind, name in _NAMES.items():
        if isinstance(value, kind):
            return name(value)
    if type(value) is tuple:
        return tuple(dict.fromkeys(map(_brief, value)))
    return value


def _frame(frame: pd.DataFrame) -> str:
    """A frame as the report shows it; that of a query says which evidence it is."""
    from rcakit.report import tables

    asked = frame.attrs.get("evidence")
    return str(tables.plain(frame, tables.Style(f"Answer to {asked.id}" if asked else "Frame", head=False)))


def _in_terminal(frame: pd.DataFrame, printer: Any, cycle: bool) -> None:
    """A frame as pandas prints it, with nothing in it that a terminal would obey; it escapes line ends itself."""
    printer.text("\n".join(visible(line) for line in repr(frame).split("\n")))


def _account(account: Catalog | Declared | Recorded) -> str:
    """How many facts of each kind an account holds: the facts themselves are its attributes."""
    from rcakit.report import tables

    counts = [(name, len(value)) for name, value in vars_of(account) if isinstance(value, tuple)]
    return str(tables.table(["facts", "number"], counts, tables.Style(type(account).__name__)))


def vars_of(value: Any) -> list[tuple[str, Any]]:
    """The fields of a dataclass or NamedTuple with their values, in order."""
    fields = getattr(value, "__dataclass_fields__", None) or value._fields
    return [(name, getattr(value, name)) for name in fields]


_NAMES: dict[Any, Callable[[Any], object]] = {
    Finding: lambda finding: finding.code,
    Guard: lambda guard: guard.migration,
    Intent: lambda intent: intent.target,
    Relation: lambda relation: relation.qualified,
    Spelling: lambda spelling: spelling.emitted,
    Unread: lambda unread: unread.reason,
}
_FORMATS: dict[Any, Callable[[Any], str]] = {
    Case: _case,
    Rows: _rows,
    Catalog: _account,
    Declared: _account,
    Recorded: _account,
}
