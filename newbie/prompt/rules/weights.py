"""Weights that cannot be, and what only looks like a weight."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

from newbie.prompt import infotext, novelai, weights
from newbie.prompt.canonical import tag as canonical
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Subject
from newbie.prompt.source import Span

STRAY_WEIGHT = Rule(
    "NB401",
    "warning",
    "a weight that has no effect",
    "A weight is written (tag:1.2). Other forms come from other tools and are read as text here: more parentheses, "
    "brackets, braces, a number without parentheses, a colon without a number, a parenthesis that is never closed.",
    "1girl, solo, ((blue_hair)), smile",
    "1girl, solo, (blue_hair:1.2), smile",
)
IMPOSSIBLE_WEIGHT = Rule(
    "NB411",
    "error",
    "a weight that is no number, or out of range",
    "A weight multiplies how strongly the picture looks at a word. Below 0 and far above 1 nothing sensible comes out, "
    "so nothing is drawn.",
    "1girl, solo, (blue_hair:-3), smile",
    "1girl, solo, (blue_hair:1.3), smile",
)
RULES = (STRAY_WEIGHT, IMPOSSIBLE_WEIGHT)

_NUMBER = r"-?\d*\.?\d+"
# What brackets weigh in the programs that read them; square ones in two ways.
_BRACKETS = {"(": 1.1, "[": 1 / 1.1, "{": novelai.STEP}
_NOVELAI = _BRACKETS | {"[": 1 / novelai.STEP}
_STRAY = re.compile(
    rf"""(?:\(\(+|\[\[+|\{{\{{+)[A-Za-z][^()\[\]{{}}]+[)\]}}]{{2,}}   # ((tag)), [[tag]]
    |    [\[{{][A-Za-z][\w \-]{{2,}}[\]}}] | \([A-Za-z][\w \-]{{3,}}\)  # [tag], {{tag}}, (tag)
    |    [A-Za-z][\w \-']{{2,}}:(?:[01]?\.\d{{1,2}}|[12]\.\d{{1,2}})      # tag:1.2
    |    \([A-Za-z][^()]*:{_NUMBER} | [A-Za-z][^():]*:{_NUMBER}\)       # (tag:1.2 and tag:1.2)
    |    \([A-Za-z][\w \-']+:\s*(?:\d+\s*%|\d*(?:\.\d*){{2,}})?\)      # (tag:), (tag:120%), (tag:1.2.3)
    |    (?=.*[（：）])[(（][^\W\d_][^()（）]*[:：]\s*{_NUMBER}\s*[)）]  # （tag：1.2）
    |    {_NUMBER}::[A-Za-z][\w \-]+(?:::)?                            # 1.2::tag::
    """,
    re.VERBOSE,
)


_ASCII = str.maketrans("（）：", "():")  # what a Chinese keyboard types
_DECIMAL_COMMA = re.compile(r",(\d{1,3})\)")  # behind the `(tag:1` of `(tag:1,2)`
_DOUBLED = re.compile(rf"\(\(+[A-Za-z][^()]*:{_NUMBER}\s*\)\)+")


def stray_weights(subject: Subject) -> Iterator[Diagnostic]:
    places = [mark.outer for mark in weights.marks(subject.source.text)]
    places += [trouble.span for trouble in weights.troubles(subject.reading)]
    starts, stops = sorted(place.start for place in places), sorted(place.stop for place in places)
    text = infotext.parts(subject.reading.body).prompt
    is_novelai = subject.reading.dialect == "tags" and novelai.is_novelai(text)
    brackets = _NOVELAI if is_novelai else _BRACKETS
    for group in novelai.weighed(text) if is_novelai else ():
        if "," in text[group.inner_start : group.inner_stop]:
            start, stop = (subject.reading.body_start + at for at in group[::3])
            message = f"{text[group.start : group.stop]} is read as it stands; NovelAI weighs all of it"
            hint = "python -m newbie convert --to danbooru weighs each tag"
            yield Diagnostic(STRAY_WEIGHT, Span(start, stop), message, hint)
    for item in subject.items:
        text = item.text
        doubled = _DOUBLED.fullmatch(text)
        stray = _STRAY.fullmatch(text) and not _inside(item.span, starts, stops)
        if (stray or doubled) and text not in subject.vocabulary.tags:
            what = "the outer parentheses are read as text" if doubled else "is read as it stands, not as a weight"
            message = f"{text}{':' if doubled else ''} {what}"
            cut = _DECIMAL_COMMA.match(subject.source.text, item.span.stop)
            instead = _instead(f"{text}.{cut[1]})" if cut else text, brackets)
            yield Diagnostic(STRAY_WEIGHT, item.span, message, f"{instead}; a point, no comma" if cut else instead)


def _instead(text: str, brackets: Mapping[str, float]) -> str:
    """The same as our weight: what the brackets and the number weigh in the program they come from."""
    text = text.translate(_ASCII)
    words = canonical(re.sub(rf"{_NUMBER}::|::|:\s*[\d.]+\s*%|:\s*{_NUMBER}[\d.]*", "", text).strip("()[]{}: "))
    opening = text[: len(text) - len(text.lstrip("([{"))]
    number = re.search(rf":\s*({_NUMBER})|({_NUMBER})::", text)
    opening = opening[1:] if number and opening[:1] == "(" else opening
    weight = float(number[1] or number[2]) if number else 1.0
    weight = weight / 100 if "%" in text else weight
    for sign in opening:
        weight *= brackets[sign]
    if weight < 0:
        return f"put {words} into the negative prompt"
    if weight > weights.MOST or weight == 1:
        return f"write {words}"
    return f"write ({words}:{weight:.3g}), or {words}"


def impossible_weights(subject: Subject) -> Iterator[Diagnostic]:
    for trouble in weights.troubles(subject.reading):
        yield Diagnostic(IMPOSSIBLE_WEIGHT, *trouble)


def _inside(span: Span, starts: list[int], stops: list[int]) -> bool:
    """Whether a span touches one of some places, given by their sorted edges."""
    return bisect_left(starts, span.stop) > bisect_right(stops, span.start)


CHECKS = (stray_weights, impossible_weights)
