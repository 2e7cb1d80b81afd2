"""Leaves for a CPU: products on weights that oneDNN has arranged, and few passes over memory between them.

Beside the products a block is a dozen passes over its tokens. Here they are float32 and in place, on a residual stream
that is float32 too: that is as fast as bfloat16 with its conversions, and loses less. SwiGLU costs no pass at all: its
silu and its product are done while the matrix products write their results.

The weights are arranged once, when the leaves are made, and are a copy: whoever changes the model's weights afterwards
must make new leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.leaves import Leaves
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.layers import RMSNorm
from newbie.model.rope import Rope

TOKENS = 1024  # rows of a product for which oneDNN arranges the weights; others work as well


class Norm(NamedTuple):
    """An RMSNorm in float32."""

    weight: Tensor  # (dim,)
    eps: Tensor  # ()

    @classmethod
    def of(cls, norm: RMSNorm) -> Norm:
        return cls(norm.weight.detach().float(), torch.tensor(norm.eps))


class Weights(NamedTuple):
    """One block, arranged for a CPU. Matrices are opaque oneDNN tensors."""

    qkv: Tensor
    out: Tensor
    w1: Tensor
    w2: Tensor
    w3: Tensor
    before_attention: Norm
    after_attention: Norm
    before_feed: Norm
    after_feed: Norm
    heads: Norm  # weight (H + K, D): q's and k's norms side by side
    split: tuple[int, int, int]  # H, K, K
    dtype: torch.dtype  # of the products

    @classmethod
    def of(cls, block: Block) -> Weights:
        attention, feed = block.attention, block.feed_forward
        queries, keys, _ = attention.heads
        q, k = Norm.of(attention.q_norm), Norm.of(attention.k_norm)
        return cls(
            _arranged(attention.qkv),
            _arranged(attention.out),
            _arranged(feed.w1),
            _arranged(feed.w2),
            _arranged(feed.w3),
            Norm.of(block.attention_norm1),
            Norm.of(block.attention_norm2),
            Norm.of(block.ffn_norm1),
            Norm.of(block.ffn_norm2),
            Norm(torch.cat((q.weight.expand(queries, -1), k.weight.expand(keys, -1))), q.eps),
            attention.heads,
            attention.qkv.weight.dtype,
        )


@dataclass(frozen=True, eq=False)
class CpuBlocks:
    """The blocks of one model with their arranged weights, and the leaves that use them."""

    weights: Mapping[Block, Weights]

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> CpuBlocks:
        return cls({block: Weights.of(block) for block in blocks})

    def leaves(self) -> Leaves:
        return Leaves("cpu", self.qkv, self.rest, self.project, self.feed, stream=torch.float32)

    @torch.no_grad()
    def qkv(self, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, L, dim) -> q (B, L, H, D), k and v (B, L, K, D)."""
        w = self.weights[block]
        x = normed(x, w.before_attention, scale).to(w.dtype)
        heads = _product(x, w.qkv).unflatten(-1, (sum(w.split), -1))
        queries, keys, _ = w.split
        v = heads[:, :, queries + keys :]
        turned = turn_(heads[:, :, : queries + keys].float(), w.heads, seq.rope).to(w.dtype)
        q, k = turned.split((queries, keys), dim=2)
        return q, k, v

    @torch.no_grad()
    def project(self, block: Block, o: Tensor) -> Tensor:
        """What the kernel gave, o (B, L, H, D) -> (B, L, dim)."""
        w = self.weights[block]
        return normed_(_product(o.flatten(2), w.out).float(), w.after_attention)

    @torch.no_grad()
    def feed(self, block: Block, x: Tensor, scale: Tensor) -> Tensor:
        """(B, L, dim) -> (B, L, dim)."""
        w = self.weights[block]
        return normed_(self._swiglu(w, x, scale), w.after_feed)

    @torch.no_grad()
    def rest(self, block: Block, x: Tensor, o: Tensor, m: Modulation) -> Tensor:
        """x (B, L, dim) float32 and what the kernel gave -> (B, L, dim)."""
        w = self.weights[block]
        y = _product(o.flatten(2), w.out).float()
        y = y.mul_(_inverse_rms(y, w.after_attention.eps))
        x = torch.addcmul(x, y, m.gate_attn * w.after_attention.weight)
        y = self._swiglu(w, x, m.scale_ffn)
        y = y.mul_(_inverse_rms(y, w.after_feed.eps))
        return x.addcmul_(y, m.gate_ffn * w.after_feed.weight)

    def _swiglu(self, w: Weights, x: Tensor, scale: Tensor) -> Tensor:
        x = normed(x, w.before_feed, scale).to(w.dtype)
        gate = torch.ops.mkldnn._linear_pointwise(x, w.w1, None, "swish", [], "")
        hidden = torch.ops.mkldnn._linear_pointwise.binary(x, gate, w.w3, None, "mul")
        return _product(hidden, w.w2).float()


def normed(x: Tensor, norm: Norm, scale: Tensor) -> Tensor:
    """RMSNorm and modulation of x (..., dim): x / sqrt(mean(x^2) + eps) * weight * scale, in float32."""
    return (x * _inverse_rms(x, norm.eps)).mul_(norm.weight * scale)


def normed_(x: Tensor, norm: Norm) -> Tensor:
    """RMSNorm in place."""
    return x.mul_(_inverse_rms(x, norm.eps)).mul_(norm.weight)


def turn_(x: Tensor, norm: Norm, rope: Rope) -> Tensor:
    """QK-norm and rotation in place, x (B, L, H, D): a turned pair is a complex product."""
    x = normed_(x, norm)
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    pairs.mul_(torch.complex(rope.cos, rope.sin))
    return x


def _inverse_rms(x: Tensor, eps: Tensor) -> Tensor:
    """(..., dim) -> (..., 1)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(eps, length, length, value=1 / x.shape[-1]).rsqrt_()


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def _arranged(linear: nn.Linear) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TOKENS)
