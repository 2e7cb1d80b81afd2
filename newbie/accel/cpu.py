"""Leaves for a CPU: products on weights that oneDNN has arranged, and few passes over memory between them.

Beside its products a block is a dozen passes over its tokens. Here they are float32 and in place, on a residual stream
that is float32 too: as fast as bfloat16 with its conversions, and more exact. SwiGLU costs no pass at all: its silu and
its product are done while the matrix products write their results.

The arranged weights are a copy made once, beside the model: whoever changes the model's weights must make new leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.leaves import Leaves
from newbie.accel.passes import EAGER, Norm, Passes
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.layers import RMSNorm

TOKENS = 1024  # rows of a product for which oneDNN arranges the weights; others work as well
_OPERATORS = ("_linear_pointwise", "_reorder_linear_weight")


class Weights(NamedTuple):
    """One block, arranged for a CPU. The matrices are oneDNN's, or the model's own where memory is short."""

    qkv: Tensor
    out: Tensor
    w1: Tensor
    w2: Tensor
    w3: Tensor
    before_attention: Norm
    after_attention: Norm
    before_feed: Norm
    after_feed: Norm
    heads: Norm  # weight (H + K, D): those of q and of k side by side
    split: tuple[int, int]  # H, K
    dtype: torch.dtype  # of the products

    @classmethod
    def of(cls, block: Block, *, arrange: bool) -> Weights:
        attention, feed = block.attention, block.feed_forward
        queries, keys, _ = attention.heads
        q, k = _norm(attention.q_norm), _norm(attention.k_norm)
        linears = (attention.qkv, attention.out, feed.w1, feed.w2, feed.w3)
        qkv, out, w1, w2, w3 = (_matrix(linear, arrange) for linear in linears)
        return cls(
            qkv,
            out,
            w1,
            w2,
            w3,
            before_attention=_norm(block.attention_norm1),
            after_attention=_norm(block.attention_norm2),
            before_feed=_norm(block.ffn_norm1),
            after_feed=_norm(block.ffn_norm2),
            heads=Norm(torch.cat((q.weight.expand(queries, -1), k.weight.expand(keys, -1))), q.eps),
            split=(queries, keys),
            dtype=attention.qkv.weight.dtype,
        )


@dataclass(frozen=True, eq=False)
class CpuBlocks:
    """The blocks of one model with their arranged weights; `leaves()` are the functions that use them."""

    weights: Mapping[Block, Weights]
    passes: Passes = EAGER

    @classmethod
    def of(cls, blocks: Iterable[Block], *, arrange: bool = True, passes: Passes = EAGER) -> CpuBlocks:
        """Without `arrange` the products read the model's own weights: a little slower, and no copy of them."""
        return cls({block: Weights.of(block, arrange=arrange) for block in blocks}, passes)

    def leaves(self) -> Leaves:
        name = "cpu" if self.passes is EAGER else "cpu, compiled"
        return Leaves(name, self.qkv, self.rest, self.project, self.feed, stream=torch.float32)

    @torch.no_grad()
    def qkv(self, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, L, dim) float32 -> q (B, L, H, D), k and v (B, L, K, D)."""
        w = self.weights[block]
        queries, keys = w.split
        x = self.passes.normed(x, w.before_attention, scale, w.dtype)
        heads = _product(x, w.qkv).unflatten(-1, (queries + 2 * keys, -1))
        turned = self.passes.turned(heads, w.heads, seq.rope)
        q, k = turned.split((queries, keys), dim=2)
        return q, k, heads[:, :, -keys:]

    @torch.no_grad()
    def project(self, block: Block, o: Tensor) -> Tensor:
        """What the kernel gave, o (B, L, H, D) -> (B, L, dim) float32."""
        w = self.weights[block]
        return self.passes.normed(_product(o.flatten(2), w.out), w.after_attention, None, torch.float32)

    @torch.no_grad()
    def feed(self, block: Block, x: Tensor, scale: Tensor) -> Tensor:
        """(B, L, dim) float32 -> (B, L, dim) float32."""
        w = self.weights[block]
        return self.passes.normed(self._swiglu(w, x, scale), w.after_feed, None, torch.float32)

    @torch.no_grad()
    def rest(self, block: Block, x: Tensor, o: Tensor, m: Modulation) -> Tensor:
        """x (B, L, dim) float32 and what the kernel gave, o (B, L, H, D) -> (B, L, dim) float32."""
        w = self.weights[block]
        x = self.passes.added(x, _product(o.flatten(2), w.out), w.after_attention, m.gate_attn)
        return self.passes.added(x, self._swiglu(w, x, m.scale_ffn), w.after_feed, m.gate_ffn)

    def _swiglu(self, w: Weights, x: Tensor, scale: Tensor) -> Tensor:
        x = self.passes.normed(x, w.before_feed, scale, w.dtype)
        gate = torch.ops.mkldnn._linear_pointwise(x, w.w1, None, "swish", [], "")
        hidden = torch.ops.mkldnn._linear_pointwise.binary(x, gate, w.w3, None, "mul")
        return _product(hidden, w.w2)


def unavailable(blocks: Iterable[Block]) -> str:
    """Why these blocks cannot have such leaves; "" when they can."""
    if not torch.backends.mkldnn.is_available() or not all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS):
        return "this torch has no oneDNN products"
    for block in blocks:
        for name, part in block.named_modules():
            if name.startswith(("attention.", "feed_forward.")) and type(part) not in (nn.Linear, RMSNorm):
                return f"{name} is a {type(part).__name__}, not a plain linear layer"
    return ""


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def _matrix(linear: nn.Linear, arrange: bool) -> Tensor:
    weight = linear.weight.detach()
    return torch.ops.mkldnn._reorder_linear_weight(weight, TOKENS) if arrange else weight


def _norm(norm: RMSNorm) -> Norm:
    return Norm(norm.weight.detach().float(), torch.tensor(norm.eps))
