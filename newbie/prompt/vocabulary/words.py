"""Vocabulary: which tags there are, under which names, and which of them a piece of a prompt means."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import islice

from newbie.prompt.vocabulary import clothing, face, hair, light, people, picture, places, poses, things
from newbie.prompt.vocabulary.groups import Entry, Tag, read_groups

_WEIGHTED = re.compile(r"[(\[{]+(?P<tag>[^()\[\]{}]+?)(?::-?[\d.]+)?[)\]}]+")
_HALF = re.compile(r"\((?P<first>[^()]+)|(?P<last>[^()]+):[\d.]+\)")  # of a weight around several tags


@lru_cache(1 << 16)  # rules ask for the same tags again and again
def plain(text: str) -> str:
    r"""A tag as dictionaries write it: lower case, underscores, no weight, `(` for `\(`."""
    if text.islower() and text.isascii() and text.replace("_", "").isalnum():
        return text  # most are written so already
    if match := _WEIGHTED.fullmatch(text):
        text = match["tag"]
    elif match := _HALF.fullmatch(text):
        text = match["first"] or match["last"]
    return "_".join(text.replace("\\(", "(").replace("\\)", ")").lower().split())


def squeezed(name: str) -> str:
    """A name without what people leave out or put in between its words."""
    return name.replace("_", "").replace("-", "").replace("'", "")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """`tags` by name, usual ones first; `aliases` lead to names. `further` names come from lists without groups."""

    tags: Mapping[str, Tag]
    aliases: Mapping[str, str] = field(repr=False, default_factory=dict)
    further: Mapping[str, None] = field(repr=False, default_factory=dict)

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> Vocabulary:
        """What is said twice counts once: the first time."""
        entries = list(entries)
        tags: dict[str, Tag] = {}
        for entry in entries:
            tags.setdefault(entry.tag.name, entry.tag)
        aliases: dict[str, str] = {}
        for entry in entries:
            for alias in map(plain, entry.aliases):
                if alias not in tags:
                    aliases.setdefault(alias, entry.tag.name)
        return cls(tags, aliases)

    def with_list(self, names: Mapping[str, None], aliases: Mapping[str, str]) -> Vocabulary:
        """With the tags of a community list; where both speak of one tag, ours has its group and its aliases."""
        return Vocabulary(self.tags, {**aliases, **self.aliases}, names)

    def __len__(self) -> int:
        return len(self.tags) + sum(name not in self.tags for name in self.further)

    def __contains__(self, text: str) -> bool:
        return self.find(text) is not None

    def find(self, text: str) -> Tag | None:
        """The tag that is meant by a piece of a prompt, in any case, with blanks or underscores, or by another name."""
        return self.named(plain(text))

    def named(self, name: str) -> Tag | None:
        """The same for a name as dictionaries write it."""
        return self._own(name) or self._own(self.aliases.get(name, ""))

    def _own(self, name: str) -> Tag | None:
        return self.tags.get(name) or (Tag(name) if name in self.further else None)

    def element_of(self, text: str) -> str:
        """The element a tag is usual in ("appearance", "background", …), "" for a tag that we do not know."""
        tag = self.find(text)
        return tag.element if tag else ""

    def group(self, name: str) -> tuple[str, ...]:
        """The tags of a group."""
        return tuple(tag.name for tag in self.tags.values() if tag.group == name)

    def complete(self, prefix: str, element: str = "", limit: int = 20) -> list[str]:
        """Tags for a word being typed: those that begin with it, then by another name, then those that contain it.

        Tags usual in `element` come first in each of the three.
        """
        prefix = plain(prefix)
        if not prefix:
            return []
        begin = self._beginning(self._sorted, prefix)
        also = [self.aliases[alias] for alias in self._beginning(self._sorted_aliases, prefix)]
        inside = islice(self._containing(prefix), 4 * limit)
        found: dict[str, None] = {}
        for names in (begin, also, inside):
            found.update(dict.fromkeys(sorted(names, key=lambda name: self._order(name, element))))
        return list(found)[:limit]

    def _order(self, name: str, element: str) -> tuple[bool, int]:
        tag = self.tags.get(name)
        return not (tag and element and tag.element == element), self.ranks.get(name, 0)

    @staticmethod
    def _beginning(names: list[str], prefix: str) -> list[str]:
        start = bisect_left(names, prefix)
        return names[start : bisect_left(names, prefix + "\uffff", start)]

    def _containing(self, part: str) -> Iterable[str]:
        """Names that hold `part`; looked for in one long string, which is quick also for a hundred thousand names."""
        at = self._lines.find(part)
        while at >= 0:
            start, stop = self._lines.rfind("\n", 0, at) + 1, self._lines.find("\n", at)
            yield self._lines[start:stop]
            at = self._lines.find(part, stop)

    @cached_property
    def ranks(self) -> dict[str, int]:
        """How usual a tag is: 0 for the first of our own."""
        return {name: rank for rank, name in enumerate(dict.fromkeys((*self.tags, *self.further)))}

    @cached_property
    def parts(self) -> frozenset[str]:
        """The words our own tags and aliases are made of."""
        return frozenset(word for name in (*self.tags, *self.aliases) for word in name.split("_"))

    @cached_property
    def unbroken(self) -> dict[str, str]:
        """Our tags by their names without underscores and hyphens: `bluehair` is blue_hair."""
        found = {squeezed(name): name for name in self.tags}
        return {squeezed(alias): name for alias, name in self.aliases.items() if name in self.tags} | found

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.ranks)

    @cached_property
    def _sorted_aliases(self) -> list[str]:
        return sorted(self.aliases)

    @cached_property
    def _lines(self) -> str:
        return "\n".join([*self.ranks, ""])


@cache
def bundled() -> Vocabulary:
    """Our own vocabulary."""
    areas = (hair, face, clothing, poses, people, places, light, things, picture)
    return Vocabulary.from_entries(entry for area in areas for entry in read_groups(area.GROUPS))
