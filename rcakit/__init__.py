"""rcakit: find out why a PostgreSQL database is not what its migrations say it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Case", "Target", "__version__", "load", "open_case"]

if TYPE_CHECKING:
    from rcakit.case import Case, open_case
    from rcakit.target import Target, load


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that `import rcakit` stays light."""
    if name in ("Case", "open_case"):
        from rcakit import case, display

        display.install()
        return getattr(case, name)
    if name in ("Target", "load"):
        from rcakit import target

        return getattr(target, name)
    raise AttributeError(f"module 'rcakit' has no attribute {name!r}")
