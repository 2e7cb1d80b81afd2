"""Products of 8-bit floats on cards that have them: each token of the input gets a scale of its own, as it comes.

NVIDIA cards from compute capability 8.9 on (Ada, Hopper). Elsewhere the weights are decoded, as `Fp8` does, and that is
told. Source: Micikevicius et al. 2022, FP8 Formats for Deep Learning, arXiv 2209.05433.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from newbie.quant.codec import Stored
from newbie.quant.fp8 import CODES, SCALE, Fp8

_FIRST_CARD = (8, 9)
_MULTIPLE = 16  # of rows and columns, in what the card multiplies


@dataclass(frozen=True)
class Fp8Dynamic(Fp8):
    """The weights of `Fp8` in e4m3, and inputs in e4m3 too."""

    dtype: torch.dtype = torch.float8_e4m3fn

    @property
    def name(self) -> str:
        return "fp8-dynamic"

    def slow(self, device: torch.device, rows: int, columns: int) -> str:
        if device.type != "cuda":
            return f"there are no products of 8-bit floats on {device.type}"
        if torch.version.hip or torch.cuda.get_device_capability(device) < _FIRST_CARD:
            return "this card has no products of 8-bit floats"
        return f"the card multiplies multiples of {_MULTIPLE} only" if rows % _MULTIPLE or columns % _MULTIPLE else ""

    def linear(self, stored: Stored, x: Tensor, bias: Tensor | None) -> Tensor:
        codes = stored[CODES]
        if self.slow(codes.device, *codes.shape):
            return super().linear(stored, x, bias)
        tokens = x.flatten(0, -2)
        given = self.encode(tokens)
        y = torch._scaled_mm(
            given[CODES].view(self.dtype),
            codes.view(self.dtype).T,
            scale_a=given[SCALE],
            scale_b=stored[SCALE].T,
            bias=None if bias is None else bias.bfloat16(),
            out_dtype=torch.bfloat16,
        )
        return y.to(x.dtype).unflatten(0, x.shape[:-1])
