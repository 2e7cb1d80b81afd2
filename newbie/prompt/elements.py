"""The elements of a prompt as places in a text: the paths that regions, weights and heat-maps will speak of.

Paths: "character_1", "character_1.appearance", "character_1.appearance[2]" (its third tag), "general_tags.count",
"caption", "tags[0]", "inset_panel_1.character_1". What is written twice gets "~2": "character_1~2", "caption~2".
Text that stands in a block but in none of its elements is "character_1.#text".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from newbie.prompt.scan import AttributeText, attributes_at
from newbie.prompt.scene import Block, Character, Field, Scene, items_of
from newbie.prompt.schema import CAPTION, GENERAL, PANEL
from newbie.prompt.source import Span


class Element(NamedTuple):
    """A named stretch of a text, as character offsets."""

    path: str
    start: int
    stop: int


def elements(scene: Scene, prefix: str = "") -> Iterator[Element]:
    """Everything in the scene that has a place in its source, outer elements before their parts."""
    seen: Counter[str] = Counter()

    def unique(path: str) -> str:
        seen[path] += 1
        return path if seen[path] == 1 else f"{path}~{seen[path]}"

    for path, character in character_paths(scene):
        yield from _block(prefix + path, character)
    yield from _block(prefix + GENERAL, scene.general)
    for i, item in enumerate(scene.tags):
        yield Element(f"{prefix}tags[{i}]", *item.span)
    for i, panel in enumerate(scene.panels, 1):
        path = f"{prefix}{PANEL}_{i}"
        yield from _placed(path, panel.outer)
        yield from elements(panel, path + ".")
    for caption in scene.captions:
        yield from _placed(unique(prefix + CAPTION), caption.span)


def character_paths(scene: Scene) -> list[tuple[str, Character]]:
    """Each character of the scene itself, not of its panels, with its path."""
    seen: Counter[str] = Counter()
    found = []
    for character in scene.characters:
        seen[character.path] += 1
        again = "" if seen[character.path] == 1 else f"~{seen[character.path]}"
        found.append((character.path + again, character))
    return found


def attributed(scene: Scene, text: str, prefix: str = "") -> Iterator[tuple[str, list[AttributeText]]]:
    """The attributes of characters, general tags and what stands in them, by path; `text` is what the scene is of."""
    for path, block in [*character_paths(scene), (GENERAL, scene.general)]:
        places = [(path, block.outer), *((name, field.outer) for name, field in _field_paths(path, block))]
        for name, outer in places:
            if not outer.empty and (given := attributes_at(text, outer.start)):
                yield prefix + name, given
    for i, panel in enumerate(scene.panels, 1):
        yield from attributed(panel, text, f"{prefix}{PANEL}_{i}.")


def _field_paths(path: str, block: Block) -> Iterator[tuple[str, Field]]:
    seen: Counter[str] = Counter()
    for field in block.fields:
        seen[field.name] += 1
        again = "" if seen[field.name] == 1 else f"~{seen[field.name]}"
        yield f"{path}.{field.name}{again}", field


def _block(path: str, block: Block) -> Iterator[Element]:
    yield from _placed(path, block.outer)
    for name, field in _field_paths(path, block):
        yield from _placed(name, field.value.span)
        for i, item in enumerate(items_of(field)):
            yield Element(f"{name}[{i}]", *item.span)


def _placed(path: str, span: Span) -> Iterator[Element]:
    if not span.empty:
        yield Element(path, *span)
