"""The noise refiner once for all captions of a picture, where they differ in nothing that it sees.

It refines image tokens by the time and the pooled caption. In models without a pooled caption the rows of a guided pair
differ there only in where their image stands on the word axis: the same distance for all its tokens, and rotary
attention sees differences of places alone. So the rows are one, up to the rounding of their angles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from newbie.model.block import Modulation, TokenSequence
from newbie.model.nextdit import RunBlocks
from newbie.model.rope import Rope


@dataclass(frozen=True)
class SharedRefiner:
    """Only for evaluations without a pooled caption."""

    inner: RunBlocks

    def __call__(
        self, copies: int, blocks: Iterable[nn.Module], x: Tensor, m: tuple[Modulation, ...], seq: TokenSequence
    ) -> Tensor:
        """x (B, N, dim), `copies` times the same B / copies pictures -> (B, N, dim)."""
        if copies == 1 or seq.info.mask is not None:
            return self.inner(blocks, x, m, seq)
        rows = len(x) // copies
        one = seq._replace(rope=Rope(*(numbers[:rows] for numbers in seq.rope)), info=seq.info.part(slice(rows)))
        said = tuple(each.rows(slice(rows)) for each in m)
        return self.inner(blocks, x[:rows], said, one).repeat(copies, 1, 1)
