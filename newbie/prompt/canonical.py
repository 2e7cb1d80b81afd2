"""One clean layout for every prompt: the form the bundled model was trained with.

Characters first, by number, then general tags, panels, caption; elements in the order of the model's README; one line
each, no indentation, no blank lines, empty elements left out. Tag lists are stripped and joined by ", ", with
underscores for the blanks inside a tag. A plain tag list stays a tag list, plain sentences stay sentences.
The canonical text of a canonical text is itself, and the scene it is read as means the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from newbie.prompt.dialect import looks_like_tag
from newbie.prompt.scene import Block, Field, Scene, Value, items_of
from newbie.prompt.schema import CAPTION, GENERAL, LOOSE, ORDER, PANEL, PLACES, TAGS, content_of


def canonical_text(scene: Scene) -> str:
    """The prompt in canonical layout, without a final newline; "" for an empty scene."""
    if scene.dialect == "text":
        return "\n".join(line for caption in scene.captions for line in _lines(caption.text))
    if scene.dialect == "tags":
        return join(scene.tags)
    return "\n".join(_scene_lines(scene))


def _lines(text: str) -> Iterable[str]:
    return filter(None, (" ".join(line.split()) for line in re.split(r"[\n\r]", text)))


def _scene_lines(scene: Scene) -> Iterable[str]:
    for character in sorted(scene.characters, key=lambda c: c.number):
        yield from (f"<{character.path}>", *_block_lines(character), f"</{character.path}>")
    if general := list(_block_lines(scene.general)):
        yield from (f"<{GENERAL}>", *general, f"</{GENERAL}>")
    yield from _element(TAGS, join(scene.tags))
    for panel in scene.panels:
        yield from (f"<{PANEL}>", *_scene_lines(panel), f"</{PANEL}>")
    for caption in scene.captions:
        yield from _element(CAPTION, " ".join(caption.text.split()))


def _block_lines(block: Block) -> Iterable[str]:
    loose = [item for field in block.fields if field.name == LOOSE for item in items_of(field)]
    if loose:
        yield join(loose)
    named = [f for f in block.fields if f.name != LOOSE]
    for field in sorted(named, key=lambda f: ORDER.get(f.name, len(ORDER))):  # stable: repeats keep their order
        yield from _element(field.name, normal(field))


def _element(name: str, text: str) -> list[str]:
    return [f"<{name}>{text}</{name}>"] if text else []


def normal(field: Field) -> str:
    """The value of an element in canonical form."""
    content = content_of(field.name)
    if content == "sentence":
        return " ".join(field.value.text.split())
    return join(items_of(field), places=content == "place")


def join(items: Iterable[Value], *, places: bool = False) -> str:
    """Tags in one line, each in canonical form."""
    return ", ".join(_place(item.text) if places else tag(item.text) for item in items)


def tag(text: str) -> str:
    """`blue hair` becomes `blue_hair`; text with `<`, other scripts and parts of sentences keep their blanks."""
    spaced = " ".join(text.split())
    return spaced.replace(" ", "_") if spaced.isascii() and "<" not in spaced and looks_like_tag(spaced) else spaced


def _place(text: str) -> str:
    """Position words are kept; only `center left` becomes the `center_left` of the language."""
    spaced = " ".join(text.split())
    joined = spaced.replace(" ", "_")
    return joined if joined in PLACES else spaced
