"""The formats that other programs read: valid whatever happened, all of it in them, nothing in them that its reader obeys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pytest
from casefixture import HOSTILE, make_case
from commands import Run, runner, spawn
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as SarifLog

from rcakit import exports
from rcakit.case import Case
from rcakit.cli import checking
from rcakit.exports import Checked, checked, github, markdown
from rcakit.facts import Finding, Unread, Where
from rcakit.names import Name, visible
from rcakit.rules import RULES
from rcakit.waivers import Waived

NASTY = (
    HOSTILE,
    "]]>",
    "a|b\\|c",
    "\n::error::pwned",
    "\r\n::set-output name=x::y",
    "%0A::warning::x, file=/etc/passwd:1",
    "\x00\x01\x08\x0b\x0c\x0e\x1f\x7f\x85\x9b",
    "\ud800\udfff\ufffe\uffff",
    "\u202e\u2066\u200f\u2028",
    "[click](https://example.org) <https://example.org> www.example.org",
    "@somebody `code` **bold** ~~gone~~ # no title",
    "<!-- --> &amp; &#60;b&#62;",
    "{0} {name}",
)
KINDS = ("incident", "healthy", "hostile", "empty")

# GitLab publishes no schema: this is the table of required properties of
# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format put into JSON Schema.
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./.|/)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}

# JUnit XML has no published schema: this is what the xunit-plugin of Jenkins accepts (its junit-10.xsd),
# as element -> (attributes it must have, attributes it may have, children).
JUNIT: Mapping[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (
        set(),
        {"name", "time", "tests", "failures", "disabled", "errors", "skipped"},
        {"testsuite"},
    ),
    "testsuite": (
        {"name", "tests"},
        {"errors", "failures", "skipped", "time", "timestamp", "hostname", "id", "package", "file"},
        {"testcase", "properties", "system-out", "system-err"},
    ),
    "testcase": ({"name", "classname"}, {"time", "status", "assertions"}, {"skipped", "error", "failure"}),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
}


def gathered(case: Any, fail_on: str = "warning", project: Path = Path(), **changes: object) -> Checked:
    """What the formats are given for a fixture case."""
    given = {"waived": (), "project": project, **changes}
    return checked(SimpleNamespace(**{**vars(case), **given}), fail_on)  # type: ignore[arg-type]


def of_kind(kind: str) -> Checked:
    return gathered(make_case(healthy=kind == "healthy", hostile=kind == "hostile", empty=kind == "empty"))


def nasty(text: str) -> Checked:
    """One finding of each level, one waived and two places not read, with `text` wherever people write text."""
    where = Where(f"a/{text}.py", 3)
    one = Finding("RK101", "literal-dot-table", "error", f"o{text}", f"m{text}", f"h{text}", where)
    rows = (
        one,
        replace(one, severity="warning", where=None),
        replace(one, severity="note", migration=f"a.{text}"),
    )
    return gathered(
        make_case(empty=True),
        findings=rows,
        waived=(Waived(replace(one, relation=Name("s", text)), f"because {text}", date(2027, 1, 31)),),
        unread=(Unread("declared", f"why {text}", where), Unread(f"x{text}", "no count", blocking=False)),
    )


def all_of_them() -> list[Checked]:
    return [*map(of_kind, KINDS), *map(nasty, NASTY)]


ALL = pytest.mark.parametrize("what", all_of_them(), ids=[*KINDS, *(f"nasty{n}" for n in range(len(NASTY)))])


# ------------------------------------------------------------------ what the formats share


def test_the_command_offers_what_there_is() -> None:
    assert set(checking.FORMATS) == {"text", "json", *exports.FORMATS}


@pytest.mark.parametrize("fmt", sorted(exports.FORMATS))
@ALL
def test_nothing_is_in_it_that_a_terminal_or_an_editor_obeys(fmt: str, what: Checked) -> None:
    text = exports.FORMATS[fmt](what)
    text.encode()  # a lone surrogate would fail here
    assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("fmt", ["sarif", "junit", "gitlab"])
def test_documents_are_ascii(fmt: str) -> None:
    assert exports.FORMATS[fmt](of_kind("hostile")).isascii()


@pytest.mark.parametrize("fmt", sorted(exports.FORMATS))
def test_the_same_check_is_the_same_text(fmt: str) -> None:
    assert exports.FORMATS[fmt](of_kind("incident")) == exports.FORMATS[fmt](of_kind("incident"))


def test_fingerprints_are_those_of_the_things_and_not_of_the_places() -> None:
    case = make_case()
    moved = tuple(
        replace(row, message=f"in other words: {row.message}", where=Where("elsewhere.py", 4711))
        for row in case.findings
    )
    before = [row.fingerprint for row in gathered(case).standing]
    assert [row.fingerprint for row in gathered(case, findings=moved).standing] == before
    assert len(set(before)) == len(before)


def test_findings_that_are_alike_are_told_apart() -> None:
    row = make_case().findings[0]
    marks = [each.fingerprint for each in gathered(make_case(), findings=(row, row, row)).standing]
    assert len(set(marks)) == 3
    assert [each.fingerprint for each in gathered(make_case(), findings=(row,)).standing] == marks[:1]


def test_paths_are_those_of_the_repository(tmp_path: Path) -> None:
    project = tmp_path / "services" / "shop"
    project.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    what = gathered(make_case(), project=project)
    assert what.path(Where("shop/models.py", 3)) == "services/shop/shop/models.py"
    assert what.path(Where("../../.github/workflows/ci.yml")) == ".github/workflows/ci.yml"
    assert gathered(make_case(), project=tmp_path).path(Where("shop/models.py")) == "shop/models.py"


def test_a_finding_without_a_file_is_shown_at_what_names_the_target(tmp_path: Path) -> None:
    (tmp_path / "manage.py").touch()
    assert gathered(make_case(), project=tmp_path).place(None) == ("manage.py", 1)
    assert gathered(make_case(), project=tmp_path / "elsewhere").place(None)[0] == "."
    case = make_case()
    (tmp_path / "rcakit.toml").touch()
    target = case.target.model_copy(update={"root": tmp_path})
    assert gathered(case, project=tmp_path, target=target).place(None) == ("rcakit.toml", 1)


# ------------------------------------------------------------------ sarif


def sarif(what: Checked) -> dict[str, Any]:
    """The run of a log that is what the published schema says."""
    log = json.loads(exports.FORMATS["sarif"](what))
    SarifLog.model_validate(log)
    (run,) = log["runs"]
    return dict(run)


@ALL
def test_sarif_is_valid(what: Checked) -> None:
    run = sarif(what)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [*(rule.code for rule in RULES), "RK901"]
    assert [rules[row["ruleIndex"]] for row in run["results"]] == [row["ruleId"] for row in run["results"]]
    assert len(run["results"]) == len(what.standing) + len(what.accepted)
    marks = [row["partialFingerprints"]["rcakit/v1"] for row in run["results"]]
    assert len(set(marks)) == len(marks)


@ALL
def test_sarif_names_places_that_lead_back(what: Checked) -> None:
    for row, entry in zip(sarif(what)["results"], (*what.standing, *what.accepted), strict=True):
        (location,) = row["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not set(uri) & set(' "<>\\^`{|}')  # RFC 3986 has no place for these
        assert (unquote(uri), location["physicalLocation"]["region"]["startLine"]) == what.place(
            entry.finding.where
        )
        assert location["logicalLocations"] == [{"fullyQualifiedName": visible(entry.finding.object)}]


def test_the_types_refuse_what_is_not_sarif() -> None:
    log = json.loads(exports.FORMATS["sarif"](of_kind("incident")))
    for broken in ({**log, "version": "2.0.0"}, {**log, "more": 1}, {"version": "2.1.0"}):
        with pytest.raises(ValueError, match="validation error"):
            SarifLog.model_validate(broken)
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(ValueError, match="validation error"):
        SarifLog.model_validate(log)


def test_sarif_rules_carry_their_documentation() -> None:
    rules = sarif(of_kind("healthy"))["tool"]["driver"]["rules"]
    assert len(rules) > len(RULES)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["markdown"].startswith(rule["id"])
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}


def test_sarif_suppresses_what_was_waived_and_says_why() -> None:
    row = make_case().findings[0]
    waived = (Waived(row, "INC-7", date(2027, 1, 31)), Waived(row, "legacy"))
    results = sarif(gathered(make_case(), findings=(), waived=waived))["results"]
    assert [each["suppressions"] for each in results] == [
        [{"kind": "external", "justification": "INC-7"}],
        [{"kind": "inSource", "justification": "legacy"}],
    ]
    assert not [each for each in sarif(of_kind("incident"))["results"] if "suppressions" in each]


def test_sarif_says_what_was_not_read() -> None:
    rows = (
        Unread("declared", "a syntax error", Where("a.py", 3)),
        Unread("observed", "no count", blocking=False),
    )
    (invocation,) = sarif(gathered(make_case(), unread=rows))["invocations"]
    first, second = invocation["toolExecutionNotifications"]
    assert (invocation["executionSuccessful"], first["level"], second["level"]) == (False, "error", "note")
    assert first["message"]["text"] == "declared: a syntax error"
    assert first["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
    assert sarif(of_kind("healthy"))["invocations"][0]["executionSuccessful"]


def test_sarif_makes_no_link_of_a_name() -> None:
    (text, *_) = (row["message"]["text"] for row in sarif(nasty("[click](https://example.org)"))["results"])
    assert "](" not in text.replace("\\]", "")


# ------------------------------------------------------------------ junit


def junit(what: Checked) -> ElementTree.Element:
    """The suite of a document that is what its readers know, with totals that are true."""
    root = ElementTree.fromstring(exports.FORMATS["junit"](what))  # noqa: S314 - of our own making
    for element in root.iter():
        must, may, children = JUNIT[element.tag]
        assert must <= set(element.attrib) <= must | may
        assert {child.tag for child in element} <= children
    (suite,) = root
    for each in (root, suite):
        said = {key: int(each.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}
        counts = Counter(child.tag for case in suite for child in case)
        assert said == {
            "tests": len(suite), "failures": counts["failure"], "errors": counts["error"], "skipped": counts["skipped"],
        }  # fmt: skip
    return suite


@ALL
def test_junit_is_valid_and_no_test_is_there_twice(what: Checked) -> None:
    suite = junit(what)
    names = Counter((case.attrib["classname"], case.attrib["name"]) for case in suite)
    assert max(names.values()) == 1
    assert len(suite.findall("testcase/failure")) == sum(
        row.finding.severity in what.counted for row in what.standing
    )
    assert len(suite.findall("testcase/error")) == sum(row.blocking for row in what.unread)


def test_junit_shows_every_rule_on_a_healthy_project() -> None:
    suite = junit(of_kind("healthy"))
    shown = {case.attrib["classname"] for case in suite}
    assert {f"{rule.code} {rule.name}" for rule in RULES} <= shown
    assert not suite.findall("testcase/failure")


@pytest.mark.parametrize(("fail_on", "failed"), [("error", 1), ("warning", 2), ("note", 3), ("never", 0)])
def test_junit_fails_what_the_exit_code_counts(fail_on: str, failed: int) -> None:
    one = make_case().findings[0]
    levels = tuple(replace(one, severity=each) for each in ("error", "warning", "note"))
    suite = junit(gathered(make_case(), fail_on, findings=levels, unread=()))
    assert len(suite.findall("testcase/failure")) == failed
    assert len(suite.findall("testcase/skipped")) == 3 - failed


def test_junit_holds_what_xml_cannot() -> None:
    suite = junit(nasty("]]>\x00\x1b"))
    (failure, *_) = suite.findall("testcase/failure")
    assert r"m]]>\x00\x1b" in (failure.text or "")


# ------------------------------------------------------------------ github


def commands(what: Checked) -> list[tuple[str, dict[str, str], str]]:
    """Command, properties and message of each line, read the way the runner does (ActionCommand.TryParseV2)."""
    read = []
    for line in github.render(what).splitlines():
        assert line.startswith("::")
        head, message = line[2:].split("::", 1)
        command, _, rest = head.partition(" ")
        pairs = dict(pair.split("=", 1) for pair in rest.split(","))
        properties = {key: _unescaped(value, ":,\r\n%") for key, value in pairs.items()}
        read.append((command, properties, _unescaped(message, "\r\n%")))
    return read


def _unescaped(text: str, characters: str) -> str:
    for character in characters:
        text = text.replace(f"%{ord(character):02X}", character)
    return text


@ALL
def test_github_gets_one_command_a_finding_and_it_comes_back_whole(what: Checked) -> None:
    read = commands(what)
    assert len(read) == len(what.standing) + len(what.unread)
    for (command, properties, message), row in zip(read, what.standing, strict=False):
        where = row.finding.where
        assert command == {"error": "error", "warning": "warning", "note": "notice"}[row.finding.severity]
        assert message == f"{row.fact}\n-> {row.act}"
        assert properties["title"] == row.title
        assert properties.get("file") == (what.path(where) if where else None)
        assert properties.get("line") == (str(where.line) if where and where.line else None)


def test_github_says_what_could_not_be_checked() -> None:
    read = commands(
        gathered(make_case(healthy=True), unread=(Unread("declared", "a syntax error", Where("a.py", 3)),))
    )
    assert read == [
        ("error", {"file": "a.py", "line": "3", "title": "could not check"}, "declared: a syntax error")
    ]


def test_github_has_nothing_to_say_of_a_healthy_project() -> None:
    assert github.render(of_kind("healthy")) == ""


# ------------------------------------------------------------------ gitlab


def gitlab(what: Checked) -> list[dict[str, Any]]:
    issues: list[dict[str, Any]] = json.loads(exports.FORMATS["gitlab"](what))
    jsonschema.validate(issues, GITLAB)
    return issues


@ALL
def test_gitlab_is_valid_and_its_fingerprints_are_unique(what: Checked) -> None:
    issues = gitlab(what)
    assert len({row["fingerprint"] for row in issues}) == len(issues)
    assert len(issues) == len(what.standing) + sum(row.blocking for row in what.unread)


def test_gitlab_is_empty_for_a_healthy_project_and_not_for_an_unread_one() -> None:
    assert gitlab(of_kind("healthy")) == []
    (row, again) = gitlab(
        gathered(make_case(healthy=True), unread=(Unread("declared", "a syntax error"),) * 2)
    )
    assert (row["check_name"], row["severity"]) == ("could-not-check", "critical")
    assert row["fingerprint"] != again["fingerprint"]


# ------------------------------------------------------------------ markdown


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(text: str) -> Page:
    """As a reader that lets HTML through, knows tables and makes links of what looks like one."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


