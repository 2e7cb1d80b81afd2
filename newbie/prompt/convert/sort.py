"""Sort a plain list of tags into the elements of the language, as far as a list says what belongs where.

With one person in the picture every tag of a person is theirs. With several a list does not say whose hair is blue:
such tags go to <other>, unless the list is cut into one part per person (see a1111.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from newbie.prompt.convert.sheet import Sheet, block, person
from newbie.prompt.dialect import looks_like_tag
from newbie.prompt.scene import Character, Scene, Value
from newbie.prompt.schema import CHARACTER, GENERAL, PLACES, fields_of
from newbie.prompt.vocabulary import Vocabulary, bundled
from newbie.prompt.weights import without

OTHER = "other"
_PEOPLE = re.compile(r"(\d{1,2})\+?(girl|boy|other)s?")
_SEVERAL = re.compile(r"multiple_(girls|boys|others)")
# What the model's own prompts put where, whatever it is elsewhere; then what a list of words cannot list.
_FIRST = (
    (re.compile(r"artist:.|(?:year|date)_\d{4}\Z|.*_\(artist\)\Z"), "artists"),
    (re.compile(r"style_of_."), "style"),
    (re.compile(r"max_high_resolution"), "resolution"),
)
_THEN = (
    (re.compile(r".*_(?:hair|eyes|skin)\Z"), "appearance"),
    (re.compile(r".*_background\Z"), "background"),
    (re.compile(r"(?:站?在)?(?:画面|畫面)?[最正]?(?:[左右][上中下]?|中)[侧側边邊方间間央角]?\Z|真ん中\Z"), "position"),
    (re.compile(r".*_(?:dress|shirt|skirt|jacket|coat|kimono|uniform|suit|hoodie|sweater|boots|gloves)\Z"), "clothing"),
)


class People(NamedTuple):
    """Who a list says is there: how many, and the word for one who is alone ("1girl")."""

    number: int
    alone: str = ""


def structured(sheet: Sheet) -> Sheet:
    """The sheet with an XML scene: tags sorted, sentences as captions. What was XML stays what it is."""
    scene = sheet.scene
    if scene.dialect == "text":
        return replace(sheet, scene=Scene(captions=scene.captions))
    if scene.dialect != "tags":
        return sheet
    tags = [each.text for each in scene.tags]
    made = sort([tags])
    notes = sheet.notes
    if homeless := _homeless(tags):
        notes += (f"a list does not say which person these belong to; they stand in <{OTHER}>: {', '.join(homeless)}",)
    return replace(sheet, scene=replace(made, captions=(*made.captions, *scene.captions)), notes=notes)


def sort(parts: Sequence[Sequence[str]]) -> Scene:
    """A scene of tags. The first part speaks of the picture, each further part of one person."""
    words = bundled()
    everyone = [tag for part in parts for tag in part]
    captions = dict.fromkeys(tag for tag in everyone if not looks_like_tag(tag))
    general: dict[str, list[str]] = {}
    lone: dict[str, list[str]] = {}
    people = people_of(parts[0])
    for tag in parts[0]:
        if tag in captions:
            continue
        name = element_of(tag, words)
        if name in fields_of(GENERAL) and not (people.number == 1 and name in fields_of(CHARACTER)):
            general.setdefault(name, []).append(tag)
        elif people.number == 1 and len(parts) == 1:
            lone.setdefault(name, []).append(tag)
        else:
            general.setdefault(OTHER, []).append(tag)
    characters = [_person(i, part, words, captions) for i, part in enumerate(parts[1:], 1)]
    if len(parts) == 1 and people.number == 1 and (lone or people.alone):
        if people.alone:
            lone["gender"] = [people.alone, *lone.get("gender", [])]
        characters = [person(1, lone)]
    return Scene(tuple(characters), block(general), captions=tuple(map(Value, captions)))


def regional(parts: Sequence[Sequence[str]]) -> list[list[str]]:
    """Parts as `sort` wants them, or none: BREAK also cuts what speaks of one person, or of the picture again.

    A part of a list is that of a person unless it counts several, or all that is known of it belongs to the picture.
    """
    people = people_of(tag for part in parts for tag in part)
    if people.number == 0 or people.alone:  # counted: nobody, or one
        return []
    words = bundled()
    first, rest = list(parts[0]), []
    for part in parts[1:]:
        homes = {element_of(tag, words) for tag in part} - {OTHER}
        speaks_of_picture = homes and homes.isdisjoint(fields_of(CHARACTER)) and not any(map(counts_people, part))
        if speaks_of_picture or people_of(part).number > 1:
            first += part
        else:
            rest.append(list(part))
    return [first, *rest] if rest else []


def counts_people(tag: str) -> bool:
    """Whether a tag says who is there: 1girl, 2boys."""
    return bool(_PEOPLE.fullmatch(plain(tag)))


def _person(number: int, tags: Iterable[str], words: Vocabulary, captions: Mapping[str, None]) -> Character:
    """What one part of a list says of one person."""
    found: dict[str, list[str]] = {}
    for tag in tags:
        if tag not in captions:
            name = "gender" if counts_people(tag) else element_of(tag, words)
            found.setdefault(name if name in fields_of(CHARACTER) else "appearance", []).append(tag)
    return person(number, found)


def _homeless(tags: Sequence[str]) -> list[str]:
    """Tags of a person, in a list that speaks of several."""
    if people_of(tags).number == 1:
        return []
    of_person = set(fields_of(CHARACTER)) - set(fields_of(GENERAL))
    return [tag for tag in tags if looks_like_tag(tag) and element_of(tag, bundled()) in of_person]


def people_of(tags: Iterable[str]) -> People:
    """A list that does not count its people is taken to speak of one."""
    counted, several, alone = 0, False, ""
    for tag in map(plain, tags):
        if match := _PEOPLE.fullmatch(tag):
            counted += int(match[1])
            alone = tag
        several = several or bool(_SEVERAL.fullmatch(tag))
        if tag == "no_humans":
            return People(0)
    if several or counted > 1:
        return People(max(counted, 2))
    return People(1, alone)


def element_of(tag: str, words: Vocabulary) -> str:
    """The element a tag belongs into; <other> for a tag that nobody knows."""
    bare = plain(tag)
    listed = words.element_of(bare) or ("position" if bare in PLACES else "")
    first, then = (next((name for rule, name in rules if rule.match(bare)), "") for rules in (_FIRST, _THEN))
    return first or listed or then or OTHER


def plain(tag: str) -> str:
    """A tag without its weight, in small letters, with underscores."""
    return "_".join(without(tag).lower().split())
