"""Fill a template: one of each alternatives, a line of each wildcard, the value of each variable.

What is chosen follows from a seed, from what is written and from how often that was met before; from nothing else. So a
prompt is the same on every machine, and adding a choice to a prompt leaves all others as they were.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from newbie.prompt.diagnostics import Rule
from newbie.prompt.read import MAX_BYTES
from newbie.prompt.reuse.composed import Piece, part
from newbie.prompt.reuse.folder import Unusable
from newbie.prompt.reuse.recipe import Choice, shown
from newbie.prompt.reuse.template import MAX_NESTED, Alternatives, Part, Row, Variable, Wildcard, Words, parse
from newbie.prompt.reuse.wildcards import Wildcards
from newbie.prompt.rules import reuse as rules
from newbie.prompt.source import Source, Span

MAX_CHOICES = 1_000  # of one prompt
MAX_LISTS = 8  # wildcard lines that name wildcards that name wildcards …

Scope = dict[str, list[Piece]]


class Found(NamedTuple):
    """A finding in one of the files of a prompt."""

    rule: Rule
    source: Source
    span: Span
    message: str
    hint: str


def pick(seed: int, what: str, time: int, count: int) -> int:
    """A number below `count`, the same for ever: from SHA-256 of the seed, the words, and how often they were met."""
    digest = hashlib.sha256(f"{seed}\n{time}\n{what}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count


@dataclass
class Filling:
    """All choices of one picture; one object for all files of its prompt."""

    seed: int
    wildcards: Wildcards | None = None
    chosen: list[Choice] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)  # wildcards that were read -> SHA-256
    used: set[str] = field(default_factory=set)  # variables
    found: list[Found] = field(default_factory=list)
    _met: Counter[str] = field(default_factory=Counter)
    _room: int = MAX_BYTES
    _full: bool = False

    def scope(self, values: Mapping[str, str]) -> Scope:
        """Variables given from outside. Each is filled once, so it is the same wherever it is used."""
        scope: Scope = {}
        for name, value in values.items():
            scope[name] = self.fill(Source(value, f"--var {name}"), scope)
        return scope

    def fill(self, source: Source, scope: Scope, span: Span | None = None, within: tuple[str, ...] = ()) -> list[Piece]:
        """The pieces of a text, or of a stretch of it, with everything chosen. Defaults of variables go into `scope`.

        What cannot be chosen stays as it is written, with a finding. `within` names the wildcards being read.
        """
        row, too_deep = parse(source.text, *(span or (0, None)))
        if too_deep:
            hint = "put some of them into a wildcard file"
            self._say(rules.NO_END, source, too_deep, f"alternatives are nested more than {MAX_NESTED} deep", hint)
        return self._row(source, row, scope, within)

    def _row(self, source: Source, row: Row, scope: Scope, within: tuple[str, ...]) -> list[Piece]:
        pieces: list[Piece] = []
        for each in row:
            written = part(source, *each.span)
            if isinstance(each, Words):
                self._room -= len(written[0].text)
                pieces += written
                continue
            filled = None if self._is_full(source, each) else self._chosen(source, each, scope, within)
            pieces += written if filled is None else filled
        return pieces

    def _chosen(self, source: Source, each: Part, scope: Scope, within: tuple[str, ...]) -> list[Piece] | None:
        match each:
            case Alternatives(span, options):
                what = source.text[span.start : span.stop]
                pieces = self._row(source, options[self._pick(what, len(options))], scope, within)
                self.chosen.append(Choice(shown(what), shown(text_of(pieces))))
                return pieces
            case Wildcard(span, name):
                return self._line(source, each, scope, within)
            case Variable(span, name, default):
                self.used.add(name)
                if name not in scope:
                    if default is None:
                        self._unknown(source, each, scope)
                        return None
                    scope[name] = self._row(source, default, scope, within)
                self._room -= len(text_of(scope[name]))
                return scope[name]
        raise AssertionError(each)  # Words are no choice

    def _line(self, source: Source, each: Wildcard, scope: Scope, within: tuple[str, ...]) -> list[Piece] | None:
        if each.name in within or len(within) >= MAX_LISTS:
            why = "names itself" if each.name in within else f"is the {MAX_LISTS + 1}th list within lists"
            self._say(rules.NO_END, source, each.span, f"__{each.name}__ {why}", "write the words themselves here")
            return None
        if self.wildcards is None:
            hint = "name their folder with --wildcards, or put it beside the prompt's file"
            self._say(rules.NO_WORDS, source, each.span, f"there is no folder wildcards for __{each.name}__", hint)
            return None
        try:
            lines = self.wildcards.lines(each.name)
        except Unusable as error:
            self._say(rules.NO_WORDS, source, each.span, error.message, error.hint)
            return None
        self.lists[each.name] = lines.sha256
        place = lines.span(self._pick(f"__{each.name}__", len(lines)))
        pieces = self.fill(lines.source, scope, place, (*within, each.name))
        self.chosen.append(Choice(f"__{each.name}__", shown(text_of(pieces))))
        return pieces

    def _pick(self, what: str, count: int) -> int:
        self._met[what] += 1
        return pick(self.seed, what, self._met[what], count)

    def _is_full(self, source: Source, each: Part) -> bool:
        """Whether there are more choices than anyone can want, or more text than a prompt may have (told once)."""
        if self._full or (len(self.chosen) < MAX_CHOICES and self._room >= 0):
            return self._full
        self._full = True
        many = f"more than {MAX_CHOICES:,} choices"
        what = many if self._room >= 0 else f"the choices make a prompt of more than {MAX_BYTES:,} characters"
        self._say(rules.NO_END, source, each.span, what, "from here on nothing is chosen; shorten the prompt")
        return True

    def _unknown(self, source: Source, each: Variable, scope: Scope) -> None:
        close = get_close_matches(each.name, scope, 1)
        guess = f"did you mean ${{{close[0]}}}? " if close else ""
        hint = f"{guess}give it one: --var {each.name}=VALUE, or ${{{each.name}:VALUE}} where it is met first"
        self._say(rules.NO_VALUE, source, each.span, f"${{{each.name}}} has no value", hint)

    def _say(self, rule: Rule, source: Source, span: Span, message: str, hint: str) -> None:
        self.found.append(Found(rule, source, span, message, hint))


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)
