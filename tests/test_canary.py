"""A password, wherever it is kept, is in nothing that a run leaves or says, however the run ends.

The password is asked for by the server; its characters are those that each way of writing it has to escape. Its two ends
are plain words, so that any spelling of it (quoted, percent-encoded, as HTML, as JSON) is found by them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from cluster import Cluster, cluster
from commands import COMMAND, ROOT, Done, environment
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rcakit import demo
from rcakit.scratch import _tmp

pytestmark = pytest.mark.slow
PASSWORD = "kAnAr1e'@/%:\\<vOgEl"  # noqa: S105
TRACES = (b"kAnAr1e", b"vOgEl")
KEY = "kAnAr1e-signing-key"
VARIABLE = "SHOP_DSN"
READER = "reader"
HBA = f"local all {READER} scram-sha-256\nlocal all all trust\n"

AUDIT = """\
import sys


def told(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        with open({path!r}, "a", errors="replace") as file:
            file.write(repr(arguments[:2]) + "\\n")


sys.addaudithook(told)
"""
IN_DATABASE = """
create function public.remote() returns text language sql as {body};
create view public.ways as select {told} as dsn;
create table public.ways_in (dsn text default {told});
comment on table public."adm.instructors" is {told};
"""
LEAK = """
import os
leak = os.environ["SHOP_NOTE"]
"""


@dataclass(frozen=True)
class Guarded:
    """The demo's incident on a server that asks for the password, and all places a run may write to."""

    cluster: Cluster
    directory: Path
    database: str
    scratch: Path
    """TMPDIR of every run."""
    started: Path
    """A line for each process that Python code of a run started: its arguments."""

    @property
    def out(self) -> Path:
        return self.started.with_name("out")

    @property
    def err(self) -> Path:
        return self.started.with_name("err")

    def conninfo(self, **changes: str) -> str:
        parts = {"host": str(self.cluster.home), "port": "5432", "dbname": self.database, "user": READER}
        return make_conninfo("", **{**parts, "password": PASSWORD, **changes})

    def url(self, password: str = PASSWORD) -> str:
        host = quote(str(self.cluster.home), safe="")
        return f"postgresql://{READER}:{quote(password, safe='')}@{host}:5432/{self.database}"

    def run(
        self,
        *command: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        around: bool = True,
    ) -> Done:
        return self.finished(self.begin(*command, env=env, cwd=cwd, around=around))

    def begin(
        self,
        *command: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        around: bool = True,
    ) -> subprocess.Popen[bytes]:
        """`around`: the password is also in variables that have nothing to do with the connection."""
        self.started.write_text("")
        given = {VARIABLE: self.conninfo()} if env is None else env
        others = {
            "DB_PASSWORD": PASSWORD,
            "SECRET_KEY": KEY,
            "SHOP_NOTE": f"the way in: {self.conninfo()}",
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "RCAKIT_NOTIFY_URL": f"json://bot:{quote(PASSWORD, safe='')}@127.0.0.1:1/{KEY}",
        }
        places = {
            "TMPDIR": str(self.scratch),
            "HOME": str(self.scratch / "home"),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.started.parent))),
        }
        with self.out.open("wb") as out, self.err.open("wb") as err:
            return subprocess.Popen(
                [*COMMAND, *map(str, command)],
                cwd=cwd or self.directory,
                env={**environment(), **places, **(others if around else {}), **given},
                stdout=out,
                stderr=err,
            )

    def finished(self, process: subprocess.Popen[bytes]) -> Done:
        """Wait for its end, looking at every process of the machine meanwhile; then look at all that it left."""
        seen: set[bytes] = set()
        while process.poll() is None and not seen:
            seen |= {line for line in command_lines() if holds(line)}
            time.sleep(0.1)
        process.wait()
        out, err = self.out.read_bytes(), self.err.read_bytes()
        assert not seen
        assert not holds(out), out.decode()
        assert not holds(err), err.decode()
        assert not holds(self.started.read_bytes()), self.started.read_text()
        return Done(process.returncode, out.decode(), err.decode())

    def left(self, *places: Path) -> list[Path]:
        """The files below these places, and below TMPDIR, that hold a trace of the password."""
        files = [path for place in (*places, self.scratch) for path in place.rglob("*") if path.is_file()]
        kept = {self.scratch / "home" / name for name in (".pgpass", ".pg_service.conf")}
        return [
            path for path in files if path not in kept and (holds(path.read_bytes()) or holds(bytes(path)))
        ]


