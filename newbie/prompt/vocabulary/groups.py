"""How the groups of tags are written, and how they are read.

    hair colour: appearance                           the name of a group, and the element its tags are usual in
        black_hair, blonde_hair = blond_hair,         a tag, with the other names people use for it
        [red blue]_ribbon                             red_ribbon, blue_ribbon

Usual tags stand before rare ones: where two tags are equally near to a misspelt word, the first is suggested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_CHOICE = re.compile(r"\[([^\]]+)\]")


class Tag(NamedTuple):
    """A tag as it is best written. Tags of community lists have neither a group nor an element."""

    name: str
    group: str = ""
    element: str = ""


class Entry(NamedTuple):
    """A tag with its other names."""

    tag: Tag
    aliases: tuple[str, ...]


def read_groups(text: str) -> Iterator[Entry]:
    """The entries of a text in the form above."""
    group = element = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            group, element = map(str.strip, line.split(":"))
            continue
        for written in filter(None, map(str.strip, line.split(","))):
            name, *aliases = written.split(" = ")
            for each in _expanded(name):
                yield Entry(Tag(each, group, element), tuple(aliases))


def _expanded(name: str) -> list[str]:
    if "[" not in name:
        return [name]
    match = _CHOICE.search(name)
    return [name.replace(match[0], choice) for choice in match[1].split()] if match else [name]
