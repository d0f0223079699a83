"""`rcakit gate --write`: a patch that git takes, and that holds all a project needs to guard its placement."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from pathlib import Path

import pytest
from commands import Run, runner

from rcakit import gating
from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.facts import Claim, Where
from rcakit.gating import pipeline, settings, texts
from rcakit.names import Name
from rcakit.sources import ci_static
from rcakit.target import load
from rcakit.undo.copies import copied

ADM = {
    "course_template_price_levels", "course_templates", "custom_fields", "instructors", "locations", "pricelevels",
    "venues",
}  # fmt: skip
EXPECTED = {"adm": ("venues",)}
SETTINGS = """\
import os
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": os.environ["PG_HOST"], "NAME": "shop\\"s", "USER": env("PG_USER", default="me"), "PASSWORD": "secret",
}}
"""


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def applied(case: Case, place: Path) -> Path:
    """A copy of the project with the patch applied by git."""
    copy = copied(case.project, place / "project")
    for check in (["--check"], []):
        text = gating.written(case).text
        subprocess.run(["git", "apply", *check, "-"], input=text, cwd=copy, check=True, text=True)
    return copy


@pytest.mark.parametrize("which", ["demo_case", "healthy_case"])
def test_the_patch_puts_all_of_it_into_the_project(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    case: Case = request.getfixturevalue(which)
    before = {path: path.read_bytes() for path in case.project.rglob("*.*") if path.is_file()}
    copy = applied(case, tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    target = load(copy / "rcakit.toml")
    assert set(target.expected_schemas["adm"]) == ADM
    assert set(target.expected_schemas["acted"]) == {
        "tutorial_events", "tutorial_events_instructors", "tutorial_sessions"
    }  # fmt: skip
    (job,) = [each for each in ci_static.read(copy)[0] if each.where.path == pipeline.GITHUB]
    assert job.postgresql
    assert job.migrates
    assert not job.may_fail
    assert [call.name for call in job.calls] == ["verify_schema_placement", "rcakit check"]
    assert '    "rcakit.gate",\n]' in (copy / "config/settings.py").read_text()
    assert (copy / "requirements.txt").read_text().endswith("\nrcakit\n")
    assert '`db_table = \'"adm"."' in (copy / gating.CONVENTION).read_text().replace("acted", "adm")
    tasks = (copy / "specs/20260204-tutorial-sessions/tasks.md").read_text()
    assert "the `adm` schema after the migration\n  - Done when, on PostgreSQL:" in tasks
    ast.parse((copy / gating.TEMPLATE).read_text())


def test_what_is_there_is_not_written_again(demo_case: Case, tmp_path: Path) -> None:
    copy = applied(demo_case, tmp_path)
    target = demo_case.target.model_copy(update={"project": copy})
    again = gating.written(Case(target))
    assert (again.changed, again.text) == ({}, "")


def test_the_command_writes_the_patch_and_nothing_else(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    done = rcakit("gate", "--write", cwd=demo_dir)
    assert (done.code, done.out[:4]) == (0, "--- ")
    written = rcakit("gate", "--write", "--out", tmp_path, cwd=demo_dir)
    assert written.code == 0, written.err
    assert [path.name for path in tmp_path.iterdir()] == [gating.NAME]
    assert (tmp_path / gating.NAME).read_text() == done.out
    (tmp_path / gating.NAME).write_text("mine")
    refused = rcakit("gate", "--write", "--out", tmp_path / gating.NAME, cwd=demo_dir)
    assert refused.code == 3
    assert (tmp_path / gating.NAME).read_text() == "mine"


@pytest.mark.parametrize("flags", [[], ["--write", "--prove"]])
def test_one_of_the_two_is_asked_for(rcakit: Run, demo_dir: Path, flags: list[str]) -> None:
    done = rcakit("gate", *flags, cwd=demo_dir)
    assert done.code == 2
    assert "--write and --prove" in done.err


# ------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("INSTALLED_APPS = ['shop']\n", "INSTALLED_APPS = ['shop', \"rcakit.gate\"]"),
        ("INSTALLED_APPS: list[str] = [\n    'a',  # ours\n    'shop'\n]\n", "    'shop',\n    \"rcakit.gate\",\n]"),
        ("INSTALLED_APPS = (\n    'shop',\n)\n", "    'shop',\n    \"rcakit.gate\",\n)"),
        ("from base import *\n", 'INSTALLED_APPS = [*INSTALLED_APPS, "rcakit.gate"]'),
        ("INSTALLED_APPS = OWN + ['shop']\n", 'INSTALLED_APPS = [*INSTALLED_APPS, "rcakit.gate"]'),
        ("INSTALLED_APPS = ('é', 'shop',)\n", "INSTALLED_APPS = ('é', 'shop', \"rcakit.gate\",)"),
    ],
)  # fmt: skip
def test_the_app_is_installed_in_the_layout_that_is_there(before: str, line: str) -> None:
    after = settings.edited("config/settings.py", before)
    assert line in after
    ast.parse(after)
    assert 'parents[1] / "rcakit.toml"' in after
    assert settings.edited("config/settings.py", after) == after


def test_path_is_imported_once() -> None:
    future = '"""Doc."""\nfrom __future__ import annotations\nimport os\nINSTALLED_APPS = ["a"]\n'
    after = settings.edited("s.py", future)
    assert after.split("\n")[1:4] == [
        "from __future__ import annotations",
        "from pathlib import Path",
        "import os",
    ]
    assert (
        settings.edited("s.py", "from pathlib import Path\nINSTALLED_APPS = ['a']\n").count("import Path")
        == 1
    )
    assert settings.edited("s.py", "INSTALLED_APPS = ['a']\n").startswith("from pathlib import Path\n")
    assert settings.edited("s.py", '"""Doc."""\nINSTALLED_APPS = ["a"]\n').startswith(
        '"""Doc."""\nfrom pathlib'
    )


def test_settings_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is no file of"):
        settings.path_of(tmp_path, "config.settings")
    with pytest.raises(Refused, match=r"s\.py:1 is not valid Python"):
        settings.edited("s.py", "DATABASES = {\n")


# ------------------------------------------------------------------ pipelines


def test_gitlab_gets_a_job_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / ".gitlab-ci.yml").write_text("test:\n  script: [pytest]\n")
    made = pipeline.files(tmp_path, ci_static.read(tmp_path)[0], "settings.py", 16, "3.12")
    assert list(made) == [".gitlab-ci.yml"]
    (tmp_path / ".gitlab-ci.yml").write_text(made[".gitlab-ci.yml"])
    jobs, unread = ci_static.read(tmp_path)
    assert unread == ()
    test, gate = jobs
    assert (test.name, gate.name) == ("test", "schema-placement")
    assert gate.postgresql
    assert len(gate.calls) == 2
    assert pipeline.files(tmp_path, jobs, "settings.py", 16, "3.12") == {}
    assert "secret" not in made[".gitlab-ci.yml"]
    assert (
        'PG_HOST: "postgres"\n    PG_USER: "app"\n    RCAKIT_DSN: "postgresql://app@postgres:5432/shop%22s"'
        in (made[".gitlab-ci.yml"])
    )
    assert 'POSTGRES_DB: "shop\\"s"' in made[".gitlab-ci.yml"]


def test_a_project_without_a_pipeline_gets_one_and_another_system_none(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("import dj_database_url  # reads DATABASE_URL\n")
    made = pipeline.files(tmp_path, (), "settings.py", 16, "3.12")
    assert 'DATABASE_URL: "postgresql://app@localhost:5432/app"' in made[pipeline.GITHUB]
    (tmp_path / "Jenkinsfile").write_text("node { stage('test') { sh 'pytest' } }\n")
    assert pipeline.files(tmp_path, ci_static.read(tmp_path)[0], "settings.py", 16, "3.12") == {}


# ------------------------------------------------------------------ texts


def test_expectations_survive_strange_names(tmp_path: Path) -> None:
    odd = {'a"dm': ('ven\\ues "x"', "é\t")}
    assert tomllib.loads(texts.settings(odd, "s"))["expected_schemas"] == {
        key: list(v) for key, v in odd.items()
    }
    assert tomllib.loads(texts.added("[target]\nname = 'x'", odd))["target"] == {"name": "x"}
    ast.parse(texts.template(Name('a"dm', 'x"""\nimport os'), "venue", ("shop", "0001")))


def test_a_task_gets_its_done_test_once() -> None:
    text = "# T\n\n  * [x] T1 Move the tables to `adm`\n* [ ] T2 ask adm\n* [ ] T3 the tables\n"
    claims = [
        Claim("T1", "Move the tables to `adm`", True, Where("t.md", 3)),
        Claim("T2", "ask adm", False, Where("t.md", 4)),
        Claim("T3", "the tables", False, Where("t.md", 5)),
    ]
    after = texts.tasks(text, claims, EXPECTED)
    assert after.count("Done when") == 1
    assert "`adm`\n    - Done when, on PostgreSQL: " in after
    assert "1 table in schema `adm`: `venues`." in after
    assert texts.tasks(after, claims[:1], EXPECTED) == after
