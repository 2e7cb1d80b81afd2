"""FlashAttention in plain PyTorch, written to be read: exact attention that never holds the L x L scores.

Attention is a weighted mean of values, with weights exp(s) / sum(exp(s)). Such a mean can be taken one tile of keys
at a time, as long as one remembers three things per query: the largest score so far m, the sum of weights so far l
(both relative to m), and the unfinished numerator acc. When a tile brings a larger score, what was gathered before
is scaled down to the new maximum. For a tile of queries Q_i (Dao 2023, arXiv 2307.08691, after Dao et al. 2022, arXiv
2205.14135):

    m = -inf,  l = 0,  acc = 0
    for each tile of keys j:
        S    = Q_i K_j^T / sqrt(D) + bias       scores of this tile only
        m'   = max(m, rowmax(S))                the new maximum
        P    = exp(S - m')                      weights, not yet divided by their sum
        l    = exp(m - m') l   + rowsum(P)
        acc  = exp(m - m') acc + P V_j
        m    = m'
    O_i = acc / l,  lse_i = m + ln l            one division, at the very end

The backward pass would need all of P again. Instead of storing it, it computes each tile anew from lse, as
P = exp(S - lse), already divided. With delta = rowsum(dO * O):

    dV_j += P^T dO_i
    dP    = dO_i V_j^T
    dS    = P * (dP - delta_i)
    dQ_i += dS K_j / sqrt(D)
    dK_j += dS^T Q_i / sqrt(D)

So beside q, k, v and o only lse is kept: L numbers per head, not L x L. `docs/flash-attention.md` explains it slowly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from newbie.attention.kernel import Needs, SequenceInfo, bias_of
from newbie.errors import UsageError


@dataclass(frozen=True)
class Tiled:
    """Attention in tiles of `block_q` queries and `block_k` keys, of any size; memory grows with L, not L squared.

    Half-precision inputs are widened tile by tile, so that products and sums are float32, as on a GPU. Float64 stays
    float64.
    """

    block_q: int = 128
    block_k: int = 128
    name: str = "tiled"
    needs: Needs = field(default=Needs(bias=True))

    def __post_init__(self) -> None:
        """Raises UsageError for tiles without rows or columns."""
        if min(self.block_q, self.block_k) < 1:
            raise UsageError(f"attention tiles of {self.block_q} x {self.block_k}", "both sizes must be at least 1")

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, Lq, H, D), k and v (B, L, K, D) -> (B, Lq, H, D) in q's dtype."""
        return self.with_lse(q, k, v, keys=seq.mask, bias=bias_of(seq, q.shape[1]))[0]

    def with_lse(
        self, q: Tensor, k: Tensor, v: Tensor, *, keys: Tensor | None = None, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """q (B, L, H, D), k and v (B, N, K, D) -> o (B, L, H, D) and lse (B, H, L), the log of each sum of weights.

        `keys` (B, N) bool, True = take part; `bias`, broadcastable to (B, H, L, N), is added to the scores. A query
        without keys gets o = 0 and lse = -inf. Both results have gradients.
        """
        if bias is not None:
            bias = bias[(None,) * (4 - bias.ndim)]
        with torch.autocast(q.device.type, enabled=False):
            heads_first = (x.transpose(1, 2) for x in (q, k, v))
            o, lse = _Attention.apply(*heads_first, keys, bias, (self.block_q, self.block_k))
        return o.transpose(1, 2), lse


def merge(o_a: Tensor, lse_a: Tensor, o_b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over two disjoint sets of keys, from the attention over each: exact, and what ring attention rests on.

    o (B, L, H, D) with lse (B, H, L), twice -> the same once. Each part weighs as much as its sum of weights.
    """
    lse = torch.logaddexp(_finite(lse_a), _finite(lse_b)).masked_fill(lse_a.maximum(lse_b).isneginf(), -math.inf)
    a, b = ((part - _finite(lse)).exp().mT[..., None] for part in (lse_a, lse_b))
    return (a * o_a + b * o_b).to(o_a.dtype), lse


class _Attention(torch.autograd.Function):
    """q (B, H, L, D), k and v (B, K, N, D), keys (B, N), bias (B or 1, H or 1, L or 1, N or 1) -> o, lse."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None, bias: Tensor | None, blocks: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        exact = torch.float64 if q.dtype == torch.float64 else torch.float32
        o, lse = torch.empty_like(q), q.new_empty(q.shape[:3], dtype=exact)
        for i in _tiles(q.shape[2], blocks[0]):
            q_i = q[:, :, i].to(exact)
            m = torch.full_like(q_i[..., :1], -math.inf)
            l = torch.zeros_like(m)  # noqa: E741 - the papers' letter
            acc = torch.zeros_like(q_i)
            for j in _tiles(k.shape[2], blocks[1]):
                s = _scores(q_i, k[:, :, j].to(exact), keys, bias, i, j)
                m_new = torch.maximum(m, s.amax(-1, keepdim=True))
                p = (s - _finite(m_new)).exp()
                fade = (m - _finite(m_new)).exp()
                l = fade * l + p.sum(-1, keepdim=True)  # noqa: E741
                acc = fade * acc + _product(p, v[:, :, j].to(exact))
                m = m_new
            # The largest key alone weighs exp(0) = 1, so that l < 1 says that there was no key at all.
            o[:, :, i] = acc / l.clamp(min=1)
            lse[:, :, i] = (m + l.log()).squeeze(-1)
        ctx.save_for_backward(q, k, v, o, lse, keys, bias)
        ctx.blocks = blocks
        return o, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_o: Tensor, d_lse: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, o, lse, keys, bias = ctx.saved_tensors
        exact, scale = lse.dtype, q.shape[-1] ** -0.5
        dq, dk, dv = (torch.zeros_like(x, dtype=exact) for x in (q, k, v))
        d_bias = torch.zeros_like(bias, dtype=exact) if ctx.needs_input_grad[4] else None
        # The derivative of lse by a score is that score's weight, so that its gradient joins delta.
        delta = (d_o.to(exact) * o.to(exact)).sum(-1) - d_lse
        with torch.autocast(q.device.type, enabled=False):
            for j in _tiles(k.shape[2], ctx.blocks[1]):
                k_j, v_j = k[:, :, j].to(exact), v[:, :, j].to(exact)
                for i in _tiles(q.shape[2], ctx.blocks[0]):
                    q_i, d_o_i = q[:, :, i].to(exact), d_o[:, :, i].to(exact)
                    p = (_scores(q_i, k_j, keys, bias, i, j) - _finite(lse[:, :, i, None])).exp()
                    ds = p * (_product(d_o_i, v_j.mT) - delta[:, :, i, None])
                    dv[:, :, j] += _shared(p, d_o_i, v.shape[1])
                    dq[:, :, i] += _product(ds, k_j) * scale
                    dk[:, :, j] += _shared(ds, q_i, k.shape[1]) * scale
                    if d_bias is not None:
                        place = _place(d_bias, i, j)
                        place += ds.sum_to_size(place.shape)
        d_bias = None if d_bias is None else d_bias.to(bias.dtype)
        return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype), None, d_bias, None


def _tiles(length: int, size: int) -> Iterator[slice]:
    """Neighbouring stretches of at most `size`; the last one may be shorter."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def _scores(q_i: Tensor, k_j: Tensor, keys: Tensor | None, bias: Tensor | None, i: slice, j: slice) -> Tensor:
    """One tile of scores, (B, H, i, j). A key that takes no part scores -inf and so weighs nothing."""
    s = _product(q_i, k_j.mT) * q_i.shape[-1] ** -0.5
    if bias is not None:
        s = s + _place(bias, i, j)
    return s if keys is None else s.masked_fill(~keys[:, None, None, j], -math.inf)


def _place(bias: Tensor, i: slice, j: slice) -> Tensor:
    """The part of a bias that belongs to one tile; axes of size 1 count for every place."""
    every = slice(None)
    return bias[:, :, i if bias.shape[2] > 1 else every, j if bias.shape[3] > 1 else every]


def _finite(m: Tensor) -> Tensor:
    """A maximum to subtract. Where there was no key it is -inf, and -inf - -inf would be NaN."""
    return m.clamp(min=torch.finfo(m.dtype).min)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """x (B, H, m, n), y (B, K, n, r) -> (B, H, m, r). Query heads that share a y become rows of one product."""
    return (_stack(x, y.shape[1]) @ y).view(*x.shape[:3], y.shape[3])


def _shared(x: Tensor, y: Tensor, kv_heads: int) -> Tensor:
    """x (B, H, m, n), y (B, H, m, r) -> (B, K, n, r): x^T y, summed over the query heads that share a K."""
    return _stack(x, kv_heads).mT @ _stack(y, kv_heads)


def _stack(x: Tensor, kv_heads: int) -> Tensor:
    """(B, H, m, n) -> (B, K, H/K * m, n)."""
    return x.reshape(x.shape[0], kv_heads, x.shape[1] // kv_heads * x.shape[2], x.shape[3])
