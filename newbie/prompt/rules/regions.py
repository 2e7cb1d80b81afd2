"""Boxes that cannot be drawn into."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt import boxes
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Subject

IMPOSSIBLE_BOX = Rule(
    "NB701",
    "error",
    "a box that lies outside the picture, or holds nothing",
    "The box of a <position> is in shares of the picture: x and y from its upper left corner, width and height from "
    "there, all from 0 to 1. What reaches out of the picture cannot be drawn.",
    '<character_1><n>miku</n><position x="0.7" width="0.5">right</position></character_1>',
    '<character_1><n>miku</n><position x="0.7" width="0.3">right</position></character_1>',
)
RULES = (IMPOSSIBLE_BOX,)


def impossible_boxes(subject: Subject) -> Iterator[Diagnostic]:
    for trouble in boxes.troubles(subject.reading):
        yield Diagnostic(IMPOSSIBLE_BOX, *trouble)


CHECKS = (impossible_boxes,)
