"""Boxes that cannot be drawn into, and pictures too crowded for areas."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt import boxes
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Subject
from newbie.prompt.source import Span

IMPOSSIBLE_BOX = Rule(
    "NB701",
    "error",
    "a box that lies outside the picture, or holds nothing",
    "The box of a <position> is in shares of the picture: x and y from its upper left corner, width and height from "
    "there, all from 0 to 1. What reaches out of the picture cannot be drawn.",
    '<character_1><n>miku</n><position x="0.7" width="0.5">right</position></character_1>',
    '<character_1><n>miku</n><position x="0.7" width="0.3">right</position></character_1>',
)
CROWD = Rule(
    "NB702",
    "warning",
    "more characters than a picture has room for",
    "Every character gets a part of the picture. With more than eight of them these are narrower than a face, and no "
    "model was trained on so many.",
    "".join(f"<character_{n}><n>guest_{n}</n></character_{n}>" for n in range(1, 10)),
    "".join(f"<character_{n}><n>guest_{n}</n></character_{n}>" for n in range(1, 9)),
)
RULES = (IMPOSSIBLE_BOX, CROWD)
MOST = 8


def impossible_boxes(subject: Subject) -> Iterator[Diagnostic]:
    for trouble in boxes.troubles(subject.reading):
        yield Diagnostic(IMPOSSIBLE_BOX, *trouble)


def crowds(subject: Subject) -> Iterator[Diagnostic]:
    people = subject.reading.scene.characters
    if len(people) > MOST:
        ninth = people[MOST]
        place = Span(ninth.outer.start, max(ninth.inner.start, ninth.outer.start))
        yield Diagnostic(CROWD, place, f"{len(people)} characters in one picture", f"at most {MOST} have room")


CHECKS = (impossible_boxes, crowds)
