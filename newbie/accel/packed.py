"""Rows of unequal length without padding: the real tokens of all rows as one long row.

Norms, products and gates treat every token by itself, so they may see one row of all real tokens instead of a batch
padded to its longest caption. Only attention must know where rows end: it runs row by row, or for several neighbours
of one length at once, on exactly the keys that the mask would have left. That also spares the mask.

A packed row is [words of row 0 | its image | words of row 1 | its image | ...]; T tokens in all, N per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.runner import Runner
from newbie.attention.kernel import AroundKernel, Kernel, SequenceInfo
from newbie.model.block import Modulation, TokenSequence
from newbie.model.rope import Rope
from newbie.step import Step

KEY = ("packed rows",)


class Segment(NamedTuple):
    """Neighbouring rows of one length, which attention takes as a batch."""

    rows: int
    length: int
    info: SequenceInfo  # of this batch: no mask

    @classmethod
    def of(cls, rows: int, length: int, device: torch.device) -> Segment:
        return cls(rows, length, SequenceInfo.equal(rows, length, device))

    @classmethod
    def all_of(cls, info: SequenceInfo) -> tuple[Segment, ...]:
        """The segments of a padded batch, in its order."""
        groups = ((length, len(list(same))) for length, same in groupby(info.lengths))
        return tuple(cls.of(rows, length, info.starts.device) for length, rows in groups)


@dataclass(frozen=True)
class RowByRow(AroundKernel):
    """A kernel for packed rows, made of one for whole ones."""

    segments: tuple[Segment, ...]
    image: int  # N

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (1, T, H, D), or (1, B*N, H, D) of the image tokens; k, v (1, T, K, D) -> as q."""
        whole = q.shape[1] == k.shape[1]
        o, query, key = [], 0, 0
        for rows, length, info in self.segments:
            queries = length if whole else self.image
            mine = q[0, query : query + rows * queries].unflatten(0, (rows, queries))
            keys, values = (each[0, key : key + rows * length].unflatten(0, (rows, length)) for each in (k, v))
            o.append(self.kernel(mine, keys, values, info).flatten(0, 1))
            query, key = query + rows * queries, key + rows * length
        return torch.cat(o)[None]


class Packing(NamedTuple):
    """Where the tokens of a padded batch stand when packed, and back."""

    places: Tensor  # (T,) of the real tokens in the batch flattened to (B*L,)
    images: Tensor  # (B*N,) of the image tokens in the packed row
    seq: TokenSequence  # of the packed row

    @classmethod
    def of(cls, seq: TokenSequence, image: int, kernel: Kernel) -> Packing | None:
        """None: the rows have one length, or attention is given something that speaks of padded places.

        Every row must have all its `image` tokens. Asks the device for nothing.
        """
        info = seq.info
        if info.packed is None or info.bias is not None or info.window is not None:
            return None
        device = info.packed.device
        ends = list(accumulate(info.lengths))
        images = (torch.tensor(ends)[:, None] - image + torch.arange(image)).flatten().to(device)
        rope = Rope(*(numbers.flatten(0, 1)[info.packed][None] for numbers in seq.rope))
        whole = Segment.of(1, ends[-1], device).info
        attend = RowByRow(kernel, Segment.all_of(info), image)
        return cls(info.packed, images, TokenSequence(rope, whole, attend, images))


@dataclass(frozen=True)
class Packed:
    """A policy for the joint blocks: `inner` sees one row of real tokens and no mask.

    Only where one conditioning vector speaks to all rows: they are at one time, and no pooled caption sets them apart.

    Args:
        kernel: for rows of equal length; how the packed ones attend.
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
            step.memory[KEY] = Packing.of(seq, self.image, self.kernel)
        packing: Packing | None = step.memory[KEY]
        if packing is None:
            return self.inner(step, blocks, x, m, seq)
        to_all = [said.rows(slice(1)) for said in m]
        y = self.inner(step, blocks, x.flatten(0, 1)[packing.places][None], to_all, packing.seq)
        if y.shape[1] != len(packing.images):
            y = y[:, packing.images]
        return y[0].unflatten(0, (-1, self.image))
