"""Move the administrate tables from public to the adm schema.

Safe to run more than once: a table that is not in public any more is left alone.
"""

from django.db import migrations

TABLES = [
    "course_templates",
    "custom_fields",
    "instructors",
    "locations",
    "pricelevels",
    "venues",
    "course_template_price_levels",
]


def make_forward_sql(table_name):
    return f"""
        DO $$
        BEGIN
            IF EXISTS (
                SELECT 1 FROM information_schema.tables
                WHERE table_schema = 'public' AND table_name = '{table_name}'
            ) THEN
                ALTER TABLE public.{table_name} SET SCHEMA adm;
            END IF;
        END $$;
    """


def make_reverse_sql(table_name):
    return f"""
        DO $$
        BEGIN
            IF EXISTS (
                SELECT 1 FROM information_schema.tables
                WHERE table_schema = 'adm' AND table_name = '{table_name}'
            ) THEN
                ALTER TABLE adm.{table_name} SET SCHEMA public;
            END IF;
        END $$;
    """


class Migration(migrations.Migration):
    dependencies = [
        ("administrate", "0002_alter_customfield_external_id"),
    ]

    operations = [
        migrations.RunSQL("CREATE SCHEMA IF NOT EXISTS adm", migrations.RunSQL.noop),
    ] + [
        migrations.RunSQL(make_forward_sql(table_name), make_reverse_sql(table_name)) for table_name in TABLES
    ]
