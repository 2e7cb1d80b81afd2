"""Tags that contradict each other: in one person, or in the whole picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.infotext import COMMANDS
from newbie.prompt.rules.subject import Item, Subject, block_items
from newbie.prompt.scene import Scene, Value
from newbie.prompt.schema import GENERAL
from newbie.prompt.source import Span
from newbie.prompt.vocabulary.conflicts import Conflict, of_person, of_picture

CONTRADICTION = Rule(
    "NB304",
    "warning",
    "two tags that contradict each other",
    "The model cannot draw both. It draws one of them, a mixture, or a second person who has the other.",
    "<character_1>\n<appearance>long_hair, blue_eyes, short_hair</appearance>\n</character_1>",
    "<character_1>\n<appearance>long_hair, blue_eyes</appearance>\n</character_1>",
)
RULES = (CONTRADICTION,)

_SEVERAL = re.compile(r"([2-9]\+?|multiple_)(girls|boys|others)|duo|trio|group|couple|crowd|twins|triplets|people")
_ONE = ({"1girl", "girl"}, {"1boy", "boy"})


def contradictions(subject: Subject) -> Iterator[Diagnostic]:
    if subject.negative:
        return
    for scene in subject.scenes:
        first, *further = _parts(scene.tags)
        picture = [*block_items(scene.general, GENERAL), *first]
        people = [list(block_items(character, character.path)) for character in scene.characters]
        if len(people) < 2 and _one_person(scene, picture, subject):
            people = [[*(item for items in people for item in items), *picture]]  # the picture's tags are theirs too
        people += [part for part in further if _one_person(scene, part, subject)]
        for part in (picture, *further):
            yield from _among(part, of_picture(), subject)
        for person in people:
            yield from _among(person, of_person(), subject)


def _parts(tags: Iterable[Value]) -> list[list[Item]]:
    """A list of tags, cut where BREAK and the like stand: what is behind them is somebody else's."""
    parts: list[list[Item]] = [[]]
    for tag in tags:
        if COMMANDS.isdisjoint(tag.text.split()):
            parts[-1].append(Item(tag))
        else:
            parts.append([])
    return parts


def _one_person(scene: Scene, picture: list[Item], subject: Subject) -> bool:
    if scene.characters:
        return True
    names = {tag.name for item in picture if (tag := subject.tag(item.text))}
    return not any(map(_SEVERAL.fullmatch, names)) and not all(names & one for one in _ONE)


def _among(items: list[Item], conflicts: Iterable[Conflict], subject: Subject) -> Iterator[Diagnostic]:
    tags = [(subject.tag(item.text), item) for item in items if item.element not in ("n", "artists")]
    named = [(tag.name, item) for tag, item in tags if tag]
    names = {name for name, _ in named}
    told: set[Span] = set()
    for conflict in conflicts:
        if conflict.unless & names or len(conflict.sides.keys() & names) < 2:
            continue
        first: tuple[str, Item] | None = None
        for name, item in named:
            if name not in conflict.sides:
                continue
            if first is None:
                first = name, item
            elif conflict.sides[name] != conflict.sides[first[0]]:
                message = f"{item.text} contradicts {first[1].text}"
                if item.span not in told:
                    yield Diagnostic(CONTRADICTION, item.span, message, "keep one of the two")
                told.add(item.span)
                break


CHECKS = (contradictions,)
