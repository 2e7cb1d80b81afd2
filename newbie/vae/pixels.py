"""Float pictures to bytes and back: the last line of arithmetic before a PNG."""

from __future__ import annotations

import torch
from torch import Tensor


def to_uint8(pixels: Tensor, *, truncate: bool = False) -> Tensor:
    """Pixels (B, 3, H, W), nominally in [-1, 1], to bytes (B, H, W, 3).

    diffusers rounds to the nearest byte, and so do we; `truncate` cuts the fraction off, as the official demo
    does through torchvision. Values outside the range are clamped; NaN must be looked for before.
    """
    scaled = pixels.float().add(1.0).div_(2.0).clamp_(0.0, 1.0).mul_(255.0)
    whole = scaled.floor_() if truncate else scaled.round_()
    return whole.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_uint8(image: Tensor) -> Tensor:
    """Bytes (B, H, W, 3) to float32 pixels (B, 3, H, W) in [-1, 1], the exact inverse of the rounding way."""
    return image.permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1.0)
