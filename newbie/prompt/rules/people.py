"""How many people there are: characters against the tags that count them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Item, Subject, block_items, opening
from newbie.prompt.scene import Character, Scene, Value
from newbie.prompt.schema import GENERAL

COUNT = Rule(
    "NB207",
    "warning",
    "the count says another number of people than there are characters",
    "The count is what the model obeys first. With 1girl and two characters it draws one girl with the looks of both.",
    "<character_1>\n<gender>1girl</gender>\n</character_1>\n<character_2>\n<gender>1girl</gender>\n</character_2>\n"
    "<general_tags>\n<count>1girl</count>\n</general_tags>",
    "<character_1>\n<gender>1girl</gender>\n</character_1>\n<character_2>\n<gender>1girl</gender>\n</character_2>\n"
    "<general_tags>\n<count>2girls</count>\n</general_tags>",
)
TOO_MANY = Rule(
    "NB208",
    "warning",
    "more characters than a picture holds",
    "Training pictures show a handful of described people. Beyond that, looks mix and people go missing, and their "
    "descriptions fall off the end of what the encoders read.",
    "".join(f"<character_{n}>\n<gender>1girl</gender>\n</character_{n}>\n" for n in range(1, 10)),
    "".join(f"<character_{n}>\n<gender>1girl</gender>\n</character_{n}>\n" for n in range(1, 4)),
)
RULES = (COUNT, TOO_MANY)

MAX_CHARACTERS = 8

_NUMBER = re.compile(r"(\d{1,2})(\+?)(girl|boy|other)s?")
_MULTIPLE = re.compile(r"multiple_(girl|boy|other)s")
_KINDS = {"girl": "girl", "woman": "girl", "female": "girl", "boy": "boy", "man": "boy", "male": "boy"}


class Said(NamedTuple):
    """What one tag says about the number of people of one kind, or ("") of all: `number`, or (`open`) at least that."""

    kind: str
    number: int
    open: bool
    value: Value


def counts(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        said = list(_said(scene, subject))
        if not scene.characters or not said or subject.negative:
            continue
        there = _people(scene, subject)
        if wrong := _wrong(said, there):
            message = f"the count says {wrong.value.text}, the characters are {_described(there)}"
            right = _described(there) if "" not in there else "how many there are"
            yield Diagnostic(COUNT, wrong.value.span, message, f"write {right}, or change the characters")


def _wrong(said: list[Said], there: dict[str, int]) -> Said | None:
    """The first count that cannot be true. People whose kind is not known may be of any kind."""
    total, unknown = sum(there.values()), there.get("", 0)
    for each in said:
        here = there.get(each.kind, 0) if each.kind else total
        could_be = here + unknown if each.kind else total
        if not each.open and not here <= each.number <= could_be:
            return each
    kinds = [each for each in said if each.kind]
    if kinds and not any(each.open for each in kinds) and total > sum({k.kind: k.number for k in kinds}.values()):
        return kinds[0]
    return None


def _described(there: dict[str, int]) -> str:
    """As tags, or in words where the kind of someone is not known."""
    total = sum(there.values())
    if "" in there:
        return f"{total} character{'s' * (total > 1)}"
    return ", ".join(f"{n}{kind}{'s' * (n > 1)}" for kind, n in there.items())


def too_many(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        if len(scene.characters) > MAX_CHARACTERS:
            message = f"{len(scene.characters)} characters; a picture holds about {MAX_CHARACTERS}"
            hint = "describe the most important ones, and count the others: 6+girls, crowd"
            yield Diagnostic(TOO_MANY, opening(scene.characters[MAX_CHARACTERS]), message, hint)


def _people(scene: Scene, subject: Subject) -> dict[str, int]:
    """How many of each kind the characters are; "" where nothing says the kind."""
    found: dict[str, int] = {}
    for character in scene.characters:
        kind, number = _kind(character, subject)
        found[kind] = found.get(kind, 0) + number
    return found


def _kind(character: Character, subject: Subject) -> tuple[str, int]:
    for item in block_items(character, character.path):
        tag = subject.tag(item.text)
        name = tag.name if tag else ""
        if match := _NUMBER.fullmatch(name):
            return match[3], int(match[1])
        if item.element == "gender" and name in _KINDS:
            return _KINDS[name], 1
    return "", 1


def _said(scene: Scene, subject: Subject) -> Iterator[Said]:
    for item in (*block_items(scene.general, GENERAL), *map(Item, scene.tags)):
        tag = subject.tag(item.text)
        name = tag.name if tag else ""
        if match := _NUMBER.fullmatch(name):
            yield Said(match[3], int(match[1]), bool(match[2]), item.value)
        elif match := _MULTIPLE.fullmatch(name):
            yield Said(match[1], 2, True, item.value)
        elif name in ("solo", "no_humans"):
            yield Said("", int(name == "solo"), False, item.value)


CHECKS = (counts, too_many)
