"""The facts the five accounts are made of. Immutable values, no behaviour beyond look-ups.

`observed`, `declared` and `recorded` hold an account each, `guards` the SQL that may do nothing, `checks` what the project
tests and claims, `accounts` all of it as a rule sees it. Everybody imports from here.
Objects of one database are matched by OID (and attnum), never by name.
"""

from rcakit.facts.accounts import Accounts, Intent, WayBack
from rcakit.facts.checks import (
    Assertion,
    Call,
    CiJob,
    Claim,
    Gate,
    LooksAt,
    ProjectTest,
    Remark,
    State,
    Suite,
)
from rcakit.facts.common import Account, Finding, Rows, Severity, Unread, Where
from rcakit.facts.declared import Declared, Field, Migration, Model, ModelIndex, Operation
from rcakit.facts.guards import Effect, Else, Guard, Verdict
from rcakit.facts.observed import (
    Catalog,
    Column,
    Constraint,
    Default,
    Dependant,
    Function,
    Grant,
    HistoryTable,
    Index,
    Relation,
    Schema,
    Sequence,
    Server,
    Trigger,
    View,
)
from rcakit.facts.recorded import Applied, Edit, Recorded

__all__ = [
    "Account",
    "Accounts",
    "Applied",
    "Assertion",
    "Call",
    "Catalog",
    "CiJob",
    "Claim",
    "Column",
    "Constraint",
    "Declared",
    "Default",
    "Dependant",
    "Edit",
    "Effect",
    "Else",
    "Field",
    "Finding",
    "Function",
    "Gate",
    "Grant",
    "Guard",
    "HistoryTable",
    "Index",
    "Intent",
    "LooksAt",
    "Migration",
    "Model",
    "ModelIndex",
    "Operation",
    "ProjectTest",
    "Recorded",
    "Relation",
    "Remark",
    "Rows",
    "Schema",
    "Sequence",
    "Server",
    "Severity",
    "State",
    "Suite",
    "Trigger",
    "Unread",
    "Verdict",
    "View",
    "WayBack",
    "Where",
]
