"""What an attention kernel is: (q, k, v, sequence) -> o, and what it must declare about itself.

Shapes everywhere: B rows, L tokens, H query heads, K key/value heads, D head size; q is (B, L, H, D), k and
v are (B, L, K, D), and key/value head j serves the query heads j*H/K ... (j+1)*H/K - 1. There is no causal
mask and no dropout. A query that sees no key at all yields zeros; what padding rows yield is finite and means
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class SequenceInfo(NamedTuple):
    """Which tokens of a padded batch are real. Made once per generation by `of`, then shared by all layers.

    `mask` (B, L) bool, True = real, is None when every token is: kernels are faster without one. The other
    fields are the packed form of the same fact, for kernels that take unequal lengths but no mask.
    """

    mask: Tensor | None
    lengths: tuple[int, ...]  # real tokens of each row, on the host: asking the GPU would stall it
    longest: int  # the largest of them
    packed: Tensor | None  # (total,) int64: places of real tokens in the batch flattened to (B*L,); None: all
    starts: Tensor  # (B + 1,) int32: where each row begins among its real tokens
    groups: tuple[Tensor, ...]  # one (rows, n) int64 of such places per distinct length n > 0

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


@dataclass(frozen=True)
class Needs:
    """What a kernel asks of its surroundings. `choose.refusal` compares it with a `Case`."""

    package: str = ""  # a guest that must be importable
    function: str = ""  # and have this function
    extra: str = ""  # the extra of ours that installs it
    devices: tuple[str, ...] = ()  # empty: any
    dtypes: tuple[torch.dtype, ...] = ()  # empty: any floating point
    head_multiple: int = 1
    head_limit: int = 0  # 0: none
    capability: tuple[int, int] = (0, 0)  # CUDA compute capability, at least


class Kernel(Protocol):
    """softmax(q k^T / sqrt(D)) v over the real keys. Holds no tensors and no state."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D) in q's dtype."""
        ...


def repeat_heads(k: Tensor, heads: int) -> Tensor:
    """(B, L, K, D) -> (B, L, heads, D): each key/value head written out for the query heads it serves."""
    return k if k.shape[2] == heads else k.repeat_interleave(heads // k.shape[2], dim=2)
