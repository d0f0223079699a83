"""Tutorial events and sessions."""

import datetime

from django.test import TestCase

from administrate.models import Instructor
from tutorials.models import TutorialEvents, TutorialSessions


class TutorialTests(TestCase):
    def setUp(self):
        self.event = TutorialEvents.objects.create(
            code="CM1-01", title="CM1 tutorial", starts_on=datetime.date(2026, 3, 2)
        )

    def test_sessions_belong_to_an_event(self):
        at = datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.timezone.utc)
        TutorialSessions.objects.create(event=self.event, sequence=1, starts_at=at, materials=["notes"])
        self.assertEqual(self.event.sessions.get().materials, ["notes"])

    def test_an_event_has_instructors(self):
        tutor = Instructor.objects.create(external_id="I-1", first_name="Ada", last_name="Byron")
        self.event.instructors.add(tutor)
        self.assertEqual(list(tutor.tutorial_events.all()), [self.event])
