"""FlashAttention-3 for Hopper cards (Shah et al. 2024, arXiv 2407.08608), built from the `hopper` folder of flash-attn.

The only file that imports `flash_attn_interface`, and only when it runs. No mask, no bias; float16 or bfloat16 here
(the package also has an fp8 forward pass, which is an approximation).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from newbie.attention.flash import window
from newbie.attention.kernel import Needs, SequenceInfo, dense
from newbie.attention.unequal import pack, unpack


@dataclass(frozen=True)
class Flash3:
    """`flash_attn_func` where all rows are full, `flash_attn_varlen_func` on packed tokens where they are not."""

    name: str = "flash3"
    needs: Needs = field(
        default=Needs(
            package="flash_attn_interface",
            function="flash_attn_varlen_func",
            source="build it from the folder hopper of the flash-attention repository: python setup.py install",
            devices=("cuda",),
            dtypes=(torch.float16, torch.bfloat16),
            head_multiple=8,
            head_limit=256,
            capability=(9, 0),
            below=(10, 0),
            key_mask=False,
            window=True,
            trial=True,
        )
    )

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from flash_attn_interface import flash_attn_func, flash_attn_varlen_func

        if not seq.longest:
            return torch.zeros_like(q)
        if seq.mask is None:
            return _output(flash_attn_func(dense(q), dense(k), dense(v), window_size=window(seq)))
        o = flash_attn_varlen_func(
            *(dense(pack(x, seq)) for x in (q, k, v)),
            cu_seqlens_q=seq.starts,
            cu_seqlens_k=seq.starts,
            max_seqlen_q=seq.longest,
            max_seqlen_k=seq.longest,
            window_size=window(seq),
        )
        return unpack(_output(o), q, seq)


def _output(o: Any) -> Tensor:
    """Builds of 2024 and 2025 also gave the sums of weights, whether asked for or not."""
    return o[0] if isinstance(o, tuple) else o
