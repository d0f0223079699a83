"""Kept runs sent elsewhere: a directory, memory, and an FTP server that really runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from commands import Run, runner
from kept_runs import finding, keep

from rcakit.archive.held import held
from rcakit.archive.kept import Kept, archive, read
from rcakit.archive.publish import Place, publish, wanted
from rcakit.errors import ConfigError, RcaError
from rcakit.report import index

RUN_FILES = {"run.json", "findings.json", "report.html", "evidence/E1.csv"}


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


@pytest.fixture(scope="module")
def ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of an FTP server on loopback that takes uploads of anybody, and the directory it serves."""
    served = tmp_path_factory.mktemp("ftp")
    command = [sys.executable, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", "0", "-w", "-d", str(served)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    port = next(found[1] for line in lines if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
    yield f"ftp://127.0.0.1:{port}", served
    process.terminate()
    process.communicate()


@pytest.fixture(params=["file", "memory", "ftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "file":
        return Place((tmp_path / "elsewhere").as_uri())
    if request.param == "memory":
        return Place(f"memory://{uuid4().hex}")
    return Place(f"{request.getfixturevalue('ftp')[0]}/{uuid4().hex}")


def there(place: Place) -> set[str]:
    place.system.invalidate_cache()
    return {str(path).removeprefix(place.path).strip("/") for path in place.system.find(place.path)}


def sent(root: Path, place: Place) -> int:
    number = publish(archive(root).runs, place)
    place.write_index(index.page, index.NAME)
    return number


def test_whole_runs_and_their_index_arrive(tmp_path: Path, place: Place) -> None:
    root = tmp_path / "reports"
    folders = [keep(root, 0), keep(root, 1, target="depot", findings=(finding(),))]
    assert sent(root, place) == 2
    expected = {f"{each.parent.name}/{each.name}/{name}" for each in folders for name in RUN_FILES}
    assert there(place) == expected | {"index.html"}
    page = place.system.cat_file(f"{place.path}/index.html").decode()
    assert all(f'href="{each.parent.name}/{each.name}/report.html"' in page for each in folders)
    report = f"{place.path}/shop/{folders[0].name}/report.html"
    assert place.system.cat_file(report) == (folders[0] / "report.html").read_bytes()


def test_what_is_there_is_not_sent_again(tmp_path: Path, place: Place) -> None:
    root = tmp_path / "reports"
    keep(root, 0)
    assert (sent(root, place), sent(root, place)) == (1, 0)
    keep(root, 1)
    assert sent(root, place) == 1


def test_the_index_lists_what_is_there_not_what_is_here(tmp_path: Path, place: Place) -> None:
    gone = keep(tmp_path / "first", 0)
    kept = keep(tmp_path / "second", 1)
    sent(tmp_path / "first", place)
    sent(tmp_path / "second", place)
    page = place.system.cat_file(f"{place.path}/index.html").decode()
    assert gone.name in page
    assert kept.name in page


def test_a_run_in_progress_and_what_is_no_run_are_not_sent(tmp_path: Path, place: Place) -> None:
    root = tmp_path / "reports"
    whole = keep(root, 0)
    part = keep(root, 1).rename(root / "shop" / ".20260205T130000Z-3f9c.part")
    (keep(root, 2) / "findings.json").write_text("{")
    with held(part):
        sent(root, place)
    assert {path.split("/")[1] for path in there(place) - {"index.html"}} == {whole.name}


class _Breaks:
    """A file system whose n-th write fails."""

    def __init__(self, system: Any, after: int) -> None:
        self.system, self.left = system, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.system, name)

    def pipe_file(self, path: str, content: bytes) -> None:
        if not self.left:
            raise ConnectionResetError(104, "Connection reset by peer")
        self.left -= 1
        self.system.pipe_file(path, content)


@pytest.mark.parametrize("after", range(4))
def test_a_half_upload_is_never_linked_and_is_mended(tmp_path: Path, after: int) -> None:
    place = Place(f"memory://{uuid4().hex}")
    root = tmp_path / "reports"
    keep(root, 0)
    assert sent(root, place) == 1
    half = keep(root, 1)
    whole = place.system
    place.system = _Breaks(whole, after)
    with pytest.raises(RcaError, match="Connection reset by peer"):
        sent(root, place)
    place.system = whole
    place.write_index(index.page, index.NAME)
    assert half.name not in place.system.cat_file(f"{place.path}/index.html").decode()
    assert sent(root, place) == 1
    assert half.name in place.system.cat_file(f"{place.path}/index.html").decode()


def test_links_are_not_followed(tmp_path: Path) -> None:
    place = Place(f"memory://{uuid4().hex}")
    (tmp_path / "secret").write_text("hunter2")
    folder = keep(tmp_path / "reports")
    (folder / "evidence" / "E2.csv").symlink_to(tmp_path / "secret")
    (folder / "evidence" / "more").symlink_to(tmp_path)
    sent(tmp_path / "reports", place)
    assert {path.partition("evidence/")[2] for path in there(place)} == {"", "E1.csv"}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:hunter2@127.0.0.1/x",
        "s3://key:hunter2@bucket/x",
        "https://hunter2@host/x",
        "abfs://container/x?sig=hunter2",
        "s3://bucket/x?X-Amz-Signature=hunter2",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(rcakit: Run, tmp_path: Path, url: str) -> None:
    keep(tmp_path / "reports")
    done = rcakit("publish", "reports", url, cwd=tmp_path)
    assert done.code == 2
    assert "the URL holds credentials" in done.err
    assert "hunter2" not in done.err + done.out


def test_a_user_name_where_one_logs_in_is_none() -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Place("smb://me@")


@pytest.mark.parametrize("url", ["nowhere://x/y", "s3a-not-there://x"])
def test_an_unknown_protocol_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Place(url)


def test_a_server_that_does_not_answer_is_told(tmp_path: Path, ftp: tuple[str, Path]) -> None:
    with pytest.raises(RcaError, match=r"ftp://127\.0\.0\.1:1: ConnectionRefusedError"):
        Place("ftp://127.0.0.1:1")


def test_what_the_server_refuses_is_told(tmp_path: Path, ftp: tuple[str, Path]) -> None:
    url, served = ftp
    (served / "taken").write_text("a file")
    keep(tmp_path / "reports")
    with pytest.raises(RcaError, match=f"{url}/taken: "):
        sent(tmp_path / "reports", Place(f"{url}/taken"))


def test_which_runs_are_meant(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    first, second = keep(root, 0), keep(root, 1)
    assert {kept.folder for kept in wanted(str(root), root)} == {first, second}
    assert [kept.folder for kept in wanted(str(first), root)] == [first]
    assert [kept.folder for kept in wanted("last", root)] == [second]
    with pytest.raises(ConfigError):
        wanted(str(tmp_path), root)


def test_rcakit_publish(rcakit: Run, tmp_path: Path) -> None:
    keep(tmp_path / "reports", 0)
    last = keep(tmp_path / "reports", 1)
    url = (tmp_path / "elsewhere").as_uri()
    done = rcakit("publish", "last", url, cwd=tmp_path)
    assert (done.code, done.out) == (0, f"{url}/index.html\n")
    arrived = read(tmp_path / "elsewhere" / "shop" / last.name)
    assert isinstance(arrived, Kept)
    assert os.listdir(tmp_path / "elsewhere" / "shop") == [last.name]
    assert f"shop/{last.name}: sent" in done.err
