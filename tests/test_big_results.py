"""A result of fifty thousand rows: the page shows what a reader can take in, and says how many there are."""

from __future__ import annotations

import pytest

from rcakit import query
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
