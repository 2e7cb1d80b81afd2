"""From lines to entries: a command, a line of tags, or an XML prompt of many lines that ends when its tags balance.

A prompt usually has several elements at its top (`<character_1>`, `<general_tags>`, ...), so balance alone is not its
end: when the next line is there already (a paste, a file) and begins an element this prompt does not have yet,
the prompt goes on.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from newbie.cli.lines import Lines

PASTE_SECONDS = 0.15  # how long a paste or a pipe may pause between two lines of one prompt
MAX_CHARACTERS = 256 * 1024  # beyond it the reader refuses the prompt: no need to collect more
_COMMAND = re.compile(r"/([A-Za-z][\w-]*|\?)(?:\s+(.*))?", re.DOTALL)
_OPENING = re.compile(r"<([A-Za-z_][^<>/=]*)/?>")
_SYSTEM_END = "<Prompt Start>"


class Entry(NamedTuple):
    """A command with its argument, or (command "") a prompt; `complete` is False where a tag was left open."""

    text: str
    command: str = ""
    complete: bool = True


class EntrySource(Protocol):
    """Where the prompt loop's entries come from: lines (Entries) or an editor (screen.py)."""

    @property
    def interactive(self) -> bool:
        """Whether a person types: then the loop speaks more, and errors do not become its exit code."""

    def next(self) -> Entry:
        """Raises EOFError at the end, KeyboardInterrupt for Ctrl-C."""

    def forget(self) -> None:
        """Drop what was read ahead (after Ctrl-C at the prompt)."""

    def close(self) -> None: ...


def whole(text: str) -> Entry:
    """The entry that a text is, when nothing can follow it."""
    from newbie.prompt.scan import is_complete

    if command := _COMMAND.fullmatch(text.strip()):
        return Entry((command[2] or "").strip(), command[1].lower())
    if _elements(text) or _SYSTEM_END in text:
        return Entry(text.strip("\n"), complete=is_complete(text))
    return Entry(text.strip())


class Entries:
    """Reads entries from lines. Lines that were read too far are kept for the next entry."""

    def __init__(self, lines: Lines, prompt: str = "newbie> ", more: str = "   ...> ") -> None:
        self._lines = lines
        self._prompt = prompt
        self._more = more
        self._kept: list[str] = []

    @property
    def interactive(self) -> bool:
        return self._lines.interactive

    def close(self) -> None:
        self._lines.close()

    def next(self) -> Entry:
        line = self._line(self._prompt)
        while not line.strip():
            line = self._line(self._prompt)
        if command := _COMMAND.fullmatch(line.strip()):
            return Entry((command[2] or "").strip(), command[1].lower())
        if _elements(line) or _SYSTEM_END in line:
            return self._block(line)
        return Entry(line.strip())

    def forget(self) -> None:
        self._kept.clear()

    def _block(self, text: str) -> Entry:
        from newbie.prompt.scan import is_complete

        while len(text) <= MAX_CHARACTERS:
            complete = is_complete(text)
            if complete or not self._open_block_goes_on():
                blanks = self._skip_blanks()
                if blanks is None or not _goes_on(self._kept[0], text, complete=complete):
                    return Entry(text, complete=complete)
                text += "\n" * blanks
            text += "\n" + self._kept.pop(0)
        return Entry(text)

    def _open_block_goes_on(self) -> bool:
        """Wait for the next line of an unfinished block. An empty line, a command or the end of input ends it."""
        try:
            line = self._peek(self._more).strip()
        except EOFError:
            return False
        return bool(line) and not _COMMAND.fullmatch(line)

    def _skip_blanks(self) -> int | None:
        """Drop empty lines up to the next line that is here already; how many, or None where there is none."""
        blanks = 0
        while True:
            if not self._kept and not self._lines.waiting(PASTE_SECONDS):
                return None
            try:
                if self._peek("").strip():
                    return blanks
            except EOFError:
                return None
            self._kept.pop(0)
            blanks += 1

    def _line(self, prompt: str) -> str:
        self._peek(prompt)
        return self._kept.pop(0)

    def _peek(self, prompt: str) -> str:
        """The next line, kept. Terminals hand over a whole paste at once, as one line with line feeds."""
        if not self._kept:
            self._kept = self._lines.next(prompt).split("\n")
        return self._kept[0]


def _goes_on(line: str, text: str, *, complete: bool) -> bool:
    """Whether a line that stands after a balanced text, or after an empty line, still belongs to it."""
    if _COMMAND.fullmatch(line.strip()):
        return False
    there = _elements(text)
    if not there:  # a pasted system prompt: the prompt itself follows
        return True
    if not complete and "</" in line:
        return True
    if not line.lstrip().startswith("<"):
        return False
    new = _elements(line)[:1]
    return bool(new) and new[0] not in there


def _elements(text: str) -> list[str]:
    """The elements of the prompt language that are opened in a text."""
    from newbie.prompt.schema import lookup

    return [known.name for match in _OPENING.finditer(text) if (known := lookup(match[1].strip()))]
