"""What is wrong with a prompt that is still being typed: what is merely not finished yet is no mistake."""

from __future__ import annotations

from typing import NamedTuple

from newbie.errors import PromptError
from newbie.prompt.diagnostics import Severity
from newbie.prompt.lint import lint
from newbie.prompt.read import read
from newbie.prompt.scan import still_open
from newbie.prompt.source import Source, Span
from newbie.prompt.vocabulary import Vocabulary

MAX_CHARACTERS = 6_000  # some thousand tokens; longer texts are looked at when they are entered, not at every key


class Mistake(NamedTuple):
    """A finding in a text being typed; `code` is "" for a text that cannot be read at all."""

    span: Span
    severity: Severity
    code: str
    message: str
    hint: str


def mistakes(text: str, cursor: int, vocabulary: Vocabulary | None = None) -> tuple[Mistake, ...]:
    """The findings worth showing while the cursor stands at an offset of the text.

    What is still open is taken for closed at the end. Nothing is said about the word that the cursor stands behind,
    nor, at the end of the text, about the element around it: they are being written.
    """
    if len(text) > MAX_CHARACTERS or not text.strip():
        return ()
    closed = text + "".join(f"</{tag.name}>" for tag in reversed(still_open(text)))
    try:
        findings = lint(read(closed, negative=True), vocabulary=vocabulary)
    except PromptError as error:
        at = _offset(text, error.line or 1, error.column or 1)
        message = error.message.removeprefix(f"{error.name}:{error.line}:{error.column}: ")
        return (Mistake(Span(at, min(at + 1, len(text))), "error", "", message, error.hint),)
    return tuple(
        Mistake(Span(d.span.start, min(d.span.stop, len(text))), d.severity, d.code, d.message, d.hint)
        for d in findings
        if d.span.start < len(text) and not _being_written(d.span, cursor, len(text))
    )


def _being_written(span: Span, cursor: int, end: int) -> bool:
    return span.start < cursor and (span.stop == cursor or span.stop > cursor == end)


def _offset(text: str, line: int, column: int) -> int:
    starts = Source(text).line_starts
    return min(starts[min(line, len(starts)) - 1] + column - 1, len(text))
