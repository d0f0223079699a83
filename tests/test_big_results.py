"""A result of fifty thousand rows: the page shows what a reader can take in, and says how many there are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from rcakit import query, save
from rcakit.evidence import Evidence
from rcakit.report import tables

ROWS = 50_000


@pytest.fixture
def big(conninfo: str) -> Evidence:
    text = f"SELECT n AS id, 'name ' || n AS name, repeat('x', 100) AS note FROM generate_series(1, {ROWS}) n"
    return query.ask(conninfo, text, {}, "test", 1)


def test_the_page_shows_fifty_and_says_how_many_there_are(big: Evidence) -> None:
    page = str(tables.evidence(big))
    assert "50 of 50,000 rows" in page
    assert "evidence/Q1.csv" in page
    assert page.count("<tr>") == tables.LIMIT + 1
    assert len(page) < 20_000


def test_a_frame_of_all_rows_is_shown_in_short(big: Evidence) -> None:
    frame = big.frame()
    assert len(frame) == ROWS
    assert frame._repr_html_().count("<tr") < 100


class Unmade(Sequence[tuple[int, str]]):
    """Rows that do not exist before they are asked for, so that what is measured is the writing alone."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, str]:  # type: ignore[override]
        if index >= self.count:
            raise IndexError(index)
        return index, "x" * 40


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
def test_rows_are_written_one_by_one(tmp_path: Path, count: int) -> None:
    """A megabyte at most, whether the file has fifty kilobytes or five megabytes."""
    target = tmp_path / "big.csv"
    tracemalloc.start()
    try:
        save._csv(("id", "note"), Unmade(count), target)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert target.stat().st_size > 45 * count
    assert peak < 1_000_000
    with target.open() as file:
        assert sum(1 for _ in file) == count + 1
