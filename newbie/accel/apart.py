"""Rows of unequal length without padding: each length by itself.

Where rows have a conditioning vector of their own, one long row of all tokens (`packed`) would need scales and gates
for every token, and reading those costs what the padding did. So the stack of blocks runs once per length instead,
without mask and without padding. Every run costs its dispatch again, so it pays only where much padding is spared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.packed import Segment
from newbie.accel.runner import Runner
from newbie.attention.kernel import Kernel
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.rope import Rope
from newbie.step import Memory, Step

KEY = ("rows apart",)
ONE_MORE_BLOCK = 1e8  # multiplications and additions in the time that running one more block costs a CPU beside them


class Part(NamedTuple):
    """Rows of one length, cut out of a padded batch."""

    rows: slice
    words: int  # real ones
    seq: TokenSequence
    memory: Memory  # policies remember each part by itself

    @property
    def nbytes(self) -> int:
        return self.memory.nbytes

    @classmethod
    def of(cls, seq: TokenSequence, rows: slice, image: int, kernel: Kernel) -> Part:
        """Neighbouring rows that have one length and all their `image` tokens. Asks the device for nothing."""
        lengths = seq.info.lengths[rows]
        info = Segment.of(len(lengths), lengths[0], seq.info.starts.device).info
        words = lengths[0] - image
        part = cls(rows, words, seq._replace(info=info, attend=kernel, image=slice(words, None)), Memory())
        rope = Rope(*(part.cut(numbers, image) for numbers in seq.rope))
        return part._replace(seq=part.seq._replace(rope=rope))

    def cut(self, x: Tensor, image: int) -> Tensor:
        """(B, L, ...) -> (rows, words + image, ...)."""
        return torch.cat((x[self.rows, : self.words], x[self.rows, x.shape[1] - image :]), dim=1)

    def told(self, m: Sequence[Modulation]) -> list[Modulation]:
        """What is said to these rows, block by block."""
        return [said if len(said.gate_attn) == 1 else said.rows(self.rows) for said in m]


@dataclass(frozen=True)
class Apart:
    """A policy for the joint blocks: `inner` runs once for the rows of each length.

    Args:
        kernel: for rows of equal length.
        image: N, the image tokens of every row.
    """

    inner: Runner
    kernel: Kernel
    image: int

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """x (B, L, dim) -> (B, N, dim); where rows have one length, as `inner` does."""
        if KEY not in step.memory:
            step.memory[KEY] = self._parts(seq)
        parts: list[Part] = step.memory[KEY]
        if len(parts) < 2:
            return self.inner(step, blocks, x, m, seq)
        images = []
        for part in parts:
            y = self.inner(replace(step, memory=part.memory), blocks, part.cut(x, self.image), part.told(m), part.seq)
            images.append(y[:, y.shape[1] - self.image :])
        return torch.cat(images)

    def _parts(self, seq: TokenSequence) -> list[Part]:
        if seq.info.bias is not None or seq.info.window is not None:
            return []  # they speak of padded places
        parts, first = [], 0
        for segment in Segment.all_of(seq.info):
            parts.append(Part.of(seq, slice(first, first + segment.rows), self.image, self.kernel))
            first += segment.rows
        return parts


def pays(padding: int, block: Block) -> bool:
    """Whether a CPU gains by running `block` once more to spare so many tokens of padding."""
    weights = sum(p.numel() for part in (block.attention, block.feed_forward) for p in part.parameters())
    return 2 * padding * weights > ONE_MORE_BLOCK