def holds(text: bytes) -> bool:
    return any(trace in text for trace in TRACES)


def command_lines() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_bytes()
        except OSError:  # it is gone
            continue


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    hooks = tmp_path_factory.mktemp("hooks")
    (hooks / "sitecustomize.py").write_text(AUDIT.format(path=str(hooks / "started")))
    scratch = Path(tempfile.mkdtemp(prefix="rca-canary-", dir=_tmp(None)))
    scratch.chmod(0o755)
    (scratch / "home").mkdir()
    with cluster() as running:
        directory = tmp_path_factory.mktemp("guarded")
        built = demo.build(directory, running.server)
        config = built.config.read_text()
        built.config.write_text(
            config.replace('python = "current"\n', f'python = "current"\ndsn_env = "{VARIABLE}"\n')
        )
        with running.server.connect(built.database) as connection:
            made = sql.SQL("create role {} login password {} in role pg_read_all_data")
            connection.execute(made.format(sql.Identifier(READER), PASSWORD))
            told = sql.Literal(f"password={PASSWORD}")
            body = sql.Literal(f"select {told.as_string(connection)}")
            connection.execute(sql.SQL(IN_DATABASE).format(told=told, body=body))
        running.let_in(HBA)
        yield Guarded(running, directory, built.database, scratch, hooks / "started")
    shutil.rmtree(scratch)


@pytest.fixture
def project(guarded: Guarded, tmp_path: Path) -> Path:
    """A copy of the demo's directory, to be spoilt; the runs of a test leave all they leave below `tmp_path`."""
    return Path(shutil.copytree(guarded.directory, tmp_path / "incident", symlinks=True))


# ------------------------------------------------------------------ the ways a password is kept


def ways(guarded: Guarded) -> dict[str, tuple[list[str], dict[str, str]]]:
    home = guarded.scratch / "home"
    parts = {"host": str(guarded.cluster.home), "port": "5432", "dbname": guarded.database, "user": READER}
    lines = "".join(f"{name}={value}\n" for name, value in parts.items())
    (home / ".pg_service.conf").write_text(f"[open]\n{lines}\n[whole]\n{lines}password={PASSWORD}\n")
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    (home / ".pgpass").write_text(f"*:*:{guarded.database}:{READER}:{escaped}\n")
    (home / ".pgpass").chmod(0o600)
    (home / "none").write_text("")
    (home / "none").chmod(0o600)
    files = {"PGSERVICEFILE": str(home / ".pg_service.conf"), "PGPASSFILE": str(home / "none")}
    without = guarded.cluster.server.conninfo(guarded.database, user=READER)
    return {
        "variable": ([], {VARIABLE: guarded.conninfo()}),
        "url": ([], {VARIABLE: guarded.url()}),
        "service file": (["--service", "whole"], files),
        "password file": (["--service", "open"], {**files, "PGPASSFILE": str(home / ".pgpass")}),
        "PGPASSWORD": ([], {**files, VARIABLE: without, "PGPASSWORD": PASSWORD}),
        "none": ([], {**files, VARIABLE: without}),
    }


@pytest.mark.parametrize("way", ["variable", "url", "service file", "password file", "PGPASSWORD", "none"])
def test_a_password_that_works_is_in_nothing(guarded: Guarded, tmp_path: Path, way: str) -> None:
    options, env = ways(guarded)[way]
    done = guarded.run("check", *options, env=env)
    if way == "none":  # or else the others would prove nothing
        assert (done.code, "asks for a password" in done.err) == (2, True)
    else:
        assert done.code == 1, done.err
    assert guarded.left(tmp_path) == []


def test_a_whole_run_its_report_and_what_is_made_of_it(guarded: Guarded, tmp_path: Path) -> None:
    """Notified, listed, compared, published and pruned, each time with a password in the environment that it needs."""
    env = {VARIABLE: guarded.url()}
    done = guarded.run("investigate", "--replay", "--out", tmp_path, "--notify", "on-change", env=env)
    assert (done.code, "nobody was notified" in done.err) == (1, True), done.err
    folder = Path(done.out.strip()).parent
    assert {"report.html", "notebook.ipynb", "findings.json", "run.json", "evidence"} <= set(
        os.listdir(folder)
    )
    kept = ("--out", tmp_path)
    page = tmp_path / "changes.html"
    later = [
        guarded.run("compare", "last", folder, "--html", page, *kept),
        guarded.run("compare", "last", "last", "--format", "json", *kept),
        guarded.run("index", tmp_path),
        guarded.run("publish", tmp_path, (tmp_path / "elsewhere").as_uri(), *kept),
        guarded.run("publish", tmp_path, "ftp://127.0.0.1:1/x", *kept),
        guarded.run("prune", "--keep", "1", *kept),
    ]
    assert [each.code for each in later] == [0, 0, 0, 0, 2, 0], later
    assert (tmp_path / "elsewhere" / folder.parent.name / folder.name / "report.html").is_file()
    assert page.is_file()
    assert guarded.left(tmp_path) == []


