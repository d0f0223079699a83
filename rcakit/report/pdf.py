"""The page on paper: `report.pdf` beside `report.html`, by Chromium or WeasyPrint, whichever is there.

Neither may fetch anything: Chromium gets a proxy that does not exist, WeasyPrint takes only what the page holds.
https://chromium.googlesource.com/chromium/src/+/HEAD/headless/README.md
https://doc.courtbouillon.org/weasyprint/stable/first_steps.html#security
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from rcakit.errors import MissingExtra, RcaError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--no-first-run",
    "--no-pdf-header-footer",
    "--proxy-server=127.0.0.1:9",  # nobody listens there
    "--proxy-bypass-list=<-loopback>",  # not even for this machine
)
_PATIENCE_S = 120
_SOCKET_PATH = 58
"""Bytes of a directory in which `/org.chromium.Chromium.XXXXXX/SingletonSocket` still fits into a socket's address; Chromium
ends at once where it gets too long."""


def browser() -> str | None:
    """The path of a Chromium, None when there is none on PATH."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def demand() -> None:
    """Raises MissingExtra when a page could not be printed."""
    if browser() is None and find_spec("weasyprint") is None:
        what = "a PDF needs Chromium on PATH, or the Python package 'weasyprint': neither is there"
        raise MissingExtra("weasyprint", "pdf", what)


def write(page: str, path: Path) -> None:
    """Print a page of `render.page` to `path`, with all that is folded on it unfolded.

    Raises RcaError with what the printer said.
    """
    unfolded = page.replace("<details", "<details open")  # in text it would be &lt;details
    found = browser()
    if found is None:
        _by_weasyprint(unfolded, path)
    else:
        _by_chromium(found, unfolded, path)


def _by_chromium(program: str, page: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"rca-{os.getpid()}-pdf-", dir=_short()) as place:
        source, printed = Path(place, "report.html"), Path(place, "report.pdf")
        source.write_text(page, encoding="utf-8", errors="backslashreplace")
        cage = (
            ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        )  # it refuses root else
        command = [program, *_FLAGS, *cage, f"--user-data-dir={place}/profile", f"--print-to-pdf={printed}"]
        try:
            done = subprocess.run(
                [*command, source.as_uri()],
                env={**os.environ, "TMPDIR": place},  # what it leaves there when it is killed goes with ours
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(program, str(error)) from None
        if not printed.exists():
            raise _failed(program, _last_words(done.stderr.decode(errors="replace")))
        shutil.copyfile(printed, path)


def _short() -> str:
    """Where a directory of ours has a path that is short enough."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) + 30 <= _SOCKET_PATH else "/tmp"  # noqa: S108  # mkdtemp makes a name


def _last_words(said: str) -> str:
    """Why it ended, where it says so; what its other processes say of that comes later."""
    lines = said.strip().splitlines() or [""]
    return next((line for line in lines if ":FATAL:" in line), lines[-1])


def _by_weasyprint(page: str, path: Path) -> None:
    import weasyprint  # type: ignore[import-untyped]
    from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]

    weasyprint.HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"})).write_pdf(path)


def _failed(program: str, said: str) -> RcaError:
    return RcaError(
        f"report.pdf could not be printed by {program}: {said or 'it said nothing'}",
        hint="report.html is whole; a browser prints it too",
    )
