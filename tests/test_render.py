"""Tables, sections and the page: counted, escaped, nothing left out in silence."""

from __future__ import annotations

import dataclasses
import html
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, NamedTuple

import nbformat
import pandas as pd
import pytest
from casefixture import HOSTILE, make_case
from links import dead_in
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rcakit.names import visible
from rcakit.report import render, sections, tables
from rcakit.report.html import Html, chip, code, esc, lines, pre, spoken, tag
from rcakit.report.render import Failure
from rcakit.report.sections import common
from rcakit.report.tables import Style

SECTIONS = [
    "title",
    "summary",
    "symptom",
    "impact",
    "timeline",
    "evidence",
    "causes",
    "tests_blind",
    "factors",
    "repair",
    "prevention",
    "actions",
]
SECTIONS += ["questions", "provenance", "verdict"]
VOID = {"meta", "img", "br", "hr", "wbr"}
CELLS = {"td", "th"}
ENDS = {
    "td": {*CELLS, "p"},
    "th": {*CELLS, "p"},
    "thead": {"caption", "p"},
    "tr": {*CELLS, "tr", "p"},
    "tbody": {*CELLS, "tr", "thead", "p"},
    "li": {"li", "p"},
    "dt": {"dt", "dd", "p"},
    "dd": {"dt", "dd", "p"},
    **{name: {"p"} for name in ("p", "div", "details", "dl", "figure", "h3", "pre", "table", "ul", "ol")},
}
"""What a start tag ends without an end tag: https://html.spec.whatwg.org/multipage/syntax.html#optional-tags"""
OPTIONAL = {"td", "th", "thead", "tr", "tbody", "caption", "li", "dt", "dd", "p"}


