"""Passwords that the environment names are found in foreign words, however they are quoted, and nothing else is."""

from __future__ import annotations

import doctest
import html
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from psycopg.conninfo import make_conninfo

from rcakit import credentials

PASSWORDS = [
    "kAnAr1e'@/%:\\<vOgEl",
    "!start-S3cret end?",
    "p&q'r7\"xyzAB",
    "plainS3cretWord",
    "wört-Geheim9&",
]
KEPT: dict[str, Callable[[str], dict[str, str]]] = {
    "connection string": lambda secret: {"DSN": make_conninfo("", host="db", password=secret)},
    "URL": lambda secret: {"DATABASE_URL": f"postgresql://app:{quote(secret, safe='')}@db/shop"},
    "URL's query": lambda secret: {"X": f"postgresql://db/shop?user=a&password={quote_plus(secret)}&a=b"},
    "variable": lambda secret: {"DB_PASSWORD": secret},
}
SPELLED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "Python": repr,
    "JSON": json.dumps,
    "HTML": html.escape,
    "URL": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "libpq": lambda secret: make_conninfo("", password=secret),
    "libpq in Python in HTML": lambda secret: html.escape(repr(make_conninfo("", password=secret))),
    "twice": lambda secret: json.dumps(repr(secret)),
}


def test_the_examples() -> None:
    assert doctest.testmod(credentials).failed == 0


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("secret", PASSWORDS)
def test_it_is_known_by_where_it_is_kept(secret: str, kept: str) -> None:
    assert credentials.known(KEPT[kept](secret)) == (secret,)


def _service(place: Path, *lines: str) -> Path:
    (place / ".pg_service.conf").write_text("\n".join(["# ours", "[shop]", "host=db", *lines, ""]))
    return place / ".pg_service.conf"


def _passfile(place: Path, secret: str) -> Path:
    escaped = secret.replace("\\", "\\\\").replace(":", "\\:")
    (place / ".pgpass").write_text(
        f"# host:port:database:user:password\n::1:*:no\n\\:\\:1:5432:*:app:{escaped}\n"
    )
    return place / ".pgpass"


IN_FILES: dict[str, Callable[[Path, str], dict[str, str]]] = {
    "service file": lambda place, secret: {"PGSERVICEFILE": str(_service(place, f"password={secret}"))},
    "service file at home": lambda place, secret: {
        "HOME": str(_service(place, f"password = {secret}").parent)
    },
    "the system's service file": lambda place, secret: {
        "PGSYSCONFDIR": str(_service(place, f"password={secret}").rename(place / "pg_service.conf").parent)
    },
    "password file": lambda place, secret: {"PGPASSFILE": str(_passfile(place, secret))},
    "password file at home": lambda place, secret: {"HOME": str(_passfile(place, secret).parent)},
    "password file that a connection string names": lambda place, secret: {
        "SHOP": f"host=db passfile='{_passfile(place, secret)}'"
    },
    "password file that a URL names": lambda place, secret: {
        "SHOP": f"postgresql://db/shop?passfile={quote_plus(str(_passfile(place, secret)))}"
    },
    "password file that a service names": lambda place, secret: {
        "PGSERVICEFILE": str(_service(place, f"passfile={_passfile(place, secret)}"))
    },
}


@pytest.mark.parametrize("kept", IN_FILES)
@pytest.mark.parametrize("secret", PASSWORDS)
def test_it_is_known_by_the_file_that_libpq_reads(tmp_path: Path, secret: str, kept: str) -> None:
    environ = IN_FILES[kept](tmp_path, secret)
    assert credentials.known(environ) == (secret,)
    assert credentials.blanked(f"it is {secret!r}", environ).startswith("it is ")
    assert credentials.BLANK in credentials.blanked(f"it is {secret!r}", environ)


def test_files_that_are_not_there_or_no_files_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for path in (tmp_path / "gone", tmp_path, tmp_path / "binary", "\0"):
        environ = {"PGPASSFILE": str(path), "PGSERVICEFILE": str(path), "HOME": str(tmp_path)}
        assert credentials.known(environ) == ()


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("secret", PASSWORDS)
def test_it_is_blanked_however_it_is_spelled(secret: str, spelled: str) -> None:
    text = f"cannot connect with {SPELLED[spelled](secret)}: refused"
    shown = credentials.blanked({"said": [text, 1, None]}, {"PGPASSWORD": secret})
    (said, *rest) = shown["said"]
    assert rest == [1, None]
    assert credentials.BLANK in said
    words = "".join(each if each.isascii() and each.isalnum() else " " for each in secret).split()
    assert not [word for word in words if len(word) > 2 and word in said]
    assert said.startswith("cannot connect with ")
    assert said.endswith(": refused")


@pytest.mark.parametrize(
    "environ",
    [
        {"PGPASSWORD": "postgres", "TOKEN": "x", "SECRET": "123456", "DB_PASSWORD": "", "API_KEY": "ADMIN"},
        {
            "PWD": "/srv/Shop7-here",
            "SSH_ASKPASS": "/usr/bin/Ask7Pass-it",
            "PASSWORD_FILE": "/run/secrets/Db7Pass",
        },
        {"URL": "https://example.org/Long7Path", "BROKEN": "x://[Long7Path", "DSN": "service=Long7Path"},
    ],
)
def test_a_simple_word_or_a_place_is_no_secret(environ: dict[str, str]) -> None:
    assert credentials.known(environ) == ()
    assert (
        credentials.blanked("postgres x 123456 ADMIN Long7Path", environ)
        == "postgres x 123456 ADMIN Long7Path"
    )


def test_all_that_a_document_may_hold_is_looked_through() -> None:
    clean = credentials.blanking({"PGPASSWORD": "S3cret-pw"})
    assert clean({"by S3cret%2Dpw": ("a S3cret-pw", ["S3cret_pw", 7]), "n": None}) == {
        "by ***": ["a ***", ["***", 7]],
        "n": None,
    }
    rows = ("S3cret-pw",)
    assert credentials.blanking({})(rows) is rows, "nothing is copied where nothing is known"
