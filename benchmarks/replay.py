"""What the ledger costs: a replay against plain `manage.py migrate` of the same project, on the same server.

    python benchmarks/replay.py [--runs 7] [--project DIR --settings MODULE --python PATH] [20 500]

Projects of that many migrations are generated (five applications that depend on each other; models, columns, indexes,
SQL with and without guards, data). Both ways run in turn, each in a new database; the ratio is of the medians, process
start and end included. Bound: 1.2. Beside the wall clock, which a busy machine makes useless, stands the processor time
of all who took part: the project's interpreter, the server with its backends, and rcakit itself.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import measure
import results

from rcakit import replay, scratch
from rcakit.sources import django_live

BOUND = 1.2
APPS = 5

MANAGE = """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

SETTINGS = f"""\
import os
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", *[f"app{{n}}" for n in range({APPS})]]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": os.environ.get("BENCH_NAME", ""),
             "HOST": os.environ.get("BENCH_HOST", ""), "PORT": "5432", "USER": "postgres"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

FILE = """\
from django.db import migrations, models


def fill(apps, editor):
    apps.get_model("{app}", "Model{model}").objects.create()


class Migration(migrations.Migration):
    dependencies = {depends!r}
    operations = [{operations}]
"""

GUARDED = (
    "DO $$ BEGIN IF EXISTS (SELECT FROM information_schema.tables WHERE table_schema = 'public' "
    "AND table_name = 'legacy_{model}') THEN ALTER TABLE legacy_{model} RENAME TO app_{model}; END IF; END $$"
)


def operations(app: str, number: int, model: int) -> str:
    """The operations of the `number`th migration of an application whose newest model is `model`."""
    pick = number % 10
    if pick in (0, 5):
        key = (
            f", ('other', models.ForeignKey('{app}.Model{model - 1}', models.CASCADE, null=True))"
            if model
            else ""
        )
        fields = "('id', models.BigAutoField(primary_key=True)), ('name', models.CharField(max_length=30, default=''))"
        return f"migrations.CreateModel('Model{model}', [{fields}, ('at', models.DateTimeField(null=True)){key}])"
    name = f"'model{model}'"
    return {
        1: f"migrations.AddField({name}, 'more', models.IntegerField(default=0))",
        2: f"migrations.AlterField({name}, 'name', models.CharField(max_length=60, default=''))",
        3: f"migrations.AddIndex({name}, models.Index(fields=['name'], name='{app}_{model}_name'))",
        4: "migrations.RunPython(fill, migrations.RunPython.noop)",
        6: f"migrations.AddField({name}, 'code', models.CharField(max_length=9, null=True, unique=True))",
        7: f"migrations.AlterModelOptions({name}, {{'verbose_name': 'a model'}})",
        8: f"migrations.RunSQL({GUARDED.format(model=model)!r}, '')",
        9: f"migrations.AlterField({name}, 'at', models.DateTimeField(null=True, db_index=True))",
    }[pick]


def generate(directory: Path, count: int) -> Path:
    """A project of `count` migrations, besides those of Django's own applications."""
    (directory / "manage.py").write_text(MANAGE)
    (directory / "settings.py").write_text(SETTINGS)
    for at in range(APPS):
        (directory / f"app{at}" / "migrations").mkdir(parents=True)
        for package in (f"app{at}", f"app{at}/migrations"):
            (directory / package / "__init__.py").touch()
    for number in range(count):
        app, own = f"app{number % APPS}", number // APPS
        model = own // 10 * 2 + (own % 10 >= 5)
        depends = [(app, f"{own - 1:04}")] if own else []
        if number % APPS:
            depends.append((f"app{number % APPS - 1}", f"{own:04}"))
        text = FILE.format(app=app, model=model, depends=depends, operations=operations(app, own, model))
        (directory / app / "migrations" / f"{own:04}.py").write_text(text)
    return directory


def plain(server: scratch.Server, project: Path, settings: str | None, python: str) -> None:
    """`manage.py migrate`, pointed at a database by the replay's own way to do so."""
    with server.database("plain") as name:
        pointed = PLAIN.format(socket=str(server.socket), name=name, settings=settings or "settings")
        environment = {**django_live.environment(), "BENCH_NAME": name, "BENCH_HOST": str(server.socket)}
        if settings is None:
            command = [python, "manage.py", "migrate", "--verbosity", "0"]
        else:
            command = [python, "-c", pointed]
        subprocess.run(command, cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)


