r"""The template notation: `{a|b}`, `${name}`, `${name:default}`, `__file__`, and what a backslash keeps literal.

Nothing is replaced here; a text becomes a row of parts, in one pass without recursion. Prompts are full of braces,
bars and underscores that mean themselves (`{{tag}}`, `:|`, `||_||`, `$character_1$`), so only what is complete counts:
braces with a bar between them, `${` with a name and `}`, a file's name between two double underscores. All else is
text, and comments are. A backslash in front makes text of the whole thing: `\{a|b}` is `{a|b}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from newbie.prompt.source import Span

MAX_NESTED = 16  # alternatives within alternatives

# Quantifiers with a plus at the end never give back what they took: that keeps the search linear.
_NAME = r"[^\W\d]\w*+"
_FILE = r"[^\W_]++(?:[_\-./][^\W_]++)*+"
_TOKEN = re.compile(
    rf"""(?P<comment><!--)
    | \\(?P<kept>\{{ | \$\{{{_NAME}(?=[:}}]) | __(?={_FILE}__))
    | \\(?P<kept_inside>[|}}])
    | \$\{{(?P<variable>{_NAME})(?P<default>:)?(?(default)|\}})
    | (?<![^\W_])__(?P<wildcard>{_FILE})__
    | (?P<sign>[{{|}}])""",
    re.VERBOSE,
)


class Words(NamedTuple):
    """Text that means itself."""

    span: Span


class Variable(NamedTuple):
    """`${name}`; `default` is what stands behind a colon, None without one."""

    span: Span
    name: str
    default: Row | None


class Wildcard(NamedTuple):
    """`__name__`: a line of the file of that name."""

    span: Span
    name: str


class Alternatives(NamedTuple):
    """`{a|b|c}`: one of them."""

    span: Span
    options: tuple[Row, ...]


Part = Words | Variable | Wildcard | Alternatives
Row = tuple[Part, ...]


class Parsed(NamedTuple):
    """The parts of a text, and where alternatives are nested too deep to be read."""

    row: Row
    too_deep: Span | None


def parse(text: str, start: int = 0, stop: int | None = None) -> Parsed:
    """The parts of the text between two offsets. Time and memory grow with its length, whatever the text is."""
    return _Reading(text, start, len(text) if stop is None else stop).parsed()


def replaceable(row: Row) -> Iterator[Span]:
    """The places of what would be replaced."""
    return (each.span for each in row if not isinstance(each, Words))


@dataclass
class _Open:
    """Braces that are not closed yet. The rows are what bars separate, between alternatives only."""

    start: int
    inner: int
    name: str = ""  # of a variable
    kept: bool = False  # text, because of a backslash
    rows: list[list[Part]] = field(default_factory=lambda: [[]])
    bars: list[int] = field(default_factory=list)


class _Reading:
    def __init__(self, text: str, start: int, stop: int) -> None:
        self.text = text
        self.at = start  # up to here everything is in a row
        self.stop = stop
        self.stack = [_Open(start, start)]
        self.over = 0  # open braces beyond MAX_NESTED: those are text
        self.too_deep: Span | None = None

    def parsed(self) -> Parsed:
        at = self.at
        while match := _TOKEN.search(self.text, at, self.stop):
            at = match.end()
            if match["comment"]:
                at = self._behind_comment(at)
            elif match["kept"] or (match["kept_inside"] and len(self.stack) > 1):
                self._words(match.start())
                self.at = match.start() + 1  # the backslash goes
                if "{" in match[0]:
                    self._open(_Open(self.at, at, kept=True))
            elif match["sign"]:
                self._sign(match[0], match.start())
            elif match["default"]:
                self._open(_Open(match.start(), match.end(), match["variable"]))
            elif match["variable"]:
                self._part(Variable(Span(*match.span()), match["variable"], None))
            elif match["wildcard"]:
                self._part(Wildcard(Span(*match.span()), match["wildcard"]))
        self._words(self.stop)
        while len(self.stack) > 1:
            self._literal(self.stack.pop(), closed=False)
        return Parsed(tuple(self.stack[0].rows[0]), self.too_deep)

    def _behind_comment(self, at: int) -> int:
        end = self.text.find("-->", at, self.stop)
        return self.stop if end < 0 else end

    def _sign(self, sign: str, at: int) -> None:
        if sign == "{":
            self._open(_Open(at, at + 1))
        elif sign == "|":
            if self.over:
                self.too_deep = self.too_deep or Span(at, at + 1)
            elif len(self.stack) > 1 and not (self.stack[-1].name or self.stack[-1].kept):
                self._words(at)
                self.at = at + 1
                self.stack[-1].bars.append(at)
                self.stack[-1].rows.append([])
        elif self.over:
            self.over -= 1
        elif len(self.stack) > 1:
            self._words(at)
            self.at = at + 1
            self._close(self.stack.pop())

    def _open(self, opened: _Open) -> None:
        if len(self.stack) > MAX_NESTED:
            self.over += 1
            return
        self._words(opened.start)
        self.at = opened.inner
        self.stack.append(opened)

    def _close(self, closed: _Open) -> None:
        span = Span(closed.start, self.at)
        if closed.name:
            self._add(Variable(span, closed.name, tuple(closed.rows[0])))
        elif closed.bars:
            self._add(Alternatives(span, tuple(map(tuple, closed.rows))))
        else:
            self._literal(closed, closed=True)

    def _literal(self, braces: _Open, *, closed: bool) -> None:
        """Braces that turn out to be text, and what stands in them."""
        self._add(Words(Span(braces.start, braces.inner)))
        for number, row in enumerate(braces.rows):
            if number:
                self._add(Words(Span(braces.bars[number - 1], braces.bars[number - 1] + 1)))
            self.stack[-1].rows[-1] += row
        if closed:
            self._add(Words(Span(self.at - 1, self.at)))

    def _part(self, part: Part) -> None:
        self._words(part.span.start)
        self._add(part)
        self.at = part.span.stop

    def _words(self, stop: int) -> None:
        if self.at < stop:
            self._add(Words(Span(self.at, stop)))
            self.at = stop

    def _add(self, part: Part) -> None:
        self.stack[-1].rows[-1].append(part)
