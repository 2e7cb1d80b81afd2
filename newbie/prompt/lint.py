"""All that can be said about a prompt before it is drawn, and the corrections that do not change what it means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from newbie.errors import PromptError
from newbie.prompt.diagnostics import Diagnostic, Edit, sort
from newbie.prompt.meaning import Elements, Meaning, meaning
from newbie.prompt.read import Reading, read
from newbie.prompt.rules.structure import JSON_WRAPPER
from newbie.prompt.rules.subject import Audience, Subject
from newbie.prompt.rules.table import CHECKS
from newbie.prompt.source import Source
from newbie.prompt.suppress import suppressed
from newbie.prompt.vocabulary import Vocabulary, bundled

_MAX_ROUNDS = 60  # each corrects one kind of finding
_MAX_SINGLE = 20  # of a batch that is not safe as a whole, this many are tried by themselves


def lint(
    reading: Reading,
    *,
    vocabulary: Vocabulary | None = None,
    audience: Audience | None = None,
    negative: bool = False,
) -> tuple[Diagnostic, ...]:
    """The findings of the reader and of every rule, in reading order.

    Args:
        vocabulary: the words that are known; ours by default.
        audience: who will read the text; without it nothing is said about texts that are too long.
        negative: this is a negative prompt, which names what is *not* wanted.
    """
    subject = Subject(reading, vocabulary or bundled(), audience, negative)
    found = [*reading.diagnostics, *(finding for check in CHECKS for finding in check(subject))]
    if any(finding.rule is JSON_WRAPPER for finding in found):
        found = _json(found, reading, subject)
    return sort(suppressed(_once(found, reading.source), reading.source))


def _json(found: list[Diagnostic], reading: Reading, subject: Subject) -> list[Diagnostic]:
    """With what is found in the texts of JSON around a prompt, at their places, and why the prompt stays in it."""
    from newbie.prompt.inside import inside, outside, why_not  # few prompts need it, and lint has to start at once

    if why := why_not(reading):
        hint = f"convert cannot take a prompt out of it: {why}"
        found = [replace(finding, hint=hint) if finding.rule is JSON_WRAPPER else finding for finding in found]
    if within := inside(reading):
        inner = lint(within, vocabulary=subject.vocabulary, negative=subject.negative)
        found += [outside(finding, within) for finding in inner]
    return found


def _once(found: Iterable[Diagnostic], source: Source) -> Iterable[Diagnostic]:
    """A character file that is used twice has its mistakes once."""
    by_place: dict[object, Diagnostic] = {}
    for finding in found:
        origin, span = source.origin(finding.span)
        by_place.setdefault((finding.code, origin.name, span, finding.message), finding)
    return by_place.values()


class Fixed(NamedTuple):
    """The corrected text, and how many findings were corrected in it."""

    text: str
    corrected: int


def fixed(
    reading: Reading,
    *,
    vocabulary: Vocabulary | None = None,
    negative: bool = False,
    ignored: Collection[str] = (),
) -> Fixed:
    """The text with every safe correction made. A correction that would change what the prompt means is not made."""
    corrected = 0
    refused = set(ignored)
    for _ in range(_MAX_ROUNDS):
        found = [d for d in lint(reading, vocabulary=vocabulary, negative=negative) if d.fix and d.code not in refused]
        if not found:
            break
        code = found[0].code
        if better := _better(reading, [finding for finding in found if finding.code == code]):
            reading, corrected = better[0], corrected + better[1]
            refused = set(ignored)  # in the new text they may be safe
        else:
            refused.add(code)
    return Fixed(reading.source.text, corrected)


def _better(reading: Reading, batch: list[Diagnostic]) -> tuple[Reading, int] | None:
    """The prompt with the corrections of a batch, or with the first of them that is safe; and how many were made."""
    for attempt in (batch, *([finding] for finding in batch[:_MAX_SINGLE])):
        text, made = _applied(reading.source.text, attempt)
        try:
            after = read(text, name=reading.source.name, negative=True)
        except PromptError:  # a corrected text may have become too long
            continue
        if made and _said(after) == _said(reading):
            return after, made
    return None


def _said(reading: Reading) -> object:
    """What the prompt means, a tag that is said twice in an element counting once."""
    return reading.dialect, _scene_once(meaning(reading.scene))


def _scene_once(said: Meaning) -> object:
    people = [(number, _elements_once(elements)) for number, elements in said.characters]
    panels = [_scene_once(panel) for panel in said.panels]
    return people, _elements_once(said.general), list(dict.fromkeys(said.tags)), said.captions, panels


def _elements_once(elements: Elements) -> object:
    return [(name, list(dict.fromkeys(", ".join(texts).split(", ")))) for name, texts in elements]


def _applied(text: str, batch: list[Diagnostic]) -> tuple[str, int]:
    """The text with the corrections of a batch, and how many were made: of two that overlap the first."""
    parts: list[str] = []
    at = made = 0
    # Where two elements end at one place, the inner one, which begins later, is closed first.
    inner_first = sorted(batch, key=lambda finding: finding.span, reverse=True)
    for edits in sorted((finding.fix for finding in inner_first), key=lambda fix: fix[0].span.start):
        if edits[0].span.start < at:
            continue
        parts, at = _with(edits, text, parts, at)
        made += 1
    return "".join([*parts, text[at:]]), made


def _with(edits: Sequence[Edit], text: str, parts: list[str], at: int) -> tuple[list[str], int]:
    for edit in edits:
        parts += [text[at : edit.span.start], edit.text]
        at = edit.span.stop
    return parts, at
