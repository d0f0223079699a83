"""The baseline: what is in it does not count, what is not does, whatever lines and wordings do meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from casefixture import HOSTILE, make_case
from commands import Run, runner
from hypothesis import given
from hypothesis import strategies as st
from test_document import SCHEMA, whole
from test_text import finding, shown

from rcakit import baseline
from rcakit.baseline import Parted
from rcakit.errors import ConfigError
from rcakit.facts import Finding, Where

ONE = finding("RK101", rule="literal-dot-table")
EXPIRED = finding("RK901", rule="expired-waiver", object="RK101 *")


def test_without_a_baseline_all_is_new() -> None:
    assert baseline.part(None, [ONE]) == Parted((ONE,))


def test_what_is_listed_is_known_and_the_rest_is_new() -> None:
    other = replace(ONE, object="adm.rooms")
    assert baseline.part(baseline.of([ONE]), [ONE, other]) == Parted((other,), (ONE,))


def test_lines_files_and_wordings_may_change() -> None:
    moved = replace(
        ONE, where=Where("b.py", 99), message="in other words", hint="do", severity="note", evidence=()
    )
    assert baseline.part(baseline.of([ONE]), [moved]).known == (moved,)


@pytest.mark.parametrize(
    "change", [{"code": "RK102"}, {"object": "public.x"}, {"migration": "shop.0002_move"}]
)
def test_another_rule_object_or_migration_is_new(change: dict[str, str]) -> None:
    assert baseline.part(baseline.of([ONE]), [replace(ONE, **change)]).known == ()


def test_one_more_of_the_same_kind_is_new() -> None:
    parted = baseline.part(baseline.of([ONE, ONE]), [ONE, ONE, ONE])
    assert (len(parted.new), len(parted.known), parted.gone) == (1, 2, ())


def test_what_is_not_found_any_more_is_said() -> None:
    parted = baseline.part(baseline.of([ONE]), [])
    assert [str(entry) for entry in parted.gone] == [f"RK101 {ONE.object}"]


def test_an_expired_waiver_never_becomes_known() -> None:
    assert baseline.of([EXPIRED]).findings == ()
    by_hand = baseline.of([replace(EXPIRED, code="RK900")]).findings[0]
    (mark,) = baseline.fingerprints([EXPIRED])
    listed = baseline.Baseline(findings=(by_hand.model_copy(update={"fingerprint": mark}),))
    assert baseline.part(listed, [EXPIRED]).new == (EXPIRED,)


@given(
    st.lists(st.builds(Finding, *[st.text()] * 2, st.just("error"), *[st.text()] * 3, migration=st.text()))
)
def test_a_baseline_of_all_leaves_nothing_new(rows: list[Finding]) -> None:
    rows = [row for row in rows if row.code != "RK901"]
    written = baseline.of(rows)
    assert baseline.part(written, rows) == Parted((), tuple(rows))
    assert baseline.of(reversed(rows)) == written or len(
        {(r.code, r.object, r.migration) for r in rows}
    ) < len(rows)


# ------------------------------------------------------------------ the file


def test_a_file_comes_back_and_is_sorted(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    rows = [replace(ONE, object=name) for name in ("b", "a", HOSTILE, "c")]
    baseline.write(path, baseline.of(rows))
    assert baseline.read(path) == baseline.of(reversed(rows))
    objects = [row["object"] for row in json.loads(path.read_bytes())["findings"]]
    assert objects == sorted(objects)
    assert path.read_text("ascii").endswith("}\n")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "findings: Field required"),
        ('{"version": 2, "findings": []}', "version: Input should be 1"),
        ('{"version": 1, "findings": [], "more": 1}', "more: Extra inputs"),
        ('{"version": 1, "findings": [{"code": "RK101"}]}', "findings.0.object: Field required"),
        (
            '{"version": 1, "findings": [{"code": "a", "object": "b", "migration": null, "fingerprint": "x"}]}',
            "findings.0.fingerprint: String should match",
        ),
    ],
)
def test_what_is_no_baseline_is_said_so(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        baseline.read(path)
    assert said in error.value.what
    assert str(path) in error.value.what
    assert "--write-baseline" in error.value.hint


def test_bytes_that_are_no_text_and_a_missing_file_are_said(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'{"version": 1, "findings": [], "\xff": 1}')
    for name in ("latin", "missing", "."):
        with pytest.raises(ConfigError):
            baseline.read(tmp_path / name)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "b.json", tmp_path / "folder"):
        with pytest.raises(ConfigError, match="cannot write the baseline"):
            baseline.write(path, baseline.of([ONE]))
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


# ------------------------------------------------------------------ what is said


def test_text_counts_the_known_and_names_the_gone() -> None:
    gone = baseline.of([replace(ONE, object=f"x{HOSTILE}")]).findings
    out = shown(parted=Parted((), (ONE, ONE), gone))
    assert out.splitlines()[-1].startswith("nothing found, 2 known: ")
    assert "in the baseline, and not found now\n  RK101 x<img" in out
    assert "\x1b" not in click.unstyle(out)


def test_the_document_has_both() -> None:
    held = baseline.of([replace(ONE, object="gone")])
    case = make_case()
    content = whole(case, baseline=held, parted=Parted((), tuple(case.findings), held.findings))
    jsonschema.validate(content, SCHEMA)
    assert [row["object"] for row in content["baseline"]["gone"]] == ["gone"]
    assert len(content["baseline"]["known"]) == len(case.findings)
    assert whole(case)["baseline"] is None


# ------------------------------------------------------------------ by the command


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


@pytest.fixture
def static(demo_dir: Path) -> Path:
    config = demo_dir / "baseline.toml"
    config.write_text((demo_dir / "rcakit.toml").read_text().replace('python = "current"\n', ""))
    return config


def test_an_old_project_begins_with_what_it_has(rcakit: Run, static: Path, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    check = ("check", "--config", static)
    before = json.loads(rcakit(*check, "--format", "json").out)["findings"]
    wrote = rcakit(*check, "--write-baseline", path)
    assert (wrote.code, "nothing found" in wrote.out) == (0, True)
    assert f"known from now on, by {path}: {len(before)}" in wrote.err
    done = rcakit(*check, "--baseline", path, "--format", "json", "--fail-on", "note")
    content: dict[str, Any] = json.loads(done.out)
    assert (done.code, content["status"], content["findings"], content["causes"]) == (0, "ok", [], [])
    assert (content["baseline"]["known"], content["baseline"]["gone"]) == (before, [])


def test_a_finding_that_is_not_in_it_fails_and_one_that_went_is_named(
    rcakit: Run, static: Path, tmp_path: Path
) -> None:
    path = tmp_path / "known.json"
    rcakit("check", "--config", static, "--write-baseline", path)
    content = json.loads(path.read_text())
    (first, *rest) = content["findings"]
    path.write_text(
        json.dumps(
            {**content, "findings": [{**first, "object": "elsewhere", "fingerprint": "0" * 32}, *rest]}
        )
    )
    done = rcakit("check", "--config", static, "--baseline", path, "--format", "github")
    assert done.code == 1
    assert [line for line in done.out.splitlines() if first["code"] in line]
    assert len([line for line in done.out.splitlines() if line.startswith(("::error", "::warning"))]) == 1
    assert f"in the baseline, and not found now: {first['code']} elsewhere" in done.err


def test_a_bad_baseline_is_told_before_anything_is_read(rcakit: Run, static: Path, tmp_path: Path) -> None:
    done = rcakit("check", "--config", static, "--baseline", tmp_path / "missing.json")
    assert (done.code, done.out) == (2, "")
    assert "cannot read the baseline" in done.err
    assert "reading" not in done.err
    both = rcakit(
        "check", "--config", static, "--baseline", tmp_path / "a", "--write-baseline", tmp_path / "b"
    )
    assert (both.code, "give one of them" in both.err) == (2, True)


def test_a_waived_finding_is_not_written(rcakit: Run, static: Path, tmp_path: Path) -> None:
    waiver = '\n[[waiver]]\ncode = "RK101"\nreason = "known, INC-7"\nexpires = {}\n'
    live = static.read_text()
    static.write_text(live + waiver.format(date(2999, 1, 1)))
    rcakit("check", "--config", static, "--write-baseline", tmp_path / "known.json")
    codes = {row["code"] for row in json.loads((tmp_path / "known.json").read_text())["findings"]}
    assert "RK101" not in codes
    assert "RK201" in codes
    static.write_text(live + waiver.format(date(2020, 1, 1)))
    done = rcakit("check", "--config", static, "--write-baseline", tmp_path / "known.json")
    assert (done.code, "RK901" in done.out) == (1, True)
