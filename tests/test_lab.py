"""JupyterLab itself, opened by `rcakit lab` where nothing is named, in a real browser: Run All, and look at the outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from commands import COMMAND, environment
from nbformat import NotebookNode

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM: JupyterLab was not opened in a browser"),
]
TOKEN = "only-for-this-test"  # noqa: S105


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a JupyterLab on the demo, and the directory it shows."""
    home = tmp_path_factory.mktemp("home")
    empty = tmp_path_factory.mktemp("empty")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    env = environment({name: str(home / name) for name in names})
    command = [*COMMAND, "lab", *options]
    with subprocess.Popen(command, cwd=empty, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if f"http://127.0.0.1:{port}/lab" in line:
                break
        else:
            pytest.fail("".join(said))
        place = next(Path(found[1]) for line in said if (found := re.search(r"local directory: (\S+)", line)))
        assert (place / "rcakit.toml").is_file()
        yield f"http://127.0.0.1:{port}", place
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert not place.parent.exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


def run_all(browser: Any, lab: tuple[str, Path], name: str, picture: Path | None = None) -> NotebookNode:
    """Open a notebook, choose Run All Cells, wait for the kernel to rest, save; the notebook as it lies on disk."""
    address, place = lab
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(90_000)
    page.goto(f"{address}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb?token={TOKEN}")
    page.get_by_text(re.compile(r"\| Idle$")).wait_for()  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    path = place / "notebooks" / f"{name}.ipynb"
    last = sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent === `[${n}]:`)",
        arg=last,
    )
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.jp-RenderedHTML td')).textAlign") == "left"
    )
    floats = "[...document.querySelectorAll('.jp-RenderedHTML dt')].map(dt => getComputedStyle(dt).float)"
    assert set(page.evaluate(floats)) <= {"none"}  # JupyterLab's own let a label stand on what it labels
    if picture:
        page.screenshot(path=picture)
    with page.expect_response(
        lambda response: response.request.method == "PUT" and "/api/contents/" in response.url
    ):
        page.keyboard.press("Control+s")
    page.close()
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("name", ["00_start_here", "10_incident_report"])
def test_run_all_ends_without_an_error(
    browser: Any, lab: tuple[str, Path], name: str, tmp_path: Path
) -> None:
    done = run_all(browser, lab, name, tmp_path / "lab.png")
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type in ("error", "stream")] == []
    assert "adm.venues" in json.dumps(outputs)
