"""Rows of unequal length without padding: the real tokens of all rows as one long row.

Norms, products and gates treat every token by itself, so they may see one row of all real tokens instead of a batch
padded to its longest caption. Only attention must know where rows end: it runs row by row, or for several neighbours
of one length at once, on exactly the keys that the mask would have left. That also spares the mask.

A packed row is [words of row 0 | its image | words of row 1 | its image | ...]; T tokens in all, N per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from newbie.attention.kernel import Kernel, Needs, SequenceInfo
from newbie.model.block import Modulation, TokenSequence
from newbie.model.rope import Rope
from newbie.step import Step

KEY = ("packed rows",)


class Runner(Protocol):
    """How the joint blocks run in one evaluation."""

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor: ...


class Segment(NamedTuple):
    """Neighbouring rows of one length, which attention takes as a batch."""

    rows: int
    length: int
    info: SequenceInfo  # of this batch: no mask

    @classmethod
    def of(cls, rows: int, length: int, device: torch.device) -> Segment:
        starts = (torch.arange(rows + 1, dtype=torch.int32) * length).to(device)
        return cls(rows, length, SequenceInfo(None, (length,) * rows, length, None, starts, ()))


@dataclass(frozen=True)
class RowByRow:
    """A kernel for packed rows, made of one for whole ones."""

    kernel: Kernel
    segments: tuple[Segment, ...]
    image: int  # N

    @property
    def name(self) -> str:
        return self.kernel.name

    @property
    def needs(self) -> Needs:
        return self.kernel.needs

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
    row: Tensor  # (T,) whose they are
    seq: TokenSequence  # of the packed row
    image: int  # N

    @classmethod
    def of(cls, seq: TokenSequence, image: int, kernel: Kernel) -> Packing | None:
        """None: the rows have one length, or attention is given something that speaks of padded places.

        Every row must have all its `image` tokens. Asks the device for nothing.
        """
        info = seq.info
        if info.packed is None or info.bias is not None or info.window is not None:
            return None
        device = info.packed.device
        lengths = torch.tensor(info.lengths)
        ends = lengths.cumsum(0)
        images = (ends[:, None] - image + torch.arange(image)).flatten()  # (B*N,)
        groups = ((length, len(list(same))) for length, same in groupby(info.lengths))
        segments = tuple(Segment.of(rows, length, device) for length, rows in groups)
        total = int(ends[-1])
        rope = Rope(*(numbers.flatten(0, 1)[info.packed][None] for numbers in seq.rope))
        whole = SequenceInfo(
            None, (total,), total, None, torch.tensor([0, total], dtype=torch.int32, device=device), ()
        )
        packed = TokenSequence(rope, whole, RowByRow(kernel, segments, image), images.to(device))
        row = torch.arange(len(lengths)).repeat_interleave(lengths).to(device)
        return cls(info.packed, row, packed, image)

    def pack(self, x: Tensor) -> Tensor:
        """(B, L, dim) -> (1, T, dim)."""
        return x.flatten(0, 1)[self.places][None]

    def spread(self, m: Modulation) -> Modulation:
        """(B, 1, dim) -> (1, T, dim): each token's own. What is said to all, (1, 1, dim), stays."""
        return m if len(m.gate_attn) == 1 else Modulation(*(numbers[self.row, 0][None] for numbers in m))

    def images(self, x: Tensor) -> Tensor:
        """(1, T, dim), or the image tokens alone, -> (B, N, dim)."""
        tokens = x if x.shape[1] == len(self.seq.image) else x[:, self.seq.image]  # type: ignore[arg-type]
        return tokens[0].unflatten(0, (-1, self.image))


@dataclass(frozen=True)
class Packed:
    """A policy for the joint blocks: `inner` sees one row of real tokens and no mask.

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
        y = self.inner(step, blocks, packing.pack(x), [packing.spread(said) for said in m], packing.seq)
        return packing.images(y)
