"""What papermill loads by its entry point, whoever imports it: the engine, and what that brings, only where it is used.

papermill loads its entry points while it is imported, by `rcakit.report.engine` too; that one is not whole then.
https://papermill.readthedocs.io/en/latest/extending-entry-points.html#developing-a-new-engine
"""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode
from papermill.engines import Engine as Base  # type: ignore[import-untyped]


class Engine(Base):  # type: ignore[misc]
    """The engine `rcakit` of papermill: `papermill --engine rcakit IN OUT`."""

    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, **kwargs: Any) -> NotebookNode:
        """As `rcakit.report.engine.Engine` executes it."""
        from rcakit.report import engine

        return engine.Engine.execute_notebook(nb, kernel_name, **kwargs)
