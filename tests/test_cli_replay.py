"""`rcakit replay` and `rcakit rehearse`, as a person meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from commands import Run, runner
from test_rehearse import GUARDED, HONEST

import rcakit as package

MOVE = "administrate.0003_migrate_to_adm_schema"
SCHEMA = json.loads((Path(package.__file__).parent / "schemas" / "replay.json").read_text(encoding="utf-8"))


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def test_replay_tells_the_silent_no_op_and_what_it_missed(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("replay", cwd=demo_dir)
    assert done.code == 1
    (line,) = (line for line in done.out.split("\n") if "SILENT NO-OP" in line and "0003" in line)
    assert MOVE in line
    assert 'asked for public.course_templates, there was public."adm.course_templates"' in done.out
    assert "and 4 more conditions like that" in done.out
    assert "1 SILENT NO-OP" in done.out.split("\n")[-2]
    assert "administrate.0001_initial" in done.err
    assert "causes undone" not in done.out


def test_reverse_says_how_many_ways_back_lead_back(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("replay", "--reverse", cwd=demo_dir)
    assert done.code == 1
    (line,) = (line for line in done.out.split("\n") if line.startswith("ways back: "))
    assert "20 restored the catalog" in line


def test_replay_as_json_is_one_valid_document(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("replay", "--reverse", "--format", "json", cwd=demo_dir)
    content = json.loads(done.out)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(content, SCHEMA)
    assert [step["migration"] for step in content["steps"] if step["class"] == "silent-no-op"] == [MOVE]
    assert all(step["reverse"] for step in content["steps"])
    assert content["counterfactual"] is None


def test_counterfactual_adds_the_matrix(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("replay", "--counterfactual", cwd=demo_dir)
    assert "nothing undone: 0 of 7 tables are where they were meant to be" in done.out
    assert "C1 undone: 7 of 7 tables" in done.out
    assert (
        f"C3 undone: 0 of 7 tables are where they were meant to be, and the models reach 7; the replay stops at {MOVE}"
        in done.out
    )
    assert "undoing C1" in done.err


def test_the_healthy_project_has_nothing_to_tell(rcakit: Run, healthy_dir: Path) -> None:
    done = rcakit("replay", cwd=healthy_dir)
    assert (done.code, "SILENT" in done.out) == (0, False)


def pending(demo_dir: Path, place: Path, text: str) -> Path:
    project = shutil.copytree(demo_dir / "project", place / "project", ignore=shutil.ignore_patterns(".git"))
    (project / "administrate" / "migrations" / "0005_next.py").write_text(text, encoding="utf-8")
    return project


@pytest.mark.parametrize(("text", "code", "word"), [(GUARDED, 1, "SILENT NO-OP"), (HONEST, 0, "changed")])
def test_rehearse_judges_what_is_pending(
    rcakit: Run, demo_dir: Path, tmp_path: Path, text: str, code: int, word: str
) -> None:
    done = rcakit("rehearse", "--pending", "--project", pending(demo_dir, tmp_path, text), cwd=demo_dir)
    assert (done.code, word in done.out) == (code, True)
    assert "administrate.0005_next" in done.out
    assert MOVE not in done.out


def test_rehearse_with_nothing_pending_says_so(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("rehearse", "--pending", "--format", "json", cwd=demo_dir)
    content = json.loads(done.out)
    jsonschema.validate(content, SCHEMA)
    assert (done.code, content["steps"]) == (0, [])
    assert "no migration to run" in rcakit("rehearse", "--pending", cwd=demo_dir).out


def test_rehearse_wants_to_be_told_what(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("rehearse", cwd=demo_dir)
    assert (done.code, "--pending" in done.err) == (2, True)
