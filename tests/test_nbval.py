"""A notebook with stored outputs, run again and compared by nbval: what values show is what they showed.

Moments, run ids, seconds, snapshots and versions are sanitised, each by its own pattern; every other digit counts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import Done, environment

NOTEBOOKS = Path(__file__).parent / "notebooks"


@pytest.fixture
def compared(demo_dir: Path, tmp_path: Path) -> Done:
    return compare(NOTEBOOKS / "values.ipynb", demo_dir, tmp_path)


def compare(notebook: Path, demo_dir: Path, directory: Path) -> Done:
    """`pytest --nbval` on one notebook, with nothing of this project's own settings."""
    settings = directory / "pytest.ini"
    settings.write_text("[pytest]\n")
    sanitise = f"--nbval-sanitize-with={NOTEBOOKS / 'sanitise.cfg'}"
    command = [sys.executable, "-m", "pytest", "-q", "-c", settings, "--nbval", sanitise, notebook]
    command += ["-p", "no:hypothesispytest"]  # a second's import
    env = environment({"RCAKIT_TEST_CONFIG": str(demo_dir / "rcakit.toml"), "RCAKIT_RUN_DIR": str(directory)})
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_stored_outputs_are_what_comes_out(compared: Done) -> None:
    assert compared.code == 0, compared.out
    assert "passed" in compared.out


@pytest.mark.parametrize(("old", "new"), [("('RK101', 7)", "('RK101', 6)"), ("'contributing'", "'root'")])
def test_another_output_is_noticed(demo_dir: Path, tmp_path: Path, old: str, new: str) -> None:
    text = (NOTEBOOKS / "values.ipynb").read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / "changed.ipynb"
    changed.write_text(text.replace(old, new), encoding="utf-8")
    done = compare(changed, demo_dir, tmp_path)
    assert done.code == 1
    assert "1 failed" in done.out
