"""Attention written the way the formula reads. The truth that the other kernels are tested against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from newbie.attention.kernel import Needs, SequenceInfo, repeat_heads


@dataclass(frozen=True)
class Reference:
    """softmax(q k^T / sqrt(D)) v in float32 (float64 stays float64); memory grows with the square of L."""

    name: str = "reference"
    needs: Needs = field(default=Needs())

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D) in q's dtype."""
        exact = torch.float64 if q.dtype == torch.float64 else torch.float32
        k, v = repeat_heads(k, q.shape[2]).to(exact), repeat_heads(v, q.shape[2]).to(exact)
        # einsum is a matmul, which autocast would run in bfloat16.
        with torch.autocast(q.device.type, enabled=False):
            scores = torch.einsum("bqhd,bkhd->bhqk", q.to(exact), k) / math.sqrt(q.shape[3])
            weights = _softmax(scores, seq.mask)
            return torch.einsum("bhqk,bkhd->bqhd", weights, v).to(q.dtype)


def _softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """(B, H, L, L) -> the same, over real keys only; a query without any gets zeros instead of 0/0."""
    if mask is None:
        return scores.softmax(-1)
    keys = mask[:, None, None, :]
    # The largest finite negative number, not -inf: a row of -inf would turn into NaN, also in the gradient.
    scores = scores.masked_fill(~keys, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) * keys
