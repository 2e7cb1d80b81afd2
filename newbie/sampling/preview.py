"""A small picture from latents without the decoder: one linear map from latent channels to colours.

Latents of this family keep colour and brightness in fixed directions at every place, so least squares on a few
pictures finds a map that is good enough to watch a generation emerge, one pixel per latent place.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

RIDGE = 1e-3  # keeps directions that no calibration picture shows from getting large weights


def fit(latents: Tensor, pixels: Tensor) -> Tensor:
    """The map that explains pixels by latents best, in the least squares sense.

    Args:
        latents: (B, C, h, w), scaled.
        pixels: the same pictures (B, 3, H, W) in [-1, 1]; averaged down to (h, w) here.

    Returns:
        (C + 1, 3) float32; the last row is the colour of zero latents.
    """
    colours = F.adaptive_avg_pool2d(pixels.detach().float(), (latents.shape[2], latents.shape[3]))
    y = colours.permute(0, 2, 3, 1).reshape(-1, 3).double()
    x = latents.detach().permute(0, 2, 3, 1).reshape(-1, latents.shape[1]).double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    penalty = RIDGE * len(x) * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weights = torch.linalg.solve(x.T @ x + penalty, x.T @ y)
    return torch.cat([weights, (y_mean - x_mean @ weights)[None]]).float()


def apply(matrix: Tensor, latents: Tensor) -> Tensor:
    """Latents (B, C, h, w) to small pixels (B, 3, h, w) float32 in [-1, 1]."""
    matrix = matrix.to(latents.device)
    colours = torch.einsum("bchw,cr->brhw", latents.float(), matrix[:-1]) + matrix[-1][:, None, None]
    return colours.clamp_(-1.0, 1.0)


@torch.no_grad()
def calibrate(encode: Callable[[Tensor], Tensor], *, side: int = 128, count: int = 8) -> Tensor:
    """`fit` on soft patches of random colour, for an autoencoder whose pictures are not at hand.

    `encode` takes pixels (count, 3, side, side) in [-1, 1] to scaled latents; one call.
    """
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand(count, 3, 5, 5, generator=generator) * 2.0 - 1.0
    pixels = F.interpolate(patches, size=(side, side), mode="bilinear", align_corners=True)
    return fit(encode(pixels).cpu(), pixels)
