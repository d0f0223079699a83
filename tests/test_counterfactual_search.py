"""Many causes: the smallest sets that matter are found in a bounded number of replays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from django_projects import MANAGE, write

from rcakit import causes, counterfactual, replay
from rcakit.case import open_case
from rcakit.counterfactual import Matrix, Trial
from rcakit.counterfactual.search import smallest
from rcakit.scratch import Server
from rcakit.target import load
from rcakit.undo import Undo

# ------------------------------------------------------------------ the search itself

ITEMS = tuple(range(12))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_needed_is_found_whatever_it_is(size: int) -> None:
    for wanted in map(set, combinations(ITEMS, size)):
        asked: list[tuple[int, ...]] = []

        def holds(
            part: tuple[int, ...], wanted: set[int] = wanted, asked: list[tuple[int, ...]] = asked
        ) -> bool:
            asked.append(part)
            return wanted <= set(part)

        assert smallest(ITEMS, holds) == tuple(sorted(wanted))
        assert len(asked) <= len(ITEMS) ** 2
        assert () not in asked


def test_all_is_kept_when_all_is_needed() -> None:
    assert smallest(ITEMS, lambda part: len(part) == len(ITEMS)) == ITEMS
    assert smallest((1,), lambda part: True) == (1,)


def test_nothing_can_be_left_out_of_what_is_found_also_where_more_is_not_always_better() -> None:
    def holds(part: tuple[int, ...]) -> bool:
        return sum(part) % 7 == sum(ITEMS) % 7 and len(part) > 2

    found = smallest(ITEMS, holds)
    assert holds(found)
    assert not any(holds(tuple(each for each in found if each != one)) for one in found)


def test_an_oracle_that_has_had_enough_ends_the_search() -> None:
    asked: list[tuple[int, ...]] = []

    def holds(part: tuple[int, ...]) -> bool:
        asked.append(part)
        return len(asked) == 1

    assert smallest(ITEMS, holds) == ITEMS[:6]


# ------------------------------------------------------------------ what the rows say


def matrix(gone: Callable[[frozenset[str]], bool], *tried: str) -> Matrix:
    """Of five causes, the symptom as `gone` has it, and the sets that were tried: "", "A", "ABE".."""
    trials = (Trial(tuple(each), 1, int(gone(frozenset(each))), 1, "", (), 0.1) for each in tried)
    return Matrix(tuple(trials), tuple(Undo(each, "") for each in "ABCDE"), {})


ALONE = ("", "A", "B", "C", "D", "E")
ALL_BUT = ("BCDE", "ACDE", "ABDE", "ABCE", "ABCD", "ABCDE")


def test_two_that_are_needed_together_are_one_sufficient_set_and_each_is_necessary() -> None:
    found = matrix(lambda undone: {"A", "D"} <= undone, *ALONE, *ALL_BUT, "AD")
    assert found.sufficient_sets == (("A", "D"),)
    assert found.necessary_sets == (("A",), ("D",))
    assert found.refuted("B")
    assert not found.refuted("A")
    assert (found.sufficient("A"), found.necessary("A"), found.necessary("B")) == (False, True, False)


def test_two_of_which_either_is_enough_are_necessary_only_together() -> None:
    found = matrix(lambda undone: bool({"B", "E"} & undone), *ALONE, *ALL_BUT, "ACD")
    assert found.sufficient_sets == (("B",), ("E",))
    assert found.necessary_sets == (("B", "E"),)


def test_a_symptom_that_nothing_removes_has_no_sets() -> None:
    found = matrix(lambda undone: False, *ALONE, *ALL_BUT)
    assert found.sufficient_sets == found.necessary_sets == ()


def test_where_every_replay_stops_before_a_cause_nothing_is_known_of_it() -> None:
    """An extension that the scratch server lacks, say: the cause is no less likely for that."""
    stopped = "shop.0001: extension is not available"
    trials = tuple(Trial(undone, 0, 0, 1, stopped, (), 0.1) for undone in ((), ("A",), ("B",), ("A", "B")))
    found = Matrix(trials, (Undo("A", ""), Undo("B", "")), {})
    assert found.undecided("A")
    assert not found.refuted("A")
    chain = [causes.Cause(each, "", "root", "", (), ("symptom",), "likely", "", "", ()) for each in "AB"]
    judged = counterfactual.judged(chain, found)
    assert [cause.confidence for cause in judged] == ["likely", "likely"]
    assert "stops where it did before, at shop.0001: extension is not available" in judged[0].proof
    goes_on = replace(trials[3], stopped="", placed=1)
    told = replace(found, trials=(*trials[:3], goes_on))
    assert not told.undecided("A")
    assert not told.refuted("A")


# ------------------------------------------------------------------ for real

TABLES = 5
SETTINGS = """\
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
MODEL = """
class Model{n}(models.Model):
    class Meta:
        db_table = "adm.table{n}"
"""
CREATE = """\
        migrations.CreateModel("Model{n}", [("id", models.BigAutoField(primary_key=True))],
                               options={{"db_table": "adm.table{n}"}}),
"""
MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    operations = [
        migrations.RunSQL("CREATE SCHEMA IF NOT EXISTS adm"),
{create}    ]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    create = "".join(CREATE.format(n=n) for n in range(TABLES))
    models = "".join(MODEL.format(n=n) for n in range(TABLES))
    return write(
        tmp_path / "project",
        {
            "manage.py": MANAGE,
            "config/settings.py": SETTINGS,
            "shop/models.py": f"from django.db import models\n{models}",
            "shop/migrations/0001_initial.py": MIGRATION.format(create=create),
        },
    )


def test_each_name_a_cause_two_of_which_make_the_symptom(
    project: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"settings": "config.settings", "python": sys.executable}
    with replay.hold(project, server=server, **options) as ledger:
        monkeypatch.setenv("SEARCH_DSN", server.conninfo(ledger.databases["default"]))
        case = open_case(load(None, dsn_env="SEARCH_DSN", project=str(project), **options))
        (chain,) = [each for each in causes.chain(case.accounts, case.findings) if "RK101" in each.codes]
        assert len(chain.findings) == TABLES
        each = [replace(chain, id=f"N{n}", findings=(one,)) for n, one in enumerate(chain.findings)]
        wanted = {finding.relation for finding in chain.findings[1::2]}
        symptom = [one for one in case.findings if one.code != "RK401" or one.relation in wanted]
        world = counterfactual.World(case.accounts, project, options["settings"], options["python"])
        said: list[str] = []
        found = counterfactual.prove(world, each, symptom, server, world.replayed(server), said.append)
    assert found is not None
    assert found.sufficient_sets == (("N1", "N3"),)
    assert found.necessary_sets == (("N1",), ("N3",))
    assert [found.refuted(cause.id) for cause in each] == [True, False, True, False, True]
    assert not found.cut_short
    assert len(said) == len(found.trials) - 1 == 2 * TABLES + 2
    judged = {cause.id: cause for cause in counterfactual.judged(each, found)}
    assert {id_ for id_, cause in judged.items() if cause.confidence == "refuted"} == {"N0", "N2", "N4"}
    assert "Undone together, N1 and N3 remove the symptom" in judged["N1"].proof
