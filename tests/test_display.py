"""Values as the last expression of a cell: shown by a real IPython, escaped, and only when there is one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from casefixture import make_case
from commands import environment
from IPython.core.interactiveshell import InteractiveShell

from rcakit import display
from rcakit.case import Case
from rcakit.facts import Rows

PLAIN = "text/plain"
HTML = "text/html"
VOID = {"br", "hr", "img", "meta", "col", "input"}


class Outline(HTMLParser):
    """The tags of a fragment; `open` must be empty at the end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell.instance()
    display.install()
    yield made
    InteractiveShell.clear_instance()


def shown(shell: InteractiveShell, value: Any) -> str:
    """What a cell that ends in the value shows; HTML, whole."""
    formats, metadata = shell.display_formatter.format(value)
    assert PLAIN in formats
    assert metadata[HTML] == {"rcakit": True}, "a report passes only markup of our own"
    html = str(formats[HTML])
    assert Outline(html).open == []
    return html


def test_a_case_shows_what_it_is(shell: InteractiveShell, demo_case: Case) -> None:
    html = shown(shell, demo_case)
    assert demo_case.target.incident.title in html


@pytest.mark.parametrize(
    "name",
    ["findings", "causes", "placement", "guards", "intended", "timeline", "evidence", "claims", "dependants"],
)
def test_rows_show_as_a_table_with_a_row_each(shell: InteractiveShell, demo_case: Case, name: str) -> None:
    rows = getattr(demo_case, name)
    assert isinstance(rows, Rows)
    assert rows
    tags = Outline(shown(shell, rows)).tags
    assert tags.count("table") == 1
    assert tags.count("tr") > 1


def test_the_report_takes_it_as_ours(shell: InteractiveShell, demo_case: Case) -> None:
    _, metadata = shell.display_formatter.format(demo_case.findings)
    assert metadata[HTML] == {"rcakit": True}


def test_a_frame_shows_as_a_table_of_the_report(shell: InteractiveShell, demo_case: Case) -> None:
    html = shown(shell, demo_case.query("select '<i>' as name, 1 as number"))
    assert "Answer to Q" in html
    assert "&lt;i&gt;" in html
    assert "style" not in Outline(html).tags


@pytest.mark.parametrize("name", ["findings", "causes", "placement", "guards", "intended"])
def test_no_fact_is_shown_as_the_code_that_makes_it(
    shell: InteractiveShell, demo_case: Case, name: str
) -> None:
    html = shown(shell, getattr(demo_case, name))
    assert not [
        word for word in ("Where(", "Finding(", "Name(", "Guard(", "Relation(", "Intent(") if word in html
    ]


def test_no_rows_say_none(shell: InteractiveShell, healthy_case: Case) -> None:
    assert shown(shell, healthy_case.findings) == "<p>None.</p>"


@pytest.mark.parametrize("name", ["observed", "declared", "recorded"])
def test_an_account_shows_how_much_it_holds(shell: InteractiveShell, demo_case: Case, name: str) -> None:
    account = getattr(demo_case, name)
    html = shown(shell, account)
    held = {"observed": "relations", "declared": "models", "recorded": "applied"}[name]
    assert held in html
    assert str(len(getattr(account, held))) in html


def test_foreign_text_is_text(shell: InteractiveShell) -> None:
    case = make_case(hostile=True)
    for value in (Rows(case.findings), Rows(case.placement), Rows(case.causes), Rows(case.timeline)):
        html = shown(shell, value)
        assert not {"script", "img"} & set(Outline(html).tags)
        assert not set(html) & set("\x1b\u202e")


def test_a_frame_in_a_terminal_obeys_nothing(shell: InteractiveShell) -> None:
    frame = pd.DataFrame({"a\x1b[2J": ["\u202ex\n# forged", "\x07"]})
    formats, _ = shell.display_formatter.format(frame)
    assert formats["text/plain"].isascii()
    assert formats["text/plain"].split() == [r"a\x1b[2J", "0", r"\u202ex\n#", "forged", "1", r"\x07"]


def test_a_value_of_its_own_kind_alone_is_touched(shell: InteractiveShell) -> None:
    formats, _ = shell.display_formatter.format((1, 2))
    assert HTML not in formats


def test_opening_a_case_registers_the_formatters() -> None:
    """In a process of its own: the way a notebook does it."""
    ask = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "from rcakit import open_case\n"
        "from rcakit.facts import Rows\n"
        "print('text/html' in shell.display_formatter.format(Rows())[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_without_a_notebook_nothing_is_imported_for_one() -> None:
    ask = "import sys, rcakit; rcakit.open_case; print(bool({'IPython', 'pandas'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
