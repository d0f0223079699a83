"""The replayed account: a project's migrations run one by one on a scratch database, and what each really did.

`sources/django_replayer.py` runs them in the project's own interpreter through Django's own executor; before each one it
waits for us (`play.py`), and the catalog is looked at (`ledger/snapshots.py`). The databases are dropped afterwards, however it ends.

This is no sandbox. The project's code runs with this user's rights: libpq's variables are taken from its environment,
database addresses in it are replaced by the scratch server's, credentials of clouds are removed and proxies lead
nowhere, but a migration that talks to the network by itself, or writes files, will do so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rcakit.errors import ScratchError
from rcakit.ledger import Ledger
from rcakit.replay.child import REPLAYER, started
from rcakit.replay.play import OnStep, Options, Play
from rcakit.scratch import Server
from rcakit.sources import django_live
from rcakit.sources.project import settings_module

__all__ = ["OnStep", "Options", "hold", "run"]

_ALL = Options()


def run(
    project: Path,
    *,
    settings: str | None,
    python: str | None,
    server: Server,
    database: str | None = None,
    on_step: OnStep | None = None,
    options: Options = _ALL,
) -> Ledger:
    """Replay a project's migrations and drop the databases again: `hold` without a block."""
    with hold(
        project,
        settings=settings,
        python=python,
        server=server,
        database=database,
        on_step=on_step,
        options=options,
    ) as ledger:
        return ledger


@contextmanager
def hold(
    project: Path,
    *,
    settings: str | None,
    python: str | None,
    server: Server,
    database: str | None = None,
    on_step: OnStep | None = None,
    options: Options = _ALL,
) -> Iterator[Ledger]:
    """Replay; the databases (`Ledger.databases`) live as long as the block, nobody connected to them.

    `database` is the caller's own, for the default alias: what its history says was applied is not run again, and it is
    not dropped. Raises ProjectError (interpreter, settings, an alias that leads elsewhere, time, the process killed) and
    ScratchError (the server lost). A migration that fails is no error here but a step of class "failed".
    """
    project = project.absolute()
    command = [django_live.find_python(project, python), str(REPLAYER), settings_module(project, settings)]
    play = Play(server, database, on_step, options)
    try:
        with ExitStack() as stack:
            with started(command, project, server, options.timeout) as child:
                ledger = play.run(child, stack)
            yield ledger
    except ScratchError:
        if play.lost is None:
            raise
    if play.lost is not None:
        raise play.lost
