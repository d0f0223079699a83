"""The findings of a check in the words of the programs that read them: one module a format.

`json` and `text` are older and live in `rcakit.document` and `rcakit.text`. Everything here takes a `Checked` and
returns text, knows no terminal and no file, and lets no foreign character through that its reader would obey.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rcakit.exports import github, gitlab, junit, markdown, sarif
from rcakit.exports.checked import Checked, checked

FORMATS: Mapping[str, Callable[[Checked], str]] = {
    "sarif": sarif.render,
    "junit": junit.render,
    "github": github.render,
    "gitlab": gitlab.render,
    "markdown": markdown.render,
}

__all__ = ["FORMATS", "Checked", "checked"]
