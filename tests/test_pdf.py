"""The page on paper: whole, unfolded, and printed without asking anybody for anything."""

from __future__ import annotations

import http.server
import io
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from casefixture import make_case
from commands import Run, runner
from test_render import notebook_of

from rcakit.errors import RcaError
from rcakit.report import pdf, render, runs

pypdf = pytest.importorskip("pypdf", reason="NO pypdf: what was printed was not read")


@pytest.fixture(params=["chromium", "weasyprint"])
def printer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two, alone."""
    if request.param == "weasyprint":
        pytest.importorskip("weasyprint", reason="NO weasyprint: it printed nothing")
        monkeypatch.setattr(pdf, "browser", lambda: None)
    elif pdf.browser() is None:
        pytest.skip("NO CHROMIUM: it printed nothing; install the package chromium")
    return str(request.param)


@pytest.fixture
def address() -> Iterator[tuple[str, list[str]]]:
    """A server that somebody would have to ask, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def text(path: Path) -> tuple[str, str]:
    """Title and text of a PDF, in one line."""
    reader = pypdf.PdfReader(io.BytesIO(path.read_bytes()))
    words = " ".join(" ".join(page.extract_text().split()) for page in reader.pages)
    return str(reader.metadata.title), words


def test_it_has_the_title_the_text_and_what_is_folded(printer: str, tmp_path: Path) -> None:
    page = render.page(notebook_of(make_case()))
    pdf.write(page, tmp_path / "report.pdf")
    title, words = text(tmp_path / "report.pdf")
    assert title == "Is it what it says?"
    assert "tables that were meant for schema adm are in public" in words
    assert "sections.summary(case)" in words, "code is folded on the page, and open on paper"


def test_nobody_is_asked_even_where_the_page_would(
    printer: str, tmp_path: Path, address: tuple[str, list[str]]
) -> None:
    url, asked = address
    page = f"<title>t</title><link rel=stylesheet href={url}/x.css><img src={url}/x.png><p>Here it is."
    pdf.write(page, tmp_path / "report.pdf")
    assert text(tmp_path / "report.pdf") == ("t", "Here it is.")
    assert asked == []


@pytest.mark.skipif(pdf.browser() is None, reason="NO CHROMIUM: it printed nothing")
def test_a_long_path_for_what_is_temporary_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place := tmp_path / ("x" * 80)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    pdf.write("<title>Long</title><p>printed", tmp_path / "report.pdf")
    assert text(tmp_path / "report.pdf") == ("Long", "printed")
    assert list(place.iterdir()) == []


def test_a_printer_that_is_killed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder for what is temporary is within the run's own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(pdf, "_SOCKET_PATH", 1000)
    browser = tmp_path / "chromium"
    browser.write_text(
        '#!/bin/sh\nmkdir "$TMPDIR/org.chromium.x"\nls -d "$TMPDIR"/*chromium* >&2\nkill -9 $$\n'
    )
    browser.chmod(0o755)
    with pytest.raises(RcaError, match=r"org\.chromium\.x"):
        pdf._by_chromium(str(browser), "<p>page", tmp_path / "report.pdf")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_of_all_that_a_browser_says_the_reason_is_told() -> None:
    said = "[1:1:ERROR:a.cc(1)] gone\n[1:1:FATAL:b.cc(2)] no place\n[2:2:ERROR:c.cc(3)] Broken pipe\n"
    assert pdf._last_words(said) == "[1:1:FATAL:b.cc(2)] no place"
    assert pdf._last_words("first\nlast\n") == "last"
    assert pdf._last_words("") == ""


def test_without_a_printer_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(pdf, "browser", lambda: None)
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    rcakit: Run = runner(monkeypatch, capfd)
    done = rcakit("run", "10_incident_report", "--pdf", "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "needs Chromium on PATH" in done.err
    assert "pip install 'rcakit[pdf]'" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("program", ["echo no display >&2", "exit 3"])
def test_a_printer_that_fails_takes_nothing_from_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    browser = tmp_path / "chromium"
    browser.write_text(f"#!/bin/sh\n{program}\n")
    browser.chmod(0o755)
    monkeypatch.setattr(pdf, "browser", lambda: str(browser))
    said: list[str] = []
    notebook = Path(__file__).parents[1] / "notebooks" / "10_incident_report.ipynb"
    options = runs.Options(pdf=True, say=said.append)
    done = runs.execute(notebook, ["dsn_env=RCAKIT_NOWHERE", "project=."], tmp_path / "out", options)
    assert done.status == "failed"
    assert done.report.exists()
    assert not (done.folder / "report.pdf").exists()
    assert f"report.pdf could not be printed by {browser}" in said[-1]
