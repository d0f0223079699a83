"""The catalogue mirrored from the course management system. Its tables live in the `adm` schema."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Location(models.Model):
    """A city or campus where courses are held."""

    external_id = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=12)
    name = models.CharField(max_length=120)
    region = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        db_table = "adm.locations"

    def __str__(self):
        return self.name


class Venue(models.Model):
    """A room or building at a location."""

    external_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    capacity = models.PositiveIntegerField(default=0)
    facilities = models.JSONField(default=dict, blank=True)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="venues")

    class Meta:
        db_table = "adm.venues"

    def __str__(self):
        return self.name


class Instructor(models.Model):
    external_id = models.CharField(max_length=64, unique=True)
    first_name = models.CharField(max_length=80)
    last_name = models.CharField(max_length=80)
    email = models.EmailField(blank=True, default="")
    languages = ArrayField(models.CharField(max_length=8), default=list, blank=True)
    home_location = models.ForeignKey(
        Location, on_delete=models.SET_NULL, null=True, blank=True, related_name="instructors"
    )

    class Meta:
        db_table = "adm.instructors"
        indexes = [models.Index(fields=["last_name", "first_name"], name="instructor_name_idx")]

    def __str__(self):
        return self.first_name + " " + self.last_name


class PriceLevel(models.Model):
    """Standard, retaker, early bird and so on."""

    external_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=60)
    description = models.TextField(blank=True, default="")

    class Meta:
        db_table = "adm.pricelevels"

    def __str__(self):
        return self.name


class CourseTemplate(models.Model):
    external_id = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    categories = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    custom_values = models.JSONField(default=dict, blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    price_levels = models.ManyToManyField(
        PriceLevel, through="CourseTemplatePriceLevel", related_name="course_templates"
    )

    class Meta:
        db_table = "adm.course_templates"

    def __str__(self):
        return self.code


class CourseTemplatePriceLevel(models.Model):
    """What a course template costs at a price level."""

    course_template = models.ForeignKey(CourseTemplate, on_delete=models.CASCADE)
    price_level = models.ForeignKey(PriceLevel, on_delete=models.PROTECT)
    amount = models.DecimalField(max_digits=8, decimal_places=2)

    class Meta:
        db_table = "adm.course_template_price_levels"
        constraints = [
            models.UniqueConstraint(fields=["course_template", "price_level"], name="one_price_per_level")
        ]


class CustomField(models.Model):
    """A field that users added in the course management system."""

    external_id = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=120)
    entity = models.CharField(max_length=40)
    required = models.BooleanField(default=False)
    roles = models.JSONField(default=list, blank=True)

    class Meta:
        db_table = "adm.custom_fields"

    def __str__(self):
        return self.label
