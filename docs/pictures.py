"""The README's pictures, taken from a real report: `make pictures` builds the demo, investigates it and opens the page.

The page is shown as somebody gets it who was sent the file: the first screen on a desk and on a phone, light.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent / "pictures"
SIZES = {"desktop": (1180, 860), "phone": (390, 860)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("there is no Chromium on the PATH: install the package chromium")
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        command = [sys.executable, "-c", "from rcakit.cli import main; main()", "demo", "--out", directory]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            page.goto(Path(report).as_uri())
            page.screenshot(path=HERE / f"report-{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
