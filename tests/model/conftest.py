"""Small models with random weights that no layer ignores, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT

SMALL = NextDiTConfig(
    dim=48,
    n_layers=3,
    n_heads=6,
    n_kv_heads=2,
    axes_dims=(4, 2, 2),
    n_refiner_layers=1,
    cap_feat_dim=20,
    clip_text_dim=12,
    multiple_of=16,
)


def scramble(model: NextDiT, seed: int = 0) -> NextDiT:
    """Random weights everywhere: zero gates would hide every block from the tests."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.1 * noise if "norm" in name and weight.ndim == 1 else noise / weight.shape[-1] ** 0.5)
    return model.eval()


class Inputs:
    """Captions of the given lengths (padding filled with junk), a pooled vector, noise and times."""

    def __init__(self, config: NextDiTConfig, lengths: list[int], size: tuple[int, int], seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        rows, width = len(lengths), 8 * (max(lengths) // 8 + 1)
        self.hidden = torch.randn(rows, width, config.cap_feat_dim, generator=generator)
        self.mask: Tensor = torch.arange(width) < torch.tensor(lengths)[:, None]
        clip = config.clip_text_dim
        self.pooled = None if clip is None else torch.randn(rows, clip, generator=generator)
        self.size = size
        self.latents = torch.randn(rows, config.in_channels, *size, generator=generator)
        self.t = torch.rand(rows, generator=generator)

    @property
    def text(self) -> tuple[Tensor, Tensor, Tensor | None]:
        return self.hidden, self.mask, self.pooled


@pytest.fixture(scope="session")
def model() -> NextDiT:
    return scramble(NextDiT(SMALL))


@pytest.fixture
def make_inputs() -> Callable[..., Inputs]:
    return lambda lengths=(5, 3), size=(4, 6), config=SMALL, seed=1: Inputs(config, list(lengths), size, seed)


@pytest.fixture
def make_model() -> Callable[..., NextDiT]:
    return lambda config=SMALL, seed=0: scramble(NextDiT(config), seed)
