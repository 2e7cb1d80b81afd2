"""What may be typed next: names of elements behind `<`, the end tag behind `</`, tags and places inside elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from newbie.prompt.scan import Tag, still_open
from newbie.prompt.schema import CHARACTER, PLACES, TAGS, TOP, Element, children_of, lookup
from newbie.prompt.vocabulary import Vocabulary

LIMIT = 20  # of a word being typed
MOST = 200  # of an empty one, when asked
# A tag being typed. Behind a letter or an underscore, as in `>_<`, it is a face and no tag, unless it closes something.
_TAG_BEGUN = re.compile(r"(?<![^\s>])<([A-Za-z][\w\- ]*)?\Z|</([A-Za-z][\w\- ]*)?\Z")
_ITEM_BEGUN = re.compile(r"[^,，、\n\r]*\Z")
_START_TAG = re.compile(r"<([A-Za-z_][\w\-]*(?: \d+| tags)?)\s*/?>")


class Candidate(NamedTuple):
    """`text` may replace everything from offset `start` up to the cursor."""

    text: str
    start: int
    about: str = ""


def complete(text: str, cursor: int, vocabulary: Vocabulary, *, asked: bool = False) -> list[Candidate]:
    """What may stand at the cursor, best first.

    Args:
        cursor: offset in `text`.
        asked: the person asks for a list, so that also an empty word gets one.
    """
    before = text[:cursor]
    if begun := _TAG_BEGUN.search(before):
        outer = still_open(before[: begun.start()])
        if before.startswith("</", begun.start()):
            return [_end(tag, begun.start()) for tag in reversed(outer) if _fits(tag.name, begun[2])]
        return list(_starts(text, cursor, begun.start(), outer, begun[1] or ""))
    outer = still_open(before)
    home = outer[-1] if outer else None
    if home and home.known and home.known.element.kind == "leaf":
        return _words(before, home.stop, home.known.element, outer, vocabulary, asked)
    if outer or _START_TAG.search(before):
        return []  # between elements: only a tag may follow
    return _tags(before, 0, "", vocabulary, asked)


def _starts(text: str, cursor: int, at: int, outer: list[Tag], typed: str) -> Iterator[Candidate]:
    """Elements that may begin at an offset: those of the block around it that are not there yet."""
    home = outer[-1] if outer else None
    if home and home.known and home.known.element.kind == "leaf":  # it has to end first
        yield _end(home, at)
        return
    block, opened = _block(outer)
    there = _names_in(text, opened, at, cursor)
    for element in children_of(block):
        if element.name == CHARACTER:
            name = next(name for i in count(1) if (name := f"{CHARACTER}_{i}") not in there)
        elif (element.name in there and not element.repeats) or (element.kind == "wrapper" and there):
            continue
        else:
            name = element.name
        if _fits(name, typed):
            yield Candidate(f"<{name}>", at, element.about)


def _block(outer: list[Tag]) -> tuple[str, int]:
    """The name in the table of the block that is open, and the offset at which its content begins."""
    for tag in reversed(outer):
        if tag.known and tag.known.element.kind in ("character", "general", "panel"):
            return tag.known.element.name, tag.stop
    return TOP, 0


def _names_in(text: str, opened: int, at: int, cursor: int) -> set[str]:
    """Elements directly in the block around an offset: behind `opened`, and on up to where the block ends."""
    names: set[str] = set()
    level = 0
    rest = text[opened:at] + text[cursor:]
    for match in re.finditer(r"<(/?)([A-Za-z_][\w\-]*(?: \d+| tags)?)\s*(/?)>", rest):
        known = lookup(match[2])
        if known is None or known.element.kind == "wrapper":
            continue
        if match[1]:
            level -= 1
            if level < 0:
                break
        else:
            if level == 0:
                names.add(known.name)
            level += not match[3]
    return names


def _end(tag: Tag, at: int) -> Candidate:
    return Candidate(f"</{tag.name}>", at, "ends it")


def _words(
    before: str, opened: int, element: Element, outer: list[Tag], vocabulary: Vocabulary, asked: bool
) -> list[Candidate]:
    """What an element may hold."""
    if element.content == "sentence":
        return []
    usual: tuple[str, ...] = ()
    if element.content == "place":
        usual = PLACES
    elif element.name == "n":
        usual = (*(f"${tag.name}$" for tag in outer if tag.name.startswith(f"{CHARACTER}_")), "original_character")
    if not usual:
        return _tags(before, opened, "" if element.name == TAGS else element.name, vocabulary, asked)
    at, typed = _item(before, opened)
    if not (typed or asked):
        return []
    return [Candidate(word, at) for word in usual if _fits(word, typed) and word != typed]


def _tags(before: str, opened: int, element: str, vocabulary: Vocabulary, asked: bool) -> list[Candidate]:
    at, typed = _item(before, opened)
    if typed:
        names = vocabulary.complete(typed, element, LIMIT)
    elif asked:
        names = [name for name, tag in vocabulary.tags.items() if tag.element == element][:MOST]
    else:
        names = []
    return [Candidate(name, at, tag.group if (tag := vocabulary.find(name)) else "") for name in names if name != typed]


def _item(before: str, opened: int) -> tuple[int, str]:
    """Where the tag being typed begins (behind blanks and opening parentheses of a weight), and what it says so far."""
    match = _ITEM_BEGUN.search(before, opened)
    assert match is not None  # the pattern fits the empty end
    typed = match[0].lstrip().lstrip("([{").lstrip()
    return len(before) - len(typed), typed


def _fits(name: str, typed: str | None) -> bool:
    return name.replace(" ", "_").startswith((typed or "").lower().replace(" ", "_"))
