"""The smallest part of a set that still has what the whole has, found in few trials (delta debugging).

Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input: https://doi.org/10.1109/32.988498
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

Item = TypeVar("Item")


def smallest(items: Sequence[Item], holds: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """A part of `items`, in their order, that holds and would not without any one of its items.

    `holds(items)` is taken for true and not asked. It asks at most about len(items) ** 2 times, and the same
    question more than once; an oracle that has had enough may say False from then on: what is known by then is returned.
    """
    kept, grain = tuple(items), 2
    while len(kept) > 1:
        parts = _parts(kept, grain)
        found = next((part for part in parts if holds(part)), None)
        if found is not None:
            kept, grain = found, 2
            continue
        rests = [tuple(each for each in kept if each not in part) for part in parts] if grain > 2 else []
        found = next((rest for rest in rests if holds(rest)), None)
        if found is not None:
            kept, grain = found, max(grain - 1, 2)
        elif grain >= len(kept):
            break
        else:
            grain = min(2 * grain, len(kept))
    return kept


def _parts(items: tuple[Item, ...], count: int) -> list[tuple[Item, ...]]:
    """`count` parts of nearly the same size, none of them empty."""
    count = min(count, len(items))
    ends = [len(items) * number // count for number in range(count + 1)]
    return [items[start:end] for start, end in pairwise(ends)]
