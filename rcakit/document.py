"""findings.json: one investigation as a JSON document, versioned and described by `schemas/findings.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rcakit.credentials import blanked
from rcakit.facts import Finding, Unread, Where

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.counterfactual import Matrix
    from rcakit.ledger import Ledger
    from rcakit.placement import Placement

VERSION = 1


def document(case: Case) -> dict[str, Any]:
    """The whole document; raises what reading the accounts raises."""
    return {
        "version": VERSION,
        "status": case.status,
        "target": target(case),
        "accounts": accounts(case),
        "findings": [finding(row) for row in case.findings],
        "waived": [
            {
                "finding": finding(row.finding),
                "reason": row.reason,
                "until": row.until and row.until.isoformat(),
            }
            for row in case.waived
        ],
        "baseline": baseline(case),
        "causes": [cause(row) for row in case.causes],
        "unread": [unread(row) for row in case.unread],
        **replay(case),
        "provenance": dict(case.provenance),
    }


def baseline(case: Case) -> dict[str, Any] | None:
    """What was known before, and what of that is not found now; None without a baseline."""
    if case.baseline is None:
        return None
    return {
        "known": [finding(row) for row in case.parted.known],
        "gone": [row.model_dump() for row in case.parted.gone],
    }


def replay(case: Case) -> dict[str, Any]:
    """What the migrations really did: the ledger, the counterfactual matrix, guards in every world."""
    ledger = case.replayed
    if ledger is None:
        return {"steps": [], "counterfactual": None, "worlds": []}
    matrix = case.matrix
    return {
        "steps": ledger.to_json(),
        "counterfactual": None if matrix is None else matrix.to_json(),
        "worlds": [table.to_json() for table in case.worlds],
    }


def steps(ledger: Ledger, *, counterfactual: Matrix | None = None) -> dict[str, Any]:
    """The document of `rcakit replay` and `rcakit rehearse`, described by `schemas/replay.json`."""
    return {
        "version": VERSION,
        "server_version": ledger.server_version,
        "framework": ledger.framework,
        "seconds": round(ledger.seconds, 3),
        "steps": ledger.to_json(),
        "not_run": list(ledger.not_run),
        "counterfactual": None if counterfactual is None else counterfactual.to_json(),
        "unread": [unread(row) for row in ledger.gaps],
    }


def dumps(content: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    """JSON text, readable and stable, with a newline at its end, and with the passwords of the environment blanked.

    `ascii_only` escapes all else, for an output whose encoding is not ours to choose, and whose reader may be a
    terminal that obeys control characters.
    """
    return json.dumps(blanked(dict(content)), indent=2, ensure_ascii=ascii_only) + "\n"


def failed(status: str, reason: str, target_name: str, provenance: Mapping[str, str]) -> dict[str, Any]:
    """The document of a run that could not finish."""
    return _without_a_case(status, Unread("run", reason), target_name, provenance)


def unjudged(target_name: str, provenance: Mapping[str, str]) -> dict[str, Any]:
    """The document of a notebook that ran to its end and never saved a case."""
    nothing = "the notebook saved no case: what it found is in its cells, nothing was judged"
    return _without_a_case("ok", Unread("run", nothing, blocking=False), target_name, provenance)


def _without_a_case(
    status: str, why: Unread, target_name: str, provenance: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "version": VERSION,
        "status": status,
        "target": {"name": target_name},
        "accounts": {},
        "findings": [],
        "waived": [],
        "baseline": None,
        "causes": [],
        "unread": [unread(why)],
        "steps": [],
        "counterfactual": None,
        "worlds": [],
        "provenance": dict(provenance),
    }


def target(case: Case) -> dict[str, Any]:
    """What was investigated; no database is named where none was asked."""
    if case.static:
        return {"name": case.target.name, "incident": case.target.incident.id}
    server = case.observed.server
    return {
        "name": case.target.name,
        "incident": case.target.incident.id,
        "database": server.database,
        "server_version": server.version,
        "role": server.role,
    }


def accounts(case: Case) -> dict[str, Any]:
    """What each account holds in numbers, and the five-account row of every declared table."""
    kinds = [relation.kind for relation in case.observed.relations]
    return {
        "intended": {"sources": len(case.intended), "tables": len({row.db_table for row in case.intended})},
        "declared": {
            "how": case.declared.how,
            "framework": case.declared.framework,
            "models": len(case.declared.models),
            "migrations": len(case.declared.migrations),
        },
        "recorded": {
            "applied": len(case.recorded.applied),
            "history_tables": [
                {"schema": table.schema, "rows": table.rows, "read": table.read}
                for table in case.recorded.tables
            ],
        },
        "replayed": {
            "steps": len(case.replayed.steps) if case.replayed else 0,
            "silent": len(case.replayed.silent()) if case.replayed else 0,
        },
        "observed": {
            "schemas": len(case.observed.schemas),
            "relations": len(kinds),
            "tables": sum(kind in "rpf" for kind in kinds),
            "snapshot": case.observed.server.snapshot,
        },
        "placement": [placed(row) for row in case.placement],
    }


def placed(row: Placement) -> dict[str, Any]:
    """The five accounts of one declared table."""
    return {
        "model": row.model,
        "declared": row.spelling.db_table,
        "intended": row.intended and str(row.intended.target),
        "recorded": row.recorded,
        "replayed": row.replayed,
        "observed": row.relation and str(row.relation),
        "verdict": row.verdict,
    }


def finding(row: Finding) -> dict[str, Any]:
    return {
        "code": row.code,
        "rule": row.rule,
        "severity": row.severity,
        "object": row.object,
        "message": row.message,
        "hint": row.hint,
        "where": where(row.where),
        "evidence": list(row.evidence),
        "migration": row.migration or None,
    }


def cause(row: Any) -> dict[str, Any]:
    return {
        **{
            key: value
            for key, value in asdict(row).items()
            if key not in ("findings", "evidence", "explains")
        },
        "explains": list(row.explains),
        "findings": [f"{item.code} {item.object}" for item in row.findings],
        "evidence": list(row.evidence),
    }


def unread(row: Unread) -> dict[str, Any]:
    return {
        "account": row.account,
        "reason": row.reason,
        "where": where(row.where),
        "blocking": row.blocking,
    }


def where(place: Where | None) -> dict[str, Any] | None:
    return None if place is None else {"path": place.path, "line": place.line}
