"""The gate's migration operations, run by the projects' own `manage.py migrate` on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg
import pytest

from tests.gate_projects import Project, model, project

Connection = psycopg.Connection[Any]

CREATE = """\
migrations.CreateModel(
    "Location", [("id", models.AutoField(primary_key=True, serialize=False)), ("code", models.CharField(max_length=9, unique=True))],
    options={"db_table": "adm.locations"},
),
migrations.CreateModel(
    "Venue",
    [
        ("id", models.AutoField(primary_key=True, serialize=False)),
        ("name", models.CharField(max_length=30)),
        ("seats", models.PositiveIntegerField(default=0)),
        ("location", models.ForeignKey("shop.Location", models.PROTECT)),
        ("near", models.ManyToManyField("shop.Location", related_name="+")),
    ],
    options={
        "db_table": "adm.venues", "unique_together": {("name", "seats")},
        "indexes": [models.Index(fields=["name"], name="adm.own_name")],
    },
),
"""
MODELS = """\
class Location(models.Model):
    id = models.AutoField(primary_key=True)
    code = models.CharField(max_length=9, unique=True)
    class Meta:
        db_table = '"adm"."locations"'


class Venue(models.Model):
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=30)
    seats = models.PositiveIntegerField(default=0)
    location = models.ForeignKey(Location, models.PROTECT)
    near = models.ManyToManyField(Location, related_name="+")
    class Meta:
        db_table = '"adm"."venues"'
        unique_together = [("name", "seats")]
        indexes = [models.Index(fields=["name"], name="adm.own_name")]
