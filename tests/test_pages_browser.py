"""The pages of kept runs in a real browser: nothing fetched, nothing wider than a phone, nothing axe objects to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from casefixture import HOSTILE
from kept_runs import finding, keep, placed, unread
from links import dead
from test_report_browser import SIZES, browser, pytestmark  # noqa: F401  (a fixture, and the mark of this module)

from rcakit.archive.difference import compare
from rcakit.archive.kept import Kept, read
from rcakit.report import comparing, index

KINDS = ("index", "empty", "compare", "same")
LONG = "administrate_" + "very_long_name_" * 8


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reports")
    accounts = {"placement": [placed(), placed(LONG)]}
    keep(root, 0, target="depot", incident=HOSTILE)
    was = keep(root, 1, findings=(finding(), finding(object_=LONG)), accounts=accounts, incident="INC-42")
    keep(root, 2, status="failed", reason=f"the server is gone {HOSTILE}", seconds=200)
    changed = {"placement": [placed(observed=None, verdict="missing"), placed(LONG, observed=HOSTILE)]}
    found = (finding(), finding("RK402", HOSTILE, message=HOSTILE, severity="warning"))
    now = keep(root, 3, findings=found, accounts=changed, unread=[unread(HOSTILE)])
    (root / "shop" / LONG).mkdir()
    earlier, later = read(was), read(now)
    assert isinstance(earlier, Kept)
    assert isinstance(later, Kept)
    for name, a, b in (("compare", earlier, later), ("same", later, later)):
        comparing.write(a, b, compare(a, b), root / f"{name}.html")
    (root / "none").mkdir()
    written = {"index": index.write(root), "empty": index.write(root / "none")}
    return written | {name: root / f"{name}.html" for name in ("compare", "same")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_in_the_browser(
    browser: Any,  # noqa: F811
    pages: dict[str, Path],
    kind: str,
    size: str,
    scheme: str,
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("dialog", lambda dialog: (seen.append("dialog"), dialog.dismiss()))
    page.on("console", lambda message: seen.append(message.text))
    page.goto(pages[kind].as_uri())
    assert seen == [pages[kind].as_uri()]
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_link_of_a_page_leads_somewhere(pages: dict[str, Path], kind: str) -> None:
    assert dead(pages[kind]) == []


def test_the_index_leads_to_the_reports(browser: Any, pages: dict[str, Path]) -> None:  # noqa: F811
    page = browser.new_page()
    page.goto(pages["index"].as_uri())
    page.locator("tbody a").first.click()
    assert page.title() == "report"
    assert page.url.endswith("/report.html")
    page.close()
