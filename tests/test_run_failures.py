"""Every way a run can end badly, for real: what it says, what it leaves, and that it leaves no half of anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import nbformat
import psycopg
import pytest
from commands import ROOT, Done, Run, begin, runner
from django_projects import write
from links import dead
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from psycopg import sql
from test_cli_failures import FILES, MIGRATED

from rcakit import scratch
from rcakit.scratch import Server

DSN = "RCAKIT_TEST_DSN"
WHOLE = {"report.html", "notebook.ipynb", "findings.json", "run.json"}
OPENED = "import rcakit\ncase = rcakit.open_case(project={project!r}, dsn_env='RCAKIT_TEST_DSN')"
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return runner(monkeypatch, capfd)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "shop", FILES)


@pytest.fixture
def migrated(connection: psycopg.Connection, conninfo: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The conninfo of a database that the project was migrated to, and the variable that names it."""
    connection.execute(MIGRATED)
    monkeypatch.setenv(DSN, conninfo)
    return conninfo


def notebook(path: Path, *cells: str, kernel: str = "python3") -> Path:
    nodes = [new_markdown_cell("# How does it end?")]
    for number, source in enumerate(cells, 1):
        nodes += [new_markdown_cell(f"## Part {number}"), new_code_cell(source)]
    nbformat.write(new_notebook(cells=nodes, metadata={"kernelspec": {**KERNEL, "name": kernel}}), path)
    return path


def left(done: Done, status: str, code: int = 2) -> str:
    """The page of a run that ended so; its folder is whole, and nothing half-made is beside it."""
    assert (done.code, f"status: {status}" in done.err) == (code, True), done
    folder = Path(done.out.strip()).parent
    assert {path.name for path in folder.iterdir()} >= WHOLE
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")] == []
    described = json.loads((folder / "run.json").read_text())
    found = json.loads((folder / "findings.json").read_text())
    assert (described["status"], described["exit_code"], found["status"]) == (status, code, status)
    assert dead(folder / "report.html") == []
    return (folder / "report.html").read_text()


# ------------------------------------------------------------------ the notebook's process


def test_a_cell_that_will_not_be_interrupted_is_stopped(rcakit: Run, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    stubborn = (
        f"import os, signal, threading\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "threading.Event().wait()"
    )
    path = notebook(tmp_path / "in.ipynb", stubborn, "'never'")
    page = left(rcakit("run", path, "--cell-timeout", "4", "--out", tmp_path / "out"), "timeout")
    assert "A cell was stopped after 4 seconds, the limit for one cell" in page
    assert "--cell-timeout" in page
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_the_limit_of_the_whole_run_stops_what_cells_by_themselves_do_not_reach(
    rcakit: Run, tmp_path: Path
) -> None:
    path = notebook(tmp_path / "in.ipynb", "1", "import threading; threading.Event().wait()", "'never'")
    done = rcakit("run", path, "--timeout", "5", "--out", tmp_path / "out")
    page = left(done, "timeout")
    assert "The notebook was stopped after 5 seconds, the limit for a whole run" in page
    assert "-> `rcakit run` takes other limits: --timeout for the run" in done.err
    assert "Not run: Part 3." in page


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_ends_a_run_before_its_end(rcakit: Run, tmp_path: Path, code: int) -> None:
    path = notebook(tmp_path / "in.ipynb", f"raise SystemExit({code})", "'never'")
    page = left(rcakit("run", path, "--out", tmp_path / "out"), "failed")
    assert f"SystemExit: {code}" in page
    assert "Not run: Part 2." in page


@pytest.mark.skipif(sys.platform != "linux", reason="control groups")
def test_the_systems_own_killer_for_want_of_memory(rcakit: Run, tmp_path: Path) -> None:
    group = Path("/sys/fs/cgroup/memory/rcakit-test")
    limit = group / "memory.limit_in_bytes"
    if not group.parent.is_dir():
        group, limit = Path("/sys/fs/cgroup/rcakit-test"), Path("/sys/fs/cgroup/rcakit-test/memory.max")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"NO CONTROL GROUP ({error}): nothing was killed for want of memory")
    try:
        limit.write_text(str(256 * 1024**2))
        joins = f"open('{group}/cgroup.procs', 'w').write(str(__import__('os').getpid()))"
        path = notebook(tmp_path / "in.ipynb", joins, "kept = bytearray(1024**3)", "'never'")
        page = left(rcakit("run", path, "--out", tmp_path / "out"), "kernel-died")
    finally:
        group.rmdir()
    assert "The notebook's process ended: signal 9" in page
    assert "ran out of memory" in page
    assert "Not run: Part 3." in page


