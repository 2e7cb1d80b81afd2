"""NovelAI's weights: `{tag}` is 1.05 times as strong, `[tag]` 1.05 times as weak, also nested; `1.5::tag::` 1.5 times.

As its documentation has it (Strengthening and Weakening): braces and brackets enclose any number of tags, a number with
two colons speaks for what follows up to the next two colons, the next such number or the end. A `|` cuts a prompt into
one part for the picture and one for each character.

Brackets of names and of alternatives are left alone: `{red|blue}`, `${hair}`, `[o]_[o]`, `re:zero`.
"""

from __future__ import annotations

import re

from newbie.prompt.weights import Weighed

STEP = 1.05
CUT = re.compile(r"[ \t\n]*\|[ \t\n]*")
_NUMBER = r"-?(?:\d{1,3}(?:\.\d{0,4})?|\.\d{1,4})"
_PIECE = re.compile(rf"[{{}}\[\]]|(?<![\w.:\-])(?P<number>{_NUMBER})::|(?<!:)::(?!:)")
_WORD = re.compile(r"[^\W_]{2}|[^\W\x00-\x7f]")  # two letters, or one of a script that has words of one
_OURS = re.compile(r"\{[^{}]*\|[^{}]*\}|\$\{|(?<!\w)__[\w/.\-]+__(?!\w)|\([^()]*:\s*\d*\.?\d+\s*\)")
_SWITCH = re.compile(r"\||:[^:]*:|:\s*\d*\.?\d*\s*\Z")  # `[a:b:0.5]`, `[a:5]` and `[a|b]` are another program's
_MAX_DEPTH = 32


def is_novelai(text: str) -> bool:
    """Whether a list of tags weighs words as NovelAI does, and says nothing in the way of other programs, or in ours.

    Brackets alone are no proof: `[tag]` is written for other programs too.
    """
    if "::" not in text and "{" not in text:
        return False
    return not _OURS.search(text) and any(text[each.start] != "[" for each in weighed(text))


def weighed(text: str) -> list[Weighed]:
    """Every stretch with a weight, in the order in which they end."""
    found: list[Weighed] = []
    opened: list[tuple[str, int]] = []  # brackets, and where; -1: part of a name
    number: re.Match[str] | None = None
    for piece in _PIECE.finditer(text):
        sign, at = piece[0], piece.start()
        if sign in ("{", "["):
            if len(opened) < _MAX_DEPTH:
                begins = not text[at - 1 : at].strip() or text[at - 1] in ",，、{[(:|"
                opened.append((sign, at if begins or at == 0 else -1))
        elif sign in ("}", "]"):
            if opened and opened[-1][0] == {"}": "{", "]": "["}[sign]:
                _, start = opened.pop()
                inner = text[start + 1 : at]
                if start >= 0 and _WORD.search(inner) and not (sign == "]" and _SWITCH.search(inner)):
                    factor = STEP if sign == "}" else 1 / STEP
                    found.append(Weighed(start, start + 1, at, at + 1, factor, ""))
        else:
            if number:
                found += _numbered(text, number, at, at if piece["number"] else piece.end())
            number = piece if piece["number"] else None
    if number:
        found += _numbered(text, number, len(text), len(text))
    return _nested(found)


def _numbered(text: str, number: re.Match[str], inner_stop: int, stop: int) -> list[Weighed]:
    if not _WORD.search(text, number.end(), inner_stop):
        return []
    return [Weighed(number.start(), number.end(), inner_stop, stop, float(number["number"]), number["number"])]


def _nested(found: list[Weighed]) -> list[Weighed]:
    """Without stretches that overlap others instead of standing in or beside them."""
    kept: list[Weighed] = []
    inside: list[Weighed] = []
    for each in sorted(found, key=lambda w: (w.start, -w.stop)):
        while inside and inside[-1].stop <= each.start:
            inside.pop()
        if not inside or each.stop <= inside[-1].inner_stop:
            kept.append(each)
            inside.append(each)
    return sorted(kept, key=lambda w: w.stop)
