"""Boxes that are written in a prompt: `<position x="0.1" width="0.3">`. No torch.

In shares of the picture, from its upper left corner; what is left out reaches to the picture's edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from newbie.prompt.elements import character_paths
from newbie.prompt.read import Reading
from newbie.prompt.scan import AttributeText, attributes_at
from newbie.prompt.scene import Character
from newbie.prompt.source import Span
from newbie.prompt.weights import Trouble

SIDES: Final = ("x", "y", "width", "height")
SMALLEST: Final = 0.02  # of width or height: a box below it holds no token of any picture


class Box(NamedTuple):
    """A part of the picture in shares of its width and height, from the upper left corner."""

    x: float
    y: float
    width: float
    height: float
    explicit: bool = False  # written in the prompt, not read from words

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


class _Found(NamedTuple):
    box: Box | None
    troubles: tuple[Trouble, ...]


def written(reading: Reading) -> dict[str, Box]:
    """The boxes of characters outside panels, by the path of the character."""
    found = {path: _found(reading, character).box for path, character in character_paths(reading.scene)}
    return {path: box for path, box in found.items() if box is not None}


def troubles(reading: Reading) -> Iterator[Trouble]:
    """What is wrong with them: no numbers, outside the picture, nothing in them. Such a box counts as not written."""
    for _, character in character_paths(reading.scene):
        yield from _found(reading, character).troubles


def _found(reading: Reading, character: Character) -> _Found:
    for field in character.fields:
        if field.name == "position" and not field.outer.empty:
            given = [each for each in attributes_at(reading.source.text, field.outer.start) if each.name in SIDES]
            if given:
                return _box(given)
    return _Found(None, ())


def _box(given: Sequence[AttributeText]) -> _Found:
    values = {each.name: _number(each.value) for each in given}
    wrong = tuple(
        Trouble(each.span, f"{each.name}={each.value!r} is no share of the picture", _instead(each.value))
        for each in given
        if values[each.name] is None
    )
    if wrong:
        return _Found(None, wrong)
    x, y = values.get("x") or 0.0, values.get("y") or 0.0
    width, height = values.get("width", 1.0 - x), values.get("height", 1.0 - y)
    assert width is not None and height is not None
    whole = Span(given[0].span.start, given[-1].span.stop)
    if x + width > 1 + 1e-6 or y + height > 1 + 1e-6:
        told = f"a box from ({x:g}, {y:g}) to ({x + width:g}, {y + height:g}) reaches out of the picture"
        return _Found(None, (Trouble(whole, told, "x + width and y + height are at most 1"),))
    if min(width, height) < SMALLEST:
        told = f"a box of {width:g} x {height:g} has room for nobody"
        return _Found(None, (Trouble(whole, told, f"both sides are at least {SMALLEST:g}"),))
    return _Found(Box(x, y, width, height, explicit=True), ())


def _instead(text: str) -> str:
    percent = _number(f"{text.strip()[:-1]}e-2") if text.strip().endswith("%") else None
    return "write a number from 0 to 1" if percent is None else f"write {percent:g}, a number from 0 to 1"


def _number(text: str) -> float | None:
    """A share from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 1 else None
