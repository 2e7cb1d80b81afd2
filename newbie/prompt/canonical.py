"""One clean layout for every prompt: the form the bundled model was trained with.

Characters first, by number, then general tags, panels, caption; elements in the order of the model's README; one line
each, no indentation, no blank lines, empty elements left out. Tag lists are stripped and joined by ", ", with
underscores for the blanks inside a tag. A plain tag list stays a tag list, plain sentences stay sentences.
The canonical text of a canonical text is itself, and the scene it is read as means the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from newbie.prompt.dialect import looks_like_tag
from newbie.prompt.scene import Block, Field, Scene, Value, items_of
from newbie.prompt.schema import CAPTION, GENERAL, LOOSE, ORDER, PANEL, PLACES, TAGS, content_of
from newbie.prompt.source import Span


class Line(NamedTuple):
    """One line of the layout, and the stretches of the source it stands for (none for a scene made by `compose`)."""

    text: str
    places: tuple[Span, ...] = ()


Attributes = Callable[[Span], str]  # of the element at a place of the source: ' x="0.1"', or ""


def canonical_text(scene: Scene) -> str:
    """The prompt in canonical layout, without a final newline; "" for an empty scene."""
    return "\n".join(line.text for line in layout(scene))


def _no_attributes(_: Span) -> str:
    return ""


def layout(scene: Scene, attributes: Attributes = _no_attributes) -> Iterator[Line]:
    """The lines of the canonical layout. An empty element is kept when it has attributes."""
    if scene.dialect == "text":
        return (Line(line, (caption.span,)) for caption in scene.captions for line in _lines(caption.text))
    if scene.dialect == "tags":
        return iter([Line(join(scene.tags), _spans(scene.tags))])
    return _scene_lines(scene, attributes)


def _lines(text: str) -> Iterable[str]:
    return filter(None, (" ".join(line.split()) for line in re.split(r"[\n\r]", text)))


def _scene_lines(scene: Scene, attributes: Attributes) -> Iterator[Line]:
    for character in sorted(scene.characters, key=lambda c: c.number):
        yield from _enclosed(character.path, character.outer, list(_block_lines(character, attributes)), attributes)
    if general := list(_block_lines(scene.general, attributes)):
        yield from _enclosed(GENERAL, scene.general.outer, general, attributes)
    yield from _element(TAGS, join(scene.tags), _spans(scene.tags))
    for panel in scene.panels:
        yield from _enclosed(PANEL, panel.outer, list(_scene_lines(panel, attributes)), attributes)
    for caption in scene.captions:
        yield from _element(CAPTION, " ".join(caption.text.split()), (caption.span,))


def _enclosed(name: str, outer: Span, inside: list[Line], attributes: Attributes) -> Iterator[Line]:
    """A block: its start tag, its lines, its end tag."""
    written = attributes(outer)
    if written and not inside:
        yield Line(f"<{name}{written}/>", (outer,))
        return
    yield Line(f"<{name}{written}>", () if outer.empty else (Span(outer.start, outer.start + 1),))
    yield from inside
    yield Line(f"</{name}>", () if outer.empty else (Span(outer.stop - 1, outer.stop),))


def _block_lines(block: Block, attributes: Attributes) -> Iterator[Line]:
    loose = [item for field in block.fields if field.name == LOOSE for item in items_of(field)]
    if loose:
        yield Line(join(loose), _spans(loose))
    named = [f for f in block.fields if f.name != LOOSE]
    for field in sorted(named, key=lambda f: ORDER.get(f.name, len(ORDER))):  # stable: repeats keep their order
        yield from _element(field.name, normal(field), (field.outer,), attributes(field.outer))


def _element(name: str, text: str, places: tuple[Span, ...], attributes: str = "") -> Iterator[Line]:
    if text:
        yield Line(f"<{name}{attributes}>{text}</{name}>", places)
    elif attributes:
        yield Line(f"<{name}{attributes}/>", places)


def _spans(values: Iterable[Value]) -> tuple[Span, ...]:
    return tuple(value.span for value in values)


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
    """`blue hair` becomes `blue_hair`; text with `<`, ` | `, other scripts and parts of sentences keep their blanks."""
    spaced = " ".join(text.split())
    is_text = "<" in spaced or " | " in spaced  # NovelAI's `smile | girl` are two tags of two people
    return spaced.replace(" ", "_") if spaced.isascii() and not is_text and looks_like_tag(spaced) else spaced


def _place(text: str) -> str:
    """Position words are kept; only `center left` becomes the `center_left` of the language."""
    spaced = " ".join(text.split())
    joined = spaced.replace(" ", "_")
    return joined if joined in PLACES else spaced
