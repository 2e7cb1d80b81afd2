"""Tags in the wrong place: said twice, or of a person but not in that person's block."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt.canonical import tag as canonical
from newbie.prompt.diagnostics import Diagnostic, Edit, Rule
from newbie.prompt.dialect import looks_like_tag
from newbie.prompt.rules.subject import Item, Subject, block_items, blocks
from newbie.prompt.schema import GENERAL, LOOSE
from newbie.prompt.source import Span
from newbie.prompt.vocabulary import plain

REPEATED_TAG = Rule(
    "NB303",
    "warning",
    "a tag that was said already",
    "A second time costs tokens, and at most makes the tag a little louder; weights do that better.",
    "1girl, solo, blue_hair, smile, blue_hair",
    "1girl, solo, blue_hair, smile",
)
WHOSE = Rule(
    "NB305",
    "warning",
    "the look of a person among the tags of the whole picture",
    "With two characters in the picture nobody can say whose hair this is; the model gives it to both, or to the wrong "
    "one.",
    "<character_1>\n<n>a</n>\n</character_1>\n<character_2>\n<n>b</n>\n</character_2>\n"
    "<general_tags>\n<other>blue_hair</other>\n</general_tags>",
    "<character_1>\n<n>a</n>\n<appearance>blue_hair</appearance>\n</character_1>\n"
    "<character_2>\n<n>b</n>\n</character_2>",
)
RULES = (REPEATED_TAG, WHOSE)

_LOOKS = ("appearance", "clothing", "body_type")
_SEPARATORS = frozenset(" \t\n\r\u3000,，、")


def repeated_tags(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        groups = [[i for i in block_items(block, name) if i.element != LOOSE] for block, name in blocks(scene)]
        for group in (*groups, [Item(value) for value in scene.tags]):
            seen: dict[str, Item] = {}
            for item in group:
                if not item.element and not looks_like_tag(item.text):
                    seen.clear()  # part of a sentence: what follows may be somebody else's
                    continue
                first = seen.setdefault(plain(item.text), item)
                if first is not item:
                    where = f"in <{first.element}> already" if first.element != item.element else "already"
                    same = first.element == item.element and canonical(first.text) == canonical(item.text)
                    fix = (_without(subject, item),) if same else ()  # another weight is for its author to choose
                    message = f"{item.text} was said {where}"
                    yield Diagnostic(REPEATED_TAG, item.span, message, "leave it out here", fix)


def _without(subject: Subject, item: Item) -> Edit:
    """Take a tag out with the comma in front of it."""
    text = subject.source.text
    start = item.span.start
    while start and text[start - 1] in _SEPARATORS:
        start -= 1
    return Edit(Span(start, item.span.stop), "")


def whose(subject: Subject) -> Iterator[Diagnostic]:
    for scene in subject.scenes:
        if len(scene.characters) < 2 or subject.negative:
            continue
        for item in (*block_items(scene.general, GENERAL), *map(Item, scene.tags)):
            tag = subject.tag(item.text)
            element = tag.element if tag else ""
            if element in _LOOKS and item.element not in ("objects", "artists", "style", LOOSE):
                message = f"{item.text} belongs to one of {len(scene.characters)} characters, and stands outside them"
                yield Diagnostic(WHOSE, item.span, message, f"put it into <{element}> of the character who has it")


CHECKS = (repeated_tags, whose)
