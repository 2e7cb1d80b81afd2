"""A text as web UIs show it under a picture: a prompt, `Negative prompt:`, a line of settings (`Steps: 20, …`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# Words that cut a prompt into parts. They are no tags, and blanks beside them are no underscores.
COMMANDS = frozenset(("BREAK", "AND", "ADDBASE", "ADDCOL", "ADDROW", "ADDCOMM"))
CUT = rf"(?<![^\s,，、])(?:{'|'.join(sorted(COMMANDS))})(?![^\s,，、])"

_NEGATIVE = re.compile(r"^Negative prompt(?:[:：][ \t]*|[ \t]*$)", re.MULTILINE | re.IGNORECASE)
_SETTINGS = re.compile(r"^Steps: \d+,[^\n]*+\s*+\Z", re.MULTILINE)
# A value is a quoted text, a list or an object (Civitai's resources), or what comes before the next comma.
_SETTING = re.compile(r"""\s*([\w /\-]+):\s*("(?:\\.|[^\\"])+"|[\[{].*?[\]}](?=\s*(?:,\s*[A-Z]|\Z))|[^,]*)(?:,|\Z)""")


class Parts(NamedTuple):
    """The latter two are empty in a bare prompt."""

    prompt: str
    negative: str
    settings: Mapping[str, str]

    @property
    def bare(self) -> bool:
        return not (self.negative or self.settings)


def parts(text: str) -> Parts:
    """The prompt, the negative prompt and the settings of a text."""
    settings: dict[str, str] = {}
    if match := _SETTINGS.search(text):
        settings = {key.strip(): value.strip(' "') for key, value in _SETTING.findall(match[0].rstrip())}
        text = text[: match.start()].rstrip()
    if match := _NEGATIVE.search(text):
        return Parts(text[: match.start()].rstrip(), text[match.end() :].strip(), settings)
    return Parts(text, "", settings)
