r"""Brackets of AUTOMATIC1111's web UI that weigh words: `(tag:1.2)`, `((tag))`, `[tag]`; `\(` is a bracket in a name.

Its rules (its file prompt_parser.py): `(…)` multiplies by 1.1, `[…]` divides by 1.1, `(…:1.2)` multiplies by 1.2; they
nest, and may enclose many tags. Names are kept from those rules here: brackets that follow an underscore or another
sign (`maccha_(mochancc)`, `:(`), brackets without a partner, and brackets around no two letters (`(:3)`) are text.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from newbie.prompt.weights import Weighed

_TOKEN = re.compile(r"\\.|[()\[\]]", re.DOTALL)
_NUMBER = re.compile(r":\s*([+-]?\d*\.?\d+)\s*\Z")
_ESCAPE = re.compile(r"\\([()\[\]\\])")
_SPECIAL = re.compile(r"[()\[\]\\]")
_WORD = re.compile(r"[^\W_]{2}")
_SCHEDULE = re.compile(r":\s*\d*\.?\d+\s*\Z|\|")
ROUND, SQUARE = 1.1, 1 / 1.1
MAX_DEPTH = 32  # deeper brackets are text


class Tag(NamedTuple):
    """One tag, without brackets and backslashes; `weight` as a text ("1.2"), or "" for none."""

    text: str
    weight: str
    mixed: bool  # the weight was that of a part of it

    def __str__(self) -> str:
        return f"({self.text}:{self.weight})" if self.weight else self.text


def escape(text: str) -> str:
    """A text that the web UI reads letter for letter."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def unescape(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def has_emphasis(text: str) -> bool:
    return bool(pairs(text)) or _ESCAPE.search(text) is not None


def schedules(text: str) -> list[str]:
    """`[from:to:0.5]` and `[a|b]`: words that change while the web UI draws."""
    return [m[0] for m in re.finditer(r"(?<!\\)\[[^\[\]]*\]", text) if _SCHEDULE.search(m[0][1:-1])]


def pairs(text: str) -> list[Weighed]:
    """The brackets that weigh something, in the order in which they close."""
    found: list[Weighed] = []
    opened: list[tuple[str, int]] = []  # the bracket and its place; a place of -1: part of a name
    for match in _TOKEN.finditer(text):
        sign, at = match[0], match.start()
        if sign in "([":
            before = text[at - 1 : at]
            if len(opened) >= MAX_DEPTH:
                continue
            if not before or before in " \t\n\r,([，、":
                opened.append((sign, at))
            elif before == "_" or before.isalnum():
                opened.append((sign, -1))
        elif sign in ")]" and opened and opened[-1][0] == {")": "(", "]": "["}[sign]:
            _, start = opened.pop()
            if start >= 0 and (pair := _pair(text, start, at)):
                found.append(pair)
    return found


def _pair(text: str, start: int, end: int) -> Weighed | None:
    colon = text.rfind(":", start + 1, end)
    number = _NUMBER.match(text, colon, end) if colon > start else None
    inner = text[start + 1 : colon if number else end]
    if not _WORD.search(inner) and not (number and inner.strip()):
        return None
    if text[start] == "[":
        return None if _SCHEDULE.search(text[start + 1 : end]) else Weighed(start, start + 1, end, end + 1, SQUARE, "")
    if number and math.isfinite(float(number[1])):
        return Weighed(start, start + 1, colon, end + 1, float(number[1]), number[1])
    return Weighed(start, start + 1, end, end + 1, ROUND, "")


def tags(text: str, marks: list[Weighed] | None = None) -> list[Tag]:
    """The comma-separated tags of a text, each with its weight. `marks`: what weighs, where it is not `pairs`."""
    marks = pairs(text) if marks is None else marks
    starts = {p.start: p for p in marks}
    found: list[Tag] = []
    open_pairs: list[Weighed] = []
    pieces: list[tuple[str, str]] = []  # characters, and their weight

    def finish() -> None:
        if made := _tag(pieces):
            found.append(made)
        pieces.clear()

    at = 0
    while at < len(text):
        if open_pairs and open_pairs[-1].inner_stop == at:
            at = open_pairs.pop().stop
        elif at in starts:
            open_pairs.append(starts[at])
            at = starts[at].inner_start
        elif text[at] in ",，、\n\r":
            finish()
            at += 1
        else:
            step = 2 if _ESCAPE.match(text, at) else 1
            pieces.append((unescape(text[at : at + step]), _weight(open_pairs)))
            at += step
    finish()
    return found


def _weight(open_pairs: list[Weighed]) -> str:
    if len(open_pairs) == 1 and open_pairs[0].written:
        return open_pairs[0].written
    total = math.prod(p.factor for p in open_pairs)
    return f"{total:.3g}" if open_pairs and f"{total:.3g}" != "1" else ""


def _tag(pieces: list[tuple[str, str]]) -> Tag | None:
    text = "".join(letter for letter, _ in pieces).strip()
    weights = {weight for letter, weight in pieces if letter.strip()}
    if not text:
        return None
    strongest = max(weights, key=lambda w: abs(float(w or 1) - 1))
    return Tag(text, strongest, len(weights) > 1)
