"""Stand-ins for attention packages: their signatures and their rules, with numbers from a plain softmax.

Each refuses what the package refuses. `device` is "cuda" in the real packages; tests here use "cpu". `calls` lists
(function, shapes of the tensor arguments) in order.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
FULL = (-1, -1)


class Package(types.ModuleType):
    def __init__(self, name: str, version: str, device: str) -> None:
        super().__init__(name)
        self.__version__ = version
        self.device = device
        self.calls: list[tuple[str, tuple[tuple[int, ...], ...]]] = []

    def record(self, name: str, *tensors: Tensor) -> None:
        self.calls.append((name, tuple(tuple(x.shape) for x in tensors)))

    def check(self, x: Tensor) -> None:
        if x.device.type != self.device:
            raise RuntimeError(f"flash-attn wants {self.device}, got {x.device}")
        if x.dtype not in HALF:
            raise RuntimeError("FlashAttention only support fp16 and bf16 data type")
        if x.stride(-1) != 1:
            raise RuntimeError("Input tensor must have contiguous last dimension")
        if x.shape[-1] > 256 or x.shape[-1] % 8:
            raise RuntimeError("head size must be a multiple of 8, at most 256")

    def dense(self, q: Tensor, k: Tensor, v: Tensor, window: tuple[int, int]) -> Tensor:
        """(rows, tokens, heads, head size), grouped heads as they are."""
        for name, x in (("q", q), ("k", k), ("v", v)):
            assert x.ndim == 4, f"{name} must be (rows, tokens, heads, head size)"
            self.check(x)
        assert k.shape == v.shape and q.shape[0] == k.shape[0] and q.shape[3] == k.shape[3]
        assert q.shape[2] % k.shape[2] == 0
        assert q.shape[1] > 0
        return plain(q, k, v, band(q.shape[1], k.shape[1], window))

    def varlen(self, q, k, v, starts_q, starts_k, longest_q, longest_k, window) -> Tensor:
        """(total, heads, head size), rows end to end."""
        for name, x in (("q", q), ("k", k), ("v", v)):
            assert x.ndim == 3, f"{name} must be (total, heads, head size)"
            self.check(x)
        assert q.shape[0] == k.shape[0] == v.shape[0] and k.shape[1:] == v.shape[1:]
        assert q.shape[1] % k.shape[1] == 0
        for starts, longest, x in ((starts_q, longest_q, q), (starts_k, longest_k, k)):
            assert starts.dtype == torch.int32 and starts.ndim == 1 and starts.is_contiguous()
            assert starts.device == x.device
            assert starts[0] == 0 and starts[-1] == len(x) and (starts.diff() >= 0).all()
            assert type(longest) is int and longest == starts.diff().max()
        bounds = list(zip(starts_q[:-1].tolist(), starts_q[1:].tolist(), strict=True))
        rows = [plain(q[None, a:b], k[None, a:b], v[None, a:b], band(b - a, b - a, window))[0] for a, b in bounds]
        return torch.cat(rows)


class FlashAttn(Package):
    """flash-attn 2.8."""

    def __init__(self, device: str) -> None:
        super().__init__("flash_attn", "2.8.3", device)

    def flash_attn_func(
        self, q, k, v, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1), softcap=0.0,
        alibi_slopes=None, deterministic=False, return_attn_probs=False,
    ):  # fmt: skip
        self.record("flash_attn_func", q, k, v)
        _nothing_else(dropout_p, softmax_scale, causal, softcap, alibi_slopes, return_attn_probs)
        return self.dense(q, k, v, window_size)

    def flash_attn_kvpacked_func(
        self, q, kv, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1), softcap=0.0,
        alibi_slopes=None, deterministic=False, return_attn_probs=False,
    ):  # fmt: skip
        self.record("flash_attn_kvpacked_func", q, kv)
        _nothing_else(dropout_p, softmax_scale, causal, softcap, alibi_slopes, return_attn_probs)
        assert kv.ndim == 5 and kv.shape[2] == 2
        return self.dense(q, kv[:, :, 0], kv[:, :, 1], window_size)

    def flash_attn_qkvpacked_func(
        self, qkv, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1), softcap=0.0,
        alibi_slopes=None, deterministic=False, return_attn_probs=False,
    ):  # fmt: skip
        self.record("flash_attn_qkvpacked_func", qkv)
        _nothing_else(dropout_p, softmax_scale, causal, softcap, alibi_slopes, return_attn_probs)
        assert qkv.ndim == 5 and qkv.shape[2] == 3
        return self.dense(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], window_size)

    def flash_attn_varlen_func(
        self, q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None,
        causal=False, window_size=(-1, -1), softcap=0.0, alibi_slopes=None, deterministic=False,
        return_attn_probs=False, block_table=None,
    ):  # fmt: skip
        self.record("flash_attn_varlen_func", q, k, v)
        _nothing_else(dropout_p, softmax_scale, causal, softcap, alibi_slopes, return_attn_probs, block_table)
        return self.varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, window_size)


class FlashAttn3(Package):
    """flash_attn_interface, the package of the `hopper` folder. `with_sums`: as builds before 2026 answer."""

    def __init__(self, device: str) -> None:
        super().__init__("flash_attn_interface", "3.0.0", device)
        self.with_sums = False

    def flash_attn_func(
        self, q, k, v, softmax_scale=None, causal=False, qv=None, q_descale=None, k_descale=None, v_descale=None,
        window_size=(-1, -1), attention_chunk=0, softcap=0.0, num_splits=1, pack_gqa=None, deterministic=False,
        sm_margin=0, return_attn_probs=False,
    ):  # fmt: skip
        self.record("flash_attn_func", q, k, v)
        _nothing_else(0.0, softmax_scale, causal, softcap, qv, return_attn_probs)
        o = self.dense(q, k, v, window_size)
        return (o, o.new_zeros(1)) if self.with_sums else o

    def flash_attn_varlen_func(
        self, q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, seqused_q=None, seqused_k=None,
        softmax_scale=None, causal=False, qv=None, q_descale=None, k_descale=None, v_descale=None,
        window_size=(-1, -1), attention_chunk=0, softcap=0.0, num_splits=1, pack_gqa=None, deterministic=False,
        sm_margin=0, return_attn_probs=False,
    ):  # fmt: skip
        self.record("flash_attn_varlen_func", q, k, v)
        _nothing_else(0.0, softmax_scale, causal, softcap, qv, return_attn_probs)
        o = self.varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, window_size)
        return (o, o.new_zeros(1)) if self.with_sums else o


class TorchVarlen(Package):
    """torch.nn.attention.varlen of PyTorch 2.13."""

    def __init__(self, device: str) -> None:
        super().__init__("torch.nn.attention.varlen", torch.__version__, device)

    def varlen_attn(
        self, query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None,
        window_size=(-1, -1), enable_gqa=False, seqused_k=None, block_table=None, num_splits=None,
    ):  # fmt: skip
        self.record("varlen_attn", query, key, value)
        assert return_aux is scale is seqused_k is block_table is num_splits is None
        assert enable_gqa or query.shape[1] == key.shape[1]
        return self.varlen(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, window_size)


class XFormersOps(Package):
    """xformers.ops of xFormers 0.0.35, with the two bias classes that we use."""

    def __init__(self, device: str) -> None:
        super().__init__("xformers.ops", "0.0.35", device)
        self.fmha = types.SimpleNamespace(
            attn_bias=types.SimpleNamespace(
                BlockDiagonalMask=BlockDiagonalMask, LocalAttentionFromBottomRightMask=LocalAttentionFromBottomRightMask
            )
        )
        self.biases: list[object] = []

    def memory_efficient_attention(
        self, query, key, value, attn_bias=None, p=0.0, scale=None, *, op=None, output_dtype=None
    ):
        self.record("memory_efficient_attention", query, key, value)
        self.biases.append(attn_bias)
        assert p == 0.0 and scale is None and op is None and output_dtype is None
        if query.device.type != self.device:
            raise NotImplementedError("No operator found for `memory_efficient_attention_forward`")
        assert query.dtype == key.dtype == value.dtype and query.dtype in (torch.float32, *HALF)
        assert query.ndim == key.ndim == value.ndim and query.ndim in (4, 5)
        assert query.shape[1] > 0 and query.shape[2:] == key.shape[2:] and key.shape == value.shape
        assert all(x.stride(-1) == 1 for x in (query, key, value))
        if isinstance(attn_bias, Tensor):
            self._check_tensor(query, key, attn_bias)
        shape = query.shape
        if query.ndim == 5:
            assert key.stride(3) == value.stride(3) == 0, "grouped keys are expanded, not copied"
            assert not any(x.requires_grad for x in (query, key, value)), "the grouped form has no backward pass"
            query, key, value = query.flatten(2, 3), key[:, :, :, 0], value[:, :, :, 0]
        if isinstance(attn_bias, BlockDiagonalMask):
            assert len(query) == 1, "Expected batch_size=1 when using block-diagonal bias"
            blocks = zip(*(x.split(attn_bias.q_seqlen, dim=1) for x in (query, key, value)), strict=True)
            return torch.cat([plain(*block, None) for block in blocks], 1).view(shape)
        bias = attn_bias
        if isinstance(attn_bias, LocalAttentionFromBottomRightMask):
            bias = band(query.shape[1], key.shape[1], (attn_bias.window_left, attn_bias.window_right))
        # What its kernels do with a query whose scores are all -inf is not promised: here it is the worst.
        return plain(query, key, value, bias, hidden=math.nan).view(shape)

    @staticmethod
    def _check_tensor(query: Tensor, key: Tensor, bias: Tensor) -> None:
        assert query.ndim == 4 and bias.dtype == query.dtype
        assert bias.shape == (query.shape[0], query.shape[2], query.shape[1], key.shape[1])
        alignment = 128 // torch.finfo(bias.dtype).bits
        assert all(stride % alignment == 0 for stride in bias.stride()[:-1]) and bias.stride(-1) <= 1


@dataclass
class BlockDiagonalMask:
    q_seqlen: list[int]

    @classmethod
    def from_seqlens(cls, q_seqlen, kv_seqlen=None, *, device=None):
        assert kv_seqlen is None and min(q_seqlen) > 0
        assert device is not None, "without a device the package takes the first card"
        return cls(list(q_seqlen))


@dataclass
class LocalAttentionFromBottomRightMask:
    window_left: int
    window_right: int

    def __post_init__(self) -> None:
        if min(self.window_left, self.window_right) < 0:
            raise ValueError("Invalid window value passed to `LocalAttentionFromBottomRightMask`")


def _nothing_else(dropout, scale, causal, softcap, *rest) -> None:
    assert (dropout, scale, causal, softcap) == (0.0, None, False, 0.0) and not any(x for x in rest)


def band(queries: int, keys: int, window: tuple[int, int]) -> Tensor | None:
    """0 where the last `queries` of `keys` tokens see at most so many keys to the left and right, else -inf."""
    if tuple(window) == FULL:
        return None
    left, right = (n if n >= 0 else keys for n in window)
    bias = torch.full((queries, keys), -math.inf)
    for i in range(queries):
        at = i + keys - queries
        bias[i, max(at - left, 0) : at + right + 1] = 0
    return bias


def plain(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, hidden: float = 0.0) -> Tensor:
    """(R, n, H, D) with k, v (R, m, K, D): float32 inside, written with loops over heads on purpose."""
    group = q.shape[2] // k.shape[2]
    heads = []
    for head in range(q.shape[2]):
        keys, values = k[:, :, head // group].float(), v[:, :, head // group].float()
        scores = q[:, :, head].float() @ keys.mT * q.shape[3] ** -0.5
        if bias is not None:
            scores = scores + (bias if bias.ndim == 2 else bias[:, head]).float()
        weights = scores.softmax(-1)
        blind = scores.isneginf().all(-1, keepdim=True)
        heads.append(torch.where(blind, torch.tensor(hidden), weights.masked_fill(blind, 0) @ values))
    return torch.stack(heads, 2).to(q.dtype)
