"""Seeds to noise: the same numbers on every device, and for a picture alone or in a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw(seeds: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Standard normal latents, (len(seeds), *shape) float32 on the CPU; `shape` is usually (16, h, w).

    Each picture has its own generator, so it does not matter what is drawn beside it. The generator is the
    CPU's whatever device the model runs on; ComfyUI does the same, so a single picture starts from the same
    noise there. PyTorch rounds differently on processors without AVX2: the numbers then differ by 2e-6 at most.
    Seeds of the official demo cannot be repeated, because it draws on the GPU.
    """
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(seed), device="cpu") for seed in seeds]
    return torch.stack(rows) if rows else torch.empty(0, *shape, device="cpu")
