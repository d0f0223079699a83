"""Every error rcakit raises on purpose.

::

    RcaError                    exit 2  the run could not be done
    ├── ConfigError             exit 2  rcakit.toml, an option or a parameter is wrong
    ├── ConnectionFailed        exit 2  the investigated database did not answer
    ├── ProjectError            exit 2  the project's interpreter or its settings failed
    ├── SqlError                exit 2  SQL that PostgreSQL's parser refuses
    ├── ScratchError            exit 2  no throwaway PostgreSQL could be started
    ├── MissingExtra            exit 2  an optional dependency is not installed
    └── Refused                 exit 3  doing it would destroy data

A message has three parts: what happened, where it came from, what to do. It never holds a password.
"""

from __future__ import annotations

from typing import ClassVar


class RcaError(Exception):
    """Base of all errors of the kit; the command line prints it without a traceback.

    `what` is the fact, `hint` the act; both end up in the message, the hint on a line of its own.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, hint: str = "") -> None:
        self.what = what
        self.hint = hint
        super().__init__(f"{what}\n{hint}" if hint else what)


class ConfigError(RcaError):
    """A setting, an option or a notebook parameter is missing, unknown or of the wrong type."""


class ConnectionFailed(RcaError):
    """The investigated database could not be reached or refused the session."""


class ProjectError(RcaError):
    """The project's interpreter, settings or files could not be used."""


class SqlError(RcaError):
    """A text is not SQL that PostgreSQL's parser accepts."""


class ScratchError(RcaError):
    """No throwaway PostgreSQL could be started or used."""


class MissingExtra(RcaError):
    """A feature needs packages that a plain `pip install rcakit` leaves out."""

    def __init__(self, module: str, extra: str, what: str = "") -> None:
        super().__init__(
            what or f"the Python package {module!r} is not installed",
            hint=f"install it with: pip install 'rcakit[{extra}]'",
        )


class Refused(RcaError):
    """The request would drop or rewrite data, or meets a state rcakit does not understand."""

    exit_code: ClassVar[int] = 3
