"""Numbers of characters. Characters are numbered 1, 2, 3, … in the training captions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Subject, opening

REPEATED_NUMBER = Rule(
    "NB201",
    "warning",
    "two characters have the same number",
    "The number is what keeps the words of two characters apart; with one number for both, their looks mix.",
    "<character_1>\n<n>a</n>\n</character_1>\n<character_1>\n<n>b</n>\n</character_1>",
    "<character_1>\n<n>a</n>\n</character_1>\n<character_2>\n<n>b</n>\n</character_2>",
)
NUMBER_GAP = Rule(
    "NB203",
    "warning",
    "character numbers leave a gap",
    "In training a <character_3> always came with a <character_2>: the model may look for the missing one, or draw it.",
    "<character_1>\n<n>a</n>\n</character_1>\n<character_3>\n<n>b</n>\n</character_3>",
    "<character_1>\n<n>a</n>\n</character_1>\n<character_2>\n<n>b</n>\n</character_2>",
)
UNNUMBERED = Rule(
    "NB204",
    "warning",
    "a character block without a number",
    "The model knows <character_1>, not <character>.",
    "<character>\n<n>a</n>\n</character>",
    "<character_1>\n<n>a</n>\n</character_1>",
)
OTHER_PLACEHOLDER = Rule(
    "NB205",
    "warning",
    "a placeholder name with another number than its block",
    "$character_2$ is the name of character 2; in another block it names two characters at once.",
    "<character_1>\n<n>$character_2$</n>\n</character_1>",
    "<character_1>\n<n>$character_1$</n>\n</character_1>",
)
RULES = (REPEATED_NUMBER, NUMBER_GAP, UNNUMBERED, OTHER_PLACEHOLDER)

_PLACEHOLDER = re.compile(r"\$character_(\d{1,4})\$")


def repeated_numbers(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        taken = {c.number for c in scene.characters}
        free = next(n for n in range(1, len(taken) + 2) if n not in taken)
        seen: set[int] = set()
        for character in scene.characters:
            if character.number in seen:
                hint = f"number it <character_{free}>, at both ends"
                yield Diagnostic(REPEATED_NUMBER, opening(character), f"a second <{character.path}>", hint)
            seen.add(character.number)


def number_gaps(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        numbers = sorted({c.number for c in scene.characters})
        gap = next(((n, i) for i, n in enumerate(numbers, 1) if n != i), None)
        if gap:
            wrong, right = gap
            character = scene.character(wrong)
            assert character is not None  # its number came from the scene
            message = f"<character_{wrong}> comes without <character_{right}>"
            hint = f"number it <character_{right}>, at both ends"
            yield Diagnostic(NUMBER_GAP, opening(character), message, hint)


def placeholder_names(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        for character in scene.characters:
            name = character.name
            match = _PLACEHOLDER.fullmatch(name.text) if name else None
            if name and match and int(match[1]) != character.number:
                message = f"{match[0]} is the name of <{character.path}>"
                yield Diagnostic(OTHER_PLACEHOLDER, name.span, message, f"write $character_{character.number}$")


CHECKS = (repeated_numbers, number_gaps, placeholder_names)
