"""The command line as a person meets it: what it prints, where, and the code it ends with."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from commands import COMMAND, Run, begin, environment, runner, spawn

import rcakit as package
from rcakit import rules, tour, waivers
from rcakit.cli import cli
from rcakit.cli.shared import LEVELS
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
MISPLACED = {f'public."adm.{table}"' for table in TABLES}
GUARDED = "administrate.0003_migrate_to_adm_schema"
SCHEMA = json.loads((Path(package.__file__).parent / "schemas" / "findings.json").read_text())


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


@pytest.fixture(scope="module")
def document(demo_dir: Path) -> dict[str, Any]:
    """What `rcakit check --format json` says about the demo, by a process of its own."""
    done = spawn("check", "--format", "json", cwd=demo_dir)
    assert done.code == 1, done.err
    content: dict[str, Any] = json.loads(done.out)  # one document and nothing else, or this fails
    return content


def objects(content: dict[str, Any], code: str) -> set[str]:
    return {row["object"] for row in content["findings"] if row["code"] == code}


# ------------------------------------------------------------------ check, on the incident


@pytest.mark.parametrize("code", ["RK101", "RK201", "RK202", "RK401"])
def test_the_incident_is_found_for_exactly_the_seven_tables(document: dict[str, Any], code: str) -> None:
    assert objects(document, code) == MISPLACED
    assert Counter(row["code"] for row in document["findings"])[code] == 7


def test_the_absent_effect_is_that_of_migration_0003(document: dict[str, Any]) -> None:
    assert objects(document, "RK301") == {GUARDED}
    (absent,) = (row for row in document["findings"] if row["code"] == "RK301")
    assert "7 of 7" in absent["message"]
    assert all(table in absent["message"] for table in TABLES)


def test_nothing_else_is_accused(document: dict[str, Any]) -> None:
    """The families beyond 4 are about the project's tests and tasks, not about its tables and migrations."""
    accused = [row for row in document["findings"] if row["code"] < "RK5"]
    assert {row["code"] for row in accused} == {"RK101", "RK102", "RK201", "RK202", "RK301", "RK401"}
    assert all(row["where"]["path"].startswith("administrate/") for row in accused)
    assert not [row for row in document["findings"] if "tutorial" in row["object"]]


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA)
    assert (document["status"], document["unread"]) == ("findings", [])


def test_the_chain_comes_out_by_itself(document: dict[str, Any]) -> None:
    chain = [(row["id"], row["role"], row["explains"]) for row in document["causes"]]
    assert chain == [
        ("C1", "root", ["C2", "symptom"]),
        ("C2", "contributing", ["symptom"]),
        ("C3", "silencing", ["C2"]),
    ]
    accused = [{each.split()[0] for each in row["findings"]} for row in document["causes"]]
    assert accused == [{"RK101"}, {"RK201"}, {"RK202"}]
    assert all("7 of 7" in row["claim"] for row in document["causes"][:2])


def test_every_evidence_id_leads_to_a_query(document: dict[str, Any], demo_case: Any) -> None:
    known = {item.id for item in demo_case.evidence}
    rows = [*document["findings"], *document["causes"]]
    named = [row["evidence"] for row in rows if row.get("code", "") < "RK5"]  # the others look at files alone
    assert all(named)
    assert {each for ids in named for each in ids} <= known


def test_both_readers_say_the_same(rcakit: Run, demo_dir: Path, document: dict[str, Any]) -> None:
    done = rcakit(
        "check", "--config", _static(demo_dir), "--project", demo_dir / "project", "--format", "json"
    )
    static = json.loads(done.out)
    assert (done.code, static["accounts"]["declared"]["how"]) == (1, "static")
    compared = ("code", "severity", "object", "message", "hint", "where", "migration")
    assert [[row[key] for key in compared] for row in static["findings"]] == [
        [row[key] for key in compared] for row in document["findings"]
    ]
    assert [row["claim"] for row in static["causes"]] == [row["claim"] for row in document["causes"]]
    assert not [row for row in static["unread"] if row["blocking"]]


def test_the_healthy_twin_is_clean_for_both_readers(rcakit: Run, healthy_dir: Path) -> None:
    for options in ([], ["--config", _static(healthy_dir), "--project", healthy_dir / "project"]):
        done = rcakit("check", "--format", "json", "--fail-on", "note", *options, cwd=healthy_dir)
        content = json.loads(done.out)
        assert (done.code, content["status"], content["findings"], content["causes"]) == (0, "ok", [], [])
        assert {row["verdict"] for row in content["accounts"]["placement"]} == {"agrees"}


def _static(directory: Path) -> Path:
    """The directory's settings without an interpreter, beside them."""
    live = (directory / "rcakit.toml").read_text()
    path = directory / "static.toml"
    path.write_text(live.replace('python = "current"\n', ""))
    return path


