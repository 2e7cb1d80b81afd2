"""What is added to the scores of a prompt's rows: weights of its words, and how words and areas belong together.

A row of the joint blocks is [words | image tokens], and attention adds `bias[query, key]` to the score of each pair
before the softmax. Adding b multiplies what that key counts for that query by e^b, before all is divided by the sum:

    weights   2 log(w) on the words of a tag, for every query: w^2 times as much is heard of them
    regions   strength * belonging on the words of a character, for the image's queries: more in the own area, less in
              the others' (`fields.belonging`)

Other queries than the image's are left alone by regions: coupling words with the image too, or keeping the words of
two characters apart, was tried and changed nothing that could be seen (docs/regions.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from newbie.prompt.boxes import Box
from newbie.prompt.tokens import EncoderInput
from newbie.regions.fields import belonging
from newbie.regions.fields import field as field_of
from newbie.regions.schedule import Regions
from newbie.step import Step

COUPLING = 1.5  # what strength 1 adds to the scores of the own area; the others' get as much less
LOUDNESS = 2.0  # times log(weight); with 1, a weight of 2 still lost to half of the tags that contradicted it


@dataclass(frozen=True, eq=False)
class Bias:
    """The bias of one prompt's rows for the pictures of one size.

    Args:
        words: tokens of the prompt.
        louder: (words,) float32, what weights add to the scores of each word; None: nothing.
        areas: (N, words) float32, what regions add for each image token, at their full strength; None: nothing.
        regions: when they act.
        dtype: that of the scores on a card, where a kernel would else convert the bias in every layer.
    """

    words: int
    image: int
    louder: Tensor | None
    areas: Tensor | None
    regions: Regions
    device: torch.device = field(default=torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __call__(self, step: Step) -> Tensor | None:
        """What is added in this evaluation: (1, L), (L, L), or None."""
        return self._with_areas if self.areas is not None and self.regions.act(step) else self._without_areas

    @cached_property
    def _without_areas(self) -> Tensor | None:
        """For every query the same: (1, L)."""
        if self.louder is None:
            return None
        return torch.cat((self.louder, torch.zeros(self.image)))[None].to(self.device, self.dtype)

    @cached_property
    def _with_areas(self) -> Tensor | None:
        """(L, L)."""
        assert self.areas is not None
        length = self.words + self.image
        bias = torch.zeros(length, length)
        if self.louder is not None:
            bias[:, : self.words] += self.louder
        bias[self.words :, : self.words] += self.areas
        return bias.to(self.device, self.dtype)


def bias_of(
    given: EncoderInput,
    areas: Mapping[str, Box],
    regions: Regions,
    grid: tuple[int, int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Bias | None:
    """The bias of a prompt as the main encoder reads it; None where it would add nothing.

    `areas`: by the path of the characters; one whose words all fall off the end is left out. `grid`: rows and columns
    of image tokens.
    """
    words, image = len(given.token_ids), grid[0] * grid[1]
    louder = _louder(given, words)
    coupled = _coupled(given, areas, regions.strength, grid) if regions.strength else None
    if louder is None and coupled is None:
        return None
    return Bias(words, image, louder, coupled, regions, torch.device(device), dtype)


def _louder(given: EncoderInput, words: int) -> Tensor | None:
    louder = torch.zeros(words)
    for start, stop, weight in given.weights:
        louder[start:stop] += LOUDNESS * math.log(weight) if weight else -math.inf
    return louder if louder.any() else None


def _coupled(given: EncoderInput, areas: Mapping[str, Box], strength: float, grid: tuple[int, int]) -> Tensor | None:
    spans = {path: span for path in areas if (span := given.span(path)) is not None}
    if not spans:
        return None
    belongs = belonging([field_of(areas[path], grid) for path in spans])  # (characters, N)
    speaks = torch.zeros(len(spans), len(given.token_ids))  # (characters, words)
    for row, span in zip(speaks, spans.values(), strict=True):
        row[span.start : span.stop] = 1
    return COUPLING * strength * belongs.T @ speaks
