"""Retention: what may go goes, and nothing else, whatever lies around."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from commands import Run, runner
from kept_runs import NOON, finding, keep

from rcakit.archive import prune
from rcakit.archive.held import held
from rcakit.archive.kept import archive
from rcakit.errors import RcaError

NOW = NOON + timedelta(days=30)
PART = ".20260205T120000Z-3f9c.part"


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def pruned(root: Path, keep_: int) -> set[str]:
    """Prune, and the names that went."""
    before = {path.relative_to(root).as_posix() for path in root.glob("*/*")}
    for removal in prune.plan(root, keep_, NOW).remove:
        prune.remove(removal)
    return before - {path.relative_to(root).as_posix() for path in root.glob("*/*")}


def names(*folders: Path) -> set[str]:
    return {f"{folder.parent.name}/{folder.name}" for folder in folders}


def test_the_latest_of_each_target_stay(tmp_path: Path) -> None:
    shop = [keep(tmp_path, hours) for hours in range(4)]
    depot = [keep(tmp_path, hours, target="depot") for hours in range(2)]
    assert pruned(tmp_path, 2) == names(*shop[:2])
    assert all(folder.is_dir() for folder in (*shop[2:], *depot))


def test_the_last_good_and_the_last_finished_run_stay(tmp_path: Path) -> None:
    old = keep(tmp_path, 0)
    good = keep(tmp_path, 1)
    worse = keep(tmp_path, 2, findings=(finding(),))
    finished = keep(tmp_path, 3, findings=(finding(),))
    failed = [keep(tmp_path, hours, status="failed") for hours in (4, 5)]
    spared = {(each.folder, each.why) for each in prune.plan(tmp_path, 1, NOW).spared}
    assert spared == {(good, "the last good run"), (finished, "the last run that came to its end")}
    assert pruned(tmp_path, 1) == names(old, worse, failed[0])


def test_a_run_in_progress_is_never_touched(tmp_path: Path) -> None:
    part = keep(tmp_path).rename(tmp_path / "shop" / PART)
    with held(part):
        assert prune.plan(tmp_path, 1, NOW).remove == ()
        with pytest.raises(RcaError, match="somebody is at work in it"):
            prune.remove(prune.Removal(part, "planned before it was taken"))
    assert (part / "run.json").is_file()


def test_what_a_killed_run_left_goes_after_a_day(tmp_path: Path) -> None:
    keep(tmp_path)
    (tmp_path / "shop" / PART).mkdir()
    assert prune.plan(tmp_path, 1, NOON + timedelta(hours=23)).remove == ()
    assert pruned(tmp_path, 1) == {f"shop/{PART}"}


def test_nothing_that_is_no_run_goes(tmp_path: Path) -> None:
    for hours in range(5):
        keep(tmp_path, hours)
    (tmp_path / "shop" / "notes").mkdir()
    (tmp_path / "shop" / "20200101T000000Z-0000").mkdir()
    (tmp_path / "src" / "package").mkdir(parents=True)
    broken = keep(tmp_path, -9)
    (broken / "run.json").write_text("{")
    later = keep(tmp_path, -8)
    (later / "run.json").write_text('{"version": 2}')
    gone = pruned(tmp_path, 1)
    assert len(gone) == 4
    assert all((tmp_path / "shop" / name).is_dir() for name in ("notes", "20200101T000000Z-0000"))
    assert all(folder.is_dir() for folder in (broken, later, tmp_path / "src" / "package"))


def test_what_a_person_named_or_wrote_into_is_theirs(tmp_path: Path) -> None:
    named = keep(tmp_path, 0).rename(tmp_path / "shop" / "before-the-repair")
    noted = keep(tmp_path, 1)
    (noted / "notes.md").write_text("mine")
    keep(tmp_path, 2)
    keep(tmp_path, 3)
    assert len(pruned(tmp_path, 1)) == 1
    spared = {each.folder: each.why for each in prune.plan(tmp_path, 1, NOW).spared}
    assert spared == {named: "somebody gave it a name", noted: "holds notes.md, which no run writes"}


def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    precious = keep(outside, 0)
    root = tmp_path / "reports"
    keep(root, 5)
    inside = keep(root, 1)
    (inside / "evidence" / "linked").symlink_to(outside)
    (root / "shop" / precious.name).symlink_to(precious)
    (root / "depot").symlink_to(outside / "shop")
    assert pruned(root, 1) == names(inside)
    assert (precious / "run.json").is_file()
    assert (root / "shop" / precious.name).is_symlink()


def test_a_removal_broken_off_leaves_no_half_run(tmp_path: Path) -> None:
    keep(tmp_path, 1)
    half = keep(tmp_path, 0)
    (half.rename(half.with_name(f".{half.name}.part")) / "run.json").unlink()
    assert len(archive(tmp_path).runs) == 1
    assert len(pruned(tmp_path, 1)) == 1


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    keep(tmp_path, 1)
    old = keep(tmp_path, 0)
    (old.with_name(f".{old.name}.part") / "taken").mkdir(parents=True)
    with pytest.raises(RcaError, match="could not be removed: Directory not empty"):
        prune.remove(prune.Removal(old, "old"))
    assert (old / "run.json").is_file()


def test_rcakit_prune(rcakit: Run, tmp_path: Path) -> None:
    old = keep(tmp_path / "reports", 0)
    new = keep(tmp_path / "reports", 1)
    dry = rcakit("prune", "--keep", "1", "--dry-run", cwd=tmp_path)
    assert (dry.code, dry.out) == (0, f"reports/shop/{old.name}\n")
    assert "1 folder would be removed" in dry.err
    assert old.is_dir()
    done = rcakit("prune", "--keep", "1", cwd=tmp_path)
    assert (done.code, done.out) == (0, dry.out)
    assert not old.exists()
    page = (tmp_path / "reports" / "index.html").read_text()
    assert new.name in page
    assert old.name not in page
    assert rcakit("prune", "--keep", "0", cwd=tmp_path).code == 2
    assert rcakit("prune", "--out", "gone", cwd=tmp_path).code == 2
