"""A copy with a few rows: every foreign key holds in it, and it is built like the whole one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from rcakit import catalog, evidence
from rcakit.clone import clone
from rcakit.errors import Refused
from rcakit.facts import Catalog
from rcakit.ledger import structure
from rcakit.names import Name
from rcakit.scratch import Server

SCRIPT = """
CREATE SCHEMA "a.b";
CREATE TABLE "a.b"."x.country" (code text PRIMARY KEY, "na me" text, loud text GENERATED ALWAYS AS (upper(code)) STORED);
CREATE TABLE city (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, country text NOT NULL REFERENCES "a.b"."x.country",
    twin int REFERENCES city);
CREATE TABLE visit (id int, year int, city int NOT NULL REFERENCES city, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES IN (1);
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES IN (2);
CREATE TABLE photo (id serial PRIMARY KEY, visit int, year int, FOREIGN KEY (visit, year) REFERENCES visit);
CREATE TABLE history (id int);
CREATE MATERIALIZED VIEW cities AS SELECT count(*) AS n FROM city;
CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger ran''; END';
INSERT INTO "a.b"."x.country" SELECT 'c' || n, 'tab' || chr(9) || 'and \\N' FROM generate_series(1, 300) n;
INSERT INTO city (country, twin) SELECT 'c' || (301 - n), nullif(n - 1, 0) FROM generate_series(1, 300) n;
INSERT INTO visit SELECT n, 1 + n % 2, 301 - n FROM generate_series(1, 300) n;
INSERT INTO photo (visit, year) SELECT 301 - n, 1 + (301 - n) % 2 FROM generate_series(1, 300) n;
INSERT INTO history SELECT generate_series(1, 50);
CREATE TRIGGER loud BEFORE INSERT ON photo FOR EACH ROW EXECUTE FUNCTION loud();
CREATE ROLE sample_reader;
GRANT SELECT ON city TO sample_reader;
"""
TABLES = ('"a.b"."x.country"', "city", "visit", "photo", "history")


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[str]:
    with server.database("sampled") as dbname:
        with server.connect(dbname) as connection:
            connection.execute(SCRIPT.encode())
        yield dbname
    with server.connect() as connection:
        connection.execute("DROP ROLE sample_reader")


@contextmanager
def copied(server: Server, source: str, rows: int | None) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    whole = [Name("public", "history")]
    with (
        clone(server.conninfo(source), server, rows=rows, whole=whole) as dbname,
        server.connect(dbname) as connection,
    ):
        yield connection


def counts(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, object]:
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # type: ignore[index]


def read(server: Server, dbname: str) -> Catalog:
    with evidence.session(server.conninfo(dbname), run="test") as recorder:
        return catalog.read(recorder)


def test_a_sample_holds_what_its_rows_refer_to(server: Server, source: str) -> None:
    with copied(server, source, 2) as connection:
        found = counts(connection)
        broken = connection.execute("SELECT count(*) FROM pg_constraint WHERE NOT convalidated").fetchone()
        lost = connection.execute(
            "SELECT count(*) FROM photo p LEFT JOIN visit v ON (v.id, v.year) = (p.visit, p.year) WHERE v.id IS NULL"
        ).fetchone()
    # photos 1 and 2 show visits 300 and 299, and each partition gives two of its own; visit 1 was to city 300, which has
    # a twin that has a twin, down to the first
    assert found["photo"] == 2
    assert found["visit"] == 6
    assert found["city"] == 300
    assert found["history"] == 50
    assert (broken, lost) == ((0,), (0,))


def test_a_sample_of_none_is_empty_but_for_what_is_whole(server: Server, source: str) -> None:
    with copied(server, source, 0) as connection:
        assert counts(connection) == {**dict.fromkeys(TABLES, 0), "history": 50}
        stands = connection.execute("SELECT last_value, is_called FROM photo_id_seq").fetchone()
        assert stands == (300, True)
        assert connection.execute("SELECT n FROM cities").fetchone() == (0,)


def test_a_sampled_copy_is_built_like_the_database(server: Server, source: str) -> None:
    with copied(server, source, 1) as connection:
        assert structure.differences(read(server, source), read(server, connection.info.dbname)) == ()


def test_rows_come_byte_by_byte(server: Server, source: str) -> None:
    ask = 'SELECT code, "na me", loud FROM "a.b"."x.country" WHERE code = \'c1\''
    with copied(server, source, 1) as connection, server.connect(source) as original:
        assert connection.execute(ask).fetchone() == original.execute(ask).fetchone()


def test_a_role_that_may_not_read_is_refused(server: Server, source: str) -> None:
    with server.role("blind") as role:
        conninfo = server.conninfo(source, user=role)
        with pytest.raises(Refused, match="permission denied"), clone(conninfo, server, rows=1):
            pass