@ALL
def test_markdown_holds_no_structure_but_its_own(what: Checked) -> None:
    shown = page(markdown.render(what))
    assert set(shown.tags) <= {
        "h3",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "br",
        "code",
        "ul",
        "li",
        "strong",
        "p",
    }
    assert shown.attributes == []
    assert shown.tags["td"] == 4 * min(len(what.standing), markdown.LIMIT)
    assert shown.tags["li"] == len(what.unread)
    assert shown.tags["h3"] == 1


@ALL
def test_markdown_shows_every_fact_and_act(what: Checked) -> None:
    shown = page(markdown.render(what)).text.replace("\u200b", "")
    for row in what.standing:
        assert row.fact in shown
        assert row.act in shown


@given(st.text())
def test_escaped_text_is_text(text: str) -> None:
    shown = page(f"| a |\n|---|\n| x{markdown.escape(text)}x |\n")
    once = dict.fromkeys(("table", "thead", "th", "tbody", "td"), 1)
    assert shown.tags == {**once, "tr": 2}
    assert shown.text.replace("\n", "").replace("\u200b", "") == f"ax{visible(text)}x".replace("\u200b", "")


def test_markdown_notifies_nobody_and_links_nowhere() -> None:
    text = markdown.render(nasty("@somebody https://example.org www.example.org"))
    assert not any(each in text for each in ("@", "://", "www.e"))


