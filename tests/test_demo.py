"""The demo is what the incident document says, and its healthy twin is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from rcakit import demo
from rcakit.demo import history
from rcakit.demo.variant import HEALTHY, Cut, Edit, changed
from rcakit.errors import MissingExtra, ProjectError, Refused
from rcakit.scratch import Server
from rcakit.target import load

TABLES = {
    "course_templates",
    "custom_fields",
    "instructors",
    "locations",
    "pricelevels",
    "venues",
    "course_template_price_levels",
}
ACTED = {"tutorial_events", "tutorial_events_instructors", "tutorial_sessions"}


@pytest.fixture(scope="module")
def incident(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Demo]:
    yield from _built(server, tmp_path_factory.mktemp("incident"), healthy=False)


@pytest.fixture(scope="module")
def twin(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Demo]:
    yield from _built(server, tmp_path_factory.mktemp("twin"), healthy=True)


@pytest.fixture(params=["incident", "twin"])
def either(request: pytest.FixtureRequest) -> demo.Demo:
    return request.getfixturevalue(request.param)


def _built(server: Server, directory: Path, *, healthy: bool) -> Iterator[demo.Demo]:
    database = "demo_healthy" if healthy else "demo_incident"
    try:
        yield demo.build(directory, server, healthy=healthy, database=database)
    finally:
        with server.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def rows(conninfo: str, query: str) -> list[tuple]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute(query).fetchall()


def values(built: demo.Demo, query: str) -> list:
    return [value for (value,) in rows(built.conninfo, query)]


def tables(built: demo.Demo, schema: str) -> set[str]:
    query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = '{}'::regnamespace"
    return set(values(built, query.format(schema)))


def as_app(built: demo.Demo) -> str:
    return psycopg.conninfo.make_conninfo(built.conninfo, user=built.role)


def manage(
    built: demo.Demo, *arguments: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run the demo's own code, on its own database."""
    to = psycopg.conninfo.conninfo_to_dict(built.conninfo)
    database = {"DB_HOST": to["host"], "DB_PORT": to["port"], "DB_NAME": to["dbname"], "DB_USER": to["user"]}
    environment = os.environ | database | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [python, *arguments],
        cwd=built.project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def git(built: demo.Demo, *arguments: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=built.project, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


# ------------------------------------------------------------------ the database


def test_seven_tables_lie_in_public_with_a_dot_in_their_name(incident: demo.Demo) -> None:
    assert {name for name in tables(incident, "public") if "." in name} == {f"adm.{name}" for name in TABLES}
    assert tables(incident, "adm") == set()


def test_the_documents_own_query_finds_them(incident: demo.Demo) -> None:
    query = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name LIKE 'adm.%'"
    assert {schema for schema, _ in rows(incident.conninfo, query)} == {"public"}


def test_twin_has_all_seven_in_adm(twin: demo.Demo) -> None:
    assert tables(twin, "adm") == TABLES
    assert not {name for name in tables(twin, "public") if "." in name or name in TABLES}


def test_acted_is_right_in_both(either: demo.Demo) -> None:
    assert tables(either, "acted") == ACTED


def test_history_says_everything_was_applied(either: demo.Demo) -> None:
    applied = values(either, "SELECT name FROM django_migrations WHERE app = 'administrate' ORDER BY id")
    assert applied == [
        "0001_initial",
        "0002_alter_customfield_external_id",
        "0003_migrate_to_adm_schema",
        "0004_alter_customfield_roles_to_jsonfield",
    ]


def test_history_is_in_the_order_of_its_dates(either: demo.Demo) -> None:
    at = values(either, "SELECT applied FROM django_migrations ORDER BY id")
    assert at == sorted(at)
    assert {(moment.year, moment.month) for moment in at} == {(2026, 2)}
    ids = values(either, "SELECT id FROM django_migrations ORDER BY id")
    assert ids == list(range(1, len(at) + 1))


def test_next_migration_gets_a_free_id(either: demo.Demo) -> None:
    with psycopg.connect(either.conninfo) as connection:
        connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'b', now())")
        connection.rollback()


def test_every_business_table_has_rows(either: demo.Demo) -> None:
    names = [f"acted.{name}" for name in ACTED]
    names += [f"adm.{name}" if either.healthy else f'"adm.{name}"' for name in TABLES]
    counts = {name: values(either, f"SELECT count(*) FROM {name}")[0] for name in names}
    assert all(counts.values()), counts
    assert 5000 < sum(counts.values()) < 10000


def test_jsonb_and_array_columns(either: demo.Demo) -> None:
    types = "SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
    of_instructors = values(either, types + " WHERE c.relname ~ 'instructors$' AND attname = 'languages'")
    of_fields = values(either, types + " WHERE c.relname ~ 'custom_fields$' AND attname = 'roles'")
    assert (of_instructors, of_fields) == (["character varying(8)[]"], ["jsonb"])


