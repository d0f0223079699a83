"""The environment a project's code is given when it runs: whatever names a database in it names the scratch server."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rcakit.scratch import SUPERUSER, Server
from rcakit.sources import django_live

_SCHEMES = ("postgres", "postgis", "mysql", "mariadb", "oracle", "mssql", "cockroach", "psql", "pgsql")
_CLOUDS = ("AWS_", "AZURE_", "GOOGLE_", "GCP_", "SENTRY_", "KUBE")
_PARTS = {
    "HOST": "host", "HOSTNAME": "host", "PORT": "port", "NAME": "name", "DB": "name", "DATABASE": "name",
    "USER": "user", "USERNAME": "user", "PASSWORD": "password", "PASS": "password",
}  # fmt: skip
_FAMILIES = ("DB_", "DATABASE_", "POSTGRES_", "POSTGRESQL_", "MYSQL_", "SQL_", "RDS_")


def environment(server: Server) -> dict[str, str]:
    """The replayer's environment: what names a database names the scratch server, or is gone."""
    parts = {
        "host": str(server.socket),
        "port": "5432",
        "name": "postgres",
        "user": SUPERUSER,
        "password": "",
    }
    url = f"postgresql://{SUPERUSER}@{quote(str(server.socket), safe='')}:5432/postgres"
    made = {}
    for name, value in django_live.environment().items():
        family = next((start for start in _FAMILIES if name.startswith(start)), "")
        part = _PARTS.get(name.removeprefix(family)) if family else None
        if name.startswith(("PG", *_CLOUDS)):
            continue
        if part:
            made[name] = parts[part]
        elif _names_database(value):
            made[name] = server.conninfo()
        else:
            made[name] = url if _scheme(value).startswith(_SCHEMES) else value
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {name: value for name, value in made.items() if name.lower() != "no_proxy"} | nowhere


def _names_database(value: str) -> bool:
    """libpq's other way to write a connection: "host=db dbname=shop"."""
    if "=" not in value or "://" in value:
        return False
    try:
        return not {"host", "hostaddr", "dbname", "service"}.isdisjoint(conninfo_to_dict(value))
    except (psycopg.Error, UnicodeError):
        return False


def _scheme(value: str) -> str:
    try:
        return urlsplit(value).scheme if "://" in value else ""
    except ValueError:
        return ""
