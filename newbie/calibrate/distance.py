"""How far one picture is from another: the signal-to-noise ratio, and structural similarity.

Source: Wang, Bovik, Sheikh and Simoncelli 2004, Image quality assessment, IEEE TIP 13(4).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Decibels; infinite for the same picture."""
    error = (_pixels(first) - _pixels(second)).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(first: Image.Image, second: Image.Image) -> float:
    """Structural similarity, the mean over pixels and the three channels: 1 for the same picture."""
    x, y = _pixels(first), _pixels(second)
    mean_x, mean_y = _blurred(x), _blurred(y)
    of_x, of_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    c1, c2 = _K1**2, _K2**2
    above = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float((above / ((mean_x**2 + mean_y**2 + c1) * (of_x + of_y + c2))).mean())


def _pixels(image: Image.Image) -> Tensor:
    """(3, 1, H, W) float64, from 0 to 1: channels as a batch."""
    return torch.from_numpy(np.array(image.convert("RGB"))).double().permute(2, 0, 1)[:, None] / 255


def _blurred(x: Tensor) -> Tensor:
    """A Gaussian window of 11 pixels around every pixel that has one."""
    places = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    weights = torch.exp(-places.square() / (2 * _SIGMA**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(x, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
