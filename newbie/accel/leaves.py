"""The parts of a block as functions of (block, numbers): what may be replaced by something faster.

A leaf is an unbound method of `Block`, or a function of the same form: it sees tensors and weights, never a step
number, a layer's index or a cache. That is why compiling the leaves yields a handful of graphs for any number of layers
and steps, and why no attribute of the model is ever assigned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.rope import Rope

Qkv = Callable[[Block, Tensor, Tensor, TokenSequence], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Leaves:
    """How the parts of every block are computed. `qkv`, kernel, `rest` are together `Block.forward`.

    Modulations may be (B, 1, dim) or, for rows that are packed into one, (1, L, dim).
    """

    name: str  # as `Pipeline.describe` tells it
    qkv: Qkv  # (block, x (B, L, dim), scale, seq) -> q, k, v: all before the kernel
    rest: Callable[[Block, Tensor, Tensor, Modulation], Tensor]  # (block, x, o, m) -> x: all after it
    project: Callable[[Block, Tensor], Tensor] = Block.project  # the branches alone, for policies between them
    feed: Callable[[Block, Tensor, Tensor], Tensor] = Block.feed
    stream: torch.dtype | None = None  # of the residual stream inside a stack; None: the model's own

    @classmethod
    def plain(cls) -> Leaves:
        """The methods as they are written."""
        return cls("plain", Block.qkv, rest)

    @classmethod
    def compiled(cls, compiler: Callable[[Callable[..., object]], Callable[..., object]]) -> Leaves:
        """The same methods, each compiled by `compiler` when it first runs."""
        # A compiled function is tied to all it is given: of the sequence that must be the turns alone.
        before: Callable[..., tuple[Tensor, Tensor, Tensor]] = compiler(_qkv)  # type: ignore[assignment]

        def qkv(block: Block, x: Tensor, scale: Tensor, seq: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
            return before(block, x, scale, *seq.rope)

        parts = (rest, Block.project, Block.feed)
        return cls("compiled", qkv, *(compiler(part) for part in parts))  # type: ignore[arg-type]


def _qkv(block: Block, x: Tensor, scale: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return block.attention(block.attention_norm1(x) * scale, Rope(cos, sin))


def rest(block: Block, x: Tensor, o: Tensor, m: Modulation) -> Tensor:
    """The second half of `Block.forward`: x (B, L, dim) and what the kernel gave, o (B, L, H, D) -> (B, L, dim)."""
    x = x + m.gate_attn * block.project(o)
    return x + m.gate_ffn * block.feed(x, m.scale_ffn)
