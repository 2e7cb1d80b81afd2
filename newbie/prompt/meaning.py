"""What a prompt says, free of how it is written: two prompts with one meaning differ in layout alone."""

from __future__ import annotations

from typing import NamedTuple

from newbie.prompt.canonical import normal, tag
from newbie.prompt.scene import Block, Scene
from newbie.prompt.schema import LOOSE

Elements = tuple[tuple[str, tuple[str, ...]], ...]  # names in alphabetical order, each with its texts as written


class Meaning(NamedTuple):
    """Comparable with `==`. Tags are in canonical spelling, texts with single blanks, empty elements left out."""

    characters: tuple[tuple[int, Elements], ...]
    general: Elements
    tags: tuple[str, ...]
    captions: tuple[str, ...]
    panels: tuple[Meaning, ...]


def meaning(scene: Scene) -> Meaning:
    """What the canonical layout, and every other layout, has to keep."""
    people = sorted(scene.characters, key=lambda c: c.number)  # stable: two with one number keep their order
    return Meaning(
        tuple((person.number, _elements(person)) for person in people),
        _elements(scene.general),
        tuple(tag(each.text) for each in scene.tags),
        tuple(text for caption in scene.captions if (text := " ".join(caption.text.split()))),
        tuple(meaning(panel) for panel in scene.panels),
    )


def _elements(block: Block) -> Elements:
    found: dict[str, list[str]] = {}
    for field in block.fields:
        if text := normal(field):
            found.setdefault(field.name, []).append(text)
    if LOOSE in found:  # pieces of loose text are one line of the layout
        found[LOOSE] = [", ".join(found[LOOSE])]
    return tuple((name, tuple(texts)) for name, texts in sorted(found.items()))
