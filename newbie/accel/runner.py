"""How one block runs, and how a stack of them does: the place where accelerations meet the model.

`Velocity(runner=InOrder(RunBlock(leaves)))` runs the joint blocks by these leaves; with nothing asked for there is no
runner, and `run_in_order` of the model runs instead. x is (B, L, dim), m has one `Modulation` per block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor, nn

from newbie.accel.leaves import Leaves
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.step import Step

Attend = Callable[[Step | None, int, Block, Tensor, Tensor, TokenSequence], Tensor]  # the attention branch
RunOne = Callable[[Step | None, int, Block, Tensor, Modulation, TokenSequence], Tensor]  # (.., layer, block, ..) -> x
Feed = Callable[[Step | None, int, Block, Tensor, Tensor], Tensor]  # the feed-forward branch
Told = Callable[[int, TokenSequence], TokenSequence]  # (layer, ..) -> what this layer is told of its tokens


class Runner(Protocol):
    """How a stack of blocks runs in one evaluation."""

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor: ...


@dataclass(frozen=True)
class RunBlock:
    """One block. Where a policy wants a branch for itself, the block is cut there; else it runs in the largest pieces.

    The residual wiring stands here a second time, after `Block.forward`; a test holds both bit-equal.
    """

    leaves: Leaves
    attend: Attend | None = None  # (step, layer, block, x, scale, seq) -> y
    feed: Feed | None = None  # (step, layer, block, x, scale) -> y
    layers: frozenset[int] | None = None  # that these act in; None: all. The others run in the largest pieces

    def __call__(
        self, step: Step | None, layer: int, block: Block, x: Tensor, m: Modulation, seq: TokenSequence
    ) -> Tensor:
        if not self.cuts(layer):
            q, k, v = self.leaves.qkv(block, x, m.scale_attn, seq)
            return self.leaves.rest(block, x, seq.attend(q, k, v, seq.info), m)
        attend, feed = self.attend or self.plain_attend, self.feed or self.plain_feed
        x = x + m.gate_attn * attend(step, layer, block, x, m.scale_attn, seq)
        return x + m.gate_ffn * feed(step, layer, block, x, m.scale_ffn)

    def cuts(self, layer: int) -> bool:
        """Whether a policy wants a branch of this layer for itself."""
        return (self.attend is not None or self.feed is not None) and (self.layers is None or layer in self.layers)

    def plain_attend(
        self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence
    ) -> Tensor:
        """The attention branch as it is: what an `Attend` falls back to."""
        q, k, v = self.leaves.qkv(block, x, scale, seq)
        return self.leaves.project(block, seq.attend(q, k, v, seq.info))

    def plain_feed(self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor) -> Tensor:
        """The feed-forward branch as it is."""
        return self.leaves.feed(block, x, scale)


@dataclass(frozen=True)
class InOrder:
    """Every block once, from the first to the last; `last` may run that one in its own way, as `ImageQueries` does."""

    run_block: RunBlock
    last: RunOne | None = None
    told: Told | None = None  # None: all layers are told the same

    def __call__(
        self, step: Step | None, blocks: Iterable[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """x (B, L, dim) -> (B, L, dim) in the same dtype."""
        return self.some(step, blocks, self.begin(x), m, seq, range(len(m))).to(x.dtype)

    def begin(self, x: Tensor) -> Tensor:
        """x in the dtype that the residual stream has inside."""
        stream = self.run_block.leaves.stream
        return x if stream is None else x.to(stream)

    def some(
        self,
        step: Step | None,
        blocks: Iterable[nn.Module],
        x: Tensor,
        m: Sequence[Modulation],
        seq: TokenSequence,
        layers: range,
    ) -> Tensor:
        """Only these `layers`, which `blocks` are; m is that of all."""
        for layer, block in zip(layers, blocks, strict=True):
            assert isinstance(block, Block)
            run = self.last if self.last is not None and layer == len(m) - 1 else self.run_block
            x = run(step, layer, block, x, m[layer], seq if self.told is None else self.told(layer, seq))
        return x

    def refine(self, blocks: Iterable[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence) -> Tensor:
        """The form the noise refiner takes: no step, because no policy of a step ever acts there."""
        return replace(self, last=None)(None, blocks, x, m, seq)
