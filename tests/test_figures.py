"""Figures: well-formed, described, without script, whatever the names in them are."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import timedelta
from typing import Any

import pytest
from casefixture import HOSTILE, NOW, Event, make_case

from rcakit.names import visible
from rcakit.report import figures, timeline_figures
from rcakit.report.figures import Figure
from rcakit.report.html import Html

SVG = "{http://www.w3.org/2000/svg}"


def drawn(case: Any) -> dict[str, Html]:
    return {
        "placement": figures.placement(case.placement),
        "chain": figures.chain(case.causes, 7),
        "timeline": timeline_figures.timeline(case.timeline),
    }


def parsed(figure: Figure) -> ET.Element:
    return ET.fromstring(figure.svg)  # noqa: S314 - our own document


def texts(figure: Html) -> str:
    assert isinstance(figure, Figure)
    return "\n".join(node.text or "" for node in parsed(figure).iter(f"{SVG}text"))


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("name", ["placement", "chain", "timeline"])
def test_a_figure_is_inert_small_and_described(name: str, hostile: bool) -> None:
    figure = drawn(make_case(hostile=hostile))[name]
    assert isinstance(figure, Figure)
    tags = {node.tag.removeprefix(SVG) for node in parsed(figure).iter()}
    assert tags.isdisjoint({"script", "image", "foreignObject", "a", "iframe", "animate", "set"})
    assert b"http://" not in figure.svg.replace(b"http://www.w3.org/", b"").replace(
        b"http://purl.org/", b""
    ).replace(b"http://creativecommons.org/", b"")
    assert len(figure.alt) > 40
    assert len(figure.svg) < 40_000
    assert 'alt=""' not in figure.text


def test_the_matrix_marks_wrong_cells_without_colour() -> None:
    figure = figures.placement(make_case().placement)
    assert "✕ 7" in texts(figure)
    assert "✓ 1" in texts(figure)
    assert isinstance(figure, Figure)
    assert "7 meant for adm, found in public (wrong)" in figure.alt


def test_the_matrix_of_a_healthy_project_marks_nothing() -> None:
    figure = figures.placement(make_case(healthy=True).placement)
    assert "✕" not in texts(figure)
    assert isinstance(figure, Figure)
    assert "(wrong)" not in figure.alt


def test_the_chain_names_every_cause_and_the_symptom() -> None:
    case = make_case()
    shown = texts(figures.chain(case.causes, 7))
    assert all(cause.id in shown for cause in case.causes)
    assert "7 findings" in shown


def test_nothing_to_draw_draws_nothing() -> None:
    assert all(figure.text == "" for figure in drawn(make_case(empty=True)).values())


@pytest.mark.parametrize(
    "text", [HOSTILE, "$x^2$ and $\\frac{1}{2}$", "名前 テーブル", "\u05d0\u05d1", "a" * 500, "\\$", "%s{}"]
)
def test_names_are_drawn_as_text(text: str) -> None:
    events = (Event(NOW, text, text), Event(NOW, "b", "git 1"))
    figure = timeline_figures.timeline(events)
    shown = texts(figure)
    assert visible(text)[:6] in shown
    assert "mathdefault" not in shown


def test_the_same_facts_give_the_same_bytes() -> None:
    first, second = drawn(make_case()), drawn(make_case())
    assert {k: v.text for k, v in first.items()} == {k: v.text for k, v in second.items()}


@pytest.mark.parametrize(
    ("text", "width", "cut"), [("abc", 3, "abc"), ("abcdefgh", 5, "ab…gh"), ("a\nb", 9, "a\\nb")]
)
def test_short_keeps_both_ends(text: str, width: int, cut: str) -> None:
    assert figures.short(text, width) == cut


def test_a_run_long_after_the_incident_is_drawn_nearer_and_says_so() -> None:
    events = [Event(NOW + timedelta(days=day), "applied", "history table") for day in (0, 1, 4)]
    late = timeline_figures.timeline([*events, Event(NOW + timedelta(days=290), "investigated", "this run")])
    soon = timeline_figures.timeline([*events, Event(NOW + timedelta(days=5), "investigated", "this run")])
    assert "+286 days" in texts(late)
    assert "drawn nearer" in late.text
    assert "2026-02-05" in texts(soon)
    assert "2026-02-10" in texts(soon)
    assert "drawn nearer" not in soon.text
