"""The xFormers package's `memory_efficient_attention`: the only file that imports it, and only when it runs.

Its speed comes from bias objects that say in a few numbers which keys are visible: `BlockDiagonalMask` for rows of
unequal length, packed into a single one, and `LocalAttentionFromBottomRightMask` for a window. A bias of ours is a
tensor and is the slow way: it must have the full shape, and rows that begin at multiples of 8 numbers in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from newbie.attention.kernel import Needs, SequenceInfo, bias_of, repeat_heads, visible
from newbie.attention.unequal import by_length, pack, unpack

ALIGNMENT = 8  # numbers


@dataclass(frozen=True)
class XFormers:
    """`memory_efficient_attention`; which of its operators runs is the package's choice."""

    name: str = "xformers"
    needs: Needs = field(
        default=Needs(
            package="xformers.ops",
            function="memory_efficient_attention",
            extra="xformers",
            devices=("cuda",),
            dtypes=(torch.float32, torch.float16, torch.bfloat16),
            head_multiple=8,
            head_limit=256,
            key_mask=False,
            bias=True,
            window=True,
            trial=True,
        )
    )

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from xformers.ops import fmha

        if not seq.longest:
            return torch.zeros_like(q)
        if seq.bias is not None:
            heads = q.shape[2]
            o = _attend(q, repeat_heads(k, heads), repeat_heads(v, heads), dense_bias(q, k, seq))
            # A row of -inf alone is 0/0 to the package; which rows are empty is known without asking the device.
            empty = [row for row, length in enumerate(seq.lengths) if not length]
            return o.index_fill(0, torch.tensor(empty, device=o.device), 0) if empty else o
        if seq.window is None and seq.mask is not None:
            blocks = fmha.attn_bias.BlockDiagonalMask.from_seqlens([n for n in seq.lengths if n], device=q.device)
            o = _attend(pack(q, seq)[None], pack(k, seq)[None], pack(v, seq)[None], blocks)  # (1, total, H, D)
            return unpack(o[0], q, seq)
        local = None
        if seq.window is not None:
            left, right = (n if n >= 0 else seq.longest for n in seq.window)
            local = fmha.attn_bias.LocalAttentionFromBottomRightMask(window_left=left, window_right=right)
        return by_length(lambda q, k, v: _attend(q, k, v, local), q, k, v, seq)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Any) -> Tensor:
    """Grouped heads as the package wants them: (B, L, K, H/K, D), with k and v expanded but not copied."""
    from xformers.ops import memory_efficient_attention

    heads, kv_heads = q.shape[2], k.shape[2]
    if heads == kv_heads:
        return memory_efficient_attention(q, k, v, attn_bias=bias)
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        # The grouped form has no backward pass in every operator.
        return memory_efficient_attention(q, repeat_heads(k, heads), repeat_heads(v, heads), attn_bias=bias)
    group = heads // kv_heads
    k, v = (x[:, :, :, None].expand(-1, -1, -1, group, -1) for x in (k, v))
    return memory_efficient_attention(q.unflatten(2, (kv_heads, group)), k, v, attn_bias=bias).flatten(2, 3)


def dense_bias(q: Tensor, k: Tensor, seq: SequenceInfo) -> Tensor:
    """Bias, mask and window in one tensor (B, H, Lq, L) of q's dtype, cut from a wider one for its alignment."""
    bias, sees = bias_of(seq, q.shape[1]), visible(seq, q.shape[1], k.shape[1])
    assert bias is not None
    keys = k.shape[1]
    whole = q.new_empty(q.shape[0], q.shape[2], q.shape[1], -(-keys // ALIGNMENT) * ALIGNMENT)
    whole[..., :keys] = bias if sees is None else bias.masked_fill(~sees, -torch.inf)
    return whole[..., :keys]
