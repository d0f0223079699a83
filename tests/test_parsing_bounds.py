"""Migrations that would be read for ever, or fill the memory: read as far as they can be, and told beyond that."""

from __future__ import annotations

from rcakit.parsing.plpgsql import guards
from rcakit.parsing.pyguards import python_guards
from rcakit.parsing.scope import TURNS

LOOPS = "for a in L:\n  for b in L:\n   for c in L:\n    editor.execute('SELECT 1 FROM ' + a + b + c + ' FOR UPDATE')\n"


def test_texts_that_are_doubled_are_not_known_after_a_million_letters() -> None:
    doubled = "".join(f"    a{n + 1} = a{n} + a{n}\n" for n in range(45))
    found, unread = python_guards(
        f"def f(apps, editor):\n    a0 = 'xxxxxxxxxx'\n{doubled}    editor.execute(a45)\n", migration="m"
    )
    assert found == ()
    assert ["only known at run time" in row.reason for row in unread] == [True]


def test_a_text_for_each_letter_of_another_is_not_known() -> None:
    text = "x" * 200_000
    source = f"def f(apps, editor):\n    a = {text!r}\n    editor.execute(a.replace('x', a))\n"
    assert ["only known at run time" in row.reason for row in python_guards(source, migration="m")[1]] == [
        True
    ]
    sql = f"DO $$ DECLARE a text := {text!r}; BEGIN EXECUTE replace(a, 'x', a); END $$"
    assert ["only known at run time" in row.reason for row in guards(sql, migration="m")[1]] == [True]


def test_loops_within_loops_are_unrolled_so_far() -> None:
    items = ", ".join(f"'t{n}'" for n in range(150))
    source = f"L = [{items}]\ndef f(apps, editor):\n {LOOPS}"
    assert len(python_guards(source, migration="m")[1]) < 2 * TURNS
    inner = "EXECUTE 'DROP TABLE IF EXISTS ' || a || b || c;"
    for name in "cba":
        inner = f"FOREACH {name} IN ARRAY ARRAY[{items}] LOOP {inner} END LOOP;"
    found, unread = guards(f"DO $$ DECLARE a text; b text; c text; BEGIN {inner} END $$", migration="m")
    assert 0 < len(found) + len(unread) < 2 * TURNS
