"""The gate: a Django app that fails a build, or a migrate, when a table is not in the schema it was meant for.

Install it in a project::

    INSTALLED_APPS = [..., "rcakit.gate"]        # last, so that it speaks after everybody else

and it gives

* ``manage.py verify_schema_placement``: every table of every database alias, compared with where it should be;
* system checks ``rcakit.E001`` to ``rcakit.W003`` for table names that do not mean what they look like;
* a look at the result of every ``manage.py migrate``, which fails when a table is not where it should be;
* migration operations that cannot do nothing in silence: `rcakit.gate.operations`.

It works with Django 3.2 to 6.x and imports nothing but Django, the standard library and `rcakit.names`; these modules
keep to Python 3.8, though the package as a whole is installed on 3.11 and later. What it checks are schemas of PostgreSQL;
on any other database it changes nothing, and says that it could not check.

The setting, every key of which may be left out::

    RCAKIT_GATE = {
        "EXPECTED": {"adm": ["venues", "locations"]},   # schema -> tables
        "CONFIG": BASE_DIR / "rcakit.toml",             # [expected_schemas] of this file; by default the first
                                                        # rcakit.toml from the working directory upwards
        "VERIFY_AFTER_MIGRATE": True,                   # the look after migrate
    }

Without either, the models say it: ``db_table = '"adm"."venues"'`` belongs to schema adm, and so does the literal
``"adm.venues"`` in a database that has a schema of that name.
"""
