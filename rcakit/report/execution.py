"""Execute a notebook as far as it comes, and say why it came no further."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit.report.notebooks import nbformat  # first: whatever else is imported here would import all of it

# isort: split
from jupyter_client.kernelspec import NoSuchKernel
from nbformat import NotebookNode

from rcakit.report.banner import Failure

if TYPE_CHECKING:
    from rcakit.report.forks import Template

CANCELLED = Failure(
    "cancelled", "the run was interrupted", "start it again; what was found until then is in the report"
)
_MARKER = "papermill-error-cell-tag"
logging.getLogger("papermill").addHandler(logging.NullHandler())  # what it would say, the run says itself


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; None is no limit."""

    cell: float | None = None
    total: float | None = 900


def executed(
    notebook: Path,
    target: Path,
    given: Mapping[str, Any],
    *,
    env: Mapping[str, str],
    limits: Limits,
    say: Callable[[str], None],
    template: Template | None = None,
) -> tuple[NotebookNode, Failure | None]:
    """The notebook as it is written to `target`, with the outputs it got, and why it is not whole.

    `env` is added to the environment of its process; `say` is called with lines of progress: the sections that
    begin, and what the notebook writes to stderr; `template` is what that process is forked from. Within
    `cancelling.cancellable` an interrupt ends it at any point, and is its failure. Raises OSError when `target` cannot
    be written.
    """
    begun = [_fresh(notebook)]
    settings = {
        "parameters": dict(given),
        "execution_timeout": limits.cell,
        "total_timeout": limits.total,
        "env": dict(env),
        "on_begin": begun.append,
        "on_cell": _progress(say),
        "stderr_file": _Lines(say),
        "template": template,
    }
    try:
        problem = _execute(begun[0], target, settings)
        return _left(begun[-1], target, problem)
    except KeyboardInterrupt:
        nb, failure = _left(begun[-1], target, "")
        return nb, failure if failure and failure.reason else CANCELLED


def _fresh(notebook: Path) -> NotebookNode:
    """A notebook as nobody has run it: what a stored one says of an earlier run must not pass for this one's."""
    nb: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata["papermill"] = {"status": "pending"}
    for name in ("status", "reason", "cell"):
        nb.metadata.get("rcakit", {}).pop(name, None)
    return nb


def _execute(nb: NotebookNode, target: Path, settings: Mapping[str, Any]) -> str:
    """What went wrong, and on a second line what to do; "" when nothing did, or when the engine tells it."""
    import papermill  # type: ignore[import-untyped]
    from papermill.engines import papermill_engines  # type: ignore[import-untyped]
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]

    from rcakit.report.engine import Engine

    papermill_engines.register("rcakit", Engine)
    place = str(target).replace("{", "{{").replace("}", "}}")
    try:
        papermill.execute_notebook(nb, place, engine_name="rcakit", progress_bar=False, **settings)
    except NoSuchKernel as error:
        return f"there is no kernel {error.name}\n`jupyter kernelspec list` shows which there are; choose one in the notebook"
    except (PapermillException, RuntimeError, TimeoutError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _left(nb: NotebookNode, target: Path, problem: str) -> tuple[NotebookNode, Failure | None]:
    """The notebook the engine left, without papermill's own error banners, and the engine's word on the run.

    What is on disk may be half of it, where the disk is full.
    """
    nb.cells = [cell for cell in nb.cells if _MARKER not in cell.metadata.get("tags", ())]
    nbformat.write(nb, target)  # type: ignore[no-untyped-call]
    outcome = nb.metadata.get("rcakit", {})
    status = outcome.get("status", "failed")
    if status == "ok" and not problem:
        return nb, None
    reason, _, hint = (outcome.get("reason") or problem).partition("\n")
    return nb, Failure("failed" if status == "ok" else status, reason, hint)


def _progress(say: Callable[[str], None]) -> Callable[[int, NotebookNode], None]:
    def on_cell(index: int, cell: NotebookNode) -> None:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            say(f"{cell.source.partition(chr(10))[0].removeprefix('## ').lower()} ...")

    return on_cell


class _Lines:
    """A file that hands on what is written to it, line by line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def write(self, text: str) -> None:
        for line in text.splitlines():
            self._say(line)

    def flush(self) -> None:
        """Nothing is kept back."""
