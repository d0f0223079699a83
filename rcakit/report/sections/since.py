"""What the title block says of earlier runs: what is new since the last one, or whether an incident is over."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit import document
from rcakit.archive.content import Content
from rcakit.archive.difference import Closing, Difference, closing, closing_said, difference
from rcakit.archive.kept import Kept, Odd, before, read
from rcakit.archive.telling import side
from rcakit.report.html import Html, chip, code, join, tag, when
from rcakit.report.words import plural

if TYPE_CHECKING:
    from rcakit.case import Case

VERIFIES = "RCAKIT_RUN_VERIFIES"
"""Environment variable with the folder of the run whose incident this one is to find closed."""
FIRST = "The first run kept of this target."
LINES = 6
"""Changes listed at most; all of them are in `rcakit compare`."""
_WORDS = {
    "new": "new",
    "resolved": "resolved",
    "waived": "waived",
    "untold": "not checked",
    "moot": "not looked for",
}
_CHIPS: dict[Closing, str] = {"closed": "good", "not closed": "error", "could not check": "unknown"}


def block(case: Case) -> Html:
    """Nothing outside a kept run: there is no earlier one to look for."""
    here, verified = os.environ.get("RCAKIT_RUN_DIR"), os.environ.get(VERIFIES)
    if not here:
        return Html("")
    if verified:
        return _closed(case, read(Path(verified)))
    last, broken = before(Path(here).parent, case.target.name)
    return _since(case, last, broken) if last else tag("p", FIRST, class_="meta")


def _since(case: Case, last: Kept, broken: int) -> Html:
    found = difference(last.content, content(case))
    between = f" {plural(broken, 'run')} after it did not come to an end." if broken else ""
    head = join(
        "Since ", link(last, "the last run"), ", ", when(last.run.started), f" UTC: {found.said()}.{between}"
    )
    return join(tag("p", head), _list(found))


def _closed(case: Case, was: Kept | Odd) -> Html:
    if isinstance(was, Odd):
        verdict: Closing = "could not check"
        return tag("p", chip(_CHIPS[verdict], verdict), f" The run {was.folder.name} {was.why}.")
    now = content(case)
    found = difference(was.content, now)
    verdict = closing(found, now)
    said = join(
        chip(_CHIPS[verdict], verdict),
        " ",
        closing_said(verdict, found),
        " Compared with ",
        link(was),
        f": {found.said()}.",
    )
    return join(tag("p", said), _list(found))


def content(case: Case) -> Content:
    """What the case has found, as findings.json will hold it, as far as it is compared."""
    return Content.model_validate(
        {
            "version": document.VERSION,
            "status": case.status,
            "target": document.target(case),
            "accounts": {"placement": [document.placed(row) for row in case.placement]},
            "findings": [document.finding(row) for row in case.standing],
            "waived": [
                {"finding": document.finding(row.finding), "reason": row.reason} for row in case.waived
            ],
            "unread": [document.unread(row) for row in case.unread],
            "steps": case.replayed.to_json() if case.replayed else [],
            "provenance": dict(case.provenance),
        }
    )


def link(kept: Kept, text: str = "") -> Html:
    """To the report beside this one, by its id unless there is a text; a run that is kept elsewhere is only named."""
    text = text or kept.id
    beside = kept.folder.parent == Path(os.environ["RCAKIT_RUN_DIR"]).parent
    return tag("a", text, href=f"../{kept.id}/report.html") if beside and kept.report else tag("span", text)


def _list(found: Difference) -> Html:
    """The first few changes."""
    lines = [*_findings(found), *_accounts(found), *(join(note) for note in found.notes)]
    if not lines:
        return Html("")
    shown = lines[: LINES + (len(lines) == LINES + 1)]
    left = len(lines) - len(shown)
    more = [tag("li", f"{left} more: ", tag("code", "rcakit compare"), " lists them")] if left else []
    return tag("ul", *(tag("li", line) for line in shown), *more)


def _findings(found: Difference) -> Iterator[Html]:
    """A line for each rule of each class."""
    for name, word in _WORDS.items():
        groups: dict[str, list[str]] = defaultdict(list)
        for row in getattr(found, name):
            groups[f"{row.code} {row.rule}"].append(row.object)
        for rule, objects in groups.items():
            what = code(objects[0]) if len(objects) == 1 else f"{len(objects)} times"
            yield join(tag("b", word), f" {rule} ", what)


def _accounts(found: Difference) -> Iterator[Html]:
    for row in (*found.accounts, *found.steps):
        yield join(row.object, f" {row.account}: ", code(side(row.was)), " → ", code(side(row.now)))
