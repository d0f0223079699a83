"""What stands on top of the page of a run that is not whole: what happened, what to do, how far it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rcakit.report.html import Html, join, spoken, tag

_STATUS = {
    "failed": "This run failed",
    "timeout": "This run was stopped: it took too long",
    "kernel-died": "This run broke off: the notebook's process died",
    "cancelled": "This run was cancelled",
    "could-not-check": "This run could not check everything",
}


NAMED = 3
"""Parts that are named although they are all there are."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run is not whole: `status` as in findings.json, `reason` one sentence, `hint` the act.

    `about` is of which target, incident and time the run is: a page that ends before its title block says it nowhere else.
    """

    status: str
    reason: str
    hint: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """A second-level heading, which opens a section of the page."""

    number: int
    slug: str
    title: str


class Progress(NamedTuple):
    """How far a notebook came, by the numbers of its cells."""

    code: list[int]
    """Cells that hold code."""
    not_run: set[int]
    opens: Mapping[int, Opening]

    @property
    def left(self) -> list[int]:
        """The openings of the sections of which nothing was run."""
        bounds = [*sorted(self.opens), max(self.code, default=0) + 1]
        return [
            start
            for start, end in pairwise(bounds)
            if (cells := [n for n in self.code if start <= n < end]) and self.not_run.issuperset(cells)
        ]

    @property
    def last(self) -> Opening | None:
        """The section of the last cell that was begun; None before the first section."""
        begun = max((n for n in self.code if n not in self.not_run), default=-1)
        return next((self.opens[start] for start in sorted(self.opens, reverse=True) if start <= begun), None)


def banner(failure: Failure, progress: Progress) -> Html:
    """The banner as an element of the page."""
    parts = [
        tag("p", tag("strong", _STATUS.get(failure.status, "This run is not whole"))),
        tag("p", _sentence(failure.reason)) if failure.reason else "",
        tag("p", tag("b", "What to do: "), _sentence(failure.hint)) if failure.hint else "",
        _came(progress) if progress.not_run else "",
        tag("p", failure.about, class_="meta") if failure.about else "",
    ]
    return tag("aside", *parts, class_="banner", aria_label="State of this run")


def _came(progress: Progress) -> Html:
    """How many steps were begun, where the last one is, and which parts were not run."""
    number = len(progress.code) - len(progress.not_run)
    last, left = progress.last, [progress.opens[start].title for start in progress.left]
    where = join(", the last in ", tag("a", last.title, href=f"#{last.slug}")) if last and number else ""
    whole = len(left) == len(progress.opens) and len(left) > NAMED
    parts = f"Not run: {', '.join(left)}." if not whole else "No part of the report was made."
    return tag("p", f"{number} of {len(progress.code)} steps were begun", where, ". ", parts if left else "")


def _sentence(text: str) -> Html:
    """A message as a sentence: a capital, a full stop, and what stands in backticks as code."""
    if text.partition(" ")[0].isalpha():
        text = text[:1].upper() + text[1:]
    return spoken(text if text.endswith((".", "!", "?")) else f"{text}.")