def test_view_and_function_answer(either: demo.Demo) -> None:
    assert values(either, "SELECT count(*) FROM public.venue_directory") == [160]
    seats = values(
        either, "SELECT sum(capacity)::bigint FROM public.venue_directory WHERE location_code = 'L003'"
    )
    assert values(either, "SELECT public.seats_at('L003')") == seats != [0]


def test_function_names_its_tables_in_text(incident: demo.Demo) -> None:
    (source,) = values(incident, "SELECT prosrc FROM pg_proc WHERE proname = 'seats_at'")
    assert '"adm.locations"' in source


# ------------------------------------------------------------------ the role


def test_role_may_log_in_and_is_nothing_more(either: demo.Demo) -> None:
    query = f"SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = '{either.role}'"
    assert rows(either.conninfo, query) == [(True, False, False, False)]


def test_role_reads_and_writes_rows(either: demo.Demo) -> None:
    locations = "adm.locations" if either.healthy else '"adm.locations"'
    with psycopg.connect(as_app(either)) as connection:
        connection.execute(
            f"INSERT INTO {locations} (external_id, code, name, region) VALUES ('x', 'x', 'x', '')"
        )
        connection.execute("UPDATE acted.tutorial_sessions SET minutes = 90 WHERE id = 1")
        connection.execute("SELECT FROM public.venue_directory")
        connection.rollback()


def test_role_was_never_let_into_the_empty_schema(incident: demo.Demo) -> None:
    usage = f"SELECT has_schema_privilege('{incident.role}', %s, 'USAGE')"
    assert values(incident, usage.replace("%s", "'adm'")) == [False]
    assert values(incident, usage.replace("%s", "'acted'")) == [True]


# ------------------------------------------------------------------ the project


