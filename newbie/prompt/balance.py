"""From a row of tags to elements with a beginning and an end, whatever people forgot, crossed or mistyped.

Nothing here fails for bad structure: the model reads characters and does not mind. The reading goes on with the
likeliest meaning, and a diagnostic says what to write instead. In the schema a leaf holds text only and blocks do not
hold blocks; so a tag that may not stand inside what is open ends what is open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from newbie.prompt.diagnostics import Diagnostic, Edit, Rule
from newbie.prompt.rules import structure
from newbie.prompt.scan import MAX_DEPTH, Tag, too_deep
from newbie.prompt.schema import CHARACTER, GENERAL, Element, similar
from newbie.prompt.source import Source, Span

_LOOK_AHEAD = 8  # tags


@dataclass
class Node:
    """An element of the prompt: `<` of its start tag, its content, `>` of its end tag, as offsets."""

    name: str
    element: Element | None  # None: a name outside the language
    outer_start: int
    start: int
    stop: int = -1
    outer_stop: int = -1

    @property
    def kind(self) -> str:
        return self.element.kind if self.element else "leaf"


class Loose(NamedTuple):
    """A tag outside the language; `home` numbers the block whose own text it is part of."""

    tag: Tag
    home: int


@dataclass
class Balanced:
    """Elements in the order they begin; known tags that mean nothing; unknown tags that stand between elements."""

    nodes: list[Node] = field(default_factory=list)
    dropped: list[Span] = field(default_factory=list)
    loose: list[Loose] = field(default_factory=list)
    found: list[Diagnostic] = field(default_factory=list)
    misspelt_ends: set[int] = field(default_factory=set)  # where tags with unknown names end known elements


def balance(source: Source, tags: list[Tag]) -> Balanced:
    """Elements of the language. Tags with unknown names are only noted (`loose`), see unknown.py.

    Raises:
        PromptError: more than MAX_DEPTH elements are open at once.
    """
    reading = _Reading(source)
    ends = _next_ends(tags)
    for i, tag in enumerate(tags):
        if tag.known is None:
            if not reading.close_misspelt(tag, *ends[i]):
                reading.note(tag)
        elif tag.form == "close":
            reading.close(tag, tags[i + 1 : i + 1 + _LOOK_AHEAD])
        else:
            reading.open(tag)
    while reading.stack:
        reading.end(len(source.text), "to the end")
    return reading.result


class _Reading:
    """The elements that are open while we walk along the tags."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.result = Balanced()
        self.stack: list[Node] = []
        self.homes: list[int] = [0]  # beside `stack`: the block number inside each open element
        self.generals: dict[int, int] = {}  # all general_tags blocks of one parent are read as one
        self.ended: Counter[str] = Counter()  # elements we ended ourselves; their own end tag may still come
        self.strangers: Counter[str] = Counter()  # unknown elements that are open

    def close_misspelt(self, tag: Tag, next_tag: Tag | None, next_block: Tag | None) -> bool:
        """Whether `</apperance>` was meant to end what is open: <appearance>, and nothing else does.

        The next tag of the language, or for a block the next one of a block, must not be its own end tag: then this is
        part of its text, and stays text in every layout.
        """
        if tag.form == "open":
            self.strangers[tag.name] += 1
        if tag.form != "close" or not self.stack:
            return False
        if self.strangers[tag.name]:
            self.strangers[tag.name] -= 1
            return False
        may_end = {n.element.name: n for n in self.stack if n.element and n.kind != "wrapper"}
        node = may_end.get(similar(tag.name, tuple(may_end)))
        if node is None:
            return False
        following = next_tag if node.kind == "leaf" else next_block
        if following is not None and following.form == "close" and following.name == node.name:
            return False
        self._end_by(tag, node)
        self.result.misspelt_ends.add(tag.start)
        return True

    def note(self, tag: Tag) -> None:
        if not (self.stack and self.stack[-1].kind == "leaf"):
            self.result.loose.append(Loose(tag, self.homes[-1]))

    def open(self, tag: Tag) -> None:
        assert tag.known is not None  # our own bookkeeping
        element = tag.known.element
        place = f"up to <{tag.name}>"
        while self.stack and self.stack[-1].kind == "leaf":
            self.end(tag.start, place)
        if element.kind in ("character", "general", "panel") or element.name == "img":
            while any(n.kind in ("character", "general") for n in self.stack):
                self.end(tag.start, place)
        if len(self.stack) >= MAX_DEPTH:
            raise too_deep(self.source, tag)
        node = Node(tag.name, element, tag.start, tag.stop)
        self.result.nodes.append(node)
        self.stack.append(node)
        self.homes.append(self._home(element))
        if tag.form == "empty":
            self._pop(tag.stop, tag.stop)

    def _home(self, element: Element) -> int:
        here, new = self.homes[-1], len(self.result.nodes)
        if element.name == GENERAL:
            return self.generals.setdefault(here, new)
        return new if element.kind in ("character", "panel") else here

    def close(self, tag: Tag, following: list[Tag]) -> None:
        if any(n.name == tag.name for n in self.stack):
            while self.stack[-1].name != tag.name:
                self.end(tag.start, f"up to </{tag.name}>")
            self._pop(tag.start, tag.stop)
        elif (other := self._mistaken_for(tag)) is not None and not _closes_soon(other.name, following):
            self._end_by(tag, other)
        else:
            self.result.dropped.append(tag.span)
            if self.ended[tag.name]:
                self.ended[tag.name] -= 1
                inner = f"<{self.stack[-1].name}> inside it" if self.stack else "the next element"
                note = f"</{tag.name}> comes too late, behind the start of {inner}"
                hint = f"write </{tag.name}> before the next element begins"
                self._say(structure.OVERLAP, tag.span, note, hint, Edit(self.source.whole_line(tag.span), ""))
            else:
                hint = f"delete it, or write <{tag.name}> before its text"
                message = f"</{tag.name}> closes nothing"
                self._say(structure.CLOSES_NOTHING, tag.span, message, hint, Edit(self.source.whole_line(tag.span), ""))

    def _end_by(self, tag: Tag, node: Node) -> None:
        """End an open element by the end tag of another name."""
        while self.stack[-1] is not node:
            self.end(tag.start, f"up to </{tag.name}>")
        right = f"</{node.name}>"
        message = f"<{node.name}> is closed by </{tag.name}>"
        self._say(structure.WRONG_CLOSING, tag.span, message, f"write {right}", Edit(tag.span, right))
        self._pop(tag.start, tag.stop)

    def _mistaken_for(self, tag: Tag) -> Node | None:
        """The open element that a wrong end tag was probably meant for: a leaf for a leaf, a block for a block."""
        assert tag.known is not None  # our own bookkeeping
        if tag.known.element.kind == "leaf":
            return self.stack[-1] if self.stack and self.stack[-1].kind == "leaf" else None
        blocks = [n for n in self.stack if n.kind == tag.known.element.kind == CHARACTER]
        return blocks[-1] if blocks else None

    def end(self, at: int, where: str) -> None:
        """End the innermost element at an offset although its end tag is missing."""
        node = self.stack[-1]
        home, spot = self.source.origin(Span(at, at))
        place = home.place(spot.start)
        self._say(
            structure.NEVER_CLOSED,
            Span(node.outer_start, node.start),
            f"<{node.name}> is never closed; it was read {where}",
            f"write </{node.name}> where it ends, at the latest in line {place.line}, column {place.column}",
            self._closing(node, at),
        )
        self.ended[node.name] += 1
        self._pop(at, at)

    def _pop(self, stop: int, outer_stop: int) -> None:
        node = self.stack.pop()
        self.homes.pop()
        node.stop, node.outer_stop = stop, outer_stop

    def _closing(self, node: Node, at: int) -> Edit:
        """Write the end tag behind the last word of an element; on a line of its own where the start tag has one."""
        text = self.source.text[node.start : at]
        words = text.rstrip()
        own_line = "\n" if node.kind != "leaf" and text.lstrip(" \t").startswith("\n") else ""
        stop = node.start + len(words)
        return Edit(Span(stop, stop), f"{own_line}</{node.name}>")

    def _say(self, rule: Rule, span: Span, message: str, hint: str, fix: Edit) -> None:
        self.result.found.append(Diagnostic(rule, span, message, hint, (fix,)))


def _next_ends(tags: list[Tag]) -> list[tuple[Tag | None, Tag | None]]:
    """For each tag the next one of the language behind it, and the next one of a block."""
    found: list[tuple[Tag | None, Tag | None]] = []
    known = block = None
    for tag in reversed(tags):
        found.append((known, block))
        if tag.known:
            known = tag
            block = tag if tag.known.element.kind in ("character", "general", "panel") else block
    return found[::-1]


def _closes_soon(name: str, following: list[Tag]) -> bool:
    """Whether the element's own end tag comes before anything else is opened."""
    for tag in following:
        if tag.known and tag.form != "close":
            return False
        if tag.name == name:
            return True
    return False