"""
MOVE = """\
migrations.RunSQL("CREATE SCHEMA adm", "DROP SCHEMA adm"),
MoveTable("location", '"adm"."locations"'),
MoveTable("venue", '"adm"."venues"'),
AssertPlacement("adm", ["locations", "venues", "venues_near"]),
"""
STATE = """
SELECT 'relation', c.oid::int, n.nspname || ' ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'adm') AND c.relname !~ '^(django|rcakit)_'
UNION ALL
SELECT 'constraint', oid::int, conname FROM pg_constraint
WHERE conrelid::regclass::text !~ '(django|rcakit)_' AND connamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'adm'))
ORDER BY 1, 2
"""

FILES = "SELECT oid, relfilenode FROM pg_class WHERE relname ~ 'venues|locations' ORDER BY oid"


def state(connection: Connection) -> list[Any]:
    """Every relation and constraint of the project by OID, with its schema and name."""
    return connection.execute(STATE).fetchall()


def one(connection: Connection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    return row[0] if row else None


def succeeds(shop: Project, *arguments: str) -> str:
    done = shop.manage(*arguments)
    assert done.code == 0, done.err
    return done.out + done.err


def fails(shop: Project, *arguments: str) -> str:
    done = shop.manage(*arguments)
    assert done.code == 1, (done.out, done.err)
    assert "Traceback" not in done.err
    return done.err


def applied(connection: Connection) -> list[str]:
    return [
        row[0]
        for row in connection.execute("SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id")
    ]


# ------------------------------------------------------------------ MoveTable, AssertPlacement


@pytest.mark.parametrize("django", ["installed", "py38-django32", "py313-django60-psycopg"])
def test_a_table_moves_with_all_that_carries_its_name_and_comes_back_exactly(
    django: str, tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = project(
        tmp_path, conninfo, MODELS, migrations={"0001_initial": CREATE, "0002_move": MOVE}, django=django
    )
    told = succeeds(shop, "migrate", "shop", "0001")
    assert "default: placement not verified, migrations yet to be applied: 1" in told
    connection.execute(
        """INSERT INTO "adm.locations" (code) VALUES ('a'); INSERT INTO "adm.venues" (name, seats, location_id) VALUES ('v', 1, 1)"""
    )
    before, files = state(connection), connection.execute(FILES).fetchall()
    assert any("adm.venues_near" in row[2] for row in before)

    written = succeeds(shop, "sqlmigrate", "shop", "0002")
    assert 'ALTER TABLE "public"."adm.venues" SET SCHEMA "adm";' in written
    assert 'RENAME CONSTRAINT "adm.venues_pkey" TO "venues_pkey";' in written
    assert state(connection) == before

    succeeds(shop, "migrate")
    after = state(connection)
    assert {row[1] for row in after} == {row[1] for row in before}  # the same objects, by OID
    assert files == connection.execute(FILES).fetchall()  # and not one was rewritten
    assert [row for row in after if row[0] == "relation" and not row[2].startswith("adm ")] == []
    left = [
        row[2]
        for row in after
        if "adm.venues" in row[2].partition("_fk_")[0] or "adm.locations" in row[2].partition("_fk_")[0]
    ]
    assert left == []
    assert "adm adm.own_name" in [row[2] for row in after]  # its name is the model's to give
    assert one(connection, "SELECT name FROM adm.venues") == "v"
    assert one(connection, "SELECT pg_get_serial_sequence('adm.venues', 'id')") == "adm.venues_id_seq"
    assert "No changes detected" in succeeds(shop, "makemigrations", "--check", "--dry-run")
    assert shop.verify()[0] == 0

    succeeds(shop, "migrate", "shop", "0001")
    assert state(connection) == before
    succeeds(shop, "migrate")
    assert state(connection) == after


VENUE = model("Venue", '"adm"."venues"')
LITERAL = """\
migrations.RunSQL("CREATE SCHEMA adm", "DROP SCHEMA adm"),
migrations.CreateModel(
    "Venue",
    [("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")), ("name", models.CharField(max_length=30))],
    options={"db_table": "adm.venues"},
),
"""
ALONE = """MoveTable("venue", '"adm"."venues"'),"""


def moving(tmp_path: Path, conninfo: str, operations: str = ALONE, **given: Any) -> Project:
    """One table with a literal name, to be moved by 0002."""
    made = {"0001_initial": LITERAL, "0002_move": operations}
    return project(tmp_path, conninfo, given.pop("models", VENUE), migrations=made, **given)


def test_what_sqlmigrate_shows_does_what_migrate_does(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = moving(tmp_path, conninfo, ALONE + """AssertPlacement("adm", ["venues"]),""")
    assert '-- public."adm.venues" is not in this database' in succeeds(shop, "sqlmigrate", "shop", "0002")
    succeeds(shop, "migrate", "shop", "0001")
    before = state(connection)
    script = succeeds(shop, "sqlmigrate", "shop", "0002")
    connection.execute(script)
    by_hand = state(connection)
    assert by_hand != before
    connection.execute("ALTER TABLE adm.venues RENAME TO lost")
    asserted = script[script.index("DO $gate$") : script.index("COMMIT")]
    with pytest.raises(psycopg.errors.RaiseException, match=r"adm\.venues is not there"):
        connection.execute(asserted)
    connection.execute("ALTER TABLE adm.lost RENAME TO venues")
    assert "MoveTable had nothing to move: the table is at adm.venues already" in succeeds(shop, "migrate")
    assert state(connection) == by_hand


def test_a_move_that_cannot_be_done_leaves_everything_as_it_was(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = moving(tmp_path, conninfo)
    succeeds(shop, "migrate", "shop", "0001")
    before = state(connection)

    connection.execute("CREATE TABLE adm.venues ()")
    assert 'a table at public."adm.venues" and another at adm.venues' in fails(shop, "migrate")
    connection.execute('DROP TABLE adm.venues; ALTER TABLE "adm.venues" RENAME TO lost')
    assert 'finds no table public."adm.venues", and none at adm.venues' in fails(shop, "migrate")
    connection.execute('ALTER TABLE lost RENAME TO "adm.venues"; DROP SCHEMA adm')
    assert 'CREATE SCHEMA "adm"' in fails(shop, "migrate")

    assert state(connection) == before
    assert applied(connection) == ["0001_initial"]
    assert one(connection, "SELECT to_regclass('rcakit_gate_journal')") is None


def test_nobody_is_locked_out_by_a_move(tmp_path: Path, conninfo: str, connection: Connection) -> None:
    role = f"app {connection.info.dbname}"
    connection.execute(f'CREATE ROLE "{role}"')
    try:
        shop = moving(tmp_path, conninfo)
        succeeds(shop, "migrate", "shop", "0001")
        connection.execute(
            f'GRANT SELECT (name) ON "adm.venues" TO "{role}"; GRANT USAGE ON SCHEMA public TO "{role}"'
        )
        grant = f'GRANT USAGE ON SCHEMA "adm" TO "{role}"'
        assert f"-- refused unless this was done before: {grant}" in succeeds(
            shop, "sqlmigrate", "shop", "0002"
        )
        told = fails(shop, "migrate")
        assert grant in told
        assert one(connection, "SELECT to_regclass('adm.venues')") is None
        connection.execute(grant)
        succeeds(shop, "migrate")
        assert one(connection, f"SELECT has_column_privilege('{role}', 'adm.venues', 'name', 'SELECT')")
    finally:
        connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_a_table_made_in_the_same_migration_can_move_in_it(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    """Its foreign keys and indexes are still to be made then, under the new name."""
    everything = CREATE + MOVE.replace("AssertPlacement", "# AssertPlacement")
    shop = project(tmp_path, conninfo, MODELS, migrations={"0001_initial": everything})
    succeeds(shop, "migrate")
    assert (
        one(
            connection,
            "SELECT count(*) FROM pg_constraint WHERE conrelid = 'adm.venues'::regclass AND contype = 'f'",
        )
        == 1
    )
    assert shop.verify()[0] == 0


def test_a_plain_table_is_found_where_search_path_leads_and_goes_back_to_its_schema(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = moving(tmp_path, conninfo)
    plain = (
        (shop.directory / "shop/migrations/0001_initial.py").read_text().replace('"adm.venues"', '"halls"')
    )
    (shop.directory / "shop/migrations/0001_initial.py").write_text(plain)
    succeeds(shop, "migrate", "shop", "0001")
    connection.execute(
        "CREATE SCHEMA second; ALTER TABLE halls SET SCHEMA second; CREATE INDEX halls_mine ON second.halls (name)"
    )
    connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET search_path = public, second')
    before = connection.execute(
        "SELECT oid, relnamespace, relname FROM pg_class WHERE relname ~ 'halls' ORDER BY 1"
    ).fetchall()
    succeeds(shop, "migrate")
    assert one(connection, "SELECT count(*) FROM pg_class WHERE relname ~ 'halls'") == 0
    assert one(connection, "SELECT to_regclass('adm.venues_mine') IS NOT NULL")
    succeeds(shop, "migrate", "shop", "0001")
    assert (
        before
        == connection.execute(
            "SELECT oid, relnamespace, relname FROM pg_class WHERE relname ~ 'halls' ORDER BY 1"
        ).fetchall()
    )


def test_a_target_that_is_no_table_in_a_schema_is_refused_when_it_is_written(
    tmp_path: Path, conninfo: str
) -> None:
    done = moving(tmp_path, conninfo, """MoveTable("venue", "adm.venues"),""").manage("migrate")
    assert """write '"adm"."venues"'""" in done.err
    done = moving(tmp_path / "x", conninfo, """MoveTable("venue", '"adm"."venues'),""").manage("migrate")
    assert """write '"schema"."table"'""" in done.err


@pytest.mark.parametrize("django", ["py38-django32", "py313-django60-psycopg"])
def test_operations_survive_squashing(
    django: str, tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    conditional = """\
        ConditionalSQL(
            condition="SELECT NOT EXISTS (SELECT FROM adm.venues)", sql="INSERT INTO adm.venues (name) VALUES ('100 %')",
            reverse_sql="", noop_ok_when="SELECT false", effect="SELECT count(*) = 1 FROM adm.venues",
        ),
        """
    operations = ALONE + "\n" + """AssertPlacement("adm", ["venues"]),""" + "\n" + dedent(conditional)
    shop = moving(tmp_path, conninfo, operations, django=django)
    succeeds(shop, "squashmigrations", "shop", "0002", "--no-input")
    for each in ("0001_initial", "0002_move"):
        (shop.directory / f"shop/migrations/{each}.py").unlink()
    succeeds(shop, "migrate")
    assert shop.verify()[0] == 0
    assert one(connection, "SELECT name FROM adm.venues") == "100 %"
    assert "No changes detected" in succeeds(shop, "makemigrations", "--check", "--dry-run")


def test_an_assertion_names_what_is_not_there_and_what_is(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = moving(tmp_path, conninfo, """AssertPlacement("adm", ["venues", "rooms"]),""")
    told = fails(shop, "migrate")
    assert 'adm.venues (nearest is public."adm.venues"), adm.rooms (nothing is like it)' in told
    assert applied(connection) == ["0001_initial"]


# ------------------------------------------------------------------ ConditionalSQL

CONDITIONAL = """\
ConditionalSQL(
    condition="SELECT EXISTS (SELECT FROM pg_tables WHERE tablename = 'old')",
    sql="ALTER TABLE old RENAME TO new; COMMENT ON TABLE new IS '100 %'",
    reverse_sql="ALTER TABLE new RENAME TO old",
    noop_ok_when="SELECT EXISTS (SELECT FROM pg_tables WHERE tablename = 'new')",
),
"""


def only(tmp_path: Path, conninfo: str, operations: str, **given: Any) -> Project:
    """A project without models whose one migration is this."""
    return project(tmp_path, conninfo, migrations={"0001_initial": operations}, **given)


def journal(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT branch FROM rcakit_gate_journal ORDER BY id")]


@pytest.mark.parametrize("django", ["installed", "py38-django32"])
def test_each_branch_is_told_kept_and_undone_as_it_was_taken(
    django: str, tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = only(tmp_path, conninfo, CONDITIONAL, django=django, settings=LOGGED)
    told = fails(shop, "migrate")
    assert "its condition is false" in told
    assert "not true either that there is nothing to do" in told
    assert applied(connection) == []

    connection.execute("CREATE TABLE old ()")
    assert "INFO shop: ConditionalSQL ran, its condition holds: SELECT EXISTS" in succeeds(shop, "migrate")
    assert one(connection, "SELECT obj_description('new'::regclass)") == "100 %"
    assert journal(connection) == ["taken"]
    assert "was undone" in succeeds(shop, "migrate", "shop", "zero")
    assert one(connection, "SELECT to_regclass('old') IS NOT NULL")

    connection.execute("ALTER TABLE old RENAME TO new")
    assert "WARNING shop: ConditionalSQL did nothing" in succeeds(shop, "migrate")
    assert "had done nothing, so nothing was undone" in succeeds(shop, "migrate", "shop", "zero")
    assert one(connection, "SELECT to_regclass('new') IS NOT NULL")
    assert journal(connection) == ["taken", "undone", "not needed", "undone"]


LOGGED = """LOGGING = {
    "version": 1,
    "formatters": {"short": {"format": "%(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "short"}},
    "loggers": {"rcakit.gate": {"handlers": ["console"], "level": "INFO"}},
}
"""


def conditional(condition: str, sql: str, **more: str) -> str:
    given = "".join(
        f"    {key}={value!r},\n" for key, value in {"condition": condition, "sql": sql, **more}.items()
    )
    return f"ConditionalSQL(\n{given}),"


WRONG = {
    "its SQL ran, and its condition still holds": conditional("SELECT true", "SELECT 1"),
    "its SQL ran, and its effect is absent": conditional(
        "SELECT true", "SELECT 1", effect="SELECT to_regclass('gone') IS NOT NULL"
    ),
    "so it would have done nothing": conditional("SELECT false", "SELECT 1"),
    "must give one row with one boolean": conditional("SELECT NULL::boolean", "SELECT 1"),
}


@pytest.mark.parametrize(("atomic", "cases"), [(True, list(WRONG)), (False, list(WRONG)[:1])])
def test_an_absent_effect_fails_the_migration_and_keeps_nothing(
    atomic: bool, cases: list[str], tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    for at, told in enumerate(cases):
        made = WRONG[told].replace("SELECT 1", "CREATE TABLE half ()")
        shop = only(tmp_path / str(at), conninfo, made)
        path = shop.directory / "shop/migrations/0001_initial.py"
        path.write_text(
            path.read_text().replace("    dependencies", f"    atomic = {atomic}\n    dependencies")
        )
        assert told in fails(shop, "migrate")
        assert one(connection, "SELECT to_regclass('half')") is None
        assert one(connection, "SELECT to_regclass('rcakit_gate_journal')") is None
        assert applied(connection) == []


def test_without_a_journal_the_table_alone_goes_back(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = moving(tmp_path, conninfo)
    succeeds(shop, "migrate")
    connection.execute("DROP TABLE rcakit_gate_journal")
    assert "tells of no move to adm.venues: its own name alone goes back" in succeeds(
        shop, "migrate", "shop", "0001"
    )
    assert [row[2] for row in state(connection) if "venues" in row[2]].count("public adm.venues") == 1


def test_what_the_journal_does_not_know_is_not_undone(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = only(tmp_path, conninfo, CONDITIONAL)
    succeeds(shop, "migrate", "--fake")
    connection.execute("CREATE TABLE new ()")
    assert "does not say whether this ConditionalSQL ran" in fails(shop, "migrate", "shop", "zero")
    assert applied(connection) == ["0001_initial"]


def test_the_condition_written_out_for_review_behaves_the_same(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    listed = conditional("SELECT true", "X", effect="SELECT obj_description('n'::regclass) = '$gate$ 5 %'")
    listed = listed.replace("'X'", """["CREATE TABLE n ()", ("COMMENT ON TABLE n IS %s", ["$gate$ 5 %"])]""")
    shop = only(tmp_path, conninfo, CONDITIONAL + listed)
    script = succeeds(shop, "sqlmigrate", "shop", "0001")
    with pytest.raises(psycopg.errors.RaiseException, match="its condition is false"):
        connection.execute(script)
    connection.execute("ROLLBACK; CREATE TABLE old ()")
    connection.execute(script)
    assert one(connection, "SELECT obj_description('new'::regclass)") == "100 %"
    assert one(connection, "SELECT obj_description('n'::regclass)") == "$gate$ 5 %"
    connection.execute("DROP TABLE n")
    connection.execute(script)  # there is a table `new`: nothing to do


def test_other_engines_are_left_alone_and_said_to_be(tmp_path: Path, conninfo: str) -> None:
    settings = 'DATABASES = {"default": {**SQLITE, "NAME": "file.sqlite3"}}\n'
    operations = ALONE + """AssertPlacement("adm", ["venues"]),""" + CONDITIONAL
    shop = moving(tmp_path, conninfo, operations, settings=settings)
    path = shop.directory / "shop/migrations/0001_initial.py"
    path.write_text(
        path.read_text().replace('migrations.RunSQL("CREATE SCHEMA adm", "DROP SCHEMA adm"),', "")
    )
    told = succeeds(shop, "migrate")
    assert told.count("skipped, sqlite has no schemas and nothing was checked") == 3
    assert "default: placement could not be verified: its engine is sqlite" in told
    assert succeeds(shop, "sqlmigrate", "shop", "0002").count("skipped, sqlite") == 3
    assert succeeds(shop, "migrate", "shop", "0001").count("skipped, sqlite") >= 2


# ------------------------------------------------------------------ after migrate


@pytest.mark.parametrize("django", ["installed", "py38-django32"])
def test_a_migrate_that_ends_with_a_table_in_the_wrong_place_fails_once(
    django: str, tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    settings = (
        'INSTALLED_APPS = ["rcakit.gate", "shop", "django.contrib.contenttypes", "django.contrib.auth"]\n'
    )
    shop = moving(
        tmp_path,
        conninfo,
        "migrations.AlterModelTable('venue', '\"adm\".\"venues\"')",
        settings=settings,
        django=django,
    )
    path = shop.directory / "shop/migrations/0002_move.py"
    state_only = path.read_text().replace(
        "migrations.Alter", "migrations.SeparateDatabaseAndState(state_operations=[migrations.Alter"
    )
    path.write_text(state_only.replace("')\n", "')]),\n"))
    told = fails(shop, "migrate")
    assert told.count("default: adm.venues (shop.Venue): misplaced") == 1
    assert 'nearest is public."adm.venues"' in told
    assert applied(connection) == ["0001_initial", "0002_move"]
    assert one(
        connection, "SELECT count(*) > 0 FROM auth_permission"
    )  # the other applications were told first
    assert "misplaced" in fails(shop, "migrate")
    succeeds(shop, "flush", "--no-input")  # sends the signal too, and is no migrate
    path = shop.directory / "config/settings.py"
    path.write_text(path.read_text() + 'RCAKIT_GATE = {"VERIFY_AFTER_MIGRATE": False}\n')
    succeeds(shop, "migrate")


def test_tables_of_apps_without_migrations_are_not_missed_until_they_are_made(
    tmp_path: Path, conninfo: str, connection: Connection
) -> None:
    shop = project(tmp_path, conninfo, model("Venue", "venues"), settings=LOGGED)
    assert "default: placement verified" in succeeds(shop, "migrate")
    assert shop.verify()[0] == 1
    succeeds(shop, "migrate", "--run-syncdb")
    assert shop.verify()[0] == 0
