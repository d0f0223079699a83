"""Links of a page that lead nowhere: to a part that it does not have, or to a file that is not there."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote


class _Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given.get("href") or "")


def dead(path: Path) -> list[str]:
    """What a click on the page at `path` would not find, and every id that stands for two places."""
    return dead_in(path.read_text(encoding="utf-8"), path.parent)


def dead_in(page: str, place: Path | None = None) -> list[str]:
    """The same of a page's text; its files are looked for in `place`, and without one every file is missed."""
    found = _Links(page)
    ids = set(found.ids)
    twice = [f"id {name}, twice" for name in sorted(ids) if found.ids.count(name) > 1]
    return twice + [
        link
        for link in dict.fromkeys(found.links)
        if not link.startswith("https://") and not _leads(link, ids, place)
    ]


def _leads(link: str, ids: set[str], place: Path | None) -> bool:
    if link.startswith("#"):
        return link[1:] in ids
    return place is not None and (place / unquote(link)).is_file()
