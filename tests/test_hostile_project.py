"""A project and a database full of markup and control characters, investigated for real: all of it is shown, none obeyed.

Names of tables, columns, roles and files, comments, notices, task lists, pipelines, tests, and git's authors, branches and
messages. What is looked at is what people and machines get: a terminal's text, JSON, CSV, notebooks, pages in Chromium.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import psycopg
import pytest
from commands import Done, environment, spawn
from psycopg import sql
from test_report_browser import CHROMIUM

from rcakit import demo, scratch

pytestmark = pytest.mark.slow
VARIABLE = "RCAKIT_TEST_HOSTILE"
MARKUP = "<img src=x onerror=alert(1)>"
ORDERS = "\x1b[31m\x07\u202e\u200b\u2066"
"""What a terminal or a reader's eye would obey: colour, bell, right to left, zero width, isolate."""
MARKDOWN = "[a](javascript:alert(2)) ![b](http://localhost:1/b.png) `c` | d"
SCRIPT = "</td></pre></details><script>alert(3)</script><style>*{display:none}</style>"
EVIL = f"{MARKUP}{ORDERS}{MARKDOWN}{SCRIPT}=1+1\r\n# forged"
LONG = "w" * 10_000
NOTEBOOKS = (
    "10_incident_report",
    "00_start_here",
    "20_migration_replay",
    "30_test_blindness",
    "40_repair_rehearsal",
    "50_drift_watch",
)
OBEYED = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), *range(0x200B, 0x2010))}
OBEYED |= {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)}

MIGRATION = """\
from django.db import migrations

NOTICE = {evil!r}


class Migration(migrations.Migration):
    dependencies = [("administrate", {after!r})]
    operations = [
        migrations.RunSQL("do $n$ begin raise notice '%', $t$" + NOTICE + "$t$; raise warning '%', repeat('w', 10000); end $n$"),
        migrations.RunSQL("create table public.made (id int); comment on table public.made is $t$" + NOTICE + "$t$"),
    ]
"""
TESTS = """\
import pytest


class TestVenues:
    @pytest.mark.parametrize("name", [{evil!r}])
    def test_{long}(self, name):
        {evil!r}
        assert "adm.venues" in open("administrate/models.py").read(), {evil!r}
"""


@dataclass(frozen=True)
class Hostile:
    directory: Path
    env: dict[str, str]

    def run(self, *command: str | Path) -> Done:
        return spawn(*command, cwd=self.directory, env=self.env)


_OWN = re.compile(r"#|data:image/|evidence/|\.\./\d{8}T\d{6}Z-[0-9a-f]{4}/report\.html$", re.IGNORECASE)
"""Where a page of ours may lead: into itself, to a figure or a file of its own, to the report of the last run."""


