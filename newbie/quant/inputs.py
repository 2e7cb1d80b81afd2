"""What a linear layer is given, as a calibration saw it: all that the methods that look at inputs need to know."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Inputs(NamedTuple):
    """Of all tokens x (columns,) that went through one layer, float32."""

    largest: Tensor  # (columns,) of |x|
    mean: Tensor  # (columns,) of |x|
    square: Tensor  # (columns, columns), the mean of x x^T
    sample: Tensor  # (n, columns), some of them

    @classmethod
    def of(cls, tokens: Tensor) -> Inputs:
        """From all tokens at once, (n, columns)."""
        x = tokens.float()
        return cls(x.abs().amax(0), x.abs().mean(0), x.T @ x / len(x), x)

    def divided(self, smooth: Tensor) -> Inputs:
        """The same with every token divided by `smooth` (columns,)."""
        square = self.square / torch.outer(smooth, smooth)
        return Inputs(self.largest / smooth, self.mean / smooth, square, self.sample / smooth)
