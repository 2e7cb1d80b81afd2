"""From places in a text to places in a row of tokens: which tokens carry which element, and which fall off the end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from newbie.prompt.elements import Element
from newbie.prompt.encoder_text import EncoderText


class Encoding(Protocol):
    """What a tokenizer returns: ids, and for each the (start, stop) characters it covers; (0, 0) for special tokens."""

    @property
    def ids(self) -> Sequence[int]: ...
    @property
    def offsets(self) -> Sequence[tuple[int, int]]: ...


class TokenSpan(NamedTuple):
    """The tokens start … stop - 1 carry the element at `path`."""

    path: str
    start: int
    stop: int


class TokenWeight(NamedTuple):
    """The tokens start … stop - 1 weigh so much, times what other weights give them."""

    start: int
    stop: int
    weight: float


class EncoderInput(NamedTuple):
    """One encoder's input, with the structure of the prompt.

    `spans` and `weights` are places in `token_ids`. `lost` lists the elements that the limit cuts, wholly or in part,
    with the places they would have had. `total` counts the tokens before the cut, special ones included. `elements`
    are places in `text`, of which the first `read_to` characters are read.
    """

    text: str
    token_ids: tuple[int, ...]
    spans: tuple[TokenSpan, ...]
    lost: tuple[TokenSpan, ...]
    total: int
    limit: int
    elements: tuple[Element, ...] = ()
    read_to: int = 0
    weights: tuple[TokenWeight, ...] = ()

    def span(self, path: str) -> TokenSpan | None:
        """The tokens of one element."""
        return next((s for s in self.spans if s.path == path), None)


def encoder_input(text: EncoderText, encoding: Encoding, limit: int) -> EncoderInput:
    """Cut an encoding of `text.text` to `limit` tokens and find every element in it.

    A special token at the end (Jina's `</s>`) stays at the end. Give the whole encoding: of one that is already cut
    (its `total` is larger than its length) only the paths of what is lost are known, not their places.
    """
    ids, offsets = list(encoding.ids), _steady(encoding.offsets)
    total = max(len(ids), getattr(encoding, "total", 0))
    special = [tuple(place) == (0, 0) for place in encoding.offsets]
    tail = 1 if len(ids) > 1 and special[-1] else 0
    first = special.index(False) if False in special else len(ids) - tail
    last = len(ids) - tail
    starts = [start for start, _ in offsets[first:last]]
    stops = [stop for _, stop in offsets[first:last]]

    kept = min(last, max(limit - tail, 0))
    token_ids = tuple(ids[:kept] + ids[len(ids) - tail :]) if kept < last else tuple(ids[:limit])
    covered = stops[-1] if stops else 0

    def tokens(start: int, stop: int) -> tuple[int, int]:
        """From the first token that ends behind the start to the first one that begins at or behind the stop."""
        return first + bisect_right(stops, start), first + bisect_left(starts, stop)

    spans, lost = [], []
    for path, start, stop in _nonempty(text.elements):
        begin, end = tokens(start, stop)
        cut_before = total > len(ids) and stop > covered
        if end > kept or cut_before:
            lost.append(TokenSpan(path, begin, max(begin, end)))
        if begin < min(end, kept):
            spans.append(TokenSpan(path, begin, min(end, kept)))
    whole = kept == last and total == len(ids)
    read_to = len(text.text) if whole else max(stops[: max(kept - first, 0)], default=0)
    places = ((*tokens(start, stop), weight) for start, stop, weight in text.weights)
    weights = tuple(
        TokenWeight(begin, min(end, kept), weight) for begin, end, weight in places if begin < min(end, kept)
    )
    return EncoderInput(text.text, token_ids, tuple(spans), tuple(lost), total, limit, text.elements, read_to, weights)


def _steady(offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets that never go back: a special token in the middle stands where the one before it ends."""
    steady, at = [], 0
    for start, stop in offsets:
        steady.append((max(start, at if stop <= start else 0), max(stop, at)))
        at = steady[-1][1]
    return steady


def _nonempty(elements: tuple[Element, ...]) -> list[Element]:
    return [e for e in elements if e.stop > e.start]
