"""What a rule looks at: one reading, the words that are known, the encoders that will read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.infotext import parts
from newbie.prompt.scene import Block, Character, Field, Scene, Value, items_of
from newbie.prompt.schema import GENERAL, LOOSE
from newbie.prompt.source import Source, Span
from newbie.prompt.vocabulary import Tag, Vocabulary

if TYPE_CHECKING:
    from newbie.prompt.outline import Outline
    from newbie.prompt.read import Reading  # the reader imports rules
    from newbie.prompt.tokens import Encoding

Check = Callable[["Subject"], Iterator[Diagnostic]]


class Encoder(NamedTuple):
    """A text encoder as far as it cuts texts: "gemma" or "jina", its tokenizer, how many tokens it reads."""

    name: str
    encode: Callable[[str], Encoding]
    limit: int


class Audience(NamedTuple):
    """Who will read the prompt: a model by its name, its encoders, and how it wants prompts (newbie.prompt.render)."""

    name: str
    encoders: tuple[Encoder, ...]
    canonical: bool = False
    system_prompt: str | None = None


@dataclass(frozen=True)
class Subject:
    """`negative`: the prompt names what is *not* wanted. Without an audience nothing is said of limits."""

    reading: Reading
    vocabulary: Vocabulary
    audience: Audience | None = None
    negative: bool = False

    @property
    def source(self) -> Source:
        return self.reading.source

    @cached_property
    def _found(self) -> dict[str, Tag | None]:
        return {}

    def tag(self, text: str) -> Tag | None:
        """The tag of the vocabulary that a piece of the prompt means; many rules ask for the same ones."""
        if text not in self._found:
            self._found[text] = self.vocabulary.find(text)
        return self._found[text]

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """The scene and the panels in it. Of a list, what a web UI's `Negative prompt:` leads in is no part of it."""
        scene = self.reading.scene
        if scene.dialect == "tags":
            end = self.reading.body_start + len(parts(self.reading.body).prompt)
            scene = replace(scene, tags=tuple(tag for tag in scene.tags if tag.span.start < end))
        found = [scene]
        for scene in found:  # grows while we walk
            found += scene.panels
        return tuple(found)

    @cached_property
    def listed(self) -> Outline | None:
        """The list of lines that the prompt is."""
        if self.reading.dialect == "xml" or "\n" not in self.reading.body.strip():
            return None
        from newbie.prompt.outline import list_of  # most prompts need none of it, and lint has to start at once

        return list_of(self.reading)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every tag, in the order of the blocks of each scene; no sentences."""
        return tuple(item for scene in self.scenes for item in items(scene))

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Every piece of content: elements whole, tags of a plain list, captions."""
        found: list[Value] = []
        for scene in self.scenes:
            found += [field.value for block, _ in blocks(scene) for field in block.fields]
            found += [*scene.tags, *scene.captions]
        return tuple(found)


class Item(NamedTuple):
    """A tag with the names of the element and of the block it stands in; both are "" in a plain tag list."""

    value: Value
    element: str = ""
    block: str = ""

    @property
    def text(self) -> str:
        return self.value.text

    @property
    def span(self) -> Span:
        return self.value.span


def blocks(scene: Scene) -> Iterator[tuple[Block, str]]:
    """The blocks of a scene with their names."""
    for character in scene.characters:
        yield character, character.path
    yield scene.general, GENERAL


def items(scene: Scene) -> Iterator[Item]:
    """Every tag of a scene in the order of its blocks; not those of its panels, and no sentences."""
    for block, name in blocks(scene):
        yield from block_items(block, name)
    yield from map(Item, scene.tags)


def block_items(block: Block, name: str) -> Iterator[Item]:
    for field in block.fields:
        for value in items_of(field):
            yield Item(value, field.name, name)


def own_fields(block: Block) -> Iterator[Field]:
    """The elements written inside a block: no loose text, and no style line in front of the prompt."""
    return (f for f in block.fields if f.name != LOOSE and f.outer.start >= block.outer.start)


def opening(character: Character) -> Span:
    """The start tag of a character."""
    return Span(character.outer.start, max(character.inner.start, character.outer.start + 1))
