"""The text for one encoder with the places of its elements; stretches of it can be taken out, and the places follow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from newbie.prompt.elements import Element
from newbie.prompt.source import Span


class Weight(NamedTuple):
    """A stretch of a text that weighs more or less than 1."""

    start: int
    stop: int
    weight: float


class EncoderText(NamedTuple):
    """`elements` and `weights` are places in `text`."""

    text: str
    elements: tuple[Element, ...]
    weights: tuple[Weight, ...] = ()

    def without(self, gone: Iterable[Span]) -> EncoderText:
        """The same with these stretches taken out; they may touch, but not overlap."""
        cuts = sorted(gone)
        if not cuts:
            return self
        starts = [cut.start for cut in cuts]
        lengths = [0, *accumulate(cut.stop - cut.start for cut in cuts)]

        def moved(at: int) -> int:
            before = bisect_right(starts, at)
            inside = max(cuts[before - 1].stop - at, 0) if before else 0
            return at - lengths[before] + inside

        edges = [0, *(at for cut in cuts for at in cut), len(self.text)]
        text = "".join(self.text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True))
        elements = tuple(Element(path, moved(start), moved(stop)) for path, start, stop in self.elements)
        weights = tuple(Weight(moved(start), moved(stop), weight) for start, stop, weight in self.weights)
        return EncoderText(text, elements, weights)
