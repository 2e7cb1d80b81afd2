"""A text put together from several files that still knows where each of its characters was written.

A prompt is a row of pieces: some of the prompt file, some of a character file, some chosen from a list. `Composed` is
their text, and finds the file behind any part of it; so a finding in an included file names that file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from newbie.prompt.source import NOWHERE, Source, Span


class Piece(NamedTuple):
    """A stretch of text, and the stretch of a file that it is, or that it was written for."""

    text: str
    source: Source
    span: Span

    @property
    def verbatim(self) -> bool:
        return self.source.text[self.span.start : self.span.stop] == self.text


class Edit(NamedTuple):
    """What stands at `span` makes way for `pieces`."""

    span: Span
    pieces: Sequence[Piece]


@dataclass(frozen=True)
class Composed(Source):
    """The text of all pieces. Its lines are its own; `origin` leads to those of the files."""

    pieces: tuple[Piece, ...] = ()

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each piece begins in the text."""
        found, at = [], 0
        for piece in self.pieces:
            found.append(at)
            at += len(piece.text)
        return tuple(found)

    def origin(self, span: Span) -> tuple[Source, Span]:
        """The file and the stretch of it behind a part of the text; a part of several pieces is found by its first."""
        if not self.pieces:
            return Source(self.text, self.name), span
        at = max(bisect_right(self.starts, span.start) - 1, 0)
        piece, start = self.pieces[at], self.starts[at]
        if not piece.verbatim:
            return piece.source, piece.span
        first = min(span.start - start, len(piece.text))
        last = min(max(span.stop - start, first), len(piece.text))
        return piece.source, Span(piece.span.start + first, piece.span.start + last)

    def find(self, source: Source, span: Span) -> Span:
        """Where a stretch of a file stands in the text, or what was written in its place; nowhere if neither does."""
        nearest = NOWHERE
        for piece, start in zip(self.pieces, self.starts, strict=True):
            if piece.source is source and piece.span.start <= span.start < piece.span.stop:
                if piece.verbatim:
                    shift = start - piece.span.start
                    return Span(span.start + shift, min(span.stop, piece.span.stop) + shift)
                nearest = Span(start, start + len(piece.text))
        return nearest

    def before(self, source: Source, span: Span) -> Span:
        """The last sign kept of what stands in front of a stretch of a file; nowhere if nothing is kept of it."""
        place, nearest = -1, NOWHERE
        for piece, start in zip(self.pieces, self.starts, strict=True):
            if piece.source is source and place < piece.span.start <= span.start:
                end = start + len(piece.text)
                place, nearest = piece.span.start, Span(end - 1, end)
        return nearest


def compose(pieces: Iterable[Piece], name: str) -> Composed:
    """One text of many pieces, called `name` as a whole."""
    kept = tuple(piece for piece in pieces if piece.text)
    return Composed("".join(piece.text for piece in kept), name, kept)


def part(source: Source, start: int, stop: int) -> list[Piece]:
    """The pieces of a text between two offsets."""
    if not isinstance(source, Composed):
        return [Piece(source.text[start:stop], source, Span(start, stop))]
    found = []
    for piece, at in zip(source.pieces, source.starts, strict=True):
        first, last = max(start - at, 0), min(stop - at, len(piece.text))
        if first < last:
            inner = Span(piece.span.start + first, piece.span.start + last) if piece.verbatim else piece.span
            found.append(Piece(piece.text[first:last], piece.source, inner))
    return found


def whole(source: Source) -> list[Piece]:
    return part(source, 0, len(source.text))


def written_for(text: str, source: Source, span: Span) -> Piece:
    """Text that stands in no file; its place is that of what asked for it."""
    return Piece(text, *source.origin(span))


def edited(source: Source, edits: Iterable[Edit], span: Span | None = None) -> list[Piece]:
    """The pieces of a text, or of a stretch of it, after edits that do not overlap."""
    at, stop = span or (0, len(source.text))
    pieces: list[Piece] = []
    for place, new in sorted(edits, key=lambda edit: edit.span):
        pieces += [*part(source, at, place.start), *new]
        at = place.stop
    return pieces + part(source, at, stop)