def kernelspec(place: Path, argv: list[str]) -> None:
    folder = place / "kernels" / "broken"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({**KERNEL, "argv": argv}))


@pytest.mark.parametrize(
    ("argv", "word"),
    [(["/nonexistent/python", "-m", "ipykernel"], "/nonexistent/python"), (["/bin/false"], "died")],
)
def test_a_kernel_that_does_not_start(
    rcakit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], word: str
) -> None:
    kernelspec(tmp_path / "jupyter", argv)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = notebook(tmp_path / "in.ipynb", "1", kernel="broken")
    page = left(rcakit("run", path, "--out", tmp_path / "out"), "kernel-died")
    assert "process did not start" in page
    assert word in page
    assert "jupyter kernelspec list" in page
    assert "Not run: Part 1." in page


def test_a_kernel_that_never_answers_is_not_waited_for_longer_than_the_run_may_take(
    rcakit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernelspec(tmp_path / "jupyter", ["/bin/sh", "-c", "exec sleep 600"])
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = notebook(tmp_path / "in.ipynb", "1", kernel="broken")
    left(rcakit("run", path, "--timeout", "2", "--out", tmp_path / "out"), "timeout")


# ------------------------------------------------------------------ the database


def test_a_database_that_goes_in_the_middle(rcakit: Run, tmp_path: Path, project: Path) -> None:
    """The server is stopped by a cell between two questions; the second one meets nobody."""
    with scratch.server() as own, pytest.MonkeyPatch.context() as patch:
        with own.connect() as admin:
            admin.execute(MIGRATED)
        patch.setenv(DSN, own.conninfo())
        pid = own.data / "postmaster.pid"
        stop = (
            f"import os, pathlib, signal\npid = pathlib.Path({str(pid)!r})\n"
            "os.kill(int(pid.read_text().split()[0]), signal.SIGQUIT)\nwhile pid.exists(): pass"
        )
        cells = (
            OPENED.format(project=str(project)),
            "len(case.observed.relations)",
            stop,
            "case.query('select 1')",
        )
        done = rcakit("run", notebook(tmp_path / "in.ipynb", *cells, "'never'"), "--out", tmp_path / "out")
    page = left(done, "failed")
    assert "no server listens there" in page
    assert "Check host and port, and that the server is running." in page
    assert "trying again in" in page
    assert "Not run: Part 5." in page
    assert "(3 of 3)" in done.err


def test_a_session_that_is_ended_during_a_query(
    rcakit: Run, tmp_path: Path, project: Path, migrated: str, connection: psycopg.Connection
) -> None:
    """A function that ends the session that asks stands in for an administrator who does."""
    connection.execute(
        "CREATE FUNCTION gone() RETURNS bool LANGUAGE sql AS 'select pg_terminate_backend(pg_backend_pid())'"
    )
    cells = (OPENED.format(project=str(project)), "case.query('select gone()')", "'never'")
    page = left(rcakit("run", notebook(tmp_path / "in.ipynb", *cells), "--out", tmp_path / "out"), "failed")
    assert "terminating connection due to administrator command" in page
    assert "Not run: Part 3." in page


def test_a_role_without_rights(
    rcakit: Run, tmp_path: Path, project: Path, migrated: str, server: Server, dbname: str
) -> None:
    with server.role() as role, pytest.MonkeyPatch.context() as patch:
        patch.setenv(DSN, server.conninfo(dbname, user=role))
        arguments = ("-p", f"project={project}", "-p", f"dsn_env={DSN}", "--out", tmp_path / "out")
        page = left(rcakit("run", "10_incident_report", *arguments), "could-not-check")
        assert f"the role {role} may not read public.django_migrations" in page
        with server.connect() as admin:
            admin.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(dbname)))
        page = left(rcakit("run", "10_incident_report", *arguments), "failed")
    assert "the role may not connect to the database" in page
    assert "GRANT CONNECT" in page


def test_a_database_that_is_empty(
    rcakit: Run, tmp_path: Path, project: Path, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no failure of the run, and it is not clean."""
    monkeypatch.setenv(DSN, conninfo)
    arguments = ("-p", f"project={project}", "-p", f"dsn_env={DSN}", "--out", tmp_path / "out")
    page = left(rcakit("run", "10_incident_report", *arguments), "could-not-check")
    assert "is in this database: it is empty." in page
    assert "has no history of migrations" in page
    assert "class=banner" not in page


# ------------------------------------------------------------------ the disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NO SMALL DISK ({error}): no run was made on one that is full")
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
        yield place


@pytest.mark.parametrize("room", [4_000, 120_000])
def test_a_disk_that_is_full(rcakit: Run, tmp_path: Path, disk: Path, room: int) -> None:
    """Full before the notebook can be written, or only with the outputs it made."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "ballast").write_bytes(b"x" * (free - room - 12_000))
    path = notebook(tmp_path / "in.ipynb", "print('much ' * 40_000)")
    done = rcakit("run", path, "--out", disk / "out")
    assert (done.code, done.out) == (2, "")
    assert "No space left on device" in done.err
    assert f"the report could not be written to {disk / 'out'}" in done.err
    assert "make room" in done.err
    assert [each for each in (disk / "out").rglob("*") if each.is_file() or each.name.startswith(".")] == []


@pytest.mark.parametrize("command", [["new"], ["repair", "--option", "A", "--out"]])
def test_a_disk_that_is_full_gets_no_half_of_what_is_written(
    rcakit: Run, disk: Path, demo_dir: Path, command: list[str]
) -> None:
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "ballast").write_bytes(b"x" * (free - 4096))
    place = disk / "incident"
    done = rcakit(*command, place, cwd=demo_dir)
    assert (done.code, done.out) == (2, "")
    assert f"{place}" in done.err
    assert "No space left on device" in done.err
    assert [path for path in place.rglob("*") if path.is_file()] == []


def test_a_disk_that_may_only_be_read(rcakit: Run, tmp_path: Path, disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = rcakit("run", notebook(tmp_path / "in.ipynb", "1"), "--out", disk / "out")
    assert (done.code, done.out) == (2, "")
    assert "reports cannot be written to" in done.err
    assert "Read-only file system" in done.err
    assert "--out" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_closed(rcakit: Run, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    done = rcakit("run", notebook(tmp_path / "in.ipynb", "1"), "--out", tmp_path / "closed" / "out")
    assert (done.code, done.out) == (2, "")
    assert "Permission denied" in done.err


# ------------------------------------------------------------------ others at the same time


def test_runs_of_one_target_side_by_side(tmp_path: Path) -> None:
    """Each waits in its cell until all are there, so that they are at work at the same time."""
    fifos = [tmp_path / f"fifo{number}" for number in range(3)]
    for fifo in fifos:
        os.mkfifo(fifo)
    cells = "from pathlib import Path\nPath(meeting).read_text()"
    path = notebook(tmp_path / "in.ipynb", cells, "meeting")
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(1, new_code_cell('meeting: str = ""', metadata={"tags": ["parameters"]}))
    nbformat.write(nb, path)
    started = [begin("run", path, "-p", f"meeting={fifo}", "--out", "out", cwd=tmp_path) for fifo in fifos]
    writers = [fifo.open("w") for fifo in fifos]  # each opens when the other side reads
    for writer in writers:
        writer.write("all here")
        writer.close()
    pages = [process.communicate()[0].decode().strip() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(set(pages)) == 3
    for fifo, page in zip(fifos, pages, strict=True):
        assert str(fifo) in (tmp_path / page).read_text(), "each has its own outputs"
    assert {each.name for each in (tmp_path / "out" / "in").iterdir()} == {
        Path(page).parent.name for page in pages
    }


@pytest.mark.slow
def test_runs_that_share_a_server_of_their_own_take_turns(project: Path) -> None:
    (project / "rcakit.toml").write_text(
        '[target]\nproject = "."\n[target.server]\ndata = "pgdata"\ndatabase = "postgres"\n'
    )
    with scratch.server(project / "pgdata") as running, running.connect() as connection:
        connection.execute(MIGRATED)
    started = [begin("run", "10_incident_report", "--fail-on", "never", cwd=project) for _ in range(2)]
    pages = [process.communicate()[0].decode().strip() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    for page in pages:
        run = json.loads((project / page).with_name("run.json").read_text())
        assert (run["status"], run["target"]) == ("ok", "default")
    assert not scratch.held(project / "pgdata")