def test_the_demo_among_passwords(guarded: Guarded, tmp_path: Path) -> None:
    """It has no use for any of them: its server, its project and its report are its own."""
    _, env = ways(guarded)["password file"]
    env = {**env, VARIABLE: guarded.url(), "PGPASSWORD": PASSWORD}
    done = guarded.run("demo", "--keep", tmp_path / "kept", "--out", tmp_path / "out", env=env)
    assert done.code == 0, done.err
    assert (Path(done.out.strip()).parent / "evidence").is_dir()
    assert guarded.left(tmp_path) == []


def test_repairs_and_rehearsals(guarded: Guarded, project: Path, tmp_path: Path) -> None:
    repair = guarded.run("repair", "--option", "A", "--out", tmp_path / "fix", "--rehearse", cwd=project)
    assert repair.code == 0, repair.err
    rehearse = guarded.run("rehearse", "--pending", "--format", "json", cwd=project)
    assert rehearse.code == 0, rehearse.err
    assert guarded.left(tmp_path) == []


# ------------------------------------------------------------------ every stage that can fail


NO_WAY_IN = {
    "password": lambda guarded: guarded.conninfo(password=f"{PASSWORD}?"),
    "host": lambda guarded: guarded.conninfo(host="nowhere.invalid"),
    "URL": lambda guarded: guarded.url().replace("%40", "@"),
}


@pytest.mark.parametrize("wrong", NO_WAY_IN)
def test_no_way_in(guarded: Guarded, tmp_path: Path, wrong: str) -> None:
    done = guarded.run("check", env={VARIABLE: NO_WAY_IN[wrong](guarded)})
    assert done.code == 2
    assert "rcakit: " in done.err
    assert guarded.left(tmp_path) == []


def test_the_server_goes_away_in_the_middle(guarded: Guarded, tmp_path: Path) -> None:
    """The run is held by a lock until its session is ended under it."""
    with guarded.cluster.server.connect(guarded.database) as connection:
        with connection.transaction():
            connection.execute('lock table public."adm.instructors" in access exclusive mode')
            process = guarded.begin("investigate", "--out", tmp_path)
            ended = "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s and wait_event_type = 'Lock'"
            until = time.monotonic() + 120
            while not connection.execute(ended, [READER]).fetchall():
                assert time.monotonic() < until
                assert process.poll() is None
                connection.execute("select pg_stat_clear_snapshot()")
                time.sleep(0.02)
        done = guarded.finished(process)
    assert done.code == 2
    assert "connection was lost" in done.err
    assert Path(done.out.strip()).is_file()
    assert guarded.left(tmp_path) == []


