"""Task lists in Markdown, as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcakit.facts import Where
from rcakit.sources import claims
from rcakit.sources.claims import Claim, tasks


def only(text: str) -> Claim:
    (claim,) = tasks(text, "t.md")
    return claim


@pytest.mark.parametrize(
    ("line", "id_", "text", "ticked"),
    [
        ("- [x] T005 [US1] Test that tables move", "T005", "[US1] Test that tables move", True),
        ("- [X] T005 capital", "T005", "capital", True),
        ("- [ ] T012 open", "T012", "open", False),
        ("* [x] **T005** bold", "T005", "bold", True),
        ("+ [x] `T005`: code", "T005", "code", True),
        ("1. [x] T1 numbered", "T1", "numbered", True),
        ("12) [ ] numbered otherwise", "", "numbered otherwise", False),
        ("      - [x] ADM-12 nested", "ADM-12", "nested", True),
        ("> - [x] T7 quoted", "T7", "quoted", True),
        ("- [x] no number", "", "no number", True),
        ("- [x] T1.2b parts", "T1.2b", "parts", True),
        ("-\t[x]\tT9\ttabs\r", "T9", "tabs", True),
        ("- [x] T005", "T005", "", True),
        ("- [x] <script>alert(1)</script>", "", "<script>alert(1)</script>", True),
    ],
)
def test_a_task_is_read(line: str, id_: str, text: str, ticked: bool) -> None:
    assert only(line) == Claim(id_, text, ticked, Where("t.md", 1))


@pytest.mark.parametrize(
    "line",
    [
        "[x] not an item",
        "- [y] no mark",
        "- [x]no space",
        "- [x] ",
        "text - [x] T1 within",
        "- [] empty",
        "- (x) T1",
    ],
)
def test_what_is_no_task_is_not_read(line: str) -> None:
    assert list(tasks(line, "t.md")) == []


@pytest.mark.parametrize(
    "before_and_after",
    [("```", "```"), ("~~~ md", "~~~"), ("````", "````"), ("<!--", "-->"), ("<!-- note", "end -->")],
)
def test_examples_are_not_claims(before_and_after: tuple[str, str]) -> None:
    opened, closed = before_and_after
    text = f"{opened}\n- [x] T1 example\n{closed}\n- [x] T2 real\n"
    assert only(text) == Claim("T2", "real", True, Where("t.md", 4))


def test_a_fence_ends_only_with_its_own_kind() -> None:
    assert list(tasks("````\n```\n- [x] T1\n~~~~\n```` no\n", "t.md")) == []


def test_every_markdown_file_but_those_of_dependencies(tmp_path: Path) -> None:
    for name in ("specs/a/tasks.md", "README.MD", ".specify/tasks.md", "deep/x.markdown", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# T\n- [x] T1 done\n")
    for name in ("node_modules", ".venv", ".git", "env/lib/site-packages", ".tox"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.md").write_text("- [x] T1 not ours\n")
    found = [claim.where for claim in claims.read(tmp_path)]
    assert sorted(found) == [
        Where(".specify/tasks.md", 2),
        Where("README.MD", 2),
        Where("deep/x.markdown", 2),
        Where("specs/a/tasks.md", 2),
    ]


def test_strange_bytes_do_not_hide_a_task(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf- [x] T1 caf\xe9\n")
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.md").mkdir()
    assert [(claim.id, claim.text) for claim in claims.read(tmp_path)] == [("T1", "caf�")]


def test_the_demo_says_eleven_tasks_are_done() -> None:
    demo = Path(claims.__file__).parent.parent / "demo" / "project"
    ticked = [claim.id for claim in claims.read(demo) if claim.ticked]
    assert ticked == [f"T{number:03}" for number in range(1, 12)]
