"""Elements given twice, and elements with nothing in them."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt.diagnostics import Diagnostic, Edit, Rule
from newbie.prompt.rules.subject import Subject, blocks, own_fields
from newbie.prompt.scan import attributes_at
from newbie.prompt.schema import LOOSE

REPEATED_ELEMENT = Rule(
    "NB202",
    "warning",
    "an element is given twice",
    "No training caption says <appearance> twice for one character; the second one may be taken for another person's.",
    "<character_1>\n<appearance>blue_hair</appearance>\n<appearance>red_eyes</appearance>\n</character_1>",
    "<character_1>\n<appearance>blue_hair, red_eyes</appearance>\n</character_1>",
)
EMPTY_ELEMENT = Rule(
    "NB206",
    "info",
    "an element with nothing in it",
    "Training captions leave out what they do not describe. An empty element costs tokens and says that something is "
    "there. (An empty <n> is usual, and is left alone.)",
    "<character_1>\n<appearance>blue_hair</appearance>\n<clothing></clothing>\n</character_1>",
    "<character_1>\n<appearance>blue_hair</appearance>\n</character_1>",
)
RULES = (REPEATED_ELEMENT, EMPTY_ELEMENT)


def repeated_elements(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        for block, name in blocks(scene) if scene.dialect != "outline" else ():  # hair and eyes have lines of their own
            seen: set[tuple[str, bool]] = set()
            for field in block.fields:
                # A style line in front of the prompt goes with the style in the block; two in front do not.
                place = field.name, field.outer.start < block.outer.start
                if place in seen and field.name != LOOSE:
                    message = f"a second <{field.name}> in <{name}>"
                    yield Diagnostic(REPEATED_ELEMENT, field.outer, message, "join them into one, with commas")
                seen.add(place)


def empty_elements(subject: Subject) -> Iterator[Diagnostic]:
    text = subject.source.text
    for scene in subject.scenes:
        for block, name in blocks(scene):
            if not block.outer.empty and not block.fields and not _has_file(text, block.outer.start):
                yield Diagnostic(EMPTY_ELEMENT, block.outer, f"<{name}> is empty", "describe it, or leave it out")
            for field in own_fields(block):
                carries = "=" in text[slice(*field.outer)]  # an attribute may be all there is to say, or a comment
                if not field.value.text and field.name != "n" and not carries:
                    fix = (Edit(subject.source.whole_line(field.outer), ""),)
                    yield Diagnostic(EMPTY_ELEMENT, field.outer, f"<{field.name}> is empty", "leave it out", fix)


def _has_file(text: str, start: int) -> bool:
    """Whether the tag here names a character file: what is wrong with the file is told by the rules of reuse."""
    return any(each.name == "src" for each in attributes_at(text, start))


CHECKS = (repeated_elements, empty_elements)
