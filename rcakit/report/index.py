"""`index.html`: all runs that are kept, by target and incident, made from their folders alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from rcakit.archive.held import held
from rcakit.archive.kept import Archive, Kept, archive
from rcakit.report import pages, tables
from rcakit.report.html import Html, breakable, chip, join, tag, when
from rcakit.report.words import listed, plural

NAME = "index.html"
STATUS = {
    "ok": ("good", "ok"),
    "findings": ("error", "findings"),
    "could-not-check": ("unknown", "could not check"),
    "failed": ("warning", "failed"),
    "timeout": ("warning", "took too long"),
    "kernel-died": ("warning", "kernel died"),
    "cancelled": ("warning", "cancelled"),
}
"""Status of a run -> kind of its chip, and its words."""


def write(root: Path) -> Path:
    """Read the folders below `root` and write its index.html, whole or not at all. Raises OSError.

    Two at once wait for one another: the later one reads the folders after the earlier has written. What one that
    was killed had begun to write goes.
    """
    with held(root) as alone:
        for left in root.glob(pages.part_name(NAME, "*")) if alone else ():
            left.unlink(missing_ok=True)
        pages.write(page(archive(root)), root / NAME)
    return root / NAME


def page(found: Archive) -> str:
    """The page of an archive; its links are relative to the archive's root."""
    targets = found.targets()
    parts: list[object] = [tag("p", _said(targets), class_="verdict")]
    for name, runs in targets.items():
        parts.append(_target(name, runs, found.root))
    if found.odd:
        parts.append(_odd(found))
    return pages.page("Kept runs", *parts)


def _said(targets: dict[str, tuple[Kept, ...]]) -> str:
    """One sentence on how the targets are, by the latest run of each."""
    if not targets:
        return "No run is kept here."
    latest = [runs[0] for runs in targets.values()]
    with_findings = [kept.run.target for kept in latest if kept.run.status == "findings"]
    untold = [kept.run.target for kept in latest if not (kept.good or kept.run.status == "findings")]
    parts = []
    if with_findings:
        parts.append(f"findings in {listed(with_findings)}")
    if untold:
        parts.append(f"not known of {listed(untold)}")
    said = "; ".join(parts) or "nothing found"
    return f"{plural(len(targets), 'target')} at the latest run: {said}."


def _target(name: str, runs: Sequence[Kept], root: Path) -> Html:
    incidents = dict.fromkeys(kept.incident for kept in runs)
    parts = [
        _runs(incident, [kept for kept in runs if kept.incident == incident], root) for incident in incidents
    ]
    return tag("section", tag("h2", breakable(name)), _latest(runs, root), *parts)


def _latest(runs: Sequence[Kept], root: Path) -> Html:
    """How it is now, and when it was last good."""
    good = next((kept for kept in runs if kept.good), None)
    said = (
        join("Last good run: ", _link(good, root, when(good.run.started)), " UTC")
        if good
        else "No good run is kept."
    )
    return tag("p", status(runs[0]), " ", tag("span", said), class_="latest")


def _runs(incident: str, runs: Sequence[Kept], root: Path) -> Html:
    columns: dict[str, Callable[[Kept], object]] = {
        "Run": lambda kept: _link(kept, root, kept.id),
        "Started": lambda kept: join(when(kept.run.started), " UTC"),
        "Status": lambda kept: join(
            status(kept), tag("p", breakable(kept.run.reason), class_="meta") if kept.run.reason else ""
        ),
        "Found": counted,
        "Took": lambda kept: took(kept.run.seconds),
    }
    style = tables.Style(f"Incident {incident}" if incident else "Runs", limit=None, cards=True, noun="run")
    rows = [[value(kept) for value in columns.values()] for kept in runs]
    return tables.table(list(columns), rows, style)


def _link(kept: Kept, root: Path, text: object) -> Html:
    if kept.report is None:
        return join(text, tag("p", "without report.html", class_="meta"))
    return tag("a", text, href=quote(str(kept.report.relative_to(root))))


def status(kept: Kept) -> Html:
    """How it ended, as a chip."""
    return chip(*STATUS[kept.run.status])


def counted(kept: Kept) -> str:
    """How many findings of each severity, and how much could not be checked."""
    if not kept.finished:
        return "–"
    counts = Counter(finding.severity for finding in kept.content.findings)
    said = [plural(counts[level], level) for level in ("error", "warning", "note") if counts[level]]
    blocked = sum(row.blocking for row in kept.content.unread)
    return ", ".join([*(said or ["nothing"]), *([f"{blocked} could not be checked"] if blocked else [])])


def took(seconds: float) -> str:
    """ "9.5 s", "3 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _odd(found: Archive) -> Html:
    """What lies between the runs: said, since it is not counted above."""
    rows = [
        (breakable(odd.folder.relative_to(found.root)), odd.state, breakable(odd.why)) for odd in found.odd
    ]
    style = tables.Style("Folders that are not whole runs", limit=None, cards=True, noun="folder")
    return tag("section", tag("h2", "Not counted"), tables.table(["Folder", "State", "Why"], rows, style))
