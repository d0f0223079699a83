"""The parts of the incident report, one function each: a case in, something a notebook shows out.

They are what the cells of `10_incident_report.ipynb` call, in this order. None of them is left out when it has
nothing to say: then it says so.
"""

from rcakit.report.sections.act import actions, provenance, questions, repair
from rcakit.report.sections.blind import tests_blind
from rcakit.report.sections.gate import prevention
from rcakit.report.sections.head import title, verdict
from rcakit.report.sections.notes import notes
from rcakit.report.sections.replay import replayed
from rcakit.report.sections.what import impact, summary, symptom, timeline
from rcakit.report.sections.why import answer, causes, evidence, factors

__all__ = [
    "actions",
    "answer",
    "causes",
    "evidence",
    "factors",
    "impact",
    "notes",
    "prevention",
    "provenance",
    "questions",
    "repair",
    "replayed",
    "summary",
    "symptom",
    "tests_blind",
    "timeline",
    "title",
    "verdict",
]
