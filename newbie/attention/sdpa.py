"""PyTorch's own attention: the kernel that runs everywhere, with masks and with grouped heads."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor
from torch.nn import functional as F

from newbie.attention.kernel import Needs, SequenceInfo, repeat_heads


@dataclass(frozen=True)
class Sdpa:
    """`torch.nn.functional.scaled_dot_product_attention`; which of its own kernels runs is torch's choice."""

    name: str = "sdpa"
    needs: Needs = field(default=Needs())

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D) in q's dtype."""
        keys = None if seq.mask is None else seq.mask[:, None, None, :]
        if q.is_cuda and keys is not None:
            # On CUDA a mask excludes the flash kernel, and the memory-efficient one takes no grouped heads:
            # left to itself torch would fall to the slow formula.
            k, v = repeat_heads(k, q.shape[2]), repeat_heads(v, q.shape[2])
        o = F.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=keys,
            enable_gqa=k.shape[2] != q.shape[2],
        )
        return o.transpose(1, 2)