def test_text_leads_from_the_facts_to_the_causes(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("check", cwd=demo_dir)
    assert done.code == 1
    order = [
        done.out.index(text) for text in ("error RK101", "error RK201", "warning RK202", "how it came about")
    ]
    assert order == sorted(order)
    assert "C1 The declared name is one identifier with a dot in it (led to C2 and what is found" in done.out
    assert re.match(r"\d+ errors, \d+ warnings.*: 17 declared tables, ", done.out.splitlines()[-1])


def test_progress_goes_to_stderr(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("check", cwd=demo_dir)
    assert "reading the project" in done.err
    assert "reading" not in done.out


def test_no_colour_where_nobody_sees_it(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("check", cwd=demo_dir)
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("warning", 1), ("note", 1), ("never", 0)])
def test_fail_on(rcakit: Run, demo_dir: Path, level: str, code: int) -> None:
    assert rcakit("check", "--config", _static(demo_dir), "--fail-on", level).code == code


def test_every_level_is_tested() -> None:
    assert set(LEVELS) == {"error", "warning", "note", "never"}


def test_what_is_waived_is_counted_and_does_not_fail(
    rcakit: Run, demo_dir: Path, document: dict[str, Any]
) -> None:
    path = _static(demo_dir)
    waiver = '\n[[waiver]]\ncode = "{}"\nreason = "known, INC-7"\nexpires = 2999-01-01\n'
    path.write_text(path.read_text() + "".join(waiver.format(rule.code) for rule in rules.RULES))
    done = rcakit("check", "--config", path)
    assert done.code == 0
    assert f"nothing found, {len(document['findings'])} waived" in done.out


# ------------------------------------------------------------------ the ways a command ends


def test_a_reader_that_leaves_early_is_no_error(demo_dir: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*COMMAND, "explain"],
            cwd=demo_dir,
            env=environment(),
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full device is Linux's own")
def test_a_full_disk_is_said(demo_dir: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "explain"],
            cwd=demo_dir,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.decode().startswith("rcakit: the operating system refused: No space left on device")
    assert b"Traceback" not in done.stderr


def test_json_comes_through_any_locale(demo_dir: Path) -> None:
    config = demo_dir / "umlaut.toml"
    config.write_text(_static(demo_dir).read_text().replace('name = "adm-demo"', 'name = "Fälle 🚑"'))
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = spawn("check", "--config", config, "--format", "json", cwd=demo_dir, env=ascii_only)
    assert json.loads(done.out)["target"]["name"] == "Fälle 🚑"
    assert done.out.isascii()


def test_interrupted_while_the_project_is_read(tmp_path: Path, demo_dir: Path) -> None:
    """The project's settings tell when they run, and then wait for a word that never comes; so the moment is certain."""
    project = tmp_path / "project"
    fifo, never = tmp_path / "running", tmp_path / "never"
    project.mkdir()
    os.mkfifo(fifo)
    os.mkfifo(never)
    lines = (f"open({str(fifo)!r}, 'w').write('x')", f"open({str(never)!r}).read()")
    (project / "slow.py").write_text("\n".join(lines), encoding="utf-8")
    config = demo_dir / "rcakit.toml"
    process = begin("check", "--config", config, "--project", project, "--settings", "slow", cwd=tmp_path)
    assert fifo.read_text() == "x"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines()[-1] == "rcakit: cancelled"
    assert b"Traceback" not in err
    with suppress(OSError):  # Python may lose a child that it has just made; then it waits here
        os.close(os.open(never, os.O_WRONLY | os.O_NONBLOCK))


# ------------------------------------------------------------------ help, explain, params, new


COMMANDS = sorted(cli.commands)


def test_help_imports_nothing_heavy() -> None:
    ask = (
        "import sys; sys.argv = ['rcakit', '--help']\n"
        "from rcakit.cli import cli\n"
        "cli(standalone_mode=False)\n"
        "heavy = {'pandas', 'psycopg', 'django', 'matplotlib', 'pydantic', 'postgast', 'sqlalchemy', 'nbformat'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in COMMANDS)


def test_the_short_help_of_every_command_is_whole(rcakit: Run) -> None:
    listed = rcakit("--help").out.partition("Commands:")[2]
    assert all(name in listed for name in COMMANDS)
    assert "..." not in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_parses(rcakit: Run, name: str) -> None:
    """The words of the example are taken by the parser: a renamed option fails here."""
    done = rcakit(name, "--help")
    assert done.code == 0
    line = next(each for each in done.out.partition("Example:")[2].splitlines() if "rcakit " in each)
    for words in _commands(shlex.split(line.strip())):
        command = cli.commands[words[1]]
        command.make_context(words[1], words[2:])


def _commands(words: list[str]) -> Iterator[list[str]]:
    """The rcakit commands of one line of shell."""
    part: list[str] = []
    for word in [*words, "&&"]:
        if word != "&&":
            part.append(word)
            continue
        if part[:1] == ["rcakit"]:
            yield part
        part = []


@pytest.mark.parametrize("name", ["explain", "params", "new"])
def test_cheap_examples_run(rcakit: Run, tmp_path: Path, name: str) -> None:
    text = cli.commands[name].help or ""
    words = shlex.split(text.partition("Example:")[2])
    assert words[0] == "rcakit"
    done = rcakit(*words[1:], cwd=tmp_path)
    assert (done.code, bool(done.out)) == (0, True)


@pytest.mark.parametrize("command", [cli, *cli.commands.values()])
def test_no_option_without_a_word_of_help(command: click.Command) -> None:
    """--format says what it takes by its choices."""
    silent = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help and option.name != "fmt"
    ]
    assert silent == []


@pytest.mark.parametrize("word", ["RK201", "rk201", "guard-never-true"])
def test_explain_takes_a_code_or_a_name(rcakit: Run, word: str) -> None:
    done = rcakit("explain", word)
    assert done.code == 0
    assert done.out.startswith("RK201 guard-never-true: ")
    assert "## Why it stays silent" in done.out


def test_explain_lists_every_rule(rcakit: Run) -> None:
    out = rcakit("explain").out
    assert all(rule.code in out and rule.name in out for rule in rules.RULES)


def test_explain_knows_the_code_that_is_no_rule(rcakit: Run) -> None:
    assert rcakit("explain", waivers.EXPIRED).out.startswith("RK901 expired-waiver: ")


def test_explain_of_an_unknown_code(rcakit: Run) -> None:
    done = rcakit("explain", "RK999")
    assert (done.code, done.out) == (2, "")
    assert done.err == "rcakit: there is no rule 'RK999'\n  -> `rcakit explain` lists them all\n"


def test_params_lists_name_type_default_and_meaning(rcakit: Run) -> None:
    done = rcakit("params", "10_incident_report")
    assert done.code == 0
    assert 'dsn_env: str = ""' in done.out
    assert "NAME of the environment variable" in done.out


def test_params_of_an_unknown_notebook(rcakit: Run) -> None:
    done = rcakit("params", "99_nothing")
    assert (done.code, done.out) == (2, "")
    assert "there is no notebook 99_nothing" in done.err


def test_new_writes_settings_and_notebooks(rcakit: Run, tmp_path: Path) -> None:
    done = rcakit("new", "incident 42", cwd=tmp_path)
    assert done.code == 0
    written = [tmp_path / line for line in done.out.splitlines()]
    assert [path.name for path in written][:2] == ["rcakit.toml", "notes.md"]
    assert all(path.is_file() for path in written)
    assert {path.name for path in written[2:]} == {path.name for path in tour.notebooks().glob("*.ipynb")}
    assert "cd 'incident 42'" in done.err


def test_the_new_settings_are_valid_as_they_stand_and_with_every_comment_opened(tmp_path: Path) -> None:
    tour.new(tmp_path / "inc")
    path = tmp_path / "inc" / "rcakit.toml"
    assert load(path).dsn_env == "RCAKIT_DSN"
    opened = [
        line.removeprefix("# ") if line.startswith(("# [", "# ")) and ("=" in line or "# [" in line) else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(opened))
    target = load(path)
    assert (target.settings, target.waivers[0].code) == ("config.settings", "RK101")
    assert target.expected_schemas == {"adm": ("course_templates", "venues")}


def test_new_never_overwrites(rcakit: Run, tmp_path: Path) -> None:
    (tmp_path / "rcakit.toml").write_text("# mine\n")
    done = rcakit("new", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "rcakit.toml exists already" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["rcakit.toml"]
    assert (tmp_path / "rcakit.toml").read_text() == "# mine\n"


def test_check_in_a_new_directory_says_what_to_fill_in(
    rcakit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RCAKIT_DSN", raising=False)
    rcakit("new", "inc", cwd=tmp_path)
    done = rcakit("check", cwd=tmp_path / "inc")
    assert done.code == 2
    assert "the environment variable RCAKIT_DSN is empty or not set" in done.err
    monkeypatch.setenv("RCAKIT_DSN", "host=/nowhere")
    done = rcakit("check", cwd=tmp_path / "inc")
    assert done.code == 2
    assert "is not a Django project" in done.err
    assert "`project` in rcakit.toml" in done.err


def test_lab_without_a_notebook_says_how_to_get_one(rcakit: Run, tmp_path: Path) -> None:
    (tmp_path / "rcakit.toml").touch()
    done = rcakit("lab", cwd=tmp_path)
    assert done.code == 2
    assert "there is no notebook in" in done.err
    assert "rcakit new DIR" in done.err


def test_version(rcakit: Run) -> None:
    assert package.__version__ in rcakit("--version").out


def test_a_word_that_is_no_command_is_met_with_the_nearest(rcakit: Run) -> None:
    done = rcakit("chekc")
    assert done.code == 2
    assert "check" in done.err


def test_a_missing_extra_is_named_with_its_remedy() -> None:
    """A plain `pip install rcakit` has no notebooks: their packages are hidden from a process of its own."""
    hide = "import sys; sys.modules['nbformat'] = None\nfrom rcakit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hide, "params", "10_incident_report"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the Python package 'nbformat' is not installed" in done.stderr
    assert "pip install 'rcakit[lab]'" in done.stderr
    assert "Traceback" not in done.stderr
