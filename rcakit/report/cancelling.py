"""What ends a run from outside: Ctrl-C, the SIGTERM of a scheduler, the SIGHUP of a terminal that goes.

Each raises KeyboardInterrupt in the main thread, where signals arrive. One that is ignored when a block begins, as
`nohup` and the background jobs of a script do with some, stays ignored.
https://docs.python.org/3/library/signal.html#signals-and-threads
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # Windows has no SIGHUP


def terminable() -> AbstractContextManager[None]:
    """Within, every signal raises KeyboardInterrupt."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    return _handled(interrupt)


def cancellable() -> AbstractContextManager[None]:
    """Within, the first signal raises KeyboardInterrupt; those after it do nothing, so that what it left can be told."""
    came: list[bool] = []

    def interrupt(*_: object) -> None:
        if not came:
            came.append(True)
            raise KeyboardInterrupt

    return _handled(interrupt)


@contextmanager
def _handled(handler: Callable[..., None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = {number: was for number, was in before.items() if was not in (signal.SIG_IGN, None)}
    try:
        for number in ours:
            signal.signal(number, handler)
        yield
    finally:
        for number, was in ours.items():
            signal.signal(number, was)
