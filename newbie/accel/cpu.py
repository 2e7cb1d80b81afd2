"""Leaves for a CPU: products on weights that oneDNN has arranged, and few passes over memory between them.

Beside its products a block is a dozen passes over its tokens. Here they are float32 and in place, on a residual stream
that is float32 too: as fast as bfloat16 with its conversions, and more exact. SwiGLU costs no pass at all: its silu and
its product are done while the matrix products write their results.

The arranged weights are a copy made once, beside the model: whoever changes the model's weights must make new leaves.
Adapters stay beside the arranged weights, as they do beside the model's own. Layers that keep their weights in fewer
bits answer by themselves, but for those that multiply integers, which oneDNN arranges too (`integers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from newbie.accel.integers import Integers, available, swiglu
from newbie.accel.leaves import Leaves
from newbie.accel.passes import EAGER, Norm, Passes
from newbie.model.adapted import AdaptedLinear
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.layers import RMSNorm
from newbie.quant.int8 import W8A8
from newbie.quant.layers import CompressedLinear

CPU = torch.device("cpu")
TOKENS = 1024  # rows of a product for which oneDNN arranges the weights; others work as well
_OPERATORS = ("_linear_pointwise", "_reorder_linear_weight")


class Arranged(NamedTuple):
    """A linear layer without bias. The matrix is oneDNN's, or the model's own where memory is short."""

    weight: Tensor
    adapted: AdaptedLinear | None  # that this is the base of

    @classmethod
    def of(cls, weight: Tensor, adapted: AdaptedLinear | None, *, arrange: bool) -> Arranged:
        weight = weight.detach()
        return cls(torch.ops.mkldnn._reorder_linear_weight(weight, TOKENS) if arrange else weight, adapted)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        if self.adapted is None:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "")
        return torch.ops.mkldnn._linear_pointwise.binary(x, self.adapted.beside(x), self.weight, None, "add")


Product = Arranged | Integers | nn.Module  # (..., in) -> (..., out)


def product(linear: nn.Module, *, arrange: bool, answer: torch.dtype) -> Product:
    """How a linear layer without bias is computed; products of integers answer in the format `answer`."""
    adapted = linear if isinstance(linear, AdaptedLinear) else None
    base = linear if adapted is None else adapted.base
    if isinstance(base, nn.Linear):
        return Arranged.of(base.weight, adapted, arrange=arrange)
    if arrange and available() and isinstance(base, CompressedLinear) and isinstance(base.codec, W8A8):
        return linear if base.codec.slow(CPU, *base.shape) else Integers.of(base.stored, answer, adapted)
    return linear


class Weights(NamedTuple):
    """One block, arranged for a CPU."""

    qkv: Product
    out: Product
    w1: Product
    w2: Product
    w3: Product
    before_attention: Norm
    after_attention: Norm
    before_feed: Norm
    after_feed: Norm
    heads: Norm  # weight (H + K, D): those of q and of k side by side
    split: tuple[int, int]  # H, K
    dtype: torch.dtype  # that the products take

    @classmethod
    def of(cls, block: Block, *, arrange: bool) -> Weights:
        attention, feed = block.attention, block.feed_forward
        queries, keys, _ = attention.heads
        q, k = _norm(attention.q_norm), _norm(attention.k_norm)
        dtype = block.attention_norm1.weight.dtype
        qkv = product(attention.qkv, arrange=arrange, answer=dtype)
        others = (attention.out, feed.w1, feed.w2, feed.w3)
        out, w1, w2, w3 = (product(linear, arrange=arrange, answer=torch.float32) for linear in others)
        whole = all(isinstance(each, Integers) and each.adapted is None for each in (qkv, out, w1, w2, w3))
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
            dtype=torch.float32 if whole else dtype,  # integers are made of float32 anyway
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
        heads = w.qkv(x).unflatten(-1, (queries + 2 * keys, -1))
        turned = self.passes.turned(heads, w.heads, seq.rope)
        q, k = turned.split((queries, keys), dim=2)
        return q, k, heads[:, :, -keys:]

    @torch.no_grad()
    def project(self, block: Block, o: Tensor) -> Tensor:
        """What the kernel gave, o (B, L, H, D) -> (B, L, dim) float32."""
        w = self.weights[block]
        return self.passes.normed(w.out(o.flatten(2)), w.after_attention, None, torch.float32)

    @torch.no_grad()
    def feed(self, block: Block, x: Tensor, scale: Tensor) -> Tensor:
        """(B, L, dim) float32 -> (B, L, dim) float32."""
        w = self.weights[block]
        return self.passes.normed(self._swiglu(w, x, scale), w.after_feed, None, torch.float32)

    @torch.no_grad()
    def rest(self, block: Block, x: Tensor, o: Tensor, m: Modulation) -> Tensor:
        """x (B, L, dim) float32 and what the kernel gave, o (B, L, H, D) -> (B, L, dim) float32."""
        w = self.weights[block]
        x = self.passes.added(x, w.out(o.flatten(2)), w.after_attention, m.gate_attn)
        return self.passes.added(x, self._swiglu(w, x, m.scale_ffn), w.after_feed, m.gate_ffn)

    def _swiglu(self, w: Weights, x: Tensor, scale: Tensor) -> Tensor:
        x = self.passes.normed(x, w.before_feed, scale, w.dtype)
        match w.w1, w.w2, w.w3:  # what adapters add comes before the silu and before the product
            case Arranged(w1, None), _, Arranged(w3, None):
                gate = torch.ops.mkldnn._linear_pointwise(x, w1, None, "swish", [], "")
                return w.w2(torch.ops.mkldnn._linear_pointwise.binary(x, gate, w3, None, "mul"))
            case Integers(adapted=None) as w1, Integers(adapted=None) as w2, Integers(adapted=None) as w3:
                return swiglu(w1, w2, w3, x)
        return w.w2((F.silu(w.w1(x)) * w.w3(x)).to(x.dtype))


def unavailable(blocks: Iterable[Block]) -> str:
    """Why these blocks cannot have such leaves; "" when they can."""
    if not torch.backends.mkldnn.is_available() or not all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS):
        return "this torch has no oneDNN products"
    for block in blocks:
        for group in ("attention", "feed_forward"):
            for name, part in block.get_submodule(group).named_children():
                plain = part.base if isinstance(part, AdaptedLinear) else part
                if type(plain) not in (nn.Linear, CompressedLinear, RMSNorm):
                    return f"{group}.{name} is a {type(plain).__name__}, not a plain linear layer"
    return ""


def _norm(norm: RMSNorm) -> Norm:
    return Norm(norm.weight.detach().float(), torch.tensor(norm.eps))
