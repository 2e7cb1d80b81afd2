"""The last block computes what somebody reads: its image tokens. Words serve it as keys and values, and end there.

The final layer looks at image tokens only, so in the last joint block the words' attention, output projection and
feed-forward are work for nobody. Rows do not meet in any of these, so leaving some out changes no bit of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from torch import Tensor, nn

from newbie.accel.layout import of_the_image
from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.nextdit import run_in_order
from newbie.step import Step


@dataclass(frozen=True)
class ImageQueries:
    """A block for its image tokens alone, in the form of `RunBlock`: x (B, L, dim) -> (B, N, dim)."""

    leaves: Leaves

    def __call__(
        self, step: Step | None, layer: int, block: Block, x: Tensor, m: Modulation, seq: TokenSequence
    ) -> Tensor:
        return image_tokens(self.leaves, block, x, m, seq)


def image_tokens(leaves: Leaves, block: Block, x: Tensor, m: Modulation, seq: TokenSequence) -> Tensor:
    """x (B, L, dim) -> (B, N, dim), the rows `x[:, seq.image]` of what the whole block would give."""
    q, k, v = leaves.qkv(block, x, m.scale_attn, seq)
    return leaves.rest(block, x[:, seq.image], of_the_image(seq.attend, q, k, v, seq), m)


def to_the_image(blocks: InOrder, last: int) -> InOrder:
    """The same, its last block for the image alone; where a policy wants that block's branches, it is left whole."""
    run_block = blocks.run_block
    if run_block.cuts(last):
        return blocks
    return replace(blocks, last=ImageQueries(run_block.leaves))


def in_order(step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence) -> Tensor:
    """The model's own loop as a policy."""
    return run_in_order(blocks, x, m, seq)


def in_order_to_the_image(
    step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
) -> Tensor:
    """The model's own loop; its last block gives the image tokens alone."""
    return run_in_order(_last_trimmed(blocks, len(m)), x, m, seq)


def _last_trimmed(blocks: Iterable[nn.Module], count: int) -> Iterator[nn.Module]:
    """The blocks one by one, as they may come; the last of them for the image tokens alone."""
    for number, block in enumerate(blocks, start=1):
        trimmed = partial(image_tokens, Leaves.plain(), cast("Block", block))
        yield cast("nn.Module", trimmed) if number == count else block
