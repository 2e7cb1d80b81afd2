"""Leaves for an NVIDIA card: one Triton kernel for each thing a block does between its products.

In eager mode a block at 1024x1024 moves about 136 times its tokens through memory between the products; these four
kernels move about 25 times (RMSNorm and modulation, QK-norm and rotation, SwiGLU, and norm, gate and residual). All
arithmetic is float32, rounded once. The only file that imports triton; `choose` loads it where it is asked for.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from newbie.accel.leaves import Leaves
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.layers import RMSNorm
from newbie.model.rope import Rope


@triton.jit
def _normed_kernel(x, weight, scale, out, tokens, dim, eps, BLOCK: tl.constexpr):
    """One token: x / sqrt(mean(x^2) + eps) * weight * scale; `tokens` neighbours share a scale."""
    token = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    real = at < dim
    value = tl.load(x + token * dim + at, mask=real, other=0.0).to(tl.float32)
    value = value / tl.sqrt(tl.sum(value * value, axis=0) / dim + eps)
    value = value * tl.load(weight + at, mask=real, other=0.0).to(tl.float32)
    value = value * tl.load(scale + token // tokens * dim + at, mask=real, other=0.0).to(tl.float32)
    tl.store(out + token * dim + at, value.to(out.dtype.element_ty), mask=real)


@triton.jit
def _added_kernel(x, y, weight, gate, out, tokens, dim, eps, BLOCK: tl.constexpr):
    """One token: x + gate * y / sqrt(mean(y^2) + eps) * weight."""
    token = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    real = at < dim
    value = tl.load(y + token * dim + at, mask=real, other=0.0).to(tl.float32)
    value = value / tl.sqrt(tl.sum(value * value, axis=0) / dim + eps)
    value = value * tl.load(weight + at, mask=real, other=0.0).to(tl.float32)
    value = value * tl.load(gate + token // tokens * dim + at, mask=real, other=0.0).to(tl.float32)
    value = value + tl.load(x + token * dim + at, mask=real, other=0.0).to(tl.float32)
    tl.store(out + token * dim + at, value.to(out.dtype.element_ty), mask=real)


@triton.jit
def _turned_kernel(x, weight, cos, sin, out, stride, heads, half, eps, BLOCK: tl.constexpr):
    """One head of one token: normed, then its pairs (2j, 2j + 1) turned. `stride` leads from token to token in x."""
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    at = tl.arange(0, BLOCK)
    real = at < half
    here = x + token * stride + head * half * 2 + at * 2
    even = tl.load(here, mask=real, other=0.0).to(tl.float32)
    odd = tl.load(here + 1, mask=real, other=0.0).to(tl.float32)
    length = tl.sqrt(tl.sum(even * even + odd * odd, axis=0) / (half * 2) + eps)
    even = even / length * tl.load(weight + at * 2, mask=real, other=0.0).to(tl.float32)
    odd = odd / length * tl.load(weight + at * 2 + 1, mask=real, other=0.0).to(tl.float32)
    c = tl.load(cos + token * half + at, mask=real, other=0.0)
    s = tl.load(sin + token * half + at, mask=real, other=0.0)
    there = out + (token * heads + head) * half * 2 + at * 2
    tl.store(there, (even * c - odd * s).to(out.dtype.element_ty), mask=real)
    tl.store(there + 1, (even * s + odd * c).to(out.dtype.element_ty), mask=real)


@triton.jit
def _swiglu_kernel(gate, up, out, count, BLOCK: tl.constexpr):
    """silu(gate) * up, number by number."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    real = at < count
    g = tl.load(gate + at, mask=real, other=0.0).to(tl.float32)
    u = tl.load(up + at, mask=real, other=0.0).to(tl.float32)
    tl.store(out + at, (g / (1.0 + tl.exp(-g)) * u).to(out.dtype.element_ty), mask=real)


def normed(x: Tensor, norm: RMSNorm, scale: Tensor) -> Tensor:
    """RMSNorm and modulation: x (B, L, dim), scale (B, 1, dim), (1, 1, dim) or (B, L, dim) -> as x."""
    x, scale = x.contiguous(), scale.contiguous()
    out, dim = torch.empty_like(x), x.shape[-1]
    block = triton.next_power_of_2(dim)
    _normed_kernel[(x.numel() // dim,)](
        x, norm.weight, scale, out, x.numel() // scale.numel(), dim, norm.eps, BLOCK=block
    )
    return out


def added(x: Tensor, y: Tensor, norm: RMSNorm, gate: Tensor) -> Tensor:
    """x + gate * norm(y): x and y (B, L, dim), gate as a scale in `normed` -> as x."""
    x, y, gate = x.contiguous(), y.contiguous(), gate.contiguous()
    out, dim = torch.empty_like(x), x.shape[-1]
    block = triton.next_power_of_2(dim)
    _added_kernel[(x.numel() // dim,)](
        x, y, norm.weight, gate, out, x.numel() // gate.numel(), dim, norm.eps, BLOCK=block
    )
    return out


def turned(x: Tensor, norm: RMSNorm, rope: Rope) -> Tensor:
    """QK-norm and rotation: heads x (B, L, H, D), which may be a slice of wider tokens -> (B, L, H, D)."""
    batch, length, heads, size = x.shape
    if x.stride() != (length * x.stride(1), x.stride(1), size, 1):
        x = x.contiguous()
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    cos, sin = (numbers.expand(batch, -1, -1, -1).contiguous() for numbers in rope)
    block = triton.next_power_of_2(size // 2)
    _turned_kernel[(batch * length, heads)](
        x, norm.weight, cos, sin, out, x.stride(1), heads, size // 2, norm.eps, BLOCK=block
    )
    return out


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up, both of any one shape."""
    gate, up = gate.contiguous(), up.contiguous()
    out, block = torch.empty_like(gate), 1024
    _swiglu_kernel[(triton.cdiv(gate.numel(), block),)](gate, up, out, gate.numel(), BLOCK=block)
    return out


def leaves() -> Leaves:
    """The blocks by these kernels. They have no backward pass."""
    return Leaves("triton", _qkv, _rest, feed=_feed)


def unavailable() -> str:
    """Why these kernels cannot run here; "" when they can."""
    if not torch.cuda.is_available():
        return "torch sees no NVIDIA card"
    capability = torch.cuda.get_device_capability()
    return (
        ""
        if capability >= (7, 0)
        else f"they need compute capability 7.0, this card has {capability[0]}.{capability[1]}"
    )


def _qkv(block: Block, x: Tensor, scale: Tensor, seq: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
    attention = block.attention
    heads = attention.qkv(normed(x, block.attention_norm1, scale)).unflatten(-1, (-1, attention.head_dim))
    q, k, v = heads.split(attention.heads, dim=2)
    return turned(q, attention.q_norm, seq.rope), turned(k, attention.k_norm, seq.rope), v


def _rest(block: Block, x: Tensor, o: Tensor, m: Modulation) -> Tensor:
    x = added(x, block.attention.out(o.flatten(2)), block.attention_norm2, m.gate_attn)
    return added(x, _products(block, x, m.scale_ffn), block.ffn_norm2, m.gate_ffn)


def _feed(block: Block, x: Tensor, scale: Tensor) -> Tensor:
    return block.ffn_norm2(_products(block, x, scale))


def _products(block: Block, x: Tensor, scale: Tensor) -> Tensor:
    x = normed(x, block.ffn_norm1, scale)
    feed = block.feed_forward
    return feed.w2(swiglu(feed.w1(x), feed.w3(x)))
