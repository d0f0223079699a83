"""The folder of a run: reserved under a hidden name, seen under its own when it is whole, or never.

A run's id is reserved by making `.<id>.part`, which only one process can do, and is free as long as neither that
nor `<id>` is there: two runs that begin in the same second never get the same one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rcakit.archive import new_run_id
from rcakit.archive.held import held
from rcakit.errors import ConfigError, RcaError


@contextmanager
def reserved(out: Path, target: str, at: datetime) -> Iterator[Path]:
    """The hidden folder of a new run of `target`; it gets its name when the block ends, or goes when it fails.

    Raises ConfigError when no folder can be made in `out`, and RcaError when writing into it was refused.
    """
    part = _reserve(out, out / slug(target), at)
    try:
        with held(part):  # whoever tidies up here sees that somebody is at work
            yield part
            part.rename(part.with_name(run_id(part)))
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise RcaError(
            f"the report could not be written to {out}: {error.strerror or error}",
            hint="nothing half-written was left there; make room, or name another directory with --out",
        ) from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def run_id(part: Path) -> str:
    """The id that a hidden folder was reserved for."""
    return part.name.removeprefix(".").removesuffix(".part")


def _reserve(out: Path, place: Path, at: datetime) -> Path:
    while True:
        part = place / f".{new_run_id(at)}.part"
        try:
            part.mkdir(parents=True, mode=0o755)
        except FileExistsError as error:
            if place.is_dir():
                continue
            raise _no_room(out, str(error)) from None
        except OSError as error:
            raise _no_room(out, error.strerror or str(error)) from None
        if not part.with_name(run_id(part)).exists():
            return part
        part.rmdir()


def demand_room(out: Path) -> None:
    """Raises ConfigError when reports could not be written below `out`, which need not exist yet."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise _no_room(out, f"{place} is not a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _no_room(out, f"{place} may not be written")


def _no_room(out: Path, why: str) -> ConfigError:
    return ConfigError(f"reports cannot be written to {out}: {why}", hint="name another directory with --out")


def slug(name: str) -> str:
    """A directory name out of any target name: letters, digits, dot, dash, underscore; never hidden.

    >>> slug("../<img>"), slug("adm-demo")
    ('img', 'adm-demo')
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-._")[:80] or "target"