PLAIN = """\
import os, sys
sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "{settings}"
from django.conf import settings
settings.DATABASES["default"] = {{"ENGINE": "django.db.backends.postgresql", "NAME": "{name}", "HOST": "{socket}",
                                 "PORT": "5432", "USER": "postgres"}}
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""


class Spent(NamedTuple):
    """Seconds: by the clock, and of the processor in each of the three."""

    wall: float
    project: float
    server: float
    rcakit: float

    @property
    def processor(self) -> float:
        return self.project + self.server + self.rcakit


def timed(act: Callable[[], object], server: scratch.Server) -> Spent:
    before = now(server)
    act()
    return Spent(*(after - was for was, after in zip(before, now(server), strict=True)))


def now(server: scratch.Server) -> Spent:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    project = children.ru_utime + children.ru_stime
    return Spent(time.perf_counter(), project, of_server(server), time.process_time())


def of_server(server: scratch.Server) -> float:
    """Of the postmaster, of its processes, and of those that have ended."""
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    _, own, ended = ticks(postmaster)
    total = own + ended
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent, own, _ = ticks(int(path.name))
            total += own if parent == postmaster else 0
    return total / os.sysconf("SC_CLK_TCK")


def ticks(pid: int) -> tuple[int, int, int]:
    """(parent's pid, clock ticks of its own, of its children that ended): https://docs.kernel.org/filesystems/proc.html"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, users, systems = map(int, fields[11:15])
    return int(fields[1]), user + system, users + systems


class Compared(NamedTuple):
    """Both ways, run in turn."""

    title: str
    migrations: int
    relations: int
    plains: list[Spent]
    replays: list[Spent]

    @property
    def ratio(self) -> float:
        """Of the medians, by the clock."""
        return statistics.median(each.wall for each in self.replays) / statistics.median(
            each.wall for each in self.plains
        )

    @property
    def row(self) -> tuple[str, ...]:
        walls = [[each.wall for each in runs] for runs in (self.plains, self.replays)]
        spent = [[each.processor for each in runs] for runs in (self.plains, self.replays)]
        return (
            f"{self.title}: {self.migrations} migrations, {self.relations} relations",
            *map(measure.spread, walls),
            f"{self.ratio:.2f} ({min(walls[1]) / min(walls[0]):.2f})",
            *map(parts, (self.plains, self.replays)),
            f"{statistics.median(spent[1]) / statistics.median(spent[0]):.2f} ({min(spent[1]) / min(spent[0]):.2f})",
        )


HEAD = (
    "project",
    "migrate, seconds",
    "replay, seconds",
    "ratio by the clock (of the fastest)",
    "migrate, CPU seconds: project + server + rcakit",
    "replay, CPU seconds",
    "ratio of CPU (of the least)",
)


def compare(
    server: scratch.Server, title: str, project: Path, settings: str | None, python: str, runs: int
) -> Compared:
    """Replay and migrate in turn; once before, to warm caches and to see that it works."""
    ledger = replay.run(project, settings=settings, python=python, server=server)
    assert ledger.failed is None, ledger.failed
    plains, replays = [], []
    for _ in range(runs):
        plains.append(timed(lambda: plain(server, project, settings, python), server))
        run = partial(replay.run, project, settings=settings, python=python, server=server)
        replays.append(timed(run, server))
    return Compared(title, len(ledger.steps), len(ledger.catalog.relations), plains, replays)


def parts(runs: Sequence[Spent]) -> str:
    """The medians of the three."""
    columns = list(zip(*runs, strict=True))[1:]
    return " + ".join(f"{statistics.median(column):.2f}" for column in columns)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, default=[20, 500])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--project", type=Path)
    parser.add_argument("--settings")
    parser.add_argument("--python", default=sys.executable)
    given = parser.parse_args()
    gc.set_threshold(1_000_000, 20, 20)  # as the command line does
    with scratch.server() as server:
        if given.project:
            found = compare(
                server, given.project.name, given.project, given.settings, given.python, given.runs
            )
            print(results.table(HEAD, [found.row]))
            return int(found.ratio > BOUND)
        compared = [generated(server, count, given.python, given.runs) for count in given.counts]
    bounds = [
        results.Bound(f"replay over migrate by the clock, {count} migrations", BOUND, found.ratio)
        for count, found in zip(given.counts, compared, strict=True)
    ]
    body = results.table(HEAD, [each.row for each in compared])
    results.publish("replay", body, bounds, f"PostgreSQL {server.version}")
    return 0


def generated(server: scratch.Server, count: int, python: str, runs: int) -> Compared:
    with tempfile.TemporaryDirectory() as directory:
        return compare(server, "generated", generate(Path(directory), count), None, python, runs)


if __name__ == "__main__":
    sys.exit(main())
