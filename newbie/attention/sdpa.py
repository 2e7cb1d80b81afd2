"""PyTorch's own attention: the kernel that runs everywhere, each of its back ends by name, and its packed form.

`sdpa` leaves the choice of the back end to torch. Forcing one sets a switch of the whole process for the duration of
the call: two threads should not force different ones at the same time.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from newbie.attention.kernel import Needs, SequenceInfo, bias_of, dense, repeat_heads, visible
from newbie.attention.unequal import by_length, pack, unpack

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Sdpa:
    """`torch.nn.functional.scaled_dot_product_attention`; `backend` None: which kernel runs is torch's choice."""

    name: str = "sdpa"
    backend: SDPBackend | None = None
    needs: Needs = field(default=Needs(bias=True, window=True))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, Lq, H, D), k and v (B, L, K, D) -> (B, Lq, H, D) in q's dtype."""
        plain = seq.bias is None and seq.window is None
        if self.backend is SDPBackend.FLASH_ATTENTION and q.is_cuda and plain:
            return by_length(self._attend, q, k, v, seq)  # on CUDA this back end takes no mask at all
        return self._attend(q, k, v, _mask(q, k, seq))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        if q.is_cuda and not self._groups_heads(mask):
            k, v = repeat_heads(k, q.shape[2]), repeat_heads(v, q.shape[2])
        forced = contextlib.nullcontext() if self.backend is None else sdpa_kernel(self.backend)
        with forced:
            o = F.scaled_dot_product_attention(
                q.transpose(1, 2),
                k.transpose(1, 2),
                v.transpose(1, 2),
                attn_mask=mask,
                enable_gqa=k.shape[2] != q.shape[2],
            )
        return o.transpose(1, 2)

    def _groups_heads(self, mask: Tensor | None) -> bool:
        """On CUDA grouped heads are documented for the flash and math back ends; torch's own choice is flash where
        there is no mask, and with one it would fall from the memory-efficient kernel to the slow formula."""
        if self.backend is None:
            return mask is None
        return self.backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)


@dataclass(frozen=True)
class SdpaVarlen:
    """`torch.nn.attention.varlen.varlen_attn`: torch's flash kernel on the real tokens of all rows end to end."""

    name: str = "sdpa-varlen"
    needs: Needs = field(
        default=Needs(
            package="torch.nn.attention.varlen",
            function="varlen_attn",
            source="pip install -U torch",
            devices=("cuda",),
            dtypes=HALF,
            head_multiple=8,
            head_limit=256,
            capability=(8, 0),
            key_mask=False,
            window=True,
            fewer_queries=False,
            trial=True,
        )
    )

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        from torch.nn.attention.varlen import varlen_attn

        if not seq.longest:
            return torch.zeros_like(q)
        o = varlen_attn(
            dense(pack(q, seq)),
            dense(pack(k, seq)),
            dense(pack(v, seq)),
            cu_seq_q=seq.starts,
            cu_seq_k=seq.starts,
            max_q=seq.longest,
            max_k=seq.longest,
            window_size=seq.window or (-1, -1),
            enable_gqa=k.shape[2] != q.shape[2],
        )
        assert isinstance(o, Tensor)  # the sums of weights come only where they are asked for
        return unpack(o, q, seq)


SDPA = (
    Sdpa(),
    Sdpa(
        "sdpa-flash",
        SDPBackend.FLASH_ATTENTION,
        Needs(devices=("cpu", "cuda"), key_mask=False, bias=True, window=True, trial=True),
    ),
    Sdpa(
        "sdpa-efficient", SDPBackend.EFFICIENT_ATTENTION, Needs(devices=("cuda",), bias=True, window=True, trial=True)
    ),
    Sdpa(
        "sdpa-cudnn",
        SDPBackend.CUDNN_ATTENTION,
        Needs(devices=("cuda",), dtypes=HALF, capability=(8, 0), bias=True, window=True, trial=True),
    ),
    Sdpa("sdpa-math", SDPBackend.MATH, Needs(bias=True, window=True, trial=True)),
    SdpaVarlen(),
)


def _mask(q: Tensor, k: Tensor, seq: SequenceInfo) -> Tensor | None:
    """What torch calls `attn_mask`: bool where only keys are hidden, else numbers to add."""
    sees, bias = visible(seq, q.shape[1], k.shape[1]), bias_of(seq, q.shape[1])
    if bias is None:
        return sees
    # The CUDA kernels want the bias in q's dtype; on a CPU it may keep its float32.
    bias = bias.to(q.dtype) if q.is_cuda or bias.dtype not in (q.dtype, torch.float32) else bias
    return bias if sees is None else bias.masked_fill(~sees, -torch.inf)
