"""From a scene to areas: each character's part of the picture, as written or as words and order say. No torch.

A box that is written out counts as it is. Without one, position words divide the picture from left to right; a
character without any stands where its number in the row of characters says. Sources: the position words of
docs/prompt-language.md, the places of docs/drawing.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from newbie.prompt.boxes import Box, written
from newbie.prompt.elements import character_paths
from newbie.prompt.read import Reading
from newbie.prompt.scene import Character
from newbie.regions.places import LEFT, Place, place_of

REACH = 0.3  # how far a place reaches from its middle where nobody stands beside it, in shares of the picture


def boxes(reading: Reading, *, explicit_only: bool = False) -> dict[str, Box]:
    """Characters that have an area of their own, by the path of their element, in the order written.

    One character alone has nobody to be kept apart from, so its words make no box; nor do characters whose place is
    everywhere (`foreground`, `full-frame`), nor those in panels. `explicit_only`: position words and order say nothing.
    """
    people = character_paths(reading.scene)
    found = written(reading)
    if not explicit_only and len(people) > 1:
        found |= _by_words([(path, place_of(_position(who))) for path, who in people if path not in found])
    return {path: found[path] for path, _ in people if path in found}


def _position(character: Character) -> str:
    return character.position.text if character.position else ""


class _Column(NamedTuple):
    """The middle of a column of the picture, how far it may reach, and who stands in it."""

    middle: float
    reach: float
    people: list[tuple[str, Place]]


def _by_words(places: Sequence[tuple[str, Place]]) -> dict[str, Box]:
    """Columns from left to right, the borders half-way between neighbours; who shares one stands above or beside."""
    found: dict[str, Box] = {}
    columns = _columns([(path, place) for path, place in places if not place.everywhere])
    if not columns:
        return {}
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
