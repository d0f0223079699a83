"""The folders that runs leave, read again: whole ones, and everything else that lies between them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
from casefixture import HOSTILE
from commands import Run, environment, runner
from kept_runs import NOON, finding, keep, unread

from rcakit.archive.held import busy, held
from rcakit.archive.kept import Kept, archive, read
from rcakit.report import index


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def odd(root: Path) -> dict[str, tuple[str, str]]:
    return {each.folder.name: (each.state, each.why) for each in archive(root).odd}


def test_runs_are_read_newest_first(tmp_path: Path) -> None:
    keep(tmp_path, 1)
    keep(tmp_path, 3, target="depot")
    keep(tmp_path, 2, findings=(finding(),), incident="INC-42")
    found = archive(tmp_path)
    assert [(kept.run.target, kept.run.started.hour - NOON.hour) for kept in found.runs] == [
        ("depot", 3),
        ("shop", 2),
        ("shop", 1),
    ]
    assert list(found.targets()) == ["depot", "shop"]
    assert found.runs[1].incident == "INC-42"
    assert found.odd == ()


def test_an_archive_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert archive(tmp_path / "none").runs == ()


def test_what_a_real_run_leaves_is_read(tmp_path: Path) -> None:
    """The writer and the reader agree: every field that is read is one that is written."""
    from test_runs import run, saving

    done = run(tmp_path, saving("findings"), target="shop")
    kept = read(done.folder)
    assert isinstance(kept, Kept)
    assert (kept.id, kept.run.status, kept.run.target) == (done.id, "findings", "shop")
    assert [found.code for found in kept.content.findings] == ["RK101"]
    assert kept.report == done.report
    page = (tmp_path / "out" / "index.html").read_text()
    assert f'href="shop/{done.id}/report.html"' in page


# ------------------------------------------------------------------ what is no run


def broken(folder: Path, name: str, **changed: object) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changed}))


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("run.json", "{", "run.json is not whole JSON"),
        ("run.json", "[]", "run.json is not a document of rcakit"),
        ("run.json", '{"id": "x"}', "run.json is not a document of rcakit"),
        ("run.json", '{"version": 2}', "run.json is of version 2: a later rcakit wrote it"),
        ("run.json", '{"version": 1}', "run.json is not as expected: id: Field required"),
        ("run.json", "\xff", "run.json is not whole JSON"),
        ("findings.json", "[" * 100_000, "findings.json is not whole JSON"),
        ("findings.json", '{"version": 7}', "findings.json is of version 7: a later rcakit wrote it"),
        ("findings.json", "", "findings.json is not whole JSON"),
    ],
)
def test_a_broken_document_is_told(tmp_path: Path, name: str, text: str, why: str) -> None:
    folder = keep(tmp_path)
    (folder / name).write_text(text, encoding="latin-1")
    assert odd(tmp_path) == {folder.name: ("broken", why)}


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("started", "2026-02-05T12:00:00", "started"),
        ("seconds", -1, "seconds"),
        ("seconds", float("inf"), "seconds"),
        ("status", "fine", "status"),
        ("target", None, "target"),
    ],
)
def test_a_value_that_cannot_be_is_told(tmp_path: Path, field: str, value: object, where: str) -> None:
    folder = keep(tmp_path)
    broken(folder, "run.json", **{field: value})
    assert odd(tmp_path)[folder.name][1].startswith(f"run.json is not as expected: {where}: ")


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    folder = keep(tmp_path)
    broken(folder, "run.json", weather="fine")
    broken(folder, "findings.json", moon={"phase": 3})
    assert isinstance(read(folder), Kept)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    keep(tmp_path)
    (keep(tmp_path, 1) / "findings.json").unlink()
    (keep(tmp_path, 2) / "run.json").unlink()
    (keep(tmp_path, 3) / "report.html").unlink()
    states = sorted(odd(tmp_path).values())
    assert states == [("broken", "has no findings.json"), ("not a run", "has no run.json")]
    assert [kept.report is None for kept in archive(tmp_path).runs] == [True, False]


def test_a_foreign_folder_is_told_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "node_modules" / name).mkdir(parents=True)
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("x")
    assert odd(tmp_path) == {"node_modules": ("not a run", "holds no run")}


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = keep(tmp_path / "elsewhere")
    keep(tmp_path / "out")
    (tmp_path / "out" / "shop" / "linked").symlink_to(elsewhere)
    (tmp_path / "out" / "depot").symlink_to(elsewhere.parent)
    why = ("not a run", "a symbolic link, which is not followed")
    assert odd(tmp_path / "out") == {"linked": why, "depot": why}


def test_a_pipe_where_a_document_belongs_does_not_stop_the_reader(tmp_path: Path) -> None:
    folder = keep(tmp_path)
    (folder / "run.json").unlink()
    os.mkfifo(folder / "run.json")
    assert odd(tmp_path) == {folder.name: ("broken", "has no run.json")}


def test_a_run_under_way_is_told_from_one_that_was_killed(tmp_path: Path) -> None:
    keep(tmp_path)
    part = tmp_path / "shop" / ".20260205T130000Z-3f9c.part"
    part.mkdir()
    with held(part) as known:
        assert known
        assert busy(part) is True
        assert odd(tmp_path)[part.name][0] == "in progress"
    assert odd(tmp_path)[part.name][0] == "left behind"


def test_a_real_run_holds_its_folder(tmp_path: Path) -> None:
    from test_runs import run, saving

    look = (
        "import os, pathlib\nfrom rcakit.archive.kept import read\n"
        "state = read(pathlib.Path(os.environ['RCAKIT_RUN_DIR'])).state\n"
        "assert state == 'in progress', state"
    )
    assert run(tmp_path, look, saving("ok")).status == "ok"


def test_a_killed_owner_holds_nothing(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, threading; from rcakit.archive.held import held\n"
        f"with held(pathlib.Path({str(tmp_path)!r})): print('held', flush=True); threading.Event().wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert busy(tmp_path) is True
    process.kill()
    process.communicate()
    assert busy(tmp_path) is False


# ------------------------------------------------------------------ index.html


def test_the_index_lists_every_run(tmp_path: Path) -> None:
    good = keep(tmp_path, 0)
    bad = keep(tmp_path, 1, findings=(finding(), finding("RK402", severity="warning")), incident="INC-42")
    failed = keep(tmp_path, 2, status="failed", reason="the server is gone", seconds=200)
    keep(tmp_path, 3, target="depot", unread=[unread()])
    page = index.page(archive(tmp_path))
    assert "2 targets at the latest run: not known of depot and shop." in page
    for folder in (good, bad, failed):
        assert f'href="shop/{folder.name}/report.html"' in page
    assert "1 error, 1 warning" in page
    assert "the server is gone" in page
    assert "3 min 20 s" in page
    assert "Incident INC-42" in page
    assert f'Last good run: <a href="shop/{good.name}/report.html"' in page
    assert "nothing, 1 could not be checked" in page
    assert "No good run is kept." in page


def test_a_run_that_judged_nothing_is_not_a_good_one(tmp_path: Path) -> None:
    keep(tmp_path, unread=[{**unread("the notebook saved no case", blocking=False), "account": "run"}])
    (kept,) = archive(tmp_path).runs
    assert (kept.run.status, kept.good, kept.finished) == ("ok", False, False)
    assert "not known of shop" in index.page(archive(tmp_path))


def test_the_index_counts_no_report_that_is_not_there(tmp_path: Path) -> None:
    folder = keep(tmp_path)
    (folder / "report.html").unlink()
    page = index.page(archive(tmp_path))
    assert "without report.html" in page
    assert 'href="shop' not in page


def test_the_index_of_nothing_says_so(tmp_path: Path) -> None:
    assert "No run is kept here." in index.write(tmp_path).read_text()


def test_hostile_names_are_text(tmp_path: Path) -> None:
    folder = keep(tmp_path, status="failed", reason=HOSTILE, incident=HOSTILE)
    broken(folder, "run.json", target=HOSTILE)
    (tmp_path / "javascript:alert(1)" / '"><img src=x onerror=alert(2)>').mkdir(parents=True)
    os.rename(folder.parent, tmp_path / "<script>alert(3)<%2fscript>")
    page = index.page(archive(tmp_path))
    assert "<img" not in page
    assert "<script" not in page
    assert not re.search(r"href=\"?javascript", page)
    assert "\u202e" not in page
    assert f'href="%3Cscript%3Ealert%283%29%3C%252fscript%3E/{folder.name}/report.html"' in page


def test_rcakit_index_writes_it_again(rcakit: Run, tmp_path: Path) -> None:
    keep(tmp_path / "reports")
    (tmp_path / "reports" / "shop" / "notes").mkdir()
    done = rcakit("index", cwd=tmp_path)
    assert (done.code, done.out) == (0, "reports/index.html\n")
    assert done.err == "rcakit: reports/shop/notes: has no run.json\n"
    assert "Kept runs" in (tmp_path / "reports" / "index.html").read_text()


def test_rcakit_index_needs_a_directory(rcakit: Run, tmp_path: Path) -> None:
    done = rcakit("index", cwd=tmp_path)
    assert (done.code, done.err.splitlines()[0]) == (2, "rcakit: there is no directory reports")


def test_the_index_needs_no_lab() -> None:
    ask = (
        "import sys\n"
        "from rcakit.report import index\n"
        "heavy = {'pandas', 'nbformat', 'nbconvert', 'matplotlib', 'papermill', 'bleach', 'sqlalchemy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def _ends(root: Path, number: int) -> None:
    keep(root, number)
    index.write(root)


def test_runs_that_end_together_are_all_listed(tmp_path: Path) -> None:
    """Whoever writes last has read the folders after everybody else's were there."""
    context = get_context("spawn")
    processes = [context.Process(target=_ends, args=(tmp_path, number)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    page = (tmp_path / "index.html").read_text()
    assert len(archive(tmp_path).runs) == 6
    assert all(kept.id in page for kept in archive(tmp_path).runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "shop"]


def test_an_index_that_cannot_be_written_does_not_fail_the_run(tmp_path: Path) -> None:
    from test_runs import run, saving

    (tmp_path / "out" / "index.html").mkdir(parents=True)
    said: list[str] = []
    done = run(tmp_path, saving("ok"), say=said.append)
    assert (done.status, done.exit_code) == ("ok", 0)
    assert "index.html could not be written: Is a directory" in said[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["in", "index.html"]
