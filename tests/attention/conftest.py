"""A stand-in for the flash_attn package: its signatures and its rules, with numbers from a plain softmax."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import Tensor


class StandIn(types.ModuleType):
    """Refuses what flash-attn 2.8 refuses. `device` is "cuda" in the real package; tests here use "cpu".

    `calls` lists (function, shapes of the tensor arguments) in order.
    """

    __version__ = "2.8.3"

    def __init__(self, device: str) -> None:
        super().__init__("flash_attn")
        self.device = device
        self.calls: list[tuple[str, tuple[tuple[int, ...], ...]]] = []

    def flash_attn_func(
        self,
        q,
        k,
        v,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
        window_size=(-1, -1),
        softcap=0.0,
        alibi_slopes=None,
        deterministic=False,
        return_attn_probs=False,
    ):
        self._record("flash_attn_func", q, k, v)
        self._plain(dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes, return_attn_probs)
        return self._dense(q, k, v)

    def flash_attn_kvpacked_func(
        self,
        q,
        kv,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
        window_size=(-1, -1),
        softcap=0.0,
        alibi_slopes=None,
        deterministic=False,
        return_attn_probs=False,
    ):
        self._record("flash_attn_kvpacked_func", q, kv)
        self._plain(dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes, return_attn_probs)
        assert kv.ndim == 5 and kv.shape[2] == 2
        return self._dense(q, kv[:, :, 0], kv[:, :, 1])

    def flash_attn_qkvpacked_func(
        self,
        qkv,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
        window_size=(-1, -1),
        softcap=0.0,
        alibi_slopes=None,
        deterministic=False,
        return_attn_probs=False,
    ):
        self._record("flash_attn_qkvpacked_func", qkv)
        self._plain(dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes, return_attn_probs)
        assert qkv.ndim == 5 and qkv.shape[2] == 3
        return self._dense(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])

    def flash_attn_varlen_func(
        self,
        q,
        k,
        v,
        cu_seqlens_q,
        cu_seqlens_k,
        max_seqlen_q,
        max_seqlen_k,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
        window_size=(-1, -1),
        softcap=0.0,
        alibi_slopes=None,
        deterministic=False,
        return_attn_probs=False,
        block_table=None,
    ):
        self._record("flash_attn_varlen_func", q, k, v)
        self._plain(dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes, return_attn_probs)
        assert block_table is None
        for name, x in (("q", q), ("k", k), ("v", v)):
            assert x.ndim == 3, f"{name} must be (total, heads, head size)"
            self._check(x)
        assert q.shape[0] == k.shape[0] == v.shape[0] and k.shape[1:] == v.shape[1:]
        assert q.shape[1] % k.shape[1] == 0
        for starts, longest, x in ((cu_seqlens_q, max_seqlen_q, q), (cu_seqlens_k, max_seqlen_k, k)):
            assert starts.dtype == torch.int32 and starts.ndim == 1 and starts.is_contiguous()
            assert starts.device == x.device
            assert starts[0] == 0 and starts[-1] == len(x) and (starts.diff() >= 0).all()
            assert type(longest) is int and longest == starts.diff().max()
        bounds = list(zip(cu_seqlens_q[:-1].tolist(), cu_seqlens_q[1:].tolist(), strict=True))
        rows = [_softmax(q[None, a:b], k[None, a:b], v[None, a:b])[0] for a, b in bounds]
        return torch.cat(rows)

    def _dense(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        for name, x in (("q", q), ("k", k), ("v", v)):
            assert x.ndim == 4, f"{name} must be (rows, tokens, heads, head size)"
            self._check(x)
        assert k.shape == v.shape and q.shape[0] == k.shape[0] and q.shape[3] == k.shape[3]
        assert q.shape[2] % k.shape[2] == 0
        assert q.shape[1] > 0
        return _softmax(q, k, v)

    def _check(self, x: Tensor) -> None:
        if x.device.type != self.device:
            raise RuntimeError(f"flash-attn wants {self.device}, got {x.device}")
        if x.dtype not in (torch.float16, torch.bfloat16):
            raise RuntimeError("FlashAttention only support fp16 and bf16 data type")
        if x.stride(-1) != 1:
            raise RuntimeError("Input tensor must have contiguous last dimension")
        if x.shape[-1] > 256 or x.shape[-1] % 8:
            raise RuntimeError("head size must be a multiple of 8, at most 256")

    def _plain(self, dropout, scale, causal, window, softcap, slopes, probabilities) -> None:
        assert (dropout, causal, softcap, slopes, probabilities) == (0.0, False, 0.0, None, False)
        assert window == (-1, -1) and scale is None

    def _record(self, name: str, *tensors: Tensor) -> None:
        self.calls.append((name, tuple(tuple(x.shape) for x in tensors)))


def _softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(R, n, H, D) with k, v (R, n, K, D): float32 inside, written with loops over heads on purpose."""
    group = q.shape[2] // k.shape[2]
    heads = []
    for head in range(q.shape[2]):
        keys, values = k[:, :, head // group].float(), v[:, :, head // group].float()
        weights = (q[:, :, head].float() @ keys.mT * q.shape[3] ** -0.5).softmax(-1)
        heads.append(weights @ values)
    return torch.stack(heads, 2).to(q.dtype)


@pytest.fixture
def flash_attn(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, importable as `flash_attn` during one test, working on CPU tensors."""
    module = StandIn("cpu")
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    return module
