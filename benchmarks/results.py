"""`RESULTS.md`: each script writes its own part of it, between two markers; what people wrote around them stays.

The bounds of all parts make the summary on top, where those of parts that are not measured again stay.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).with_name("RESULTS.md")
KEPT = Path(__file__).resolve().parent.parent / ".venv" / "benchmarks"
"""Environments of the peers: nothing here is part of the project."""
HEAD = ("script", "what", "bound", "measured", "", "when")


@dataclass(frozen=True)
class Bound:
    """Something that has to be at most (or, `least`, at least) a number; `measured` None: not in this run."""

    what: str
    bound: float
    measured: float | None
    least: bool = False

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = self.measured >= self.bound if self.least else self.measured <= self.bound
        return "met" if met else "**not met**"

    @property
    def row(self) -> tuple[str, ...]:
        measured = "-" if self.measured is None else f"{self.measured:.2f}"
        return self.what, f"{'at least' if self.least else 'at most'} {self.bound:g}", measured, self.verdict


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(topic: str, body: str, bounds: Sequence[Bound], versions: str = "") -> None:
    """Print one part, put it into the page, and renew the summary."""
    now = datetime.now(UTC)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    circumstances = (
        f"{now:%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, load {load:.1f}; "
        f"Python {platform.python_version()}, {versions or 'psycopg ' + version('psycopg')}"
    )
    text = f"{circumstances}\n\n{body.strip()}"
    print(f"\n## {topic}\n\n{text}\n", flush=True)
    _replace(topic, text)
    when = f"{now:%Y-%m-%d %H:%M}, load {load:.1f}"
    others = [row for row in _rows() if not row.startswith(f"| {topic} |")]
    own = table(HEAD, [(topic, *bound.row, when) for bound in bounds]).splitlines()[2:]
    _replace("summary", "\n".join([*table(HEAD, []).splitlines(), *sorted([*others, *own])]))


def summary() -> str:
    """Every bound of every script's last run, as the page has it."""
    return "\n".join([*table(HEAD, []).splitlines(), *_rows()])


def _rows() -> list[str]:
    begin, end = _markers("summary")
    told = PAGE.read_text("utf-8").partition(begin)[2].partition(end)[0]
    return told.strip().splitlines()[2:]


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by the script -->", f"<!-- end of {name} -->"


def _replace(name: str, text: str) -> None:
    begin, end = _markers(name)
    page = PAGE.read_text("utf-8") if PAGE.exists() else ""
    if begin not in page:
        page = f"{page.rstrip()}\n\n## {name.capitalize()}\n\n{begin}\n{end}\n"
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}", "utf-8")
