"""What the reader has to say about a prompt: code, severity, place, message, and what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from newbie.prompt.source import Source, Span

Severity = Literal["error", "warning", "info"]

MAX_DIAGNOSTICS = 100
_MAX_WIDTH = 96  # terminal cells of a quoted line


class Kind(NamedTuple):
    """One sort of finding. `about` is the general explanation, without the particulars of one prompt."""

    severity: Severity
    about: str


# NB1xx come from reading the text, NB2xx from looking at the scene that was read, NB6xx from putting it together.
KINDS: dict[str, Kind] = {
    "NB101": Kind("warning", "an element is opened and never closed"),
    "NB102": Kind("warning", "a closing tag has nothing to close"),
    "NB103": Kind("warning", "an element is closed by the tag of another"),
    "NB104": Kind("warning", "two elements overlap instead of standing inside or beside each other"),
    "NB105": Kind("warning", "an element that the prompt language does not have"),
    "NB106": Kind("warning", "a misspelt tag that is read as ordinary text"),
    "NB107": Kind("info", "attributes reach the encoders as text and mean nothing to the scene"),
    "NB108": Kind("info", "a comment reaches the encoders like any other text"),
    "NB109": Kind("info", "text outside all elements is read as a caption"),
    "NB110": Kind("warning", "an element stands where the language does not expect it"),
    "NB111": Kind("warning", "<Prompt Start> stands inside the prompt instead of before it"),
    "NB201": Kind("warning", "two characters have the same number"),
    "NB202": Kind("warning", "an element is given twice"),
    "NB203": Kind("warning", "character numbers leave a gap"),
    "NB204": Kind("warning", "a character block without a number"),
    "NB205": Kind("warning", "a placeholder name with another number than its block"),
    "NB601": Kind("error", "a character file is named where none can be read"),
    "NB602": Kind("error", "a character file lies outside the prompt's folder, or is no ordinary file"),
    "NB603": Kind("error", "a character file cannot be read"),
    "NB604": Kind("error", "character files name each other in a circle, too deep or too often"),
    "NB605": Kind("error", "a character file holds something else than one character"),
    "NB606": Kind("error", "a variable without a value"),
    "NB607": Kind("error", "a wildcard without words"),
    "NB608": Kind("error", "alternatives without end: too deep, too many or too long"),
    "NB609": Kind("info", "text that looks like an alternative, a variable or a wildcard, and is sent as it stands"),
}


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `message` says what is wrong at `span`; `hint` says what to write instead."""

    code: str
    span: Span
    message: str
    hint: str = ""

    @property
    def severity(self) -> Severity:
        return KINDS[self.code].severity


def sort(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In reading order; beyond MAX_DIAGNOSTICS only the first ones are kept, the last of them says how many went."""
    ordered = sorted(found, key=lambda d: (d.span, d.code))
    if len(ordered) <= MAX_DIAGNOSTICS:
        return tuple(ordered)
    left_out = len(ordered) - MAX_DIAGNOSTICS + 1
    last = ordered[MAX_DIAGNOSTICS - 1]
    note = Diagnostic(last.code, last.span, f"{last.message} (and {left_out - 1} more findings)", last.hint)
    return (*ordered[: MAX_DIAGNOSTICS - 1], note)


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
    if char == "\t":
        width = 4 - at % 4
        return " " * width, width
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "·", 1  # control characters must not reach a terminal
    if unicodedata.combining(char):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in "WF" else 1
