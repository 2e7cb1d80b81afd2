"""What an attention kernel is: (q, k, v, sequence) -> o, and what it must declare about itself.

Shapes everywhere: B rows, L tokens, H query heads, K key/value heads, D head size; q is (B, L, H, D), k and
v are (B, L, K, D), and key/value head j serves the query heads j*H/K ... (j+1)*H/K - 1. There is no causal
mask and no dropout. A query that sees no key at all yields zeros; what padding rows yield is finite and means
nothing. Where `takes_fewer_queries` says so, q may hold only the last few tokens of each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class SequenceInfo(NamedTuple):
    """Which tokens of a padded batch are real, and who sees whom. Made once per generation, shared by all layers.

    `of` makes it from a mask; `_replace(bias=…)` and `_replace(window=…)` add what few generations need.
    """

    mask: Tensor | None  # (B, L) bool, True = real; None: every token is, and kernels are faster for it
    lengths: tuple[int, ...]  # real tokens of each row, on the host: asking the GPU would stall it
    longest: int  # the largest of them
    packed: Tensor | None  # (total,) int64: places of real tokens in the batch flattened to (B*L,); None: all
    starts: Tensor  # (B + 1,) int32: where each row begins among its real tokens
    groups: tuple[Tensor, ...]  # one (rows, n) int64 of such places per distinct length n > 0
    bias: Tensor | None = None  # added to the scaled scores; broadcastable to (B, H, L, L)
    # (left, right): a query sees the real keys at most `left` before and `right` after itself, counted among the
    # real tokens of its row, so that padded and packed rows agree; -1: without limit.
    window: tuple[int, int] | None = None

    @classmethod
    def of(cls, mask: Tensor) -> SequenceInfo:
        """From a (B, L) bool mask. Rows may have holes: attention does not care about the order of tokens."""
        rows, width = mask.shape
        lengths = tuple(mask.sum(1).tolist())
        longest = max(lengths, default=0)
        starts = torch.tensor([0, *lengths]).cumsum(0).to(mask.device, torch.int32)
        if all(n == width for n in lengths):
            return cls(None, lengths, longest, None, starts, ())
        packed = mask.flatten().nonzero().squeeze(1)
        per_row = packed.split(lengths)
        groups = tuple(
            torch.stack([per_row[row] for row in range(rows) if lengths[row] == n]) for n in sorted(set(lengths) - {0})
        )
        return cls(mask, lengths, longest, packed, starts, groups)

    @classmethod
    def equal(cls, rows: int, length: int, device: torch.device) -> SequenceInfo:
        """Of rows that have one length and no padding. Asks the device for nothing."""
        starts = (torch.arange(rows + 1, dtype=torch.int32) * length).to(device)
        return cls(None, (length,) * rows, length if rows else 0, None, starts, ())

    def part(self, rows: slice) -> SequenceInfo:
        """Of some neighbouring rows of the batch; what is said of all rows alike stays."""
        if self.mask is not None:
            there = SequenceInfo.of(self.mask[rows])
        else:
            lengths = self.lengths[rows]
            there = self._replace(
                lengths=lengths, longest=max(lengths, default=0), starts=self.starts[: len(lengths) + 1]
            )
        bias = self.bias
        if bias is not None and bias.ndim == 4 and bias.shape[0] > 1:
            bias = bias[rows]
        return there._replace(bias=bias, window=self.window)


@dataclass(frozen=True)
class Needs:
    """What a kernel asks of its surroundings, and what it can take. `needs.refusal` compares it with a `Case`."""

    package: str = ""  # a module that must be importable
    function: str = ""  # and have this function
    extra: str = ""  # the extra of ours that installs it
    source: str = ""  # what to do to get it, where no extra of ours does
    devices: tuple[str, ...] = ()  # empty: any
    dtypes: tuple[torch.dtype, ...] = ()  # empty: any floating point
    head_multiple: int = 1
    head_limit: int = 0  # 0: none
    capability: tuple[int, int] = (0, 0)  # CUDA compute capability, at least
    below: tuple[int, int] | None = None  # and less than this
    grouped: bool = True  # takes K < H as it is; else the kernel writes the heads out
    key_mask: bool = True  # takes a key mask as it is; else rows of unequal length are packed, or run by length
    bias: bool = False
    window: bool = False
    fewer_queries: bool = True  # q may be shorter than k; see `takes_fewer_queries`
    backward: bool = True
    trial: bool = False  # its package knows more conditions than this table: run it once on small tensors


class Kernel(Protocol):
    """softmax(q k^T / sqrt(D) + bias) v over the visible keys. Holds no tensors and no state."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D) in q's dtype."""
        ...


@dataclass(frozen=True)
class AroundKernel:
    """What is done around a kernel goes by its name and needs what it needs."""

    kernel: Kernel

    @property
    def name(self) -> str:
        return self.kernel.name

    @property
    def needs(self) -> Needs:
        return self.kernel.needs


def takes_fewer_queries(kernel: Kernel, seq: SequenceInfo) -> bool:
    """Whether q may hold only the last tokens of each row, (B, Lq, H, D) with Lq < L: the answer has their rows.

    Kernels that pack rows of unequal length cannot: the packing is made for all tokens.
    """
    return kernel.needs.fewer_queries and (seq.mask is None or kernel.needs.key_mask)


def repeat_heads(k: Tensor, heads: int) -> Tensor:
    """(B, L, K, D) -> (B, L, heads, D): each key/value head written out for the query heads it serves."""
    return k if k.shape[2] == heads else k.repeat_interleave(heads // k.shape[2], dim=2)


def dense(x: Tensor) -> Tensor:
    """CUDA packages want neighbouring numbers of a head side by side in memory."""
    return x if x.stride(-1) == 1 else x.contiguous()


def visible(seq: SequenceInfo, queries: int, keys: int) -> Tensor | None:
    """Mask and window together: bool, broadcastable to (B, 1, queries, keys), True = sees it; None: all see all."""
    mask = None if seq.mask is None else seq.mask[:, None, None, :]
    if seq.window is None:
        return mask
    left, right = seq.window
    rank = torch.arange(keys, device=seq.starts.device)[None] if seq.mask is None else seq.mask.cumsum(1)
    ahead = rank[:, None, None, :] - rank[:, None, keys - queries :, None]  # (B or 1, 1, queries, keys)
    near = (ahead >= -left if left >= 0 else torch.ones_like(ahead, dtype=torch.bool)) & (
        ahead <= right if right >= 0 else torch.ones_like(ahead, dtype=torch.bool)
    )
    return near if mask is None else near & mask


def bias_of(seq: SequenceInfo, queries: int) -> Tensor | None:
    """The bias of the last `queries` tokens, with four axes; None: there is none."""
    if seq.bias is None:
        return None
    bias = seq.bias[(None,) * (4 - seq.bias.ndim)]
    return bias if bias.shape[2] == 1 else bias[:, :, bias.shape[2] - queries :]
