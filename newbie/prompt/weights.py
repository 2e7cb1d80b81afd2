r"""Weights of tags: `(blue_hair:1.3)`, or `weight="1.3"` on an element. No torch.

A weight in parentheses covers whole items: `(` where an item begins, `:number)` where one ends. All these are text, and
stay as they are:

    regulus_(reverse:1999)   maccha_(mochancc)   nier:automata   :3   (>_<:1.2)   (16:9)   \(blue_hair:1.3\)

because the parenthesis is part of a tag, holds no word, or is escaped. So a tag with a colon in it can never be
mistaken for a weight, and a weight that cannot be one is reported instead of guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from newbie.prompt.elements import attributed
from newbie.prompt.read import Reading
from newbie.prompt.source import Span

MOST: Final = 4.0
DEEPEST: Final = 32  # weights inside weights
ATTRIBUTE: Final = "weight"
RANGE: Final = f"a weight is a number from 0 to {MOST:g}, such as 1.3; 1 changes nothing"

# Escapes, tags, brackets and what separates items; all else is passed over in one piece.
_PIECE: Final = re.compile(
    r"""\\. | </?[A-Za-z_][^<>]*+> | [()] | [,，、\n\r] | (?:[^\\()<,，、\n\r] | <(?!/?[A-Za-z_][^<>]*+>))++ | \\""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER: Final = re.compile(r"[+-]?+(?:nan|inf(?:inity)?+|(?:\d++\.?+\d*+|\.\d++)(?:e[+-]?+\d++)?+)", re.IGNORECASE)
_YEAR: Final = re.compile(r"\d{3,4}")  # `(reverse:1999)`: nobody means that as a weight
_WORD: Final = "[^\\W\\d_]{2}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # compiled for the first weight
_ITEM_ENDS: Final = re.compile(r"[^\S\n\r]*+(?:[,，、\n\r)]|:\s*+[\d.]++\s*+\)|</?[A-Za-z_]|\Z)")


class Mark(NamedTuple):
    """A weight in parentheses: the place with them, the place of the words alone, and how much they weigh."""

    outer: Span
    inner: Span
    weight: float


class Weighed(NamedTuple):
    """What weighs a stretch of text in other programs: where it begins and ends with its signs and without them, by how
    much, and the number as it was typed, or ""."""

    start: int
    inner_start: int
    inner_stop: int
    stop: int
    factor: float
    written: str


class Trouble(NamedTuple):
    """A weight or a box that cannot be: where it stands, what is wrong, and what to write instead."""

    span: Span
    message: str
    hint: str


def marks(text: str) -> tuple[Mark, ...]:
    """Every weight in parentheses, in the order of their ends; one may stand inside another."""
    return tuple(
        Mark(outer, inner, value) for outer, inner, number in _bracketed(text) if (value := _value(number)) is not None
    )


def without(text: str) -> str:
    """The text as the encoders read it: `(blue_hair:1.3)` is `blue_hair`."""
    kept, at = [], 0
    for start, stop in sorted(around(marks(text))):
        kept.append(text[at:start])
        at = stop
    return "".join([*kept, text[at:]])


def around(found: tuple[Mark, ...]) -> Iterator[Span]:
    """What of these marks is not words: a parenthesis each, and a colon with its number and the other one."""
    for outer, inner, _ in found:
        yield Span(outer.start, inner.start)
        yield Span(inner.stop, outer.stop)


def of_elements(reading: Reading) -> dict[str, float]:
    """The weights that elements have by their attribute, by path."""
    return {
        path: value
        for path, given in attributed(reading.scene, reading.source.text)
        for each in given
        if each.name == ATTRIBUTE and (value := _value(each.value)) is not None
    }


def troubles(reading: Reading) -> Iterator[Trouble]:
    """Weights that are no numbers or out of range. They count as 1; those in parentheses stay text."""
    for outer, inner, number in _bracketed(reading.source.text):
        if _value(number) is None and not _YEAR.fullmatch(number):
            yield Trouble(Span(inner.stop, outer.stop), f"{number} is no weight; it is read as text", RANGE)
    for _, given in attributed(reading.scene, reading.source.text):
        for each in given:
            if each.name == ATTRIBUTE and _value(each.value) is None:
                yield Trouble(each.span, f"{each.value!r} is no weight", RANGE)


def _value(number: str) -> float | None:
    try:
        value = float(number)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= MOST else None


def _bracketed(text: str) -> Iterator[tuple[Span, Span, str]]:
    """Parentheses around whole items that end like a weight: their place, that of the words, the number as typed."""
    waiting: list[tuple[int, bool]] = []  # open parentheses, and whether an item begins there
    begins, last = True, 0  # whether an item begins here; where the last piece began
    for piece in _PIECE.finditer(text):
        start, said = piece.start(), piece[0]
        if said == "(":
            waiting.append((start, begins and len(waiting) < DEEPEST))
        elif said == ")":
            opened, whole = waiting.pop() if waiting else (start, False)
            if whole and (found := _ended(text, opened, last, start)):
                yield found
            begins = False
        elif said[0] in ",，、\n\r":
            begins = True
        elif said[0] == "<" and said[-1] == ">" and len(said) > 2:
            waiting.clear()  # a weight stays within its element
            begins = True
        elif not said.isspace():
            begins = False
        last = start


def _ended(text: str, opened: int, last: int, closed: int) -> tuple[Span, Span, str] | None:
    """The weight between these parentheses, if its number is in the last piece before the closing one."""
    colon = text.rfind(":", max(last, opened + 1), closed)
    if colon < 0 or not _ITEM_ENDS.match(text, closed + 1):
        return None
    number = text[colon + 1 : closed].strip()
    if not _NUMBER.fullmatch(number) or not re.search(_WORD, text[opened + 1 : colon]):
        return None
    while text[colon - 1].isspace():
        colon -= 1
    return Span(opened, closed + 1), Span(opened + 1, colon), number
