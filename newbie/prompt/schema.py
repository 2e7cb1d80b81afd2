"""The prompt language as one table: its elements, their other spellings, where they stand and what they hold.

Everything else asks this table: the scanner (which tags are ours), the reader (what may stand where), the canonical
layout (in which order), the published schemas (schemas/), completion, the documentation. Source: the model's README
and the tools of its community, as collected in docs/prompt-language.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Literal, NamedTuple

Kind = Literal["character", "general", "panel", "wrapper", "leaf"]
Content = Literal["tags", "place", "sentence"]
Measure = Literal["fraction", "weight", "file"]

CHARACTER, GENERAL, PANEL, CAPTION, TAGS = "character", "general_tags", "inset_panel", "caption", "danbooru_tags"
TOP = "top"  # the parent of whatever stands outside all elements
LOOSE = "#text"  # the field that holds text standing in a block but in none of its elements


class Attribute(NamedTuple):
    """What an element may carry in its start tag: a fraction (0 to 1) of the picture, a weight, or a file's name."""

    name: str
    measure: Measure
    about: str


@dataclass(frozen=True)
class Element:
    """One element of the language."""

    name: str
    kind: Kind
    parents: tuple[str, ...]  # names of the elements it may stand in, TOP included
    about: str
    example: str = ""  # a usual value
    content: Content = "tags"
    aliases: tuple[str, ...] = ()
    repeats: bool = False  # may stand several times in one parent
    attributes: tuple[Attribute, ...] = ()


_WEIGHT = Attribute(
    "weight", "weight", "how much the model hears of it, from 0 to 4; 1 changes nothing: see regions.md"
)
_BOX = (
    Attribute("x", "fraction", "left edge of the character's box: see regions.md"),
    Attribute("y", "fraction", "its upper edge"),
    Attribute("width", "fraction", "of the box; to the right edge of the picture where it is left out"),
    Attribute("height", "fraction", "of the box; to the lower edge of the picture where it is left out"),
)


def _leaf(name: str, parents: tuple[str, ...], about: str, example: str, *aliases: str) -> Element:
    return Element(name, "leaf", parents, about, example, aliases=aliases, attributes=(_WEIGHT,))


_C, _G = (CHARACTER,), (GENERAL,)

# In canonical order: the order of the model's README within each block.
ELEMENTS: tuple[Element, ...] = (
    Element(
        CHARACTER, "character", (TOP, PANEL), "one person, numbered",
        attributes=(Attribute("src", "file", "a character file beneath the prompt's folder: see reuse.md"), _WEIGHT),
    ),
    _leaf("n", _C, "name: a Danbooru character, original_character, or $character_1$", "$character_1$", "name"),
    _leaf("gender", _C, "1girl, 1boy, …", "1girl"),
    _leaf("appearance", _C, "hair, eyes, body, species", "blue_hair, twintails, red_eyes"),
    _leaf("body_type", (CHARACTER, GENERAL), "build", "petite"),
    _leaf("clothing", _C, "outfit and accessories", "white_shirt, red_skirt", "clothes"),
    _leaf("expression", _C, "mood and face", "smile, closed_eyes"),
    _leaf("action", _C, "pose and activity", "waving"),
    _leaf("interaction", _C, "contact with others or with objects", "holding_hands"),
    Element(
        "position", "leaf", _C, "place in the frame: left, center_right, …", "left", content="place", attributes=_BOX
    ),
    Element(GENERAL, "general", (TOP, PANEL), "what concerns the whole picture", aliases=("general",)),
    _leaf("count", _G, "1girl, solo; 2girls, multiple_girls", "1girl, solo"),
    _leaf("artists", _G, "artist:name or bare names", "artist:someone", "artist"),
    _leaf("style", (GENERAL, TOP, PANEL), "drawing style; also as a leading line of its own", "anime_style"),
    _leaf("background", _G, "what is behind the characters", "sunset"),
    _leaf("environment", _G, "the place and its surroundings", "beach"),
    _leaf("perspective", _G, "camera: from_above, close-up, …", "from_above"),
    _leaf("lighting", _G, "light and shadow", "backlighting"),
    _leaf("atmosphere", _G, "mood of the scene", "peaceful"),
    _leaf("quality", _G, "masterpiece, very_aesthetic, no_text, …", "masterpiece, very_aesthetic, no_text"),
    _leaf("resolution", _G, "max_high_resolution", "max_high_resolution"),
    _leaf("objects", _G, "things in the scene", "umbrella"),
    _leaf("other", _G, "anything else", "full_body"),
    _leaf("extra_tags", _G, "anything else, as some tools call it", "petals"),
    Element(
        TAGS, "leaf", (TOP, GENERAL, PANEL), "a plain Danbooru tag list; used around negative prompts",
        "blurry, bad_hands", repeats=True,
    ),
    Element(
        PANEL, "panel", (TOP, PANEL), "a panel in the picture with characters and general tags of its own", repeats=True
    ),
    Element(
        CAPTION, "leaf", (TOP, GENERAL, PANEL), "one or two sentences in plain language",
        "A girl with blue twintails waves at the sunset.", content="sentence", repeats=True,
    ),
    Element("img", "wrapper", (TOP,), "optional root of some tools", aliases=("image", "root", "prompt", "xml")),
    Element(
        "custom_section", "wrapper", (TOP, CHARACTER, GENERAL, PANEL), "internal wrapper of some tools", repeats=True
    ),
)  # fmt: skip

