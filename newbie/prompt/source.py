"""Where things stand in a prompt: Span (offsets) and Source (the text, and offset to line and column)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from newbie.errors import PromptError


class Span(NamedTuple):
    """Half-open range of character offsets into the source text."""

    start: int
    stop: int

    @property
    def empty(self) -> bool:
        return self.stop <= self.start


NOWHERE = Span(0, 0)  # of values that were not read from a text


class Place(NamedTuple):
    """A position people can find: both count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """The prompt exactly as it came, and the name to call it by in messages ("prompt", "prompts/duo.xml")."""

    text: str = field(repr=False)
    name: str = "prompt"

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offsets at which lines begin. Only a line feed ends a line, as in editors."""
        starts = [0]
        at = self.text.find("\n")
        while at != -1:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return tuple(starts)

    def place(self, offset: int) -> Place:
        """Line and column of an offset; offsets outside the text are moved to its nearest end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.line_starts, offset)
        return Place(line, offset - self.line_starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """One line without its ending; numbers count from 1."""
        start = self.line_starts[number - 1]
        stop = self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)
        return self.text[start:stop].rstrip("\r")

    def whole_line(self, span: Span) -> Span:
        """The span, with its line and the line's end if nothing else stands there."""
        start = self.text.rfind("\n", 0, span.start) + 1
        end = self.text.find("\n", span.stop)
        stop = len(self.text) if end < 0 else end + 1
        alone = not self.text[start : span.start].strip() and not self.text[span.stop : stop].strip()
        return Span(start, stop) if alone else span

    def origin(self, span: Span) -> tuple[Source, Span]:
        """Where people find this part of the text: here, unless the text was put together from several files."""
        return self, span

    def error(self, message: str, hint: str, offset: int) -> PromptError:
        """A PromptError that points at `offset`; the caller raises it."""
        source, span = self.origin(Span(offset, offset))
        place = source.place(span.start)
        return PromptError(message, hint, name=source.name, line=place.line, column=place.column)
