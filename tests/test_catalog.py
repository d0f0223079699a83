"""The observed and the recorded account, read from databases made for the purpose, and `pg_catalog`'s own word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from importlib.resources import files

import psycopg
import pytest
from contrib import needs_extension
from psycopg import sql

from rcakit import catalog, evidence, facts, scratch
from rcakit.errors import RcaError
from rcakit.facts import Catalog, Recorded, Unread
from rcakit.names import Name

HOSTILE = [
    'x"y',
    "new\nline",
    "🦆",
    "<b>&amp;</b>",
    "a.b",
    "percent%s",
    "back\\slash",
    "O'Neil",
    "SELECT",
    " ",
    "é" * 31,
]


def observe(conninfo: str, *schemas: str) -> Catalog:
    with evidence.session(conninfo, run="test") as recorder:
        return catalog.read(recorder, schemas)


def recorded(conninfo: str, search_path: str | None = None) -> tuple[Recorded, tuple[Unread, ...]]:
    with evidence.session(conninfo, run="test") as recorder:
        return catalog.read_recorded(recorder, catalog.read(recorder), search_path)


def table(found: Catalog, name: str, schema: str = "public") -> facts.Relation:
    relation = found.find(Name(schema, name))
    assert relation is not None
    return relation


@pytest.fixture
def app(server: scratch.Server, connection: psycopg.Connection) -> Iterator[str]:
    """A role that may connect, and no more."""
    with server.role("app") as role:
        yield role
        connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))


# ------------------------------------------------------------------ what is there


def test_what_no_rule_looks_at_is_left_out_and_nothing_else(
    conninfo: str, connection: psycopg.Connection
) -> None:
    connection.execute(
        "create table t (id serial primary key); create view v as select id from t; grant select on t to public;"
        "create function f() returns trigger language plpgsql as 'begin end';"
        "create trigger g after insert on t execute function f()"
    )
    whole = observe(conninfo)
    with evidence.session(conninfo, run="test") as recorder:
        brief = catalog.read(recorder, whole=False)
        asked = {each.name for each in recorder.evidence}
    left_out = {
        each.name
        for each in fields(Catalog)
        if each.name not in ("server", "evidence", "unread")
        and getattr(brief, each.name) != getattr(whole, each.name)
    }
    assert left_out == catalog.UNJUDGED
    assert not left_out & asked
    assert all(getattr(whole, name) for name in left_out)


def test_an_empty_database(conninfo: str) -> None:
    found = observe(conninfo)
    assert [schema.name for schema in found.schemas] == ["public"]
    assert found.relations == found.columns == found.constraints == found.functions == found.unread == ()


def test_every_kind_of_relation(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create schema adm; comment on schema adm is 'the s';
        create table adm.plain (id int); comment on table adm.plain is 'the t'; comment on column adm.plain.id is 'no';
        create unlogged table adm.fast (id int);
        create table adm.parted (id int) partition by range (id);
        create table adm.part1 partition of adm.parted for values from (1) to (2);
        create table adm.child () inherits (adm.plain);
        create view adm.v as select * from adm.plain;
        create materialized view adm.m as select * from adm.plain;
        create sequence adm.s;
        alter table adm.plain enable row level security;
    """)
    found = observe(conninfo)
    kinds = {relation.name: relation.kind for relation in found.relations}
    assert kinds == {
        "plain": "r",
        "fast": "r",
        "parted": "p",
        "part1": "r",
        "child": "r",
        "v": "v",
        "m": "m",
        "s": "S",
    }
    plain = table(found, "plain", "adm")
    assert (plain.comment, plain.owner, plain.persistence, plain.parent) == ("the t", "postgres", "p", 0)
    assert plain.row_security
    assert plain.rows_estimate == -1 or found.server.version_num < 140000
    assert table(found, "fast", "adm").persistence == "u"
    assert table(found, "part1", "adm").parent == table(found, "parted", "adm").oid
    assert table(found, "child", "adm").parent == plain.oid
    assert {(s.name, s.comment, s.usable) for s in found.schemas} == {
        ("adm", "the s", True),
        ("public", "standard public schema", True),
    }


