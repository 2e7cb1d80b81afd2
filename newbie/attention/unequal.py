"""Rows of unequal length for kernels that take no mask: packed end to end, or the rows of each length together."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from newbie.attention.kernel import SequenceInfo


def by_length(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
    """One call of attend(q, k, v) per distinct length, padding left out; what was padding comes back as zeros.

    q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D). Without padding q may be shorter than k.
    """
    if not seq.longest:
        return torch.zeros_like(q)
    if seq.mask is None:
        return attend(q, k, v)
    flat = [x.flatten(0, 1) for x in (q, k, v)]  # (B*L, heads, D)
    o = q.new_zeros(q.shape).flatten(0, 1)
    for places in seq.groups:  # (rows, n)
        o[places] = attend(*(x[places] for x in flat))
    return o.unflatten(0, q.shape[:2])


def pack(x: Tensor, seq: SequenceInfo) -> Tensor:
    """(B, L, heads, D) -> (total, heads, D): the real tokens of all rows, end to end."""
    flat = x.flatten(0, 1)
    return flat if seq.packed is None else flat[seq.packed]


def unpack(o: Tensor, like: Tensor, seq: SequenceInfo) -> Tensor:
    """(total, heads, D) -> the shape of `like`, (B, L, heads, D), with zeros where padding is."""
    if seq.packed is not None:
        o = torch.zeros_like(like).flatten(0, 1).index_put_((seq.packed,), o)
    return o.unflatten(0, like.shape[:2])
