"""Latents of many pictures of several shapes, encoded once and kept: training never sees a pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from newbie.train.data import Pictures, to_pixels
from newbie.vae import Autoencoder

BATCH = 16  # pictures encoded at once
REPORT_EVERY = 4000


class Latents(NamedTuple):
    """`values` (N, C, cells) float16: the scaled latents of picture i in its first h * w cells; `sizes` (N, 2): its
    (h, w)."""

    values: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def by_size(self, numbers: Sequence[int]) -> dict[tuple[int, int], list[int]]:
        """The places in `numbers` of pictures of each size (h, w)."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, number in enumerate(numbers):
            height, width = self.sizes[number].tolist()
            groups[height, width].append(place)
        return groups

    def batch(self, numbers: Sequence[int], size: tuple[int, int]) -> Tensor:
        """(B, C, h, w) float32 of pictures that all have this size."""
        height, width = size
        return self.values[list(numbers), :, : height * width].unflatten(-1, (height, width)).float()


@torch.no_grad()
def encoded(
    model: Autoencoder, pictures: Pictures, path: Path, *, device: torch.device, say: Callable[[str], None]
) -> Latents:
    """The latents of all pictures, read from `path` or computed and written there."""
    if path.exists():
        return Latents(**load_file(path))
    count, factor = len(pictures), model.config.factor
    sizes = torch.tensor([pictures.drawings.canvas(i)[::-1] for i in range(count)]).reshape(-1, 2) // factor
    values = torch.zeros(count, model.config.latent_channels, pictures.drawings.most_pixels // factor**2).half()
    latents = Latents(values, sizes)
    done = 0
    for (height, width), places in latents.by_size(range(count)).items():
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            pixels = to_pixels(np.stack([pictures[i] for i in some]))
            pixels = pixels.to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                posterior = model.encode(pixels)
            values[some, :, : height * width] = model.latents(posterior).flatten(2).half().cpu()
            done += len(some)
            if done // REPORT_EVERY != (done - len(some)) // REPORT_EVERY:
                say(f"encoded {done} of {count} at {pictures.drawings.size}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(latents._asdict(), temporary)
    temporary.replace(path)
    return latents
