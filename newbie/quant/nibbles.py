"""Numbers in four bits: two in a byte, the first in the high half, as bitsandbytes has them; and groups of columns."""

from __future__ import annotations

import torch
from torch import Tensor


def packed(codes: Tensor) -> Tensor:
    """(..., 2k) numbers from 0 to 15 -> (..., k) bytes."""
    first, second = codes.to(torch.uint8).unflatten(-1, (-1, 2)).unbind(-1)
    return first << 4 | second


def unpacked(codes: Tensor) -> Tensor:
    """(..., k) bytes -> (..., 2k) numbers from 0 to 15, uint8."""
    return torch.stack((codes >> 4, codes & 15), dim=-1).flatten(-2)


def groups(columns: int, size: int) -> int:
    """How many groups of `size` columns there are. Raises ValueError when they are no whole number of groups."""
    if columns % size:
        raise ValueError(f"rows of {columns} numbers are no whole number of groups of {size}")
    return columns // size
