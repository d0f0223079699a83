"""The repair people usually advise: two statements a table and a corrected `db_table`. Built to be rehearsed, and to fail.

A rehearsal that lets it pass would let anything pass.
"""

from __future__ import annotations

from dataclasses import replace

from rcakit.case import Case
from rcakit.names import quote
from rcakit.remedy import patch
from rcakit.remedy.parts import EXCLUSIVE, File, Repair, Statement
from rcakit.remedy.survey import Survey, survey

OPTION = "advised"


def repair(case: Case) -> Repair:
    """`SET SCHEMA` and `RENAME TO` for each table, and the model patch. Raises Refused as `remedy.options` does."""
    return build(case, survey(case))


def build(case: Case, found: Survey) -> Repair:
    """The same from what was surveyed."""
    statements = []
    for move in found.moves:
        if move.pending:
            between = f"{quote(move.schema)}.{quote(move.old.name)}"
            texts = (
                f"ALTER TABLE {move.old.sql} SET SCHEMA {quote(move.schema)}",
                f"ALTER TABLE {between} RENAME TO {quote(move.new.name)}",
            )
            statements += [Statement(text, EXCLUSIVE, str(move.old)) for text in texts]
    changed = patch.edited(case.project, found.moves)
    result = Repair(
        option=OPTION,
        title="SET SCHEMA and RENAME TO, as usually advised",
        statements=tuple(statements),
        trade_offs=("Two statements a table, and nothing else.",),
        changed=changed,
        moves=found.moves,
    )
    files = (File("models.patch", patch.diff(case.project, changed)), File("repair.sql", result.sql))
    return replace(result, files=files)
