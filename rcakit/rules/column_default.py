"""RK415 column-default: the database does not fill a column that Django leaves to it.

## What it finds

A field with `db_default`, an automatic key or a generated field, where the column has no default, no identity and no
expression. A default that only the database knows is innocent, and so is every `default=` of a field: Django fills those
itself and drops them from the column.

## Why it stays silent

The INSERT leaves the value to the database, which answers with NULL: a violation when the column is NOT NULL, a wrong row
when it is not.

## Example

```python models.py
class Venue(models.Model):
    pass
```

```sql database.sql
CREATE TABLE shop_venue (id bigint PRIMARY KEY);
```

## Use instead

```python models.py
class Venue(models.Model):
    pass
```

```sql database.sql
CREATE TABLE shop_venue (id bigserial PRIMARY KEY);
```
"""

from __future__ import annotations

from collections.abc import Iterator

from rcakit.facts import Accounts, Column, Field, Finding, Severity
from rcakit.rules._structure import pairs

CODE = "RK415"
SEVERITY: Severity = "error"


def check(accounts: Accounts) -> Iterator[Finding]:
    for pair in pairs(accounts, "rp"):
        for field, column in pair.both():
            lacking = _lacking(field, column)
            if lacking:
                yield pair.finding(
                    CODE,
                    "column-default",
                    SEVERITY,
                    column.name,
                    f"{pair.model.label}.{field.name} is left to the database to fill, and the column has no {lacking}",
                    f"give the column its {lacking} in a new migration",
                    "columns",
                )


def _lacking(field: Field, column: Column) -> str:
    if field.generated:
        return "" if column.generated else "generation expression"
    filled = column.has_default or bool(column.identity) or bool(column.generated)
    if field.identity and not filled:
        return "identity or sequence"
    return "default" if field.db_default and not filled else ""
