"""What several sections say in the same way: findings, references, numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rcakit import causes
from rcakit.facts import Finding
from rcakit.report import tables
from rcakit.report.html import Html, between, breakable, chip, code, details, join, tag
from rcakit.report.words import listed as listed
from rcakit.report.words import plural as plural

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.causes import Cause

FOLD = 3
"""Longer tables of findings are closed until wanted: a link to a finding opens them, and so does print."""


def _hint(rows: Sequence[Finding]) -> str:
    one = len({row.hint for row in rows}) == 1
    return rows[0].hint + ("" if one else "; likewise for the others")


def advice(cause: Cause) -> str:
    """The act a cause calls for, in the words of its first finding."""
    more = len({row.hint for row in cause.findings}) - 1
    hint = cause.findings[0].hint
    hint = hint[:1].upper() + hint[1:]
    return f"{hint} (and the same for {more:,} more)." if more else f"{hint}."


def sentence(text: str) -> str:
    """A message as a sentence; a first word that holds more than letters stays as it is."""
    first = text[:1].upper() if text.partition(" ")[0].isalpha() else text[:1]
    return f"{first}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def nothing(sentence: str) -> Html:
    """A section with nothing to say says it in one line."""
    return tag("p", sentence, class_="nothing")


def anchors(case: Case) -> dict[int, str]:
    """The place of each finding in the page: identity of the finding -> "RK201-3"."""
    seen: Counter[str] = Counter()
    result: dict[int, str] = {}
    for finding in case.findings:
        seen[finding.code] += 1
        result[id(finding)] = f"{finding.code}-{seen[finding.code]}"
    return result


def anchor(place: str, to: str = "") -> Html:
    """The place of a finding, which leads to itself: to be copied; or to where it is told."""
    return tag("a", place, id=place, href=f"#{to or place}")


def refs(ids: Iterable[str], limit: int = 4) -> Html:
    """Links to evidence in order: E3, E5; more than `limit` are counted."""
    order = sorted(ids, key=lambda id_: (len(id_), id_))
    links: list[object] = [tag("a", id_, href=f"#{id_}") for id_ in order[:limit]]
    if len(order) > limit:
        links.append(f"{len(order) - limit:,} more, named with the findings")
    return join(*between(links, ", ")) if links else Html("–")


def symptoms(case: Case) -> list[Finding]:
    """Findings, notes apart, about the database as it is now."""
    return list(causes.symptoms(case.findings))


def alike(rows: Sequence[Finding], caption: str, where: Html) -> Html | None:
    """Findings that say the same of their own names, each of which stands elsewhere in the page: `where` tells.

    None where they do not say the same, or are too few or too many for the page to show each.
    """
    if not FOLD < len(rows) <= tables.LIMIT or tables.apart([row.message for row in rows]) is None:
        return None
    if len({row.severity for row in rows}) > 1 or not _advise_alike(rows):
        return None
    said = join(rows[0].message, ". The others say it of their own names; ", where, ".")
    evidence = refs({each for row in rows for each in row.evidence})
    weight = tag("p", "All: ", chip(rows[0].severity, rows[0].severity), " · Evidence: ", evidence)
    return details(f"{caption}: {plural(len(rows), 'finding')}", _first(said), weight, _act(rows))


def _first(said: Html) -> Html:
    return tag("p", tag("b", "The first: "), said)


def _act(rows: Sequence[Finding]) -> Html:
    return tag("p", tag("b", "What to do: "), _hint(rows), class_="hint")


def _advise_alike(rows: Sequence[Finding]) -> bool:
    return len(rows) > 1 and all(tables.alike(row.hint, rows[0].hint) is not None for row in rows)


def findings(case: Case, rows: Sequence[Finding], caption: str) -> Html:
    """Tables of findings, each with its anchor; folded when long. Many of one code have a table of their own."""
    places = anchors(case)
    many = {code_ for code_, number in Counter(row.code for row in rows).items() if number > FOLD}
    groups = [[row for row in rows if row.code == code_] for code_ in sorted(many)]
    groups.append([row for row in rows if row.code not in many])
    kept = [group for group in groups if group]
    names = [caption] if len(kept) == 1 else [_called(group, many, caption) for group in kept]
    whole = join(*(_findings(places, group, name) for group, name in zip(kept, names, strict=True)))
    return details(f"{caption}: {plural(len(rows), 'finding')}", whole) if len(rows) > FOLD else whole


def _called(group: Sequence[Finding], many: set[str], caption: str) -> str:
    return f"{caption}: {group[0].code}" if group[0].code in many else f"{caption}: the others"


def _findings(places: Mapping[int, str], rows: Sequence[Finding], caption: str) -> Html:
    """One table. What all say in the same words, but for names, is said once: in the words of the first."""
    own = tables.apart([row.message for row in rows]) if len(rows) > FOLD else None
    shared = _advise_alike(rows)
    hints: dict[str, str] = {}

    def advised(row: Finding) -> Html:
        first = hints.setdefault(row.hint, places[id(row)])
        return tag("p", row.hint if first == places[id(row)] else f"as for {first}", class_="hint")

    def said(row: Finding) -> object:
        return row.message if shared else join(row.message, advised(row))

    columns: dict[str, Callable[[Finding], object]] = {
        "Finding": lambda row: anchor(places[id(row)]),
        "Severity": lambda row: chip(row.severity, row.severity),
        "Object": lambda row: code(row.object),
        "What": said,
        "Where": lambda row: tag("small", breakable(row.where)) if row.where else "–",
        "Evidence": lambda row: refs(row.evidence),
    }
    note = Html("")
    if own and shared:
        words = dict(zip(map(id, rows), own, strict=True))
        columns["What"] = lambda row: " · ".join(word for word in words[id(row)] if word != row.object)
        columns = {{"What": "Its names"}.get(name, name): value for name, value in columns.items()}
        note = _first(join(rows[0].message, ". The others say it of their own names."))
    wide = frozenset({"What"})
    style = tables.Style(caption, cards=True, noun="finding", wide=wide, source="evidence/findings.csv")
    below = _act(rows) if shared else Html("")
    return join(note, tables.records(rows, style, columns), below)
