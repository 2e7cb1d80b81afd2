"""What the text encoders hand to the Next-DiT."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Key = tuple[str | int, ...]  # the encoder's name, its limit, the token ids of one text
Keep = Callable[[Key, Callable[[], Tensor]], Tensor]  # (key, encode) -> features: kept ones, or what `encode` gives


def afresh(key: Key, encode: Callable[[], Tensor]) -> Tensor:
    """Keeps nothing."""
    return encode()


class TextFeatures(NamedTuple):
    """hidden (B, L, E); mask (B, L) bool, True = valid, right padded; pooled (B, P), None without Jina."""

    hidden: Tensor
    mask: Tensor
    pooled: Tensor | None

    def lengths(self) -> list[int]:
        """Number of valid caption tokens of each row."""
        counts: list[int] = self.mask.sum(dim=1).tolist()
        return counts

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> TextFeatures:
        """The same features elsewhere; `dtype` leaves the mask alone."""
        pooled = None if self.pooled is None else self.pooled.to(device=device, dtype=dtype)
        return TextFeatures(self.hidden.to(device=device, dtype=dtype), self.mask.to(device=device), pooled)


def stack_rows(rows: list[Tensor], *, multiple: int = 8) -> tuple[Tensor, Tensor]:
    """Pad rows (n_i, E) at the right with zeros to a common length, a multiple of `multiple`.

    Returns hidden (B, L, E) and mask (B, L). The official code pads its token ids to a multiple of 8; the
    Next-DiT drops padding, so the length changes no picture.
    """
    longest = max(row.shape[0] for row in rows)
    length = -(-longest // multiple) * multiple
    hidden = rows[0].new_zeros(len(rows), length, rows[0].shape[1])
    mask = torch.zeros(len(rows), length, dtype=torch.bool, device=hidden.device)
    for index, row in enumerate(rows):
        hidden[index, : row.shape[0]] = row
        mask[index, : row.shape[0]] = True
    return hidden, mask
