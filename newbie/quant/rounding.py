"""Numbers as whole steps of a scale: what one step is worth. All formats of few bits are made of this."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST = torch.finfo(torch.float32).tiny  # below it quotients are no longer exact enough to stay within the levels


def step(numbers: Tensor, levels: float) -> Tensor:
    """What one step is worth where the largest of (..., k) float32 numbers takes `levels` of them: (..., 1).

    One where all of them are zeros, or so small that their step would be no normal number: never zero. NaN stays NaN.
    """
    largest = torch.maximum(numbers.amax(-1, keepdim=True), -numbers.amin(-1, keepdim=True))
    scale = largest / levels
    return torch.where(scale < _SMALLEST, 1.0, scale)
