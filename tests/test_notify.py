"""One line and a link on a change: sent for real, to a webhook and a mail server on loopback."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, Run, runner
from kept_runs import finding, keep, unread
from nbformat import write as write_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rcakit.archive.kept import Kept, read
from rcakit.errors import ConfigError
from rcakit.report import notifying

pytestmark = pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)  # Apprise imports it
NAME = "RCAKIT_TEST_NOTIFY"
SECRETS = ("hunter2secret", "T0kenInThePath", "keyInTheQuery")


class Hook(HTTPServer):
    """A webhook that keeps what it is sent; `code` is what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.got: list[dict[str, Any]] = []
        self.code = 200

    @property
    def url(self) -> str:
        user, path, key = SECRETS
        return f"json://bot:{user}@127.0.0.1:{self.server_port}/{path}?-key={key}"


class _Post(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


class Mail(socketserver.TCPServer):
    """A mail server that takes one message after another."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.got: list[str] = []


class _Smtp(socketserver.StreamRequestHandler):
    server: Mail

    def handle(self) -> None:
        self._say("220 here")
        while verb := self.rfile.readline().decode().strip().upper():
            if verb == "DATA":
                self._say("354 go on")
                self.server.got.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
            self._say("221 bye" if verb == "QUIT" else "250 fine")
            if verb == "QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with serving(Hook()) as running:
        monkeypatch.setenv(NAME, running.url)
        yield running


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return runner(monkeypatch, capfd)


def told(folder: Path) -> list[str]:
    """Tell of a run; what was said on the way."""
    said: list[str] = []
    notifying.on_change(folder, NAME, said.append)
    return said


# ------------------------------------------------------------------ what is a change

A, B = finding("RK201", "adm.venues"), finding("RK401", "adm.venues")
BLIND = {"unread": [unread()]}


@pytest.mark.parametrize(
    ("was", "now", "change"),
    [
        ({}, {}, False),
        ({"findings": (A,)}, {"findings": (A,)}, False),
        ({"findings": (A,)}, {"findings": ({**A, "message": "in other words"},)}, False),
        ({"findings": (A,)}, {"findings": (B,)}, True),
        ({"findings": (A,)}, {"findings": (A, B)}, True),
        ({"findings": (A, B)}, {"findings": (A,)}, True),
        ({}, {"findings": (A,)}, True),
        ({"findings": (A,)}, {}, True),
        ({}, BLIND, True),
        (BLIND, {}, True),
        (BLIND, BLIND, False),
        ({}, {"status": "failed"}, True),
        ({"status": "failed"}, {}, True),
        ({"status": "failed"}, {"status": "failed"}, False),
        ({"status": "failed"}, {"status": "timeout"}, True),
        (None, {}, False),
        (None, {"findings": (A,)}, True),
        (None, {"status": "failed"}, True),
    ],
)
def test_status_or_findings_make_a_change(
    hook: Hook, tmp_path: Path, was: dict[str, Any] | None, now: dict[str, Any], change: bool
) -> None:
    if was is not None:
        keep(tmp_path, 0, **was)
    assert told(keep(tmp_path, 1, **now)) == []
    assert len(hook.got) == change


def test_it_is_compared_with_the_run_that_asked_the_same(hook: Hook, tmp_path: Path) -> None:
    keep(tmp_path, 0, findings=(A,))
    keep(tmp_path, 1, parameters={"replay": True}, findings=(A, B))
    keep(tmp_path, 2, target="other")
    later = keep(tmp_path, 9)
    told(keep(tmp_path, 3, findings=(A,)))
    assert hook.got == []
    found = read(later)
    assert isinstance(found, Kept)
    before = notifying.before(found)
    assert before is not None
    assert before.run.started.hour == 15


# ------------------------------------------------------------------ what is said


def test_a_line_with_numbers_and_the_path_of_the_report(hook: Hook, tmp_path: Path) -> None:
    keep(tmp_path, 0, findings=(A,))
    now = keep(tmp_path, 1, findings=(B, {**B, "object": "t", "severity": "warning"}), **BLIND)
    told(now)
    (sent,) = hook.got
    assert (
        sent["title"] == "rcakit: shop: findings: 1 error, 1 warning (2 new findings, 1 gone but not checked)"
    )
    assert sent["message"] == str(now / "report.html")


def test_a_change_of_status_is_said_and_nothing_is_compared_with_a_run_that_broke_off(
    hook: Hook, tmp_path: Path
) -> None:
    keep(tmp_path, 0, status="timeout", reason="cell 3 took 5 s")
    told(keep(tmp_path, 1))
    told(keep(tmp_path, 2, status="failed", reason="relation adm.venues: password=hunter2"))
    assert [row["title"] for row in hook.got] == [
        "rcakit: shop: ok, was timeout",
        "rcakit: shop: failed, was ok",
    ]


def test_nothing_of_the_database_is_sent(hook: Hook, tmp_path: Path) -> None:
    told(keep(tmp_path, 0, findings=(A,), reason="adm.venues", target="shop", **BLIND))
    sent = json.dumps(hook.got)
    assert hook.got
    assert not [word for word in ("adm", "venues", "RK201", "0003", "guard") if word in sent]


@pytest.mark.parametrize("name", ["<!channel> @everyone", "a\u202eb\x1b[31m\n[x](http://e.org)"])
def test_a_hostile_target_is_spelt_as_its_folder_is(hook: Hook, tmp_path: Path, name: str) -> None:
    from rcakit.report.folders import slug

    folder = keep(tmp_path, 0, findings=(A,))
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"target": name}))
    told(folder.parent.rename(tmp_path / slug(name)) / folder.name)
    (sent,) = hook.got
    assert not set("<>@!\u202e\x1b\n[]()") & set(sent["title"].partition("(")[0])
    assert slug(name) in sent["title"]


def test_by_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Mail()) as mail:
        to = f"mailto://127.0.0.1:{mail.server_address[1]}?from=rcakit@example.org&to=ops@example.org"
        monkeypatch.setenv(NAME, to)
        folder = keep(tmp_path, 0, findings=(A,))
        assert told(folder) == []
    (message,) = mail.got
    assert "Subject: rcakit: shop: findings, the first run: 1 error" in message
    assert "To: ops@example.org" in message
    assert folder.name in message.replace("=\r\n", "")


# ------------------------------------------------------------------ what goes wrong


def silent(said: list[str], captured: str) -> None:
    assert not [word for word in (*SECRETS, "127.0.0.1") if word in "".join(said) + captured]


@pytest.mark.parametrize("code", [302, 403, 500])
def test_a_webhook_that_refuses_is_said_without_its_url(
    hook: Hook, tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    hook.code = code
    with caplog.at_level(logging.DEBUG, logger="apprise"):
        said = told(keep(tmp_path, findings=(A,)))
    assert len(hook.got) == 1
    assert said == [f'nobody was notified: sending failed; `apprise -vv -b test "${NAME}"` says why']
    silent(said, caplog.text + "".join(capfd.readouterr()))


def test_nobody_at_the_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Hook()) as gone:
        monkeypatch.setenv(NAME, gone.url)
    said = told(keep(tmp_path, findings=(A,)))
    assert "nobody was notified" in said[0]
    silent(said, "")


@pytest.mark.parametrize(
    "url", ["", "  ", "nonsense hunter2secret", "json://", "gopher://bot:hunter2secret@h/x"]
)
def test_a_variable_that_holds_no_url_is_refused_before_the_run(
    tmp_path: Path, rcakit: Run, monkeypatch: pytest.MonkeyPatch, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(NAME, url)
    out = tmp_path / "out"
    done = rcakit("run", "50_drift_watch", "--notify", "on-change", "--notify-env", NAME, "--out", out)
    assert (done.code, done.out) == (2, "")
    assert NAME in done.err
    assert "hunter2secret" not in done.err + caplog.text
    assert not out.exists()


def test_unset_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    with pytest.raises(ConfigError, match="--notify-env"):
        notifying.demand(NAME)


# ------------------------------------------------------------------ as it is scheduled


def test_runs_tell_once_and_keep_their_exit_code(hook: Hook, rcakit: Run, tmp_path: Path) -> None:
    """The first fails and tells, the second fails alike and is quiet, the third cannot tell, and ends as it does."""
    cells = [
        new_markdown_cell("# Does it run?"),
        new_code_cell("import os\nos.environ[" + repr(NAME) + "] or 1/0"),
    ]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    write_notebook(new_notebook(cells=cells, metadata=kernel), tmp_path / "job.ipynb")
    line = ("run", tmp_path / "job.ipynb", "--out", tmp_path, "--notify-env", NAME, "--notify")
    first, second = rcakit(*line, "on-change"), rcakit(*line, "on-change")
    assert [each.code for each in (first, second)] == [2, 2], first.err
    assert "ZeroDivisionError" in first.err, "the notebook does not get to see the URL"
    (sent,) = hook.got
    assert sent["title"] == "rcakit: job: failed, the first run"
    assert sent["message"] == first.out.strip()

    cells[1] = new_code_cell("1")
    write_notebook(new_notebook(cells=cells, metadata=kernel), tmp_path / "job.ipynb")
    hook.code = 500
    third = rcakit(*line, "on-change")
    assert (third.code, "nobody was notified" in third.err) == (0, True), third.err
    silent([third.err, third.out], "")
    assert len(hook.got) == 2
    left = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    silent(left, "")


def test_never_is_what_it_does_unless_asked(hook: Hook, rcakit: Run, tmp_path: Path) -> None:
    done = rcakit(
        "run", "50_drift_watch", "-p", "dsn_env=RCAKIT_GONE", "--notify-env", NAME, "--out", tmp_path
    )
    assert done.code == 2
    assert hook.got == []


@pytest.mark.slow
def test_investigate_tells_of_an_incident(hook: Hook, rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    line = ("investigate", "--out", tmp_path, "--notify", "on-change", "--notify-env", NAME)
    done = [rcakit(*line, cwd=demo_dir) for _ in "ab"]
    assert [each.code for each in done] == [1, 1], done[0].err
    (sent,) = hook.got
    assert sent["title"].startswith("rcakit: adm-demo: findings, the first run: ")
    assert sent["message"] == done[0].out.strip()
    silent([each.err for each in done], "")
