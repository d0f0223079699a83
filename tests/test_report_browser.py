"""The page in a real browser: nothing fetched, nothing run, nothing wider than a phone, nothing axe objects to."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from casefixture import HOSTILE, make_case
from test_render import notebook_of

from rcakit.case import Case
from rcakit.report import render
from rcakit.report.render import Failure
from rcakit.report.runs import Options

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="NO CHROMIUM: the report was not opened in a browser; install the package chromium",
)
KINDS = ("incident", "healthy", "hostile", "empty", "failed", "code")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    result = {}
    for kind in KINDS:
        case = make_case(**{kind: True} if kind in ("healthy", "hostile", "empty") else {})
        nb = notebook_of(case)
        failure = None
        if kind in ("failed", "hostile"):
            evil = HOSTILE if kind == "hostile" else ""
            failure = Failure(
                "kernel-died", f"the notebook's process ended: signal 9{evil}", f"run it again{evil}"
            )
        if kind == "failed":
            for cell in nb.cells[9:]:
                if cell.cell_type == "code":
                    cell.metadata["papermill"] = {"status": "pending"}
                    cell.outputs = []
        if kind == "hostile":
            nb.cells[0].source = f"# {HOSTILE}"
            nb.cells[2].source = HOSTILE
        result[kind] = folder / f"{kind}.html"
        result[kind].write_text(
            render.page(nb, failure=failure, code="open" if kind == "code" else "folded"), encoding="utf-8"
        )
    return result


@pytest.fixture
def open_page(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    contexts = []

    def opened(kind: str, size: str = "desktop", scheme: str = "light") -> tuple[Any, list[str]]:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        seen: list[str] = []
        page.on("request", lambda request: seen.append(f"request {request.url[:80]}"))
        page.on("requestfailed", lambda request: seen.append(f"stopped {request.failure}"))
        page.on("dialog", lambda dialog: (seen.append("dialog"), dialog.dismiss()))
        page.on("console", lambda message: seen.append(f"console {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error {error}"))
        page.goto(pages[kind].as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return page, seen

    yield opened
    for context in contexts:
        context.close()


Laid = Callable[..., Any]


@pytest.fixture(scope="module")
def laid_out(browser: Any, pages: dict[str, Path]) -> Iterator[Laid]:
    """laid_out(kind, size, scheme, media) -> its page, opened once and all unfolded, as that screen or paper has it."""
    shown: dict[str, Any] = {}

    def one(kind: str, size: str = "desktop", scheme: str = "light", media: str = "screen") -> Any:
        if kind not in shown:
            shown[kind] = browser.new_page()
            shown[kind].goto(pages[kind].as_uri())
            shown[kind].evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        width, height = SIZES[size]
        shown[kind].set_viewport_size({"width": width, "height": height})
        shown[kind].emulate_media(media=media, color_scheme=scheme)
        return shown[kind]

    yield one
    for page in shown.values():
        page.close()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_and_nothing_runs(open_page: Any, pages: dict[str, Path], kind: str) -> None:
    page, seen = open_page(kind)
    assert [line for line in seen if "data:image/" not in line] == [f"request {pages[kind].as_uri()}"[:88]]
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate(
        "[...document.images].every(image => image.complete && image.naturalWidth > 0 && image.alt)"
    )


def test_a_hostile_name_is_read_as_text(open_page: Any) -> None:
    page, _ = open_page("hostile")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("main")
    assert "<script>alert(2)</script>" in page.inner_text("main")
    assert page.evaluate("document.querySelectorAll('img:not([src^=\"data:\"])').length") == 0


def test_the_policy_would_stop_what_escaping_let_through(open_page: Any) -> None:
    page, seen = open_page("incident")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=https://example.org/x onerror=alert(1)>')"
    )
    page.wait_for_function("document.images[document.images.length - 1].complete")
    assert "dialog" not in seen
    assert "stopped csp" in seen
    assert [line for line in seen if "Content Security Policy" in line]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_as_wide_as_the_screen(laid_out: Laid, kind: str, size: str) -> None:
    page = laid_out(kind, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    clipped = page.evaluate(
        "[...document.querySelectorAll('.table:not([tabindex])')].filter(t => t.scrollWidth > t.clientWidth + 1)"
        ".map(t => t.querySelector('caption').textContent)"
    )
    assert clipped == [], "these tables would have to be scrolled sideways"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_violation(laid_out: Laid, kind: str, size: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(laid_out(kind, size, scheme))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["incident", "hostile", "failed"])
def test_axe_finds_no_violation_on_paper(laid_out: Laid, kind: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = laid_out(kind, scheme=scheme, media="print")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert (
        page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()")
        == "#fff"
    )


def test_what_was_not_run_is_said_in_a_line_each(open_page: Any) -> None:
    page, _ = open_page("failed", "phone")
    left = page.locator(".left")
    assert left.count() > 5
    for n in range(left.count()):
        assert " ".join(left.nth(n).inner_text().split()).endswith(" Not run.")
        assert left.nth(n).bounding_box()["height"] < 60


def test_a_link_to_a_finding_opens_what_holds_it(open_page: Any, pages: dict[str, Path]) -> None:
    page, _ = open_page("incident")
    page.goto("about:blank")
    page.goto(f"{pages['incident'].as_uri()}#RK201-3")
    assert page.locator("#RK201-3").is_visible()
    assert page.locator("#RK201-3").bounding_box()["y"] < 900


def test_print_shows_what_is_folded(open_page: Any, tmp_path: Path) -> None:
    page, _ = open_page("incident")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)")
    assert not page.locator("#RK201-3").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#RK201-3").is_visible()
    assert page.locator("#E1 pre").is_visible()
    assert not page.locator("nav").is_visible()


def test_colour_is_never_the_only_signal(open_page: Any) -> None:
    page, _ = open_page("incident")
    chips = page.locator("b[class]").all_inner_texts()
    assert chips
    assert all(text.strip() for text in chips)
    glyphs = page.evaluate(
        "[...document.querySelectorAll('b[class]')].map(c => getComputedStyle(c, '::before').content)"
    )
    assert all(glyph not in ("none", "normal") for glyph in glyphs)


def test_the_answer_is_on_the_first_screen_of_a_phone(open_page: Any) -> None:
    page, _ = open_page("incident", "phone")
    box = page.locator(".verdict").bounding_box()
    assert box["y"] + box["height"] < SIZES["phone"][1]


# ------------------------------------------------------------------ the demo incident, for real


@pytest.fixture(scope="module")
def demo_page(demo_case: Case, forked: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rcakit.report import runs

    conninfo, out = os.environ[demo_case.target.dsn_env], tmp_path_factory.mktemp("reports")
    run = runs.investigate(demo_case.target, out, options=forked, conninfo=conninfo)
    assert (run.status, run.exit_code) == ("findings", 1), run.reason
    return run.report


@pytest.mark.slow
def test_the_demo_report_is_small(demo_page: Path) -> None:
    page = demo_page.read_text(encoding="utf-8")
    assert len(page.encode()) < 400_000
    assert len(re.sub(r"data:image/[^\"]+", "", page).encode()) < 80_000


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_demo_report_in_the_browser(browser: Any, demo_page: Path, size: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(demo_page.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert [url for url in requests if not url.startswith("data:image/")] == [demo_page.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (
        page.locator(".verdict")
        .inner_text()
        .startswith("7 tables that were meant for schema adm are in public")
    )
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()
