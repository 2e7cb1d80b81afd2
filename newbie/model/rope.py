"""Rotary positions on three axes: (word, row, column).

Neighbouring channels (2j, 2j+1) form the pairs that turn (not the two halves of the head). Each axis turns
its own pairs with the frequencies theta^(-2k/channels). Word i of a prompt stands at (i, 0, 0); the image
token at row r and column s of a picture whose prompt has n words stands at (n, r, s).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rope(NamedTuple):
    """The turn of every token: cos and sin, each (B, L, 1, D/2) float32."""

    cos: Tensor
    sin: Tensor

    def part(self, start: int, stop: int | None = None) -> Rope:
        """The tokens from `start` to `stop`."""
        return Rope(self.cos[:, start:stop].contiguous(), self.sin[:, start:stop].contiguous())


def rope(positions: Tensor, axes_dims: tuple[int, ...], theta: float, device: torch.device) -> Rope:
    """Turns for positions (B, L, axes). Computed for exactly these positions: no table, no longest picture.

    Angles are formed in float64 and on the CPU (not every device has float64), rounded to float32, as the
    official tables are.
    """
    angles = torch.cat(
        [
            positions[..., axis, None].to("cpu", torch.float64) * _frequencies(channels, theta)
            for axis, channels in enumerate(axes_dims)
        ],
        dim=-1,
    )
    angles = angles.float().unsqueeze(2).to(device)
    return Rope(angles.cos(), angles.sin())


def rotate(x: Tensor, turn: Rope) -> Tensor:
    """Turn the pairs of x (B, L, H, D). The result is float32: the caller casts it back where it shows."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = turn
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def _frequencies(channels: int, theta: float) -> Tensor:
    return theta ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
