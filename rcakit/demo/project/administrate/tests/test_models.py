"""What the catalogue models did before the schema work, and must still do (T011)."""

from django.db import IntegrityError, transaction
from django.test import TestCase

from administrate.models import CourseTemplate, CourseTemplatePriceLevel, CustomField, Instructor, PriceLevel


class CatalogueTests(TestCase):
    def test_price_levels_hang_on_a_course_template(self):
        course = CourseTemplate.objects.create(external_id="C-1", code="CM1", title="Actuarial mathematics")
        standard = PriceLevel.objects.create(external_id="P-1", name="Standard")
        CourseTemplatePriceLevel.objects.create(course_template=course, price_level=standard, amount="415.00")
        self.assertEqual([level.name for level in course.price_levels.all()], ["Standard"])

    def test_one_price_per_level(self):
        course = CourseTemplate.objects.create(external_id="C-1", code="CM1", title="Actuarial mathematics")
        standard = PriceLevel.objects.create(external_id="P-1", name="Standard")
        CourseTemplatePriceLevel.objects.create(course_template=course, price_level=standard, amount="415.00")
        with self.assertRaises(IntegrityError), transaction.atomic():
            CourseTemplatePriceLevel.objects.create(
                course_template=course, price_level=standard, amount="1.00"
            )

    def test_arrays_and_json_come_back_as_they_went_in(self):
        Instructor.objects.create(external_id="I-1", first_name="Ada", languages=["en", "fr"])
        self.assertEqual(Instructor.objects.get().languages, ["en", "fr"])
        CustomField.objects.create(external_id="F-1", label="Sitting", roles=["tutor", "admin"])
        self.assertEqual(CustomField.objects.get().roles, ["tutor", "admin"])