FAULTS = {
    "settings": ("config/settings.py", 'raise RuntimeError("cannot reach " + leak)', "check"),
    "settings, bare": ("config/settings.py", 'raise KeyError(DATABASES["default"]["PASSWORD"])', "check"),
    "models": ("administrate/models.py", "raise OSError(repr(leak).partition('password=')[2])", "replay"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_project_fails_with_the_password_on_its_lips(
    guarded: Guarded, project: Path, tmp_path: Path, fault: str
) -> None:
    path, line, command = FAULTS[fault]
    file = project / "project" / path
    file.write_text(f"{file.read_text()}\n{LEAK}\n{line}\n")
    done = guarded.run(command, cwd=project)
    assert done.code in (1, 2)
    assert blank(done.out + done.err)
    assert guarded.left(tmp_path / "reports") == []


def blank(said: str) -> bool:
    """It was about to be said, and something else was said in its place."""
    return "***" in said or "not shown: it may hold a password" in said


MIGRATION = """\
from django.db import migrations
{leak}

def tell(apps, schema_editor):
    schema_editor.execute("do $$ begin raise notice '%', '{{}}'; end $$".format(leak.replace("'", "''")), None)


def fail(apps, schema_editor):
    {line}


class Migration(migrations.Migration):
    dependencies = [("administrate", "0004_alter_customfield_roles_to_jsonfield")]
    operations = [
        migrations.RunSQL("comment on schema public is '%s'" % leak.replace("'", "''")),
        migrations.RunPython(tell),
        migrations.RunPython(fail),
    ]
"""
SERVER = "schema_editor.execute(\"do $$ begin raise exception '%', '{}'; end $$\".format(bare.replace(\"'\", \"''\")), None)"
RAISES = {
    "replay": "print(leak); raise RuntimeError(f'cannot connect to {leak}')",
    "rehearse": f"bare = leak.split('password=')[1].split(' host=')[0]; {SERVER}",
}


@pytest.mark.parametrize("command", RAISES)
def test_a_migration_fails_with_the_password_on_its_lips(
    guarded: Guarded, project: Path, tmp_path: Path, command: str
) -> None:
    """In the text of its SQL, in a notice, on its standard output, and in the error of Python or the server."""
    file = project / "project/administrate/migrations/0005_report.py"
    file.write_text(MIGRATION.format(leak=LEAK, line=RAISES[command]))
    options = ["--pending"] if command == "rehearse" else ["--format", "json"]
    done = guarded.run(command, *options, cwd=project)
    assert done.code == 1
    assert "0005_report" in done.out
    assert blank(done.out)
    assert guarded.left(tmp_path / "reports") == []


def test_pg_dump_fails(guarded: Guarded, project: Path) -> None:
    with guarded.cluster.server.connect(guarded.database) as connection:
        connection.execute(f"revoke pg_read_all_data from {READER}")
        try:
            done = guarded.run("rehearse", "--pending", cwd=project)
        finally:
            connection.execute(f"grant pg_read_all_data to {READER}")
    assert done.code == 2
    assert "pg_dump could not copy" in done.err
    assert guarded.left() == []


def test_a_cell_that_raises_it(guarded: Guarded, tmp_path: Path) -> None:
    """What a person wrote into a cell fails with the connection string in its message, and says it before."""
    cells = [
        new_markdown_cell("# Does it leak?"),
        new_code_cell(
            "import os, sys\ndsn = os.environ['SHOP_DSN']\nprint(dsn)\nprint(os.environ['OTHER'], file=sys.stderr)\n{'a': dsn}"
        ),
        new_code_cell("raise RuntimeError(f'cannot connect with {dsn!r}')"),
    ]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), tmp_path / "own.ipynb")
    env = {VARIABLE: guarded.conninfo(), "OTHER": guarded.url()}
    done = guarded.run("run", tmp_path / "own.ipynb", "--out", tmp_path / "reports", env=env)
    assert done.code == 2
    assert "RuntimeError: cannot connect with" in done.err
    assert blank(done.err)
    assert guarded.left(tmp_path) == []


@pytest.mark.parametrize("way", ["service file", "password file"])
def test_a_cell_that_shows_the_file_that_libpq_reads(guarded: Guarded, tmp_path: Path, way: str) -> None:
    """No variable holds the password: it is known by the file alone."""
    _, files = ways(guarded)[way]
    read = (
        "import os\ntext = ''.join(open(os.environ[name]).read() for name in ('PGSERVICEFILE', 'PGPASSFILE'))"
    )
    cells = [
        new_markdown_cell("# Does it leak?"),
        new_code_cell(f"{read}\nprint(text)\ntext"),
        new_code_cell("raise RuntimeError(text.strip().split('\\n')[-1])"),
    ]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), tmp_path / "own.ipynb")
    done = guarded.run("run", tmp_path / "own.ipynb", "--out", tmp_path / "reports", env=files, around=False)
    assert (done.code, "***" in done.err) == (2, True), done.err
    assert "***" in (Path(done.out.strip())).read_text()
    assert guarded.left(tmp_path) == []


IN_SETTINGS = """
DATABASES["default"]["PASSWORD"] = {password!r}
SECRET_KEY = {key!r}
CACHES = {{"default": {{"LOCATION": "redis://:{quoted}@cache/1"}}}}
"""
OF_SETTINGS = """
from config import settings
leak = repr([settings.DATABASES["default"]["PASSWORD"], settings.SECRET_KEY])
"""


