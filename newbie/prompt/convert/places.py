"""Places in numbers, as other programs write them, and the box of a <position> that says the same.

    "bbox": [0, 0, 500, 1000]                 thousandths: left, top, right, bottom
    "bbox": {"x": 0, "width": 0.5}            shares of the picture, as the attributes of <position> have them
    x: 10%, y: 20%, width: 30%, height: 80%
    left 40% of the picture

What can be read in two ways is left as it stands, and told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from newbie.prompt.boxes import SIDES, SMALLEST
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.scene import Character, Field, Scene, Value
from newbie.prompt.source import Span

Numbers = tuple[float, float, float, float]  # x, y, width, height in shares of the picture

_NUMBER = r"\d{1,4}(?:\.\d{1,4})?"
_LIST = re.compile(
    rf"(?:(?:bbox|box)\s*[:=]?\s*)?[\[(]\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[\])]"
)
_NAMED = re.compile(rf"\b(x|y|w|h|width|height|left|top)\s*[:=]\s*({_NUMBER})(\s*%)?", re.IGNORECASE)
_SIDE = re.compile(
    rf"(?:the\s+)?(left|right|top|bottom)\s+({_NUMBER})\s*%(?:\s+of\s+the\s+(?:picture|image|frame|canvas))?",
    re.IGNORECASE,
)
_NAMES = {"w": "width", "h": "height", "left": "x", "top": "y"}
_WRITTEN = re.compile(r'\b(x|y|width|height)=["\']([\d.]+)["\']')


def from_list(values: Sequence[float]) -> Numbers | None:
    """The box of four numbers, corner to corner; None where they may be a corner and a size, or of another scale."""
    most = max(values)
    scale = 1.0 if most <= 1 else 1000.0 if 100 < most <= 1000 else 0.0
    if not scale:
        return None
    x, y, right, bottom = (value / scale for value in values)
    as_size = x + right <= 1 and y + bottom <= 1 and (x, y) != (0, 0)
    return None if as_size else _checked(x, y, right - x, bottom - y)


def from_json(value: Any) -> Numbers | None:
    """The box of a "bbox" in JSON."""
    if isinstance(value, dict):
        if not value or not value.keys() <= set(SIDES) or not all(_is_number(each, 1) for each in value.values()):
            return None
        return _filled({key: float(each) for key, each in value.items()})
    if not isinstance(value, list) or len(value) != 4:
        return None
    return from_list(value) if all(_is_number(each, 1000) for each in value) else None


def _is_number(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def from_words(text: str) -> tuple[Numbers, str] | None:
    """The box that free text gives in numbers, and the words that are left of it."""
    if match := _LIST.search(text):
        box = from_list([float(each) for each in match.groups()])
        return (box, _rest(text, [match.span()])) if box else None
    if match := _SIDE.fullmatch(text.strip()):
        side, share = match[1].lower(), float(match[2]) / 100
        across = (1.0 - share if side == "right" else 0.0, 0.0, share, 1.0)
        along = (0.0, 1.0 - share if side == "bottom" else 0.0, 1.0, share)
        box = _checked(*(across if side in ("left", "right") else along))
        return (box, side) if box else None
    named = list(_NAMED.finditer(text))
    rest = _rest(text, [match.span() for match in named])
    if not named or re.search(r"\d", rest) or len({bool(match[3]) for match in named}) > 1:
        return None
    names = [_NAMES.get(match[1].lower(), match[1].lower()) for match in named]
    given = dict(zip(names, (float(match[2]) / (100 if match[3] else 1) for match in named), strict=True))
    if len(given) < len(names) or len(given) < 2 or max(given.values()) > 1:
        return None
    box = _filled(given)
    return (box, rest) if box else None


def _rest(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """What is left of a text, without the signs that stood around what was taken out."""
    kept, at = [], 0
    for start, stop in spans:
        kept.append(text[at:start])
        at = stop
    return " ".join(" ".join([*kept, text[at:]]).replace(",", " ").split()).strip(" ;.:()")


def _filled(given: Mapping[str, float]) -> Numbers | None:
    """A box of which some sides are told: the others reach to the frame."""
    x, y = given.get("x", 0.0), given.get("y", 0.0)
    return _checked(x, y, given.get("width", 1 - x), given.get("height", 1 - y))


def _checked(x: float, y: float, width: float, height: float) -> Numbers | None:
    inside = x >= 0 and y >= 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6
    return (x, y, width, height) if inside and min(width, height) >= SMALLEST else None


# ---- in a sheet


def boxed(sheet: Sheet) -> Sheet:
    """The sheet with boxes for all positions that are numbers in words."""
    for person in sheet.scene.characters:
        position = next((field for field in person.fields if field.name == "position"), None)
        if position is None or box_in(sheet.attributes.get(position.outer.start, "")):
            continue
        if found := from_words(position.value.text):
            box, rest = found
            note = f"{position.value.text!r} of {person.path} is a box now: {_attributes(box).strip()}"
            sheet = replace(with_box(sheet, person, box, rest), notes=(*sheet.notes, note))
    return sheet


def with_box(sheet: Sheet, person: Character, box: Numbers, words: str | None = None) -> Sheet:
    """The sheet with a box for a person; `words` are what its <position> says from now on."""
    position = next((field for field in person.fields if field.name == "position"), None)
    at = -1 - len(sheet.attributes)  # a place that no text has
    said = position.value if position and words is None else Value(words or "")
    made = Field("position", said, Span(at, at + 1))
    fields = [made if field is position else field for field in person.fields] + [made] * (position is None)
    changed = replace(person, fields=tuple(fields))
    people = tuple(changed if each is person else each for each in sheet.scene.characters)
    attributes = {**sheet.attributes, at: _attributes(box)}
    return replace(sheet, scene=replace(sheet.scene, characters=people), attributes=attributes)


def box_in(attributes: str) -> Numbers | None:
    """The box that attributes write."""
    given = {name: float(value) for name, value in _WRITTEN.findall(attributes)}
    return _filled(given) if given else None


def boxes_of(scene: Scene, attributes: Mapping[int, str]) -> list[tuple[Character, int, Numbers]]:
    """The characters of a scene that have a box, where its attributes stand, and the box: one for each number."""
    found = {
        person.number: (person, field.outer.start, box)
        for person in reversed(scene.characters)
        for field in reversed(person.fields)
        if field.name == "position" and not field.outer.empty
        if (box := box_in(attributes.get(field.outer.start, "")))
    }
    return [found[number] for number in sorted(found)]


def corners(box: Numbers) -> list[int]:
    """In thousandths of the picture, corner to corner."""
    x, y, width, height = box
    return [round(1000 * value) for value in (x, y, x + width, y + height)]


def _attributes(box: Numbers) -> str:
    return "".join(f' {name}="{value:.4g}"' for name, value in zip(SIDES, box, strict=True))
