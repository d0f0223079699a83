"""Which run somebody means: a folder, an id or the beginning of one, `last`, `last-good`; `TARGET/` before it narrows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rcakit.archive.kept import Kept, archive, read
from rcakit.errors import ConfigError

LAST, LAST_GOOD = "last", "last-good"


def find(reference: str, root: Path) -> Kept:
    """The run that `reference` means, below `root` unless it is a path.

    `last` is the latest run that can be compared, `last-good` the latest that found nothing. Raises ConfigError when
    there is none, more than one, or the folder is no whole run.
    """
    target, _, wanted = reference.rpartition("/")
    found = archive(root)
    runs = [kept for kept in found.runs if target in ("", kept.run.target, kept.folder.parent.name)]
    if wanted in (LAST, LAST_GOOD):
        return _latest(runs, wanted, root)
    path = Path(reference)
    if path.name == "report.html":  # what `investigate` printed
        path = path.parent
    if (path / "run.json").exists():
        return _read(path)
    meant = [kept for kept in runs if wanted and kept.id.startswith(wanted)]
    if len(meant) == 1:
        return meant[0]
    places = [*([path] if wanted else []), *(odd.folder for odd in found.odd if odd.folder.name == wanted)]
    if not meant and (place := next((each for each in places if each.is_dir()), None)):
        return _read(place)
    raise _unclear(reference, meant, root)


def _read(folder: Path) -> Kept:
    found = read(folder.resolve())
    if isinstance(found, Kept):
        return found
    raise ConfigError(
        f"{folder} is not a run that can be used: {found.why}", hint="`rcakit index` says what is kept"
    )


def _latest(runs: Sequence[Kept], wanted: str, root: Path) -> Kept:
    fits: Callable[[Kept], bool] = (
        (lambda kept: kept.good) if wanted == LAST_GOOD else (lambda kept: kept.finished)
    )
    names = sorted({kept.run.target for kept in runs})
    if len(names) > 1:
        said = ", ".join(f"{name}/{wanted}" for name in names)
        raise ConfigError(
            f"{wanted!r} could be a run of {len(names)} targets in {root}", hint=f"name one: {said}"
        )
    found = next(filter(fits, runs), None)
    if found is None:
        kind = "good run" if wanted == LAST_GOOD else "run that came to its end"
        raise ConfigError(
            f"no {kind} is kept in {root}", hint="name the directory with --out, or a run by its id"
        )
    return found


def _unclear(reference: str, found: Sequence[Kept], root: Path) -> ConfigError:
    if not found:
        return ConfigError(
            f"no run {reference!r} is kept in {root}", hint="give its folder, its id, `last` or `last-good`"
        )
    ids = ", ".join(f"{kept.run.target}/{kept.id}" for kept in found[:5])
    return ConfigError(
        f"{reference!r} is the beginning of {len(found)} runs: {ids}", hint="give more of the id"
    )