@pytest.mark.parametrize("command", ["rehearse", "investigate"])
def test_the_settings_alone_hold_it_and_the_project_says_it(
    guarded: Guarded, project: Path, tmp_path: Path, command: str
) -> None:
    """In the SQL of a migration, in a notice, in errors of Python and of the server."""
    settings = project / "project/config/settings.py"
    holds_it = IN_SETTINGS.format(password=PASSWORD, key=KEY, quoted=quote(PASSWORD, safe=""))
    settings.write_text(f"{settings.read_text()}\n{holds_it}")
    file = project / "project/administrate/migrations/0005_report.py"
    line = "raise RuntimeError(settings.DATABASES['default']['PASSWORD'] + settings.SECRET_KEY)"
    file.write_text(MIGRATION.format(leak=OF_SETTINGS, line=line))
    options = {"rehearse": ["--pending"], "investigate": ["--replay", "--out", tmp_path / "out"]}
    _, files = ways(guarded)["password file"]
    done = guarded.run(command, *options[command], "--service", "open", cwd=project, env=files, around=False)
    assert done.code == 1, done.err
    assert guarded.left(tmp_path / "out", project / "reports") == []
    said = done.out if command == "rehearse" else Path(done.out.strip()).read_text()
    assert "***" in said


# ------------------------------------------------------------------ the project's own tests

SAYS_IT = """
import logging
import sys
import pytest
from django.conf import settings
from django.test import TestCase
{leak}
print(leak)


class CanaryTests(TestCase):
    def setUp(self):
        '''As if it could reach {password}.'''
        print(leak, file=sys.stderr)
        logging.getLogger("shop").error(leak)

    def test_the_key(self):
        '''T006: the key is {password}.'''
        with self.subTest(leak):
            self.assertEqual(settings.DATABASES["default"].get("PASSWORD"), {password!r}, leak)
        assert settings.SECRET_KEY == {password!r}, leak


@pytest.mark.parametrize("way", [leak])
def test_the_way(way):
    raise RuntimeError(way)
"""
TASK = "- [x] T006 Reach the database with {password}, in administrate/tests/test_models.py\n"
PIPELINE = """
test:
  variables: {{PGPASSWORD: {password!r}}}
  script: ["PGPASSWORD={quoted} pytest", "psql {url} -c 'select 1'"]
"""


def say_it_everywhere(guarded: Guarded, project: Path) -> None:
    """In the settings, in what tests do and hold, in the task list, in the pipeline, in a commit."""
    settings = project / "project/config/settings.py"
    quoted = quote(PASSWORD, safe="")
    settings.write_text(
        f"{settings.read_text()}\n{IN_SETTINGS.format(password=PASSWORD, key=KEY, quoted=quoted)}"
    )
    tests = project / "project/administrate/tests/test_leak.py"
    tests.write_text(SAYS_IT.format(leak=LEAK, password=PASSWORD))
    tasks = project / "project/specs/20260204-tutorial-sessions/tasks.md"
    tasks.write_text(f"{tasks.read_text()}\n{TASK.format(password=PASSWORD)}")
    pipeline = PIPELINE.format(password=PASSWORD, quoted=quoted, url=guarded.url())
    (project / "project/.gitlab-ci.yml").write_text(pipeline)
    for command in (["add", "-A"], ["commit", "-qm", f"Reach the database with {PASSWORD}"]):
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]
        subprocess.run([*git, *command], cwd=project / "project", check=True, capture_output=True)


def only(project: Path, python: str, *words: str) -> None:
    """Run this test alone, on SQLite alone, without the plugins of this interpreter: where it runs is nothing to what it says."""
    run = "{python} -m pytest -q -p no:cacheprovider --junitxml={junit} -o junit_family=xunit1"
    config = project / "rcakit.toml"
    text = config.read_text().replace('python = "current"', f'python = "{python}"')
    command = " ".join((run, *words))
    config.write_text(f'{text}\n[tests]\ncommand = "{command} administrate/tests/test_leak.py"\n')
    settings = project / "project/config/settings_test.py"
    settings.write_text(
        settings.read_text().replace('if os.environ.get("TEST_ON_POSTGRES") != "1":', "if True:")
    )


NOTEBOOK = ("run", "30_test_blindness", "-p", "config=rcakit.toml")


def test_tests_that_hold_it(guarded: Guarded, project: Path) -> None:
    """In an assertion, in a task, in a pipeline, in a commit; nothing is run."""
    say_it_everywhere(guarded, project)
    for form in ("json", "text"):
        done = guarded.run("audit-tests", "--static", "--format", form, cwd=project)
        assert (done.code, "test_leak.py" in done.out) == (0, True), done.err
        assert blank(done.out)