PLACES: tuple[str, ...] = (
    "center", "left", "right", "center_left", "center_right", "left_side", "right_side", "foreground", "background",
    "full-frame", "solo", "tight shot", "extreme close-up",
)  # fmt: skip

CHARACTERS_NAMED = 20  # neither XSD nor RELAX NG can say "character_ and a number": schemas spell out so many

BY_NAME: dict[str, Element] = {e.name: e for e in ELEMENTS} | {a: e for e in ELEMENTS for a in e.aliases}
ORDER: dict[str, int] = {e.name: i for i, e in enumerate(ELEMENTS)}

_CHARACTER_NAME = re.compile(r"character(?:(?:[_\-]|\s++)?+(\d{1,4}+))?+")


class Known(NamedTuple):
    """A tag name that belongs to the language: its element, the canonical name, the number of a character."""

    element: Element
    name: str
    number: int | None = None


def lookup(written: str) -> Known | None:
    """The element a tag name stands for, in any spelling we accept, or None. Case does not matter."""
    if len(written) > 40:
        return None
    name = written.lower()
    if (found := BY_NAME.get("_".join(name.split()))) and found.kind != "character":
        return Known(found, found.name)
    if match := _CHARACTER_NAME.fullmatch(name):
        if match[1] is None:
            return Known(BY_NAME[CHARACTER], CHARACTER)
        number = int(match[1])
        return Known(BY_NAME[CHARACTER], f"{CHARACTER}_{number}", number)
    return None


def content_of(name: str) -> Content:
    """What an element holds; elements outside the language are taken for tag lists."""
    element = BY_NAME.get(name)
    return element.content if element else "tags"


def attributes_of(name: str) -> tuple[str, ...]:
    """Names of the attributes that mean something on an element; its name in canonical spelling."""
    return tuple(a.name for a in _attributes(name))


def meaningless(name: str, attributes: Iterable[str]) -> set[str]:
    """Those of a tag's attributes that mean nothing. Beside a file's name any other is a variable for that file."""
    carried = set(attributes)
    if any(a.measure == "file" and a.name in carried for a in _attributes(name)):
        return set()
    return carried - set(attributes_of(name))


def _attributes(name: str) -> tuple[Attribute, ...]:
    element = BY_NAME.get(CHARACTER if _CHARACTER_NAME.fullmatch(name) else name)
    return element.attributes if element else ()


@cache
def children_of(parent: str) -> tuple[Element, ...]:
    """What may stand in an element ("character", "inset_panel", TOP), in canonical order."""
    return tuple(e for e in ELEMENTS if parent in e.parents)


@cache
def fields_of(block: str) -> tuple[str, ...]:
    """The leaves of a block ("character", "general_tags") in canonical order."""
    return tuple(e.name for e in ELEMENTS if e.kind == "leaf" and block in e.parents)


@lru_cache(1024)
def similar(written: str, among: tuple[str, ...] = tuple(BY_NAME)) -> str:
    """The element that was probably meant by an unknown tag name, or ""."""
    name = written.lower()[:32]
    close = get_close_matches(name, [n for n in among if len(n) > 2], 1, cutoff=0.75)
    return BY_NAME[close[0]].name if close else ""
