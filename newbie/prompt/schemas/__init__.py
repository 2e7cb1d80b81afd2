"""The prompt language for other programs: RELAX NG and XSD for XML editors, JSON Schema for the JSON form.

All three are written from the one table (newbie/prompt/schema.py). The files in docs/schema/ are what these functions
write; a test keeps them equal. What each of them can and cannot say: docs/schema/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from newbie.prompt.schemas import jsonschema, relaxng, xsd


class Format(NamedTuple):
    """A published schema: the name of its file, and what writes its text."""

    file: str
    text: Callable[[], str]


FORMATS: dict[str, Format] = {
    "rng": Format("newbie-prompt.rng", relaxng.text),
    "xsd": Format("newbie-prompt.xsd", xsd.text),
    "json": Format("newbie-prompt.schema.json", jsonschema.text),
}
