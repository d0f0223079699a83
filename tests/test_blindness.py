"""The tests of the demo in two worlds, with the incident and without: what its document says about them, proved."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from commands import Run, runner

import rcakit as package
from rcakit import blindness, scratch
from rcakit.blindness import Audit, proposed, running, written
from rcakit.blindness.running import dotted, read_junit
from rcakit.case import Case, open_case
from rcakit.names import Name
from rcakit.target import load

SCHEMA = json.loads((Path(package.__file__).parent / "schemas" / "audit-tests.json").read_text())
TASKS = ["T004", "T005", "T006", "T007", "T010", "T011"]


@pytest.fixture(scope="module")
def audit(demo_dir: Path, own_python: str, server: scratch.Server) -> Audit:
    """The demo's own suite, really run: twice on SQLite, twice on PostgreSQL."""
    return blindness.audit(open_case(load(demo_dir / "rcakit.toml", python=own_python)), server=server)


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


# ------------------------------------------------------------------ the incident


def test_every_test_of_the_demo_is_blind_on_both_engines(audit: Audit) -> None:
    assert audit.problems == ()
    assert len(audit.tests) == 13
    assert {each.verdict for each in audit.tests} == {"blind"}
    told = {(run.engine, run.world_a, run.world_b) for each in audit.tests for run in each.runs}
    assert told == {("sqlite3", "passed", "passed"), ("postgresql", "passed", "passed")}


def test_the_score_is_0_before_and_all_of_it_with_the_proposed_tests(audit: Audit) -> None:
    assert (audit.score.mutants, audit.score.sighted, audit.score.with_proposed) == (1, 0, 1)


def test_each_proposed_test_is_proved_against_both_worlds(audit: Audit) -> None:
    concerned = [each for each in audit.tests if each.assertion]
    assert len(concerned) == 11
    assert [each.proved for each in concerned] == [True] * 11
    for each in concerned:
        compile(each.assertion, "proposed.py", "exec")
        assert "pg_catalog.pg_class" in each.assertion


def test_a_test_that_has_nothing_to_do_with_it_is_not_accused(audit: Audit) -> None:
    (other,) = (each for each in audit.tests if each.test.id.endswith("test_sessions_belong_to_an_event"))
    assert other.why.startswith("it has nothing to do with the tables in question")
    assert (other.assertion, other.should_test, other.proved) == ("", "", None)


def test_the_rows_are_those_of_the_incident_document(audit: Audit) -> None:
    assert [row.task for row in audit.rows] == TASKS
    rows = {row.task: row for row in audit.rows}
    assert [task for task in TASKS if rows[task].correct] == ["T007"]
    assert "rows that go in and come out" in rows["T004"].tested
    assert "finds the table under it wherever it lies" in rows["T004"].why_passed
    assert 'public."adm.' in rows["T004"].why_passed
    assert rows["T005"].tested.startswith("the text of the source code")
    assert "pg_catalog has all 7 tables in schema adm, on PostgreSQL" in rows["T005"].should_test
    assert "adm.locations, adm.venues" in rows["T006"].should_test
    assert rows["T007"].should_test.startswith("N/A: correct")
    assert "T004 to T006 pass as well" in rows["T010"].why_passed
    assert "pg_catalog has all 7 tables" in rows["T011"].should_test


def test_every_row_names_the_line_or_the_tests_it_comes_from(audit: Audit) -> None:
    assert audit.rows
    for row in audit.rows:
        assert row.tests
        assert row.claim
        assert row.claim.where.line
        for each in row.tests:
            assert each.test.assertions[0].decided.where.line


def test_the_document_is_of_its_schema(audit: Audit) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = written.document(audit)
    jsonschema.validate(json.loads(json.dumps(document)), SCHEMA)
    assert document["tests"][0]["task"] == "T004"
    assert document["score"] == {"mutants": 1, "sighted": 0, "with_proposed": 1}
    assert written.exit_code(audit) == 1


def test_the_text_ends_with_the_number_to_watch(audit: Audit) -> None:
    text = written.text(audit)
    assert "placement mutation score: 0 of 1; with the proposed tests added: 1 of 1" in text
    assert re.findall(r"^T\d{3}", re.sub(r"\x1b\[[0-9;]*m", "", text), re.MULTILINE) == TASKS


def test_nothing_is_left_behind(audit: Audit, server: scratch.Server, demo_dir: Path) -> None:
    assert audit.score.mutants
    with server.connect() as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%\\_default' OR datname LIKE 'worlds%'"
        ).fetchall()
    assert left == []
    assert not list(demo_dir.rglob("*rcakit_*"))