def test_a_foreign_table(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create foreign data wrapper w; create server files foreign data wrapper w")
    connection.execute("create foreign table f (line text) server files options (filename '/nowhere')")
    assert [(r.name, r.kind) for r in observe(conninfo).relations] == [("f", "f")]


def test_what_is_not_the_projects_is_left_out(connection: psycopg.Connection, conninfo: str) -> None:
    needs_extension(connection, "pg_stat_statements")
    connection.execute("create extension pg_stat_statements; create temporary table mine (id serial)")
    connection.execute("create table kept (id int)")
    found = observe(conninfo)
    assert [relation.name for relation in found.relations] == ["kept"]
    assert found.functions == found.sequences == found.defaults == found.views == ()
    assert {column.relation for column in found.columns} == {found.relations[0].oid}


def test_only_the_schemas_asked_for(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create schema "o'dd ""s, {}"; create table "o'dd ""s, {}".t (id serial primary key, v int default 3 check (v > 0));
        create view "o'dd ""s, {}".w as select 1; create function "o'dd ""s, {}".f() returns int language sql as 'select 1';
        create table public.t (id serial primary key); create view w as select 1;
        create function f() returns int language sql as 'select 1';
        grant select on public.t, "o'dd ""s, {}".t to public;
    """)
    found, whole = observe(conninfo, "o'dd \"s, {}"), observe(conninfo)
    assert found.schema_names == {"o'dd \"s, {}"}
    assert {relation.schema for relation in found.relations} == {"o'dd \"s, {}"}
    for part in ("relations", "columns", "defaults", "indexes", "sequences", "functions", "views", "grants"):
        assert 0 < len(getattr(found, part)) < len(getattr(whole, part)), part
    assert len(found.constraints) == 2
    assert len(whole.constraints) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_come_back_whole(connection: psycopg.Connection, conninfo: str, name: str) -> None:
    ident = sql.Identifier(name)
    connection.execute(sql.SQL("create schema {}").format(ident))
    connection.execute(sql.SQL("create table {0}.{0} ({0} serial primary key)").format(ident))
    connection.execute(sql.SQL("create view {0}.v as select * from {0}.{0}").format(ident))
    connection.execute(
        sql.SQL("create function {0}.f() returns void language sql as {1}").format(
            ident, f"/* {name} */ select null"
        )
    )
    connection.execute(sql.SQL("insert into {0}.{0} default values").format(ident))
    with evidence.session(conninfo, run="test") as recorder:
        found = catalog.read(recorder)
        relation = table(found, name, name)
        assert [column.name for column in found.columns_of[relation.oid]] == [name]
        assert catalog.count_rows(recorder, [relation]) == {relation.oid: 1}
        hanging = {(row.kind, row.bound) for row in catalog.dependants(recorder, [relation.oid])}
        assert hanging == {("view", "oid"), ("sequence", "oid"), ("function", "text")}
        assert recorder.unread == []


# ------------------------------------------------------------------ what tables are made of


def test_columns_types_and_defaults(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create schema adm; create domain adm.price as numeric(8, 2); create type adm.mood as enum ('good');
        create table adm.t (
            a bigint generated always as identity, b bigint generated by default as identity, gone int,
            c varchar(100) not null default 'x', d adm.price, e adm.mood[], f timestamptz,
            g int generated always as (length('abc')) stored, h bigserial, "char" "char");
        alter table adm.t drop column gone;
    """)
    found = observe(conninfo)
    seen = [
        (c.name, found.type_name(c), c.not_null, c.has_default, c.identity, c.generated)
        for c in found.columns_of[table(found, "t", "adm").oid]
    ]
    assert seen == [
        ("a", "bigint", True, False, "a", ""),
        ("b", "bigint", True, False, "d", ""),
        ("c", "character varying(100)", True, True, "", ""),
        ("d", "adm.price", False, False, "", ""),
        ("e", "adm.mood[]", False, False, "", ""),
        ("f", "timestamp with time zone", False, False, "", ""),
        ("g", "integer", False, False, "", "s"),
        ("h", "bigint", True, True, "", ""),
        ("char", '"char"', False, False, "", ""),
    ]
    assert [column.attnum for column in found.columns] == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    expressions = {default.attnum: default.expression for default in found.defaults}
    assert expressions == {
        4: "'x'::character varying",
        8: "length('abc'::text)",
        9: "nextval('adm.t_h_seq'::regclass)",
    }


def test_constraints(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create table a (x int unique, y int, primary key (y, x), constraint u unique (y) deferrable initially deferred,
            constraint c check (x > 0), constraint e exclude using btree (y with =));
        create table b (x int references a (x) on delete cascade on update set null, p int, q int);
        alter table b add constraint two foreign key (p, q) references a (y, x) not valid;
    """)
    found = observe(conninfo)
    a, b = table(found, "a"), table(found, "b")
    by_name = {constraint.name: constraint for constraint in found.constraints}
    assert set(by_name) == {"a_pkey", "a_x_key", "u", "c", "e", "b_x_fkey", "two"}
    pkey, unique, check, exclude = (by_name[name] for name in ("a_pkey", "u", "c", "e"))
    assert (pkey.kind, pkey.relation, pkey.columns, pkey.definition) == ("p", a.oid, (2, 1), None)
    assert pkey.index_oid in {index.oid for index in found.indexes}
    assert (unique.kind, unique.columns, unique.deferrable, unique.deferred) == ("u", (2,), True, True)
    assert (check.kind, check.definition) == ("c", "CHECK ((x > 0))")
    assert (exclude.kind, exclude.definition) == ("x", "EXCLUDE USING btree (y WITH =)")
    assert by_name["b_x_fkey"]._replace(oid=0, index_oid=0) == facts.Constraint(
        0, b.oid, "b_x_fkey", "f", (1,), a.oid, (1,), True, False, False, "c", "n", 0, None
    )
    assert (by_name["two"].columns, by_name["two"].foreign_columns, by_name["two"].validated) == (
        (2, 3),
        (2, 1),
        False,
    )
    assert all(isinstance(constraint.columns, tuple) for constraint in found.constraints)


def test_a_foreign_key_to_a_partitioned_table_is_one(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create table p (id int primary key) partition by range (id);
        create table p1 partition of p for values from (1) to (2); create table p2 partition of p for values from (2) to (3);
        create table r (id int references p);
    """)
    found = observe(conninfo)
    keys = [constraint for constraint in found.constraints if constraint.kind == "f"]
    assert [(k.relation, k.foreign_relation) for k in keys] == [
        (table(found, "r").oid, table(found, "p").oid)
    ]


def test_indexes(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create table t (a int, b int, c int)")
    connection.execute("create index plain on t (b, a) include (c)")
    connection.execute("create unique index expr on t (a, (b + 1))")
    connection.execute("create index part on t (a) where b is not null")
    connection.execute("insert into t values (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("create unique index concurrently broken on t (a)")
    by_name = {index.name: index for index in observe(conninfo).indexes}
    assert by_name["plain"].columns == (2, 1)
    assert by_name["plain"].definition is None
    assert (by_name["expr"].columns, by_name["expr"].unique) == ((1, 0), True)
    assert by_name["expr"].definition == "CREATE UNIQUE INDEX expr ON public.t USING btree (a, ((b + 1)))"
    assert str(by_name["part"].definition).endswith("WHERE (b IS NOT NULL)")
    assert not by_name["broken"].valid
    assert by_name["plain"].valid


def test_sequences_and_the_columns_they_feed(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create table t (x int, a bigserial, b int generated by default as identity)")
    connection.execute("create sequence loose as smallint start 7 increment 3")
    found = observe(conninfo)
    oid = table(found, "t").oid
    rows = {found.by_oid[s.relation].name: s[1:] for s in found.sequences}
    assert rows == {
        "t_a_seq": (oid, 2, False, "bigint", 1, 1),
        "t_b_seq": (oid, 3, True, "integer", 1, 1),
        "loose": (0, 0, False, "smallint", 7, 3),
    }


def test_functions_triggers_and_views(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create table t (id int);
        create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
        create procedure p(a int, out b text) language sql as 'select 1::text';
        create aggregate agg(int) (sfunc = int4pl, stype = int);
        create trigger tr before insert on t for each row execute function touch();
        create constraint trigger late after insert on t deferrable for each row execute function touch();
        alter table t disable trigger late;
        create view v as select id from t;
    """)
    found = observe(conninfo)
    functions = {function.name: function for function in found.functions}
    assert {name: function.kind for name, function in functions.items()} == {
        "touch": "f",
        "p": "p",
        "agg": "a",
    }
    assert functions["touch"].source == " begin return new; end "
    assert functions["touch"].language == "plpgsql"
    triggers = {trigger.name: trigger for trigger in found.triggers}
    assert {name: trigger.enabled for name, trigger in triggers.items()} == {"tr": "O", "late": "D"}
    assert triggers["tr"].function == functions["touch"].oid
    assert "BEFORE INSERT ON public.t" in triggers["tr"].definition
    assert [view.relation for view in found.views] == [table(found, "v").oid]


def test_a_function_with_an_sql_standard_body(connection: psycopg.Connection, conninfo: str) -> None:
    if connection.info.server_version < 140000:
        pytest.skip("PostgreSQL 14 has them first")
    connection.execute("create function f() returns int language sql return 41 + 1")
    assert "41 + 1" in observe(conninfo).functions[0].source


def test_grants(connection: psycopg.Connection, conninfo: str, app: str) -> None:
    connection.execute("create schema adm; create table adm.t (id int); create table untouched (id int)")
    connection.execute("create function f() returns int language sql as 'select 1'")
    role = sql.Identifier(app)
    connection.execute(sql.SQL("grant usage on schema adm to {}").format(role))
    connection.execute(sql.SQL("grant select, insert on adm.t to {}").format(role))
    connection.execute("revoke execute on function f() from public; grant select on adm.t to public")
    found = observe(conninfo)
    mine = {(g.object_kind, g.privileges) for g in found.grants if g.grantee == app}
    assert mine == {("schema", ("USAGE",)), ("relation", ("INSERT", "SELECT"))}
    on_table = [g for g in found.grants if g.object == table(found, "t", "adm").oid]
    assert {g.grantee for g in on_table} == {"postgres", app, "PUBLIC"}
    assert [g.grantee for g in found.grants if g.object_kind == "function"] == ["postgres"]
    assert table(found, "untouched").oid not in {g.object for g in found.grants}


def test_each_part_names_its_evidence(conninfo: str) -> None:
    with evidence.session(conninfo, run="test") as recorder:
        found = catalog.read(recorder)
        queries = {kept.id: kept for kept in recorder.evidence}
    assert {"relations", "columns", "constraints"} <= set(found.evidence)
    for part, number in found.evidence.items():
        assert queries[number].name == part
        assert queries[number].sql == evidence.query(part)


def test_a_running_migration_is_not_waited_for(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create table t (id serial primary key, v text default upper('x'), unique (v))")
    connection.execute("create view w as select * from t")
    whole = observe(conninfo)
    with (
        psycopg.connect(conninfo) as migration,
        evidence.session(conninfo, run="test", timeout_s=2) as recorder,
    ):
        migration.execute("lock table t, w in access exclusive mode")
        assert catalog.read(recorder).defaults == whole.defaults


def test_an_expression_over_columns_of_a_locked_table_cannot_be_read(
    connection: psycopg.Connection, conninfo: str
) -> None:
    connection.execute("create table t (v int check (v > 0))")
    with (
        psycopg.connect(conninfo) as migration,
        evidence.session(conninfo, run="test", timeout_s=1) as recorder,
    ):
        migration.execute("lock table t in access exclusive mode")
        with pytest.raises(RcaError, match=r"'constraints' waited too long for a lock"):
            catalog.read(recorder)


# ------------------------------------------------------------------ roles without rights


def test_a_role_without_rights_sees_everything_and_is_told_what_it_may_not_read(
    server: scratch.Server, connection: psycopg.Connection, conninfo: str, app: str
) -> None:
    connection.execute("""
        create schema adm; create table adm.t (id serial primary key, v int default 7 check (v > 0));
        create view adm.w as select * from adm.t; create table public.open (id int, hidden int);
        create index part on adm.t (v) where v > 1; create materialized view adm.m as select 1;
        create trigger tr before update on adm.t for each row execute function suppress_redundant_updates_trigger();
    """)
    connection.execute(sql.SQL("grant select (id) on public.open to {}").format(sql.Identifier(app)))
    theirs = server.conninfo(connection.info.dbname, user=app)
    whole, seen = observe(conninfo), observe(theirs)
    for part in ("columns", "defaults", "constraints", "indexes", "sequences", "triggers", "grants", "types"):
        assert getattr(seen, part) == getattr(whole, part), part
    assert [r._replace(readable=True) for r in seen.relations] == list(whole.relations)
    assert {schema.name: schema.usable for schema in seen.schemas} == {"adm": False, "public": True}
    with evidence.session(theirs, run="test") as recorder:
        shown = recorder.rows(
            "information_schema",
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('adm', 'public')",
        )
        assert shown == [("public", "open")] == [(r.schema, r.name) for r in seen.tables() if r.readable]
        t = table(seen, "t", "adm")
        assert catalog.count_rows(recorder, [t]) == {}
        (unread,) = recorder.unread
        assert "permission denied" in unread.reason
        assert not unread.blocking


@pytest.mark.parametrize("grant", ["references on", "trigger on", "truncate on", "update (id) on"])
def test_any_privilege_makes_a_table_readable_as_in_information_schema(
    server: scratch.Server, connection: psycopg.Connection, app: str, grant: str
) -> None:
    connection.execute("create table t (id int)")
    connection.execute(sql.SQL(f"grant {grant} t to {{}}").format(sql.Identifier(app)))  # type: ignore[arg-type]
    with evidence.session(server.conninfo(connection.info.dbname, user=app), run="test") as recorder:
        assert [relation.readable for relation in catalog.read(recorder).relations] == [True]
        assert recorder.rows(
            "shown", "select table_name from information_schema.tables where table_name = 't'"
        )


def test_row_security_does_not_hide_rows_silently(
    server: scratch.Server, connection: psycopg.Connection, app: str
) -> None:
    connection.execute("create table t (id int); insert into t values (1), (2); grant select on t to public")
    connection.execute("alter table t enable row level security; create policy p on t using (id = 1)")
    with evidence.session(server.conninfo(connection.info.dbname, user=app), run="test") as recorder:
        assert catalog.count_rows(recorder, catalog.read(recorder).tables()) == {}
        assert "row-level security" in recorder.unread[0].reason


def test_names_that_are_no_text_are_unread(server: scratch.Server) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        admin.execute("create database bytes template template0 encoding 'SQL_ASCII' locale 'C'")
        try:
            with psycopg.connect(server.conninfo("bytes"), client_encoding="SQL_ASCII") as connection:
                connection.execute(b'create table "caf\xe9" (id int); create table "fine" (id int)')
            found = observe(server.conninfo("bytes"))
        finally:
            admin.execute("drop database bytes with (force)")
    assert [relation.name for relation in found.relations] == ["caf\ufffd", "fine"]
    assert len(found.columns) == 2
    (unread,) = found.unread
    assert unread.blocking
    assert f"oid {found.relations[0].oid}" in unread.reason


# ------------------------------------------------------------------ the recorded account

HISTORY = """
    create table {0}.django_migrations (id bigint generated by default as identity primary key,
        app varchar(255) not null, name varchar(255) not null, applied timestamptz not null)
"""


def test_no_history(conninfo: str) -> None:
    assert recorded(conninfo)[0].tables == ()
    assert recorded(conninfo)[1] == ()


def test_a_history_is_read_in_the_order_it_was_written(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute(HISTORY.format("public"))  # type: ignore[arg-type]
    connection.execute("""
        insert into django_migrations (app, name, applied) values
        ('b', '0001_initial', '2026-02-05 12:30:00+02'), ('a', '0001_initial', '2026-02-04 12:30:00+00')
    """)
    found, unread = recorded(conninfo)
    assert unread == ()
    assert [(row.id, row.label, row.schema) for row in found.applied] == [
        (1, "b.0001_initial", "public"),
        (2, "a.0001_initial", "public"),
    ]
    assert found.applied[0].at.isoformat() == "2026-02-05T10:30:00+00:00"
    assert found.applied[0].at.utcoffset() == timedelta(0)
    assert [(t.schema, t.rows, t.read) for t in found.tables] == [("public", 2, True)]
    assert len(found.evidence) == 2


@pytest.mark.parametrize(
    ("search_path", "chosen"),
    [
        (None, "public"),
        ("tenant, public", "tenant"),
        ('"Odd One",public', "Odd One"),
        ("absent,TENANT", "tenant"),
        ('"TENANT"', None),
        ("$user, public", "postgres"),
        ('"$user"', "postgres"),
        ("", None),
    ],
)
def test_the_projects_own_path_decides_which_history_it_reads(
    connection: psycopg.Connection, conninfo: str, search_path: str | None, chosen: str | None
) -> None:
    schemas = ["public", "tenant", '"Odd One"', "postgres"]
    for number, schema in enumerate(schemas):
        connection.execute(f"create schema if not exists {schema}")  # type: ignore[arg-type]
        connection.execute(HISTORY.format(schema))  # type: ignore[arg-type]
        connection.execute(
            f"insert into {schema}.django_migrations select n, 'a', n::text, now() from generate_series(0, {number}) n"  # type: ignore[arg-type]
        )
    connection.execute("alter role postgres reset search_path")
    # the default path starts with "$user", and a schema of that name exists here
    found, unread = recorded(f"{conninfo} options='-c search_path=public'", search_path)
    assert unread == ()
    assert [t.schema for t in found.tables if t.read] == ([chosen] if chosen else [])
    assert {row.schema for row in found.applied} == ({chosen} if chosen else set())
    assert {row.schema for row in found.elsewhere} == {"public", "tenant", "Odd One", "postgres"} - {chosen}
    assert len(found.applied) + len(found.elsewhere) == 1 + 2 + 3 + 4


def test_a_history_the_role_may_not_read(
    server: scratch.Server, connection: psycopg.Connection, app: str
) -> None:
    connection.execute(HISTORY.format("public"))  # type: ignore[arg-type]
    connection.execute("create schema shut")
    connection.execute(HISTORY.format("shut"))  # type: ignore[arg-type]
    found, unread = recorded(server.conninfo(connection.info.dbname, user=app))
    assert [(t.schema, t.rows, t.read) for t in found.tables] == [
        ("public", None, True),
        ("shut", None, False),
    ]
    assert [(u.account, u.blocking) for u in unread] == [("recorded", True), ("recorded", False)]
    assert app in unread[0].reason
    assert found.applied == ()


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("(version text)", "no column app, applied, name"),
        ("(id int, app text, name text, applied text); insert into {} values (1, 'a', 'b', 'soon')", "soon"),
        (
            "(id int, app text, name text, applied timestamptz); insert into {} values (1, null, 'b', now())",
            "without",
        ),
        (
            "(id text, app text, name text, applied timestamptz); insert into {} values ('x', 'a', 'b', now())",
            '"x"',
        ),
        (
            "(id int, app text, name text, applied timestamptz); insert into {} values (1, 'a', 'b', 'infinity')",
            "large",
        ),
    ],
)
def test_a_namesake_of_the_history_is_unread(
    connection: psycopg.Connection, conninfo: str, definition: str, says: str
) -> None:
    connection.execute(f"create table django_migrations {definition.format('django_migrations')}")  # type: ignore[arg-type]
    found, (unread,) = recorded(conninfo)
    assert says in unread.reason
    assert unread.blocking
    assert found.tables[0].rows is None


def test_a_history_without_ids_or_zones_and_one_that_is_a_view(
    connection: psycopg.Connection, conninfo: str
) -> None:
    connection.execute("create table public.django_migrations (app text, name text, applied timestamp)")
    connection.execute("insert into public.django_migrations values ('a', '0001', '2026-01-01 00:00')")
    connection.execute(
        "create schema other; create view other.django_migrations as select * from public.django_migrations"
    )
    found, unread = recorded(conninfo)
    assert unread == ()
    assert found.applied[0].at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert found.elsewhere[0].schema == "other"


# ------------------------------------------------------------------ what hangs on a table


def test_dependants(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("""
        create table "adm.venues" (id serial primary key, up int references "adm.venues", seen int default 1);
        create table visits (id int default nextval('"adm.venues_id_seq"'), venue int references "adm.venues");
        create view v as select * from "adm.venues"; create materialized view m as select id from "adm.venues";
        create rule r as on insert to visits do also delete from "adm.venues";
        create policy p on visits using (exists (select from "adm.venues"));
        create function by_text() returns bigint language plpgsql as $$ begin return (select count(*) from "adm.venues"); end $$;
        create function upper_case() returns bigint language sql as 'select count(*) from VISITS';
        create function innocent() returns int language sql as 'select 1';
        create function fire() returns trigger language plpgsql as $$ begin return new; end $$;
        create trigger tr before insert on "adm.venues" for each row execute function fire();
    """)
    with evidence.session(conninfo, run="test") as recorder:
        found = catalog.read(recorder)
        venues, visits = table(found, "adm.venues").oid, table(found, "visits").oid
        rows = catalog.dependants(recorder, [venues])
        assert {(row.kind, row.dependant, row.bound) for row in rows} == {
            ("default", "public.visits.id", "oid"),
            ("foreign key", "visits_venue_fkey on public.visits", "oid"),
            ("function", "public.by_text()", "text"),
            ("materialized view", "public.m", "oid"),
            ("policy", "p on public.visits", "oid"),
            ("rule", "r on public.visits", "oid"),
            ("sequence", 'public."adm.venues_id_seq"', "oid"),
            ("trigger", 'tr on public."adm.venues"', "oid"),
            ("view", "public.v", "oid"),
        }
        assert {row.relation for row in rows} == {venues}
        of_visits = {(row.kind, row.dependant) for row in catalog.dependants(recorder, [visits])}
        assert of_visits == {
            ("function", "public.upper_case()"),
            ("policy", "p on public.visits"),
            ("rule", "r on public.visits"),
        }
        assert catalog.dependants(recorder, []) == []


def test_a_function_bound_by_oid(connection: psycopg.Connection, conninfo: str) -> None:
    if connection.info.server_version < 140000:
        pytest.skip("PostgreSQL 14 has them first")
    connection.execute("create table t (id int)")
    connection.execute(
        "create function f() returns bigint language sql begin atomic select count(*) from t; end"
    )
    with evidence.session(conninfo, run="test") as recorder:
        oid = table(catalog.read(recorder), "t").oid
        assert [row[1:] for row in catalog.dependants(recorder, [oid])] == [("function", "public.f()", "oid")]


# ------------------------------------------------------------------ by hand


@pytest.mark.parametrize(
    "name",
    sorted(path.name for path in files("rcakit").joinpath("sql").iterdir() if path.name.endswith(".sql")),
)
def test_every_file_runs_by_hand_and_says_what_it_is(connection: psycopg.Connection, name: str) -> None:
    text = evidence.query(name.removesuffix(".sql"))
    assert text.startswith("-- ")
    assert "\n-- https://www.postgresql.org/docs/" in text or name == "history.sql"
    connection.execute(text)  # type: ignore[arg-type]
