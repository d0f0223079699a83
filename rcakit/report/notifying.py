"""One line and a link to whoever should know, when a run is not what the one before was.

The way there is an Apprise URL (a webhook, e-mail, a chat) in an environment variable, which is named: URLs hold secrets,
and none is ever shown here. The line says the target, the status and numbers; nothing of the database is in it.
https://appriseit.com/services/
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.archive.difference import difference
from rcakit.archive.kept import Kept, latest, read
from rcakit.errors import ConfigError, MissingExtra
from rcakit.names import visible
from rcakit.report.words import plural

if TYPE_CHECKING:
    from apprise import Apprise

_SILENCE = threading.Lock()


def demand(variable: str) -> None:
    """Raises ConfigError when the variable holds no usable URL, MissingExtra without Apprise; nothing is sent."""
    _way(variable)


def on_change(folder: Path, variable: str, say: Callable[[str], None]) -> None:
    """Tell of the run in `folder` if it differs from the one before; that it could not be told is only said.

    `say` is called with one line. Raises what `demand` raises.
    """
    now = read(folder)
    if not isinstance(now, Kept):
        say(f"nobody was notified: {folder.name} {now.why}")
        return
    was = before(now)
    if not changed(was, now):
        return
    way = _way(variable)
    with _silent():
        sent = way.notify(title=line(was, now), body=_link(now), body_format="text")
    if not sent:
        say(f'nobody was notified: sending failed; `apprise -vv -b test "${variable}"` says why')


def before(now: Kept) -> Kept | None:
    """The run before of the same target that asked the same: the same notebook with the same parameters."""
    asked = now.run.notebook, now.run.parameters
    runs = (each for each in latest(now.folder.parent, now.run.target) if each.folder != now.folder)
    earlier = (each for each in runs if each.run.started <= now.run.started)
    return next((each for each in earlier if (each.run.notebook, each.run.parameters) == asked), None)


def changed(was: Kept | None, now: Kept) -> bool:
    """Another status, or other findings; a first run is a change unless it is good."""
    if was is None:
        return not now.good
    return was.run.status != now.run.status or _found(was) != _found(now)


def _found(kept: Kept) -> set[tuple[str, str, str]]:
    return {row.key for row in kept.content.findings}


def line(was: Kept | None, now: Kept) -> str:
    """ "rcakit: shop: findings, was ok: 2 errors, 1 warning (3 new findings)": words and numbers, no name but the target's.

    The target is spelt as its folder is: letters, digits, dots and dashes.
    """
    counts = Counter(row.severity for row in now.content.findings)
    said = [plural(counts[level], level) for level in ("error", "warning", "note") if counts[level]]
    status: str = now.run.status
    if was is None:
        status += ", the first run"
    elif was.run.status != status:
        status += f", was {was.run.status}"
    compared = (
        f" ({difference(was.content, now.content).said()})" if was and was.finished and now.finished else ""
    )
    return f"rcakit: {now.folder.parent.name}: {status}{': ' * bool(said)}{', '.join(said)}{compared}"


def _link(now: Kept) -> str:
    return visible(str((now.report or now.folder).resolve()))


def _way(variable: str) -> Apprise:
    """Raises ConfigError, without a word of the URL, and MissingExtra."""
    url = os.environ.get(variable, "").strip()
    if not url:
        raise ConfigError(
            f"the environment variable {variable} is empty or not set",
            hint="put the URL to notify into it, or name another with --notify-env",
        )
    try:
        from apprise import Apprise, AppriseAsset
    except ModuleNotFoundError as error:
        raise MissingExtra("apprise", "notify") from error
    with _silent():
        way = Apprise(
            asset=AppriseAsset(app_id="rcakit", app_desc="rcakit", async_mode=False, allow_templates=False)
        )
        usable = way.add(url)
    if not usable:
        raise ConfigError(
            f"what the environment variable {variable} holds is not a URL that can be notified",
            hint="json://host/path, mailto://user@host and the like: https://appriseit.com/services/",
        )
    return way


@contextmanager
def _silent() -> Iterator[None]:
    """Apprise's own log has URLs in it. One at a time: runs side by side would switch it on for one another."""
    logger = logging.getLogger("apprise")
    with _SILENCE:
        was, logger.disabled = logger.disabled, True
        try:
            yield
        finally:
            logger.disabled = was
