"""Reach the investigated database, or say why not, without a secret in any message.

libpq's own words are not passed on unseen: a password with an `@` or a `/` that was not percent-encoded ends
up in what libpq takes for the host, the port or the database.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from rcakit.errors import ConnectionFailed
from rcakit.names import display, visible

TRIES = 3
"""How often a server that may be there in a moment is asked."""
FIRST_WAIT_S = 1.0
"""Seconds before the second try, at most; twice as many before each further one."""

_PASSWORDS = ("password", "sslpassword")

_KNOWN = (
    (
        "definition of service",
        "the service is not defined",
        "Look for its name in the service file (PGSERVICEFILE, ~/.pg_service.conf).",
    ),
    (
        "service file",
        "the service file could not be read",
        "Look at PGSERVICEFILE and ~/.pg_service.conf.",
    ),
    (
        "no password supplied",
        "the server asks for a password and none was given",
        "Put it into PGPASSWORD, the password file or the variable that holds the connection string.",
    ),
    (
        "password authentication failed",
        "the server refused the password or the user",
        "Check the user and the password, also the one in the password file.",
    ),
    (
        "authentication failed",
        "the server refused the user",
        "Check the user, and how pg_hba.conf lets it in.",
    ),
    (
        "no pg_hba.conf entry",
        "the server lets no such connection in",
        "Ask for a line in pg_hba.conf, or try another sslmode.",
    ),
    (
        "permission denied for database",
        "the role may not connect to the database",
        "Ask for it: `GRANT CONNECT ON DATABASE {dbname} TO {user}`",
    ),
    ("database does not exist", "the database does not exist", "Check its name; psql -l lists them."),
    ("role does not exist", "the user does not exist", "Check its name."),
    (
        "connection refused",
        "no server listens there",
        "Check host and port, and that the server is running.",
    ),
    ("no such file", "no server listens there", "Check host and port, and that the server is running."),
    (
        "temporary failure in name resolution",
        "the host is not known at present",
        "Check the name server, and try again.",
    ),
    ("could not translate host name", "the host is not known", "Check the host's name."),
    ("name or service not known", "the host is not known", "Check the host's name."),
    ("failed to resolve host", "the host is not known", "Check the host's name."),
    ("timeout", "the server did not answer in time", "Check host and port, and the firewall between."),
    ("too many", "the server takes no more connections", "Try again later."),
    ("remaining connection slots", "the server takes no more connections", "Try again later."),
    ("starting up", "the server is starting up", "Try again in a moment."),
    ("in recovery mode", "the server is starting up", "Try again in a moment."),
    ("not yet accepting connections", "the server is starting up", "Try again in a moment."),
    ("shutting down", "the server is shutting down", "Try again when it is back."),
    (
        "server closed the connection unexpectedly",
        "the server let the connection go",
        "Look into its log, and try again.",
    ),
    ("conversion between", "the database's encoding cannot be read as UTF8", "Dump and read a copy in UTF8."),
)
"""(words libpq or the server says, what they mean, what to do), the special before the general."""

_PASSING = (
    "no server listens there",
    "the server did not answer in time",
    "the server takes no more connections",
    "the server is starting up",
    "the server is shutting down",
    "the server let the connection go",
    "the host is not known at present",
)
"""Meanings of what a restart, a failover or a busy minute brings: the only ones that are tried again."""

_log = logging.getLogger(__name__)


def connect(conninfo: str, *, run: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect for reading: not autocommit, REPEATABLE READ, READ ONLY, UTF8, nothing prepared.

    `conninfo` is what libpq takes: key=value pairs or a URI; "" leaves all to the environment. A server that is not
    there yet, or has no room, is asked three times, which is logged as a warning; a refusal is taken at once. Raises
    ConnectionFailed, which names host, port, user and database at most.
    """
    answer = _connect(conninfo, f"rcakit/{run}")
    for number in range(2, TRIES + 1):
        if not isinstance(answer, ConnectionFailed) or not answer.what.startswith(_PASSING):
            break
        _wait(number, answer.what)
        answer = _connect(conninfo, f"rcakit/{run}")
    if isinstance(answer, ConnectionFailed):
        raise answer  # outside any handler: libpq's error, which knows the password, is not chained
    answer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    answer.read_only = True
    answer.prepare_threshold = None
    return answer


def _wait(number: int, what: str) -> None:
    """Back off before try `number`, each time a little differently, so that many clients do not come back at once."""
    seconds = FIRST_WAIT_S * 2 ** (number - 2) * random.uniform(0.5, 1)  # noqa: S311  nothing secret about it
    _log.warning("%s: trying again in %.1f s (%d of %d)", visible(what), seconds, number, TRIES)
    time.sleep(seconds)


def _connect(conninfo: str, application_name: str) -> psycopg.Connection[tuple[Any, ...]] | ConnectionFailed:
    try:
        params = conninfo_to_dict(conninfo)
    except (psycopg.Error, UnicodeError):
        return ConnectionFailed(
            "the connection string cannot be read",
            hint="Give key=value pairs or a postgresql:// URI, special characters in it percent-encoded.",
        )
    params.setdefault("connect_timeout", "10")
    params.update(application_name=application_name, client_encoding="UTF8")
    try:
        return psycopg.connect(**params)  # type: ignore[arg-type]
    except (psycopg.Error, UnicodeError, ValueError) as error:
        return _refused(str(error), _effective(params))


def _refused(said: str, params: Mapping[str, str]) -> ConnectionFailed:
    place = _place(params)
    if not place:
        return ConnectionFailed(
            "the database could not be reached",
            hint="The connection string holds an @ or / out of place: percent-encode special characters "
            "in user and password (@ is %40, / is %2F).",
        )
    lowered = said.lower()
    for words, meaning, hint in _KNOWN:
        if all(word in lowered for word in words.split()):
            return ConnectionFailed(f"{meaning} ({place})", hint=_named(hint, params))
    secrets = [params[key] for key in _PASSWORDS if params.get(key)]
    quoted = "" if any(secret in said for secret in secrets) else ": " + " ".join(said.split())
    return ConnectionFailed(f"the database could not be reached ({place}){quoted}", hint="Try it with psql.")


def _named(hint: str, params: Mapping[str, str]) -> str:
    """What to do, with the names of user and database as SQL has them."""
    user = params.get("user", "")
    words = {"user": user, "dbname": params.get("dbname", user)}
    return hint.format(**{key: display(word) if word else ".." for key, word in words.items()})


def _effective(params: Mapping[str, object]) -> dict[str, str]:
    """The parameters as libpq completes them from the environment."""
    known = {
        option.keyword.decode(): option.val.decode(errors="replace")
        for option in Conninfo.get_defaults()
        if option.val
    }
    return known | {key: str(value) for key, value in params.items()}


def _place(params: Mapping[str, str]) -> str:
    """Host, port, user, database and service; "" when a part of the password may be among them."""
    keys = ("service",) if params.get("service") else ()
    shown = {key: params[key] for key in (*keys, "host", "port", "user", "dbname") if params.get(key)}
    if _suspicious(shown.values()) or not set(shown.get("port", "")) <= set("0123456789,"):
        return ""
    shown.setdefault("host", "the default socket")
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def _suspicious(values: Iterable[str]) -> bool:
    return any("@" in value for value in values)
