"""`rcakit gate --prove`: red with every fault, green without one; and the installed gate at work in a project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from commands import ROOT, Run, runner
from test_blindness_mutants import BLIND, FILES

from rcakit import gating, scratch
from rcakit.case import Case, open_case
from rcakit.errors import Refused
from rcakit.gating import faults, proving
from rcakit.gating.bench import CHECK, VERIFY, Look, Seen, Tried, _verdict
from rcakit.gating.proving import Proof
from rcakit.undo.copies import copied

SCHEMA = json.loads((files("rcakit") / "schemas" / "gate.json").read_text("utf-8"))
Made = Callable[..., Case]


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def manage(
    project: Path, server: scratch.Server, dbname: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """`manage.py` as the pipeline's step runs it: rcakit installed, the database by the project's own variables."""
    where = {"DB_HOST": str(server.socket), "DB_PORT": "5432", "DB_NAME": dbname, "DB_USER": "postgres"}
    env = {**os.environ, **where, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("which", "code"), [("healthy_case", 0), ("demo_case", 1)])
def test_the_installed_gate_tells_the_incident_from_its_healthy_twin(
    which: str, code: int, request: pytest.FixtureRequest, tmp_path: Path, server: scratch.Server, dbname: str
) -> None:
    case: Case = request.getfixturevalue(which)
    copy = copied(case.project, tmp_path / "project")
    patch = gating.written(case).text
    subprocess.run(["git", "apply", "-"], input=patch, cwd=copy, check=True, text=True)
    migrated = manage(copy, server, dbname, "migrate", "--no-input")
    assert (migrated.returncode == 0) == (code == 0), migrated.stderr
    verified = manage(copy, server, dbname, VERIFY, "--format", "json")
    assert verified.returncode == code, verified.stderr
    wrong = [row["table"] for row in json.loads(verified.stdout)["tables"] if row["verdict"] != "ok"]
    expected = dict(gating.expectations(case))
    assert set(wrong) >= (set(expected["adm"]) if code else set())
    assert bool(wrong) == bool(code)


@pytest.fixture
def shop(
    tmp_path: Path, server: scratch.Server, dbname: str, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> Made:
    """shop(other files) -> a small project without a fault, migrated."""

    def make(more: Mapping[str, str] = FILES) -> Case:
        for name, text in {**FILES, **more, "shop/tests.py": BLIND}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        assert manage(tmp_path, server, dbname, "migrate").returncode == 0
        monkeypatch.setenv("RCAKIT_TEST_SHOP", conninfo)
        return open_case(dsn_env="RCAKIT_TEST_SHOP", project=str(tmp_path), python=sys.executable)

    return make


@pytest.mark.slow
def test_every_fault_is_red_in_a_project_without_any(shop: Made, server: scratch.Server) -> None:
    case = shop()
    before = {path: path.read_bytes() for path in case.project.rglob("*.py")}
    environment = dict(os.environ)
    proof = proving.prove(case, server=server)
    assert (proof.base, proof.clean.said) == ("the project as it is", "")
    assert [(each.kind, each.seen.colour) for each in proof.tried] == [
        (kind, "red") for kind in faults.KINDS if kind not in ("missing-column", "shadowed-name")
    ]
    assert proof.left_out == ("missing-column", "shadowed-name")
    assert proof.holds
    by = {each.kind: each.seen.caught_by for each in proof.tried}
    assert {kind for kind, names in by.items() if VERIFY not in names} == {
        "missing-constraint", "edited-migration"
    }  # fmt: skip
    assert all(CHECK in names for names in by.values())
    assert {path: path.read_bytes() for path in case.project.rglob("*.py")} == before
    assert dict(os.environ) == environment


@pytest.mark.slow
def test_the_incident_is_proved_on_its_repair(rcakit: Run, demo_dir: Path) -> None:
    done = rcakit("gate", "--prove", "--format", "json", cwd=demo_dir)
    assert done.code == 0, done.out
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert (document["clean"], document["base"]) == ("green", "the project with repair option A")
    assert [row["fault"] for row in document["faults"]] == list(faults.KINDS)
    assert {row["gate"] for row in document["faults"]} == {"red"}
    assert document["left_out"] == []


def test_a_project_that_is_red_without_a_fault_is_told_so(shop: Made, server: scratch.Server) -> None:
    moved = "ALTER TABLE public.venues SET SCHEMA adm"
    broken = FILES["shop/migrations/0002_move.py"].replace(f'"{moved}"', "FORWARD")
    case = shop(
        {"shop/migrations/0002_move.py": broken.replace("class Mig", f"FORWARD = {moved!r}\n\nclass Mig")}
    )
    path = case.project / "shop/migrations/0002_move.py"
    path.write_text(path.read_text().replace(repr(moved), "'SELECT 1'"))
    proof = proving.prove(case, server=server)
    assert not proof.holds
    assert proof.clean.said == "adm.venues is misplaced: it is public.venues"
    assert (proof.tried, proof.left_out) == ((), faults.KINDS)
    jsonschema.validate(proof.to_json(), SCHEMA)
    assert proving.exit_code(proof) == 1
    assert "red: adm.venues is misplaced" in proving.tell(proof)


def test_nothing_to_guard_is_refused(shop: Made, server: scratch.Server) -> None:
    plain = FILES["shop/models.py"].replace("""'"adm"."venues"'""", "'venues'")
    empty = "from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = [('shop', '0001_initial')]\n"
    case = shop({"shop/models.py": plain, "shop/migrations/0002_move.py": empty})
    with pytest.raises(Refused, match="nothing to guard"):
        proving.prove(case, server=server)


# ------------------------------------------------------------------ what counts as red

FOUND, UNSURE, FINE = Look("is misplaced", found=True), Look("could not check"), Look()


@pytest.mark.parametrize(
    ("looks", "colour", "clean"),
    [
        ({"migrate": FINE, VERIFY: FOUND, CHECK: FINE}, "red", False),
        ({"migrate": FINE, VERIFY: FINE, CHECK: FOUND}, "red", False),
        ({"migrate": FOUND, VERIFY: FINE, CHECK: FINE}, "green", False),
        ({"migrate": FINE, VERIFY: UNSURE, CHECK: UNSURE}, "green", False),
        ({"migrate": FINE, VERIFY: FINE, CHECK: FINE}, "green", True),
    ],
)
def test_only_the_gate_makes_red_and_only_silence_is_clean(
    looks: dict[str, Look], colour: str, clean: bool
) -> None:
    seen = Seen(looks)
    assert (seen.colour, seen.clean) == (colour, clean)


def test_one_green_fault_or_none_at_all_is_no_proof() -> None:
    quiet, loud = (Seen({"migrate": FINE, VERIFY: each, CHECK: FINE}) for each in (FINE, FOUND))
    red, green = Tried("wrong-schema", "a.b", loud), Tried("literal-dot", "a.c", quiet)

    def proof(*tried: Tried, clean: Seen = quiet) -> Proof:
        return Proof("the project as it is", clean, tried, (), "18.6", 1.0)

    assert proof(red).holds
    assert not proof(red, green).holds
    assert not proof().holds
    assert not proof(red, clean=Seen({"migrate": FINE, VERIFY: FINE, CHECK: UNSURE})).holds
    jsonschema.validate(proof(red, green).to_json(), SCHEMA)
    assert "literal-dot   green  a.c\n" in proving.tell(proof(red, green))


@pytest.mark.parametrize(
    ("code", "answer", "look"),
    [
        (0, b"", FINE),
        (1, b"Traceback", Look("verify_schema_placement could not check: exit code 1")),
        (1, b'{"tables": []}', Look("verify_schema_placement could not check: exit code 1")),
        (2, b'{"tables": [{"verdict": "ok"}]}', Look("verify_schema_placement could not check: exit code 2")),
        (
            1,
            b'{"tables": [{"verdict": "missing", "expected_schema": "adm", "table": "t", "found": null, "nearest": null}]}',
            Look("adm.t is missing", found=True),
        ),
    ],
)
def test_what_verify_said(code: int, answer: bytes, look: Look) -> None:
    assert _verdict(code, answer) == look
