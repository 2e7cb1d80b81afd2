"""The flash-attn package (Dao 2023, arXiv 2307.08691): the only file that imports it, and only when it runs.

It takes no mask. Rows of unequal length are packed by `flash-varlen`; the other three run rows of one length
together, one call per length, so that they too are exact. CUDA (Ampere or newer), float16 or bfloat16, head
sizes up to 256 in steps of 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from newbie.attention.kernel import Needs, SequenceInfo, dense, repeat_heads
from newbie.attention.unequal import by_length, pack, unpack


def _needs(function: str, *, grouped: bool = True, fewer_queries: bool = True) -> Needs:
    return Needs(
        package="flash_attn",
        function=function,
        extra="flash",
        devices=("cuda",),
        dtypes=(torch.float16, torch.bfloat16),
        head_multiple=8,
        head_limit=256,
        capability=(8, 0),
        grouped=grouped,
        key_mask=False,
        window=True,
        fewer_queries=fewer_queries,
        trial=True,
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
            return flash_attn_func(dense(q), dense(k), dense(v), window_size=window(seq))

        return by_length(attend, q, k, v, seq)


@dataclass(frozen=True)
class FlashPacked:
    """`flash_attn_qkvpacked_func` on (B, S, 3, H, D). Grouped heads are written out, which is exact."""

    name: str = "flash-packed"
    needs: Needs = field(default=_needs("flash_attn_qkvpacked_func", grouped=False, fewer_queries=False))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_qkvpacked_func

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            heads = q.shape[2]
            qkv = torch.stack((q, repeat_heads(k, heads), repeat_heads(v, heads)), 2)
            return flash_attn_qkvpacked_func(qkv, window_size=window(seq))

        return by_length(attend, q, k, v, seq)


@dataclass(frozen=True)
class FlashKvPacked:
    """`flash_attn_kvpacked_func` on (B, S, H, D) and (B, S, 2, K, D)."""

    name: str = "flash-kvpacked"
    needs: Needs = field(default=_needs("flash_attn_kvpacked_func"))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_kvpacked_func

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return flash_attn_kvpacked_func(dense(q), torch.stack((k, v), 2), window_size=window(seq))

        return by_length(attend, q, k, v, seq)


@dataclass(frozen=True)
class FlashVarlen:
    """`flash_attn_varlen_func`: the real tokens of all rows in one call, end to end, without padding."""

    name: str = "flash-varlen"
    needs: Needs = field(default=_needs("flash_attn_varlen_func", fewer_queries=False))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn import flash_attn_varlen_func

        if not seq.longest:
            return torch.zeros_like(q)
        o = flash_attn_varlen_func(
            *(dense(pack(x, seq)) for x in (q, k, v)),
            cu_seqlens_q=seq.starts,
            cu_seqlens_k=seq.starts,
            max_seqlen_q=seq.longest,
            max_seqlen_k=seq.longest,
            window_size=window(seq),
        )
        return unpack(o, q, seq)


def window(seq: SequenceInfo) -> tuple[int, int]:
    """As the package writes it: -1 is without limit. It counts packed tokens, which are the real ones, as we do."""
    return seq.window or (-1, -1)
