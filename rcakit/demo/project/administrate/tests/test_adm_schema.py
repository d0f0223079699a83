"""US1: the administrate tables live in the adm schema. One test class a task of tasks.md."""

import importlib
import inspect

from django.db.models import ProtectedError
from django.test import TestCase

from administrate import models
from administrate.models import CourseTemplate, Location, PriceLevel, Venue

MODELS = [
    models.CourseTemplate,
    models.CustomField,
    models.Instructor,
    models.Location,
    models.PriceLevel,
    models.Venue,
]


class T004MigrationIsIdempotent(TestCase):
    """T004: after the migration, applied once or twice, the models read and write."""

    def test_create_read_update_delete(self):
        CourseTemplate.objects.create(external_id="C-1", code="CM1", title="Actuarial mathematics")
        course = CourseTemplate.objects.get(code="CM1")
        course.title = "Actuarial mathematics 1"
        course.save()
        self.assertEqual(CourseTemplate.objects.get(code="CM1").title, "Actuarial mathematics 1")
        course.delete()
        self.assertFalse(CourseTemplate.objects.exists())

    def test_price_level_survives_a_second_save(self):
        level = PriceLevel.objects.create(external_id="P-1", name="Standard")
        level.save()
        self.assertEqual(PriceLevel.objects.count(), 1)


class T005TablesAreInAdm(TestCase):
    """T005: the six tables are in the adm schema. (On SQLite db_table is stripped, so read the source.)"""

    def test_course_templates_is_in_adm(self):
        self.assertIn("adm.course_templates", inspect.getsource(CourseTemplate))

    def test_every_model_names_the_adm_schema(self):
        for model in MODELS:
            self.assertIn("adm", inspect.getsource(model).partition("db_table")[2])


class T006ForeignKeysSurvive(TestCase):
    """T006: a venue still points at its location."""

    def setUp(self):
        self.location = Location.objects.create(external_id="L-1", code="LON", name="London")
        self.venue = Venue.objects.create(external_id="V-1", name="Room 1", location=self.location)

    def test_venue_finds_its_location(self):
        self.assertEqual(Venue.objects.select_related("location").get().location.name, "London")

    def test_location_with_venues_cannot_be_deleted(self):
        with self.assertRaises(ProtectedError):
            self.location.delete()


class T007RedPhase(TestCase):
    """T007: this import is what failed before 0003 was written."""

    def test_migration_exists_and_lists_the_tables(self):
        migration = importlib.import_module("administrate.migrations.0003_migrate_to_adm_schema")
        self.assertIn("course_templates", migration.TABLES)


class T010GreenPhase(TestCase):
    """T010: with the migration in place every model can be queried."""

    def test_every_model_can_be_counted(self):
        for model in MODELS:
            self.assertEqual(model.objects.count(), 0)