@pytest.fixture(scope="module")
def hostile(server: scratch.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    directory = tmp_path_factory.mktemp("hostile") / f"in{MARKUP}\u202e`"
    directory.mkdir()
    with server.database("hostile") as spare:
        built = demo.build(directory, server, database=f"{spare}_demo")
        try:
            config = built.config.read_text().replace(
                'python = "current"\n', f'python = "current"\ndsn_env = "{VARIABLE}"\n'
            )
            title = json.dumps(f"adm is empty {EVIL}")
            config = config.replace('title = "', f'title = {title}\nimpact = "')
            built.config.write_text(config + '\n[tests]\ncommand = "{python} -c pass"\n')
            spoil_project(built.project)
            with psycopg.connect(built.conninfo, autocommit=True) as connection:
                spoil_database(connection)
            yield Hostile(directory, {VARIABLE: built.conninfo})
        finally:
            with server.connect() as connection:
                connection.execute(
                    sql.SQL("drop database {} with (force)").format(sql.Identifier(built.database))
                )


def spoil_project(project: Path) -> None:
    after, migrations = "0004_alter_customfield_roles_to_jsonfield", project / "administrate/migrations"
    name = f"0005_{MARKUP}\u202e`|`"
    (migrations / f"{name}.py").write_text(MIGRATION.format(evil=EVIL, after=after))
    (project / "administrate/tests/test_evil.py").write_text(TESTS.format(evil=EVIL, long=LONG))
    tasks = project / f"specs/{MARKUP}/tasks.md"
    tasks.parent.mkdir(parents=True)
    line = EVIL.replace("\r\n", " ")
    text = f"# Tasks {line}\n\n- [x] T005 Test that all tables are in the `adm` schema {line}\n- [x] T006 adm schema {LONG}\n"
    tasks.write_bytes(text.encode() + b"- [x] T007 Move the tables to the adm schema \xff\xfe\x00\n")
    workflow = project / ".github/workflows/evil.yml"
    workflow.write_text(
        json.dumps(
            {"name": EVIL, "on": "push", "jobs": {MARKUP: {"steps": [{"name": EVIL, "run": "pytest"}]}}}
        )
    )
    (project / f"ops/{MARKUP}.sql").write_bytes(b"\xff")
    git(project, "checkout", "-q", "-b", f"evil/{MARKUP.replace(' ', '-')}\u202e")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", f"{EVIL}\n\n{LONG}")


def git(project: Path, *arguments: str) -> None:
    who = {"NAME": f"{MARKUP}\u202e".replace("<", "(").replace(">", ")"), "EMAIL": "a@example.org"}
    author = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    subprocess.run(
        ["git", *arguments], cwd=project, env={**environment(), **author}, check=True, capture_output=True
    )


def spoil_database(connection: psycopg.Connection) -> None:
    short = f"{MARKUP}\x1b[31m\u202e`|"
    table, column = sql.Identifier(f"adm.{short}"), sql.Identifier(f"=cmd|' /C calc'!A0{short}"[:40])
    connection.execute(sql.SQL("create table public.{} ({} int)").format(table, column))
    connection.execute(sql.SQL("comment on table public.{} is {}").format(table, sql.Literal(EVIL)))
    connection.execute(sql.SQL("comment on schema adm is {}").format(sql.Literal(EVIL + LONG)))
    view = sql.SQL('create view public.{} as select * from public."adm.venues"').format(sql.Identifier(short))
    connection.execute(view)
    row = sql.SQL("insert into django_migrations (app, name, applied) values ({}, {}, now())")
    connection.execute(row.format(sql.Literal("administrate"), sql.Literal(f"0004_{EVIL}"[:250])))


# ------------------------------------------------------------------ terminals and machines


def obeyed(text: str) -> list[str]:
    return sorted({hex(ord(each)) for each in text if each in OBEYED})


COMMANDS = {
    "check": [],
    "replay": [],
    "audit-tests": ["--static"],
    "repair": ["--option", "A", "--out", "fix"],
    "rehearse": ["--pending"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_gets_nothing_to_obey(hostile: Hostile, command: str) -> None:
    done = hostile.run(command, *COMMANDS[command])
    assert done.code in (0, 1), done.err
    assert obeyed(done.out + done.err) == []
    assert MARKUP in done.out + done.err
    assert "\\u202e" in done.out + done.err


def test_json_is_plain_ascii_and_whole(hostile: Hostile) -> None:
    done = hostile.run("check", "--format", "json")
    assert done.code == 1, done.err
    assert done.out.isascii()
    assert obeyed(done.out + done.err) == []
    assert "\u202e" in json.dumps(json.loads(done.out), ensure_ascii=False)


@pytest.mark.parametrize("form", ["sarif", "gitlab", "junit", "github", "markdown"])
def test_a_pipeline_gets_nothing_to_obey(hostile: Hostile, form: str) -> None:
    done = hostile.run("check", "--format", form)
    assert done.code == 1, done.err
    assert obeyed(done.out) == []
    assert "u202e" in done.out
    if form == "markdown":
        assert MARKUP not in done.out
        assert "](javascript" not in done.out


# ------------------------------------------------------------------ runs of all notebooks


@pytest.fixture(scope="module")
def runs(hostile: Hostile, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Done, Path]]:
    """The incident's with a replay; the others by one command, as many runs are made."""
    out = tmp_path_factory.mktemp("runs")
    incident, *others, watch = NOTEBOOKS
    printed = ["--pdf"] if CHROMIUM else []
    found = {}
    for command in ([incident, "-p", "replay=true"], others, [watch, *printed]):
        done = hostile.run("run", *command, "--out", out)
        for folder in (Path(line).parent for line in done.out.splitlines()):
            described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            found[described["notebook"].removesuffix(".ipynb")] = (done, folder)
    assert found.keys() == set(NOTEBOOKS)
    return found


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_run_ends_and_says_nothing_to_obey(runs: dict[str, tuple[Done, Path]], name: str) -> None:
    done, folder = runs[name]
    assert done.code in (0, 1, 2)
    assert (folder / "report.html").is_file(), done.err
    assert obeyed(done.err) == []
    found = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert found["status"] not in ("failed", "timeout", "kernel-died"), done.err


def test_what_is_made_of_kept_runs_obeys_nothing(
    hostile: Hostile, runs: dict[str, tuple[Done, Path]], tmp_path: Path
) -> None:
    """The list of runs, and the comparison of two, at a terminal and as pages."""
    (_, first), (_, last) = runs["10_incident_report"], runs["50_drift_watch"]
    out = first.parent.parent
    page = tmp_path / "changes.html"
    commands = [("compare", first, last, "--out", out, "--html", page), ("index", out)]
    commands += [("prune", "--out", out, "--keep", "1", "--dry-run")]
    for command in commands:
        done = hostile.run(*command)
        assert done.code in (0, 1, 2)
        assert "Traceback" not in done.err
        assert obeyed(done.out + done.err) == []
    for path in (page, out / "index.html"):
        reader = Markup()
        reader.feed(path.read_text(encoding="utf-8").partition("</head>")[2])
        links = [each for each in reader.live if each.startswith("a href=")]
        assert reader.live == links
        assert all(re.match(r"a href=(\.\./[\w.-]+/)?adm-demo/\d{8}t\d{6}z-", each) for each in links)
        assert obeyed(reader.text) == []


@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM: nothing was printed")
def test_a_printed_page_holds_text_alone(runs: dict[str, tuple[Done, Path]]) -> None:
    from pypdf import PdfReader

    reader = PdfReader(runs["50_drift_watch"][1] / "report.pdf")
    said = "".join(page.extract_text() for page in reader.pages)
    assert "onerror=alert" in said.replace("\n", "").replace(" ", "")
    assert obeyed(said) == []
    held = b"".join(repr(each.get_object()).encode() for each in reader.pages)
    assert not [word for word in (b"/JavaScript", b"/JS", b"/Launch", b"javascript:") if word in held]


class Markup(HTMLParser):
    """Elements and attributes that would do something."""

    def __init__(self) -> None:
        super().__init__()
        self.live: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in (
            "script",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "link",
            "input",
            "video",
            "svg",
            "style",
        ):
            self.live.append(tag)
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name.startswith("on") or (name in ("href", "src") and not _OWN.match(text)):
                self.live.append(f"{tag} {name}={text[:60]}")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_outputs_of_a_notebook_are_text(runs: dict[str, tuple[Done, Path]], name: str) -> None:
    """JupyterLab shows them without the page's policy."""
    nb = nbformat.read(runs[name][1] / "notebook.ipynb", as_version=4)
    outputs = [output for cell in nb.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs
    for output in outputs:
        data = output.get("data", {})
        assert not set(data) & {"text/markdown", "application/javascript", "text/latex"}
        reader = Markup()
        reader.feed(data.get("text/html", ""))
        assert reader.live == []
        said = (
            reader.text + data.get("text/plain", "") + (output.text if output.output_type == "stream" else "")
        )
        assert obeyed(said) == []


def test_csv_is_whole(runs: dict[str, tuple[Done, Path]]) -> None:
    """Every value as the database has it: what a spreadsheet would calculate is told in the README, not rewritten."""
    tables = list((runs["10_incident_report"][1] / "evidence").glob("*.csv"))
    assert tables
    values = set()
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file))
        assert {len(row) for row in rows} == {len(header)}
        values |= {value for row in rows for value in row}
    assert f"adm.{MARKUP}\x1b[31m\u202e`|" in values
    assert any(value.startswith("=cmd|") for value in values)


@pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: the reports were not opened; install the package chromium"
)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_page_shows_it_and_obeys_nothing(
    browser: Any, runs: dict[str, tuple[Done, Path]], name: str
) -> None:
    report = runs[name][1] / "report.html"
    page = browser.new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("dialog", lambda dialog: (seen.append("dialog"), dialog.dismiss()))
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert [line for line in seen if not line.startswith("data:image/")] == [report.as_uri()]
    live = "[...document.querySelectorAll('script,iframe,object,embed,form,base,link,img:not([src^=\"data:\"])')].length"
    assert page.evaluate(live) == 0
    assert page.evaluate("document.querySelectorAll('style').length") == 1
    handlers = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
    assert page.evaluate(handlers) == 0
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert [link for link in links if not _OWN.match(link)] == []
    shown = page.inner_text("body")
    assert obeyed(shown) == []
    assert MARKUP in shown
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()
