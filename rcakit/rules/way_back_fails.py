"""RK206 way-back-fails: a migration that says it can be undone cannot, or leaves something else behind.

## What it finds

A migration of the project's own whose reverse operations fail when it is undone on a scratch database, or do not bring
the catalog back to what it was before. A failure is a warning, a difference a note: a schema that is left
standing on purpose is one too. Only with `rcakit replay --reverse`.

## Why it stays silent

Reverse operations are run for the first time on the day they are needed. Nothing checks them before.

## Example

```python migrations/0002_move.py
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL("ALTER TABLE shop_venue SET SCHEMA adm", "ALTER TABLE venue SET SCHEMA public"),
    ]
```

```text reversed.txt
shop.0002_move: relation "venue" does not exist
```

## Use instead

```python migrations/0002_move.py
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL("ALTER TABLE shop_venue SET SCHEMA adm", "ALTER TABLE adm.shop_venue SET SCHEMA public"),
    ]
```

```text reversed.txt
shop.0002_move
```
"""

from __future__ import annotations

from collections.abc import Iterator

from rcakit.facts import Accounts, Finding, Severity, WayBack
from rcakit.rules._effects import listed, migrations

CODE = "RK206"
SEVERITY: Severity = "warning"
NEEDS = "replay"


def check(accounts: Accounts) -> Iterator[Finding]:
    files = migrations(accounts)
    for back in accounts.ways_back:
        own = files.get(back.migration)
        if own is not None and own.first_party and (back.error or back.changes):
            yield _finding(back)


def _finding(back: WayBack) -> Finding:
    told = back.error.partition("\n")[0] or f"it leaves behind: {listed(list(back.changes), 4)}"
    return Finding(
        CODE,
        "way-back-fails",
        SEVERITY if back.error else "note",
        back.migration,
        f"undone on a scratch database, {back.migration} {'fails' if back.error else 'does not come back'}: {told}",
        "write reverse operations that undo just what it does, or leave them out so that it counts as irreversible",
        back.where,
        migration=back.migration,
    )
