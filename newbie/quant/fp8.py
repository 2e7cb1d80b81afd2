"""The codec of 8-bit floats: a matrix in one of the two fp8 formats, and a factor for each row.

A file has one factor for a whole matrix, or none, which is one. Kept per row it is a few numbers more, and matrices
with different factors can be stacked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from newbie.quant.codec import Codec, Spec, Stored
from newbie.quant.rounding import step

CODES, SCALE = "codes", "scale"
FORMATS = (torch.float8_e4m3fn, torch.float8_e5m2)
# The codes of NaN and infinity are those from here up, once the sign is taken away.
_FIRST_BAD = {torch.float8_e4m3fn: 0x7F, torch.float8_e5m2: 0x7C}


@dataclass(frozen=True)
class Fp8(Codec):
    """`codes` (rows, columns) hold the bits as uint8, so that no change of number format touches them."""

    dtype: torch.dtype

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def stored(self, rows: int, columns: int) -> dict[str, Spec]:
        return {CODES: Spec((rows, columns), torch.uint8), SCALE: Spec((rows, 1), torch.float32)}

    def encode(self, matrix: Tensor) -> dict[str, Tensor]:
        """The largest number of each row becomes the largest of the format."""
        matrix = matrix.float()
        scale = step(matrix, torch.finfo(self.dtype).max)
        return {CODES: encode(matrix, self.dtype, scale).view(torch.uint8), SCALE: scale}

    def decode(self, stored: Stored) -> Tensor:
        return stored[CODES].view(self.dtype).float() * stored[SCALE]

    def problem(self, stored: Stored) -> str:
        largest = torch.finfo(self.dtype).max
        if not torch.isfinite(stored[SCALE] * largest).all():
            return "a scale that is NaN, infinite or too large"
        bad = (stored[CODES] & 0x7F).amax() >= _FIRST_BAD[self.dtype] if stored[CODES].numel() else False
        return "NaN or infinity" if bad else ""


def factor_for(peak: float, dtype: torch.dtype) -> float:
    """The factor that makes the largest number of a matrix, `peak`, the largest of the format."""
    return peak / torch.finfo(dtype).max or 1.0


def encode(matrix: Tensor, dtype: torch.dtype, factor: Tensor | float = 1.0) -> Tensor:
    """A matrix in 8 bits, to be multiplied with `factor`, one or one a row. Values beyond the range become its ends."""
    largest = torch.finfo(dtype).max
    return (matrix.float() / factor).clamp(-largest, largest).to(dtype)
