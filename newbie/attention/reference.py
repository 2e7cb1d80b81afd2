"""Attention written the way the formula reads. The truth that the other kernels are tested against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from newbie.attention.kernel import Needs, SequenceInfo, bias_of, repeat_heads, visible


@dataclass(frozen=True)
class Reference:
    """softmax(q k^T / sqrt(D) + bias) v in float32 (float64 stays); memory grows with the square of L."""

    name: str = "reference"
    needs: Needs = field(default=Needs(bias=True, window=True))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, Lq, H, D), k and v (B, L, K, D) -> (B, Lq, H, D) in q's dtype."""
        exact = torch.float64 if q.dtype == torch.float64 else torch.float32
        k, v = repeat_heads(k, q.shape[2]).to(exact), repeat_heads(v, q.shape[2]).to(exact)
        # einsum is a matmul, which autocast would run in bfloat16.
        with torch.autocast(q.device.type, enabled=False):
            scores = torch.einsum("bqhd,bkhd->bhqk", q.to(exact), k) / math.sqrt(q.shape[3])
            bias = bias_of(seq, q.shape[1])
            scores = scores if bias is None else scores + bias
            weights = _softmax(scores, visible(seq, q.shape[1], k.shape[1]), maybe_hidden=bias is not None)
            return torch.einsum("bhqk,bkhd->bqhd", weights, v).to(q.dtype)


def _softmax(scores: Tensor, sees: Tensor | None, *, maybe_hidden: bool) -> Tensor:
    """(B, H, Lq, L) -> the same, over visible keys only; a query without any gets zeros instead of 0/0.

    `maybe_hidden`: a bias of -inf may hide keys as well.
    """
    if maybe_hidden:
        there = scores != -math.inf  # NaN stays visible, and so stays NaN
        sees = there if sees is None else sees & there
    if sees is None:
        return scores.softmax(-1)
    # The largest finite negative number, not -inf: a row of -inf would turn into NaN, also in the gradient.
    scores = scores.masked_fill(~sees, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) * sees
