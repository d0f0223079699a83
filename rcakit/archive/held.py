"""A directory that somebody is at work in: an advisory lock on it, which the kernel drops when its owner dies.

https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(directory: Path) -> Iterator[bool]:
    """Hold a directory, also while it is renamed; waits for whoever holds it now.

    False where the file system knows no such locks (some network ones): then nobody can tell, and `busy` says so.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _locked(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def busy(directory: Path) -> bool | None:
    """Whether somebody holds it; None when that cannot be told. Raises OSError when it cannot be opened."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        return False if _locked(handle, fcntl.LOCK_EX | fcntl.LOCK_NB) else None
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