class Reader(HTMLParser):
    """Collects tags, attributes and identifiers; notices what is left open."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        while self.open and self.open[-1] in ENDS.get(tag, ()):
            self.open.pop()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] in OPTIONAL and self.open[-1] != tag:
            self.open.pop()
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


def read(markup: object) -> Reader:
    reader = Reader(str(markup))
    assert reader.open == []
    return reader


def page_of(case: Any, **options: Any) -> str:
    return render.page(notebook_of(case), **options)


def notebook_of(case: Any) -> NotebookNode:
    cells = [new_markdown_cell("# Is it what it says?")]
    for name in SECTIONS:
        data, metadata = getattr(sections, name)(case)._repr_mimebundle_()
        shown = new_output("execute_result", data=data, metadata=metadata, execution_count=1)
        cells += [
            new_markdown_cell(f"## {name}\n\nA sentence."),
            new_code_cell(f"sections.{name}(case)", outputs=[shown]),
        ]
    return new_notebook(cells=cells)


# ------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("venues", "venues"),
        ("a\u202eb", "a\\u202eb"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\x00", "a\\nb\\tc\\x00"),
        ("a\u00a0b\u200bc", "a\\xa0b\\u200bc"),
        ("\ud800", "\\ud800"),
        ("naïve 名前 \U0001f600", "naïve 名前 \U0001f600"),
    ],
)
def test_every_character_is_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("make", [esc, code, pre, lines, lambda t: tag("p", t), lambda t: chip("error", t)])
def test_markup_is_shown_and_not_obeyed(make: Any) -> None:
    reader = read(make(HOSTILE))
    assert {"img", "script"}.isdisjoint(name for name, _ in reader.seen)
    assert "<img src=x onerror=alert(1)>" in reader.text


def test_attributes_cannot_be_left() -> None:
    (name, attributes), *rest = read(tag("p", title='" onmouseover="x', hidden=None)).seen
    assert (name, rest) == ("p", [])
    assert attributes == {"title": '" onmouseover="x'}


def test_several_lines_stay_several() -> None:
    assert lines("a\n\tb\x07") == "a\n    b\\x07"


# ------------------------------------------------------------------ tables


class Row(NamedTuple):
    name: str
    rows: int | None


def test_a_table_counts_and_scopes() -> None:
    rows = [Row(f"t{n}", n) for n in range(1204)]
    reader = read(tables.plain(rows, Style("Tables", source="evidence/E1.csv", noun="table")))
    assert "50 of 1,204 tables, all in evidence/E1.csv" in reader.text
    heads = [attributes["scope"] for name, attributes in reader.seen if name == "th"]
    assert heads == ["col", "col", *["row"] * 50]


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 rows"), (1, "1 row"), (50, "50 rows"), (51, "50 of 51 rows")]
)
def test_the_caption_says_how_many(number: int, said: str) -> None:
    assert f"<small>{said}" in str(tables.table(["a"], [["x"]] * number, Style("T")))


def test_a_total_beyond_the_rows_at_hand() -> None:
    assert "1 of 9 rows" in str(tables.table(["a"], [["x"]], Style("T", total=9)))


def test_cells_of_every_kind() -> None:
    moment = datetime(2026, 2, 5, 9, 30, tzinfo=UTC)
    cells = [None, True, 1204, 0.5, moment, ("a", 1), "", b"\x00", Html("<b>x</b>"), "<i>"]
    shown = str(tables.table([str(n) for n in range(10)], [cells], Style("T", head=False)))
    for text in (
        "null",
        "yes",
        "1,204",
        "0.5",
        "2026-02-05 09:30:00",
        "a, 1",
        "empty",
        "<b>x</b>",
        "&lt;i&gt;",
    ):
        assert text in shown


def test_a_frame_keeps_its_columns_and_has_no_empty_header() -> None:
    frame = pd.DataFrame({"a<b>": [1, 2], "c": ["<img>", None]})
    reader = read(tables.plain(frame, Style("Frame")))
    assert all(name != "img" for name, _ in reader.seen)
    assert "a<b>" in reader.text
    assert "<th></th>" not in str(tables.plain(frame, Style("Frame")))


def test_a_row_of_another_width_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        tables.table(["a", "b"], [["x"]], Style("T"))


def test_evidence_tells_how_it_was_asked() -> None:
    case = make_case()
    shown = str(tables.evidence(case.evidence[0], limit=8))
    reader = read(shown)
    for text in (
        "E1",
        "relations",
        "1,204 rows",
        "0.012 s",
        "rca_reader",
        "8 of 1,204 rows",
        "evidence/E1.csv",
    ):
        assert text in reader.text
    assert "select n.nspname" in reader.text
    assert "It returned no rows." in str(tables.evidence(case.evidence[2]))
    assert "permission denied" in str(tables.evidence(case.evidence[3]))


# ------------------------------------------------------------------ sections


@pytest.mark.parametrize("kind", ["incident", "healthy", "hostile", "empty"])
@pytest.mark.parametrize("name", SECTIONS)
def test_no_section_is_silent(name: str, kind: str) -> None:
    case = make_case(**{} if kind == "incident" else {kind: True})
    reader = read(getattr(sections, name)(case))
    assert reader.text.strip()
    assert {"script", "iframe", "style"}.isdisjoint(tag for tag, _ in reader.seen)
    assert not [a for _, attributes in reader.seen for a in attributes if a.startswith("on")]


def test_the_verdict_is_one_sentence_with_the_cause() -> None:
    said = read(sections.verdict(make_case())).text
    assert said == (
        "7 tables that were meant for schema adm are in public: the declared name is one identifier with a dot in it."
    )


def test_the_verdict_of_a_healthy_project() -> None:
    assert (
        read(sections.verdict(make_case(healthy=True))).text
        == "This database is what its migrations say it is."
    )


def test_could_not_check_is_not_clean() -> None:
    case = make_case(healthy=True)
    case.unread = make_case().unread
    assert "could not be checked" in read(sections.verdict(case)).text
    assert "1 could not be checked" in read(sections.title(case)).text


def test_every_finding_is_in_the_page_once_with_its_anchor() -> None:
    case = make_case()
    ids = [a["id"] for _, a in read(page_of(case)).seen if "id" in a]
    found = [i for i in ids if re.fullmatch(r"RK\d{3}-\d+", i or "")]
    assert len(found) == len(set(found)) == len(case.findings)
    assert len(ids) == len(set(ids))


def test_what_many_findings_say_alike_is_said_once() -> None:
    case = make_case()
    rows = [row for row in case.findings if row.code == "RK202"]
    text = read(common.findings(case, rows, "Silent")).text
    assert text.count("has no ELSE") == 1
    assert rows[0].message in text
    for row in rows:
        assert row.object in text
        assert row.message.split()[3] in text


def test_messages_of_different_make_are_all_said() -> None:
    case = make_case()
    rows = [
        dataclasses.replace(row, message=f"{row.message}{' more' * n}")
        for n, row in enumerate(row for row in case.findings if row.code == "RK202")
    ]
    assert len(rows) > 1
    for row in rows:
        assert row.message in read(common.findings(SimpleNamespace(findings=rows), rows, "Silent")).text


def test_many_findings_of_one_code_leave_room_for_the_others() -> None:
    case = make_case()
    text = read(common.findings(case, case.findings, "All")).text
    assert "All: RK101" in text
    assert "All: the others" in text
    assert text.count("RK401-7") == 1


@pytest.mark.parametrize(
    ("texts", "own"),
    [
        (["a is in public", "b is in public"], [("a",), ("b",)]),
        (["'a', is a in x", "'b', is b in x"], [("'a'", "a"), ("'b'", "b")]),
        (["a is a is a", "b is b is b"], None),
        (["a is here", "a is not here"], None),
        (["the same", "the same"], None),
    ],
)
def test_the_words_that_are_their_own(texts: list[str], own: list[tuple[str, ...]] | None) -> None:
    assert tables.apart(texts) == own


@pytest.mark.parametrize("kind", ["incident", "healthy", "hostile", "empty"])
def test_every_link_leads_somewhere(kind: str) -> None:
    page = page_of(make_case(**{} if kind == "incident" else {kind: True}))
    assert dead_in(page) == []
    assert page.count("<a href=#C1>") == (2 if kind in ("incident", "hostile") else 0)


def test_a_page_without_the_part_shows_the_text_of_a_link_to_it() -> None:
    data, metadata = sections.questions(make_case())._repr_mimebundle_()
    assert "<a href=#C1>C1</a>" in data["text/html"]
    output = new_output("display_data", data=data, metadata=metadata)
    person = new_markdown_cell("## Asked\n\n[here](#nowhere), [there](#asked)")
    page = render.page(new_notebook(cells=[person, new_code_cell("x", outputs=[output])]))
    assert dead_in(page) == []
    assert "C1" in read(page).words
    assert "here, there" in read(page).text


def test_every_unread_place_is_told() -> None:
    assert "a syntax error" in read(sections.questions(make_case())).text


# ------------------------------------------------------------------ the page


def test_the_page_is_whole_small_and_without_requests() -> None:
    page = page_of(make_case())
    reader = read(page)
    markup = re.sub(r"data:image/svg\+xml;base64,[^\"]+", "", page)
    assert len(markup) < 80_000
    assert len(page) < 400_000
    assert "script" not in {name for name, _ in reader.seen}
    for _, attributes in reader.seen:
        for key in ("src", "href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/"))
    policies = [a["content"] for name, a in reader.seen if name == "meta" and "http-equiv" in a]
    assert policies == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    assert all(a.get("alt") for name, a in reader.seen if name == "img")


def test_code_that_only_names_its_section_stands_at_the_foot() -> None:
    nb = notebook_of(make_case())
    nb.cells.append(new_code_cell("case.query('select 1')"))
    page = render.page(nb)
    assert page.count("<summary>Code</summary>") == 1
    foot = page.partition("<summary>Code of this page</summary>")[2]
    for name in SECTIONS:
        assert page.count(f"sections.{name}(case)") == 1
        assert f"sections.{name}(case)" in foot


def test_code_is_closed_unless_wanted() -> None:
    def opened(page: str) -> list[bool]:
        return ["open" in a for name, a in read(page).seen if name == "details" and a.get("class") == "code"]

    assert set(opened(page_of(make_case()))) == {False}
    assert set(opened(page_of(make_case(), code="open"))) == {True}
    nb = notebook_of(make_case())
    nb.metadata["papermill"] = {"parameters": {"show_code": True}}
    assert set(opened(render.page(nb))) == {True}


def outputs(*found: NotebookNode) -> str:
    cell = new_code_cell("x", outputs=list(found))
    return render.page(new_notebook(cells=[new_markdown_cell("# ?"), cell]))


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<meta http-equiv=refresh content='0;url=https://example.org/'>",
    "<iframe src=https://example.org></iframe>",
    "<form action=https://example.org><button>x</button></form>",
    "<style>@import 'https://example.org/x.css'</style>",
    "<svg onload=alert(1)><circle/></svg>",
    "<p style='background:url(https://example.org/x)'>x</p>",
    "</main></body>",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("mime", ["text/html", "text/markdown", "text/plain", "text/latex", "image/svg+xml"])
def test_outputs_of_others_are_cleaned(mime: str, attack: str) -> None:
    data = {mime: attack, "text/plain": attack}
    reader = read(outputs(new_output("display_data", data=data)))
    assert {"script", "img", "iframe", "form", "svg", "button"}.isdisjoint(name for name, _ in reader.seen)
    assert sum(name in ("style", "body", "main") for name, _ in reader.seen) == 3
    assert sum(name == "meta" for name, _ in reader.seen) == 6
    for _, attributes in reader.seen:
        assert not [a for a in attributes if a.startswith("on") or a == "style"]
        assert not (attributes.get("href") or "").startswith("javascript")


@pytest.mark.parametrize("attack", ATTACKS)
def test_streams_errors_and_source_are_text(attack: str) -> None:
    error = new_output("error", ename=attack, evalue=attack, traceback=[attack])
    stream = new_output("stream", name="stdout", text=attack)
    cell = new_code_cell(attack, outputs=[error, stream])
    nb = new_notebook(cells=[new_markdown_cell(f"# {attack}"), new_markdown_cell(f"## {attack}"), cell])
    reader = read(render.page(nb, failure=Failure("failed", attack, attack)))
    assert {"script", "img", "iframe", "form", "svg", "button"}.isdisjoint(name for name, _ in reader.seen)


def test_a_frame_of_pandas_survives_the_cleaning() -> None:
    frame = pd.DataFrame({"a": [1]})
    shown = outputs(new_output("display_data", data={"text/html": frame._repr_html_(), "text/plain": "x"}))
    assert "<table" in shown


def test_colours_of_a_terminal_are_dropped() -> None:
    assert "\x1b" not in outputs(new_output("stream", name="stderr", text="\x1b[31mred\x1b[0m"))


def test_a_failed_run_says_what_was_done_and_what_not() -> None:
    nb = notebook_of(make_case())
    for index, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            done = index < 6
            cell.metadata["papermill"] = {"status": "completed" if done else "pending"}
            cell.outputs = cell.outputs if done else []
    reader = read(render.page(nb, failure=Failure("kernel-died", "signal 9", "run it again")))
    assert "the notebook's process died" in reader.text
    assert "2 of 15 steps were begun" in reader.text
    assert "Signal 9." in reader.text
    assert reader.text.count("Not run.") == 13
    done = SECTIONS[:2]
    listed = reader.text.partition("Not run: ")[2].partition(".")[0].split(", ")
    assert listed == SECTIONS[2:]
    assert not set(done) & set(listed)


def test_a_notebook_that_was_never_run_still_renders() -> None:
    nb = new_notebook(cells=[])
    assert "This run failed" in read(render.page(nb, failure=Failure("failed", "no kernel"))).text
    nbformat.validate(nb)


def test_code_and_sql_are_left_out_where_nobody_wants_them() -> None:
    case = make_case()
    nb = notebook_of(case)
    nb.cells.append(
        new_code_cell("boom()", outputs=[new_output("error", ename="E", evalue="v", traceback=["at boom()"])])
    )
    page = render.page(nb, code="none")
    texts = {" ".join(item.sql.split()) for item in case.evidence} | {
        "sections.summary(case)",
        "at boom()",
        "&lt;pre",
    }
    shown, whole = " ".join(page.split()), " ".join(render.page(nb).split())
    assert [text for text in texts if html.escape(text, quote=False) in whole] != []
    assert [text for text in texts if html.escape(text, quote=False) in shown] == []
    assert "<pre" not in shown
    assert "E: v" in shown
    assert "Code and SQL are left out of this page" in shown
    assert "<!--" not in whole + shown


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("a cell was stopped", "A cell was stopped."),
        ("see `x < 1` there", "See <code>x &lt; 1</code> there."),
        ("rcakit.toml is gone", "rcakit.toml is gone."),
        ("one ` alone", "One ` alone."),
        ("Who?", "Who?"),
        ("<b>", "&lt;b&gt;."),
    ],
)
def test_a_banner_speaks_in_sentences(text: str, markup: str) -> None:
    page = render.page(new_notebook(cells=[new_markdown_cell("# ?")]), failure=Failure("failed", text))
    assert f"<p>{markup}</p>" in page


def test_code_in_a_sentence() -> None:
    assert spoken("see `x < 1`, then `y`").text == "see <code>x &lt; 1</code>, then <code>y</code>"
    assert spoken("one ` alone").text == "one ` alone"


def test_what_a_data_frame_brings_along_is_not_read_as_text() -> None:
    frame = pd.DataFrame({"name": ["venues"]})._repr_html_()
    assert "<style" in frame
    text = read(outputs(new_output("display_data", data={"text/html": frame}))).text
    assert "venues" in text
    assert "only-of-type" not in text


def test_a_run_that_made_no_part_says_so_and_of_which_target_it_is() -> None:
    nb = notebook_of(make_case())
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.metadata["papermill"], cell.outputs = {"status": "pending"}, []
    failure = Failure(
        "failed", "no server listens there", "start it", "depot · INC-42 · 2026-02-05 09:30:00 UTC"
    )
    page = render.page(nb, failure=failure)
    text = read(page).text
    assert "0 of 15 steps were begun. No part of the report was made." in text
    assert "What to do: Start it." in text
    assert "depot · INC-42 · 2026-02-05 09:30:00 UTC" in text
    assert page.count("class=left>") == 15
    assert "<nav" not in page, "it would lead to nothing"


def test_what_stands_on_top_of_the_page_is_not_said_again() -> None:
    error = new_output("error", ename="E", evalue="no such file\nmore", traceback=["at boom()"])
    nb = new_notebook(cells=[new_markdown_cell("# ?"), new_code_cell("boom()", outputs=[error])])
    page = render.page(nb, failure=Failure("failed", "E: no such file"))
    assert page.count("E: no such file") == 1
    assert "<summary>Traceback</summary><pre>at boom()" in page
    assert "<summary>E: no such file</summary>" in render.page(nb, failure=Failure("failed", "another"))


def test_the_banner_leads_to_where_the_run_ended() -> None:
    nb = notebook_of(make_case())
    for cell in nb.cells[6:]:
        if cell.cell_type == "code":
            cell.metadata["papermill"], cell.outputs = {"status": "pending"}, []
    page = render.page(nb, failure=Failure("timeout", "it took too long"))
    assert "2 of 15 steps were begun, the last in <a href=#summary>summary</a>. Not run: symptom," in page
    assert page.count("class=left>") == 13


@pytest.mark.parametrize(
    ("pending", "said"),
    [
        (1.0, "None of the 8 declared tables is in this database"),
        (
            0.5,
            "4 of 8 declared tables are not made yet, every other one is where it was meant to be, but not all is well.",
        ),
    ],
)
def test_tables_that_are_not_there_yet_are_not_said_to_be_in_place(pending: float, said: str) -> None:
    case = make_case(healthy=True)
    number = int(len(case.placement) * pending)
    waiting = [dataclasses.replace(row, verdict="pending", found=None) for row in case.placement[:number]]
    case.placement = (*waiting, *case.placement[number:])
    case.findings = make_case().findings[:1]
    assert read(sections.verdict(case)).text.startswith(said)
    assert f"{number} of 8 declared tables not made yet" in read(sections.symptom(case)).text


def test_the_head_says_why_something_could_not_be_checked() -> None:
    case = make_case(healthy=True)
    case.unread = make_case().unread
    reason = next(row.reason for row in case.unread if row.blocking)
    assert f"Could not be checked:{reason}." in read(sections.title(case)).text
    assert "Could not be checked:" not in read(sections.title(make_case(healthy=True))).text


def test_a_healthy_project_has_no_incident_to_sum_up() -> None:
    said = read(sections.summary(make_case(healthy=True))).text
    assert "No incident was found: all of 8 declared tables where they were meant" in said
    assert "Root cause" not in said


def test_the_answer_to_a_notebooks_question_is_at_its_top() -> None:
    def page(answer: str, source: str = "case.save()\nsections.replay.verdict(case)") -> str:
        shown = Html(str(tag("p", answer, class_="answer")))
        data, metadata = shown._repr_mimebundle_()
        outputs = [new_output("execute_result", data=data, metadata=metadata, execution_count=1)]
        data, metadata = sections.title(make_case())._repr_mimebundle_()
        head = [new_output("execute_result", data=data, metadata=metadata, execution_count=1)]
        cells = [new_markdown_cell("# What?"), new_code_cell("sections.title(case)", outputs=head)]
        return render.page(new_notebook(cells=[*cells, new_code_cell(source, outputs=outputs)]))

    found = page("Nothing was done.")
    assert found.index("Nothing was done.") < found.index("class=title-block")
    assert "class=lead" not in page("Nothing was done.", "start.ways(case)")
    assert "class=lead" not in page(read(sections.verdict(make_case())).text), "the head says it already"
