"""What the prompt loop offers to complete: behind `/` commands and their values, else what the language allows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from newbie.request import PROMPT_MODES, SAMPLERS, SCHEDULES

if TYPE_CHECKING:
    from newbie.prompt.complete import Candidate

# Commands whose values are known.
CHOICES: dict[str, tuple[str, ...]] = {
    "sampler": tuple(SAMPLERS),
    "solver": tuple(SAMPLERS),
    "schedule": tuple(SCHEDULES),
    "scheduler": tuple(SCHEDULES),
    "prompt_mode": tuple(PROMPT_MODES),
    "system": ("auto", "none"),
    "canonical": ("on", "off"),
    "weights": ("on", "off"),
    "regions": ("auto", "boxes", "off"),
}
FILES = ("load", "save", "lora")
_COMMAND = re.compile(r"/([\w-]*)")
_LIMIT = 50


class Suggestions:
    """`commands` are those of the loop, each with a word about it."""

    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = commands

    def __call__(self, text: str, cursor: int, *, asked: bool = False) -> list[Candidate]:
        """What may replace the word before the cursor. `asked`: the person wants a list, also of an empty word."""
        from newbie.prompt.complete import Candidate, complete
        from newbie.prompt.vocabulary import bundled

        match = _COMMAND.match(text)
        if not match:
            return complete(text, cursor, bundled(), asked=asked)
        if cursor <= match.end():
            typed = text[1:cursor].replace("-", "_")
            return [Candidate(f"/{name}", 0, about) for name, about in self._commands.items() if name.startswith(typed)]
        return self._values(match[1].replace("-", "_"), text[:cursor], match.end(), asked)

    def _values(self, command: str, before: str, end: int, asked: bool) -> list[Candidate]:
        from newbie.prompt.complete import Candidate

        typed = before[end:].lstrip()
        start = len(before) - len(typed)
        if command in FILES:
            return [Candidate(name, start) for name in _files(typed)] if typed or asked else []
        return [Candidate(value, start) for value in CHOICES.get(command, ()) if value.startswith(typed)]


def _files(typed: str) -> list[str]:
    """Names of files and folders that begin like this; hidden ones only when their dot was typed."""
    folder, slash, name = typed.rpartition("/")
    try:
        there = sorted(Path(folder + slash or ".").expanduser().iterdir())
        return [
            f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"
            for path in there
            if path.name.startswith(name) and path.name.startswith(".") == name.startswith(".")
        ][:_LIMIT]
    except (OSError, RuntimeError, ValueError):  # no such folder, no such home: nothing to offer
        return []
