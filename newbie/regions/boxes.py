"""From a scene to areas: each character's part of the picture, as written or as words and order say. No torch.

A box that is written out counts as it is:

    <position x="0.1" y="0.2" width="0.3" height="0.8">left</position>

in shares of the picture from its upper left corner; what is left out reaches to the picture's edge. Without one,
position words divide the picture from left to right; a character without any stands where its number in the row of
characters says. Sources: the position words of docs/prompt-language.md, the places of docs/drawing.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from newbie.prompt.elements import character_paths
from newbie.prompt.read import Reading
from newbie.prompt.scan import AttributeText, attributes_at
from newbie.prompt.scene import Character
from newbie.prompt.source import Span
from newbie.regions.places import LEFT, Place, place_of

SIDES = ("x", "y", "width", "height")
REACH = 0.3  # how far a place reaches from its middle where nobody stands beside it, in shares of the picture
SMALLEST = 0.02  # of width or height: a box below it holds no token of any picture


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


class Trouble(NamedTuple):
    """A box that cannot be: where it stands in the prompt, what is wrong, and what to write instead."""

    span: Span
    message: str
    hint: str


class _Written(NamedTuple):
    box: Box | None
    troubles: tuple[Trouble, ...]


def boxes(reading: Reading, *, explicit_only: bool = False) -> dict[str, Box]:
    """Characters that have an area of their own, by the path of their element, in the order written.

    One character alone has nobody to be kept apart from, so its words make no box; nor do characters whose place is
    everywhere (`foreground`, `full-frame`), nor those in panels. `explicit_only`: position words and order say nothing.
    """
    people = character_paths(reading.scene)
    written = {path: _written(reading, character).box for path, character in people}
    found = {path: box for path, box in written.items() if box is not None}
    if not explicit_only and len(people) > 1:
        found |= _by_words([(path, place_of(_position(who))) for path, who in people if path not in found])
    return {path: found[path] for path, _ in people if path in found}


def troubles(reading: Reading) -> Iterator[Trouble]:
    """What is wrong with boxes that are written out: no numbers, outside the picture, nothing in them."""
    for _, character in character_paths(reading.scene):
        yield from _written(reading, character).troubles


def _position(character: Character) -> str:
    return character.position.text if character.position else ""


# ---- boxes that are written out


def _written(reading: Reading, character: Character) -> _Written:
    for field in character.fields:
        if field.name == "position":
            given = [each for each in attributes_at(reading.source.text, field.outer.start) if each.name in SIDES]
            if given:
                return _box(given)
    return _Written(None, ())


def _box(given: Sequence[AttributeText]) -> _Written:
    values = {each.name: _number(each.value) for each in given}
    wrong = tuple(
        Trouble(each.span, f"{each.name}={each.value!r} is no share of the picture", "write a number from 0 to 1")
        for each in given
        if values[each.name] is None
    )
    if wrong:
        return _Written(None, wrong)
    x, y = values.get("x") or 0.0, values.get("y") or 0.0
    width, height = values.get("width", 1.0 - x), values.get("height", 1.0 - y)
    assert width is not None and height is not None
    whole = Span(given[0].span.start, given[-1].span.stop)
    if x + width > 1 + 1e-6 or y + height > 1 + 1e-6:
        told = f"a box from ({x:g}, {y:g}) to ({x + width:g}, {y + height:g}) reaches out of the picture"
        return _Written(None, (Trouble(whole, told, "x + width and y + height are at most 1"),))
    if min(width, height) < SMALLEST:
        told = f"a box of {width:g} x {height:g} has room for nobody"
        return _Written(None, (Trouble(whole, told, f"both sides are at least {SMALLEST:g}"),))
    return _Written(Box(x, y, width, height, explicit=True), ())


def _number(text: str) -> float | None:
    """A share from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 1 else None


# ---- boxes by words


class _Column(NamedTuple):
    """The middle of a column of the picture, how far it may reach, and who stands in it."""

    middle: float
    reach: float
    people: list[tuple[str, Place]]


def _by_words(places: Sequence[tuple[str, Place]]) -> dict[str, Box]:
    """Columns from left to right, the borders half-way between neighbours; who shares one stands above or beside."""
    found: dict[str, Box] = {}
    columns = _columns([(path, place) for path, place in places if not place.everywhere])
    borders = [(left.middle + right.middle) / 2 for left, right in pairwise(columns)]
    for column, left, right in zip(columns, [0.0, *borders], [*borders, 1.0], strict=True):
        left, right = max(left, column.middle - column.reach, 0.0), min(right, column.middle + column.reach, 1.0)
        share = (right - left) / len(column.people)
        heights = [_height(place) for _, place in column.people]
        stacked = len(set(heights)) == len(heights) and all(place.y is not None for _, place in column.people)
        for i, ((path, _), (top, bottom)) in enumerate(zip(column.people, heights, strict=True)):
            x, width = (left, right - left) if stacked else (left + i * share, share)
            found[path] = Box(x, top, width, bottom - top)
    return found


def _columns(places: Sequence[tuple[str, Place]]) -> list[_Column]:
    """Those whose words name a side stand there; the others take what is left of an even row, in their order."""
    columns: dict[float, _Column] = {}
    for path, place in places:
        if place.x is not None:
            columns.setdefault(place.x, _Column(place.x, REACH, [])).people.append((path, place))
    free = _free(len(places), sorted(columns, key=lambda x: abs(x - 0.5)) if columns else [])
    above = [(path, place) for path, place in places if place.x is None and place.y is not None]
    if above and len(above) == len(places):  # nobody says left or right: one above the other
        return [_Column(0.5, 0.5, above)]
    for path, place in places:
        if place.x is None:
            middle = free.pop(0)
            reach = max(REACH, 1 / len(places))
            columns.setdefault(middle, _Column(middle, reach, [])).people.append((path, place))
    return sorted(columns.values(), key=lambda column: column.middle)


def _free(count: int, taken: Sequence[float]) -> list[float]:
    """The middles of `count` even columns, without those nearest to the places that are taken."""
    slots = [(i + 0.5) / count for i in range(count)]
    for x in taken:
        if slots:
            slots.remove(min(slots, key=lambda slot: abs(slot - x)))
    return slots


def _height(place: Place) -> tuple[float, float]:
    """Top and bottom of a place."""
    if place.y is None:
        return (0.0, 1.0)
    return (0.0, 0.5 + (place.y > LEFT) * 0.15) if place.y < 0.5 else (0.5 - (place.y < 1 - LEFT) * 0.15, 1.0)
