"""Where in a prompt the words stand for which it is refused.

The words are known in an evened-out spelling only, which has no places. So we ask the same judgement of ever smaller
pieces: of windows first, then of one window with its ends cut off word by word.
"""

from __future__ import annotations

import re

from newbie.prompt import safety
from newbie.prompt.source import Span

_WINDOW = 512
_STEP = 384  # windows overlap: a phrase at the edge of one is whole in the next
_EDGE = r"(?<=\w)(?=[\W_])|(?<=[\W_])(?=\w)|(?<=[\u2e80-\uffff])"  # compiled when it is needed: that takes a while


def place(found: safety.Finding, text: str) -> Span:
    """The first of the words that a refusal names, the whole text where it cannot be narrowed down."""
    kinds = ("minor", "sexual") if found.minor else ("alone",)
    places = [span for kind in kinds if (span := _first(kind, text))]
    return min(places, default=Span(0, len(text)))


def _first(kind: str, text: str) -> Span | None:
    for start in range(0, len(text), _STEP):
        window = text[start : start + _WINDOW]
        if safety.has(kind, window):
            inner = _narrowed(kind, window)
            return Span(start + inner.start, start + inner.stop)
    return None


def _narrowed(kind: str, window: str) -> Span:
    """Cut words off the end as long as the judgement stays, then off the front."""
    edges = [match.start() for match in re.finditer(_EDGE, window)]
    start, stop = 0, len(window)
    for edge in reversed(edges):
        if not safety.has(kind, window[:edge]):
            break
        stop = edge
    for edge in edges:
        if edge >= stop or not safety.has(kind, window[edge:stop]):
            break
        start = edge
    return Span(start, stop)