def test_tests_that_say_it(guarded: Guarded, project: Path, own_python: str) -> None:
    """They fail with it, and print it before that; one is named after it."""
    say_it_everywhere(guarded, project)
    only(project, own_python)
    done = guarded.run(*NOTEBOOK, cwd=project)
    page = Path(project, done.out.strip()).read_text()
    assert (done.code, "sqlite3: failed / failed" in page) == (1, True), done.err
    assert guarded.left(project / "reports") == []


def test_the_settings_alone_hold_it_and_fail_with_it(
    guarded: Guarded, project: Path, own_python: str
) -> None:
    """So the files are read, and no test can begin."""
    settings = project / "project/config/settings.py"
    held = IN_SETTINGS.format(password=PASSWORD, key=KEY, quoted=quote(PASSWORD, safe=""))
    falls = "print(DATABASES)\nraise RuntimeError(SECRET_KEY + DATABASES['default']['PASSWORD'])"
    settings.write_text(f"{settings.read_text()}\n{held}\n{falls}\n")
    (project / "project/administrate/tests/test_leak.py").write_text("def test_nothing(): pass\n")
    only(project, own_python, "--ds", "rcakit_scratch_settings")
    _, files = ways(guarded)["password file"]
    done = guarded.run(*NOTEBOOK, "-p", "service=open", cwd=project, env=files, around=False)
    page = Path(project, done.out.strip()).read_text()
    assert "no result: RuntimeError" in page, done.err
    assert guarded.left(project / "reports") == []


@pytest.mark.parametrize("audit", [("audit-tests",), NOTEBOOK])
def test_an_audit_that_the_database_refuses(guarded: Guarded, project: Path, audit: tuple[str, ...]) -> None:
    done = guarded.run(*audit, cwd=project, env={VARIABLE: guarded.conninfo(password=f"{PASSWORD}?")})
    assert (done.code, "refused the password" in done.err) == (2, True), done.err
    assert guarded.left(project / "reports") == []


def test_results_that_say_it(guarded: Guarded, project: Path, tmp_path: Path) -> None:
    """Their output and their results are full of it."""
    (project / "project/leak.py").write_text(
        f"import sys\n{LEAK}\nprint(leak)\nprint(leak, file=sys.stderr)\nopen(sys.argv[1], 'w').write("
        '\'<testsuite><testcase classname="administrate.tests.test_models.CustomFieldTest" name="test_it">\''
        "f'<failure message=\"{leak}\">{leak}</failure></testcase></testsuite>')\nsys.exit(leak)\n"
    )
    with (project / "rcakit.toml").open("a") as file:
        file.write('\n[tests]\ncommand = "{python} leak.py {junit}"\n')
    done = guarded.run("audit-tests", "--format", "json", cwd=project)
    assert done.code in (1, 2)
    assert guarded.left(tmp_path / "reports") == []


WAITS = """\
import os
print({leak!r}, flush=True)
os.write(os.open({ready!r}, os.O_RDWR), b".")
open({hold!r}).read()
"""


def test_a_killed_audit_leaves_neither_copies_nor_what_tests_said(guarded: Guarded, project: Path) -> None:
    """Its tests are under way; the throwaway server's keeper removes what lies in its directory."""
    ready, hold = project / "ready", project / "hold"
    os.mkfifo(ready)
    os.mkfifo(hold)
    text = WAITS.format(leak=PASSWORD, ready=str(ready), hold=str(hold))
    (project / "project/leak.py").write_text(text)
    with (project / "rcakit.toml").open("a") as file:
        file.write('\n[tests]\ncommand = "{python} leak.py {junit}"\n')
    descriptor = os.open(hold, os.O_RDWR)  # the tests wait until nobody writes
    try:
        process = guarded.begin("audit-tests", cwd=project)
        with ready.open("rb", 0) as pipe:
            pipe.read(1)
        assert list(guarded.scratch.glob("*/worlds-*/world-*/manage.py"))
        assert any(holds(path.read_bytes()) for path in guarded.scratch.glob("*/junit-*/output"))
        process.kill()
        assert guarded.finished(process).code == -9
        until = time.monotonic() + 60
        while {path.name for path in guarded.scratch.iterdir()} != {"home"}:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        os.close(descriptor)
