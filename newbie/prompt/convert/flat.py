"""Lists of tags: one for the picture and one per person, or everything in a row as Danbooru has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from newbie.prompt.canonical import tag
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.read import Reading
from newbie.prompt.scene import Block, Scene, items_of
from newbie.prompt.schema import LOOSE, ORDER, content_of

_PLACEHOLDER = re.compile(r"\$character_\d{1,4}\$|original_character")
_FIRST = ("count",)  # of the picture: a list begins with who is there


class Lists(NamedTuple):
    """The tags of a scene, in canonical spelling, each once in its list."""

    first: tuple[str, ...]  # who is there, of what kind
    people: tuple[tuple[str, ...], ...]
    rest: tuple[str, ...]


def read_list(reading: Reading) -> Sheet:
    """A plain list of tags, or sentences."""
    return Sheet(reading.scene, system=reading.system_prompt)


def write_list(sheet: Sheet) -> str:
    """Everything in a row. A tag that was said before is not said again."""
    lists = lists_of(sheet.scene)
    everything = (*lists.first, *(each for person in lists.people for each in person), *lists.rest)
    return ", ".join(dict.fromkeys(everything))


def lists_of(scene: Scene) -> Lists:
    """Panels are pictures of their own and are not part of the lists; neither are sentences."""
    first = [*_tags(scene.general, only=_FIRST)]
    people = []
    alone = len(scene.characters) == 1
    for character in sorted(scene.characters, key=lambda c: c.number):
        tags = [each for each in _tags(character) if not _PLACEHOLDER.fullmatch(each)]
        if alone and character.gender and not first:  # "1girl" counts, where nothing else does
            first += [each for each in tags if each == tag(character.gender.text)]
        people.append(tuple(each for each in dict.fromkeys(tags) if not (alone and each in first)))
    rest = [*_tags(scene.general, leave=_FIRST), *(tag(each.text) for each in scene.tags)]
    return Lists(tuple(dict.fromkeys(first)), tuple(people), tuple(dict.fromkeys(rest)))


def _tags(block: Block, *, only: tuple[str, ...] = (), leave: tuple[str, ...] = ()) -> Iterator[str]:
    fields = sorted(block.fields, key=lambda f: -1 if f.name == LOOSE else ORDER.get(f.name, len(ORDER)))
    for field in fields:
        if (only and field.name not in only) or field.name in leave or content_of(field.name) == "sentence":
            continue
        yield from (tag(item.text) for item in items_of(field))
