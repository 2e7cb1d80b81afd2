"""What is odd about a scene as a whole. Each rule is a function from a reading to its findings; RULES is the list.

What is odd about single tags is found while reading (balance.py, unknown.py, build.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.scene import Block, Character, Scene
from newbie.prompt.schema import GENERAL, LOOSE
from newbie.prompt.source import Span

Rule = Callable[[Scene], Iterator[Diagnostic]]

_PLACEHOLDER = re.compile(r"\$character_(\d{1,4})\$")


def lint(scene: Scene) -> Iterator[Diagnostic]:
    """Run every rule over the scene and over the panels in it."""
    for rule in RULES:
        yield from rule(scene)
    for panel in scene.panels:
        yield from lint(panel)


def repeated_numbers(scene: Scene) -> Iterator[Diagnostic]:
    """NB201: two characters with one number cannot be told apart."""
    taken = {c.number for c in scene.characters}
    free = next(n for n in range(1, len(taken) + 2) if n not in taken)
    seen: set[int] = set()
    for character in scene.characters:
        if character.number in seen:
            yield Diagnostic(
                "NB201",
                _opening(character),
                f"a second <{character.path}>",
                f"number it <character_{free}>, at both ends",
            )
        seen.add(character.number)


def number_gaps(scene: Scene) -> Iterator[Diagnostic]:
    """NB203: characters are numbered 1, 2, 3, … in the training captions."""
    numbers = sorted({c.number for c in scene.characters})
    if numbers != list(range(1, len(numbers) + 1)):
        wrong, right = next((n, i) for i, n in enumerate(numbers, 1) if n != i)
        character = scene.character(wrong)
        assert character is not None
        yield Diagnostic(
            "NB203", _opening(character), f"<character_{wrong}> comes without <character_{right}>",
            f"number it <character_{right}>, at both ends",
        )  # fmt: skip


def repeated_elements(scene: Scene) -> Iterator[Diagnostic]:
    """NB202: an element given twice in one block."""
    for block, name in _blocks(scene):
        seen: set[str] = set()
        for field in block.fields:
            if field.name == LOOSE or field.outer.start < block.outer.start:
                continue  # a style line in front of the prompt goes with the style of the block
            if field.name in seen:
                yield Diagnostic(
                    "NB202", field.outer, f"a second <{field.name}> in <{name}>", "join them into one, with commas"
                )
            seen.add(field.name)


def placeholder_names(scene: Scene) -> Iterator[Diagnostic]:
    """NB205: $character_2$ is the placeholder of character_2 and of no other block."""
    for character in scene.characters:
        match = _PLACEHOLDER.fullmatch(character.name.text) if character.name else None
        if match and int(match[1]) != character.number:
            yield Diagnostic(
                "NB205", character["n"].span, f"{match[0]} is the name of <{character.path}>",
                f"write $character_{character.number}$",
            )  # fmt: skip


RULES: tuple[Rule, ...] = (repeated_numbers, number_gaps, repeated_elements, placeholder_names)


def _blocks(scene: Scene) -> Iterator[tuple[Block, str]]:
    for character in scene.characters:
        yield character, character.path
    yield scene.general, GENERAL


def _opening(character: Character) -> Span:
    return Span(character.outer.start, max(character.inner.start, character.outer.start + 1))
