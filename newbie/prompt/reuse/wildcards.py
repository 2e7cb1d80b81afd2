"""Wildcard files: a folder of lists, one choice per line.

The folder is listed once, and names in prompts are looked up in that list: no path is ever built from a prompt.
Empty lines say nothing; lines that begin with # are notes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from array import array
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from newbie.errors import PromptError
from newbie.prompt.read import decode
from newbie.prompt.reuse.folder import Folder, Unusable
from newbie.prompt.source import Source, Span

MAX_FILE_BYTES = 8 * 2**20  # the community's longest lists, of 140,000 lines, have 3
MAX_FILES = 10_000
MAX_FOLDERS = 1_000
SUFFIX = ".txt"


@dataclass(frozen=True)
class Lines:
    """The choices of one file; only where they begin is kept."""

    source: Source
    starts: array[int] = field(repr=False)
    sha256: str

    def __len__(self) -> int:
        return len(self.starts)

    def span(self, number: int) -> Span:
        """Where a choice stands, without the blanks around it; they count from 0."""
        start = self.starts[number]
        stop = self.source.text.find("\n", start)
        line = self.source.text[start : stop if stop >= 0 else None]
        start += len(line) - len(line.lstrip())
        return Span(start, start + len(line.strip()))


@dataclass(frozen=True)
class Wildcards:
    """The lists beneath a folder, read when they are asked for."""

    folder: Folder
    _read: dict[str, Lines] = field(default_factory=dict, repr=False)

    @cached_property
    def names(self) -> dict[str, str]:
        """Name in a prompt (`hair/colors`) -> file relative to the folder. Links to folders are not followed."""
        root = self.folder.path
        files: list[Path] = []
        for here, folders, names in islice(os.walk(root), MAX_FOLDERS):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            files += [Path(here, name) for name in sorted(names) if name.endswith(SUFFIX) and name[0] != "."]
        found = [path.relative_to(root).as_posix() for path in files[:MAX_FILES]]
        return {name.removesuffix(SUFFIX): name for name in found}

    def lines(self, name: str) -> Lines:
        """The choices of the list `name`.

        Raises:
            Unusable: no such list, too large, not UTF-8, or nothing in it.
        """
        if name not in self._read:
            self._read[name] = self._lines(name)
        return self._read[name]

    def _lines(self, name: str) -> Lines:
        file = self.names.get(name)
        if file is None:
            close = difflib.get_close_matches(name, self.names, 1)
            hint = f"did you mean __{close[0]}__?" if close else f"it has {len(self.names):,} lists, ending in {SUFFIX}"
            raise Unusable(f"the folder {self.folder.path.name} has no list {name}", hint)
        data = self.folder.read(file, MAX_FILE_BYTES)
        try:
            text = decode(data, file).replace("\r\n", "\n").replace("\r", "\n")
        except PromptError as error:
            raise Unusable(error.message, error.hint) from None
        starts = _starts(text)
        if not starts:
            raise Unusable(f"{file} holds no words", "write one choice per line")
        return Lines(Source(text, str(self.folder.path / file)), starts, hashlib.sha256(data).hexdigest())


def _starts(text: str) -> array[int]:
    """Where the lines begin that hold a choice."""
    starts = array("Q")
    at = 0
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop].lstrip()
        if line and not line.startswith("#"):
            starts.append(at)
        at = stop + 1
    return starts