def test_markdown_counts_what_it_leaves_out() -> None:
    rows = tuple(replace(make_case().findings[0], object=f"o{n}") for n in range(200))
    text = markdown.render(gathered(make_case(), findings=rows))
    assert f"… and {200 - markdown.LIMIT} more." in text
    assert "200 errors" in text
    assert len(text) < 65_536


def test_markdown_of_a_healthy_project_is_one_line() -> None:
    assert markdown.render(of_kind("healthy")) == "### rcakit: nothing found (demo)\n"


# ------------------------------------------------------------------ the real ones, by the command


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


VALID: Mapping[str, Callable[[Checked], object]] = {
    "sarif": sarif,
    "junit": junit,
    "gitlab": gitlab,
    "github": commands,
}


@pytest.mark.parametrize("fmt", sorted(VALID))
def test_the_real_ones_are_valid(fmt: str, demo_case: Case, healthy_case: Case) -> None:
    for case in (demo_case, healthy_case):
        what = checked(case)
        assert len(what.standing) == len(case.findings)
        VALID[fmt](what)


def test_every_place_of_the_demo_is_a_file_of_its_repository(demo_case: Case) -> None:
    what = checked(demo_case)
    root = next(each for each in (demo_case.project, *demo_case.project.parents) if (each / ".git").exists())
    results = sarif(what)["results"]
    assert len(results) == len(what.standing) > 0
    for row in results:
        place = row["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert (root / unquote(place)).is_file()


@pytest.mark.parametrize("fmt", sorted(exports.FORMATS))
def test_the_exit_code_is_that_of_the_findings_in_every_format(rcakit: Run, demo_dir: Path, fmt: str) -> None:
    config = demo_dir / "exports.toml"
    config.write_text((demo_dir / "rcakit.toml").read_text().replace('python = "current"\n', ""))
    done = rcakit("check", "--config", config, "--format", fmt)
    assert done.code == 1
    assert "reading the project" in done.err
    assert "reading the project" not in done.out
    assert "RK101" in done.out
    assert rcakit("check", "--config", config, "--format", fmt, "--fail-on", "never").code == 0


def test_a_format_comes_through_any_locale(healthy_dir: Path) -> None:
    config = healthy_dir / "umlaut.toml"
    live = (healthy_dir / "rcakit.toml").read_text()
    config.write_text(live.replace('name = "adm-demo"', 'name = "Fälle"').replace('python = "current"\n', ""))
    assert "Fälle" in config.read_text()
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = spawn("check", "--config", config, "--format", "markdown", cwd=healthy_dir, env=ascii_only)
    assert (done.code, done.out.splitlines()[0]) == (0, "### rcakit: nothing found (Fälle)")
