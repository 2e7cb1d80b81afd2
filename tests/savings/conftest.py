"""Two tiny models with weights that no layer ignores, one with a pooled caption and one without, and their captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from newbie.accel.savings import Savings
from newbie.attention.kernel import Kernel
from newbie.attention.sdpa import Sdpa
from newbie.denoise import Denoiser
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.sampling.guidance import Guidance
from newbie.sampling.times import schedule
from newbie.text.features import TextFeatures

SMALL = NextDiTConfig(
    dim=48, n_layers=3, n_heads=6, n_kv_heads=2, axes_dims=(4, 2, 2), n_refiner_layers=1,
    cap_feat_dim=20, clip_text_dim=12, multiple_of=16,
)  # fmt: skip
SIZE = (4, 6)  # latent; six image tokens
GUIDED = Guidance(4.0)


def random_model(config: NextDiTConfig) -> NextDiT:
    model, generator = NextDiT(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.1 * noise if "norm" in name and weight.ndim == 1 else noise / weight.shape[-1] ** 0.5)
    return model.eval()


@pytest.fixture(scope="session")
def models() -> dict[str, NextDiT]:
    return {"pooled": random_model(SMALL), "plain": random_model(replace(SMALL, clip_text_dim=None))}


@pytest.fixture(params=["pooled", "plain"])
def model(request: pytest.FixtureRequest, models: dict[str, NextDiT]) -> NextDiT:
    return models[request.param]


def captions(model: NextDiT, lengths: Sequence[int] = (13, 4)) -> TextFeatures:
    generator = torch.Generator().manual_seed(1)
    width, clip = -(-max(lengths) // 8) * 8, model.config.clip_text_dim
    hidden = torch.randn(len(lengths), width, model.config.cap_feat_dim, generator=generator)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return TextFeatures(hidden, mask, None if clip is None else torch.randn(len(lengths), clip, generator=generator))


def noise(pictures: int = 1) -> torch.Tensor:
    return torch.randn(pictures, 16, *SIZE, generator=torch.Generator().manual_seed(2))


Make = Callable[..., Denoiser]


@pytest.fixture
def make(model: NextDiT) -> Make:
    def denoiser(savings: Savings | None = None, *, lengths: Sequence[int] = (13, 4), **changes: object) -> Denoiser:
        kernel: Kernel = Sdpa()
        given: dict[str, object] = {
            "size": SIZE,
            "grid": schedule("official", 4, shift=3.0),
            "sampler": "euler",
            "guidance": GUIDED,
            "kernel": lambda tokens, bias=False: kernel,
            "savings": savings or Savings(),
        }
        return Denoiser(model, captions(model, lengths), **(given | changes))  # type: ignore[arg-type]

    return denoiser
