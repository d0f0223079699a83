"""First steps: the demo incident, a folder for an incident of one's own, JupyterLab on either."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import rcakit
from rcakit import save
from rcakit.errors import ConfigError, MissingExtra
from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.report.runs import Options, Run
    from rcakit.scratch import Server
    from rcakit.target import Target

SETTINGS = """\
# What rcakit investigates. Every command run below this directory finds this file.

[incident]
id = ""                      # INC-42
title = "Is this database what its migrations say it is?"
status = "draft"             # draft, in review, final
severity = ""
impact = ""                  # what people noticed, since when

[target]
name = "production"          # names the folder of the reports
# The database is named, never written out: passwords do not belong into files or notebooks.
dsn_env = "RCAKIT_DSN"       # environment variable with "host=.. dbname=.. user=.."
# service = "production"     # or: a service of pg_service.conf
project = "."                # directory with manage.py, relative to this file
# settings = "config.settings"
# python = ".venv/bin/python"  # the project's interpreter: models are then read live (project code is imported);
                             # without it the files are read, and nothing of the project runs
# schemas = ["public"]       # look only at these

# Where tables are meant to be. Without it, the kit infers it from names, migrations and task lists.
# [expected_schemas]
# adm = ["course_templates", "venues"]

# How the project's own tests are run for `rcakit audit-tests`, where that is not found out from its files.
# [tests]
# command = "{python} -m pytest --junitxml={junit}"  # {python}: the project's interpreter; {junit}: where results are read
# timeout = 300              # seconds for one run of them; there are several

# A finding that is accepted, for a reason, until a day.
# [[waiver]]
# code = "RK101"
# object = "public.*"
# reason = "renamed in the next release, see INC-42"
# expires = 2027-01-31
"""


NOTES = """\
<!-- Your own notes, in Markdown. Every report of this target shows them, and no command writes into this file:
they survive each run. A comment such as this one is left out. -->
"""


def notebooks() -> Path:
    """The directory of the notebooks that come with rcakit."""
    package = Path(rcakit.__file__).parent
    return next(path for path in (package / "notebooks", package.parent / "notebooks") if path.is_dir())


def new(directory: Path) -> list[Path]:
    """Write a commented rcakit.toml, room for notes and copies of the notebooks; existing files are never overwritten.

    Returns the paths written. Raises ConfigError when something of that name is there, or cannot be written.
    """
    wanted = {directory / "rcakit.toml": SETTINGS, directory / "notes.md": NOTES} | {
        directory / "notebooks" / path.name: path.read_text(encoding="utf-8")
        for path in sorted(notebooks().glob("*.ipynb"))
    }
    if taken := [path for path in wanted if path.exists()]:
        raise ConfigError(f"{taken[0]} exists already", hint="choose another directory; nothing was written")
    try:
        save.files(wanted)
    except OSError as error:
        raise _unwritable(directory, error) from None
    return list(wanted)


def after_new(directory: Path) -> str:
    """What to do next with a new investigation."""
    return f"""\
Next:
  cd {shlex.quote(str(directory))}
  edit rcakit.toml      which database, which project
  edit notes.md         your own words, in every report
  rcakit check          the findings, as text
  rcakit investigate    the report; rcakit lab for the notebook itself"""


def _unwritable(directory: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{directory} cannot be written: {error.strerror}", hint="choose another directory, or mend this one"
    )


def demo(
    keep: Path | None,
    out: Path,
    *,
    healthy: bool = False,
    replay: bool = False,
    options: Options | None = None,
) -> Run:
    """Build the demo incident and investigate it, in a throwaway directory unless `keep` names one.

    Raises ConfigError when `keep` is not empty or `out` cannot be written, MissingExtra and ScratchError when no
    server can be had.
    """
    from rcakit import scratch
    from rcakit.report import runs

    runs.demand_room(out)
    _demand_new(keep)
    say = options.say if options else _silently
    say("starting a PostgreSQL of its own ...")
    with scratch.server(keep / "pgdata" if keep else None) as server:
        target, conninfo = _built(keep or server.socket / "demo", server, healthy, say)
        return runs.investigate(target, out, options=options, replay=replay, conninfo=conninfo)


def _silently(_: str) -> None:
    """Progress that nobody wants to hear of."""


def _demand_new(keep: Path | None) -> None:
    """What can go wrong at the end of a long command is looked at before its beginning."""
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise ConfigError(f"{keep} is there already", hint="name a directory that does not exist yet")


def _built(place: Path, server: Server, healthy: bool, say: Callable[[str], None]) -> tuple[Target, str]:
    """The demo as a target, and the connection string of its server."""
    from rcakit import demo as incident
    from rcakit.target import load

    say("building the demo project: its migrations run for real ...")
    incident.build(place, server, healthy=healthy)
    shutil.copytree(notebooks(), place / "notebooks", ignore=shutil.ignore_patterns(".*"))
    target = load(place / "rcakit.toml")
    return target, server.conninfo(target.server.database if target.server else "postgres")


def after_demo(keep: Path) -> str:
    """What to type next in a kept demo."""
    return f"""\
The demo is kept in {keep}. Next:
  cd {shlex.quote(str(keep))}
  rcakit check          the findings, as text
  rcakit explain RK201  what a code means
  rcakit lab            the notebooks in JupyterLab; Run All reproduces the report"""


def lab(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Run JupyterLab in the working directory until it is closed; returns its exit code.

    Where neither notebooks nor settings are found it opens on the demo incident, which is gone afterwards. Raises
    ConfigError when there are settings and no notebook, MissingExtra and ScratchError.
    """
    from rcakit.target import found

    if find_spec("jupyterlab") is None:
        raise MissingExtra("jupyterlab", "lab")
    root = Path.cwd()
    if any((*root.glob("*.ipynb"), *root.glob("notebooks/*.ipynb"))):
        return _lab(root, arguments)
    if (settings := found()) is not None:
        raise ConfigError(
            f"there is no notebook in {visible(str(root))}, which belongs to {visible(str(settings))}",
            hint="`rcakit new DIR` makes a folder with notebooks, settings and room for notes; run `rcakit lab` in it",
        )
    return _lab_on_demo(arguments, say)


def _lab_on_demo(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    from rcakit import scratch

    say(
        "nothing to investigate is named here: opening the demo incident, which goes when JupyterLab is closed"
    )
    say("to keep what you do there: rcakit demo --keep DIR && cd DIR && rcakit lab")
    with tempfile.TemporaryDirectory(prefix="rcakit-") as temporary:
        Path(temporary).chmod(
            0o755
        )  # the server may run as another user, who must reach its data; nothing is secret
        place = Path(temporary) / "adm-demo"
        with scratch.server(place / "pgdata") as server:
            _built(place, server, healthy=False, say=say)
        return _lab(place, arguments)


def _lab(root: Path, arguments: Sequence[str]) -> int:
    """JupyterLab until it ends: Ctrl-C is its own to answer (it asks first), and it is told to end when we are."""
    first = Path("notebooks", "00_start_here.ipynb")
    opened = [f"--LabApp.default_url=/lab/tree/{first.as_posix()}"] if (root / first).is_file() else []
    process = subprocess.Popen([sys.executable, "-m", "jupyterlab", *opened, *arguments], cwd=root)
    before = (
        signal.signal(signal.SIGINT, lambda *_: None),
        signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    )
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
