"""The faults of generated pictures, applied to clean drawings, so that the probe reads both alike.

Softened edges, lines that wander by a pixel, colours that shift, mottled areas, a decoder's grain, and, where a
trained autoencoder is given, what it makes of a picture whose latents are a little wrong. Nothing here changes what
a picture shows, and nothing is mirrored: left stays left.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

RoundTrip = Callable[[Tensor, torch.Generator], Tensor]
NOISE = 0.35  # most that latents are wrong by, in units of their own spread


def blemished(
    pictures: Tensor, generator: torch.Generator, *, round_trip: RoundTrip | None = None, tripped: float = 1 / 32
) -> Tensor:
    """(B, 3, H, W) in [0, 1] → the same with random faults; the batch is cut in four, each with its own strengths.

    One part in eight of the batch (half of the first quarter) stays clean. The share `tripped`, at the end of the
    batch, goes through the autoencoder first.
    """
    count = round(len(pictures) * tripped) if round_trip is not None else 0
    if count and round_trip is not None:
        pictures = torch.cat([pictures[:-count], round_trip(pictures[-count:], generator)])
    quarters = pictures.chunk(4)
    clean = max(len(quarters[0]) // 2, 1)
    faulty = [quarters[0][:clean]]
    for quarter in (quarters[0][clean:], *quarters[1:]):
        if len(quarter):
            faulty.append(_grained(_tinted(_softened(_wandered(quarter, generator), generator), generator), generator))
    return torch.cat(faulty).clamp(0, 1)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, device=generator.device))


def _rand(*size: int, generator: torch.Generator) -> Tensor:
    return torch.rand(*size, generator=generator, device=generator.device)


def _randn(*size: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*size, generator=generator, device=generator.device)


def _wandered(x: Tensor, generator: torch.Generator) -> Tensor:
    """Moved by up to 4 % of the picture and scaled by up to 3 %, with lines that wander by about a pixel."""
    count, _, height, width = x.shape
    same = torch.eye(2, 3, device=x.device).expand(count, 2, 3)
    grid = F.affine_grid(same, [count, 3, height, width], align_corners=False)
    scale = 1 + 0.06 * (_rand(count, 1, 1, 1, generator=generator) - 0.5)
    shift = 0.08 * (_rand(count, 1, 1, 2, generator=generator) - 0.5)
    cells = int(_uniform(8, 30, generator))
    size = _uniform(0.0, 1.5, generator) * 2 / width
    wander = F.interpolate(_randn(count, 2, cells, cells, generator=generator) * size, (height, width), mode="bilinear")
    return F.grid_sample(
        x, grid * scale + shift + wander.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
    )


def _softened(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blurred, or oversharpened, or shrunk and enlarged again."""
    sigma = _uniform(0.3, 1.8, generator)
    taps = torch.exp(-(torch.arange(-3, 4.0) ** 2) / (2 * sigma**2))
    taps = taps / taps.sum()
    blurred = _smeared(_smeared(x, taps.tolist(), 3), taps.tolist(), 2)
    x = torch.lerp(x, blurred, _uniform(-0.6, 1.0, generator))
    if _uniform(0, 1, generator) < 0.3:
        side = int(x.shape[-1] * _uniform(0.4, 0.9, generator))
        small = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
        x = F.interpolate(small, x.shape[-2:], mode="bilinear")
    return x


def _smeared(x: Tensor, taps: list[float], dim: int) -> Tensor:
    """Correlate one axis with `taps`. Shifted sums: on a CPU several times as fast as convolving single planes."""
    reach = len(taps) // 2
    pad = (reach, reach, 0, 0) if dim == 3 else (0, 0, reach, reach)
    padded = F.pad(x, pad, mode="replicate")
    total = taps[0] * padded.narrow(dim, 0, x.shape[dim])
    for k, tap in enumerate(taps[1:], 1):
        total.add_(padded.narrow(dim, k, x.shape[dim]), alpha=tap)
    return total


def _tinted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each channel a little stronger or weaker, lighter or darker; contrast and saturation too."""
    count = len(x)
    gain = 1 + 0.12 * (_rand(count, 3, 1, 1, generator=generator) - 0.5)
    lift = 0.06 * (_rand(count, 3, 1, 1, generator=generator) - 0.5)
    x = x * gain + lift
    grey = x.mean(1, keepdim=True)
    saturation = 1 + 0.3 * (_rand(count, 1, 1, 1, generator=generator) - 0.5)
    contrast = 1 + 0.2 * (_rand(count, 1, 1, 1, generator=generator) - 0.5)
    return (grey + (x - grey) * saturation - 0.5) * contrast + 0.5


def _grained(x: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of four sizes: pixels, the decoder's 8x8 patches, what lies between, and large mottled areas."""
    for step, most in ((1, 0.04), (3, 0.05), (8, 0.04), (32, 0.03)):
        height, width = (-(-side // step) for side in x.shape[-2:])
        noise = _randn(len(x), 3, height, width, generator=generator) * _uniform(0, most, generator)
        x = x + (F.interpolate(noise, x.shape[-2:], mode="bilinear") if step > 1 else noise)
    return x
