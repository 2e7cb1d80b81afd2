"""Products of 8-bit integers for the leaves of a CPU: weights that oneDNN has arranged, inputs rounded token by token.

oneDNN wants inputs without a sign (0 stands at 128) and weights with one: with signs on both sides it falls into a
reference kernel, hundreds of times slower. It puts each output into the scale of its weights; the token's own scale
follows here. Tokens go through in pieces that stay in the processor's cache, a whole feed-forward at a time, so the
hidden layer is never written to memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from newbie.model.adapted import AdaptedLinear
from newbie.quant.codec import Stored
from newbie.quant.int8 import CODES, SCALE
from newbie.quant.products import PIECE, Tokens, rounded

_ZERO = 128
_OPERATORS = ("qlinear_prepack", "qlinear_pointwise")


class Integers(NamedTuple):
    """A linear layer without bias that multiplies integers. Its weights are a copy, arranged once."""

    weight: Tensor  # oneDNN's, int8
    scale: Tensor  # (rows,) float32
    zeros: Tensor  # (rows,) int32
    dtype: torch.dtype  # of what it answers
    adapted: AdaptedLinear | None  # that this is the base of

    @classmethod
    def of(cls, stored: Stored, dtype: torch.dtype, adapted: AdaptedLinear | None) -> Integers:
        """`stored` is what W8A8 keeps."""
        weight = torch.ops.onednn.qlinear_prepack(stored[CODES], None)
        scale = stored[SCALE].flatten()
        return cls(weight, scale, torch.zeros(len(scale), dtype=torch.int32), dtype, adapted)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out) in `dtype`."""
        y = in_pieces(lambda piece, out: self.multiplied(unsigned(piece), out), x, len(self.scale), self.dtype)
        return y if self.adapted is None else y + self.adapted.beside(x)

    def multiplied(self, tokens: Tokens, out: Tensor | None = None) -> Tensor:
        """`unsigned` tokens (n, in) -> (n, out), into `out` or as float32."""
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            tokens.codes, 1.0, _ZERO, self.weight, self.scale, self.zeros,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return torch.mul(y, tokens.scale, out=y if out is None else out)


def available() -> bool:
    """Whether this torch has oneDNN's product."""
    return all(hasattr(torch.ops.onednn, name) for name in _OPERATORS)


def swiglu(w1: Integers, w2: Integers, w3: Integers, x: Tensor) -> Tensor:
    """w2(silu(w1 x) * w3 x): (..., in) -> (..., out) in the format of w2. None of them wears adapters."""

    def feed(piece: Tensor, out: Tensor) -> None:
        tokens = unsigned(piece)
        hidden = F.silu(w1.multiplied(tokens), inplace=True).mul_(w3.multiplied(tokens))
        w2.multiplied(unsigned(hidden), out)

    return in_pieces(feed, x, len(w2.scale), w2.dtype)


def unsigned(x: Tensor) -> Tokens:
    """x (n, in) rounded token by token, as bytes around 128."""
    codes, scale = rounded(x)
    return Tokens(codes.view(torch.uint8).bitwise_xor_(_ZERO), scale)  # the highest bit is the sign's


def in_pieces(function: Callable[[Tensor, Tensor], object], x: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """`function` maps (n, in) into (n, rows), token by token; here x (..., in), a few tokens at a time."""
    tokens = x.flatten(0, -2)
    y = torch.empty(len(tokens), rows, dtype=dtype)
    for start in range(0, len(tokens), PIECE):
        part = slice(start, start + PIECE)
        function(tokens[part], y[part])
    return y.unflatten(0, x.shape[:-1])
