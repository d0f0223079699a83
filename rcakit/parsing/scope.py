"""What the walk through a PL/pgSQL body knows and gathers.

`Scope` is what is known at a point of the body, `Work` what a run of statements does, `Reading` what is collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rcakit.facts import Effect, Else, Guard, Unread, Where
from rcakit.parsing import clauses
from rcakit.parsing.pgparse import Node, expression, tokens
from rcakit.parsing.sqlfold import Unknown, fold_text, sql_literal, substitute

ERROR, WARNING, INFO = 21, 19, 17
"""PostgreSQL's message levels; DEBUG and LOG, below INFO, reach no client by default."""
TURNS = 5_000
"""Turns of loops over constants that are told apart in one text; in all further ones the variable is not known."""
LOUD: list[Else] = ["none", "notice", "warning", "statements", "raise"]


@dataclass(frozen=True)
class Meta:
    """Where a text comes from; copied into every guard."""

    migration: str
    operation: int = 0
    statement: int = 0
    where: Where | None = None

    def unread(self, reason: str, *, blocking: bool = True) -> Unread:
        prefix = f"{self.migration}: " if self.migration else ""
        return Unread("declared", prefix + reason, self.where, blocking)


@dataclass
class Work:
    """What statements do. `direct` runs unless something fails; `whole` adds what nested conditions guard."""

    direct: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    all_effects: list[Effect] = field(default_factory=list)
    leaves: bool = False
    """It ends in RETURN, EXIT, CONTINUE or an error: nothing after it runs."""
    level: int = 0
    """The highest RAISE level among the direct statements."""

    def add(self, other: Work) -> None:
        """`other` runs after this."""
        self.direct += other.direct
        self.effects += other.effects
        self.hold(other)
        self.level = max(self.level, other.level)
        self.leaves = self.leaves or other.leaves

    def hold(self, other: Work) -> None:
        """`other` may run, under a condition of its own."""
        self.whole += other.whole
        self.all_effects += other.all_effects

    @property
    def says(self) -> Else:
        """How loud these statements are as an alternative to the guarded ones."""
        if self.level >= ERROR:
            return "raise"
        if self.whole:
            return "statements"
        return "warning" if self.level >= WARNING else "notice" if self.level >= INFO else "none"


@dataclass
class Reading:
    """What is collected from one text."""

    meta: Meta
    guards: list[Guard] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    turns: int = TURNS

    def tell(self, reason: str, line: int, *, blocking: bool = True) -> None:
        text = reason if reason.startswith("line ") else f"line {line}: {reason}"
        self.unread.append(self.meta.unread(text, blocking=blocking))

    def add(self, guard: Guard, scope: Scope | None = None) -> None:
        """Keep a guard, completed with where it stands."""
        meta = self.meta
        self.guards.append(
            replace(
                guard,
                migration=meta.migration,
                condition=scope.under(guard.condition) if scope and guard.condition else guard.condition,
                operation=meta.operation,
                statement=meta.statement,
                where=meta.where,
                function=scope.function if scope else "",
            )
        )

    def add_clause(
        self,
        clause: clauses.Clause,
        text: str,
        made: tuple[Effect, ...],
        line: int,
        scope: Scope | None = None,
    ) -> None:
        """An IF [NOT] EXISTS; PostgreSQL itself says a NOTICE when it does nothing."""
        how: Else = "notice"
        relations, negated = clause.relations, clause.negated
        self.add(
            Guard("", "clause", clause.condition, (text,), made, how, relations, negated, line=line), scope
        )


@dataclass(frozen=True)
class Scope:
    """What is known at a point of a body: the conditions it runs under and what its variables stand for."""

    first_line: int
    datums: tuple[str, ...]
    function: str = ""
    conditions: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)

    def under(self, condition: str) -> str:
        """The condition joined with those around it."""
        parts = [*self.conditions, condition]
        return condition if len(parts) == 1 else " AND ".join(f"({part})" for part in parts)

    def given(self, condition: str) -> Scope:
        return replace(self, conditions=(*self.conditions, condition), values=dict(self.values))

    def line(self, fields: Node) -> int:
        return self.first_line + int(fields.get("lineno", 1)) - 1

    def text(self, expr: Node, *, statement: bool = False) -> str:
        """The source of a PLpgSQL_expr, its known variables replaced."""
        return substitute(expr["PLpgSQL_expr"]["query"].strip(), self.values, statement=statement)

    def condition(self, expr: Node) -> str:
        """The same for a condition, so that it can be put in parentheses: no comment at its end, no bare FROM."""
        text = self.text(expr)
        words = tokens(text)
        text = text.encode()[: words[-1].end].decode() if words else text
        return f"(SELECT {text})" if "fromClause" in expression(text) else text

    def know(self, name: str, text: str) -> None:
        """Remember what a variable stands for: a constant where the text folds to one, else the expression."""
        try:
            self.values[name] = sql_literal(fold_text(text))
        except Unknown:
            self.values[name] = text

    def forget(self, statements: object) -> None:
        """Variables that these statements may assign are not known afterwards."""
        for name in _assigned(statements, self.datums):
            self.values.pop(name, None)
            for known in [each for each in self.values if each.startswith(f"{name}.")]:
                del self.values[known]


def _assigned(statements: object, datums: tuple[str, ...]) -> Iterator[str]:
    todo = [statements]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            todo.extend(node.values())
            for key in ("varno", "target", "dno"):
                if isinstance(node.get(key), int) and node[key] < len(datums):
                    yield datums[node[key]]
            if "PLpgSQL_expr" not in node and "query" not in node:
                yield from ("found",) if node.keys() & {"sqlstmt", "PLpgSQL_stmt_perform"} else ()
