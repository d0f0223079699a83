"""Every notebook through papermill, over a matrix of parameters: what findings.json holds, and what its page says.

Pairwise, not the full product: each notebook meets the incident and its healthy twin, models read live and from the
files, and the incident notebook a replay. What is expected is written down, not computed by the kit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT
from links import dead

from rcakit.report import params, runs
from rcakit.report.runs import Options

pytestmark = pytest.mark.slow
INCIDENT = {"RK101", "RK102", "RK201", "RK202", "RK301", "RK401"}  # names, guards, history, placement
INCIDENT |= {
    "RK501",
    "RK502",
    "RK503",
    "RK504",
    "RK505",
    "RK601",
    "RK602",
    "RK701",
}  # tests, pipelines, claims
MOVE = "administrate.0003_migrate_to_adm_schema"
OF_APP = {
    "administrate.0001_initial": "changed",
    "administrate.0002_alter_customfield_external_id": "changed",
    MOVE: "changed",
    "administrate.0004_alter_customfield_roles_to_jsonfield": "changed",
}
MATRIX: list[tuple[str, str, str, dict[str, Any]]] = [
    ("00_start_here", "incident", "static", {}),
    ("00_start_here", "healthy", "live", {}),
    ("10_incident_report", "incident", "static", {}),
    ("10_incident_report", "healthy", "live", {"replay": True}),
    ("20_migration_replay", "incident", "live", {"reverse": True}),
    ("20_migration_replay", "healthy", "live", {}),
    ("30_test_blindness", "incident", "live", {"run_tests": False}),
    ("30_test_blindness", "healthy", "static", {"run_tests": False}),
    ("40_repair_rehearsal", "incident", "live", {"option": "B"}),
    ("40_repair_rehearsal", "healthy", "static", {}),
    ("50_drift_watch", "incident", "static", {}),
    ("50_drift_watch", "healthy", "live", {}),
]

SAYS = {
    ("00_start_here", "incident"): ["adm.venues"],
    ("20_migration_replay", "incident"): [
        f"1 of 20 migrations did nothing and said nothing: {MOVE}",
        "7 of 7 false",
        "It reaches its end only from: plain name",
        "C1 undone: gone",
    ],
    ("30_test_blindness", "incident"): ["Not decided: the tests were not run", "T005TablesArePlaced"],
}
"""What the page answers its notebook's title with, and shows."""


def settings(demo: Path, how: str, place: Path) -> str:
    """The path of settings for a demo; "static": they name no interpreter, so its code cannot run."""
    text = (demo / "rcakit.toml").read_text(encoding="utf-8")
    assert 'project = "project"\n' in text
    assert 'python = "current"\n' in text
    text = text.replace('project = "project"\n', f"project = {json.dumps(str(demo / 'project'))}\n")
    path = place / "rcakit.toml"
    path.write_text(text if how == "live" else text.replace('python = "current"\n', ""), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("notebook", "twin", "how", "more"), MATRIX, ids=[f"{row[0][:2]}-{row[1]}-{row[2]}" for row in MATRIX]
)
def test_what_a_notebook_finds(
    demo_dir: Path,
    healthy_dir: Path,
    tmp_path: Path,
    forked: Options,
    notebook: str,
    twin: str,
    how: str,
    more: dict[str, Any],
) -> None:
    given = {"config": settings(demo_dir if twin == "incident" else healthy_dir, how, tmp_path), **more}
    done = runs.execute(params.find(notebook), given, tmp_path / "reports", forked)
    found = json.loads((done.folder / "findings.json").read_text(encoding="utf-8"))
    wrong = twin == "incident"
    assert (found["status"], done.exit_code) == (("findings", 1) if wrong else ("ok", 0)), done.reason
    assert {row["code"] for row in found["findings"]} == (INCIDENT if wrong else set())
    assert found["accounts"]["declared"]["how"] == how
    assert not any(row["blocking"] for row in found["unread"])
    assert dead(done.report) == []
    steps = {row["migration"]: row["class"] for row in found["steps"]}
    page = done.report.read_text(encoding="utf-8")
    assert [line for line in SAYS.get((notebook, twin), ()) if line not in page] == []
    if notebook == "00_start_here":
        assert ("adm.venues" in page) == wrong
        assert ".dataframe" not in page
    if notebook == "20_migration_replay" or more.get("replay"):
        expected = OF_APP | ({MOVE: "silent-no-op"} if wrong else {})
        assert {key: steps[key] for key in OF_APP} == expected
        assert {key for key, kind in steps.items() if kind in ("silent-no-op", "failed")} == (
            {MOVE} if wrong else set()
        )
    else:
        assert steps == {}
    if (notebook, twin) == ("20_migration_replay", "incident"):
        assert page.count("<img") >= 3
        assert len(found["steps"]) == 20
        assert found["counterfactual"]["trials"]


def test_the_matrix_has_every_notebook_on_both_twins() -> None:
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {(row[0], row[1]) for row in MATRIX} == {
        (name, twin) for name in names for twin in ("incident", "healthy")
    }
    assert {(row[1], row[2]) for row in MATRIX} == {
        (a, b) for a in ("incident", "healthy") for b in ("live", "static")
    }
