"""What every dialect is read into and written from: the scene, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from newbie.prompt.read import Reading
from newbie.prompt.scan import scan
from newbie.prompt.scene import Block, Character, Field, Scene, Value
from newbie.prompt.schema import ORDER


@dataclass(frozen=True)
class Sheet:
    """A prompt between two dialects.

    `attributes` are those of the tags, by the place at which a tag begins in the source; `notes` say what the reader
    of the dialect saw and could not put into the scene.
    """

    scene: Scene
    system: str = ""
    negative: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    attributes: Mapping[int, str] = field(default_factory=dict, hash=False)
    comments: int = 0
    notes: tuple[str, ...] = ()


def without_comments(reading: Reading) -> str:
    """What follows the system prompt, with blanks in place of comments."""
    return scan(reading.source).view[reading.body_start :]


def element(name: str, texts: Iterable[str]) -> Field:
    """An element made of single tags."""
    return Field(name, Value(", ".join(texts)))


def in_order(elements: Mapping[str, list[str]]) -> tuple[Field, ...]:
    """Elements in canonical order; empty ones are left out."""
    names = sorted(elements, key=lambda name: ORDER.get(name, len(ORDER)))
    return tuple(element(name, elements[name]) for name in names if elements[name])


def person(number: int, elements: Mapping[str, list[str]]) -> Character:
    return Character(in_order(elements), number=number)


def block(elements: Mapping[str, list[str]]) -> Block:
    return Block(in_order(elements))
