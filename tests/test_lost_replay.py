"""A replay whose server or process is lost in the middle: the report says so, and tells everything else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import ROOT, Done, Run, runner

pytestmark = pytest.mark.slow

FALL = """\
import os
import signal
from pathlib import Path

from django.db import migrations


def fall(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        (place,) = cursor.fetchone()
        os.kill({pid}, signal.SIGKILL)
        while True:
            cursor.execute("SELECT 1")


class Migration(migrations.Migration):
    dependencies = [("administrate", "0004_alter_customfield_roles_to_jsonfield")]
    operations = [migrations.RunPython(fall)]
"""
SERVER, ITSELF = 'int((Path(place) / "postmaster.pid").read_text().split()[0])', "os.getpid()"
LOST = "the scratch server was lost in the migration administrate.0005_fall, "
KILLED = "the replaying process was ended by signal 9 in the migration administrate.0005_fall"


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return runner(monkeypatch, capfd)


def falling(demo_dir: Path, tmp_path: Path, pid: str) -> list[str]:
    """The options that lead to the incident with one more migration, which kills what it runs on."""
    project = tmp_path / "project"
    shutil.copytree(demo_dir / "project", project, ignore=shutil.ignore_patterns(".git"))
    (project / "administrate/migrations/0005_fall.py").write_text(FALL.format(pid=pid))
    return ["--config", str(demo_dir / "rcakit.toml"), "--project", str(project)]


def page_of(done: Done, lost: str) -> str:
    """The page of a run that says what was lost; the findings that need no replay are all there."""
    assert done.code == 1, done
    assert "error ignored" not in done.err
    folder = Path(done.out.strip().splitlines()[-1]).parent
    found = json.loads((folder / "findings.json").read_text())
    assert len(found["findings"]) > 40
    assert found["steps"] == []
    assert [row["blocking"] for row in found["unread"] if row["reason"].startswith(lost)] == [True]
    return (folder / "report.html").read_text()


@pytest.mark.parametrize(("pid", "lost"), [(SERVER, LOST), (ITSELF, KILLED)], ids=["server", "process"])
def test_the_incident_report_is_whole_without_the_replay(
    rcakit: Run, demo_dir: Path, tmp_path: Path, pid: str, lost: str
) -> None:
    given = falling(demo_dir, tmp_path, pid)
    page = page_of(rcakit("investigate", *given, "--replay", "--out", tmp_path / "out"), lost)
    assert "<strong>The replay broke off</strong>" in page
    assert "conditions from every state and causes undone are missing" in page
    assert "7 tables that were meant for schema adm are in public" in page
    assert f"broke off</b> {lost[:1].upper()}{lost[1:]}" in page
    assert "No migration of the project asks before it acts" not in page
    assert "Not replayed: run" not in page


def test_the_replay_notebook_says_that_it_cannot_tell(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    config, project = falling(demo_dir, tmp_path, SERVER)[1::2]
    given = ["-p", f"config={config}", "-p", f"project={project}", "--out", str(tmp_path / "out")]
    page = page_of(rcakit("run", "20_migration_replay", *given), LOST)
    assert page.count(f"broke off</b> T{LOST[1:]}") >= 4
    assert "Was it stopped, or out of memory or disk? Replay again." in page


def test_the_command_says_it_and_ends_with_2(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    done = rcakit("replay", *falling(demo_dir, tmp_path, SERVER))
    assert (done.code, done.out) == (2, "")
    assert LOST in done.err
