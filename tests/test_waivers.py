"""Waivers: they hold until their day, and say so afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from rcakit import waivers
from rcakit.facts import Finding, Where
from rcakit.target import Waiver

FINDING = Finding(
    "RK101", "literal-dot-table", "error", 'public."adm.venues"', "fact", "act", Where("m.py", 2)
)
TODAY = date(2026, 2, 5)


def _waiver(**changes: object) -> Waiver:
    return Waiver.model_validate(
        {"code": "RK101", "object": "public.*", "reason": "known", "expires": date(2026, 2, 5)} | changes
    )


def test_a_waiver_holds_through_its_last_day() -> None:
    standing, waived = waivers.apply([FINDING], [_waiver()], None, TODAY)
    assert standing == ()
    assert (waived[0].finding, waived[0].reason) == (FINDING, "known")


def test_an_expired_waiver_waives_nothing_and_is_a_finding() -> None:
    standing, waived = waivers.apply([FINDING], [_waiver(expires=date(2026, 2, 4))], None, TODAY)
    assert waived == ()
    assert [row.code for row in standing] == ["RK101", "RK901"]
    assert "2026-02-04" in standing[1].message


def test_another_code_or_object_is_not_waived() -> None:
    others = [_waiver(code="RK102"), _waiver(object="acted.*")]
    assert waivers.apply([FINDING], others, None, TODAY) == ((FINDING,), ())


def test_a_comment_on_the_line_or_above_it_waives(tmp_path: Path) -> None:
    for text in ("x\ny  # rcakit: ignore[RK101] legacy\n", "# rcakit: ignore[RK201, RK101] legacy\ny\n"):
        (tmp_path / "m.py").write_text(text)
        standing, waived = waivers.apply([FINDING], [], tmp_path, TODAY)
        assert (standing, waived[0].reason) == ((), "legacy")


def test_a_comment_for_another_code_or_far_away_does_not(tmp_path: Path) -> None:
    for text in ("x\ny  # rcakit: ignore[RK102] no\n", "x\ny\n# rcakit: ignore[RK101] below\n"):
        (tmp_path / "m.py").write_text(text)
        assert waivers.apply([FINDING], [], tmp_path, TODAY)[0] == (FINDING,)


def test_a_finding_without_a_readable_place_stands(tmp_path: Path) -> None:
    for where in (None, Where("gone.py", 1), Where("m.py")):
        finding = replace(FINDING, where=where)
        assert waivers.apply([finding], [], tmp_path, TODAY)[0] == (finding,)
