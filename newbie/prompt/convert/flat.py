"""Lists of tags: one for the picture and one per person, or everything in a row as Danbooru has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from newbie.prompt.canonical import tag
from newbie.prompt.convert.sheet import Sheet, without_comments
from newbie.prompt.dialect import is_booru_list, plain_dialect
from newbie.prompt.read import Reading
from newbie.prompt.scene import Block, Scene, Value
from newbie.prompt.schema import LOOSE, ORDER, content_of
from newbie.prompt.weights import marks

_PLACEHOLDER = re.compile(r"\$character_\d{1,4}\$|original_character")
_SENTENCE = re.compile(r"[.!?。！？]\s*\Z")
_FIRST = ("count",)  # of the picture: a list begins with who is there


class Lists(NamedTuple):
    """The tags of a scene, in canonical spelling, each once in its list."""

    first: tuple[str, ...]  # who is there, of what kind
    people: tuple[tuple[str, ...], ...]
    rest: tuple[str, ...]


def read_list(reading: Reading) -> Sheet:
    """A plain list of tags, perhaps with lines that are sentences; or sentences alone."""
    scene = reading.scene
    if scene.dialect == "tags" and not is_booru_list(without_comments(reading)):
        rest, sentences = apart(without_comments(reading))
        scene = Scene(tags=Value(rest).items, captions=tuple(map(Value, sentences)), dialect="tags")
    return Sheet(scene, system=reading.system_prompt)


def apart(text: str) -> tuple[str, list[str]]:
    """A list without its lines that are sentences, and those."""
    rest, sentences = [], []
    for line in text.split("\n"):
        if _SENTENCE.search(line) and plain_dialect(line) == "text":
            sentences.append(" ".join(line.split()))
        else:
            rest.append(line)
    return "\n".join(rest), sentences


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
        tags = list(_tags(character))
        if alone and character.gender and not first:  # "1girl" counts, where nothing else does
            first += [each for each in tags if each == tag(character.gender.text)]
        people.append(tuple(each for each in dict.fromkeys(tags) if not (alone and each in first)))
    rest = [*_tags(scene.general, leave=_FIRST), *each_weighted(Value(", ".join(each.text for each in scene.tags)))]
    return Lists(tuple(dict.fromkeys(first)), tuple(people), tuple(dict.fromkeys(rest)))


def _tags(block: Block, *, only: tuple[str, ...] = (), leave: tuple[str, ...] = ()) -> Iterator[str]:
    fields = sorted(block.fields, key=lambda f: -1 if f.name == LOOSE else ORDER.get(f.name, len(ORDER)))
    for field in fields:
        if (only and field.name not in only) or field.name in leave or content_of(field.name) == "sentence":
            continue
        tags = each_weighted(field.value)
        yield from (each for each in tags if field.name != "n" or not _PLACEHOLDER.fullmatch(each))


def each_weighted(value: Value) -> list[str]:
    """The tags of an element in canonical spelling; a weight that covers several becomes one of each."""
    text = value.text
    found = marks(text)
    bare = list(text)
    for outer, inner, _ in found:
        for start, stop in ((outer.start, inner.start), (inner.stop, outer.stop)):
            bare[start:stop] = " " * (stop - start)
    tags = []
    for item in Value("".join(bare)).items:
        over = [m for m in found if m.inner.start <= item.span.start and item.span.stop <= m.inner.stop]
        weight = f"{prod(m.weight for m in over):.3g}"
        if len(over) == 1:
            weight = text[over[0].inner.stop : over[0].outer.stop].strip(" :)")  # as it was typed
        tags.append(f"({tag(item.text)}:{weight})" if over else tag(item.text))
    return tags
