"""The codecs of 8-bit integers: a scale for each row of the matrix, 255 steps between its largest numbers.

`Int8` decodes the weights for each product. `W8A8` stores the same and multiplies integers: each token of the input is
rounded to 8 bits with a scale of its own, made as it comes. Source: Dettmers et al. 2022, arXiv 2208.07339, sections 2
and 3.1 (vector-wise scales).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from newbie.quant import products
from newbie.quant.codec import Codec, Spec, Stored

CODES, SCALE = "codes", "scale"


@dataclass(frozen=True)
class Int8(Codec):
    """`codes` (rows, columns) int8 times `scale` (rows, 1) float32: 8 bits a weight."""

    @property
    def name(self) -> str:
        return "int8"

    def stored(self, rows: int, columns: int) -> dict[str, Spec]:
        return {CODES: Spec((rows, columns), torch.int8), SCALE: Spec((rows, 1), torch.float32)}

    def encode(self, matrix: Tensor) -> dict[str, Tensor]:
        codes, scale = products.rounded(matrix)  # a row as it does with a token
        return {CODES: codes, SCALE: scale}

    def decode(self, stored: Stored) -> Tensor:
        return stored[CODES].float() * stored[SCALE]

    def problem(self, stored: Stored) -> str:
        fine = torch.isfinite(stored[SCALE] * (products.LARGEST + 1)).all()
        return "" if fine else "a scale that is NaN, infinite or too large"


@dataclass(frozen=True)
class W8A8(Int8):
    """The same weights, and inputs in 8 bits too; where the device has no fast product of integers, as `Int8`."""

    @property
    def name(self) -> str:
        return "w8a8"

    def slow(self, device: torch.device, rows: int, columns: int) -> str:
        return products.slow(device, rows, columns)

    def linear(self, stored: Stored, x: Tensor, bias: Tensor | None) -> Tensor:
        codes = stored[CODES]
        if self.slow(codes.device, *codes.shape):
            return super().linear(stored, x, bias)
        y = products.dynamic(x, codes, stored[SCALE])
        return y if bias is None else y + bias
