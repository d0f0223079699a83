"""The relation that somebody most probably meant when they named one that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches

from rcakit.facts import Catalog, Relation
from rcakit.names import Name

CUTOFF = 0.85
"""Similarity (0 to 1, difflib's ratio) from which a name counts as a misspelling of another."""


def nearest(wanted: Sequence[Name], catalog: Catalog) -> Relation | None:
    """For the first name that does not exist: the best existing relation, None when nothing is like it.

    In this order: the same bare name in another schema; a name that holds the schema too, "adm.venues" for venues;
    the same but for case; a close match of the bare name. Tables before views and the rest, the named schema first.
    """
    for name in wanted:
        if not _exists(name, catalog):
            return next(_candidates(name, catalog), None)
    return None


def _exists(name: Name, catalog: Catalog) -> bool:
    return catalog.find(name) is not None if name.schema else name.name in catalog.named


def _candidates(name: Name, catalog: Catalog) -> Iterator[Relation]:
    lower = name.name.lower()
    tests: tuple[Callable[[str], bool], ...] = (
        lambda other: other == name.name,
        lambda other: other.endswith(f".{name.name}"),
        lambda other: other.lower() == lower,
        lambda other: other.lower().endswith(f".{lower}"),
    )
    for test in tests:
        yield from _best_first((each for each in catalog.ending.get(lower, ()) if test(each.name)), name)
    similar = {
        each.name for each in catalog.relations if abs(len(each.name) - len(name.name)) <= len(name.name) // 4
    }
    close = get_close_matches(name.name, sorted(similar), n=3, cutoff=CUTOFF)
    for match in close:
        yield from _best_first(catalog.named[match], name)


def _best_first(found: Iterable[Relation], name: Name) -> list[Relation]:
    return sorted(
        found, key=lambda each: (each.kind not in "rpf", each.schema != name.schema, each.schema, each.name)
    )
