"""What SQL, PL/pgSQL and a migration's Python say they will do, read with PostgreSQL's own parser and without running any of it.

`pgparse` is the door to the parser. `plpgsql` and `pyguards` are what the rest of the kit calls: SQL and Python -> guards and
effects. Between them: `sqlfold` and `pyfold` work out constant texts; `effects`, `clauses`, `statements`, `blocks` and `loops`
walk what was parsed, gathering in a `scope`; `presence` and `pyasked` say what a condition asks; `harmless` whether it may be asked.
"""
