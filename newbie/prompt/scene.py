"""The typed scene: what a prompt says, each value with its place in the source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from newbie.prompt.schema import CAPTION, content_of
from newbie.prompt.source import NOWHERE, Span

Dialect = Literal["xml", "tags", "text", "outline", "empty"]

# Commas of both worlds, the ideographic comma, line ends. A semicolon is half an emoticon: `;)`.
_ITEM = re.compile(r"[^,，、\n\r]+")
SEPARATORS = re.compile(r"[\s,，、]*+")
STRAY = re.compile(r"[\s,，、;；.。]*+")  # between elements these say nothing


@dataclass(frozen=True)
class Value:
    """A piece of the prompt without surrounding white space; span.start == span.stop for an empty one."""

    text: str
    span: Span = NOWHERE

    @cached_property
    def items(self) -> tuple[Value, ...]:
        """The comma-separated parts, empty ones left out."""
        found = (m for m in _ITEM.finditer(self.text) if m[0].strip())
        return tuple(cut(self.text, m.start(), m.end(), self.span.start) for m in found)


def words(value: Value) -> tuple[Value, ...]:
    """The parts of a value between blanks."""
    return tuple(cut(value.text, m.start(), m.end(), value.span.start) for m in re.finditer(r"\S+", value.text))


def cut(text: str, start: int, stop: int, base: int = 0) -> Value:
    """The part of `text` between two offsets, white space trimmed; `base` is added to the places."""
    part = text[start:stop]
    start += len(part) - len(part.lstrip())
    part = part.strip()
    return Value(part, Span(base + start, base + start + len(part)))


class Field(NamedTuple):
    """One element of a block. `outer` covers its tags too."""

    name: str
    value: Value
    outer: Span = NOWHERE


@dataclass(frozen=True)
class Block(Mapping[str, Value]):
    """The elements of a block in the order written: block["appearance"] is the first of that name.

    `outer` covers the block with its tags, `inner` what stands between them; both are empty for a block that was not
    written (elements outside any block, scenes made by `compose`).
    """

    fields: tuple[Field, ...] = ()
    outer: Span = NOWHERE
    inner: Span = NOWHERE

    def __getitem__(self, name: str) -> Value:
        for field in self.fields:
            if field.name == name:
                return field.value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(f.name for f in self.fields))

    def __len__(self) -> int:
        return len({f.name for f in self.fields})


@dataclass(frozen=True)
class Character(Block):
    """One person. Elements outside the language are in `fields` like all others; `further` lists them."""

    number: int = 1

    @property
    def path(self) -> str:
        return f"character_{self.number}"

    @property
    def name(self) -> Value | None:
        return self.get("n")

    @property
    def gender(self) -> Value | None:
        return self.get("gender")

    @property
    def appearance(self) -> Value | None:
        return self.get("appearance")

    @property
    def clothing(self) -> Value | None:
        return self.get("clothing")

    @property
    def expression(self) -> Value | None:
        return self.get("expression")

    @property
    def action(self) -> Value | None:
        return self.get("action")

    @property
    def position(self) -> Value | None:
        return self.get("position")

    @property
    def further(self) -> dict[str, Value]:
        """Every element that has no property of its own."""
        own = {"n", "gender", "appearance", "clothing", "expression", "action", "position"}
        return {name: value for name, value in self.items() if name not in own}


@dataclass(frozen=True)
class Scene:
    """A prompt as its author meant it.

    `captions` holds the caption elements first, then text that stands outside all elements; `panels` are pictures
    within the picture; `tags` are those of a plain tag prompt, or of a <danbooru_tags> element.
    """

    characters: tuple[Character, ...] = ()
    general: Block = Block()
    tags: tuple[Value, ...] = ()
    captions: tuple[Value, ...] = ()
    panels: tuple[Scene, ...] = ()
    dialect: Dialect = "xml"
    outer: Span = NOWHERE  # of a panel

    @property
    def caption(self) -> Value | None:
        return self.captions[0] if self.captions else None

    def character(self, number: int) -> Character | None:
        """The first character with this number."""
        return next((c for c in self.characters if c.number == number), None)


def compose(
    characters: list[dict[str, str]] | None = None, general: dict[str, str] | None = None, caption: str = ""
) -> Scene:
    """A scene from plain values, as the training captions and tests need it; characters are numbered from 1."""
    people = tuple(
        Character(tuple(Field(k, Value(v)) for k, v in person.items()), number=number)
        for number, person in enumerate(characters or [], 1)
    )
    block = Block(tuple(Field(k, Value(v)) for k, v in (general or {}).items()))
    return Scene(people, block, captions=(Value(caption),) if caption else ())


def items_of(field: Field) -> tuple[Value, ...]:
    """The single tags of an element; a sentence has none."""
    return () if content_of(field.name) == "sentence" or field.name == CAPTION else field.value.items