def test_its_own_tests_pass_on_sqlite(either: demo.Demo, own_python: str) -> None:
    done = manage(either, "-m", "pytest", "-q", "-p", "no:cacheprovider", python=own_python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 passed" in done.stdout


def test_its_own_runner_passes_too(either: demo.Demo) -> None:
    done = manage(either, "manage.py", "test", "--settings=config.settings_test")
    assert done.returncode == 0, done.stderr
    assert "Ran 13 tests" in done.stderr


def test_its_own_tests_pass_on_postgresql_as_well(either: demo.Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server alone would not have helped: none of the tests asks the catalog."""
    monkeypatch.setenv("TEST_ON_POSTGRES", "1")
    done = manage(either, "manage.py", "test", "--settings=config.settings_test", "--no-input")
    assert done.returncode == 0, done.stderr
    assert "Ran 13 tests" in done.stderr


@pytest.mark.parametrize(
    "command", [("makemigrations", "--check", "--dry-run"), ("migrate", "--check"), ("check",)]
)
def test_django_itself_finds_nothing(either: demo.Demo, command: tuple[str, ...]) -> None:
    done = manage(either, "manage.py", *command)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_twins_migrations_can_be_undone_and_redone(twin: demo.Demo, server: Server) -> None:
    with server.database("redone", template=twin.database) as name:
        copy = replace(twin, database=name, conninfo=server.conninfo(name))
        done = manage(copy, "manage.py", "migrate", "administrate", "0002")
        assert done.returncode == 0, done.stderr
        assert tables(copy, "public") >= TABLES
        done = manage(copy, "manage.py", "migrate")
        assert done.returncode == 0, done.stderr
        assert tables(copy, "adm") == TABLES


def test_twins_guard_does_not_stay_silent(twin: demo.Demo, server: Server) -> None:
    with server.database("redone", template=twin.database) as name:
        copy = replace(twin, database=name, conninfo=server.conninfo(name))
        with psycopg.connect(copy.conninfo, autocommit=True) as connection:
            connection.execute("DELETE FROM django_migrations WHERE app = 'administrate' AND name > '0003'")
        done = manage(copy, "manage.py", "migrate")
        assert done.returncode != 0
        assert "table public.course_templates does not exist" in done.stderr


def test_ticked_tasks_and_both_numbers(incident: demo.Demo) -> None:
    text = (incident.project / "specs/20260204-tutorial-sessions/tasks.md").read_text()
    assert all(f"- [x] T{number:03} " in text for number in range(1, 12))
    assert "six administrate tables" in text
    migration = (incident.project / "administrate/migrations/0003_migrate_to_adm_schema.py").read_text()
    assert all(f'"{name}"' in migration for name in TABLES)


def test_ci_knows_no_postgresql(incident: demo.Demo) -> None:
    text = (incident.project / ".github/workflows/ci.yml").read_text()
    assert "pytest" in text
    assert "postgres" not in text.lower()


def test_rcakit_toml_is_one(either: demo.Demo) -> None:
    target = load(either.config)
    assert target.server is not None
    assert (target.name, target.server.database) == ("adm-demo", either.database)
    assert target.settings == "config.settings"
    assert target.expected_schemas == {}


# ------------------------------------------------------------------ the history of the files


def test_branch_and_dates(either: demo.Demo) -> None:
    assert git(either, "rev-parse", "--abbrev-ref", "HEAD") == [history.BRANCH]
    days = git(either, "log", "--reverse", "--format=%cs")
    assert (days[0], days[-1], len(days)) == ("2026-01-12", "2026-02-05", either.commits)
    assert days == sorted(days)
    assert git(either, "log", "-1", "--format=%cs", "main") == ["2026-02-02"]


def test_last_commit_is_what_lies_there(either: demo.Demo) -> None:
    assert git(either, "status", "--porcelain") == []
    assert git(either, "fsck", "--strict") == []


def test_no_migration_was_touched_after_its_commit(either: demo.Demo) -> None:
    paths = git(either, "ls-files", "*/migrations/0*.py")
    assert len(paths) == 6
    for path in paths:
        assert len(git(either, "log", "--format=%h", "--", path)) == 1, path


def test_tasks_were_ticked_one_after_the_other(incident: demo.Demo) -> None:
    path = "specs/20260204-tutorial-sessions/tasks.md"
    commits = git(incident, "log", "--reverse", "--format=%H", "--", path)
    ticked = [
        sum("- [x]" in line for line in git(incident, "show", f"{commit}:{path}")) for commit in commits
    ]
    assert ticked == [0, 3, 7, 11]


def test_every_commit_compiles(incident: demo.Demo) -> None:
    compiled = set()
    for commit in git(incident, "log", "--format=%H"):
        for path in git(incident, "ls-tree", "-r", "--name-only", commit):
            if path.endswith(".py"):
                text = "\n".join(git(incident, "show", f"{commit}:{path}")) + "\n"
                compile(text, f"{commit}:{path}", "exec")
                compiled.add(path)
    assert {"manage.py", "administrate/migrations/0001_initial.py"} <= compiled


def test_two_builds_have_one_history(incident: demo.Demo, tmp_path: Path) -> None:
    files = {path.removeprefix("project/"): text for path, text in demo.sources().items()}
    own = {path: text for path, text in files.items() if path != "rcakit.toml"}
    assert history.write(tmp_path, own) == ""
    again = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [again.stdout.strip()] == git(incident, "rev-parse", "HEAD")


def test_without_git_there_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in history.write(tmp_path, {})


def test_hostile_git_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    own = {path.removeprefix("project/"): text for path, text in demo.sources().items()}
    assert history.write(tmp_path, own) == ""
    assert (tmp_path / ".git").is_dir()
    assert not (tmp_path / "elsewhere").exists()


# ------------------------------------------------------------------ the switch


def test_every_edit_fits_once_and_not_twice() -> None:
    healthy = demo.sources(healthy=True)
    with pytest.raises(ProjectError, match="0 times, not 1"):
        changed(healthy, HEALTHY)


@pytest.mark.parametrize("edit", HEALTHY, ids=lambda edit: edit.path.rpartition("/")[2])
def test_no_edit_can_be_applied_to_its_own_result(edit: Edit) -> None:
    (path, healthy) = edit.path, demo.sources(healthy=True)[edit.path]
    with pytest.raises(ProjectError, match=path):
        edit.apply(healthy)


def test_the_variants_differ_in_the_edited_files_alone() -> None:
    broken, healthy = demo.sources(), demo.sources(healthy=True)
    assert broken.keys() == healthy.keys()
    assert {path for path in broken if broken[path] != healthy[path]} == {edit.path for edit in HEALTHY}
    assert "tutorials" not in " ".join(edit.path for edit in HEALTHY)


def test_cut_wants_its_place_exactly_once() -> None:
    assert Cut("f", "class B").apply("class A\n\n\nclass B\n") == "class A\n"
    with pytest.raises(ProjectError, match="2 times"):
        Cut("f", "class").apply("class A\nclass B\n")


def test_models_read_naturally() -> None:
    models = demo.sources()["project/administrate/models.py"]
    assert all(f'        db_table = "adm.{name}"\n' in models for name in TABLES)


def test_nothing_is_written_over(incident: demo.Demo, server: Server, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="exists already"):
        demo.build(incident.directory, server, database="never_made")
    with pytest.raises(Refused, match="has a database"):
        demo.build(tmp_path, server, database=incident.database)
    assert list(tmp_path.iterdir()) == []


def test_without_django_the_extra_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rcakit\[demo\]"):
        demo.build(tmp_path, server)
