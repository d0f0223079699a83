"""Tutorials and the sessions they consist of. Their tables live in the `acted` schema."""

from django.db import models


class TutorialEvents(models.Model):
    code = models.CharField(max_length=30, unique=True)
    title = models.CharField(max_length=200)
    venue = models.ForeignKey(
        "administrate.Venue", on_delete=models.PROTECT, null=True, blank=True, related_name="tutorial_events"
    )
    instructors = models.ManyToManyField(
        "administrate.Instructor", blank=True, related_name="tutorial_events"
    )
    starts_on = models.DateField()
    cancelled = models.BooleanField(default=False)

    class Meta:
        db_table = '"acted"."tutorial_events"'

    def __str__(self):
        return self.code


class TutorialSessions(models.Model):
    """One sitting of a tutorial."""

    event = models.ForeignKey(TutorialEvents, on_delete=models.CASCADE, related_name="sessions")
    sequence = models.PositiveSmallIntegerField()
    starts_at = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField(default=180)
    materials = models.JSONField(default=list, blank=True)

    class Meta:
        db_table = 'acted"."tutorial_sessions'
        constraints = [models.UniqueConstraint(fields=["event", "sequence"], name="session_sequence_once")]
