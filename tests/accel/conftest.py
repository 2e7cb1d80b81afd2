"""A small model with random weights that no block ignores, and the features of a guided pair."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from newbie.attention.sdpa import Sdpa
from newbie.denoise import Denoiser
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.sampling import times
from newbie.sampling.guidance import Guidance
from newbie.text.features import TextFeatures

CONFIG = NextDiTConfig(
    dim=96,
    n_layers=3,
    n_heads=6,
    n_kv_heads=2,
    axes_dims=(8, 4, 4),
    n_refiner_layers=1,
    cap_feat_dim=20,
    clip_text_dim=12,
    multiple_of=32,
)


def small_model(*, clip=True, dtype=torch.float32, layers=CONFIG.n_layers):
    config = replace(CONFIG, n_layers=layers, clip_text_dim=CONFIG.clip_text_dim if clip else None)
    model, generator = NextDiT(config), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.1 * noise if "norm" in name and weight.ndim == 1 else noise / weight.shape[-1] ** 0.5)
    return model.eval().to(dtype)


def denoiser(model, blocks=None, *, words=(9, 4), side=8, scale=4.5, kernel=None, seed=0):
    """One request for `model`: captions of so many words, a square picture."""
    config, generator = model.config, torch.Generator().manual_seed(seed)
    hidden = torch.randn(2, max(words), config.cap_feat_dim, generator=generator).to(model.dtype)
    mask = torch.arange(max(words)) < torch.tensor(words)[:, None]
    clip = config.clip_text_dim
    pooled = None if clip is None else torch.randn(2, clip, generator=generator).to(model.dtype)
    return Denoiser(
        model,
        TextFeatures(hidden, mask, pooled),
        size=(side, side),
        grid=times.schedule("official", 3, shift=6.0, sampler="euler"),
        sampler="euler",
        guidance=Guidance(scale),
        kernel=lambda lengths: kernel or Sdpa(),
        blocks=blocks,
    )


def draw_velocity(model, blocks=None, *, pictures=1, **options):
    """The first velocity of such a request."""
    request = denoiser(model, blocks, **options)
    noise = torch.randn(pictures, 16, *request.size, generator=torch.Generator().manual_seed(7))
    return request.velocity(pictures)(noise, float(request.grid[0]))


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield
