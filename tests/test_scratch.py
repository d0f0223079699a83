"""The scratch server: real servers, real kills, and a look at what is left."""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rcakit import scratch
from rcakit.errors import MissingExtra, ScratchError
from rcakit.scratch import binaries
from rcakit.scratch.binaries import installed

ROOT = os.geteuid() == 0
CHECKOUT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds until an owner or a keeper that does not end fails its test."""

OWNER = """
import json, os, signal, sys
from pathlib import Path
from rcakit import scratch

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
data = Path(sys.argv[1]) if len(sys.argv) > 1 else None
with scratch.server(data) as server:
    with server.connect() as connection:
        rows = connection.execute("SELECT pg_backend_pid(), current_setting('data_directory')").fetchall()
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    if "FORK" in os.environ and os.fork() == 0:
        os.close(1), os.close(2)
        os.read(0, 1)
        os._exit(0)
    print(json.dumps({"socket": str(server.socket), "postmaster": postmaster, "uid": os.geteuid()}), flush=True)
    sys.stdin.read()
"""


class Owner:
    """A process of its own that holds a scratch server until it is told or made to end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        self.said: dict[str, Any] = json.loads(line)
        self.socket = Path(self.said["socket"])

    def wait_for_keeper(self) -> None:
        """The keeper shares the owner's standard error: its end of file is the end of both."""
        assert self.process.stderr is not None
        descriptor = self.process.stderr.fileno()
        while select.select([descriptor], [], [], PATIENCE)[0]:
            if not os.read(descriptor, 65536):
                return
        pytest.fail("the keeper did not end")

    def nothing_is_left(self) -> bool:
        return not self.socket.exists() and not _alive(self.said["postmaster"])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def owner(*arguments: object, python: str = sys.executable, **options: Any) -> Iterator[Owner]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **options.pop("env", {})}
    command = [python, "-c", OWNER, *map(str, arguments)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, text=True, **pipes, **options) as process:
        try:
            yield Owner(process)
        finally:
            process.kill()


# ------------------------------------------------------------------ a server, its databases, its roles


def test_it_answers_over_its_private_socket_only(server: scratch.Server) -> None:
    with server.connect() as connection:
        assert connection.info.server_version // 10000 == server.major
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert server.socket.stat().st_mode & 0o077 == 0


def test_it_never_runs_as_root(server: scratch.Server) -> None:
    assert server.data.stat().st_uid != 0


def test_a_thousand_tables_fit_into_one_transaction(connection: psycopg.Connection) -> None:
    connection.execute(
        "DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$"
    )
    count = connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^t[0-9]+$'").fetchone()
    assert count == (1500,)


def test_two_servers_live_side_by_side() -> None:
    with scratch.server() as first:
        with scratch.server() as second, second.connect() as connection:
            connection.execute("CREATE ROLE only_here")
            assert first.socket != second.socket
        with first.connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'only_here'").fetchone()
            assert found is None
        assert not second.socket.exists()
    assert not first.socket.exists()


@pytest.mark.parametrize("prefix", ["plain", 'a "quoted" one', "it's\nτwo lines", "x" * 200, "🐘" * 40])
def test_a_database_of_any_prefix_comes_and_goes(server: scratch.Server, prefix: str) -> None:
    with server.database(prefix) as name, psycopg.connect(server.conninfo(name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
        assert len(name.encode()) <= 63
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.conninfo(name))


@pytest.mark.parametrize("prefix", ["", "nul\0"])
def test_a_prefix_no_identifier_can_have_is_refused(server: scratch.Server, prefix: str) -> None:
    with pytest.raises(ValueError, match="identifier"), server.database(prefix):
        pass


def test_a_database_is_dropped_when_the_block_raises(server: scratch.Server) -> None:
    with pytest.raises(RuntimeError) as raised:
        _raise_the_name_of_a_database(server)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.conninfo(str(raised.value)))


def _raise_the_name_of_a_database(server: scratch.Server) -> None:
    with server.database("doomed") as name, psycopg.connect(server.conninfo(name)):
        raise RuntimeError(name)


def test_a_template_is_copied_with_its_rows(server: scratch.Server, dbname: str) -> None:
    with server.connect(dbname) as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 3) AS n")
    with server.database("copy", template=dbname) as copied, server.connect(copied) as connection:
        assert connection.execute("SELECT array_agg(n) FROM t").fetchone() == ([1, 2, 3],)


def test_a_template_in_use_is_said(server: scratch.Server, dbname: str) -> None:
    with (
        server.connect(dbname),
        pytest.raises(ScratchError, match="being accessed by other users"),
        server.database("copy", template=dbname),
    ):
        pass


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_a_database_of_another_encoding(server: scratch.Server, encoding: str) -> None:
    with server.database("enc", encoding=encoding) as name, server.connect() as connection:
        found = connection.execute(
            "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
        assert found == (encoding,)


def test_a_role_goes_with_what_it_owns_and_was_granted(server: scratch.Server, dbname: str) -> None:
    with server.role('an "app"') as role:
        with server.connect(dbname) as connection:
            connection.execute("GRANT CREATE ON SCHEMA public TO " + '"' + role.replace('"', '""') + '"')
        with psycopg.connect(server.conninfo(dbname, user=role)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
            connection.execute("CREATE TABLE public.mine (id int)")
    with server.connect(dbname) as connection:
        assert connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None
        assert connection.execute("SELECT to_regclass('public.mine')").fetchone() == (None,)


# ------------------------------------------------------------------ nothing is left, however the owner ends


def test_a_normal_end_leaves_nothing() -> None:
    with owner() as held:
        assert _alive(held.said["postmaster"])
        assert held.process.communicate()[1] == ""
        assert held.process.returncode == 0
        assert held.nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_nothing(number: signal.Signals) -> None:
    with owner() as held:
        held.process.send_signal(number)
        held.wait_for_keeper()
        assert held.process.wait() != 0
        assert held.nothing_is_left()


def test_a_kill_during_the_start_leaves_nothing() -> None:
    place = _place_for_everyone()
    try:
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(place)}
        with subprocess.Popen(
            [sys.executable, "-c", OWNER], env=environment, stderr=subprocess.PIPE
        ) as process:
            while process.poll() is None and not any(place.iterdir()):
                pass  # the keeper's directory is there: initdb is about to run
            process.kill()
            assert process.communicate(timeout=PATIENCE)[1] == b""
        assert list(place.iterdir()) == []
    finally:
        shutil.rmtree(place)


def test_a_forked_child_that_stays_does_not_keep_the_server() -> None:
    with owner(env={"FORK": "1"}) as held:
        held.process.kill()
        held.wait_for_keeper()
        assert held.nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the keeper in /proc")
def test_a_keeper_told_to_end_takes_the_server_along() -> None:
    with scratch.server() as running:
        postmaster = int((running.data / "postmaster.pid").read_text().split()[0])
        os.kill(_parent(postmaster), signal.SIGTERM)
    assert not running.socket.exists()
    assert not _alive(postmaster)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the keeper in /proc")
def test_the_server_of_a_background_job_hears_that_it_shall_end() -> None:
    """A script's background job ignores SIGQUIT; a server that ignored it while it starts would be killed a minute later."""
    with owner(preexec_fn=lambda: signal.signal(signal.SIGQUIT, signal.SIG_IGN)) as held:
        assert _ignored(held.process.pid) & {signal.SIGQUIT}
        assert not _ignored(_parent(held.said["postmaster"])) & {signal.SIGQUIT}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _ignored(pid: int) -> set[int]:
    """The signals that a process ignores, and that one it starts would ignore at first."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    mask = int(status["SigIgn"], 16)
    return {number for number in range(1, 32) if mask >> (number - 1) & 1}


def test_a_server_that_dies_takes_its_directory_along() -> None:
    with scratch.server() as running:
        postmaster = int((running.data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
    assert not running.socket.exists()
    assert not _alive(postmaster)


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_an_ordinary_user_needs_no_other_account() -> None:
    python = _python_for_everyone()
    nobody = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
    paths = os.pathsep.join([str(CHECKOUT), *(path for path in sys.path if path.endswith("site-packages"))])
    with owner(python=python, env={"PYTHONPATH": paths, "HOME": "/"}, cwd="/", **nobody) as held:
        assert held.said["uid"] == pwd.getpwnam("nobody").pw_uid
        assert held.socket.stat().st_uid == held.said["uid"]
        held.process.kill()
        held.wait_for_keeper()
        assert held.nothing_is_left()


def _place_for_everyone() -> Path:
    place = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own are closed to other users
    place.chmod(0o711)
    return place


def _python_for_everyone() -> str:
    """An interpreter of this minor version that every user can execute."""
    name = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            subprocess.run(
                [python, "-c", ""], check=True, user="nobody", group=65534, extra_groups=[], cwd="/"
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip(f"no {name} that an ordinary user can execute")


# ------------------------------------------------------------------ a kept data directory


def _modes(path: Path) -> list[tuple[int, int]]:
    return [(above.stat().st_mode, above.stat().st_uid) for above in (path, *path.parents)]


def test_a_kept_directory_comes_back_with_its_rows(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    home.mkdir(mode=0o700)
    before = _modes(home)
    data = home / "pg 'data'"
    with scratch.server(data) as first, first.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS n")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with scratch.server(data) as second, second.connect() as connection:
        assert connection.execute("SELECT n FROM t").fetchone() == (42,)
    assert not (data / "postmaster.pid").exists()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert _modes(home) == before


def test_a_kept_directory_survives_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with owner(data) as held:
        held.process.kill()
        held.wait_for_keeper()
        assert held.nothing_is_left()
    with scratch.server(data) as again, again.connect() as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def test_a_relative_directory_is_one_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with scratch.server(Path("data")) as running:
        assert running.data == tmp_path / "data"
    assert (tmp_path / "data" / "PG_VERSION").is_file()


def test_an_empty_directory_somebody_made_is_used(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with scratch.server(data):
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with scratch.server(data) as running:
        with pytest.raises(ScratchError, match="already running on"), scratch.server(data):
            pass
        with running.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_directory_of_an_unknown_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9\n")
    with (
        pytest.raises(ScratchError, match=r"made by PostgreSQL 9, but there is only [0-9]"),
        scratch.server(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["PG_VERSION"]


def test_a_directory_finds_the_version_that_made_it(tmp_path: Path) -> None:
    majors = {found.major: found for found in installed()}
    if len(majors) < 2:
        pytest.skip("only one major version of PostgreSQL is installed")
    oldest = majors[min(majors)]
    with scratch.server(tmp_path / "data", binaries=oldest.path):
        pass
    with scratch.server(tmp_path / "data") as running:
        assert running.major == oldest.major


def test_a_preferred_version_is_taken_where_there_is_one() -> None:
    majors = [found.major for found in installed()]
    with scratch.server(prefer=majors[-1]) as running:
        assert running.major == majors[-1]
    with scratch.server(prefer=1) as running:
        assert running.major == majors[0]


@pytest.mark.parametrize("content", ["a file", "a stranger's directory"])
def test_a_place_that_holds_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    data = tmp_path / "data"
    if content == "a file":
        data.write_text("precious")
    else:
        data.mkdir()
        (data / "thesis.tex").write_text("precious")
    before = _modes(data)
    with pytest.raises(ScratchError, match="data"), scratch.server(data):
        pass
    assert _modes(data) == before


@pytest.mark.skipif(not ROOT, reason="only root can make files of another owner")
def test_a_cluster_of_roots_is_refused_with_a_way_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with scratch.server(data):
        pass
    os.chown(data, 0, 0)
    with pytest.raises(ScratchError, match="chown -R"), scratch.server(data):
        pass


def test_what_postgres_says_about_a_broken_directory_is_passed_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with scratch.server(data):
        pass
    with (data / "postgresql.conf").open("a") as file:
        file.write("no_such_parameter = on\n")
    with pytest.raises(ScratchError, match='unrecognized configuration parameter "no_such_parameter"'):
        _start(data)


def _start(data: Path) -> None:
    with scratch.server(data):
        pass


# ------------------------------------------------------------------ binaries


def _programs(directory: Path, postgres: str) -> Path:
    for name in ("initdb", "postgres"):
        (directory / name).write_text(postgres)
        (directory / name).chmod(0o755)
    return directory


@pytest.mark.parametrize(
    "postgres", ["#!/bin/sh\necho no such thing\n", "#!/bin/sh\nexit 3\n", "not a program"]
)
def test_wrong_binaries_are_named(tmp_path: Path, postgres: str) -> None:
    with pytest.raises(ScratchError, match="no working PostgreSQL server in"):
        _choose(_programs(tmp_path, postgres))
    with pytest.raises(ScratchError, match="no working PostgreSQL server in"):
        _choose(tmp_path / "missing")


def _choose(programs: Path) -> None:
    with scratch.server(binaries=programs):
        pass


def test_an_initdb_that_fails_is_quoted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _place_for_everyone()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    script = "#!/bin/sh\n[ $1 = --version ] && echo postgres '(PostgreSQL)' 17.1 && exit\necho the disk is full; exit 1\n"
    try:
        programs = place / "bin"
        programs.mkdir()
        with pytest.raises(ScratchError, match="initdb said\nthe disk is full"):
            _choose(_programs(programs, script))
        assert [path.name for path in place.iterdir()] == ["bin"]
    finally:
        shutil.rmtree(place)


def test_the_environment_names_the_binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = list(installed())[-1]
    monkeypatch.setenv("RCAKIT_PG_BIN", str(last.path))
    assert list(installed()) == [last]
    monkeypatch.setenv("RCAKIT_PG_BIN", str(tmp_path))
    with pytest.raises(ScratchError, match="RCAKIT_PG_BIN"):
        list(installed())


def test_one_that_is_broken_is_passed_over_but_not_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = next(installed())
    monkeypatch.setattr(binaries, "_candidates", lambda: iter([tmp_path, working.path]))
    assert list(installed()) == [working]
    monkeypatch.setattr(binaries, "_candidates", lambda: iter([tmp_path]))
    with pytest.raises(ScratchError, match="no working PostgreSQL server in"):
        list(installed())


def test_a_relative_place_of_the_binaries_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    found = next(installed())
    monkeypatch.chdir(found.path.parent)
    monkeypatch.setenv("RCAKIT_PG_BIN", "bin")
    with scratch.server() as running:
        assert running.binaries == found.path


def test_without_any_postgresql_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Sequence[Path] = ()
    monkeypatch.setattr(binaries, "_candidates", lambda: iter(nothing))
    with pytest.raises(MissingExtra, match=r"pip install 'rcakit\[scratch\]'"), scratch.server():
        pass


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs the server from where it lies")
def test_binaries_in_a_closed_home_are_brought_along(tmp_path: Path) -> None:
    wheel = next(installed()).path.parent
    if not (wheel / "share").is_dir():
        pytest.skip("the first PostgreSQL found is not relocatable")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    package = wheel.parent
    for folder in ("bin", "lib", "share"):
        shutil.copytree(wheel / folder, home / package.name / "pg" / folder)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    programs = home / package.name / "pg" / "bin"
    before = _modes(programs)
    with scratch.server(binaries=programs) as running, running.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert running.binaries == programs
    assert _modes(programs) == before
    assert not running.socket.exists()


def test_a_long_tmpdir_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with scratch.server() as running, running.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert list(long.iterdir()) == []
