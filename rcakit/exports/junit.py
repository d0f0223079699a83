"""JUnit XML, which nearly every CI shows as a list of tests.

There is no published standard; this keeps to what the Jenkins xUnit schema and pytest's `xunit2` family share. A rule
that found nothing is a test that passed, one that lacked a database or a replay is skipped; a finding that counts is a failure, one that does not is skipped and says
why, and what could not be checked is an error: a test that did not get as far as a verdict.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rcakit.exports.checked import Checked, Entry, Explained
from rcakit.facts import Unread
from rcakit.names import visible


def render(checked: Checked) -> str:
    """One suite. Control characters, which XML 1.0 cannot hold, are written out; all beyond ASCII is a reference."""
    suite = Element("testsuite", name=f"rcakit {checked.name}")
    found = {row.finding.code for row in (*checked.standing, *checked.accepted)}
    for rule in checked.rules:
        if rule.code not in found:
            _silent(suite, rule)
    for entry in (*checked.standing, *checked.accepted):
        _finding(suite, checked, entry)
    for row in checked.unread:
        _unread(suite, checked, row)
    _count(suite)
    suites = Element("testsuites", {**suite.attrib, "name": "rcakit"})
    suites.append(suite)
    indent(suites)
    written: bytes = tostring(suites, encoding="us-ascii", xml_declaration=True)
    return written.decode("ascii") + "\n"


def _silent(suite: Element, rule: Explained) -> None:
    """A rule without a finding passed, unless nobody could ask it."""
    name = f"needs a {rule.lacks}" if rule.lacks else "nothing found"
    case = SubElement(suite, "testcase", classname=f"{rule.code} {rule.name}", name=name)
    if rule.lacks:
        SubElement(case, "skipped", message=f"not asked: it needs a {rule.lacks}")


def _finding(suite: Element, checked: Checked, entry: Entry) -> None:
    finding = entry.finding
    name = f"{visible(finding.object)} {finding.migration and visible(finding.migration)}".strip()
    case = SubElement(suite, "testcase", classname=entry.title, name=f"{name} ({entry.fingerprint[:8]})")
    if entry.accepted:
        SubElement(case, "skipped", message=f"{entry.fact} (accepted: {entry.accepted})")
    elif finding.severity in checked.counted:
        failure = SubElement(case, "failure", type=finding.severity, message=entry.fact)
        place = f"\n{checked.path(finding.where)}:{finding.where.line or 1}" if finding.where else ""
        failure.text = f"{entry.fact}\n-> {entry.act}{place}"
    else:
        SubElement(case, "skipped", message=f"{finding.severity}: {entry.fact}")


def _unread(suite: Element, checked: Checked, row: Unread) -> None:
    place = checked.path(row.where) + f":{row.where.line or 1} " if row.where else ""
    reason = visible(row.reason)
    classname = "could not check" if row.blocking else "not read"
    case = SubElement(suite, "testcase", classname=classname, name=f"{visible(row.account)}: {place}{reason}")
    if row.blocking:
        SubElement(case, "error", type="unread", message=reason)
    else:
        SubElement(case, "skipped", message=reason)


def _count(suite: Element) -> None:
    """The totals are counted from what was written, so they cannot differ from it."""
    suite.set("tests", str(len(suite)))
    for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(len(suite.findall(f"testcase/{kind}"))))
