"""What is said about a prompt: the rule, the place, the message, and what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from newbie.prompt.source import Source, Span

# error: nothing is drawn; warning: the picture is hardly what was meant; info: good to know.
Severity = Literal["error", "warning", "info"]

_MAX_WIDTH = 96  # terminal cells of a quoted line


class Rule(NamedTuple):
    """One sort of finding, explained in one place (newbie/prompt/rules/). `example` gives it, `instead` does not."""

    code: str
    severity: Severity
    about: str  # what is found, as half a sentence
    why: str  # what it does to the picture
    example: str
    instead: str


class Edit(NamedTuple):
    """Put `text` in the place of `span`."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `message` says what is wrong at `span`; `hint` says what to write instead.

    `fix` does what the hint says without changing the meaning of the prompt; empty where that takes a decision.
    """

    rule: Rule
    span: Span
    message: str
    hint: str = ""
    fix: tuple[Edit, ...] = ()

    @property
    def code(self) -> str:
        return self.rule.code

    @property
    def severity(self) -> Severity:
        return self.rule.severity


def sort(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In reading order."""
    return tuple(sorted(found, key=lambda d: (d.span, d.code)))


def show(diagnostic: Diagnostic, source: Source) -> str:
    """The finding as people read it: one headline, the line, carets under the words, the hint."""
    source, span = source.origin(diagnostic.span)
    place = source.place(span.start)
    head = f"{source.name}:{place.line}:{place.column}: {diagnostic.code} {diagnostic.message}"
    rows = [head, *caret(source, span)]
    if diagnostic.hint:
        rows.append(f"  hint: {diagnostic.hint}")
    return "\n".join(rows)


def caret(source: Source, span: Span) -> tuple[str, str]:
    """The quoted line and a row of carets below `span`, aligned also under tabs and full-width characters."""
    place = source.place(span.start)
    line = source.line(place.line)
    start = min(place.column - 1, len(line))
    stop = min(max(start + span.stop - span.start, start + 1), max(len(line), start + 1))
    first = max(0, start - _MAX_WIDTH // 2)  # a long line shows the part around the finding
    quoted, before, under = "…" if first else "", 1 if first else 0, 0
    cells = before
    for at in range(first, len(line)):
        shown, width = _cells(line[at], cells)
        if cells + width > _MAX_WIDTH:
            quoted += "…"
            break
        quoted += shown
        cells += width
        if at < start:
            before += width
        elif at < stop:
            under += width
    number = str(place.line)
    return f"  {number} | {quoted}", f"  {' ' * len(number)} | {' ' * before}{'^' * max(under, 1)}"


def _cells(char: str, at: int) -> tuple[str, int]:
    """What to print for a character at cell `at`, and how many terminal cells it takes."""
    if " " <= char <= "~":
        return char, 1
    if char == "\t":
        width = 4 - at % 4
        return " " * width, width
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "·", 1  # control characters must not reach a terminal
    if unicodedata.combining(char):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in "WF" else 1
