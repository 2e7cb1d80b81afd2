"""Where people stand."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Subject
from newbie.prompt.scene import Field

SAME_PLACE = Rule(
    "NB209",
    "warning",
    "two characters stand in the same place",
    "The place is what ties a description to a part of the picture. In one place the two become one person, or swap "
    "their looks.",
    "<character_1>\n<n>a</n>\n<position>center</position>\n</character_1>\n"
    "<character_2>\n<n>b</n>\n<position>center</position>\n</character_2>",
    "<character_1>\n<n>a</n>\n<position>left</position>\n</character_1>\n"
    "<character_2>\n<n>b</n>\n<position>right</position>\n</character_2>",
)
RULES = (SAME_PLACE,)

# One person has these to himself; two may well share the foreground.
_OWN = {
    "center": "center", "left": "left", "left_side": "left", "center_left": "center_left", "far_left": "far_left",
    "right": "right", "right_side": "right", "center_right": "center_right", "far_right": "far_right",
}  # fmt: skip
_OFFER = ("left", "right", "center", "center_left", "center_right")


def same_place(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        taken: dict[str, str] = {}
        for character in scene.characters:
            field = next((f for f in character.fields if f.name == "position"), None)
            place = _place(field, subject) if field else ""
            if field and place in taken:
                free = next((p for p in _OFFER if p not in taken), "")
                hint = f"{taken[place]} is already here" + (f"; try {free}" if free else "")
                message = f'{character.path} stands at "{field.value.text}" like {taken[place]}'
                yield Diagnostic(SAME_PLACE, field.value.span, message, hint)
            if place:
                taken.setdefault(place, character.path)


def _place(field: Field, subject: Subject) -> str:
    """Where someone stands, in one spelling; "" where the words leave it open, or a box says it in numbers."""
    has_box = "=" in subject.source.text[field.outer.start : field.value.span.start]
    tag = subject.tag(field.value.text)
    return _OWN.get(tag.name, "") if tag and not has_box else ""


CHECKS = (same_place,)
