"""The flash-attn package (Dao 2023, arXiv 2307.08691): the only file that imports it, and only when it runs.

It takes no mask. Rows of unequal length are packed by `flash-varlen`; the other three run rows of one length
together, one call per length, so that they too are exact. CUDA (Ampere or newer), float16 or bfloat16, head
sizes up to 256 in steps of 8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from newbie.attention.kernel import Needs, SequenceInfo, repeat_heads


def _needs(function: str) -> Needs:
    return Needs(
        package="flash_attn",
        function=function,
        extra="flash",
        devices=("cuda",),
        dtypes=(torch.float16, torch.bfloat16),
        head_multiple=8,
        head_limit=256,
        capability=(8, 0),
    )


@dataclass(frozen=True)
class Flash:
    """`flash_attn_func`: grouped heads as they are, nothing copied."""

    name: str = "flash"
    needs: Needs = field(default=_needs("flash_attn_func"))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_func

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return flash_attn_func(_dense(q), _dense(k), _dense(v))

        return _by_length(attend, q, k, v, seq)


@dataclass(frozen=True)
class FlashPacked:
    """`flash_attn_qkvpacked_func` on (B, S, 3, H, D). Grouped heads are written out, which is exact."""

    name: str = "flash-packed"
    needs: Needs = field(default=_needs("flash_attn_qkvpacked_func"))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_qkvpacked_func

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            heads = q.shape[2]
            return flash_attn_qkvpacked_func(torch.stack((q, repeat_heads(k, heads), repeat_heads(v, heads)), 2))

        return _by_length(attend, q, k, v, seq)


@dataclass(frozen=True)
class FlashKvPacked:
    """`flash_attn_kvpacked_func` on (B, S, H, D) and (B, S, 2, K, D)."""

    name: str = "flash-kvpacked"
    needs: Needs = field(default=_needs("flash_attn_kvpacked_func"))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_kvpacked_func

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return flash_attn_kvpacked_func(_dense(q), torch.stack((k, v), 2))

        return _by_length(attend, q, k, v, seq)


@dataclass(frozen=True)
class FlashVarlen:
    """`flash_attn_varlen_func`: the real tokens of all rows in one call, end to end, without padding."""

    name: str = "flash-varlen"
    needs: Needs = field(default=_needs("flash_attn_varlen_func"))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_varlen_func

        flat = [x.flatten(0, 1) for x in (q, k, v)]  # (B*L, heads, D)
        if seq.packed is not None:
            flat = [x[seq.packed] for x in flat]  # (total, heads, D)
        o = flash_attn_varlen_func(
            *(_dense(x) for x in flat),
            cu_seqlens_q=seq.starts,
            cu_seqlens_k=seq.starts,
            max_seqlen_q=seq.longest,
            max_seqlen_k=seq.longest,
        )
        if seq.packed is not None:
            o = torch.zeros_like(q).flatten(0, 1).index_put_((seq.packed,), o)
        return o.unflatten(0, q.shape[:2])


def _by_length(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
    """Run a kernel without masks on rows of unequal length: the rows of each length together, padding left out."""
    if seq.mask is None:
        return attend(q, k, v)
    flat = [x.flatten(0, 1) for x in (q, k, v)]  # (B*L, heads, D)
    o = q.new_zeros(q.shape).flatten(0, 1)
    for places in seq.groups:  # (rows, n)
        o[places] = attend(*(x[places] for x in flat))
    return o.unflatten(0, q.shape[:2])


def _dense(x: Tensor) -> Tensor:
    """The package wants neighbouring numbers of a head side by side in memory."""
    return x if x.stride(-1) == 1 else x.contiguous()