# ------------------------------------------------------------------ what cannot be run


def project(tmp_path: Path, demo_dir: Path, **tests: Any) -> Case:
    """The shared demo, investigated with other settings for its tests."""
    target = load(demo_dir / "rcakit.toml")
    return open_case(target.model_copy(update={"tests": target.tests.model_copy(update=tests)}))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            "{python} -c 'import missing_dependency'",
            "ModuleNotFoundError: No module named 'missing_dependency'",
        ),
        (
            "{python} -c 'raise ValueError(\"password=secret\")'",
            "ended with code 1 and no result: ValueError",
        ),
        (
            "{python} -c 'raise ImportError(\"no use for the key secret\")'",
            "ended with code 1 and no result: ImportError",
        ),
        ("no-such-program {junit}", "no-such-program could not be started"),
    ],
)
def test_a_suite_that_cannot_run_gives_the_static_part_and_the_reason(
    tmp_path: Path, demo_dir: Path, server: scratch.Server, command: str, reason: str
) -> None:
    audit = blindness.audit(project(tmp_path, demo_dir, command=command), server=server)
    assert reason in audit.problems[0]
    assert "secret" not in " ".join(audit.problems)
    assert {each.verdict for each in audit.tests} == {"not-run"}
    assert [row.task for row in audit.rows] == TASKS
    assert all(each.why.startswith("not run: ") for each in audit.tests)
    assert written.exit_code(audit) == 2


def test_a_suite_that_does_not_end_is_ended(tmp_path: Path, demo_dir: Path, server: scratch.Server) -> None:
    command = "{python} -c 'import threading; threading.Event().wait()'"
    audit = blindness.audit(project(tmp_path, demo_dir, command=command, timeout=0.5), server=server)
    assert "did not end within 0.5 seconds" in audit.problems[0]


# ------------------------------------------------------------------ the command line


def test_reading_alone_runs_nothing_and_finds_nothing_to_score(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("audit-tests", "--static", "--format", "json", cwd=demo_dir)
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert done.code == 0
    assert document["problems"] == ["the tests were not run"]
    assert [row["task"] for row in document["tasks"]] == TASKS


def test_the_proposed_tests_are_written_where_they_belong_and_once(
    rcakit: Run, demo_dir: Path, tmp_path: Path
) -> None:
    first = rcakit("audit-tests", "--static", "--write", tmp_path, cwd=demo_dir)
    assert first.code == 0
    text = (tmp_path / "administrate/tests/test_rcakit_placement.py").read_text()
    assert "class T005TablesArePlaced(TestCase)" in text
    again = rcakit("audit-tests", "--static", "--write", tmp_path, cwd=demo_dir)
    assert (again.code, "exists already" in again.err) == (3, True)


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("shop/tests.py::ShopTests::test_it", "shop.tests.ShopTests.test_it"),
        ("test_it.py::test_it[a::b]", "test_it.test_it"),
    ],
)
def test_a_node_id_as_junit_calls_it(node: str, name: str) -> None:
    assert dotted(node) == name


def test_results_of_a_junit_file(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuites><testsuite><testcase classname="a.B" name="test[1]"/><testcase classname="a.B" name="test[2]">'
        '<failure/></testcase><testcase classname="a" name="c"><skipped/></testcase></testsuite></testsuites>'
    )
    assert read_junit(path) == {"a.B.test": "failed", "a.c": "skipped"}


@pytest.mark.parametrize("text", ["", "<testsuites>", "no xml"])
def test_no_results_of_a_broken_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "junit.xml").write_text(text)
    assert read_junit(tmp_path / "junit.xml") == {}
    assert read_junit(tmp_path / "missing.xml") == {}


def test_the_names_of_proposed_classes() -> None:
    assert proposed.klass_name(("T005",), "test_x") == "T005TablesArePlaced"
    assert proposed.klass_name((), "test_venues_are_kept") == "TestVenuesAreKeptTablesArePlaced"
    assert proposed.klass_name(("12-3",), "") == "Test123TablesArePlaced"


def test_a_proposal_survives_any_name() -> None:
    evil = Name('a"; --', "x'\n\\")
    text = proposed.Proposal("Placed", (evil,)).whole({evil: "fp"})
    compile(text, "proposed.py", "exec")
    assert repr(evil.name) in text


def test_a_command_in_words() -> None:
    assert running.split("{python} -m 'my runner' --xml={junit}") == (
        "{python}",
        "-m",
        "my runner",
        "--xml={junit}",
    )
